/*
 * span_read.c - reading a history file: postings, labels, chunks, log blocks.
 *
 * A reader keeps the group and the block it has unpacked last, so that walking series in the
 * order of their ordinals unpacks each once; what several readers want is in the cache.  Damage is met value by value: what fails its seal
 * is named and passed by, the rest of the file goes on being read.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/store/group_cache.h"
#include "collector/store/span_index.h"
#include "collector/store/span_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

/* Groups of one table, found by ordinal. */
struct unpacked {
    char letter;
    MDB_cursor *cursor;
    struct buf raw, table, joined;
    struct cached_group *cached; /* held: the view is of it; NULL: of the buffers */
    struct group_view view;
    uint32_t first; /* ordinal of the view's first entry */
    bool valid;
};

struct span_reader {
    struct span *span;
    MDB_txn *txn;
    const MDB_dbi *tables; /* NULL: the file has not been opened */
    MDB_cursor *stream;
    struct span_index index;
    struct unpacked chunks, blocks;
    struct buf joined;
    struct selected expected; /* where a series lies */
    int error; /* of opening the file */
    bool complained;
};

static int open_cursors(struct span_reader *reader, MDB_env *env)
{
    int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &reader->txn);
    if (code == MDB_SUCCESS)
        code = mdb_cursor_open(reader->txn, reader->tables[SPAN_STREAM], &reader->stream);
    if (code == MDB_SUCCESS)
        code = mdb_cursor_open(reader->txn, reader->tables[SPAN_INDEX], &reader->index.cursor);
    if (code == MDB_SUCCESS)
        code =
            mdb_cursor_open(reader->txn, reader->tables[SPAN_CHUNKS], &reader->chunks.cursor);
    if (code == MDB_SUCCESS)
        code =
            mdb_cursor_open(reader->txn, reader->tables[SPAN_SERIES], &reader->blocks.cursor);
    return error_from_lmdb(code);
}

/* A key that is missing shows in the counts the manifest keeps. */
static int check_counts(struct span_reader *reader)
{
    const struct span_manifest *expected = &span_info_of(reader->span)->manifest;
    const uint64_t counts[SPAN_TABLES] = {
        [SPAN_MANIFEST] = 1,
        [SPAN_STREAM] = (expected->stream_bytes + STREAM_PIECE_BYTES - 1) / STREAM_PIECE_BYTES,
        [SPAN_CHUNKS] = expected->groups,
        [SPAN_SERIES] = expected->blocks,
        [SPAN_INDEX] = expected->pairs,
        [SPAN_LOGS_TABLE] = expected->log_blocks,
        [SPAN_LOGS_BY_TIME] = expected->log_blocks,
    };
    for (size_t i = 0; i < SPAN_TABLES; i++) {
        MDB_stat stat;
        if (mdb_stat(reader->txn, reader->tables[i], &stat) != MDB_SUCCESS ||
            stat.ms_entries != counts[i])
            return ERR_CORRUPT;
    }
    return 0;
}

int span_reader_begin(struct span *span, struct span_reader **ret_reader)
{
    if (span_is_quarantined(span))
        return ERR_CORRUPT;
    struct span_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return ERR_NOMEM;
    reader->span = span;
    reader->index.series = (uint32_t)span_info_of(span)->manifest.series;
    reader->index.last = UINT32_MAX;
    reader->expected.ordinal = UINT32_MAX;
    reader->chunks.letter = 'c';
    reader->blocks.letter = 's';
    *ret_reader = reader;
    return 0;
}

static int open_file(struct span_reader *reader)
{
    MDB_env *env;
    int error = span_env_open(reader->span, &env, &reader->tables);
    if (error != 0)
        return error;
    error = open_cursors(reader, env);
    if (error == 0)
        error = check_counts(reader);
    if (error == ERR_CORRUPT)
        span_quarantine(reader->span, "its tables do not hold what its manifest says");
    return error;
}

int span_reader_map(struct span_reader *reader)
{
    if (reader->tables == NULL && reader->error == 0)
        reader->error = open_file(reader);
    return reader->error;
}

bool span_reader_is_lost(const struct span_reader *reader)
{
    return reader->error == ERR_CORRUPT;
}

