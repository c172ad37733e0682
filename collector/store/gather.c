/*
 * gather.c - collecting series and their pieces; the head's part.
 */
#include "collector/store/gather.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define SHARD_RUN 64 /* ids of a shard that follow each other (head.h) */
#define REACH_MS_MAX INT64_C(7200000) /* two buckets of the widest tier */

int gather_init(struct gather *gather, struct store *store, const struct select_hints *hints,
                struct query_budget *budget, struct arena *arena)
{
    *gather = (struct gather){.store = store, .hints = hints, .budget = budget, .arena = arena};
    arena_init(&gather->scratch, arena->limit_bytes - arena->held_bytes);
    gather->scratch.total = arena->total;
    gather->tables.total = arena->total;
    select_watch_init(&gather->watch, budget, arena->total);
    int64_t from_ms = hints->from_ms; /* roll-ups may be read from further back */
    if (hints->reach_ms > 0 && from_ms > INT64_MIN + REACH_MS_MAX)
        from_ms -= REACH_MS_MAX;
    return deletes_view(&store->deletes, from_ms, hints->until_ms, &gather->deletes);
}

static void release(struct series **series, size_t count)
{
    for (size_t i = 0; i < count; i++)
        head_release(series[i]);
    free(series);
}

void gather_done(struct gather *gather)
{
    release(gather->held, gather->held_count);
    buf_done(&gather->question);
    buf_done(&gather->run_key);
    free(gather->items);
    free(gather->buckets);
    free(gather->absent);
    deletes_view_done(&gather->deletes);
    select_watch_done(&gather->watch);
    arena_share_release(&gather->tables);
    if (gather->scratch.total_refused || gather->tables.total_refused)
        gather->arena->total_refused = true;
    arena_reset(&gather->scratch);
}

/* -- entries ----------------------------------------------------------------------------- */

static int index_items(struct gather *gather)
{
    size_t count = 1024;
    while (count < gather->count * 2)
        count *= 2;
    if (!arena_share_hold(&gather->tables,
                          (count - gather->bucket_count) * sizeof(struct found *)))
        return ERR_LIMIT;
    struct found **buckets = calloc(count, sizeof(struct found *));
    if (buckets == NULL)
        return ERR_NOMEM;
    free(gather->buckets);
    gather->buckets = buckets;
    gather->bucket_count = count;
    for (size_t i = 0; i < gather->count; i++) {
        struct found **bucket = &buckets[gather->items[i]->hash & (count - 1)];
        gather->items[i]->next = *bucket;
        *bucket = gather->items[i];
    }
    return 0;
}

/* An entry whose labels are not its own yet. */
static int add_item(struct gather *gather, const struct labels *labels,
                    struct found **ret_found)
{
    if (gather->count == gather->capacity) {
        size_t capacity = gather->capacity == 0 ? 64 : gather->capacity * 2;
        if (!arena_share_hold(&gather->tables,
                              (capacity - gather->capacity) * sizeof(struct found *)))
            return ERR_LIMIT;
        struct found **items = realloc(gather->items, capacity * sizeof(struct found *));
        if (items == NULL)
            return ERR_NOMEM;
        gather->items = items;
        gather->capacity = capacity;
    }
    struct found *found = arena_alloc(&gather->scratch, 1, sizeof *found);
    if (found == NULL)
        return ERR_LIMIT;
    int error = deletes_holes(&gather->deletes, labels, &gather->scratch, &found->holes);
    if (error != 0)
        return error;
    found->labels = labels;
    found->hash = labels->hash;
    found->last_ms = INT64_MIN;
    gather->items[gather->count++] = found;
    *ret_found = found;
    return 0;
}

static bool is_of(const struct found *found, const struct labels *labels)
{
    if (found->hash != labels->hash)
        return false;
    return found->series != NULL ? series_bears(found->series, labels)
                                 : labels_equal(found->labels, labels);
}

int gather_obtain_owned(struct gather *gather, const struct labels *labels,
                        struct found **ret_found)
{
    if (gather->buckets == NULL || gather->count > gather->bucket_count) {
        int error = index_items(gather);
        if (error != 0)
            return error;
    }
    struct found **bucket = &gather->buckets[labels->hash & (gather->bucket_count - 1)];
    for (struct found *at = *bucket; at != NULL; at = at->next)
        if (is_of(at, labels)) {
            *ret_found = at;
            return 0;
        }
    int error = add_item(gather, labels, ret_found);
    if (error != 0)
        return error;
    (*ret_found)->next = *bucket;
    *bucket = *ret_found;
    return 0;
}

/* Files name the same series in the same order, as a rule, and a label set is sooner compared
 * than read. */
