/*
 * flush_logs.c - log blocks from the live environment into history.
 *
 *   live `logs`   stream, file, offset, commit -> block       small, one a checkpoint
 *   history       stream, file, offset -> block               joined up to a block's size
 */
#include <stdlib.h>
#include <string.h>

#include "collector/log/block.h"
#include "collector/store/flush.h"
#include "collector/store/log_join.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define LIVE_LOG_KEY_BYTES 32
#define DELETE_SLICE       256

struct log_flush {
    struct store *store;
    struct span_info info;
    bool more;
};

/* Only the keeper cuts blocks, so what it finds here is what it deletes later. */
static int join_live_blocks(struct store *store, struct log_join *join)
{
    struct live *live = &store->live;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_LOGS], &cursor);
    if (code == MDB_SUCCESS) {
        while (error == 0 &&
               (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
            struct bytes block;
            const uint8_t *at = key.mv_data;
            if (key.mv_size != LIVE_LOG_KEY_BYTES)
                continue;
            struct log_key log_key = {key_get_u64(at), key_get_u64(at + 8),
                                      key_get_u64(at + 16)};
            if (sealed_open(bytes_of_val(key), bytes_of_val(value), &block) != 0) {
                log_error("store", "a log block of the live environment is damaged and lost");
                atomic_fetch_add_explicit(&store->quarantined, 1, memory_order_relaxed);
                continue;
            }
            error = log_join_add(join, log_key, block);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_NOTFOUND) /* what was not read must not be deleted */
        error = error_from_lmdb(code);
    return error == 0 ? log_join_flush(join) : error;
}

/* Registering, and showing the file to searches, comes before the first deletion: until the
 * last row is gone a search meets lines twice, which it can bear, and never misses one. */
static int register_file(void *context, MDB_txn *txn, uint64_t commit)
{
    struct log_flush *flush = context;
    (void)commit;
    return span_row_put(&flush->store->live, txn, &flush->info);
}

static int delete_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct log_flush *flush = context;
    struct live *live = &flush->store->live;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    size_t left = DELETE_SLICE;
    (void)commit;
    flush->more = false;
    int code = mdb_cursor_open(txn, live->tables[LIVE_LOGS], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        if (left-- == 0) {
            flush->more = true;
            break;
        }
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static bool has_live_blocks(struct store *store)
{
    MDB_txn *txn;
    MDB_stat stat = {0};
    if (mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return false;
    (void)mdb_stat(txn, store->live.tables[LIVE_LOGS], &stat);
    mdb_txn_abort(txn);
    return stat.ms_entries > 0;
}

int flush_logs(struct store *store)
{
    struct log_flush flush = {.store = store, .more = true};
    struct diagnosis why = {""};
    struct span_writer *writer;
    struct log_join *join = NULL;
    if (!has_live_blocks(store))
        return 0;
    int64_t now_ms = clock_unix_ms(store->clock);
    int64_t start_ms = span_start_of(store->head->span_ms, now_ms);
    int error = span_writer_open(span_set_directory(store->spans), SPAN_LOGS, start_ms,
                                 start_ms + store->head->span_ms,
                                 span_set_next_generation(store->spans), &writer, &why);
    if (error != 0)
        return error;
    error = log_join_new(writer, &join);
    if (error == 0)
        error = join_live_blocks(store, join);
    log_join_free(join);
    if (error != 0 || span_writer_count(writer) == 0) {
        span_writer_abandon(writer);
        return error;
    }
    error = span_writer_finish(writer, &flush.info, &why);
    store_step(store, "flush_logs.finished");
    if (error != 0)
        return error;
    struct writer_task task = {register_file, NULL, &flush, NULL, 0, false};
    error = writer_run(store->writer, &task);
    if (error != 0)
        span_set_discard(store->spans, &flush.info);
    if (error == 0)
        error = span_set_change(store->spans, &flush.info, NULL, 0);
    store_step(store, "flush_logs.registered");
    while (error == 0 && flush.more) {
        struct writer_task next = {delete_rows, NULL, &flush, NULL, 0, false};
        error = writer_run(store->writer, &next);
    }
    return error;
}
