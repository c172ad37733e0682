/*
 * deliver.c - see deliver.h.
 */
#include "collector/store/deliver.h"

#include <stdatomic.h>
#include <string.h>

#include "proto/base/error.h"

#define OUTSIDE_PART 4 /* of what is decoded, for less memory than a copy takes */

void delivery_init(struct delivery *delivery, struct arena_total *total)
{
    *delivery = (struct delivery){.count = 0};
    pieces_scratch_init(&delivery->pieces);
    delivery->pieces.share.total = total;
    delivery->join.records.share.total = total;
    delivery->join.day.share.total = total;
}

bool delivery_is_refused(const struct delivery *delivery)
{
    return delivery->pieces.share.total_refused || delivery->join.records.share.total_refused ||
           delivery->join.day.share.total_refused;
}

void delivery_done(struct delivery *delivery)
{
    pieces_scratch_done(&delivery->pieces);
    rolled_join_done(&delivery->join);
}

/* Where a series whose source fell silent ends: right after its last sample.  INT64_MAX: there
 * is no such place, or it lies outside the interval. */
static int64_t marker_ms(const struct gather *gather, const struct found *found,
                         const int64_t *times_ms, const double *values, size_t count)
{
    int64_t last_ms = found->last_ms;
    if (found->absent_since_ms == 0 || gather->hints->stored_only)
        return INT64_MAX;
    if (last_ms == INT64_MIN && count > 0 && gather->hints->until_ms >= found->absent_since_ms)
        last_ms = times_ms[count - 1];
    if (last_ms == INT64_MIN || last_ms > found->absent_since_ms ||
        last_ms + 1 < gather->hints->from_ms || last_ms + 1 > gather->hints->until_ms)
        return INT64_MAX;
    if (count > 0 && times_ms[count - 1] == last_ms && is_stale_nan(values[count - 1]))
        return INT64_MAX;
    return last_ms + 1;
}

static int charge(struct gather *gather, const struct found *found, size_t samples)
{
    struct query_budget *budget = gather->budget;
    if (budget == NULL)
        return 0;
    if (samples > budget->samples_left)
        return ERR_LIMIT;
    budget->samples_left -= samples;
    budget->samples_seen += samples;
    for (size_t i = 0; i < found->count; i++)
        budget->chunks_seen += found->pieces[i].chunks > 0 ? found->pieces[i].chunks : 1;
    budget->chunks_seen += found->rolled_count;
    return 0;
}

static void *copy_of(struct gather *gather, const void *column, size_t count)
{
    void *copy = arena_alloc_raw(gather->arena, count, sizeof(double));
    if (copy != NULL)
        memcpy(copy, column, count * sizeof(double));
    return copy;
}

static int copy_rolled(struct gather *gather, const struct rolled_join *join, size_t count,
                       const struct rolled **ret_rolled)
{
    struct rolled *rolled = arena_alloc(gather->arena, 1, sizeof *rolled);
    if (rolled == NULL)
        return ERR_LIMIT;
    rolled->count = count;
    rolled->widths_ms = copy_of(gather, join->widths_ms, count);
    rolled->firsts_ms = copy_of(gather, join->records.firsts_ms, count);
    if (rolled->widths_ms == NULL || rolled->firsts_ms == NULL)
        return ERR_LIMIT;
    for (size_t c = 0; c < ROLLED_COLUMNS; c++) {
        rolled->columns[c] = copy_of(gather, join->records.columns[c], count);
        if (rolled->columns[c] == NULL)
            return ERR_LIMIT;
    }
    *ret_rolled = rolled;
    return 0;
}

static int find_parts(struct gather *gather, struct found *found, struct delivery *delivery)
{
    size_t next = 0;
    delivery->count = 0;
    delivery->rolled = 0;
    /* Records are made of values. */
    delivery->pieces.times_only = gather->hints->no_values && found->rolled_count == 0;
    int error = pieces_merge(found->pieces, found->count, &found->holes, gather->hints->from_ms,
                             gather->hints->until_ms, &delivery->pieces, &delivery->times_ms,
                             &delivery->values, &delivery->count);
    if (error == 0 && found->rolled_count == 0 && gather->hints->newest_count > 0)
        delivery->count = pieces_thin(&delivery->pieces, delivery->times_ms, delivery->count,
                                      gather->hints->newest_at_ms, gather->hints->newest_step_ms,
                                      gather->hints->newest_count);
    if (error != 0 || found->rolled_count == 0)
        return error;
    error = rolled_join(&delivery->join, gather, found, delivery->times_ms, delivery->values,
                        delivery->count, &next);
    if (error != 0)
        return error;
    delivery->rolled = delivery->join.records.count;
    delivery->count -= next;
    if (next > 0) {
        delivery->times_ms += next;
        delivery->values += next;
    }
    return 0;
}

