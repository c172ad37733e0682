/*
 * gather_rollup.c - collecting records from roll-ups, and putting them before the samples.
 *
 * Only roll-ups that are sole are read: they have the series of which there are no samples any
 * more. Of a day a series is taken from the finer tier that has it, and of several roll-ups of
 * a tier from the one that knows of the latest samples.  Samples may still lie between or in
 * front of records, having come late for a day that has expired: those are made records of one
 * sample each, so that records come first and samples behind them.  Where a bucket has a
 * record, it stands, and late samples in it do not count: so it will be when they are put into
 * the roll-up (records_fill()).
 */
#include <stdlib.h>
#include <string.h>

#include "collector/store/gather.h"
#include "collector/store/records.h"
#include "collector/store/rollup_make.h"
#include "proto/base/error.h"

/* The first time wanted of a tier (select_hints.reach_ms). */
static int64_t from_of(const struct select_hints *hints, int64_t width_ms)
{
    int64_t more_ms = 2 * width_ms - hints->reach_ms;
    return hints->reach_ms > 0 && more_ms > 0 ? hints->from_ms - more_ms : hints->from_ms;
}

struct tier_spans {
    size_t number; /* of the tier */
    int64_t now_ms;
    struct span **items; /* those whose word counts before that of others, first */
    bool *is_read;       /* of each: its series have been looked through */
    size_t count;
    int64_t width_ms, from_ms;
};

/* What a finer tier has of a day: nothing; all series of it; those found with a piece. */
enum finer { FINER_NONE, FINER_ALL, FINER_SOME };

struct tier_day {
    const struct tier_spans *tier;
    enum finer finer;
    bool has_brother; /* there may be another roll-up of the day in the tier */
};

/* Has the series something of this day, of a tier of this width? */
static bool has_piece(const struct found *found, const struct span_manifest *day,
                      int64_t width_ms)
{
    for (const struct rolled_piece *at = found->rolled; at != NULL; at = at->next)
        if (at->width_ms == width_ms && at->start_ms == day->start_ms &&
            at->end_ms == day->end_ms)
            return true;
    return false;
}

/* May the records of a series be read in this tier?  Not where a finer tier has the day, but
 * for series for which it is over there. */
static bool is_wanted(const struct gather *gather, const struct tier_day *day,
                      const struct labels *labels, int64_t end_ms)
{
    const struct tier_spans *tier = day->tier;
    const struct ages *ages = &gather->store->deletes.ages;
    return !ages_tier_is_over(ages, tier->number, labels, end_ms, tier->now_ms) &&
           (day->finer != FINER_ALL ||
            ages_tier_is_over(ages, tier->number - 1, labels, end_ms, tier->now_ms));
}

/* Has another roll-up answered for the series already? */
static bool is_answered(const struct tier_day *day, const struct found *found,
                        const struct span_manifest *manifest)
{
    return (day->has_brother && has_piece(found, manifest, day->tier->width_ms)) ||
           (day->finer == FINER_SOME &&
            has_piece(found, manifest, rollup_tiers[day->tier->number - 1].width_ms));
}

/* A copy of what is wanted of an entry; a mark, if it is nothing. */
static int add_rolled(struct gather *gather, struct found *found, const struct tier_spans *tier,
                      const struct span_manifest *manifest, struct bytes entry, bool is_mark)
{
    const size_t size = gather->hints->no_samples || is_mark ? 0 : entry.size;
    struct rolled_piece *piece = arena_alloc(&gather->scratch, 1, sizeof *piece);
    uint8_t *copy = size == 0 ? NULL : arena_alloc(&gather->scratch, size, 1);
    if (piece == NULL || (copy == NULL && size > 0))
        return ERR_LIMIT;
    if (copy != NULL)
        memcpy(copy, entry.data, size);
    *piece = (struct rolled_piece){.start_ms = manifest->start_ms,
                                   .end_ms = manifest->end_ms,
                                   .from_ms = tier->from_ms,
                                   .width_ms = tier->width_ms,
                                   .rank = RANK_HISTORY(manifest->generation),
                                   .is_mark = is_mark,
                                   .entry = {copy, size},
                                   .next = found->rolled};
    found->rolled = piece;
    found->rolled_count += !is_mark;
    return 0;
}