int gather_obtain_stored(struct gather *gather, struct bytes stored, struct found **ret_found)
{
    struct found **expected = gather->last != NULL ? &gather->last->after : &gather->first;
    if (*expected == NULL || !bytes_equal((*expected)->stored, stored)) {
        const struct labels *labels;
        struct found *found;
        struct reader reader = reader_of(stored);
        int error = labels_read(&reader, gather->arena, &labels);
        if (error != 0)
            return error == ERR_NOMEM ? ERR_LIMIT : ERR_CORRUPT;
        error = gather_obtain_owned(gather, labels, &found);
        if (error != 0)
            return error;
        if (found->stored.size == 0) {
            uint8_t *copy = arena_alloc_raw(&gather->scratch, stored.size, 1);
            if (copy == NULL)
                return ERR_LIMIT;
            memcpy(copy, stored.data, stored.size);
            found->stored = (struct bytes){copy, stored.size};
        }
        *expected = found;
    }
    *ret_found = gather->last = *expected;
    return 0;
}

/* Pieces of which samples are wanted are cut when they are decoded. */
bool gather_is_deleted(const struct gather *gather, const struct found *found, uint64_t rank,
                       int64_t first_ms, int64_t last_ms)
{
    if (!gather->hints->no_samples)
        return false;
    if (first_ms < gather->hints->from_ms)
        first_ms = gather->hints->from_ms;
    if (last_ms > gather->hints->until_ms)
        last_ms = gather->hints->until_ms;
    return holes_cover(&found->holes, rank, first_ms, last_ms);
}

int gather_add_piece(struct gather *gather, struct found *found, const struct piece *piece)
{
    if (found->count == found->capacity) {
        uint32_t capacity = found->capacity == 0 ? 4 : found->capacity * 2;
        struct piece *pieces = arena_alloc_raw(&gather->scratch, capacity, sizeof *pieces);
        if (pieces == NULL)
            return ERR_LIMIT;
        if (found->count > 0)
            memcpy(pieces, found->pieces, found->count * sizeof *pieces);
        found->pieces = pieces;
        found->capacity = capacity;
    }
    found->pieces[found->count++] = *piece;
    return 0;
}

/* -- the head ---------------------------------------------------------------------------- */

static bool overlaps(const struct gather *gather, int64_t first_ms, int64_t last_ms)
{
    return first_ms <= gather->hints->until_ms && last_ms >= gather->hints->from_ms;
}

static int copy_tail(struct gather *gather, struct found *found, const struct tail *tail,
                     uint64_t rank)
{
    if (tail == NULL || tail_is_empty(tail) ||
        !overlaps(gather, tail->first_ms, tail_last_ms(tail)) ||
        gather_is_deleted(gather, found, rank, tail->first_ms, tail_last_ms(tail)))
        return 0;
    struct piece piece = {.first_ms = tail->first_ms,
                          .last_ms = tail_last_ms(tail),
                          .rank = rank,
                          .count = tail->count};
    if (!gather->hints->no_samples) {
        int64_t *times = arena_alloc_raw(&gather->scratch, tail->count, sizeof *times);
        double *values = arena_alloc_raw(&gather->scratch, tail->count, sizeof *values);
        if (times == NULL || values == NULL)
            return ERR_LIMIT;
        tail_copy(tail, times, values);
        piece.times_ms = times;
        piece.values = values;
    }
    return gather_add_piece(gather, found, &piece);
}

static int copy_sealed(struct gather *gather, struct found *found, const struct sealed *sealed)
{
    int64_t last_ms = sealed->first_ms + sealed->length_ms;
    uint64_t rank =
        sealed->late ? RANK_LATE(sealed->sequence) : RANK_SEALED(sealed->sequence);
    if (!overlaps(gather, sealed->first_ms, last_ms) ||
        gather_is_deleted(gather, found, rank, sealed->first_ms, last_ms))
        return 0;
    struct piece piece = {
        .first_ms = sealed->first_ms,
        .last_ms = last_ms,
        .rank = rank,
        .count = sealed->count,
    };
    if (!gather->hints->no_samples) {
        uint8_t *copy = arena_alloc_raw(&gather->scratch, sealed->bytes, 1);
        if (copy == NULL)
            return ERR_LIMIT;
        memcpy(copy, sealed->data, sealed->bytes);
        piece.chunk = (struct bytes){copy, sealed->bytes};
    }
    return gather_add_piece(gather, found, &piece);
}