int span_reader_open(struct span *span, struct span_reader **ret_reader)
{
    struct span_reader *reader;
    int error = span_reader_begin(span, &reader);
    if (error == 0) {
        error = span_reader_map(reader);
        if (error == 0)
            *ret_reader = reader;
        else
            span_reader_close(reader);
    }
    return error;
}

uint64_t span_reader_generation(const struct span_reader *reader)
{
    return span_info_of(reader->span)->manifest.generation;
}

void span_reader_expect(struct span_reader *reader, const struct selected *place)
{
    reader->expected = *place;
}

static void unpacked_done(const struct span_reader *reader, struct unpacked *unpacked)
{
    group_cache_release(reader->span->set->groups, unpacked->cached);
    if (unpacked->cursor != NULL)
        mdb_cursor_close(unpacked->cursor);
    buf_done(&unpacked->raw);
    buf_done(&unpacked->table);
    buf_done(&unpacked->joined);
}

void span_reader_close(struct span_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->stream != NULL)
        mdb_cursor_close(reader->stream);
    if (reader->index.cursor != NULL)
        mdb_cursor_close(reader->index.cursor);
    unpacked_done(reader, &reader->chunks);
    unpacked_done(reader, &reader->blocks);
    buf_done(&reader->joined);
    if (reader->txn != NULL)
        mdb_txn_abort(reader->txn);
    if (reader->tables != NULL)
        span_env_done(reader->span);
    free(reader);
}

void span_reader_complain(struct span_reader *reader, const char *what)
{
    atomic_fetch_add_explicit(&span_store(reader->span)->quarantined, 1, memory_order_relaxed);
    if (!reader->complained)
        log_error("store", "history/%s: %s is damaged and passed by", span_name(reader->span),
                  what);
    reader->complained = true;
}

struct postings_source span_postings(struct span_reader *reader)
{
    return span_index_source(&reader->index);
}

/* -- the stream -------------------------------------------------------------------------- */

/* The bytes of an extent: in the map where they lie in one piece, else joined in `joined`. */
static int stream_read(struct span_reader *reader, const struct extent *extent,
                       struct buf *joined, struct bytes *ret_bytes)
{
    uint64_t end = extent->offset + extent->size;
    if (end < extent->offset || end > span_info_of(reader->span)->manifest.stream_bytes)
        return ERR_CORRUPT;
    buf_clear(joined);
    for (uint64_t at = extent->offset; at < end;) {
        uint8_t number[4];
        key_put_u32(number, (uint32_t)(at / STREAM_PIECE_BYTES));
        MDB_val key = {sizeof number, number};
        MDB_val value;
        int code = mdb_cursor_get(reader->stream, &key, &value, MDB_SET);
        if (code != MDB_SUCCESS)
            return ERR_CORRUPT;
        size_t skip = (size_t)(at % STREAM_PIECE_BYTES);
        if (value.mv_size < SEAL_BYTES + skip + 1)
            return ERR_CORRUPT;
        /* The extent has a seal of its own; a piece's serves whoever walks the whole file. */
        struct bytes part = {(const uint8_t *)value.mv_data + SEAL_BYTES + skip,
                             value.mv_size - SEAL_BYTES - skip};
        if (part.size > end - at)
            part.size = (size_t)(end - at);
        if (part.size == extent->size) {
            *ret_bytes = part;
            return 0;
        }
        buf_put(joined, part.data, part.size);
        at += part.size;
    }
    if (!buf_ok(joined))
        return ERR_NOMEM;
    *ret_bytes = buf_bytes(joined);
    return joined->size == extent->size ? 0 : ERR_CORRUPT;
}

static int sealed_extent(struct span_reader *reader, char letter, struct bytes key,
                         const uint8_t *from, struct buf *joined, struct bytes *ret_bytes)
{
    struct extent extent = extent_get(from);
    struct bytes bytes;
    int error = stream_read(reader, &extent, joined, &bytes);
    if (error == 0 && extent_seal(letter, key, bytes) != extent.seal)
        error = ERR_CORRUPT;
    if (error == 0)
        *ret_bytes = bytes;
    return error;
}

