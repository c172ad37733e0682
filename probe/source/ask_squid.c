/*
 * ask_squid.c - pages of squid's cache manager, as squid-exporter names what they say:
 *
 *     counters        client_http.requests = 17
 *     info            	Number of clients accessing cache:	1
 *                     	Hits as % of all requests:	5min: 0.0%, 60min: 12.5%
 *                     	    52 StoreEntries
 *     service_times   	HTTP Requests (All):  95%   0.00463  0.00463
 *
 * From squid 3.2 on they lie below /squid-internal-mgr/; older ones are asked by
 * cache_object://.  The manager answers localhost alone unless squid.conf says otherwise.  Of
 * service times the first column, the last five minutes, is taken, as the exporter does.
 *
 * Names are the exporter's, oddities included (kbytes_in_kbytes_total; times are "counters").
 */
#include <stdio.h>
#include <string.h>

#include "probe/source/ask.h"
#include "probe/source/ask_dialects.h"
#include "proto/base/error.h"

#define ROWS(table)   (table), sizeof(table) / sizeof(table)[0]
#define KEY_BYTES_MAX 96

enum page { COUNTERS, INFO, SERVICE_TIMES };
static const char *const pages[] = {"counters", "info", "service_times", NULL};

#define COUNTER(field, name, help)                                                             \
    {                                                                                          \
        field, "squid_" name, METRIC_COUNTER, help                                             \
    }
#define SERVER(field, name, what)                                                              \
    COUNTER(field ".requests", name "_requests_total",                                         \
            "The total number of server " what " requests"),                                   \
        COUNTER(field ".errors", name "_errors_total",                                         \
                "The total number of server " what " errors"),                                 \
        COUNTER(field ".kbytes_in", name "_kbytes_in_kbytes_total",                            \
                "The total number of server " what " kbytes received"),                        \
        COUNTER(field ".kbytes_out", name "_kbytes_out_kbytes_total",                          \
                "The total number of server " what " kbytes transferred")

static const struct ask_metric counters[] = {
    COUNTER("client_http.requests", "client_http_requests_total",
            "The total number of client requests"),
    COUNTER("client_http.hits", "client_http_hits_total",
            "The total number of client cache hits"),
    COUNTER("client_http.errors", "client_http_errors_total",
            "The total number of client http errors"),
    COUNTER("client_http.kbytes_in", "client_http_kbytes_in_kbytes_total",
            "The total number of client kbytes received"),
    COUNTER("client_http.kbytes_out", "client_http_kbytes_out_kbytes_total",
            "The total number of client kbytes transferred"),
    COUNTER("client_http.hit_kbytes_out", "client_http_hit_kbytes_out_bytes_total",
            "The total number of client kbytes cache hit"),
    SERVER("server.http", "server_http", "http"),
    SERVER("server.all", "server_all", "all"),
    SERVER("server.ftp", "server_ftp", "ftp"),
    SERVER("server.other", "server_other", "other"),
    COUNTER("swap.ins", "swap_ins_total", "Objects read from disk"),
    COUNTER("swap.outs", "swap_outs_total", "Objects saved to disk"),
    COUNTER("swap.files_cleaned", "swap_files_cleaned_total",
            "Orphaned cache files that were removed"),
};

#define INFO_ROW(name)                                                                         \
    {                                                                                          \
        name, "squid_info_" name, METRIC_GAUGE, "From the manager's page \"info\""             \
    }
static const struct ask_metric infos[] = {
    INFO_ROW("Number_of_clients_accessing_cache"),
    INFO_ROW("Number_of_HTTP_requests_received"),
    INFO_ROW("Number_of_ICP_messages_received"),
    INFO_ROW("Number_of_ICP_messages_sent"),
    INFO_ROW("Number_of_queued_ICP_replies"),
    INFO_ROW("Number_of_HTCP_messages_received"),
    INFO_ROW("Number_of_HTCP_messages_sent"),
    INFO_ROW("Request_failure_ratio"),
    INFO_ROW("Average_HTTP_requests_per_minute_since_start"),
    INFO_ROW("Average_ICP_messages_per_minute_since_start"),
    INFO_ROW("Select_loop_called"),
    INFO_ROW("Hits_as_pct_of_all_requests_5min"),
    INFO_ROW("Hits_as_pct_of_bytes_sent_5min"),
    INFO_ROW("Memory_hits_as_pct_of_hit_requests_5min"),
    INFO_ROW("Disk_hits_as_pct_of_hit_requests_5min"),
    INFO_ROW("Hits_as_pct_of_all_requests_60min"),
    INFO_ROW("Hits_as_pct_of_bytes_sent_60min"),
    INFO_ROW("Memory_hits_as_pct_of_hit_requests_60min"),
    INFO_ROW("Disk_hits_as_pct_of_hit_requests_60min"),
    INFO_ROW("Storage_Swap_size"),
    INFO_ROW("Storage_Swap_capacity"),
    INFO_ROW("Storage_Mem_size"),
    INFO_ROW("Storage_Mem_capacity"),
    INFO_ROW("Mean_Object_Size"),
    INFO_ROW("Requests_given_to_unlinkd"),
    INFO_ROW("UP_Time"),
    INFO_ROW("CPU_Time"),
    INFO_ROW("CPU_Usage"),
    INFO_ROW("CPU_Usage_5_minute_avg"),
    INFO_ROW("CPU_Usage_60_minute_avg"),
    INFO_ROW("Maximum_Resident_Size"),
    INFO_ROW("Page_faults_with_physical_i_o"),
    INFO_ROW("Total_accounted"),
    INFO_ROW("memPoolAlloc_calls"),
    INFO_ROW("memPoolFree_calls"),
    INFO_ROW("Maximum_number_of_file_descriptors"),
    INFO_ROW("Largest_file_desc_currently_in_use"),
    INFO_ROW("Number_of_file_desc_currently_in_use"),
    INFO_ROW("Files_queued_for_open"),
    INFO_ROW("Available_number_of_file_descriptors"),
    INFO_ROW("Reserved_number_of_file_descriptors"),
    INFO_ROW("Store_Disk_files_open"),
    INFO_ROW("StoreEntries"),
    INFO_ROW("StoreEntries_with_MemObjects"),
    INFO_ROW("Hot_Object_Cache_Items"),
    INFO_ROW("on_disk_objects"),
};

