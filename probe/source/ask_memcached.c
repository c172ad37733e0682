/*
 * ask_memcached.c - memcached's statistics (doc/protocol.txt), as memcached_exporter names
 * them:
 *
 *     stats, stats settings, stats slabs, stats items   ->   STAT cmd_get 41 ... END
 *
 * A server that was started with -Y is told user and password first, by a "set" of any key, as
 * its protocol has it.  What the last two say of slab classes is ask_memcached_slabs.c's.
 */
#include <string.h>

#include "probe/source/ask.h"
#include "probe/source/ask_dialects.h"
#include "probe/source/ask_memcached_slabs.h"
#include "proto/base/error.h"

#define ROWS(table) (table), sizeof(table) / sizeof(table)[0]
#define ANSWERS     4 /* to as many commands */

static const struct ask_metric metrics[] = {
    {"uptime", "memcached_uptime_seconds", METRIC_COUNTER,
     "Number of seconds since the server started."},
    {"time", "memcached_time_seconds", METRIC_GAUGE,
     "current UNIX time according to the server."},
    {"rusage_user", "memcached_process_user_cpu_seconds_total", METRIC_COUNTER,
     "Accumulated user time for this process."},
    {"rusage_system", "memcached_process_system_cpu_seconds_total", METRIC_COUNTER,
     "Accumulated system time for this process."},
    {"bytes_read", "memcached_read_bytes_total", METRIC_COUNTER,
     "Total number of bytes read by this server from network."},
    {"bytes_written", "memcached_written_bytes_total", METRIC_COUNTER,
     "Total number of bytes sent by this server to network."},
    {"curr_connections", "memcached_current_connections", METRIC_GAUGE,
     "Current number of open connections."},
    {"maxconns", "memcached_max_connections", METRIC_GAUGE,
     "Maximum number of clients allowed."},
    {"total_connections", "memcached_connections_total", METRIC_COUNTER,
     "Total number of connections opened since the server started running."},
    {"rejected_connections", "memcached_connections_rejected_total", METRIC_COUNTER,
     "Total number of connections rejected due to hitting the memcached's -c limit in "
     "maxconns_fast mode."},
    {"conn_yields", "memcached_connections_yielded_total", METRIC_COUNTER,
     "Total number of connections yielded running due to hitting the memcached's -R limit."},
    {"listen_disabled_num", "memcached_connections_listener_disabled_total", METRIC_COUNTER,
     "Number of times that memcached has hit its connections limit and disabled its listener."},
    {"accepting_conns", "memcached_accepting_connections", METRIC_GAUGE,
     "The Memcached server is currently accepting new connections."},
    {"bytes", "memcached_current_bytes", METRIC_GAUGE,
     "Current number of bytes used to store items."},
    {"limit_maxbytes", "memcached_limit_bytes", METRIC_GAUGE,
     "Number of bytes this server is allowed to use for storage."},
    {"curr_items", "memcached_current_items", METRIC_GAUGE,
     "Current number of items stored by this instance."},
    {"total_items", "memcached_items_total", METRIC_COUNTER,
     "Total number of items stored during the life of this instance."},
    {"evictions", "memcached_items_evicted_total", METRIC_COUNTER,
     "Total number of valid items removed from cache to free memory for new items."},
    {"reclaimed", "memcached_items_reclaimed_total", METRIC_COUNTER,
     "Total number of times an entry was stored using memory from an expired entry."},
    {"store_too_large", "memcached_item_too_large_total", METRIC_COUNTER,
     "The number of times an item exceeded the max-item-size when being stored."},
    {"store_no_memory", "memcached_item_no_memory_total", METRIC_COUNTER,
     "The number of times an item could not be stored due to no more memory."},
    {"direct_reclaims", "memcached_direct_reclaims_total", METRIC_COUNTER,
     "Times worker threads had to directly reclaim or evict items."},
    {"total_malloced", "memcached_malloced_bytes", METRIC_GAUGE,
     "Number of bytes of memory allocated to slab pages."},
    {"lru_crawler_starts", "memcached_lru_crawler_starts_total", METRIC_COUNTER,
     "Times an LRU crawler was started."},
    {"crawler_reclaimed", "memcached_lru_crawler_reclaimed_total", METRIC_COUNTER,
     "Total items freed by LRU Crawler."},
    {"crawler_items_checked", "memcached_lru_crawler_items_checked_total", METRIC_COUNTER,
     "Total items examined by LRU Crawler."},
    {"moves_to_cold", "memcached_lru_crawler_moves_to_cold_total", METRIC_COUNTER,
     "Total number of items moved from HOT/WARM to COLD LRU's."},
    {"moves_to_warm", "memcached_lru_crawler_moves_to_warm_total", METRIC_COUNTER,
     "Total number of items moved from COLD to WARM LRU."},
    {"moves_within_lru", "memcached_lru_crawler_moves_within_lru_total", METRIC_COUNTER,
     "Total number of items reshuffled within HOT or WARM LRU's."},
    {"extstore_limit_maxbytes", "memcached_extstore_bytes_limit", METRIC_GAUGE,
     "Number of bytes external storage may use."},
    {"extstore_bytes_used", "memcached_extstore_bytes_used", METRIC_GAUGE,
     "Number of bytes used in external storage."},
    {"extstore_objects_evicted", "memcached_extstore_objects_evicted_total", METRIC_COUNTER,
     "Number of items evicted from external storage to free up space."},
    {"extstore_io_queue", "memcached_extstore_io_queue_depth", METRIC_GAUGE,
     "Operations that wait for external storage."},
};

