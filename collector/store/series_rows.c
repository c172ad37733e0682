/*
 * series_rows.c - blocks of label sets, and finding one.
 */
#include "collector/store/series_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

enum block_coding { BLOCK_PLAIN, BLOCK_ZSTD };

#define BLOCK_RAW_BYTES_MAX ((size_t)64 << 20)
#define BLOCK_ZSTD_LEVEL    6
#define READER_ARENA_BYTES  ((size_t)256 << 20)
#define HASH_ITEM_BYTES     8

static const char hash_key[] = "h";

/* -- writing ----------------------------------------------------------------------------- */

static void encode_rows(const struct series_row *rows, size_t count, struct buf *raw)
{
    uint32_t last = rows[0].id;
    buf_put_varint(raw, count);
    for (size_t i = 0; i < count; i++) {
        buf_put_varint(raw, rows[i].id - last);
        labels_write(rows[i].labels, raw);
        last = rows[i].id;
    }
}

static bool pack(const struct buf *raw, struct buf *out)
{
    size_t bound = ZSTD_compressBound(raw->size);
    buf_put_u8(out, BLOCK_ZSTD);
    buf_put_varint(out, raw->size);
    uint8_t *to = buf_reserve(out, bound);
    if (to == NULL)
        return false;
    size_t packed = ZSTD_compress(to, bound, raw->data, raw->size, BLOCK_ZSTD_LEVEL);
    if (!ZSTD_isError(packed) && packed < raw->size) {
        out->size += packed;
        return true;
    }
    buf_clear(out);
    buf_put_u8(out, BLOCK_PLAIN);
    buf_put_varint(out, raw->size);
    buf_put(out, raw->data, raw->size);
    return buf_ok(out);
}

static int put_block(const struct live *live, MDB_txn *txn, const struct series_row *rows,
                     size_t count)
{
    struct buf raw = {0};
    struct buf out = {0};
    uint8_t key[4];
    int code = ENOMEM;

    encode_rows(rows, count, &raw);
    if (buf_ok(&raw) && pack(&raw, &out)) {
        key_put_u32(key, rows[0].id);
        /* Ids ascend, and appending fills the pages where splitting halves them. */
        code = sealed_put(txn, live->tables[LIVE_SERIES], (struct bytes){key, sizeof key},
                          buf_bytes(&out), MDB_APPEND);
        if (code == MDB_KEYEXIST)
            code = sealed_put(txn, live->tables[LIVE_SERIES], (struct bytes){key, sizeof key},
                              buf_bytes(&out), 0);
    }
    buf_done(&raw);
    buf_done(&out);
    return code;
}

static void hash_item(uint8_t item[HASH_ITEM_BYTES], uint64_t hash, uint32_t id)
{
    key_put_u32(item, (uint32_t)(hash >> 32));
    key_put_u32(item + 4, id);
}

int series_rows_put(const struct live *live, MDB_txn *txn, const struct series_row *rows,
                    size_t count)
{
    for (size_t at = 0; at < count; at += SERIES_BLOCK_MAX) {
        size_t block = count - at < SERIES_BLOCK_MAX ? count - at : SERIES_BLOCK_MAX;
        int code = put_block(live, txn, rows + at, block);
        if (code != MDB_SUCCESS)
            return code;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t item[HASH_ITEM_BYTES];
        hash_item(item, rows[i].labels->hash, rows[i].id);
        MDB_val key = {1, (void *)(uintptr_t)hash_key};
        MDB_val value = {HASH_ITEM_BYTES, item};
        int code = mdb_put(txn, live->tables[LIVE_SERIES_BY_HASH], &key, &value, MDB_NODUPDATA);
        if (code != MDB_SUCCESS && code != MDB_KEYEXIST)
            return code;
    }
    return MDB_SUCCESS;
}

/* -- reading ----------------------------------------------------------------------------- */

