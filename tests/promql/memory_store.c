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

static int64_t interval_of(const int64_t *times_ms, size_t count)
{
    for (size_t i = 2; i < count; i++)
        if (times_ms[i] - times_ms[i - 1] != times_ms[1] - times_ms[0])
            return 0;
    return count < 2 ? 0 : times_ms[1] - times_ms[0];
}

/* Copies what lies in the hinted interval. */
static int copy_samples(const struct series_samples *series, const struct select_hints *hints,
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
    out->interval_ms = interval_of(times, count);
    return 0;
}

/* What the matchers select of the whole store, in the order of labels. */
static int list_series(const struct memory_store *store, struct matcher *const *matchers,
                       size_t matcher_count, struct arena *arena, struct series_samples **ret_list,
                       size_t *ret_count)
{
    struct series_samples *list = arena_alloc(arena, store->count + 1, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < store->count; i++)
        if (matchers_match(matchers, matcher_count, store->series[i].labels))
            list[count++] = (struct series_samples){.labels = store->series[i].labels,
                                                    .times_ms = store->series[i].times_ms,
                                                    .values = store->series[i].values,
                                                    .count = store->series[i].count};
    if (count > 1)
        qsort(list, count, sizeof *list, order_of_samples);
    *ret_list = list;
    *ret_count = count;
    return 0;
}

static int memory_select(struct querier *querier, struct matcher *const *matchers,
                         size_t matcher_count, const struct select_hints *hints,
                         struct query_budget *budget, struct arena *arena,
                         struct series_samples **ret_series, size_t *ret_count,
                         struct diagnosis *why)
{
    struct series_samples *list;
    size_t listed = 0;
    size_t count = 0;
    (void)why;

    int error = list_series(querier->store, matchers, matcher_count, arena, &list, &listed);
    for (size_t i = 0; i < listed && error == 0; i++) {
        struct series_samples samples;
        error = copy_samples(&list[i], hints, budget, arena, &samples);
        list[count] = samples;
        count += samples.count > 0;
    }
    *ret_series = list;
    *ret_count = count;
    return error;
}

/* -- one by one -------------------------------------------------------------------------- */

struct listed {
    struct unread unread; /* first: it is the address */
    struct series_samples *list;
    struct select_hints hints;
};

/* Samples of one series at a time, so that whoever looks at those of another is found out. */
struct unread_place {
    struct arena arena;
};

static int memory_find(struct querier *querier, struct matcher *const *matchers,
                       size_t matcher_count, const struct select_hints *hints,
                       struct query_budget *budget, struct arena *arena, struct unread **ret_unread,
                       struct series_samples **ret_series, size_t *ret_count, struct diagnosis *why)
{
    struct listed *listed = malloc(sizeof *listed);
    (void)budget;
    (void)ret_series;
    (void)ret_count;
    (void)why;
    if (listed == NULL)
        return ERR_NOMEM;
    *listed = (struct listed){.hints = *hints};
    int error = list_series(querier->store, matchers, matcher_count, arena, &listed->list,
                            &listed->unread.count);
    if (error != 0) {
        free(listed);
        return error;
    }
    for (size_t i = 0; i < listed->unread.count; i++)
        listed->unread.samples += listed->list[i].count;
    *ret_unread = &listed->unread;
    return 0;
}

static int memory_read(struct unread *unread, size_t i, struct unread_place **place,
                       struct query_budget *budget, struct series_samples *ret_samples)
{
    const struct listed *listed = (const struct listed *)(const void *)unread;
    if (*place == NULL) {
        *place = malloc(sizeof **place);
        if (*place == NULL)
            return ERR_NOMEM;
        arena_init(&(*place)->arena, SIZE_MAX / 2);
    }
    arena_reset(&(*place)->arena);
    return copy_samples(&listed->list[i], &listed->hints, budget, &(*place)->arena, ret_samples);
}

static void memory_leave(struct unread_place *place)
{
    if (place != NULL)
        arena_reset(&place->arena);
    free(place);
}

static int memory_end(struct unread *unread, int error, struct diagnosis *why)
{
    (void)why;
    free(unread);
    return error;
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
    .find = memory_find,
    .read = memory_read,
    .leave = memory_leave,
    .end = memory_end,
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
