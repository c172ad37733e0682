/*
 * wal.c - records of commits: columns of samples, and log lines.
 */
#include "collector/store/wal.h"

#include <endian.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define RECORD_VERSION 1
#define KEY_BYTES      10
/* LMDB keeps a large value in pages of its own behind a header of 16 bytes: eight pages, full.
 */
#define PART_BYTES        ((size_t)8 * 4096 - 16 - SEAL_BYTES)
#define PART_HEADER_BYTES 4
#define PARTS_MAX         UINT16_MAX
_Static_assert(WAL_RECORD_BYTES_MAX / (PART_BYTES - PART_HEADER_BYTES) < PARTS_MAX,
               "any record has parts enough");

/* -- encoding ---------------------------------------------------------------------------- */

void wal_encoder_init(struct wal_encoder *encoder)
{
    *encoder = (struct wal_encoder){0};
    buf_init(&encoder->record, WAL_RECORD_BYTES_MAX);
}

void wal_encoder_done(struct wal_encoder *encoder)
{
    buf_done(&encoder->ids);
    buf_done(&encoder->times);
    buf_done(&encoder->values);
    buf_done(&encoder->logs);
    buf_done(&encoder->record);
}

void wal_encoder_clear(struct wal_encoder *encoder)
{
    buf_clear(&encoder->ids);
    buf_clear(&encoder->times);
    buf_clear(&encoder->values);
    buf_clear(&encoder->logs);
    buf_clear(&encoder->record);
    encoder->sample_count = 0;
    encoder->log_count = 0;
    encoder->last_id = 0;
    encoder->last_ms = 0;
}

static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static uint64_t zigzag(uint64_t difference)
{
    return (difference << 1) ^ (0 - (difference >> 63));
}

static void add_samples(struct wal_encoder *encoder, const struct store_sample *samples,
                        size_t count)
{
    uint8_t *ids = buf_reserve(&encoder->ids, count * 10);
    uint8_t *times = buf_reserve(&encoder->times, count * 10);
    uint8_t *values = buf_reserve(&encoder->values, count * sizeof(double));
    if (ids == NULL || times == NULL || values == NULL)
        return;
    uint64_t last_id = encoder->last_id;
    uint64_t last_ms = (uint64_t)encoder->last_ms;
    for (size_t i = 0; i < count; i++) {
        if (i + STORE_SERIES_AHEAD < count)
            store_series_prefetch(samples[i + STORE_SERIES_AHEAD].series);
        uint64_t id = store_series_id(samples[i].series);
        uint64_t ms = (uint64_t)samples[i].ts_ms;
        ids = put_varint(ids, zigzag(id - last_id));
        times = put_varint(times, zigzag(ms - last_ms));
        memcpy(values + i * sizeof(double), &samples[i].value, sizeof(double));
        last_id = id;
        last_ms = ms;
    }
    encoder->ids.size = (size_t)(ids - encoder->ids.data);
    encoder->times.size = (size_t)(times - encoder->times.data);
    encoder->values.size += count * sizeof(double);
    encoder->last_id = last_id;
    encoder->last_ms = (int64_t)last_ms;
    encoder->sample_count += count;
}

static void add_log(struct wal_encoder *encoder, const struct store_log_chunk *log)
{
    struct buf *out = &encoder->logs;
    uint64_t offset = 0;
    uint64_t ms = 0;

    buf_put_varint(out, log->stream_id);
    buf_put_varint(out, log->chunk.file_id);
    buf_put_sized(out, log->chunk.path);
    buf_put_varint(out, log->chunk.count);
    for (size_t i = 0; i < log->chunk.count; i++) {
        const struct log_line *line = &log->chunk.lines[i];
        buf_put_varint(out, line->offset - offset);
        buf_put_zigzag(out, (int64_t)((uint64_t)line->ts_ms - ms));
        buf_put_varint(out, line->severity);
        buf_put_varint(out, line->flags);
        buf_put_sized(out, line->text);
        offset = line->offset;
        ms = (uint64_t)line->ts_ms;
    }
    encoder->log_count++;
}

void wal_encoder_add(struct wal_encoder *encoder, const struct store_write *write)
{
    if (write->sample_count > 0)
        add_samples(encoder, write->samples, write->sample_count);
    for (size_t i = 0; i < write->log_count; i++)
        add_log(encoder, &write->logs[i]);
}