static int take_series(struct gather *gather, struct span *span, struct span_reader *reader,
                       uint32_t ordinal, void *context)
{
    const struct tier_day *day = context;
    const struct tier_spans *tier = day->tier;
    const struct span_info *info = span_info_of(span);
    const struct span_manifest *manifest = &info->manifest;
    const struct labels *labels;
    struct found *found;
    struct bytes entry;
    bool is_touched = false;
    int error = span_reader_labels(reader, ordinal, gather->arena, &labels);
    if (error == 0 && !is_wanted(gather, day, labels, manifest->end_ms))
        return 0;
    if (error == 0)
        error = span_reader_entry(reader, ordinal, &entry);
    if (error == 0)
        error = records_touch(entry, tier->from_ms, gather->hints->until_ms, &is_touched);
    /* The next tier must know of whom this one speaks, if not of all. */
    if (error != 0 || (!is_touched && !info->is_partial && !day->has_brother))
        return error;
    error = gather_obtain_owned(gather, labels, &found);
    if (error != 0 || is_answered(day, found, manifest))
        return error;
    const bool is_covered = gather->hints->no_samples &&
                            holes_cover(&found->holes, RANK_HISTORY(manifest->generation),
                                        manifest->min_ms, manifest->max_ms);
    return add_rolled(gather, found, tier, manifest, entry, !is_touched || is_covered);
}

static bool is_same_day(const struct span *a, const struct span *b)
{
    const struct span_manifest *x = &span_info_of(a)->manifest;
    const struct span_manifest *y = &span_info_of(b)->manifest;
    return x->start_ms == y->start_ms && x->end_ms == y->end_ms;
}

/* What the finer tier has of the same day, and could be read. */
static enum finer look_in_finer(const struct span *span, const struct tier_spans *finer)
{
    enum finer has = FINER_NONE;
    for (size_t i = 0; finer != NULL && i < finer->count; i++) {
        if (!finer->is_read[i] || !is_same_day(finer->items[i], span))
            continue;
        if (span_info_of(finer->items[i])->is_partial)
            return FINER_SOME;
        has = FINER_ALL;
    }
    return has;
}

static int take_tier(struct gather *gather, struct tier_spans *tier,
                     const struct tier_spans *finer, struct matcher *const *matchers,
                     size_t count)
{
    int error = 0;
    for (size_t i = 0; i < tier->count && error == 0; i++) {
        struct span *span = tier->items[i];
        struct tier_day day = {tier, look_in_finer(span, finer), false};
        if (!span_is_sole(span) ||
            (day.finer == FINER_ALL &&
             !ages_tier_has_any(&gather->store->deletes.ages, finer->number,
                                span_info_of(span)->manifest.end_ms, tier->now_ms)))
            continue;
        for (size_t j = 0; j < tier->count; j++)
            day.has_brother = day.has_brother || (j != i && is_same_day(tier->items[j], span));
        error = select_watch_look(&gather->watch);
        if (error == 0)
            error = gather_span(gather, span, matchers, count, take_series, &day,
                                &tier->is_read[i]);
    }
    return error;
}

static int by_word(const void *a, const void *b)
{
    struct span *const *x = a;
    struct span *const *y = b;
    return rollup_is_before(span_info_of(*x), span_info_of(*y)) ? -1 : 1;
}

static int find_spans(struct gather *gather, struct tier_spans *tier)
{
    const struct rollup_tier *what = &rollup_tiers[tier->number];
    /* A finer tier is looked for as far back as the next, to hide its days. */
    int64_t from_ms = from_of(gather->hints, rollup_tiers[ROLLUP_TIERS - 1].width_ms);
    tier->width_ms = what->width_ms;
    tier->from_ms = from_of(gather->hints, what->width_ms);
    int error = span_set_acquire_kind(gather->store->spans, what->kind, from_ms,
                                      gather->hints->until_ms, &tier->items, &tier->count);
    if (error == 0)
        tier->is_read = calloc(tier->count + 1, sizeof(bool));
    if (error == 0 && tier->is_read == NULL)
        error = ERR_NOMEM;
    if (error == 0 && tier->count > 1)
        qsort(tier->items, tier->count, sizeof(struct span *), by_word);
    return error;
}

int gather_rollups(struct gather *gather, struct matcher *const *matchers, size_t count)
{
    struct tier_spans tiers[ROLLUP_TIERS] = {0};
    /* One for all: what is over in one tier is read in the next. */
    const int64_t now_ms = clock_unix_ms(gather->store->clock);
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        tiers[t].number = t;
        tiers[t].now_ms = now_ms;
        error = find_spans(gather, &tiers[t]);
    }
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        error = take_tier(gather, &tiers[t], t > 0 ? &tiers[t - 1] : NULL, matchers, count);
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        if (tiers[t].items != NULL)
            span_set_release(gather->store->spans, tiers[t].items, tiers[t].count);
        free(tiers[t].is_read);
    }
    return error;
}

