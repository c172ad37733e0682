/* api_retention.c - how long what is kept, and since when there is any, for /api/fengsui/v1/status. */
#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

static void write_tier(struct json_writer *json, const char *name, int64_t age_ms,
                       int64_t oldest_ms)
{
    char text[DURATION_TEXT_BYTES];
    json_write_object(json);
    json_write_text_member(json, "tier", name);
    json_write_text_member(json, "age",
                           age_ms == STORE_FOREVER ? "forever"
                           : age_ms == STORE_NEVER ? "none"
                                                   : duration_format(age_ms, text));
    json_write_instant_member(json, "oldest", oldest_ms == INT64_MAX ? 0 : oldest_ms);
    json_write_end(json);
}

static void write_row(struct json_writer *json, const struct store_held *held)
{
    static const char *const names[STORE_TIERS] = {"raw", "rollup_5m", "rollup_1h"};
    struct buf match = {0};
    json_write_object(json);
    json_write_key(json, "match");
    if (held->selection.count == 0) {
        json_write_raw(json, bytes_of("null"));
    } else {
        promql_print_matchers(held->selection.matchers, held->selection.count, &match);
        json_write_string(json, buf_bytes(&match));
        buf_done(&match);
    }
    json_write_key(json, "tiers");
    json_write_array(json);
    for (size_t t = 0; t < STORE_TIERS; t++)
        write_tier(json, names[t], held->age_ms[t], held->oldest_ms[t]);
    json_write_end(json);
    json_write_end(json);
}

int api_write_retention(struct json_writer *json, struct store *store)
{
    struct store_held rows[STORE_HELD_MAX];
    size_t count;
    int error = store_held(store, rows, &count);
    if (error != 0)
        return error;
    json_write_key(json, "retention");
    json_write_array(json);
    for (size_t i = 0; i < count; i++)
        write_row(json, &rows[i]);
    json_write_end(json);
    return 0;
}
