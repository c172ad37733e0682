/*
 * checkpoint.c - passes over the head, slice by slice.
 *
 * A slice is a piece of a commit, and whoever waits for that commit waits for the slice: so it ends
 * after some milliseconds, and chunks are saved before, where no commit waits (checkpoint_chunks.c).
 */
#include "collector/store/checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "collector/log/block.h"
#include "collector/store/checkpoint_parts.h"
#include "collector/store/codec/codec.h"
#include "collector/store/wal.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"

#define SLICE_BYTES     ((size_t)4 << 20) /* of new chunks, after which it ends early */
#define SLICE_NS        ((mono_ns)4 * NS_PER_MS) /* likewise */
#define SLICE_LOOKS     32 /* series between two looks at the clock */
#define WAL_SLICE_PARTS 1024
#define ROW_SLICE       2048
#define THROUGH_KEY     9

/* -- a slice, on the writer thread ------------------------------------------------------- */

static void save_tail(struct slice *slice, const struct tail *tail)
{
    int64_t times_ms[TAIL_SAMPLES_MAX];
    double values[TAIL_SAMPLES_MAX];
    tail_copy(tail, times_ms, values);
    buf_clear(&slice->chunk);
    if (chunk_encode(times_ms, values, tail->count, CHUNK_QUICK, &slice->chunk) != 0 ||
        !buf_ok(&slice->chunk)) {
        slice->code = ENOMEM;
        return;
    }
    buf_put_sized(&slice->tails, buf_bytes(&slice->chunk));
}

/* Under the shard lock. */
static void save_series(struct slice *slice, size_t i)
{
    struct series *series = slice->series[i];
    bool unsaved = series->chunks != NULL && !series->chunks->saved;
    bool tail = !tail_is_empty(&series->tail);
    bool late = series->late != NULL && !tail_is_empty(series->late);
    slice->has_tail[i] = tail || late;
    if (!unsaved && slice->gathered[i] == 0 && !tail && !late && !series->in_tail_pass)
        return;
    chunk_rows_add_unsaved(&slice->rows, series);
    buf_put_varint(&slice->tails, series->id);
    buf_put_u8(&slice->tails, (uint8_t)(tail | late << 1));
    if (tail)
        save_tail(slice, &series->tail);
    if (late)
        save_tail(slice, series->late);
}

static int run_slice(void *context, MDB_txn *txn, uint64_t commit)
{
    struct slice *slice = context;
    struct head *head = slice->store->head;
    const mono_ns begun = clock_mono(&clock_system);
    size_t put = 0;
    slice->code = MDB_SUCCESS;
    chunk_rows_clear(&slice->rows);
    buf_clear(&slice->tails);
    buf_put_varint(&slice->tails, commit);
    slice->end = slice->first;
    while (slice->end < slice->count && slice->code == MDB_SUCCESS &&
           slice->rows.bytes < SLICE_BYTES &&
           ((slice->end - slice->first) % SLICE_LOOKS != 0 || slice->end == slice->first ||
            clock_mono(&clock_system) - begun < SLICE_NS)) {
        size_t i = slice->end++;
        uint32_t shard = head_shard_of(slice->series[i]->id);
        head_lock_shard(head, shard);
        if (head_seal(head, slice->series[i], slice->seal_until_ms) != 0)
            slice->code = ENOMEM;
        save_series(slice, i);
        head_unlock_shard(head, shard);
    }
    slice->sequence = head->sequence;
    chunk_rows_end(&slice->rows);
    if (slice->code == MDB_SUCCESS)
        slice->code = chunk_rows_put(&slice->rows, &slice->store->live, txn, SIZE_MAX, &put);
    if (!buf_ok(&slice->tails))
        slice->code = ENOMEM;
    if (slice->code == MDB_SUCCESS) {
        uint8_t key[12];
        key_put_u64(key, slice->pass);
        key_put_u32(key + 8, slice->series[slice->first]->id);
        slice->code = sealed_put(txn, slice->store->live.tables[LIVE_TAILS],
                                 (struct bytes){key, sizeof key}, buf_bytes(&slice->tails), 0);
    }
    return slice->code;
}

/* The slice is durable: what it wrote needs not be written again. */
static void slice_is_durable(void *context, int error)
{
    struct slice *slice = context;
    struct head *head = slice->store->head;
    if (error != 0)
        return;
    for (size_t i = slice->first; i < slice->end; i++) {
        struct series *series = slice->series[i];
        uint32_t shard = head_shard_of(series->id);
        head_lock_shard(head, shard);
        chunks_mark_saved(series, slice->sequence);
        series->in_tail_pass = slice->has_tail[i];
        head_unlock_shard(head, shard);
    }
    store_step(slice->store, "checkpoint.slice");
}

/* -- the pass ---------------------------------------------------------------------------- */

struct pass {
    struct store *store;
    uint64_t number, commit, sequence, through, cut;
    size_t limit;
    bool more;
};

