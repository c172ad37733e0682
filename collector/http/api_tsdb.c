/*
 * api_tsdb.c - /api/v1/status/tsdb: how many series by metric, label and pair; where
 * cardinality comes from.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/store/cardinality.h"
#include "proto/base/error.h"

#define LIMIT_DEFAULT 10
#define LIMIT_MAX     10000

static void write_list(struct json_writer *json, const char *name,
                       const struct store_cardinality_list *list)
{
    struct buf text = {0};
    json_write_key(json, name);
    json_write_array(json);
    for (size_t i = 0; i < list->count; i++) {
        const struct store_cardinality_row *row = &list->rows[i];
        buf_clear(&text);
        buf_put(&text, row->name.data, row->name.size);
        if (row->value.size > 0) { /* a pair */
            buf_put_char(&text, '=');
            buf_put(&text, row->value.data, row->value.size);
        }
        json_write_object(json);
        json_write_key(json, "name");
        json_write_string(json, buf_bytes(&text));
        json_write_key(json, "value");
        json_write_integer(json, (int64_t)row->count);
        json_write_end(json);
    }
    json_write_end(json);
    buf_done(&text);
}

static void write_head(struct json_writer *json, struct store *store,
                       const struct store_cardinality *cardinality)
{
    struct store_stats stats;
    store_get_stats(store, &stats);
    json_write_key(json, "headStats");
    json_write_object(json);
    json_write_key(json, "numSeries");
    json_write_integer(json, (int64_t)stats.series_active);
    json_write_key(json, "numLabelPairs");
    json_write_integer(json, (int64_t)cardinality->pairs);
    json_write_key(json, "chunkCount");
    json_write_integer(json, (int64_t)store_count_head_chunks(store));
    json_write_key(json, "minTime");
    json_write_integer(json, stats.head_min_ms);
    json_write_key(json, "maxTime");
    json_write_integer(json, stats.head_max_ms);
    json_write_end(json);
}

static bool read_limit(const struct http_request *request, struct http_response *response,
                       size_t *ret_limit)
{
    const char *text = http_parameter(request, "limit");
    char *end = NULL;
    *ret_limit = LIMIT_DEFAULT;
    if (text == NULL || *text == '\0')
        return true;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0 || value < 1) {
        reply_error(response, API_BAD_DATA, "limit must be a positive number");
        return false;
    }
    if (value > LIMIT_MAX) {
        reply_error(response, API_BAD_DATA, "limit must not exceed %d", LIMIT_MAX);
        return false;
    }
    *ret_limit = (size_t)value;
    return true;
}

void api_tsdb(struct http_request *request, struct http_response *response)
{
    struct store *store = app_of(request)->store;
    struct store_cardinality cardinality;
    struct query_budget budget = {.cancelled = &request->cancelled};
    struct arena arena;
    struct reply reply;
    size_t limit = 0;
    if (!read_limit(request, response, &limit) ||
        !api_deadline(request, response, &budget.deadline_mono_ns) ||
        !api_is_in_time(response, budget.deadline_mono_ns))
        return;
    arena_init(&arena, app_of(request)->promql.max_memory_bytes);
    arena.total = api_memory(request);
    int error = store_get_cardinality(store, limit, &budget, &arena, &cardinality);
    if (error != 0) {
        api_store_error(response, error, &arena, NULL);
    } else {
        reply_start(&reply, response);
        json_write_object(&reply.json);
        write_head(&reply.json, store, &cardinality);
        write_list(&reply.json, "seriesCountByMetricName", &cardinality.metrics);
        write_list(&reply.json, "labelValueCountByLabelName", &cardinality.label_values);
        write_list(&reply.json, "memoryInBytesByLabelName", &cardinality.label_bytes);
        write_list(&reply.json, "seriesCountByLabelValuePair", &cardinality.pair_series);
        json_write_end(&reply.json);
        reply_finish(&reply, NULL, NULL);
    }
    arena_reset(&arena);
}