/* -- records before samples -------------------------------------------------------------- */

struct joining {
    struct rolled_join *join;
    const int64_t *times_ms;
    const double *values;
    size_t count, next; /* samples; those before `next` are done with */
};

static int add_width(struct rolled_join *join, int64_t width_ms)
{
    if (join->records.count > join->width_capacity) {
        size_t capacity = join->records.capacity;
        if (!arena_share_hold(&join->records.share,
                              (capacity - join->width_capacity) * sizeof(int64_t)))
            return ERR_LIMIT;
        int64_t *widths = realloc(join->widths_ms, capacity * sizeof *widths);
        if (widths == NULL)
            return ERR_NOMEM;
        join->widths_ms = widths;
        join->width_capacity = capacity;
    }
    join->widths_ms[join->records.count - 1] = width_ms;
    return 0;
}

/* Samples up to a time become records of one each. */
static int add_samples(struct joining *joining, int64_t until_ms)
{
    int error = 0;
    for (; error == 0 && joining->next < joining->count &&
           joining->times_ms[joining->next] <= until_ms;
         joining->next++) {
        error = records_add_sample(&joining->join->records, joining->times_ms[joining->next],
                                   joining->values[joining->next]);
        if (error == 0)
            error = add_width(joining->join, 0);
    }
    return error;
}

/* The records of a day that end in the interval, and the samples before and between them. */
static int join_piece(struct joining *joining, const struct rolled_piece *piece,
                      const struct holes *holes, int64_t until_ms)
{
    struct rolled_join *join = joining->join;
    int64_t width_ms = piece->width_ms;
    join->day.count = 0;
    int error = records_read(&join->day, piece->entry);
    for (size_t i = 0; i < join->day.count && error == 0; i++) {
        int64_t last_ms = join->day.lasts_ms[i];
        int64_t end_ms = bucket_end(last_ms, width_ms);
        int64_t after_ms = end_ms - width_ms; /* the bucket, as far as it is the day's */
        after_ms = after_ms < piece->start_ms ? piece->start_ms - 1 : after_ms;
        end_ms = end_ms >= piece->end_ms ? piece->end_ms - 1 : end_ms;
        /* Of which some is deleted: the rest cannot be told from it. */
        if (last_ms < piece->from_ms || last_ms > until_ms ||
            holes_touch(holes, piece->rank, join->day.firsts_ms[i], last_ms) ||
            (join->records.count > 0 &&
             join->day.firsts_ms[i] <= join->records.lasts_ms[join->records.count - 1]))
            continue;
        error = add_samples(joining, after_ms);
        if (error == 0)
            error = records_add(&join->records, &join->day, i);
        if (error == 0)
            error = add_width(join, width_ms);
        while (joining->next < joining->count && joining->times_ms[joining->next] <= end_ms)
            joining->next++;
    }
    return error;
}

static int by_start(const void *a, const void *b)
{
    const struct rolled_piece *const *x = a;
    const struct rolled_piece *const *y = b;
    return (*x)->start_ms < (*y)->start_ms ? -1 : (*x)->start_ms > (*y)->start_ms;
}

int rolled_join(struct rolled_join *join, struct gather *gather, const struct found *found,
                const int64_t *times_ms, const double *values, size_t count, size_t *ret_next)
{
    struct joining joining = {join, times_ms, values, count, 0};
    int error = 0;
    size_t pieces = 0;
    const struct rolled_piece **sorted =
        arena_alloc(&gather->scratch, found->rolled_count, sizeof *sorted);
    if (sorted == NULL)
        return ERR_LIMIT;
    for (const struct rolled_piece *at = found->rolled; at != NULL; at = at->next)
        if (!at->is_mark)
            sorted[pieces++] = at;
    qsort(sorted, pieces, sizeof *sorted, by_start);
    join->records.count = 0;
    for (size_t i = 0; i < pieces && error == 0; i++) {
        error = join_piece(&joining, sorted[i], &found->holes, gather->hints->until_ms);
        if (error == ERR_CORRUPT) { /* that day's; the others are good */
            atomic_fetch_add_explicit(&gather->store->quarantined, 1, memory_order_relaxed);
            error = 0;
        }
    }
    *ret_next = joining.next;
    return error;
}

void rolled_join_done(struct rolled_join *join)
{
    records_done(&join->records);
    records_done(&join->day);
    free(join->widths_ms);
    *join = (struct rolled_join){0};
}
