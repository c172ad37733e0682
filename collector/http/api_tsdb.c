/*
 * api_tsdb.c - /api/v1/status/tsdb: how many series by metric, label and pair; where
 * cardinality comes from.
 *
 * One walk over the label sets that the head has; texts are counted in a table by their hash
 * and kind.  Costs as much as the series endpoint for everything, and runs on the query pool.
 */
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"

#define LIMIT_DEFAULT 10
#define LIMIT_MAX     10000

enum tally_kind { TALLY_METRIC, TALLY_LABEL, TALLY_PAIR, TALLY_KINDS };

/* One text of a kind: a metric's name, a label's name, or a pair. */
struct tally {
    enum tally_kind kind;
    struct bytes name, value; /* value: of pairs */
    uint64_t hash;
    uint64_t series;        /* that bear it */
    uint64_t values, bytes; /* of labels: different values, and their sizes */
    bool used;
};

struct tally_table {
    struct tally *slots;
    size_t capacity, count;
};

static int table_grow(struct tally_table *table)
{
    struct tally_table bigger = {.capacity = table->capacity == 0 ? 1024 : table->capacity * 2,
                                 .count = table->count};
    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < table->capacity; i++) {
        if (!table->slots[i].used)
            continue;
        size_t at = (size_t)table->slots[i].hash & (bigger.capacity - 1);
        while (bigger.slots[at].used)
            at = (at + 1) & (bigger.capacity - 1);
        bigger.slots[at] = table->slots[i];
    }
    free(table->slots);
    *table = bigger;
    return 0;
}

/* Counts a text; *ret_tally is valid until the next call. */
static int tally_add(struct tally_table *table, enum tally_kind kind, struct bytes name,
                     struct bytes value, struct tally **ret_tally, bool *ret_new)
{
    uint64_t hash = XXH3_64bits_withSeed(value.data, value.size,
                                         XXH3_64bits_withSeed(name.data, name.size, kind));
    if (table->count * 2 >= table->capacity) {
        int error = table_grow(table);
        if (error != 0)
            return error;
    }
    size_t at = (size_t)hash & (table->capacity - 1);
    while (table->slots[at].used &&
           (table->slots[at].hash != hash || table->slots[at].kind != kind ||
            !bytes_equal(table->slots[at].name, name) ||
            !bytes_equal(table->slots[at].value, value)))
        at = (at + 1) & (table->capacity - 1);
    struct tally *tally = &table->slots[at];
    *ret_new = !tally->used;
    if (*ret_new) {
        *tally = (struct tally){
            .kind = kind, .name = name, .value = value, .hash = hash, .used = true};
        table->count++;
    }
    tally->series++;
    *ret_tally = tally;
    return 0;
}

static int count_labels(struct tally_table *table, const struct labels *labels)
{
    const struct bytes none = {NULL, 0};
    int error = 0;
    for (size_t i = 0; error == 0 && i < labels->count; i++) {
        const struct label *pair = &labels->pairs[i];
        struct tally *tally = NULL;
        bool is_new = false;
        bool is_new_label = false;
        error = tally_add(table, TALLY_PAIR, pair->name, pair->value, &tally, &is_new);
        if (error == 0)
            error = tally_add(table, TALLY_LABEL, pair->name, none, &tally, &is_new_label);
        if (error == 0 && is_new) {
            tally->values++;
            tally->bytes += pair->value.size;
        }
        if (error == 0 && bytes_equal(pair->name, bytes_of(LABEL_NAME)))
            error = tally_add(table, TALLY_METRIC, pair->value, none, &tally, &is_new);
    }
    return error;
}

/* ---- the lists ------------------------------------------------------------------------- */

struct row {
    const struct tally *tally;
    uint64_t value;
};

/* Largest first; equal ones by name, so that the answer is the same each time. */
static int order(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    int by_name = bytes_compare(a->tally->name, b->tally->name);
    return by_name != 0 ? by_name : bytes_compare(a->tally->value, b->tally->value);
}

static uint64_t series_of(const struct tally *tally)
{
    return tally->series;
}

static uint64_t values_of(const struct tally *tally)
{
    return tally->values;
}

static uint64_t bytes_used(const struct tally *tally)
{
    return tally->bytes;
}