/* Moves the cursor to the row whose first ordinal is the largest at or below `ordinal`. */
static int find_row(MDB_cursor *cursor, uint32_t ordinal, MDB_val *key, MDB_val *value)
{
    uint8_t wanted[4];
    key_put_u32(wanted, ordinal);
    *key = (MDB_val){sizeof wanted, wanted};
    int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND)
        code = mdb_cursor_get(cursor, key, value, MDB_LAST);
    else if (code == MDB_SUCCESS && key->mv_size == sizeof wanted &&
             key_get_u32(key->mv_data) != ordinal)
        code = mdb_cursor_get(cursor, key, value, MDB_PREV);
    if (code != MDB_SUCCESS || key->mv_size != sizeof wanted ||
        value->mv_size != EXTENT_BYTES || key_get_u32(key->mv_data) > ordinal)
        return ERR_CORRUPT;
    return 0;
}

/* The group that begins there, if it is in the cache. */
static bool find_group(struct span_reader *reader, struct unpacked *unpacked, uint32_t first)
{
    const struct group_key wanted = {
        .generation = span_reader_generation(reader), .first = first, .letter = unpacked->letter};
    unpacked->cached = group_cache_find(reader->span->set->groups, wanted, &unpacked->view);
    unpacked->first = first;
    return unpacked->cached != NULL;
}

/* The group whose row that is, out of the file. */
static int read_group(struct span_reader *reader, struct unpacked *unpacked, const MDB_val *key,
                      const MDB_val *value)
{
    struct group_cache *cache = reader->span->set->groups;
    const struct group_key wanted = {
        .generation = span_reader_generation(reader),
        .first = unpacked->first,
        .letter = unpacked->letter,
    };
    struct bytes bytes;
    int error = sealed_extent(reader, unpacked->letter, bytes_of_val(*key), value->mv_data,
                              &unpacked->joined, &bytes);
    if (error == 0)
        error = group_unpack(bytes, &unpacked->raw, &unpacked->table, &unpacked->view);
    if (error == 0)
        group_cache_offer(cache, wanted, &unpacked->view);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

/* The group of a series: from the cache, or out of the file. */
static int obtain_group(struct span_reader *reader, struct unpacked *unpacked, uint32_t ordinal)
{
    const struct selected *expected = &reader->expected;
    MDB_val key;
    MDB_val value;
    if (expected->ordinal == ordinal &&
        find_group(reader, unpacked,
                   unpacked == &reader->chunks ? expected->group : expected->block))
        return 0;
    int error = span_reader_map(reader);
    if (error == 0)
        error = find_row(unpacked->cursor, ordinal, &key, &value);
    if (error != 0 || find_group(reader, unpacked, key_get_u32(key.mv_data)))
        return error;
    return read_group(reader, unpacked, &key, &value);
}

static int entry_of(struct span_reader *reader, struct unpacked *unpacked, uint32_t ordinal,
                    struct bytes *ret_entry)
{
    if (!unpacked->valid || ordinal < unpacked->first ||
        ordinal - unpacked->first >= unpacked->view.count) {
        unpacked->valid = false;
        group_cache_release(reader->span->set->groups, unpacked->cached);
        unpacked->cached = NULL;
        int error = obtain_group(reader, unpacked, ordinal);
        if (error != 0)
            return error;
        unpacked->valid = true;
        if (ordinal - unpacked->first >= unpacked->view.count)
            return ERR_CORRUPT;
    }
    *ret_entry = group_entry(&unpacked->view, ordinal - unpacked->first);
    return 0;
}

int span_reader_place(struct span_reader *reader, uint32_t ordinal, struct selected *ret_place)
{
    MDB_val key;
    MDB_val value;
    int error = find_row(reader->chunks.cursor, ordinal, &key, &value);
    if (error != 0)
        return error;
    *ret_place = (struct selected){.ordinal = ordinal, .group = key_get_u32(key.mv_data)};
    error = find_row(reader->blocks.cursor, ordinal, &key, &value);
    if (error == 0)
        ret_place->block = key_get_u32(key.mv_data);
    return error;
}

int span_reader_label_bytes(struct span_reader *reader, uint32_t ordinal,
                            struct bytes *ret_bytes)
{
    return entry_of(reader, &reader->blocks, ordinal, ret_bytes);
}

int span_reader_labels(struct span_reader *reader, uint32_t ordinal, struct arena *arena,
                       const struct labels **ret_labels)
{
    struct bytes entry;
    int error = entry_of(reader, &reader->blocks, ordinal, &entry);
    if (error != 0)
        return error;
    struct reader bytes = reader_of(entry);
    error = labels_read(&bytes, arena, ret_labels);
    if (error == ERR_NOMEM)
        return ERR_LIMIT;
    return error == 0 ? 0 : ERR_CORRUPT;
}

int span_reader_entry(struct span_reader *reader, uint32_t ordinal, struct bytes *ret_entry)
{
    return entry_of(reader, &reader->chunks, ordinal, ret_entry);
}

int span_entry_chunks(struct bytes entry, int (*each)(void *context, struct bytes chunk),
                      void *context)
{
    struct reader sizes = reader_of(entry);
    uint64_t count = reader_varint(&sizes);
    if (sizes.failed || count > reader_left(&sizes))
        return ERR_MALFORMED;
    struct reader chunks = sizes;
    for (uint64_t i = 0; i < count; i++)
        (void)reader_varint(&chunks);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t size = reader_varint(&sizes);
        if (chunks.failed || size > reader_left(&chunks))
            return ERR_MALFORMED;
        int stop = each(context, reader_bytes(&chunks, (size_t)size));
        if (stop != 0)
            return stop;
    }
    return 0;
}

