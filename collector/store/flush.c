/*
 * flush.c - writing spans from the head.
 */
#include "collector/store/flush.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/checkpoint.h"
#include "collector/store/merge.h"
#include "collector/store/pieces.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define COLLECT_SERIES 1024
#define PIECES_ARENA   ((size_t)256 << 20)

/* One span, or the spans of a past day, on their way into one file. */
struct flush {
    struct store *store;
    int64_t start_ms, end_ms;
    uint64_t through;
    struct series **series; /* those with chunks in the span; referenced */
    size_t count, capacity;
    struct deletes_view deletes;
    bool is_empty; /* all of it has been deleted: there is no file */
    struct span_info info;
};

/* -- which spans, which series ----------------------------------------------------------- */

/* Saved chunks ascend by time (head_sort_saved()). */
static bool is_past(const struct sealed *sealed, int64_t end_ms)
{
    return sealed->saved && sealed->first_ms >= end_ms;
}

static bool belongs(const struct sealed *sealed, int64_t start_ms, int64_t end_ms,
                    uint64_t through)
{
    return sealed->sequence <= through && sealed->first_ms >= start_ms &&
           sealed->first_ms < end_ms;
}

struct earliest {
    int64_t span_ms, retention_ms, now_ms, until_ms;
    int64_t start_ms, end_ms; /* of what goes into one file */
    uint64_t through;
};

static int look_for_earliest(void *context, struct series *series)
{
    struct earliest *earliest = context;
    bool was_saved = false; /* the first of those is the earliest of them */
    for (const struct sealed *at = series->chunks; at != NULL && !was_saved; at = at->next) {
        int64_t start_ms;
        int64_t end_ms;
        was_saved = at->saved;
        if (at->sequence > earliest->through || at->first_ms >= earliest->start_ms)
            continue;
        merge_bucket(earliest->span_ms, earliest->retention_ms,
                     span_start_of(earliest->span_ms, at->first_ms), earliest->now_ms, &start_ms,
                     &end_ms);
        if (end_ms <= earliest->until_ms) {
            earliest->start_ms = start_ms;
            earliest->end_ms = end_ms;
        }
    }
    return 0;
}

static int take_if_in_span(void *context, struct series *series)
{
    struct flush *flush = context;
    const struct sealed *at = series->chunks;
    while (at != NULL && !is_past(at, flush->end_ms) &&
           !belongs(at, flush->start_ms, flush->end_ms, flush->through))
        at = at->next;
    if (at == NULL || is_past(at, flush->end_ms))
        return 0;
    if (flush->count == flush->capacity) {
        size_t capacity = flush->capacity == 0 ? 1024 : flush->capacity * 2;
        struct series **grown = realloc(flush->series, capacity * sizeof(struct series *));
        if (grown == NULL)
            return ERR_NOMEM;
        flush->series = grown;
        flush->capacity = capacity;
    }
    atomic_fetch_add_explicit(&series->references, 1, memory_order_relaxed);
    flush->series[flush->count++] = series;
    return 0;
}

static int by_labels(const void *a, const void *b)
{
    const struct series *const *x = a;
    const struct series *const *y = b;
    return series_compare(*x, *y);
}

/* -- writing ----------------------------------------------------------------------------- */

/* The chunks of a series in the span.  They stay in place until the flush removes them, but
 * new ones are linked in front meanwhile: the list is walked under the lock. */
static int copy_pieces(struct flush *flush, const struct series *series, struct arena *arena,
                       struct piece **ret_pieces, size_t *ret_count)
{
    struct head *head = flush->store->head;
    uint32_t shard = head_shard_of(series->id);
    size_t count = 0;
    size_t found = 0;
    must(pthread_rwlock_rdlock(&head->shards[shard]) == 0);
    for (const struct sealed *at = series->chunks; at != NULL && !is_past(at, flush->end_ms);
         at = at->next)
        count += belongs(at, flush->start_ms, flush->end_ms, flush->through);
    struct piece *pieces = arena_alloc(arena, count, sizeof *pieces);
    for (const struct sealed *at = series->chunks;
         at != NULL && !is_past(at, flush->end_ms) && pieces != NULL; at = at->next) {
        if (!belongs(at, flush->start_ms, flush->end_ms, flush->through))
            continue;
        pieces[found++] = (struct piece){
            .first_ms = at->first_ms,
            .last_ms = at->first_ms + at->length_ms,
            .rank = at->late ? RANK_LATE(at->sequence) : RANK_SEALED(at->sequence),
            .count = at->count,
            .chunk = {at->data, at->bytes}, /* only this thread takes chunks away */
        };
    }
    must(pthread_rwlock_unlock(&head->shards[shard]) == 0);
    if (pieces == NULL && count > 0)
        return ERR_NOMEM;
    *ret_pieces = pieces;
    *ret_count = found;
    return 0;
}