/* The page's words as a name: blanks, slashes and hyphens become '_', '%' "pct", and commas and
 * parentheses go.  Empty if it does not fit. */
static struct span key_of(struct span words, char room[KEY_BYTES_MAX])
{
    size_t size = 0;
    words = span_trim(words);
    for (const char *at = words.at; at < words.end; at++) {
        if (size + 4 > KEY_BYTES_MAX)
            return span_of(room, 0);
        if (*at == '%') {
            memcpy(room + size, "pct", 3);
            size += 3;
        } else if (*at == ' ' || *at == '/' || *at == '-') {
            if (size > 0 && room[size - 1] != '_')
                room[size++] = '_';
        } else if (*at != ',' && *at != '(' && *at != ')') {
            room[size++] = *at;
        }
    }
    return span_of(room, size);
}

/* Cuts "left<mark>right"; false: no mark. */
static bool cut(struct span line, char mark, struct span *ret_left, struct span *ret_right)
{
    const char *at = memchr(line.at, mark, span_size(line));
    if (at == NULL)
        return false;
    *ret_left = (struct span){line.at, at};
    *ret_right = (struct span){at + 1, line.end};
    return true;
}

static void put_found(struct ask_out *out, const struct ask_metric *table, size_t count,
                      struct span key, struct span text)
{
    double value;
    const struct ask_metric *metric = ask_metric_find(table, count, key);
    if (metric != NULL && ask_number(text, &value))
        ask_put_plain(out, metric, value);
}

static void parse_counter(struct span line, struct ask_out *out)
{
    struct span left, right;
    if (cut(line, '=', &left, &right))
        put_found(out, ROWS(counters), span_trim(left), right);
}

/* "Hits as % of all requests: 5min: 0.0%, 60min: 12.5%": a value for each. */
static void parse_windows(struct span words, struct span text, struct ask_out *out)
{
    static const char *const windows[] = {"5min", "60min"};
    char room[KEY_BYTES_MAX];
    for (size_t i = 0; i < 2; i++) {
        struct span name, rest;
        if (!cut(text, ':', &name, &rest) || !span_is(span_trim(name), windows[i]))
            return;
        struct span key = key_of(words, room);
        size_t size = span_size(key), more = strlen(windows[i]);
        if (size > 0 && size + 1 + more <= KEY_BYTES_MAX) {
            room[size++] = '_';
            memcpy(room + size, windows[i], more);
            put_found(out, ROWS(infos), span_of(room, size + more), rest);
        }
        if (!cut(rest, ',', &name, &text))
            return;
    }
}

static void parse_info(struct span line, struct ask_out *out)
{
    char room[KEY_BYTES_MAX];
    struct span left, right;
    if (cut(line, ':', &left, &right)) {
        if (memmem(right.at, span_size(right), "5min:", 5) != NULL)
            parse_windows(left, right, out);
        else
            put_found(out, ROWS(infos), key_of(left, room), right);
        return;
    }
    /* "    52 StoreEntries" */
    struct span number, words = span_trim(line);
    if (scan_word(&words, &number))
        put_found(out, ROWS(infos), key_of(words, room), number);
}

/* "HTTP Requests (All):  95%   0.00463  0.00463" */
static void parse_time(struct span line, struct ask_out *out)
{
    char room[KEY_BYTES_MAX], name[KEY_BYTES_MAX + 16];
    struct span left, right;
    uint64_t percent;
    double value;

    if (!cut(line, ':', &left, &right) || !scan_u64(&right, &percent) || percent > 100 ||
        !scan_char(&right, '%') || !ask_number(right, &value))
        return;
    struct span key = key_of(left, room);
    for (const char *at = key.at; at < key.end; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_'))
            return;
    if (span_size(key) == 0)
        return;
    (void)snprintf(name, sizeof name, "squid_%.*s_%u", (int)span_size(key), key.at,
                   (unsigned)percent);
    const struct ask_metric metric = {NULL, name, METRIC_GAUGE,
                                      "Service time, seconds, percentile of five minutes"};
    ask_put_plain(out, &metric, value);
}

static int squid_parse(struct bytes answer, size_t page, const struct ask_login *login,
                       struct ask_out *out, struct diagnosis *why)
{
    struct span text = span_from(answer), line;
    size_t before = out->count;

    (void)login;
    while (scan_line(&text, &line))
        if (page == COUNTERS)
            parse_counter(line, out);
        else if (page == INFO)
            parse_info(line, out);
        else
            parse_time(line, out);
    return page == COUNTERS && out->count == before
               ? diagnose(why, ERR_MALFORMED, "the page is not that of squid's cache manager")
               : 0;
}

const struct ask_dialect ask_dialect_squid = {
    .source = "squid",
    .scheme = "http://",
    .port = "3128",
    .path = "/squid-internal-mgr/",
    .pages = pages,
    .up = {NULL, "squid_up", METRIC_GAUGE, "Was the last query of squid successful?"},
    .up_label = "host",
    .parse = squid_parse,
};

ASK_SOURCE(squid, "what squid's cache manager counts");
