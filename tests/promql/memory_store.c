/*
 * memory_store.c - what the real store promises in queryable.h, in the plainest way.
 */
#include "tests/promql/memory_store.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

struct querier {
    struct memory_store *store;
};

static int memory_open(struct queryable *queryable, int64_t from_ms, int64_t until_ms,
                       struct querier **ret_querier, struct diagnosis *why)
{
    struct querier *querier = malloc(sizeof *querier);
    (void)from_ms;
    (void)until_ms;
    (void)why;
    if (querier == NULL)
        return ERR_NOMEM;
    querier->store = (struct memory_store *)queryable;
    *ret_querier = querier;
    return 0;
}

static void memory_close(struct querier *querier)
{
    free(querier);
}

static int order_of_samples(const void *left, const void *right)
{
    return labels_compare(((const struct series_samples *)left)->labels,
                          ((const struct series_samples *)right)->labels);
}

/* Copies what lies in the hinted interval. */
static int copy_samples(const struct memory_series *series, const struct select_hints *hints,
                        struct query_budget *budget, struct arena *arena,
                        struct series_samples *out)
{
    size_t first = 0;
    size_t next = series->count;
    while (first < next && series->times_ms[first] < hints->from_ms)
        first++;
    while (next > first && series->times_ms[next - 1] > hints->until_ms)
        next--;
    size_t count = next - first;
    *out = (struct series_samples){.labels = series->labels, .count = count};
    if (count == 0)
        return 0;
    if (count > budget->samples_left)
        return ERR_LIMIT;
    budget->samples_left -= count;
    budget->samples_seen += count;
    int64_t *times = arena_alloc(arena, count, sizeof *times);
    double *values = arena_alloc(arena, count, sizeof *values);
    if (times == NULL || values == NULL)
        return ERR_NOMEM;
    memcpy(times, series->times_ms + first, count * sizeof *times);
    memcpy(values, series->values + first, count * sizeof *values);
    out->times_ms = times;
    out->values = values;
    return 0;
}

static int memory_select(struct querier *querier, struct matcher *const *matchers,
                         size_t matcher_count, const struct select_hints *hints,
                         struct query_budget *budget, struct arena *arena,
                         struct series_samples **ret_series, size_t *ret_count,
                         struct diagnosis *why)
{
    const struct memory_store *store = querier->store;
    struct series_samples *found = arena_alloc(arena, store->count + 1, sizeof *found);
    size_t count = 0;
    (void)why;

    if (found == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < store->count; i++) {
        if (!matchers_match(matchers, matcher_count, store->series[i].labels))
            continue;
        int error = copy_samples(&store->series[i], hints, budget, arena, &found[count]);
        if (error != 0)
            return error;
        count += found[count].count > 0;
    }
    if (count > 1)
        qsort(found, count, sizeof *found, order_of_samples);
    *ret_series = found;
    *ret_count = count;
    return 0;
}

static int memory_names(struct querier *querier, struct matcher *const *matchers,
                        size_t matcher_count, const struct query_budget *budget,
                        struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                        struct diagnosis *why)
{
    (void)budget;
    (void)why;
    (void)querier;
    (void)matchers;
    (void)matcher_count;
    (void)arena;
    (void)ret_names;
    (void)ret_count;
    return ERR_NOTFOUND; /* the engine does not ask */
}

static int memory_values(struct querier *querier, struct bytes name,
                         struct matcher *const *matchers, size_t matcher_count,
                         const struct query_budget *budget, struct arena *arena,
                         struct bytes **ret_values, size_t *ret_count, struct diagnosis *why)
{
    (void)name;
    return memory_names(querier, matchers, matcher_count, budget, arena, ret_values, ret_count,
                        why);
}

static const struct queryable_calls memory_calls = {
    .open = memory_open,
    .select = memory_select,
    .label_names = memory_names,
    .label_values = memory_values,
    .close = memory_close,
};

void memory_store_init(struct memory_store *store)
{
    *store = (struct memory_store){.queryable = {&memory_calls}};
}

void memory_store_clear(struct memory_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        labels_free(store->series[i].labels);
        free(store->series[i].times_ms);
        free(store->series[i].values);
    }
    free(store->series);
    memory_store_init(store);
}

int memory_store_series(struct memory_store *store, const struct label *pairs,
                        size_t pair_count, size_t *ret_number)
{
    const struct labels *labels = NULL;
    int error = labels_build(pairs, pair_count, NULL, &labels);
    if (error != 0)
        return error;
    for (size_t i = 0; i < store->count; i++)
        if (labels_equal(store->series[i].labels, labels)) {
            labels_free(labels);
            *ret_number = i;
            return 0;
        }
    if (store->count == store->capacity) {
        size_t capacity = store->capacity * 2 + 16;
        struct memory_series *grown = realloc(store->series, capacity * sizeof *grown);
        must(grown != NULL);
        store->series = grown;
        store->capacity = capacity;
    }
    store->series[store->count] = (struct memory_series){.labels = labels};
    *ret_number = store->count++;
    return 0;
}

int memory_store_put(struct memory_store *store, size_t number, int64_t time_ms, double value)
{
    struct memory_series *series = &store->series[number];
    if (series->count == series->capacity) {
        size_t capacity = series->capacity * 2 + 64;
        series->times_ms = realloc(series->times_ms, capacity * sizeof(int64_t));
        series->values = realloc(series->values, capacity * sizeof(double));
        must(series->times_ms != NULL && series->values != NULL);
        series->capacity = capacity;
    }
    size_t at = series->count;
    while (at > 0 && series->times_ms[at - 1] > time_ms)
        at--;
    if (at > 0 && series->times_ms[at - 1] == time_ms) {
        series->values[at - 1] = value;
        return 0;
    }
    memmove(series->times_ms + at + 1, series->times_ms + at,
            (series->count - at) * sizeof(int64_t));
    memmove(series->values + at + 1, series->values + at,
            (series->count - at) * sizeof(double));
    series->times_ms[at] = time_ms;
    series->values[at] = value;
    series->count++;
    return 0;
}