int wal_encoder_finish(struct wal_encoder *encoder, struct bytes *ret_record)
{
    struct buf *out = &encoder->record;
    if (!buf_ok(&encoder->ids) || !buf_ok(&encoder->times) || !buf_ok(&encoder->values) ||
        !buf_ok(&encoder->logs))
        return ERR_NOMEM;
    buf_put_u8(out, RECORD_VERSION);
    buf_put_varint(out, encoder->sample_count);
    buf_put(out, encoder->ids.data, encoder->ids.size);
    buf_put(out, encoder->times.data, encoder->times.size);
    buf_put(out, encoder->values.data, encoder->values.size);
    buf_put_varint(out, encoder->log_count);
    buf_put(out, encoder->logs.data, encoder->logs.size);
    if (!buf_ok(out))
        return ERR_NOMEM;
    *ret_record = buf_bytes(out);
    return 0;
}

/* -- rows -------------------------------------------------------------------------------- */

int wal_put(const struct live *live, MDB_txn *txn, uint64_t commit, struct bytes record)
{
    uint8_t key[KEY_BYTES];
    key_put_u64(key, commit);
    uint32_t size = htole32((uint32_t)record.size);
    size_t at = 0;

    for (unsigned part = 0; at < record.size; part++) {
        must(part < PARTS_MAX);
        key[8] = (uint8_t)(part >> 8);
        key[9] = (uint8_t)part;
        size_t piece = record.size - at;
        if (piece > PART_BYTES - PART_HEADER_BYTES)
            piece = PART_BYTES - PART_HEADER_BYTES;
        MDB_val k = {KEY_BYTES, key};
        MDB_val v = {SEAL_BYTES + PART_HEADER_BYTES + piece, NULL};
        int code = mdb_put(txn, live->tables[LIVE_WAL], &k, &v, MDB_APPEND | MDB_RESERVE);
        if (code != MDB_SUCCESS)
            return code;
        uint8_t *value = v.mv_data;
        memcpy(value + SEAL_BYTES, &size, sizeof size);
        memcpy(value + SEAL_BYTES + PART_HEADER_BYTES, record.data + at, piece);
        struct bytes payload = {value + SEAL_BYTES, PART_HEADER_BYTES + piece};
        uint64_t seal = htole64(seal_of((struct bytes){key, KEY_BYTES}, payload));
        memcpy(value, &seal, SEAL_BYTES);
        at += piece;
    }
    return MDB_SUCCESS;
}

int wal_delete(const struct live *live, MDB_txn *txn, uint64_t through, size_t limit,
               bool *ret_more)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    bool more = false;
    int code = mdb_cursor_open(txn, live->tables[LIVE_WAL], &cursor);
    if (code != MDB_SUCCESS)
        return code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == MDB_SUCCESS &&
           key.mv_size == KEY_BYTES && key_get_u64(key.mv_data) <= through) {
        if (limit-- == 0) {
            more = true;
            break;
        }
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return code;
    *ret_more = more;
    return MDB_SUCCESS;
}

/* -- decoding ---------------------------------------------------------------------------- */

static int decode_samples(struct reader *reader, struct arena *arena, struct wal_record *record)
{
    uint64_t count = reader_varint(reader);
    /* A sample takes ten bytes or more, so a false count is caught before it allocates. */
    if (reader->failed || count > reader_left(reader) / 10)
        return ERR_MALFORMED;
    if (count == 0)
        return 0;
    uint64_t *ids = arena_alloc(arena, count, sizeof *ids);
    int64_t *times = arena_alloc(arena, count, sizeof *times);
    double *values = arena_alloc(arena, count, sizeof *values);
    if (ids == NULL || times == NULL || values == NULL)
        return ERR_NOMEM;
    uint64_t id = 0;
    for (size_t i = 0; i < count; i++)
        ids[i] = id += (uint64_t)reader_zigzag(reader);
    uint64_t ms = 0;
    for (size_t i = 0; i < count; i++)
        times[i] = (int64_t)(ms += (uint64_t)reader_zigzag(reader));
    struct bytes raw = reader_bytes(reader, count * sizeof(double));
    if (reader->failed)
        return ERR_MALFORMED;
    memcpy(values, raw.data, raw.size);
    record->ids = ids;
    record->times_ms = times;
    record->values = values;
    record->sample_count = count;
    return 0;
}