/* -- logs -------------------------------------------------------------------------------- */

#define LOG_VALUE_BYTES    (EXTENT_BYTES + 16)
#define LOG_TIME_KEY_BYTES 12
#define LOG_TIME_ROW_BYTES (8 + LOG_KEY_BYTES)

static int visit_block(struct span_reader *reader, struct bytes key, struct bytes value,
                       span_log_visit *visit, void *context)
{
    struct bytes block;
    if (key.size != LOG_KEY_BYTES || value.size != LOG_VALUE_BYTES) {
        span_reader_complain(reader, "a log row");
        return 0;
    }
    int error = sealed_extent(reader, 'l', key, value.data, &reader->joined, &block);
    if (error == ERR_CORRUPT) {
        span_reader_complain(reader, "a log block");
        return 0;
    }
    if (error != 0)
        return error;
    struct log_key log_key = {key_get_u64(key.data), key_get_u64(key.data + 8),
                              key_get_u64(key.data + 16)};
    return visit(context, log_key, block);
}

int span_reader_logs(struct span_reader *reader, uint64_t stream_id, int64_t from_ms,
                     int64_t until_ms, span_log_visit *visit, void *context)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val row;
    int stop = 0;
    int code = mdb_cursor_open(reader->txn, reader->tables[SPAN_LOGS_BY_TIME], &cursor);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    while (stop == 0 && mdb_cursor_get(cursor, &key, &row, MDB_NEXT) == MDB_SUCCESS) {
        if (key.mv_size != LOG_TIME_KEY_BYTES || row.mv_size != LOG_TIME_ROW_BYTES)
            continue;
        if (key_get_i64(key.mv_data) > until_ms)
            break;
        if (key_get_i64(row.mv_data) < from_ms ||
            (stream_id != 0 && key_get_u64((uint8_t *)row.mv_data + 8) != stream_id))
            continue;
        MDB_val log_key = {LOG_KEY_BYTES, (uint8_t *)row.mv_data + 8};
        MDB_val value;
        code = mdb_get(reader->txn, reader->tables[SPAN_LOGS_TABLE], &log_key, &value);
        if (code != MDB_SUCCESS)
            span_reader_complain(reader, "a log row");
        else
            stop =
                visit_block(reader, (struct bytes){(uint8_t *)row.mv_data + 8, LOG_KEY_BYTES},
                            bytes_of_val(value), visit, context);
    }
    mdb_cursor_close(cursor);
    return stop;
}

int span_reader_logs_in_order(struct span_reader *reader, span_log_visit *visit, void *context)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int stop = 0;
    int code = mdb_cursor_open(reader->txn, reader->tables[SPAN_LOGS_TABLE], &cursor);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    while (stop == 0 && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS)
        stop = visit_block(reader, bytes_of_val(key), bytes_of_val(value), visit, context);
    mdb_cursor_close(cursor);
    return stop;
}
