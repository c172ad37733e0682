/*
 * querier.c - the store as a queryable: select, label names, label values.
 *
 * A select gathers compressed pieces (gather.h), then decodes series by series into the
 * caller's arena.  The head is looked at before the list of history spans is taken, because
 * samples move from the first to the second.
 */
#include "collector/store/querier.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/crew.h"
#include "collector/store/gather.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define PIECE_MAX          16    /* series a thread takes at a time; fewer where there are few */
#define OUTSIDE_PART       4     /* of what is decoded, for less memory than a copy takes */
#define SHARED_SAMPLES_MIN 32768 /* fewer are decoded sooner than a thread awakes */

struct querier {
    struct store *store;
    int64_t from_ms, until_ms;
};

static int querier_open(struct queryable *queryable, int64_t from_ms, int64_t until_ms,
                        struct querier **ret_querier, struct diagnosis *why)
{
    struct querier *querier = calloc(1, sizeof *querier);
    if (querier == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    querier->store = (struct store *)queryable;
    querier->from_ms = from_ms;
    querier->until_ms = until_ms;
    *ret_querier = querier;
    return 0;
}

static void querier_close(struct querier *querier)
{
    free(querier);
}

/* -- select ------------------------------------------------------------------------------ */

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

/* What one series comes to, and where its parts are until they are copied. */
struct delivery {
    struct pieces_scratch pieces;
    struct rolled_join join;
    const int64_t *times_ms; /* samples */
    const double *values;
    size_t count, rolled; /* of samples, of records before them */
};

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
                                           .no_markers =
                                               delivery->pieces.plain && marker == INT64_MAX};
    return count == 0 ? 0 : charge(gather, found, count);
}

/* Is all there is of a series a part of a run, which is there as long as the arena? */
static bool is_part_of_run(const struct gather *gather, const struct found *found)
{
    return found->count == 1 && found->pieces[0].chunks > 0 && found->rolled_count == 0 &&
           gather->hints->newest_count == 0;
}

/* False: there is something to add to it. */
static bool deliver_part(const struct gather *gather, const struct found *found,
                         struct series_samples *ret_samples)
{
    const struct piece *piece = &found->pieces[0];
    size_t first = 0;
    size_t count = 0;
    pieces_trim(piece->times_ms, piece->count, gather->hints->from_ms, gather->hints->until_ms,
                &first, &count);
    *ret_samples = (struct series_samples){.labels = found->labels,
                                           .times_ms = piece->times_ms + first,
                                           .values = piece->values + first,
                                           .count = count,
                                           .no_markers = piece->plain};
    return marker_ms(gather, found, ret_samples->times_ms, ret_samples->values, count) ==
           INT64_MAX;
}

static int deliver(struct gather *gather, struct found *found, struct delivery *delivery,
                   struct series_samples *ret_samples)
{
    size_t samples;
    if (is_part_of_run(gather, found) && deliver_part(gather, found, ret_samples))
        return ret_samples->count == 0 ? 0 : charge(gather, found, ret_samples->count);
    if (fits_in_place(gather, found, &samples))
        return deliver_in_place(gather, found, delivery, samples, ret_samples);
    int error = find_parts(gather, found, delivery);
    if (error != 0)
        return error;
    int64_t marker =
        marker_ms(gather, found, delivery->times_ms, delivery->values, delivery->count);
    size_t all = delivery->rolled + delivery->count + (marker != INT64_MAX);
    *ret_samples = (struct series_samples){
        .labels = found->labels,
        .count = all,
        .no_markers = delivery->pieces.plain && delivery->rolled == 0 && marker == INT64_MAX};
    if (all == 0)
        return 0;
    error = charge(gather, found, all);
    return error != 0 ? error : copy_parts(gather, delivery, marker, ret_samples);
}

/* The series of a select, decoded one by one; by several threads if there is much of it. */
struct delivering {
    struct gather *gather;
    struct series_samples *series; /* one an item; without samples if there are none */
    size_t piece;
    struct crew_arenas arenas;
    _Atomic size_t next;
    _Atomic int error; /* the first */
    _Atomic uint64_t samples, chunks;
};

static int deliver_one(struct gather *gather, size_t i, struct delivery *delivery,
                       struct series_samples *series)
{
    int error = deliver(gather, gather->items[i], delivery, series);
    if (error == ERR_CORRUPT) { /* counted and passed by, never returned as data */
        atomic_fetch_add_explicit(&gather->store->quarantined, 1, memory_order_relaxed);
        series->count = 0;
        return 0;
    }
    return error;
}

static void take_share(void *context, unsigned place)
{
    struct delivering *all = context;
    struct gather mine = *all->gather;
    struct query_budget budget = {.samples_left = UINT64_MAX};
    struct delivery delivery = {.count = 0};
    int error = 0;
    if (mine.budget != NULL)
        budget.samples_left = mine.budget->samples_left;
    mine.budget = &budget;
    mine.arena = &all->arenas.items[place];
    pieces_scratch_init(&delivery.pieces);
    while (error == 0 && atomic_load_explicit(&all->error, memory_order_relaxed) == 0) {
        size_t first = atomic_fetch_add_explicit(&all->next, all->piece, memory_order_relaxed);
        if (first >= mine.count)
            break;
        error = select_watch_look(&all->gather->watch);
        for (size_t i = first; i < mine.count && i - first < all->piece && error == 0; i++)
            error = deliver_one(&mine, i, &delivery, &all->series[i]);
    }
    int none = 0;
    if (error != 0)
        (void)atomic_compare_exchange_strong(&all->error, &none, error);
    atomic_fetch_add_explicit(&all->samples, budget.samples_seen, memory_order_relaxed);
    atomic_fetch_add_explicit(&all->chunks, budget.chunks_seen, memory_order_relaxed);
    pieces_scratch_done(&delivery.pieces);
}