static int decode_log(struct reader *reader, struct arena *arena, struct store_log_chunk *log)
{
    log->stream_id = reader_varint(reader);
    log->chunk.file_id = reader_varint(reader);
    log->chunk.path = reader_sized(reader);
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader) / 5)
        return ERR_MALFORMED;
    struct log_line *lines = arena_alloc(arena, count == 0 ? 1 : count, sizeof *lines);
    if (lines == NULL)
        return ERR_NOMEM;
    uint64_t offset = 0;
    uint64_t ms = 0;
    for (size_t i = 0; i < count && !reader->failed; i++) {
        lines[i].offset = offset += reader_varint(reader);
        lines[i].ts_ms = (int64_t)(ms += (uint64_t)reader_zigzag(reader));
        lines[i].severity = (uint32_t)reader_varint(reader);
        lines[i].flags = (uint32_t)reader_varint(reader);
        lines[i].text = reader_sized(reader);
    }
    log->chunk.lines = lines;
    log->chunk.count = count;
    return reader->failed ? ERR_MALFORMED : 0;
}

int wal_decode(struct bytes bytes, struct arena *arena, struct wal_record *ret_record)
{
    struct reader reader = reader_of(bytes);
    struct wal_record record = {0};
    if (reader_u8(&reader) != RECORD_VERSION)
        return ERR_MALFORMED;
    int error = decode_samples(&reader, arena, &record);
    if (error != 0)
        return error;
    uint64_t logs = reader_varint(&reader);
    if (reader.failed || logs > reader_left(&reader) / 4)
        return ERR_MALFORMED;
    if (logs > 0) {
        struct store_log_chunk *chunks = arena_alloc(arena, logs, sizeof *chunks);
        if (chunks == NULL)
            return ERR_NOMEM;
        for (size_t i = 0; i < logs && error == 0; i++)
            error = decode_log(&reader, arena, &chunks[i]);
        record.logs = chunks;
        record.log_count = logs;
    }
    if (error == 0 && reader_left(&reader) != 0)
        error = ERR_MALFORMED;
    if (error == 0)
        *ret_record = record;
    return error;
}

int wal_decode_samples(struct bytes bytes, struct arena *arena, struct wal_record *ret_record)
{
    struct reader reader = reader_of(bytes);
    struct wal_record record = {0};
    if (reader_u8(&reader) != RECORD_VERSION)
        return ERR_MALFORMED;
    int error = decode_samples(&reader, arena, &record);
    if (error == 0)
        *ret_record = record;
    return error;
}

/* -- replay ------------------------------------------------------------------------------ */

struct replay {
    struct buf record;
    uint64_t commit;
    size_t total;
    unsigned next_part;
    bool broken;
};

/* Takes a part; whether the record is whole now. */
static bool take_part(struct replay *replay, struct bytes key, struct bytes value)
{
    uint64_t commit = key_get_u64(key.data);
    unsigned part = (unsigned)key.data[8] << 8 | key.data[9];
    struct bytes payload;

    if (part == 0) {
        buf_clear(&replay->record);
        replay->commit = commit;
        replay->next_part = 0;
        replay->broken = false;
    }
    if (sealed_open(key, value, &payload) != 0 || payload.size < PART_HEADER_BYTES ||
        commit != replay->commit || part != replay->next_part++)
        replay->broken = true;
    if (replay->broken)
        return false;
    struct reader reader = reader_of(payload);
    replay->total = reader_u32(&reader);
    buf_put(&replay->record, reader.at, reader_left(&reader));
    return buf_ok(&replay->record) && replay->record.size == replay->total;
}

int wal_replay(struct live *live, uint64_t after_commit,
               int (*each)(void *context, uint64_t commit, struct bytes record), void *context,
               uint64_t *ret_last_commit, uint64_t *ret_bad)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct replay replay = {.record = {.limit = WAL_RECORD_BYTES_MAX}};
    uint64_t last = after_commit;
    uint64_t seen = 0;
    uint64_t whole = 0;
    int error = 0;
    uint8_t start[KEY_BYTES] = {0};

    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_WAL], &cursor);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return error_from_lmdb(code);
    }
    key_put_u64(start, after_commit + 1);
    MDB_val key = {KEY_BYTES, start};
    MDB_val value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (code == MDB_SUCCESS && error == 0) {
        if (key.mv_size == KEY_BYTES) {
            uint64_t commit = key_get_u64(key.mv_data);
            /* Behind the first they follow one another; those that do not are lost. */
            seen += last > after_commit && commit > last ? commit - last : commit != last;
            last = commit;
            if (take_part(&replay, bytes_of_val(key), bytes_of_val(value))) {
                whole++;
                error = each(context, commit, buf_bytes(&replay.record));
            }
        }
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    buf_done(&replay.record);
    if (error == 0 && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        error = error_from_lmdb(code);
    if (error == 0) {
        *ret_last_commit = last;
        *ret_bad = seen - whole;
    }
    return error;
}