static int copy_parts(struct gather *gather, const struct delivery *delivery, int64_t marker,
                      struct series_samples *samples)
{
    size_t rolled = delivery->rolled;
    int64_t *to_times = arena_alloc_raw(gather->arena, samples->count, sizeof *to_times);
    double *to_values = arena_alloc_raw(gather->arena, samples->count, sizeof *to_values);
    if (to_times == NULL || to_values == NULL)
        return ERR_LIMIT;
    if (rolled > 0) {
        memcpy(to_times, delivery->join.records.lasts_ms, rolled * sizeof *to_times);
        memcpy(to_values, delivery->join.records.lasts, rolled * sizeof *to_values);
    }
    if (delivery->count > 0) {
        memcpy(to_times + rolled, delivery->times_ms, delivery->count * sizeof *to_times);
        memcpy(to_values + rolled, delivery->values, delivery->count * sizeof *to_values);
    }
    if (marker != INT64_MAX) {
        uint64_t bits = STALE_NAN_BITS;
        to_times[rolled + delivery->count] = marker;
        memcpy(&to_values[rolled + delivery->count], &bits, sizeof bits);
    }
    samples->times_ms = to_times;
    samples->values = to_values;
    return rolled == 0 ? 0 : copy_rolled(gather, &delivery->join, rolled, &samples->rolled);
}

bool deliver_is_part_of_run(const struct gather *gather, const struct found *found)
{
    return found->count == 1 && found->pieces[0].chunks > 0 && found->rolled_count == 0 &&
           gather->hints->newest_count == 0;
}

/* A part of a run, where it stands.  False: it is none, or there is something to add to it. */
static bool find_part(const struct gather *gather, const struct found *found,
                      struct series_samples *ret_samples)
{
    size_t first = 0;
    size_t count = 0;
    if (!deliver_is_part_of_run(gather, found))
        return false;
    const struct piece *piece = found->pieces;
    pieces_trim(piece->times_ms, piece->count, gather->hints->from_ms, gather->hints->until_ms,
                &first, &count);
    *ret_samples = (struct series_samples){.labels = found->labels,
                                           .times_ms = piece->times_ms + first,
                                           .values = piece->values + first,
                                           .count = count,
                                           .interval_ms = piece->interval_ms,
                                           .no_markers = piece->plain};
    return marker_ms(gather, found, ret_samples->times_ms, ret_samples->values, count) ==
           INT64_MAX;
}

/* So much of the pieces lies in the interval that they may be decoded to where they are to stay,
 * and the rest be left standing there. */
static bool fits_in_place(const struct gather *gather, struct found *found, size_t *ret_samples)
{
    const struct select_hints *hints = gather->hints;
    size_t samples = 0;
    size_t outside = 0;
    if (found->rolled_count > 0 || hints->newest_count > 0 || found->count == 0)
        return false;
    for (size_t i = 0; i < found->count; i++) {
        const struct piece *piece = &found->pieces[i];
        double length = (double)(piece->last_ms - piece->first_ms) + 1;
        double before = (double)hints->from_ms - (double)piece->first_ms; /* may be any times */
        double after = (double)piece->last_ms - (double)hints->until_ms;
        double out = (before > 0 ? before : 0) + (after > 0 ? after : 0);
        samples += piece->count;
        outside += (size_t)((double)piece->count * (out < length ? out / length : 1));
    }
    *ret_samples = samples;
    return outside <= samples / OUTSIDE_PART &&
           pieces_follow(found->pieces, found->count, &found->holes);
}

