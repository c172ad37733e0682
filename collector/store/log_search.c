/*
 * log_search.c - a search through all log lines: head, live blocks, history.
 *
 * In that order, because lines move that way: each place is looked at before the one that its
 * lines move to, so a line may be met twice (the search removes twins) but never missed.
 */
#include <stdlib.h>

#include "collector/log/block.h"
#include "collector/log/search.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

struct looking {
    struct store *store;
    struct log_search *search;
    const struct log_query *query;
    struct diagnosis *why;
};

static int look_at(struct looking *looking, uint64_t stream_id, uint64_t file_id,
                   struct bytes block)
{
    struct log_block_info info;
    const struct query_budget *budget = looking->query->budget;
    int error = budget == NULL ? 0 : query_budget_look(budget);
    if (error == 0)
        error = log_block_peek(block, &info);
    if (error == 0 && log_search_wants(looking->search, stream_id, &info))
        error = log_search_block(looking->search, stream_id, file_id, block, looking->why);
    if (error == ERR_MALFORMED) {
        log_error("store", "a log block does not parse and is passed by");
        atomic_fetch_add_explicit(&looking->store->quarantined, 1, memory_order_relaxed);
        error = 0;
    }
    return error;
}

static int look_in_live(struct looking *looking)
{
    struct live *live = &looking->store->live;
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
        const uint64_t only = looking->query->stream_id;
        uint8_t start[sizeof only];
        key_put_u64(start, only);
        key = (MDB_val){sizeof start, start};
        for (MDB_cursor_op move = MDB_SET_RANGE;
             error == 0 && mdb_cursor_get(cursor, &key, &value, move) == MDB_SUCCESS;
             move = MDB_NEXT) {
            struct bytes block;
            const uint8_t *at = key.mv_data;
            if (key.mv_size != 32)
                continue;
            if (only != 0 && key_get_u64(at) != only)
                break;
            if (sealed_open(bytes_of_val(key), bytes_of_val(value), &block) != 0) {
                atomic_fetch_add_explicit(&looking->store->quarantined, 1,
                                          memory_order_relaxed);
                continue;
            }
            error = look_at(looking, key_get_u64(at), key_get_u64(at + 8), block);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return error != 0 ? error : error_from_lmdb(code);
}

static int look_at_block(void *context, struct log_key key, struct bytes block)
{
    return look_at(context, key.stream_id, key.file_id, block);
}

static int look_in_history(struct looking *looking)
{
    const struct log_query *query = looking->query;
    struct span_set *set = looking->store->spans;
    struct span **spans;
    size_t count;
    int error =
        span_set_acquire_kind(set, SPAN_LOGS, query->from_ms, query->until_ms, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        struct span_reader *reader;
        size_t at = query->newest_first ? count - 1 - i : i;
        int opened = span_reader_open(spans[at], &reader);
        if (opened == ERR_CORRUPT)
            continue; /* named and counted */
        error = opened;
        if (error == 0) {
            error = span_reader_logs(reader, query->stream_id, query->from_ms, query->until_ms,
                                     look_at_block, looking);
            span_reader_close(reader);
        }
    }
    span_set_release(set, spans, count);
    return error;
}

int store_log_search(struct store *store, const struct log_query *query, struct arena *arena,
                     struct log_hit **ret_hits, size_t *ret_count, struct diagnosis *why)
{
    struct looking looking = {.store = store, .query = query, .why = why};
    int error = log_search_new(query, &looking.search, why);
    if (error != 0)
        return error;
    error = log_search_head(looking.search, store->logs, why);
    if (error == 0)
        error = look_in_live(&looking);
    if (error == 0)
        error = look_in_history(&looking);
    if (error == 0)
        error = log_search_finish(looking.search, arena, ret_hits, ret_count);
    log_search_free(looking.search);
    if (error != 0)
        return diagnose(why, error, "searching log lines: %s", error_text(error));
    return 0;
}
