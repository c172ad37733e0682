/*
 * ages.c - series whose samples, or whose roll-ups, are kept for less long than the others.
 *
 * What is older than its own age is a hole that moves with the clock and covers every piece,
 * whenever it was written: readers, flush and merge treat it like a delete.  A file is rewritten
 * for it once, when all of it is older.
 *
 * Records go by the day, as roll-ups do: once all of a day is older than their age in a tier they
 * are not read there any more, and the file is written anew without them.  Where the tier of 5
 * minutes has a series no more, that of an hour is read.
 */
#include <stdlib.h>

#include "collector/store/deletes.h"
#include "collector/store/merge.h"
#include "collector/store/parts.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

_Static_assert(AGE_TIERS == ROLLUP_TIERS, "each tier has a list of ages");

static int64_t age_in_tier(const struct store_retention *age, size_t tier)
{
    return rollup_tiers[tier].kind == SPAN_ROLLUP_5M ? age->rollup_5m_ms : age->rollup_1h_ms;
}

/* Those of `ages` that say something about samples (tier NONE) or about a tier. */
#define NONE SIZE_MAX
static int make_list(const struct store_retention *ages, size_t count, size_t tier,
                     struct deletion ***ret_list, size_t *ret_count)
{
    struct deletion **list = calloc(count + 1, sizeof(struct deletion *));
    if (list == NULL)
        return ERR_NOMEM;
    *ret_list = list;
    for (size_t i = 0; i < count; i++) {
        const int64_t age_ms = tier == NONE ? ages[i].raw_ms : age_in_tier(&ages[i], tier);
        if (age_ms == 0)
            continue;
        int error = deletion_new(ages[i].selection.matchers, ages[i].selection.count, 0, age_ms,
                                 &list[*ret_count]);
        if (error != 0)
            return error;
        (*ret_count)++;
    }
    return 0;
}

int ages_init(struct deletes *deletes, const struct store_retention *ages, size_t count,
              const struct clock *clock)
{
    deletes->clock = clock;
    int error = make_list(ages, count, NONE, &deletes->ages, &deletes->age_count);
    for (size_t t = 0; t < AGE_TIERS && error == 0; t++)
        error = make_list(ages, count, t, &deletes->tier_ages[t], &deletes->tier_age_counts[t]);
    return error;
}

static void free_list(struct deletion ***list, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        deletion_release((*list)[i]);
    free(*list);
    *list = NULL;
    *count = 0;
}

void ages_done(struct deletes *deletes)
{
    free_list(&deletes->ages, &deletes->age_count);
    for (size_t t = 0; t < AGE_TIERS; t++)
        free_list(&deletes->tier_ages[t], &deletes->tier_age_counts[t]);
}

void ages_view(const struct deletes *deletes, int64_t from_ms, struct deletes_view *view)
{
    if (deletes->age_count == 0)
        return;
    view->now_ms = clock_unix_ms(deletes->clock);
    for (size_t i = 0; i < deletes->age_count; i++)
        if (from_ms < view->now_ms - deletes->ages[i]->until_ms)
            view->ages = deletes;
}

size_t ages_count(const struct deletes_view *view)
{
    return view->ages == NULL ? 0 : view->ages->age_count;
}

void ages_holes(const struct deletes_view *view, const struct labels *labels,
                struct holes *holes)
{
    for (size_t i = 0; i < view->ages->age_count; i++) {
        const struct deletion *age = view->ages->ages[i];
        if (deletion_matches(age, labels))
            holes->items[holes->count++] =
                (struct hole){.from_ms = INT64_MIN,
                              .until_ms = view->now_ms - age->until_ms - 1,
                              .generation = UINT64_MAX,
                              .seal = UINT64_MAX,
                              .fence = UINT32_MAX,
                              .tails = true};
    }
}

/* -- records ----------------------------------------------------------------------------- */

static bool is_over(const struct deletion *age, int64_t end_ms, int64_t now_ms)
{
    return end_ms <= now_ms - age->until_ms;
}

bool ages_tier_is_over(const struct deletes *deletes, size_t tier, const struct labels *labels,
                       int64_t end_ms, int64_t now_ms)
{
    for (size_t i = 0; i < deletes->tier_age_counts[tier]; i++)
        if (is_over(deletes->tier_ages[tier][i], end_ms, now_ms) &&
            deletion_matches(deletes->tier_ages[tier][i], labels))
            return true;
    return false;
}

bool ages_tier_has_any(const struct deletes *deletes, size_t tier, int64_t end_ms, int64_t now_ms)
{
    for (size_t i = 0; i < deletes->tier_age_counts[tier]; i++)
        if (is_over(deletes->tier_ages[tier][i], end_ms, now_ms))
            return true;
    return false;
}

/* -- files ------------------------------------------------------------------------------- */

/* Does a file hold series with this age? */
static int has_series(struct span *span, const struct deletion *age, bool *ret_yes)
{
    struct span_reader *reader;
    roaring_bitmap_t *ordinals = NULL;
    int error = span_reader_open(span, &reader);
    if (error != 0)
        return error;
    struct postings_source source = span_postings(reader);
    error = postings_select(&source, age->matchers, age->count, &ordinals);
    if (error == 0) {
        *ret_yes = !roaring_bitmap_is_empty(ordinals);
        roaring_bitmap_free(ordinals);
    }
    span_reader_close(reader);
    return error;
}

static int apply_age(struct store *store, const struct deletion *age)
{
    struct span **spans;
    size_t count;
    int64_t floor_ms = clock_unix_ms(store->clock) - age->until_ms;
    int error = span_set_acquire(store->spans, INT64_MIN, floor_ms - 1, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        bool yes = false;
        if (span_info_of(spans[i])->manifest.max_ms >= floor_ms)
            continue; /* not all of it: later */
        error = has_series(spans[i], age, &yes);
        if (error == 0 && yes)
            error = merge_rewrite(store, span_info_of(spans[i]));
        if (error == ERR_CORRUPT || error == ERR_AGAIN || error == ERR_LIMIT)
            error = 0; /* named where it was met; readers leave it out */
    }
    span_set_release(store->spans, spans, count);
    return error;
}

/* The roll-ups of one tier that are all there is of their time; others are made anew anyway. */
static int apply_tier_age(struct store *store, size_t tier, const struct deletion *age)
{
    struct span **spans;
    size_t count;
    const int64_t now_ms = clock_unix_ms(store->clock);
    int error = span_set_acquire_kind(store->spans, rollup_tiers[tier].kind, INT64_MIN,
                                      now_ms - age->until_ms - 1, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        bool yes = false;
        if (!span_is_sole(spans[i]) ||
            !is_over(age, span_info_of(spans[i])->manifest.end_ms, now_ms))
            continue;
        error = has_series(spans[i], age, &yes);
        if (error == 0 && yes)
            error = rollup_rewrite(store, spans[i]);
        if (error == ERR_CORRUPT || error == ERR_LIMIT)
            error = 0; /* named where it was met; readers leave it out */
    }
    span_set_release(store->spans, spans, count);
    return error;
}

int ages_apply(struct store *store)
{
    const struct deletes *deletes = &store->deletes;
    int error = 0;
    for (size_t i = 0; i < deletes->age_count && error == 0; i++)
        error = apply_age(store, deletes->ages[i]);
    for (size_t t = 0; t < AGE_TIERS; t++)
        for (size_t i = 0; i < deletes->tier_age_counts[t] && error == 0; i++)
            error = apply_tier_age(store, t, deletes->tier_ages[t][i]);
    return error;
}