/* A series whose pieces follow each other, decoded to where it is to stay. */
static int deliver_in_place(struct gather *gather, struct found *found,
                            struct delivery *delivery, size_t samples,
                            struct series_samples *ret_samples)
{
    size_t count = 0;
    size_t first = 0;
    int64_t *times_ms = arena_alloc_raw(gather->arena, samples + 1, sizeof *times_ms);
    double *values = arena_alloc_raw(gather->arena, samples + 1, sizeof *values);
    if (times_ms == NULL || values == NULL)
        return ERR_LIMIT;
    delivery->pieces.times_only = gather->hints->no_values;
    int error = pieces_line_up(found->pieces, found->count, &delivery->pieces, times_ms, values,
                               &count);
    if (error != 0)
        return error;
    pieces_trim(times_ms, count, gather->hints->from_ms, gather->hints->until_ms, &first, &count);
    times_ms += first;
    values += first;
    int64_t marker = marker_ms(gather, found, times_ms, values, count);
    if (marker != INT64_MAX) {
        uint64_t bits = STALE_NAN_BITS;
        times_ms[count] = marker;
        memcpy(&values[count++], &bits, sizeof bits);
    }
    *ret_samples = (struct series_samples){.labels = found->labels,
                                           .times_ms = times_ms,
                                           .values = values,
                                           .count = count,
                                           .interval_ms =
                                               marker == INT64_MAX ? delivery->pieces.interval_ms : 0,
                                           .no_markers =
                                               delivery->pieces.plain && marker == INT64_MAX};
    return count == 0 ? 0 : charge(gather, found, count);
}

/* By way of the delivery's buffers. */
static int deliver_copied(struct gather *gather, struct found *found, struct delivery *delivery,
                          struct series_samples *ret_samples)
{
    int error = find_parts(gather, found, delivery);
    if (error != 0)
        return error;
    int64_t marker =
        marker_ms(gather, found, delivery->times_ms, delivery->values, delivery->count);
    size_t all = delivery->rolled + delivery->count + (marker != INT64_MAX);
    *ret_samples = (struct series_samples){
        .labels = found->labels,
        .count = all,
        .interval_ms = delivery->rolled == 0 && marker == INT64_MAX ? delivery->pieces.interval_ms : 0,
        .no_markers = delivery->pieces.plain && delivery->rolled == 0 && marker == INT64_MAX};
    if (all == 0)
        return 0;
    error = charge(gather, found, all);
    return error != 0 ? error : copy_parts(gather, delivery, marker, ret_samples);
}

/* What is damaged is counted and passed by, never returned as data. */
static int pass_damaged(struct gather *gather, int error, struct series_samples *samples)
{
    if (error != ERR_CORRUPT)
        return error;
    atomic_fetch_add_explicit(&gather->store->quarantined, 1, memory_order_relaxed);
    samples->count = 0;
    return 0;
}

int deliver(struct gather *gather, struct found *found, struct delivery *delivery,
            struct series_samples *ret_samples)
{
    size_t samples;
    if (find_part(gather, found, ret_samples))
        return ret_samples->count == 0 ? 0 : charge(gather, found, ret_samples->count);
    int error = fits_in_place(gather, found, &samples)
                    ? deliver_in_place(gather, found, delivery, samples, ret_samples)
                    : deliver_copied(gather, found, delivery, ret_samples);
    return pass_damaged(gather, error, ret_samples);
}

int deliver_view(struct gather *gather, struct found *found, struct delivery *delivery,
                 struct series_samples *ret_samples)
{
    if (find_part(gather, found, ret_samples))
        return ret_samples->count == 0 ? 0 : charge(gather, found, ret_samples->count);
    *ret_samples = (struct series_samples){.labels = found->labels};
    int error = find_parts(gather, found, delivery);
    if (error != 0)
        return pass_damaged(gather, error, ret_samples);
    int64_t marker =
        marker_ms(gather, found, delivery->times_ms, delivery->values, delivery->count);
    if (marker != INT64_MAX)
        pieces_append(&delivery->pieces, delivery->times_ms, &delivery->count, marker,
                      STALE_NAN_BITS);
    ret_samples->times_ms = delivery->times_ms;
    ret_samples->values = delivery->values;
    ret_samples->count = delivery->count;
    ret_samples->interval_ms = delivery->pieces.interval_ms;
    ret_samples->no_markers = delivery->pieces.plain;
    return delivery->count == 0 ? 0 : charge(gather, found, delivery->count);
}