/* A pass that a crash cut short has left rows; the next one gets a number above them. */
static int begin_pass(void *context, MDB_txn *txn, uint64_t commit)
{
    struct pass *pass = context;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_open(txn, pass->store->live.tables[LIVE_TAILS], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code == MDB_SUCCESS && key.mv_size >= 8 && key_get_u64(key.mv_data) >= pass->number)
        pass->number = key_get_u64(key.mv_data) + 1;
    mdb_cursor_close(cursor);
    pass->commit = commit;
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int delete_before(MDB_txn *txn, MDB_dbi dbi, uint64_t first_kept)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_open(txn, dbi, &cursor);
    if (code != MDB_SUCCESS)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == MDB_SUCCESS &&
           key.mv_size >= 8 && key_get_u64(key.mv_data) < first_kept) {
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int end_pass(void *context, MDB_txn *txn, uint64_t commit)
{
    struct pass *pass = context;
    struct live *live = &pass->store->live;
    (void)commit;
    pass->sequence = pass->store->head->sequence;
    int code = live_meta_put(live, txn, "tail_pass", pass->number);
    if (code == MDB_SUCCESS)
        code = live_meta_put(live, txn, "wal_through", pass->commit);
    if (code == MDB_SUCCESS)
        code = delete_before(txn, live->tables[LIVE_TAILS], pass->number);
    return code;
}

static int trim_wal(void *context, MDB_txn *txn, uint64_t commit)
{
    struct pass *pass = context;
    (void)commit;
    return wal_delete(&pass->store->live, txn, pass->cut, WAL_SLICE_PARTS, &pass->more);
}

/* Who reads the log, and is not through with it, keeps what it needs, here or elsewhere. */
static uint64_t release(const struct store *store, uint64_t through)
{
    if (store->options.release == NULL)
        return through;
    uint64_t cut = store->options.release(store->options.release_context, through);
    return cut < through ? cut : through;
}

static int run_slices(struct slice *slice)
{
    struct head *head = slice->store->head;
    uint64_t next = 1;
    int error = 0;
    while (next != 0 && error == 0) {
        slice->count = head_collect(head, &next, SLICE_SERIES, slice->series);
        error = checkpoint_chunks(slice);
        for (slice->first = 0; slice->first < slice->count && error == 0;
             slice->first = slice->end) {
            struct writer_task task = {run_slice, slice_is_durable, slice, NULL, 0, false};
            error = writer_run(slice->store->writer, &task);
        }
        for (size_t i = 0; i < slice->count; i++)
            head_release(slice->series[i]);
    }
    return error;
}

static int run(struct store *store, int (*what)(void *, MDB_txn *, uint64_t), void *context)
{
    struct writer_task task = {what, NULL, context, NULL, 0, false};
    return writer_run(store->writer, &task);
}

int checkpoint_pass(struct store *store, int64_t seal_until_ms, uint64_t *ret_sequence)
{
    struct pass pass = {.store = store, .more = true};
    uint64_t last_pass = 0;
    uint64_t deleted = deletes_last(&store->deletes);
    struct slice *slice = calloc(1, sizeof *slice);
    if (slice == NULL)
        return ERR_NOMEM;
    slice->store = store;
    slice->rows.span_ms = store->head->span_ms;
    slice->seal_until_ms = seal_until_ms;
    int error = live_meta_get(&store->live, "tail_pass", &last_pass);
    pass.number = last_pass + 1;
    if (error == 0)
        error = run(store, begin_pass, &pass);
    slice->pass = pass.number;
    if (error == 0)
        error = checkpoint_logs(store, true);
    store_step(store, "checkpoint.begun");
    if (error == 0)
        error = run_slices(slice);
    store_step(store, "checkpoint.slices");
    if (error == 0)
        error = run(store, end_pass, &pass);
    store_step(store, "checkpoint.ended");
    if (error == 0)
        pass.cut = release(store, pass.commit);
    while (error == 0 && pass.more)
        error = run(store, trim_wal, &pass);
    store_step(store, "checkpoint.trimmed");
    chunk_rows_done(&slice->rows);
    buf_done(&slice->tails);
    buf_done(&slice->chunk);
    free(slice);
    if (error != 0)
        return error;
    atomic_fetch_add_explicit(&store->checkpoints, 1, memory_order_relaxed);
    deletes_note_pass(store, deleted);
    if (ret_sequence != NULL)
        *ret_sequence = pass.sequence;
    return 0;
}

/* -- log lines --------------------------------------------------------------------------- */

struct log_cut {
    struct store *store;
    MDB_txn *txn;
    uint64_t commit;
    bool all, cut;
    struct buf block;
    int code;
};

static int save_block(void *context, uint64_t stream_id, const struct log_chunk *chunk)
{
    struct log_cut *cut = context;
    uint8_t key[32];
    key_put_u64(key, stream_id);
    key_put_u64(key + 8, chunk->file_id);
    key_put_u64(key + 16, chunk->lines[0].offset);
    key_put_u64(key + 24, cut->commit);
    buf_clear(&cut->block);
    cut->code = ENOMEM;
    if (log_block_encode(chunk, &cut->block) == 0 && buf_ok(&cut->block))
        cut->code = sealed_put(cut->txn, cut->store->live.tables[LIVE_LOGS],
                               (struct bytes){key, sizeof key}, buf_bytes(&cut->block), 0);
    return cut->code == MDB_SUCCESS ? 0 : ERR_IO;
}

static int run_log_cut(void *context, MDB_txn *txn, uint64_t commit)
{
    struct log_cut *cut = context;
    cut->txn = txn;
    cut->commit = commit;
    cut->code = MDB_SUCCESS;
    cut->cut = true;
    int error =
        log_head_cut(cut->store->logs, cut->all ? LOG_CUT_ALL : LOG_CUT_DUE, save_block, cut);
    if (error != 0 && cut->code == MDB_SUCCESS)
        cut->code = ENOMEM;
    return cut->code;
}

static void log_cut_is_durable(void *context, int error)
{
    struct log_cut *cut = context;
    if (!cut->cut)
        return; /* another task failed before this one ran */
    if (error == 0)
        log_head_retire(cut->store->logs);
    else
        log_head_uncut(cut->store->logs);
    writer_note_logs(cut->store);
}

int checkpoint_logs(struct store *store, bool all)
{
    struct log_cut cut = {.store = store, .all = all};
    if (atomic_load(&store->lines_waiting) == 0)
        return 0;
    struct writer_task task = {run_log_cut, log_cut_is_durable, &cut, NULL, 0, false};
    int error = writer_run(store->writer, &task);
    buf_done(&cut.block);
    return error;
}

/* -- what history has -------------------------------------------------------------------- */

struct forgetting {
    struct live *live;
    int64_t start_ms, end_ms, span_ms;
    uint64_t through;
    bool more;
};

static void through_key(uint8_t key[THROUGH_KEY], int64_t start_ms)
{
    key[0] = 'T';
    key_put_i64(key + 1, start_ms);
}

int checkpoint_put_through(struct live *live, MDB_txn *txn, int64_t start_ms, uint64_t through)
{
    uint8_t key[THROUGH_KEY];
    uint8_t value[8];
    through_key(key, start_ms);
    key_put_u64(value, through);
    return sealed_put(txn, live->tables[LIVE_SPANS], (struct bytes){key, sizeof key},
                      (struct bytes){value, sizeof value}, 0);
}

/* Rows of the spans from start to end, up to the seal number; at most a slice of them. */
static int delete_rows(struct forgetting *forgetting, MDB_cursor *cursor)
{
    size_t left = ROW_SLICE;
    int64_t at_ms = forgetting->start_ms;
    for (;;) {
        uint8_t start[16] = {0};
        MDB_val key = {sizeof start, start};
        MDB_val value;
        key_put_i64(start, at_ms);
        int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (code != MDB_SUCCESS)
            return code;
        int64_t row_ms = key.mv_size == sizeof start ? key_get_i64(key.mv_data) : INT64_MAX;
        if (row_ms >= forgetting->end_ms)
            return MDB_SUCCESS;
        if (key_get_u64((const uint8_t *)key.mv_data + 8) > forgetting->through) {
            at_ms = row_ms + 1; /* the rest of its span is younger still */
            continue;
        }
        if (left-- == 0) {
            forgetting->more = true;
            return MDB_SUCCESS;
        }
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS)
            return code;
    }
}

static int forget_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct forgetting *forgetting = context;
    MDB_cursor *cursor;
    (void)commit;
    forgetting->more = false;
    int code = mdb_cursor_open(txn, forgetting->live->tables[LIVE_CHECKPOINT], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    code = delete_rows(forgetting, cursor);
    mdb_cursor_close(cursor);
    for (int64_t start_ms = forgetting->start_ms;
         start_ms < forgetting->end_ms && !forgetting->more &&
         (code == MDB_SUCCESS || code == MDB_NOTFOUND);
         start_ms += forgetting->span_ms) {
        uint8_t key[THROUGH_KEY];
        through_key(key, start_ms);
        MDB_val k = {sizeof key, key};
        code = mdb_del(txn, forgetting->live->tables[LIVE_SPANS], &k, NULL);
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

int checkpoint_forget_spans(struct store *store, int64_t start_ms, int64_t end_ms,
                            uint64_t through)
{
    struct forgetting forgetting = {&store->live,         start_ms, end_ms,
                                    store->head->span_ms, through,  true};
    int error = 0;
    while (error == 0 && forgetting.more) {
        error = run(store, forget_rows, &forgetting);
        store_step(store, "flush.forgetting");
    }
    return error;
}
