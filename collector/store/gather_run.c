/*
 * gather_run.c - a select out of a run that is kept (kept_run.h), and the making of one.
 *
 * A run stands for what the files have, nothing left out.  So it serves no select of which something
 * is deleted: what a delete covers depends on the file.  What the head has comes beside it.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/store/gather.h"
#include "collector/store/kept_run.h"
#include "collector/store/selection.h"
#include "proto/base/error.h"

#define COLUMNS_KNOWN 256U
#define LEASED_PART   4 /* of the memory that a query has left */

/* ---- out of one ------------------------------------------------------------------------- */

static bool may_use(const struct gather *gather, struct span *const *spans, size_t count)
{
    if (gather->hints->no_samples || gather->hints->in_passing || gather->deletes.count > 0 ||
        gather->deletes.ages != NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (span_is_quarantined(spans[i]))
            return false;
    return count > 0;
}

static void write_key(struct span *const *spans, size_t span_count,
                      struct matcher *const *matchers, size_t count, struct buf *key)
{
    buf_put_varint(key, span_count);
    for (size_t i = 0; i < span_count; i++)
        buf_put_u64(key, span_info_of(spans[i])->manifest.generation);
    selection_question(matchers, count, key);
}

static struct piece piece_of(const struct run_series *series, uint64_t generation)
{
    return (struct piece){.first_ms = series->times_ms[0],
                          .last_ms = series->times_ms[series->count - 1],
                          .rank = RANK_HISTORY(generation),
                          .count = series->count,
                          .times_ms = series->times_ms,
                          .values = series->values,
                          .plain = series->plain,
                          .interval_ms = series->interval_ms,
                          .chunks = series->chunks};
}

static bool is_inside(const struct gather *gather, const struct piece *piece)
{
    return piece->first_ms <= gather->hints->until_ms &&
           piece->last_ms >= gather->hints->from_ms;
}

/* The head has nothing: all at once, in the order they come in. */
static int take_alone(struct gather *gather, const struct kept_run *run, uint64_t generation)
{
    struct found *found = arena_alloc(&gather->scratch, run->count + 1, sizeof *found);
    struct piece *pieces = arena_alloc_raw(&gather->scratch, run->count + 1, sizeof *pieces);
    const size_t bytes = (run->count + 1) * sizeof(struct found *);
    if (found == NULL || pieces == NULL || !arena_share_hold(&gather->tables, bytes))
        return ERR_LIMIT;
    struct found **items = malloc(bytes);
    if (items == NULL)
        return ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct run_series *series = &run->series[i];
        pieces[count] = piece_of(series, generation);
        if (!is_inside(gather, &pieces[count]))
            continue;
        found[count] = (struct found){.labels = series->labels,
                                      .hash = series->labels->hash,
                                      .last_ms = INT64_MIN,
                                      .pieces = &pieces[count],
                                      .count = 1,
                                      .capacity = 1};
        items[count] = &found[count];
        count++;
    }
    free(gather->items);
    gather->items = items;
    gather->count = count;
    gather->capacity = run->count + 1;
    return 0;
}

static int take_beside(struct gather *gather, const struct kept_run *run, uint64_t generation)
{
    int error = 0;
    for (size_t i = 0; i < run->count && error == 0; i++) {
        struct found *found;
        const struct piece piece = piece_of(&run->series[i], generation);
        if (!is_inside(gather, &piece))
            continue;
        error = gather_obtain_owned(gather, run->series[i].labels, &found);
        if (error == 0)
            error = gather_add_piece(gather, found, &piece);
    }
    return error;
}

/* So that what is selected may point into it.  All of it counts, so not where that is much: the part
 * that is wanted may be small. */
static bool lease(struct gather *gather, struct kept_run *run)
{
    const size_t left_bytes = gather->arena->limit_bytes - gather->arena->held_bytes;
    if (run->bytes <= left_bytes / LEASED_PART &&
        arena_lease(gather->arena, run->bytes, kept_run_release, run))
        return true;
    kept_run_release(run);
    return false;
}

int gather_run_take(struct gather *gather, struct span *const *spans, size_t span_count,
                    struct matcher *const *matchers, size_t count, bool *ret_taken)
{
    struct kept_runs *runs = span_set_runs(gather->store->spans);
    *ret_taken = false;
    if (!may_use(gather, spans, span_count))
        return 0;
    buf_clear(&gather->run_key);
    write_key(spans, span_count, matchers, count, &gather->run_key);
    if (!buf_ok(&gather->run_key))
        return ERR_NOMEM;
    struct kept_run *run = kept_runs_find(runs, buf_bytes(&gather->run_key));
    gather->joins = run == NULL && kept_runs_wants(runs, buf_bytes(&gather->run_key));
    if (run == NULL || !lease(gather, run))
        return 0;
    *ret_taken = true;
    const uint64_t newest = span_info_of(spans[span_count - 1])->manifest.generation;
    return gather->count == 0 && gather->buckets == NULL ? take_alone(gather, run, newest)
                                                         : take_beside(gather, run, newest);
}