static int write_series(struct flush *flush, struct span_writer *writer)
{
    struct pieces_scratch scratch;
    struct labels_room room;
    struct arena arena;
    int error = 0;
    pieces_scratch_init(&scratch);
    arena_init(&arena, PIECES_ARENA);
    for (size_t i = 0; i < flush->count && error == 0; i++) {
        struct piece *pieces;
        struct holes holes = {0};
        size_t piece_count = 0;
        const int64_t *times;
        const double *values;
        size_t count = 0;
        if (i % COLLECT_SERIES == 0)
            arena_reset(&arena);
        const struct labels *labels = series_labels(flush->series[i], &room);
        error = copy_pieces(flush, flush->series[i], &arena, &pieces, &piece_count);
        if (error == 0)
            error = deletes_holes(&flush->deletes, labels, &arena, &holes);
        if (error == 0)
            error = pieces_merge(pieces, piece_count, &holes, INT64_MIN, INT64_MAX - 1,
                                 &scratch, &times, &values, &count);
        if (error == 0 && count > 0)
            error = span_writer_add_series(writer, labels, times, values, count);
    }
    pieces_scratch_done(&scratch);
    arena_reset(&arena);
    return error;
}

static int register_span(void *context, MDB_txn *txn, uint64_t commit)
{
    struct flush *flush = context;
    (void)commit;
    int code = MDB_SUCCESS;
    if (!flush->is_empty)
        code = span_row_put(&flush->store->live, txn, &flush->info);
    for (int64_t start_ms = flush->start_ms; start_ms < flush->end_ms && code == MDB_SUCCESS;
         start_ms += flush->store->head->span_ms)
        code = checkpoint_put_through(&flush->store->live, txn, start_ms, flush->through);
    return code;
}

/* The file, if anything is left to be in it. */
static int write_file(struct flush *flush)
{
    struct store *store = flush->store;
    struct diagnosis why = {""};
    struct span_writer *writer;
    uint64_t generation = span_set_next_generation(store->spans);
    int error = deletes_view_landed(&store->deletes, flush->start_ms, flush->end_ms - 1,
                                    &flush->deletes);
    if (error == 0)
        error = span_writer_open(span_set_directory(store->spans), SPAN_SAMPLES,
                                 flush->start_ms, flush->end_ms, generation, &writer, &why);
    if (error != 0)
        return error;
    error = write_series(flush, writer);
    store_step(store, "flush.written");
    flush->is_empty = error == 0 && span_writer_count(writer) == 0;
    if (error != 0 || flush->is_empty) {
        span_writer_abandon(writer);
        return error;
    }
    error = span_writer_finish(writer, &flush->info, &why);
    store_step(store, "flush.finished");
    return error;
}

static int write_span(struct flush *flush)
{
    struct store *store = flush->store;
    int error = write_file(flush);
    deletes_view_done(&flush->deletes);
    if (error != 0)
        return error;
    struct writer_task task = {register_span, NULL, flush, NULL, 0, false};
    error = writer_run(store->writer, &task);
    if (error != 0 && !flush->is_empty)
        span_set_discard(store->spans, &flush->info);
    store_step(store, "flush.registered");
    return error;
}

static void remove_from_head(struct flush *flush)
{
    struct head *head = flush->store->head;
    for (size_t i = 0; i < flush->count; i++) {
        uint32_t shard = head_shard_of(flush->series[i]->id);
        head_lock_shard(head, shard);
        head_remove_chunks(head, flush->series[i], flush->start_ms, flush->end_ms,
                           flush->through);
        head_unlock_shard(head, shard);
    }
}

static int flush_spans(struct store *store, int64_t start_ms, int64_t end_ms, uint64_t through)
{
    struct flush flush = {
        .store = store, .start_ms = start_ms, .end_ms = end_ms, .through = through};
    int error = head_each_series(store->head, take_if_in_span, &flush);
    if (flush.count > 1)
        qsort(flush.series, flush.count, sizeof(struct series *), by_labels);
    if (error == 0)
        error = write_span(&flush);
    if (error == 0 && !flush.is_empty)
        error = span_set_change(store->spans, &flush.info, NULL, 0);
    if (error == 0) {
        remove_from_head(&flush);
        store_step(store, "flush.removed");
        error = checkpoint_forget_spans(store, start_ms, end_ms, through);
        atomic_fetch_add_explicit(&store->flushes, 1, memory_order_relaxed);
    }
    for (size_t i = 0; i < flush.count; i++)
        head_release(flush.series[i]);
    free(flush.series);
    return error;
}

/* Chunks become saved by checkpoints only, which are the keeper's like this: until the flush is
 * over, what is sorted stays so. */
static void sort_all(struct store *store)
{
    struct head *head = store->head;
    struct series *series[COLLECT_SERIES];
    uint64_t next = 1;
    while (next != 0) {
        size_t count = head_collect(head, &next, COLLECT_SERIES, series);
        for (size_t i = 0; i < count; i++) {
            uint32_t shard = head_shard_of(series[i]->id);
            head_lock_shard(head, shard);
            head_sort_saved(series[i]);
            head_unlock_shard(head, shard);
            head_release(series[i]);
        }
    }
}

int flush_samples(struct store *store, int64_t until_ms)
{
    uint64_t through = 0;
    int error = checkpoint_pass(store, until_ms, &through);
    if (error == 0)
        sort_all(store);
    while (error == 0) {
        struct earliest earliest = {.span_ms = store->head->span_ms,
                                    .retention_ms = merge_retention_ms(store, SPAN_SAMPLES),
                                    .now_ms = clock_unix_ms(store->clock),
                                    .until_ms = until_ms,
                                    .start_ms = INT64_MAX,
                                    .through = through};
        error = head_each_series(store->head, look_for_earliest, &earliest);
        if (error != 0 || earliest.start_ms == INT64_MAX)
            break;
        error = flush_spans(store, earliest.start_ms, earliest.end_ms, through);
    }
    return error == 0 ? head_find_oldest(store->head) : error;
}
