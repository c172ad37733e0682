/*
 * state.c - reading the key-value table that the other parts keep their state in.
 *
 * Seals were tried when the store opened (live_rows.h); what goes bad later is named, and not
 * there.
 */
#include <string.h>

#include "collector/store/parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

static bool is_whole(struct store *store, MDB_val key, MDB_val value, struct bytes *ret_payload)
{
    if (sealed_open(bytes_of_val(key), bytes_of_val(value), ret_payload) == 0)
        return true;
    atomic_fetch_add_explicit(&store->quarantined, 1, memory_order_relaxed);
    log_error("store", "live: the seal of a state row does not fit, it is passed by");
    return false;
}

int store_state_get(struct store *store, struct bytes key, struct buf *out)
{
    MDB_txn *txn;
    MDB_val value;
    if (key.size == 0 || key.size > LIVE_KEY_BYTES_MAX)
        return ERR_NOTFOUND;
    int code = mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    MDB_val k = val_of(key);
    code = mdb_get(txn, store->live.tables[LIVE_STATE], &k, &value);
    struct bytes payload;
    if (code == MDB_SUCCESS && !is_whole(store, k, value, &payload))
        code = MDB_NOTFOUND;
    if (code == MDB_SUCCESS)
        buf_put(out, payload.data, payload.size);
    mdb_txn_abort(txn);
    if (code == MDB_SUCCESS && !buf_ok(out))
        return ERR_NOMEM;
    return error_from_lmdb(code);
}

static bool has_prefix(struct bytes key, struct bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

int store_state_scan(struct store *store, struct bytes prefix,
                     int (*each)(void *context, struct bytes key, struct bytes value),
                     void *context)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val value;
    int stop = 0;
    if (prefix.size > LIVE_KEY_BYTES_MAX)
        return 0;
    int code = mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, store->live.tables[LIVE_STATE], &cursor);
    if (code == MDB_SUCCESS) {
        MDB_val key = val_of(prefix);
        code =
            mdb_cursor_get(cursor, &key, &value, prefix.size > 0 ? MDB_SET_RANGE : MDB_FIRST);
        while (code == MDB_SUCCESS && stop == 0 && has_prefix(bytes_of_val(key), prefix)) {
            struct bytes payload;
            if (is_whole(store, key, value, &payload))
                stop = each(context, bytes_of_val(key), payload);
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (stop != 0)
        return stop;
    return code == MDB_NOTFOUND ? 0 : error_from_lmdb(code);
}
