/*
 * live_rows.c - every seal of the tables that are looked up by key.
 */
#include "collector/store/live_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/quarantine.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define KEY_TOLD 96 /* bytes of a key in a message */

struct settling {
    const struct live *live;
    const char *directory;
    MDB_txn *txn;
    uint64_t damaged, sealed;
};

static int is_unsealed(const struct settling *settling, bool *ret_is_unsealed)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_open(settling->txn, settling->live->tables[LIVE_META], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    *ret_is_unsealed = false;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
        *ret_is_unsealed = *ret_is_unsealed || value.mv_size == sizeof(uint64_t);
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int seal_row(struct settling *settling, MDB_cursor *cursor, MDB_val key, MDB_val value)
{
    struct bytes payload = bytes_of_val(value);
    struct buf out = {0};
    uint8_t name[LIVE_KEY_BYTES_MAX];
    memcpy(name, key.mv_data, key.mv_size); /* the page it is in is about to be changed */
    buf_put_u64(&out, seal_of(bytes_of_val(key), payload));
    buf_put(&out, payload.data, payload.size);
    int code = ENOMEM;
    if (buf_ok(&out)) {
        MDB_val k = {key.mv_size, name};
        MDB_val v = val_of(buf_bytes(&out));
        code = mdb_cursor_put(cursor, &k, &v, MDB_CURRENT);
    }
    buf_done(&out);
    settling->sealed++;
    return code;
}

/* As text, or where it is none, its first bytes. */
static void print_key(MDB_val key, char text[KEY_TOLD + 1])
{
    const uint8_t *bytes = key.mv_data;
    bool is_text = true;
    size_t at = 0;
    for (size_t i = 0; i < key.mv_size; i++)
        is_text = is_text && bytes[i] >= 0x20 && bytes[i] < 0x7f;
    for (size_t i = 0; i < key.mv_size && at + 2 <= KEY_TOLD; i++)
        at += (size_t)snprintf(text + at, 3, is_text ? "%c" : "%02x", bytes[i]);
    text[at] = '\0';
}

static int take_out(struct settling *settling, enum live_table number, const char *table,
                    MDB_cursor *cursor, MDB_val key, MDB_val value)
{
    char text[KEY_TOLD + 1];
    char name[64];
    char reason[QUARANTINE_REASON_BYTES];
    print_key(key, text);
    (void)snprintf(reason, sizeof reason, "live: the seal of %s row %s does not fit", table,
                   text);
    (void)snprintf(name, sizeof name, "live.%s.%016" PRIx64, table,
                   seal_of(bytes_of_val(key), bytes_of_val(value)));
    quarantine_keep(settling->directory, name, bytes_of_val(value), reason);
    log_error("store", "%s: it is lost, the rest is kept", reason);
    settling->damaged++;
    /* While its block is there, the numbers of a series are not handed out again. */
    return number == LIVE_SERIES ? MDB_SUCCESS : mdb_cursor_del(cursor, 0);
}

static int settle_table(struct settling *settling, enum live_table table, const char *name,
                        bool is_unsealed)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    struct bytes payload;
    int code = mdb_cursor_open(settling->txn, settling->live->tables[table], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        if (table == LIVE_SPANS && key.mv_size == SPAN_ROW_KEY_BYTES)
            continue; /* span_set.c reads them all, too, and what is damaged stays */
        if (is_unsealed && table != LIVE_SERIES)
            code = seal_row(settling, cursor, key, value);
        else if (sealed_open(bytes_of_val(key), bytes_of_val(value), &payload) != 0)
            code = take_out(settling, table, name, cursor, key, value);
        if (code != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

/* Rows of tails are read by ascending pass, so that the next must not be a lower one than any
 * that has rows. */
static int settle_pass(struct settling *settling)
{
    MDB_cursor *cursor;
    MDB_val key = val_of(bytes_of("tail_pass"));
    MDB_val value;
    MDB_txn *txn = settling->txn;
    int code = mdb_get(txn, settling->live->tables[LIVE_META], &key, &value);
    if (code != MDB_NOTFOUND)
        return code;
    code = mdb_cursor_open(txn, settling->live->tables[LIVE_TAILS], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    uint64_t pass = code == MDB_SUCCESS && key.mv_size >= sizeof pass
                        ? key_get_u64(key.mv_data)
                        : 0;
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND || pass == 0)
        return MDB_SUCCESS;
    settling->sealed++;
    return code == MDB_SUCCESS ? live_meta_put(settling->live, txn, "tail_pass", pass) : code;
}

int live_rows_settle(const struct live *live, const char *directory, uint64_t *ret_damaged,
                     struct diagnosis *why)
{
    struct settling settling = {.live = live, .directory = directory};
    bool unsealed = false;
    int code = mdb_txn_begin(live->env, NULL, 0, &settling.txn);
    if (code == MDB_SUCCESS)
        code = is_unsealed(&settling, &unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_META, "meta", unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_METADATA, "metadata", unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_STATE, "state", unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_SPANS, "spans", unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_SERIES, "series", unsealed);
    if (code == MDB_SUCCESS)
        code = settle_table(&settling, LIVE_DELETES, "deletes", false);
    if (code == MDB_SUCCESS)
        code = settle_pass(&settling);
    if (code == MDB_SUCCESS && settling.sealed + settling.damaged > 0)
        code = mdb_txn_commit(settling.txn);
    else if (settling.txn != NULL)
        mdb_txn_abort(settling.txn);
    *ret_damaged = settling.damaged;
    return code == MDB_SUCCESS
               ? 0
               : diagnose(why, error_from_lmdb(code), "%s/live: %s", directory,
                          mdb_strerror(code));
}