/* ---- not making one after all -------------------------------------------------------------- */

static bool is_of_history(const struct piece *piece)
{
    return piece->rank < RANK_SEALED(0);
}

/* What was gathered only to be joined. */
static void drop_outside(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        struct found *found = gather->items[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < found->count; k++)
            if (!is_of_history(&found->pieces[k]) || is_inside(gather, &found->pieces[k]))
                found->pieces[kept++] = found->pieces[k];
        found->count = kept;
    }
}

bool gather_run_has_room(struct gather *gather, size_t samples)
{
    const struct kept_runs *runs = span_set_runs(gather->store->spans);
    gather->joined_samples += samples;
    return gather->joined_samples <= kept_runs_most_bytes(runs) / sizeof(double) &&
           gather->scratch.held_bytes <= gather->scratch.limit_bytes / LEASED_PART;
}

void gather_run_give_up(struct gather *gather)
{
    kept_runs_refuse(span_set_runs(gather->store->spans), buf_bytes(&gather->run_key));
    gather->joins = false;
    drop_outside(gather);
}

/* ---- making one -------------------------------------------------------------------------- */

struct joined {
    struct found *found;
    const struct labels *labels; /* the run's own */
    size_t pieces;               /* of history: the first ones */
};

struct joining {
    struct gather *gather;
    struct kept_run *run;
    struct joined *items;
    size_t count, samples, longest;
    struct pieces_scratch scratch;
    int64_t *times_ms; /* of the one that is being decoded: room for the longest */
    double *values;    /* of all; those before `at` are filled */
    size_t at;
    const struct run_series *known[COLUMNS_KNOWN]; /* by a hash of its times */
    struct arena_share share; /* of the caller's total: all of this, and the run while it is made */
};

/* Pieces of history to the front; how many there are, and of how many samples. */
static size_t put_in_front(struct found *found, size_t *ret_samples)
{
    size_t front = 0;
    *ret_samples = 0;
    for (size_t i = 0; i < found->count; i++) {
        const struct piece piece = found->pieces[i];
        if (!is_of_history(&piece))
            continue;
        found->pieces[i] = found->pieces[front];
        found->pieces[front++] = piece;
        *ret_samples += piece.count;
    }
    return front;
}

/* ERR_CONFLICT: some lie beside each other. */
static int collect(struct joining *joining)
{
    struct gather *gather = joining->gather;
    if (!arena_share_hold(&joining->share, (gather->count + 1) * sizeof *joining->items))
        return ERR_LIMIT;
    joining->items = malloc((gather->count + 1) * sizeof *joining->items);
    if (joining->items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < gather->count; i++) {
        struct found *found = gather->items[i];
        size_t samples;
        const size_t pieces = put_in_front(found, &samples);
        if (pieces == 0)
            continue;
        if (!pieces_follow(found->pieces, pieces, NULL))
            return ERR_CONFLICT;
        joining->items[joining->count++] = (struct joined){.found = found, .pieces = pieces};
        joining->samples += samples;
        joining->longest = samples > joining->longest ? samples : joining->longest;
    }
    return 0;
}

static int by_labels(const void *a, const void *b)
{
    return labels_compare(((const struct joined *)a)->labels,
                          ((const struct joined *)b)->labels);
}

static int copy_labels(struct joining *joining)
{
    for (size_t i = 0; i < joining->count; i++) {
        struct joined *item = &joining->items[i];
        struct labels_room room;
        const struct labels *labels = item->found->labels != NULL
                                          ? item->found->labels
                                          : series_labels(item->found->series, &room);
        item->labels = labels_copy(labels, &joining->run->memory);
        if (item->labels == NULL)
            return ERR_LIMIT;
    }
    qsort(joining->items, joining->count, sizeof *joining->items, by_labels);
    return 0;
}