static int write_list(struct json_writer *json, const char *name,
                      const struct tally_table *table, enum tally_kind kind,
                      uint64_t (*value_of)(const struct tally *tally), size_t limit)
{
    size_t count = 0;
    struct row *rows = calloc(table->count + 1, sizeof *rows);
    if (rows == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].used && table->slots[i].kind == kind)
            rows[count++] = (struct row){&table->slots[i], value_of(&table->slots[i])};
    qsort(rows, count, sizeof *rows, order);
    json_write_key(json, name);
    json_write_array(json);
    for (size_t i = 0; i < count && i < limit; i++) {
        struct buf text = {0};
        buf_put(&text, rows[i].tally->name.data, rows[i].tally->name.size);
        if (kind == TALLY_PAIR) {
            buf_put_char(&text, '=');
            buf_put(&text, rows[i].tally->value.data, rows[i].tally->value.size);
        }
        json_write_object(json);
        json_write_key(json, "name");
        json_write_string(json, buf_bytes(&text));
        json_write_key(json, "value");
        json_write_integer(json, (int64_t)rows[i].value);
        json_write_end(json);
        buf_done(&text);
    }
    json_write_end(json);
    free(rows);
    return 0;
}

static void write_head(struct json_writer *json, const struct store_stats *stats,
                       const struct tally_table *table)
{
    int64_t pairs = 0;
    for (size_t i = 0; i < table->capacity; i++)
        pairs += table->slots[i].used && table->slots[i].kind == TALLY_PAIR;
    json_write_key(json, "headStats");
    json_write_object(json);
    json_write_key(json, "numSeries");
    json_write_integer(json, (int64_t)stats->series_active);
    json_write_key(json, "numLabelPairs");
    json_write_integer(json, pairs);
    json_write_key(json, "chunkCount");
    json_write_integer(json, (int64_t)stats->head_chunks);
    json_write_key(json, "minTime");
    json_write_integer(json, stats->head_min_ms);
    json_write_key(json, "maxTime");
    json_write_integer(json, stats->head_max_ms);
    json_write_end(json);
}

static int answer(struct http_response *response, const struct store_stats *stats,
                  const struct tally_table *table, size_t limit)
{
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    write_head(json, stats, table);
    int error =
        write_list(json, "seriesCountByMetricName", table, TALLY_METRIC, series_of, limit);
    if (error == 0)
        error = write_list(json, "labelValueCountByLabelName", table, TALLY_LABEL, values_of,
                           limit);
    if (error == 0)
        error =
            write_list(json, "memoryInBytesByLabelName", table, TALLY_LABEL, bytes_used, limit);
    if (error == 0)
        error = write_list(json, "seriesCountByLabelValuePair", table, TALLY_PAIR, series_of,
                           limit);
    json_write_end(json);
    if (error == 0)
        reply_finish(&reply, NULL, NULL);
    return error;
}

/* Every label set of the head's time, counted. */
static int count_all(struct http_request *request, const struct store_stats *stats,
                     struct arena *arena, struct tally_table *table, struct diagnosis *why)
{
    struct queryable *store = store_queryable(app_of(request)->store);
    struct select_hints hints = {
        .from_ms = stats->head_min_ms, .until_ms = stats->head_max_ms, .no_samples = true};
    struct query_budget budget = {.samples_left = UINT64_MAX, .cancelled = &request->cancelled};
    struct series_samples *series = NULL;
    struct querier *querier = NULL;
    struct matcher *matcher = NULL;
    size_t count = 0;

    if (stats->series_active == 0 || stats->head_min_ms > stats->head_max_ms)
        return 0;
    int error = store->calls->open(store, hints.from_ms, hints.until_ms, &querier, why);
    if (error == 0)
        error = matcher_new(MATCH_NOT_EQUAL, bytes_of(LABEL_NAME), (struct bytes){NULL, 0},
                            &matcher, why);
    if (error == 0)
        error = store->calls->select(querier, &matcher, 1, &hints, &budget, arena, &series,
                                     &count, why);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = request->cancelled ? ERR_CANCELLED : count_labels(table, series[i].labels);
    matcher_free(matcher);
    store->calls->close(querier);
    return error;
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
    struct tally_table table = {NULL, 0, 0};
    struct store_stats stats;
    struct diagnosis why = {0};
    struct arena arena;
    size_t limit = 0;
    if (!read_limit(request, response, &limit))
        return;
    store_get_stats(app_of(request)->store, &stats);
    arena_init(&arena, NAMES_ARENA_BYTES);
    int error = count_all(request, &stats, &arena, &table, &why);
    if (error == 0)
        error = answer(response, &stats, &table, limit);
    if (error != 0)
        reply_code(response, error, &why);
    free(table.slots);
    arena_reset(&arena);
}
