/*
 * api_logs.c - /api/fengsui/v1/logs: lines of log files, by host, file, time, severity, text.
 *
 *     ?instance=web-01&path=/var/log/nginx/error*&contains=timeout&severity=err&start=&end=&limit=
 *     &direction=backward (newest first, the default) | forward
 *
 *     {"lines":[{"timeMs":..,"instance":"web-01","path":"/var/log/x","file":"1f..","offset":0,
 *                "severity":"err","text":"..."}]}
 *
 * A line's identity is (instance, file, offset): `fengsuictl logs --follow` asks again from the
 * last time and leaves out what it has shown.  Streams in the store are the hash of an instance's
 * name, so names come from the list of probes.  Paths that begin with '@' hold records (process
 * tables, events), not text of a log; they are shown only to those who ask for them by name.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>
#include <xxhash.h>

#include "collector/http/api_parts.h"
#include "collector/ingest/ingest.h"
#include "proto/base/error.h"

#define HOUR_MS       (INT64_C(60) * 60 * 1000)
#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000
#define LOGS_BYTES    ((size_t)256 << 20)

/* syslog severity + 1, as the wire has it */
static const char *const severities[] = {"",       "emerg", "alert", "crit", "err",
                                         "warning", "notice", "info", "debug"};
#define SEVERITIES (sizeof severities / sizeof *severities)

static bool read_severity(const struct http_request *request, struct http_response *response,
                          uint32_t *ret_severity)
{
    const char *text = http_parameter(request, "severity");
    if (text == NULL || *text == '\0')
        return true;
    if (strcasecmp(text, "error") == 0)
        text = "err";
    if (strcasecmp(text, "warn") == 0)
        text = "warning";
    for (uint32_t i = 1; i < SEVERITIES; i++) {
        if (strcasecmp(text, severities[i]) == 0) {
            *ret_severity = i;
            return true;
        }
    }
    reply_error(response, API_BAD_DATA,
                "invalid parameter \"severity\": \"%s\" is none of emerg, alert, crit, err, "
                "warning, notice, info, debug",
                text);
    return false;
}

static bool read_query(const struct http_request *request, struct http_response *response,
                       struct log_query *query)
{
    const char *instance = http_parameter(request, "instance");
    const char *path = http_parameter(request, "path");
    const char *contains = http_parameter(request, "contains");
    const char *direction = http_parameter(request, "direction");
    int64_t now_ms = clock_unix_ms(&clock_system);
    if (instance != NULL && *instance != '\0')
        query->stream_id = XXH3_64bits(instance, strlen(instance));
    query->path_pattern = bytes_of(path != NULL && *path != '\0' ? path : "[!@]*");
    query->newest_first = direction == NULL || strcmp(direction, "forward") != 0;
    if (!api_time(request, response, "end", now_ms + HOUR_MS, &query->until_ms) ||
        !api_time(request, response, "start",
                  (query->until_ms < now_ms ? query->until_ms : now_ms) - HOUR_MS,
                  &query->from_ms) ||
        !api_limit(request, response, &query->limit) ||
        !read_severity(request, response, &query->severity_at_most))
        return false;
    if (query->limit == 0)
        query->limit = LIMIT_DEFAULT;
    if (query->limit > LIMIT_MAX)
        query->limit = LIMIT_MAX;
    struct diagnosis why = {0};
    if (contains != NULL && *contains != '\0' &&
        regex_new(bytes_of(contains), false, &query->contains, &why) != 0) {
        reply_invalid(response, "contains", why.text);
        return false;
    }
    return true;
}

/* ---- names of streams ------------------------------------------------------------------ */

static json_t *list_probes(struct ingest *ingest)
{
    struct buf printed = {0};
    json_t *rows = NULL;
    if (ingest_print_keys_json(ingest, &printed) == 0)
        rows = json_loadb((const char *)printed.data, printed.size, 0, NULL);
    buf_done(&printed);
    return rows;
}

static const char *instance_of(const json_t *probes, uint64_t stream_id)
{
    size_t index;
    json_t *row;
    json_array_foreach(probes, index, row)
    {
        const char *instance = json_string_value(json_object_get(row, "instance"));
        if (instance != NULL && XXH3_64bits(instance, strlen(instance)) == stream_id)
            return instance;
    }
    return "";
}

static void write_hit(struct json_writer *json, const struct log_hit *hit, const char *instance)
{
    char file[20];
    snprintf(file, sizeof file, "%016" PRIx64, hit->file_id);
    json_write_object(json);
    json_write_key(json, "timeMs");
    json_write_integer(json, hit->line.ts_ms);
    json_write_key(json, "instance");
    json_write_text(json, instance);
    json_write_key(json, "path");
    json_write_string(json, hit->path);
    json_write_key(json, "file");
    json_write_text(json, file);
    json_write_key(json, "offset");
    json_write_integer(json, (int64_t)hit->line.offset);
    json_write_key(json, "severity");
    json_write_text(json, hit->line.severity < SEVERITIES ? severities[hit->line.severity] : "");
    json_write_key(json, "text");
    json_write_string(json, hit->line.text);
    json_write_end(json);
}

static void answer(struct http_request *request, struct http_response *response,
                   const struct log_hit *hits, size_t count, size_t limit)
{
    json_t *probes = list_probes(app_of(request)->ingest);
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "lines");
    json_write_array(&reply.json);
    for (size_t i = 0; i < count; i++)
        write_hit(&reply.json, &hits[i], instance_of(probes, hits[i].stream_id));
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, count == limit ? "results truncated due to limit" : NULL);
    json_decref(probes);
}

void api_logs(struct http_request *request, struct http_response *response)
{
    struct query_budget budget = {.cancelled = &request->cancelled};
    struct log_query query = {.budget = &budget};
    if (!api_deadline(request, response, &budget.deadline_mono_ns) ||
        !api_is_in_time(response, budget.deadline_mono_ns) ||
        !read_query(request, response, &query))
        return;
    struct arena arena;
    struct log_hit *hits = NULL;
    size_t count = 0;
    struct diagnosis why = {0};
    arena_init(&arena, LOGS_BYTES);
    arena.total = api_memory(request);
    int error =
        store_log_search(app_of(request)->store, &query, &arena, &hits, &count, &why);
    if (error != 0)
        api_store_error(response, error, &arena, &why);
    else
        answer(request, response, hits, count, query.limit);
    arena_reset(&arena);
    regex_free(query.contains);
}