/* Those of a series that has the same ones, or a copy. */
static const int64_t *keep_times(struct joining *joining, const struct run_series *series)
{
    const size_t bytes = series->count * sizeof *series->times_ms;
    const uint64_t hash = XXH3_64bits(joining->times_ms, bytes);
    const struct run_series **place = &joining->known[hash % COLUMNS_KNOWN];
    if (*place != NULL && (*place)->count == series->count &&
        memcmp((*place)->times_ms, joining->times_ms, bytes) == 0)
        return (*place)->times_ms;
    int64_t *copy = arena_alloc_raw(&joining->run->memory, bytes, 1);
    if (copy != NULL)
        memcpy(copy, joining->times_ms, bytes);
    *place = series;
    return copy;
}

static int join_one(struct joining *joining, size_t i)
{
    const struct joined *item = &joining->items[i];
    struct run_series *series = &joining->run->series[i];
    *series = (struct run_series){.labels = item->labels,
                                  .values = joining->values + joining->at,
                                  .chunks = (uint32_t)item->pieces};
    int error = pieces_line_up(item->found->pieces, item->pieces, &joining->scratch,
                               joining->times_ms, joining->values + joining->at,
                               &series->count);
    if (error != 0)
        return error;
    if (series->count == 0)
        return ERR_CORRUPT;
    series->plain = joining->scratch.plain;
    series->interval_ms = joining->scratch.interval_ms;
    series->times_ms = keep_times(joining, series);
    joining->at += series->count;
    return series->times_ms == NULL ? ERR_LIMIT : 0;
}

static int join(struct joining *joining)
{
    /* What is too large fails here, before anything is done for it. */
    joining->values = arena_alloc_raw(&joining->run->memory, joining->samples + 1,
                                      sizeof *joining->values);
    const size_t bytes = (joining->longest + 1) * sizeof *joining->times_ms;
    if (joining->values == NULL || !arena_share_hold(&joining->share, bytes))
        return ERR_LIMIT;
    joining->times_ms = malloc(bytes);
    if (joining->times_ms == NULL)
        return ERR_NOMEM;
    int error = copy_labels(joining);
    if (error != 0)
        return error;
    pieces_scratch_init(&joining->scratch);
    for (size_t i = 0; i < joining->count && error == 0; i++) {
        error = select_watch_look(&joining->gather->watch);
        if (error == 0)
            error = join_one(joining, i);
    }
    pieces_scratch_done(&joining->scratch);
    joining->run->count = joining->count;
    return error;
}

/* What was joined stands in the place of its pieces. */
static void replace_pieces(struct joining *joining, uint64_t generation)
{
    for (size_t i = 0; i < joining->count; i++) {
        struct found *found = joining->items[i].found;
        const size_t pieces = joining->items[i].pieces;
        found->pieces[0] = piece_of(&joining->run->series[i], generation);
        memmove(found->pieces + 1, found->pieces + pieces,
                (found->count - pieces) * sizeof *found->pieces);
        found->count -= (uint32_t)(pieces - 1);
    }
}

static int make(struct joining *joining, struct kept_runs *runs, struct bytes key)
{
    int error = collect(joining);
    if (error != 0)
        return error;
    joining->run = kept_run_new(runs, key, joining->count);
    if (joining->run == NULL ||
        !arena_total_hold(joining->share.total, joining->run->memory.held_bytes))
        return ERR_LIMIT;
    joining->run->memory.total = joining->share.total;
    return join(joining);
}

/* From here on it counts as what is kept, and as whoever leases it. */
static void leave_total(struct kept_run *run)
{
    arena_total_release(run->memory.total, run->memory.held_bytes);
    run->memory.total = NULL;
}

/* Are the pieces to be decoded one by one after all?  What is only to be kept for the next question is
 * not worth failing this one, for want of memory either. */
static bool is_no_harm(int error)
{
    return error == ERR_CONFLICT || error == ERR_LIMIT || error == ERR_CORRUPT || error == ERR_NOMEM;
}

int gather_run_make(struct gather *gather, uint64_t generation)
{
    struct kept_runs *runs = span_set_runs(gather->store->spans);
    const struct bytes key = buf_bytes(&gather->run_key);
    struct joining joining = {.gather = gather, .share = {.total = gather->arena->total}};
    int error = gather->is_damaged ? ERR_CORRUPT : make(&joining, runs, key);
    if (error == 0) {
        leave_total(joining.run);
        kept_runs_put(runs, joining.run);
        if (lease(gather, joining.run))
            replace_pieces(&joining, generation);
        else
            drop_outside(gather);
    } else {
        kept_run_release(joining.run);
    }
    if (is_no_harm(error)) {
        gather_run_give_up(gather);
        error = 0;
    }
    free(joining.items);
    free(joining.times_ms);
    arena_share_release(&joining.share);
    return error;
}