static int unpack(struct bytes payload, struct arena *arena, struct bytes *ret_raw)
{
    struct reader reader = reader_of(payload);
    uint8_t coding = reader_u8(&reader);
    uint64_t size = reader_varint(&reader);
    if (reader.failed || size > BLOCK_RAW_BYTES_MAX)
        return ERR_MALFORMED;
    struct bytes rest = {reader.at, reader_left(&reader)};
    if (coding == BLOCK_PLAIN && rest.size == size) {
        *ret_raw = rest;
        return 0;
    }
    if (coding != BLOCK_ZSTD || ZSTD_getFrameContentSize(rest.data, rest.size) != size)
        return ERR_MALFORMED;
    uint8_t *raw = arena_alloc(arena, size == 0 ? 1 : size, 1);
    if (raw == NULL)
        return ERR_NOMEM;
    if (ZSTD_decompress(raw, size, rest.data, rest.size) != size)
        return ERR_MALFORMED;
    *ret_raw = (struct bytes){raw, size};
    return 0;
}

int series_block_decode(uint32_t first_id, struct bytes payload, struct arena *arena,
                        struct series_row rows[SERIES_BLOCK_MAX], size_t *ret_count)
{
    struct bytes raw;
    int error = unpack(payload, arena, &raw);
    if (error != 0)
        return error;
    struct reader reader = reader_of(raw);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || count > SERIES_BLOCK_MAX)
        return ERR_MALFORMED;
    uint64_t id = first_id;
    for (size_t i = 0; i < count; i++) {
        id += reader_varint(&reader);
        if (reader.failed || id > UINT32_MAX)
            return ERR_MALFORMED;
        rows[i].id = (uint32_t)id;
        error = labels_read(&reader, arena, &rows[i].labels);
        if (error != 0)
            return error;
    }
    *ret_count = count;
    return 0;
}

void series_reader_init(struct series_reader *reader, struct live *live)
{
    *reader = (struct series_reader){.live = live};
    arena_init(&reader->arena, READER_ARENA_BYTES);
}

void series_reader_done(struct series_reader *reader)
{
    arena_reset(&reader->arena);
}

static const struct series_row *find_row(const struct series_reader *reader, uint64_t id)
{
    size_t low = 0;
    size_t high = reader->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (reader->rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reader->count && reader->rows[low].id == id ? &reader->rows[low] : NULL;
}

/* The block whose first id is the largest at or below `id`. */
static int load_block(struct series_reader *reader, MDB_cursor *cursor, uint32_t id)
{
    uint8_t wanted[4];
    key_put_u32(wanted, id);
    MDB_val key = {sizeof wanted, wanted};
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND)
        code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    else if (code == MDB_SUCCESS && key_get_u32(key.mv_data) != id)
        code = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    if (key.mv_size != sizeof wanted)
        return ERR_CORRUPT;
    struct bytes payload;
    int error = sealed_open(bytes_of_val(key), bytes_of_val(value), &payload);
    if (error == 0)
        error = series_block_decode(key_get_u32(key.mv_data), payload, &reader->arena,
                                    reader->rows, &reader->count);
    if (error == ERR_MALFORMED)
        error = ERR_CORRUPT;
    return error;
}

int series_reader_find(struct series_reader *reader, uint64_t id,
                       const struct labels **ret_labels)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    const struct series_row *row = find_row(reader, id);
    if (row == NULL) {
        if (id > UINT32_MAX)
            return ERR_NOTFOUND;
        reader->count = 0;
        arena_reset(&reader->arena);
        int code = mdb_txn_begin(reader->live->env, NULL, MDB_RDONLY, &txn);
        if (code != MDB_SUCCESS)
            return error_from_lmdb(code);
        code = mdb_cursor_open(txn, reader->live->tables[LIVE_SERIES], &cursor);
        int error = error_from_lmdb(code);
        if (code == MDB_SUCCESS) {
            error = load_block(reader, cursor, (uint32_t)id);
            mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
        if (error != 0) {
            reader->count = 0;
            return error;
        }
        row = find_row(reader, id);
        if (row == NULL)
            return ERR_NOTFOUND;
    }
    *ret_labels = row->labels;
    return 0;
}

/* -- labels to id ------------------------------------------------------------------------ */

#define CANDIDATES_MAX 64
#define ID_GAP_MAX     ((uint64_t)1 << 24) /* numbers handed out and never stored, in a row */

