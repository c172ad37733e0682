/*
 * span_row.c - what is registered about a history file.
 *
 *   live `spans`:  kind u8 | start i64 BE | end i64 BE | generation u64 BE
 *                  -> seal | file bytes u64 | file hash u64 | manifest (span_file.h)
 *                     of a roll-up with an u8 before the manifest: 1 if it is sole,
 *                     and 2 if it is partial
 */
#include <errno.h>

#include "collector/store/span_set.h"
#include "proto/base/error.h"

#define ROW_SOLE    1u
#define ROW_PARTIAL 2u

static void row_key(const struct span_manifest *manifest, uint8_t key[SPAN_ROW_KEY_BYTES])
{
    key[0] = manifest->kind;
    key_put_i64(key + 1, manifest->start_ms);
    key_put_i64(key + 9, manifest->end_ms);
    key_put_u64(key + 17, manifest->generation);
}

int span_row_put(const struct live *live, MDB_txn *txn, const struct span_info *info)
{
    uint8_t key[SPAN_ROW_KEY_BYTES];
    struct buf out = {0};
    row_key(&info->manifest, key);
    buf_put_u64(&out, info->file_bytes);
    buf_put_u64(&out, info->file_hash);
    if (span_kind_is_rollup(info->manifest.kind))
        buf_put_u8(&out, (uint8_t)((info->is_sole ? ROW_SOLE : 0) |
                                   (info->is_partial ? ROW_PARTIAL : 0)));
    span_manifest_write(&info->manifest, &out);
    int code = ENOMEM;
    if (buf_ok(&out))
        code = sealed_put(txn, live->tables[LIVE_SPANS], (struct bytes){key, sizeof key},
                          buf_bytes(&out), 0);
    buf_done(&out);
    return code;
}

int span_row_delete(const struct live *live, MDB_txn *txn, const struct span_info *info)
{
    uint8_t key[SPAN_ROW_KEY_BYTES];
    row_key(&info->manifest, key);
    MDB_val k = {sizeof key, key};
    int code = mdb_del(txn, live->tables[LIVE_SPANS], &k, NULL);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

int span_row_find(const struct live *live, MDB_txn *txn, const struct span_info *info)
{
    uint8_t key[SPAN_ROW_KEY_BYTES];
    row_key(&info->manifest, key);
    MDB_val k = {sizeof key, key};
    MDB_val value;
    return mdb_get(txn, live->tables[LIVE_SPANS], &k, &value);
}

int span_row_read(struct bytes key, struct bytes value, struct span_info *ret_info)
{
    struct bytes payload;
    if (key.size != SPAN_ROW_KEY_BYTES || sealed_open(key, value, &payload) != 0)
        return ERR_CORRUPT;
    struct reader reader = reader_of(payload);
    ret_info->file_bytes = reader_u64(&reader);
    ret_info->file_hash = reader_u64(&reader);
    const uint8_t flags =
        span_kind_is_rollup(((const uint8_t *)key.data)[0]) ? reader_u8(&reader) : 0;
    ret_info->is_sole = (flags & ROW_SOLE) != 0;
    ret_info->is_partial = (flags & ROW_PARTIAL) != 0;
    if (reader.failed)
        return ERR_CORRUPT;
    int error = span_manifest_read((struct bytes){reader.at, reader_left(&reader)},
                                   &ret_info->manifest);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}