/* Under the shard lock: only copying. */
static int copy_series(struct gather *gather, struct found *found, const struct series *series)
{
    int error = 0;
    found->last_ms = series->last_ms;
    for (size_t i = 0; i < found->holes.count; i++) {
        struct hole *hole = &found->holes.items[i];
        hole->tails = series->fence < hole->fence;
        if (hole->tails)
            found->last_ms =
                deletion_last_ms(hole->from_ms, hole->until_ms, found->last_ms);
    }
    for (const struct sealed *at = series->chunks; at != NULL && error == 0; at = at->next)
        error = copy_sealed(gather, found, at);
    if (error == 0)
        error = copy_tail(gather, found, &series->tail, RANK_TAIL);
    if (error == 0)
        error = copy_tail(gather, found, series->late, RANK_LATE_TAIL);
    return error;
}

/* What was found of a series: kept, or not if there is nothing to say about it. */
static int keep_found(struct gather *gather, struct found *found)
{
    found->absent_since_ms = absent_since(gather->absent, gather->absent_count, found->source);
    if (found->count == 0 && found->absent_since_ms == 0)
        return 0;
    gather->items[gather->count++] = found;
    if (gather->hints->no_labels)
        return 0; /* the series is held until all is found */
    found->labels = series_labels_copy(found->series, gather->arena);
    found->series = NULL;
    return found->labels == NULL ? ERR_LIMIT : 0;
}

/* Neighbours in one shard, at most SHARD_RUN.  Under its lock they are copied all together, as a
 * write puts them there: of what came with one write none is seen without the others. */
static int take_neighbours(struct gather *gather, struct series *const *series, size_t count)
{
    pthread_rwlock_t *lock = &gather->store->head->shards[head_shard_of(series[0]->id)];
    struct found *found[SHARD_RUN];
    const size_t first = gather->count;
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        struct labels_room room;
        error = add_item(gather, series_labels(series[i], &room), &found[i]);
        if (error != 0)
            break;
        found[i]->labels = NULL;
        found[i]->series = series[i];
        found[i]->source = atomic_load_explicit(&series[i]->source, memory_order_relaxed);
    }
    if (error == 0) {
        must(pthread_rwlock_rdlock(lock) == 0);
        for (size_t i = 0; i < count && error == 0; i++)
            error = copy_series(gather, found[i], series[i]);
        must(pthread_rwlock_unlock(lock) == 0);
    }
    gather->count = first;
    for (size_t i = 0; i < count && error == 0; i++)
        error = keep_found(gather, found[i]);
    return error;
}

static size_t neighbours(struct series *const *series, size_t count)
{
    const uint32_t shard = head_shard_of(series[0]->id);
    size_t run = 1;
    while (run < count && run < SHARD_RUN && head_shard_of(series[run]->id) == shard)
        run++;
    return run;
}

int gather_head(struct gather *gather, struct matcher *const *matchers, size_t count)
{
    struct head *head = gather->store->head;
    struct series **series = NULL;
    size_t series_count = 0;
    int error = absent_copy(&gather->store->absent, &gather->absent, &gather->absent_count);
    /* What has no sample there may have a marker there: of a source that is silent. */
    if (error == 0 && gather->absent_count == 0 &&
        !head_touches(head, gather->hints->from_ms, gather->hints->until_ms))
        return 0;
    if (error == 0)
        error = head_select(head, matchers, count, &gather->watch, &series, &series_count);
    if (error != 0)
        return error;
    if (series_count > 0 &&
        !arena_share_hold(&gather->tables, series_count * sizeof(struct series *)))
        error = ERR_LIMIT;
    for (size_t i = 0, run; i < series_count && error == 0; i += run) {
        run = neighbours(series + i, series_count - i);
        error = select_watch_look(&gather->watch);
        if (error == 0)
            error = take_neighbours(gather, series + i, run);
    }
    if (gather->hints->no_labels) {
        gather->held = series;
        gather->held_count = series_count;
    } else {
        release(series, series_count);
    }
    return error;
}

/* -- the end ------------------------------------------------------------------------------ */

static int by_labels(const void *a, const void *b)
{
    const struct found *const *x = a;
    const struct found *const *y = b;
    return labels_compare((*x)->labels, (*y)->labels);
}

/* A file has them in order, and one file is often all. */
static bool is_ordered(const struct gather *gather)
{
    for (size_t i = 1; i < gather->count; i++)
        if (labels_compare(gather->items[i - 1]->labels, gather->items[i]->labels) > 0)
            return false;
    return true;
}

int gather_order(struct gather *gather)
{
    if (!gather->hints->no_labels) {
        if (!is_ordered(gather))
            qsort(gather->items, gather->count, sizeof(struct found *), by_labels);
        return 0;
    }
    const struct labels *none;
    int error = labels_build(NULL, 0, gather->arena, &none);
    for (size_t i = 0; i < gather->count && error == 0; i++)
        gather->items[i]->labels = none;
    return error;
}
