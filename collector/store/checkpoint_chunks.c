/*
 * checkpoint_chunks.c - sealed chunks into rows of the checkpoint table, by span.
 *
 *     chunks of some series, of any spans          (keeper, under their shards' locks for reading)
 *        -> rows, a span's each                    (keeper, in memory)
 *           -> small commits                       (writer: a copy each)
 *              -> saved                            (keeper)
 *
 * An import of a year leaves a series thousands of chunks of as many spans, and putting those into as
 * many rows takes a tenth of a second, in which no commit may wait.  Rows that are there before the
 * tails of their series are what a pass leaves that a crash cuts short: the log says the same samples
 * again.  Chunks that are sealed meanwhile go with the slice.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/store/checkpoint_parts.h"
#include "collector/store/writer.h"
#include "proto/base/must.h"

#define ROW_BYTES     ((size_t)32 << 10)
#define GATHER_BYTES  ((size_t)4 << 20)         /* of chunks at a time */
#define PORTION_BYTES ((size_t)128 << 10)       /* of rows, in a commit */
#define PORTION_NS    ((mono_ns)2 * NS_PER_MS)  /* likewise */

/* -- rows -------------------------------------------------------------------------------- */

void chunk_rows_clear(struct chunk_rows *rows)
{
    for (size_t i = 0; i < rows->used_count; i++) {
        buf_clear(&rows->open[rows->used[i]].payload);
        rows->is_used[rows->used[i]] = false;
    }
    for (size_t i = 0; i < rows->ready_count; i++)
        buf_done(&rows->ready[i].payload);
    rows->used_count = rows->ready_count = 0;
    rows->bytes = 0;
    rows->failed = false;
}

void chunk_rows_done(struct chunk_rows *rows)
{
    chunk_rows_clear(rows);
    for (size_t i = 0; i < CHUNK_SPANS; i++)
        buf_done(&rows->open[i].payload);
    free(rows->ready);
    rows->ready = NULL;
    rows->ready_capacity = 0;
}

/* The row is full, or its place is needed. */
static void make_ready(struct chunk_rows *rows, struct chunk_row *row)
{
    if (rows->ready_count == rows->ready_capacity) {
        size_t capacity = rows->ready_capacity == 0 ? 256 : rows->ready_capacity * 2;
        struct chunk_row *grown = realloc(rows->ready, capacity * sizeof *grown);
        if (grown == NULL) {
            rows->failed = true;
            buf_clear(&row->payload);
            return;
        }
        rows->ready = grown;
        rows->ready_capacity = capacity;
    }
    rows->failed = rows->failed || !buf_ok(&row->payload);
    rows->ready[rows->ready_count++] = *row;
    *row = (struct chunk_row){0};
}

static struct chunk_row *row_of(struct chunk_rows *rows, int64_t start_ms)
{
    size_t place = (uint64_t)(start_ms / rows->span_ms) % CHUNK_SPANS;
    struct chunk_row *row = &rows->open[place];
    if (row->payload.size > 0 && row->start_ms != start_ms)
        make_ready(rows, row);
    if (!rows->is_used[place]) {
        rows->is_used[place] = true;
        rows->used[rows->used_count++] = (uint16_t)place;
    }
    row->start_ms = start_ms;
    return row;
}

static void add(struct chunk_rows *rows, uint32_t id, const struct sealed *sealed)
{
    struct chunk_row *row = row_of(rows, span_start_of(rows->span_ms, sealed->first_ms));
    buf_put_varint(&row->payload, id);
    buf_put_u8(&row->payload, sealed->late);
    buf_put_varint(&row->payload, sealed->sequence);
    buf_put_sized(&row->payload, (struct bytes){sealed->data, sealed->bytes});
    rows->bytes += sealed->bytes;
    if (sealed->sequence > row->sequence)
        row->sequence = sealed->sequence;
    if (row->payload.size >= ROW_BYTES)
        make_ready(rows, row);
}