/* Records of roll-ups are joined in the scratch, which is one thread's. */
static bool is_worth_sharing(const struct gather *gather)
{
    uint64_t samples = 0;
    if (gather->budget == NULL || crew_helpers(gather->budget->crew) == 0 ||
        gather->count < 2 || gather->hints->series_limit > 0)
        return false;
    for (size_t i = 0; i < gather->count; i++) {
        const struct found *found = gather->items[i];
        if (found->rolled_count > 0)
            return false;
        for (size_t k = 0; k < found->count && !is_part_of_run(gather, found); k++)
            samples += found->pieces[k].count;
    }
    return samples >= SHARED_SAMPLES_MIN;
}

static int deliver_shared(struct gather *gather, struct series_samples *series)
{
    struct query_budget *budget = gather->budget;
    struct delivering all = {.gather = gather,
                             .series = series,
                             .piece = crew_piece(budget->crew, gather->count, PIECE_MAX)};
    crew_arenas_init(&all.arenas, gather->arena);
    crew_share(budget->crew, take_share, &all);
    crew_arenas_join(&all.arenas, gather->arena);
    if (all.error != 0)
        return all.error;
    if (all.samples > budget->samples_left)
        return ERR_LIMIT;
    budget->samples_left -= all.samples;
    budget->samples_seen += all.samples;
    budget->chunks_seen += all.chunks;
    return 0;
}

static int deliver_alone(struct gather *gather, struct series_samples *series)
{
    struct delivery delivery = {.count = 0};
    size_t limit = gather->hints->series_limit;
    size_t kept = 0;
    int error = 0;
    pieces_scratch_init(&delivery.pieces);
    for (size_t i = 0; i < gather->count && error == 0 && (limit == 0 || kept < limit); i++) {
        error = select_watch_step(&gather->watch);
        if (error == 0)
            error = deliver_one(gather, i, &delivery, &series[i]);
        kept += series[i].count > 0;
    }
    pieces_scratch_done(&delivery.pieces);
    rolled_join_done(&delivery.join);
    return error;
}

/* Those that have something, without gaps. */
static size_t keep_found(const struct gather *gather, struct series_samples *series)
{
    const struct select_hints *hints = gather->hints;
    size_t kept = 0;
    for (size_t i = 0; i < gather->count; i++) {
        const struct found *found = gather->items[i];
        if (hints->series_limit > 0 && kept >= hints->series_limit)
            break;
        if (hints->no_samples && (found->count > 0 || found->rolled_count > 0))
            series[kept++] = (struct series_samples){.labels = found->labels};
        else if (!hints->no_samples && series[i].count > 0)
            series[kept++] = series[i];
    }
    return kept;
}

static int deliver_all(struct gather *gather, struct series_samples **ret_series,
                       size_t *ret_count)
{
    int error = 0;
    struct series_samples *series =
        arena_alloc(gather->arena, gather->count == 0 ? 1 : gather->count, sizeof *series);
    if (series == NULL)
        return ERR_LIMIT;
    if (!gather->hints->no_samples)
        error = is_worth_sharing(gather) ? deliver_shared(gather, series)
                                         : deliver_alone(gather, series);
    if (error != 0)
        return error;
    *ret_count = keep_found(gather, series);
    *ret_series = series;
    if (gather->budget != NULL)
        gather->budget->series_seen += *ret_count;
    return 0;
}

/* While both are there, what was gathered and what is made of it keep within one limit. */
static int deliver_within_limit(struct gather *gather, struct series_samples **ret_series,
                                size_t *ret_count)
{
    struct arena *arena = gather->arena;
    size_t gathered = gather->scratch.held_bytes;
    if (gathered > arena->limit_bytes - arena->held_bytes)
        return ERR_LIMIT;
    arena->limit_bytes -= gathered;
    int error = deliver_all(gather, ret_series, ret_count);
    arena->limit_bytes += gathered;
    return error;
}

static int querier_select(struct querier *querier, struct matcher *const *matchers,
                          size_t matcher_count, const struct select_hints *hints,
                          struct query_budget *budget, struct arena *arena,
                          struct series_samples **ret_series, size_t *ret_count,
                          struct diagnosis *why)
{
    struct gather gather;
    int error = gather_init(&gather, querier->store, hints, budget, arena);
    if (error == 0)
        error = gather_head(&gather, matchers, matcher_count);
    if (error == 0)
        error = gather_history(&gather, matchers, matcher_count);
    if (error == 0)
        error = gather_rollups(&gather, matchers, matcher_count);
    if (error == 0)
        error = gather_order(&gather);
    if (error == 0)
        error = deliver_within_limit(&gather, ret_series, ret_count);
    gather_done(&gather);
    return error == 0 ? 0 : select_watch_explain(&gather.watch, error, why);
}

const struct queryable_calls querier_calls = {
    .open = querier_open,
    .select = querier_select,
    .label_names = querier_label_names,
    .label_values = querier_label_values,
    .close = querier_close,
};

struct store *querier_store(struct querier *querier, int64_t *ret_from_ms,
                            int64_t *ret_until_ms)
{
    *ret_from_ms = querier->from_ms;
    *ret_until_ms = querier->until_ms;
    return querier->store;
}
