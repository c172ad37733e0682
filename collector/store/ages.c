/*
 * ages.c - series whose samples are kept for less long than the others.
 *
 * What is older than its own age is a hole that moves with the clock and covers every piece,
 * whenever it was written: readers, flush and merge treat it like a delete.  A file is rewritten
 * for it once, when all of it is older.
 */
#include <stdlib.h>

#include "collector/store/deletes.h"
#include "collector/store/merge.h"
#include "collector/store/parts.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

int ages_init(struct deletes *deletes, const struct store_retention *ages, size_t count,
              const struct clock *clock)
{
    deletes->clock = clock;
    deletes->ages = calloc(count + 1, sizeof(struct deletion *));
    if (deletes->ages == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        int error = deletion_new(ages[i].selection.matchers, ages[i].selection.count, 0,
                                 ages[i].raw_ms, &deletes->ages[i]);
        if (error != 0)
            return error;
        deletes->age_count++;
    }
    return 0;
}

void ages_done(struct deletes *deletes)
{
    for (size_t i = 0; i < deletes->age_count; i++)
        deletion_release(deletes->ages[i]);
    free(deletes->ages);
    deletes->ages = NULL;
    deletes->age_count = 0;
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
        if (error == ERR_CORRUPT || error == ERR_AGAIN)
            error = 0; /* named where it was met; readers leave it out */
    }
    span_set_release(store->spans, spans, count);
    return error;
}

int ages_apply(struct store *store)
{
    int error = 0;
    for (size_t i = 0; i < store->deletes.age_count && error == 0; i++)
        error = apply_age(store, store->deletes.ages[i]);
    return error;
}