void chunk_rows_end(struct chunk_rows *rows)
{
    for (size_t i = 0; i < rows->used_count; i++) {
        struct chunk_row *row = &rows->open[rows->used[i]];
        if (row->payload.size > 0)
            make_ready(rows, row);
    }
}

int chunk_rows_put(const struct chunk_rows *rows, const struct live *live, MDB_txn *txn,
                   size_t bytes_max, size_t *next)
{
    const mono_ns begun = clock_mono(&clock_system);
    size_t bytes = 0;
    int code = rows->failed ? ENOMEM : MDB_SUCCESS;
    while (code == MDB_SUCCESS && *next < rows->ready_count && bytes < bytes_max &&
           (bytes == 0 || bytes_max == SIZE_MAX || clock_mono(&clock_system) - begun < PORTION_NS)) {
        const struct chunk_row *row = &rows->ready[(*next)++];
        uint8_t key[16];
        key_put_i64(key, row->start_ms);
        key_put_u64(key + 8, row->sequence);
        bytes += row->payload.size;
        code = sealed_put(txn, live->tables[LIVE_CHECKPOINT], (struct bytes){key, sizeof key},
                          buf_bytes(&row->payload), 0);
    }
    return code;
}

void chunk_rows_add_unsaved(struct chunk_rows *rows, const struct series *series)
{
    for (const struct sealed *at = series->chunks; at != NULL && !at->saved; at = at->next)
        add(rows, series->id, at);
}

void chunks_mark_saved(struct series *series, uint64_t through)
{
    for (struct sealed *at = series->chunks; at != NULL && !at->saved; at = at->next)
        if (at->sequence <= through)
            at->saved = true;
}

/* -- ahead of a slice -------------------------------------------------------------------- */

/* New chunks are linked in front, by the writer; only this thread takes any away. */
static void gather(struct slice *slice, size_t i)
{
    struct head *head = slice->store->head;
    struct series *series = slice->series[i];
    uint32_t shard = head_shard_of(series->id);
    must(pthread_rwlock_rdlock(&head->shards[shard]) == 0);
    const bool is_any = series->chunks != NULL && !series->chunks->saved;
    slice->gathered[i] = is_any ? series->chunks->sequence : 0;
    chunk_rows_add_unsaved(&slice->rows, series);
    must(pthread_rwlock_unlock(&head->shards[shard]) == 0);
}

struct portion {
    struct slice *slice;
    size_t next;
};

static int run_portion(void *context, MDB_txn *txn, uint64_t commit)
{
    struct portion *portion = context;
    (void)commit;
    return chunk_rows_put(&portion->slice->rows, &portion->slice->store->live, txn, PORTION_BYTES,
                          &portion->next);
}

static void mark_saved(struct slice *slice, size_t i)
{
    struct head *head = slice->store->head;
    struct series *series = slice->series[i];
    uint32_t shard = head_shard_of(series->id);
    if (slice->gathered[i] == 0)
        return;
    head_lock_shard(head, shard);
    chunks_mark_saved(series, slice->gathered[i]);
    head_unlock_shard(head, shard);
}

int checkpoint_chunks(struct slice *slice)
{
    int error = 0;
    for (size_t first = 0, end = 0; end < slice->count && error == 0; first = end) {
        struct portion portion = {slice, 0};
        chunk_rows_clear(&slice->rows);
        while (end < slice->count && slice->rows.bytes < GATHER_BYTES)
            gather(slice, end++);
        if (slice->rows.bytes == 0)
            continue;
        chunk_rows_end(&slice->rows);
        while (error == 0 && portion.next < slice->rows.ready_count) {
            struct writer_task task = {run_portion, NULL, &portion, NULL, 0, false};
            error = writer_run(slice->store->writer, &task);
            store_step(slice->store, "checkpoint.chunks");
        }
        for (size_t i = first; i < end && error == 0; i++)
            mark_saved(slice, i);
    }
    chunk_rows_clear(&slice->rows);
    return error;
}
