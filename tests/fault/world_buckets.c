/*
 * world_buckets.c - what a store answers, be it records or samples, against a model of samples.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/records.h"
#include "tests/fault/store_world.h"

struct bucket {
    unsigned series;
    int64_t end_ms, first_ms, last_ms;
    double first, last, samples, sum, min, max;
};

struct buckets {
    struct bucket items[SERIES * 512];
    size_t count;
};

static struct bucket *bucket_of(struct buckets *buckets, unsigned series, int64_t end_ms)
{
    for (size_t i = 0; i < buckets->count; i++)
        if (buckets->items[i].series == series && buckets->items[i].end_ms == end_ms)
            return &buckets->items[i];
    if (buckets->count == sizeof buckets->items / sizeof buckets->items[0])
        abort();
    struct bucket *bucket = &buckets->items[buckets->count++];
    *bucket = (struct bucket){.series = series, .end_ms = end_ms};
    return bucket;
}

static void add(struct buckets *buckets, int64_t width_ms, const struct bucket *more)
{
    struct bucket *at = bucket_of(buckets, more->series, bucket_end(more->last_ms, width_ms));
    bool is_new = at->samples == 0;
    if (is_new || more->first_ms < at->first_ms) {
        at->first_ms = more->first_ms;
        at->first = more->first;
    }
    if (is_new || more->last_ms > at->last_ms) {
        at->last_ms = more->last_ms;
        at->last = more->last;
    }
    at->min = is_new || more->min < at->min ? more->min : at->min;
    at->max = is_new || more->max > at->max ? more->max : at->max;
    at->samples += more->samples;
    at->sum += more->sum; /* of small whole numbers: exact in any order */
}

static void add_sample(struct buckets *buckets, int64_t width_ms, unsigned series, int64_t ts_ms,
                       double value)
{
    struct bucket one = {series, 0, ts_ms, ts_ms, value, value, 1, value, value, value};
    add(buckets, width_ms, &one);
}

static void add_answer(struct buckets *buckets, int64_t width_ms,
                       const struct series_samples *answer)
{
    struct bytes text = labels_get_text(answer->labels, "n");
    unsigned series = (unsigned)strtoul((const char *)text.data, NULL, 10);
    const struct rolled *rolled = answer->rolled;
    for (size_t i = 0; i < answer->count; i++) {
        if (rolled == NULL || i >= rolled->count) {
            add_sample(buckets, width_ms, series, answer->times_ms[i], answer->values[i]);
            continue;
        }
        struct bucket one = {.series = series,
                             .first_ms = rolled->firsts_ms[i],
                             .last_ms = answer->times_ms[i],
                             .first = rolled->columns[ROLLED_FIRST][i],
                             .last = answer->values[i],
                             .samples = rolled->columns[ROLLED_SAMPLES][i],
                             .sum = rolled->columns[ROLLED_SUM][i],
                             .min = rolled->columns[ROLLED_MIN][i],
                             .max = rolled->columns[ROLLED_MAX][i]};
        add(buckets, width_ms, &one);
    }
}

static bool is_same(const struct bucket *a, const struct bucket *b)
{
    return a->first_ms == b->first_ms && a->last_ms == b->last_ms && a->first == b->first &&
           a->last == b->last && a->samples == b->samples && a->sum == b->sum &&
           a->min == b->min && a->max == b->max;
}

static bool compare(struct buckets *expected, const struct buckets *found, char *why,
                    size_t why_bytes)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct bucket *one = &found->items[i];
        const struct bucket *other = bucket_of(expected, one->series, one->end_ms);
        if (is_same(one, other))
            continue;
        (void)snprintf(why, why_bytes,
                       "series %u in the bucket up to %lld: %g samples, sum %g; the model has %g, %g",
                       one->series, (long long)one->end_ms, one->samples, one->sum,
                       other->samples, other->sum);
        return false;
    }
    if (found->count != expected->count)
        (void)snprintf(why, why_bytes, "%zu buckets where the model has %zu", found->count,
                       expected->count);
    return found->count == expected->count;
}

bool world_buckets_agree(struct kit *kit, const struct model *model, int64_t width_ms, char *why,
                         size_t why_bytes)
{
    struct buckets *expected = calloc(1, sizeof *expected);
    struct buckets *found = calloc(1, sizeof *found);
    struct arena arena;
    struct series_samples *series;
    if (expected == NULL || found == NULL)
        abort();
    for (size_t i = 0; i < model->count; i++)
        add_sample(expected, width_ms, model->items[i].series, model->items[i].ts_ms,
                   model->items[i].value);
    arena_init(&arena, (size_t)256 << 20);
    size_t count = kit_select(kit, MATCH_EQUAL, "__name__", "m", ALWAYS, &arena, &series);
    for (size_t i = 0; i < count; i++)
        add_answer(found, width_ms, &series[i]);
    bool good = compare(expected, found, why, why_bytes);
    arena_reset(&arena);
    free(expected);
    free(found);
    return good;
}