static const struct ask_metric commands = {
    NULL, "memcached_commands_total", METRIC_COUNTER,
    "Total number of all requests broken down by command (get, set, etc.) and status."};
static const struct ask_metric version = {NULL, "memcached_version", METRIC_GAUGE,
                                          "The version of this memcached server."};

static const struct {
    const char *field, *command, *status;
} command_rows[] = {
    {"get_hits", "get", "hit"},        {"get_misses", "get", "miss"},
    {"delete_hits", "delete", "hit"},  {"delete_misses", "delete", "miss"},
    {"incr_hits", "incr", "hit"},      {"incr_misses", "incr", "miss"},
    {"decr_hits", "decr", "hit"},      {"decr_misses", "decr", "miss"},
    {"cas_hits", "cas", "hit"},        {"cas_misses", "cas", "miss"},
    {"cas_badval", "cas", "badval"},   {"touch_hits", "touch", "hit"},
    {"touch_misses", "touch", "miss"}, {"cmd_flush", "flush", "hit"},
};

static void memcached_request(struct buf *out, const struct ask_login *login)
{
    if (login->password != NULL) {
        const char *user = login->user == NULL ? "" : login->user;
        buf_printf(out, "set login 0 0 %zu\r\n%s %s\r\n",
                   strlen(user) + 1 + strlen(login->password), user, login->password);
    }
    buf_put_text(out, "stats\r\nstats settings\r\nstats slabs\r\nstats items\r\nquit\r\n");
}

/* A line that ends an answer, or is one. */
static bool is_end(struct span line)
{
    return span_is(line, "END") || span_is(line, "STORED") || span_is(line, "ERROR") ||
           scan_text(&line, "CLIENT_ERROR") || scan_text(&line, "SERVER_ERROR");
}

static int memcached_whole(struct bytes answer, bool has_login)
{
    struct span text = span_from(answer), line;
    size_t ends = 0;
    while (scan_line(&text, &line)) {
        bool has_newline = line.end < text.at;
        line = span_trim(line);
        if (has_newline && is_end(line))
            ends++;
        else if (!scan_text(&line, "STAT ") && has_newline)
            return ERR_MALFORMED;
    }
    return ends >= ANSWERS + (size_t)has_login;
}

static void put_command(struct ask_out *out, const char *command, const char *status,
                        double value)
{
    const struct label labels[] = {{bytes_of("command"), bytes_of(command)},
                                   {bytes_of("status"), bytes_of(status)}};
    ask_put(out, &commands, labels, 2, value);
}

/* cas operations count in cmd_set, too; the exporter takes them out. */
struct sets {
    double set, cas;
    bool has_set;
    unsigned cas_fields;
};

static void take_stat(struct span field, struct span text, struct ask_out *out,
                      struct sets *sets, struct memcached_slab *slab)
{
    double value;
    if (span_is(field, "version")) {
        const struct label label = {bytes_of("version"), span_bytes(text)};
        ask_put(out, &version, &label, 1, 1);
        return;
    }
    if (!ask_number(text, &value) || memcached_slab_take(slab, field, value, out))
        return;
    const struct ask_metric *metric = ask_metric_find(ROWS(metrics), field);
    if (metric != NULL) {
        ask_put_plain(out, metric, value);
        return;
    }
    if (span_is(field, "cmd_set")) {
        sets->set = value;
        sets->has_set = true;
    }
    for (size_t i = 0; i < sizeof command_rows / sizeof *command_rows; i++)
        if (span_is(field, command_rows[i].field)) {
            put_command(out, command_rows[i].command, command_rows[i].status, value);
            if (strcmp(command_rows[i].command, "cas") == 0) {
                sets->cas += value;
                sets->cas_fields++;
            }
        }
}

static int memcached_parse(struct bytes answer, size_t page, const struct ask_login *login,
                           struct ask_out *out, struct diagnosis *why)
{
    struct span text = span_from(answer), line, field;
    struct sets sets = {0};
    struct memcached_slab slab = {0};
    size_t before = out->count, ends = 0;

    (void)page;
    while (scan_line(&text, &line)) {
        line = span_trim(line);
        struct span rest = line;
        if (scan_text(&rest, "STAT ") && scan_word(&rest, &field))
            take_stat(field, span_trim(rest), out, &sets, &slab);
        else if (scan_text(&rest, "CLIENT_ERROR") || scan_text(&rest, "SERVER_ERROR"))
            return diagnose(why, ERR_REFUSED, "the server says: %.*s", (int)span_size(line),
                            line.at);
        else if (is_end(line))
            ends++;
    }
    if (ends < ANSWERS + (size_t)(login->password != NULL) || out->count == before)
        return diagnose(why, ERR_MALFORMED, "the answer to \"stats\" was cut off");
    if (sets.has_set && sets.cas_fields == 3)
        put_command(out, "set", "hit", sets.set - sets.cas);
    return 0;
}

const struct ask_dialect ask_dialect_memcached = {
    .source = "memcached",
    .scheme = "memcached://",
    .port = "11211",
    .path = "",
    .is_raw = true,
    .up = {NULL, "memcached_up", METRIC_GAUGE, "Could the memcached server be reached."},
    .request = memcached_request,
    .whole = memcached_whole,
    .parse = memcached_parse,
};

ASK_SOURCE(memcached, "what memcached counts, by stats");