/* Ids whose hash has the same top bits. */
static int candidates(struct live *live, uint64_t hash, uint64_t *ids, size_t *ret_count)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint8_t item[HASH_ITEM_BYTES];
    size_t count = 0;

    hash_item(item, hash, 0);
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_SERIES_BY_HASH], &cursor);
    if (code == MDB_SUCCESS) {
        MDB_val key = {1, (void *)(uintptr_t)hash_key};
        MDB_val value = {HASH_ITEM_BYTES, item};
        code = mdb_cursor_get(cursor, &key, &value, MDB_GET_BOTH_RANGE);
        while (code == MDB_SUCCESS && value.mv_size == HASH_ITEM_BYTES &&
               memcmp(value.mv_data, item, 4) == 0 && count < CANDIDATES_MAX) {
            ids[count++] = key_get_u32((const uint8_t *)value.mv_data + 4);
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT_DUP);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return error_from_lmdb(code);
    *ret_count = count;
    return 0;
}

int series_rows_id_of(struct live *live, const struct labels *labels, uint64_t *ret_id)
{
    uint64_t ids[CANDIDATES_MAX];
    size_t count = 0;
    int error = candidates(live, labels->hash, ids, &count);
    if (error != 0)
        return error;
    if (count == 0)
        return ERR_NOTFOUND;
    struct series_reader *reader = malloc(sizeof *reader);
    if (reader == NULL)
        return ERR_NOMEM;
    series_reader_init(reader, live);
    error = ERR_NOTFOUND;
    for (size_t i = 0; i < count && error == ERR_NOTFOUND; i++) {
        const struct labels *stored;
        int found = series_reader_find(reader, ids[i], &stored);
        if (found != 0 && found != ERR_NOTFOUND && found != ERR_CORRUPT)
            error = found; /* a damaged block was named at opening; its series get new numbers */
        else if (found == 0 && labels_equal(stored, labels)) {
            *ret_id = ids[i];
            error = 0;
        }
    }
    series_reader_done(reader);
    free(reader);
    return error;
}

/* Of the last block.  If it is damaged its numbers are never handed out again, those of all it
 * can hold; if its key is so far from the block before that it must be what is damaged, it is
 * that one's which count. */
static int last_id(struct series_reader *reader, MDB_cursor *cursor, uint32_t first,
                   uint64_t *ret_last)
{
    MDB_val key = {0, NULL};
    MDB_val value;
    int error = load_block(reader, cursor, first);
    if (error != ERR_CORRUPT) {
        *ret_last = error == 0 && reader->count > 0 ? reader->rows[reader->count - 1].id : 0;
        return error;
    }
    *ret_last = (uint64_t)first + SERIES_BLOCK_MAX;
    for (uint64_t blocks = 1;; blocks++) {
        if (mdb_cursor_get(cursor, &key, &value, MDB_PREV) != MDB_SUCCESS || key.mv_size != 4)
            return 0;
        error = load_block(reader, cursor, key_get_u32(key.mv_data));
        if (error == ERR_CORRUPT)
            continue;
        if (error != 0 || reader->count == 0)
            return error;
        uint64_t before = reader->rows[reader->count - 1].id;
        if (first - before > ID_GAP_MAX)
            *ret_last = before + blocks * SERIES_BLOCK_MAX;
        return 0;
    }
}

int series_rows_last_id(struct live *live, uint64_t *ret_id)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint64_t last = 0;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_SERIES], &cursor);
    if (code == MDB_SUCCESS) {
        MDB_val key;
        MDB_val value;
        code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        if (code == MDB_SUCCESS && key.mv_size == 4) {
            struct series_reader *reader = malloc(sizeof *reader);
            error = reader == NULL ? ERR_NOMEM : 0;
            if (reader != NULL) {
                series_reader_init(reader, live);
                error = last_id(reader, cursor, key_get_u32(key.mv_data), &last);
                series_reader_done(reader);
                free(reader);
            }
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_SUCCESS && code != MDB_NOTFOUND)
        error = error_from_lmdb(code);
    if (error == 0)
        *ret_id = last;
    return error;
}
