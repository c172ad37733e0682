/*
 * wal.c - records of commits: columns of samples, and log lines.
 */
#include "collector/store/wal.h"

#include <endian.h>
#include <string.h>

#include "collector/store/head.h"
#include "collector/store/wal_values.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define RECORD_VERSION       2
#define RECORD_VERSION_PLAIN 1 /* still read */
#define RUN_BYTES_MAX        20
#define KEY_BYTES            10
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
    buf_done(&encoder->nibbles);
    buf_done(&encoder->words);
    buf_done(&encoder->logs);
    buf_done(&encoder->record);
}

void wal_encoder_clear(struct wal_encoder *encoder)
{
    buf_clear(&encoder->ids);
    buf_clear(&encoder->times);
    buf_clear(&encoder->nibbles);
    buf_clear(&encoder->words);
    buf_clear(&encoder->logs);
    buf_clear(&encoder->record);
    encoder->sample_count = 0;
    encoder->log_count = 0;
    encoder->id_run = encoder->time_run = (struct wal_run){0};
    encoder->last_bits = 0;
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

static uint8_t *end_run(uint8_t *to, const struct wal_run *run)
{
    if (run->length > 0)
        to = put_varint(put_varint(to, zigzag(run->step)), run->length - 1);
    return to;
}

static inline uint8_t *add_to_run(uint8_t *to, struct wal_run *run, uint64_t value)
{
    uint64_t step = value - run->last;
    run->last = value;
    if (step == run->step && run->length > 0) {
        run->length++;
        return to;
    }
    to = end_run(to, run);
    run->step = step;
    run->length = 1;
    return to;
}

static void add_samples(struct wal_encoder *encoder, const struct store_sample *samples,
                        size_t count)
{
    uint8_t *ids = buf_reserve(&encoder->ids, (count + 1) * RUN_BYTES_MAX);
    uint8_t *times = buf_reserve(&encoder->times, (count + 1) * RUN_BYTES_MAX);
    uint8_t *words = buf_reserve(&encoder->words, (count + 1) * sizeof(uint64_t));
    size_t nibbles_size = ((size_t)encoder->sample_count + count + 1) / 2;
    if (buf_reserve(&encoder->nibbles, nibbles_size - encoder->nibbles.size) == NULL ||
        ids == NULL || times == NULL || words == NULL)
        return;
    uint8_t *nibbles = encoder->nibbles.data;
    const struct series *before = NULL;
    /* Their own, so that no byte written can be taken for a part of them. */
    struct wal_run id_run = encoder->id_run, time_run = encoder->time_run;
    uint64_t id = id_run.last, last_bits = encoder->last_bits;
    size_t at = (size_t)encoder->sample_count;
    size_t run_start = 0;
    for (size_t i = 0; i < count; i++, at++) {
        uint64_t old_id = id;
        if (samples[i].series != before) {
            store_run_begin(samples, count, i, &run_start);
            before = samples[i].series;
            id = before->id;
        }
        uint64_t old_bits = at > 0 && id == old_id ? last_bits : 0;
        memcpy(&last_bits, &samples[i].value, sizeof last_bits);
        ids = add_to_run(ids, &id_run, id);
        times = add_to_run(times, &time_run, (uint64_t)samples[i].ts_ms);
        unsigned nibble;
        words = wal_put_word(words, last_bits ^ old_bits, &nibble);
        nibbles[at / 2] = (uint8_t)(at % 2 == 0 ? nibble : nibbles[at / 2] | nibble << 4);
    }
    encoder->id_run = id_run;
    encoder->time_run = time_run;
    encoder->last_bits = last_bits;
    encoder->ids.size = (size_t)(ids - encoder->ids.data);
    encoder->times.size = (size_t)(times - encoder->times.data);
    encoder->words.size = (size_t)(words - encoder->words.data);
    encoder->nibbles.size = nibbles_size;
    encoder->sample_count = at;
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
    uint8_t run[RUN_BYTES_MAX];
    if (!buf_ok(&encoder->ids) || !buf_ok(&encoder->times) || !buf_ok(&encoder->nibbles) ||
        !buf_ok(&encoder->words) || !buf_ok(&encoder->logs))
        return ERR_NOMEM;
    buf_put_u8(out, RECORD_VERSION);
    buf_put_varint(out, encoder->sample_count);
    buf_put(out, encoder->ids.data, encoder->ids.size);
    buf_put(out, run, (size_t)(end_run(run, &encoder->id_run) - run));
    buf_put(out, encoder->times.data, encoder->times.size);
    buf_put(out, run, (size_t)(end_run(run, &encoder->time_run) - run));
    buf_put(out, encoder->nibbles.data, encoder->nibbles.size);
    buf_put(out, encoder->words.data, encoder->words.size);
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

/* Version 1. */
static bool decode_plain_samples(struct reader *reader, uint64_t *ids, int64_t *times,
                                 double *values, uint64_t count)
{
    uint64_t id = 0;
    for (size_t i = 0; i < count; i++)
        ids[i] = id += (uint64_t)reader_zigzag(reader);
    uint64_t ms = 0;
    for (size_t i = 0; i < count; i++)
        times[i] = (int64_t)(ms += (uint64_t)reader_zigzag(reader));
    struct bytes raw = reader_bytes(reader, count * sizeof(double));
    if (!reader->failed)
        memcpy(values, raw.data, raw.size);
    return !reader->failed;
}

static bool decode_runs(struct reader *reader, uint64_t *numbers, uint64_t count)
{
    uint64_t number = 0;
    for (uint64_t i = 0; i < count;) {
        uint64_t step = (uint64_t)reader_zigzag(reader);
        uint64_t more = reader_varint(reader);
        if (reader->failed || more >= count - i)
            return false;
        for (uint64_t end = i + more + 1; i < end; i++)
            numbers[i] = number += step;
    }
    return true;
}

static bool decode_samples(struct reader *reader, uint64_t *ids, int64_t *times, double *values,
                           uint64_t count)
{
    if (!decode_runs(reader, ids, count) || !decode_runs(reader, (uint64_t *)times, count))
        return false;
    struct bytes nibbles = reader_bytes(reader, (size_t)(count + 1) / 2);
    if (reader->failed)
        return false;
    uint64_t bits = 0;
    for (uint64_t i = 0; i < count; i++) {
        unsigned nibble = nibbles.data[i / 2] >> (i % 2 * 4) & 15;
        uint64_t word = wal_get_word(reader, nibble);
        bits = i > 0 && ids[i] == ids[i - 1] ? bits ^ word : word;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return !reader->failed;
}

/* The version, and the samples. */
static int decode_start(struct reader *reader, struct arena *arena, struct wal_record *record)
{
    const uint8_t version = reader_u8(reader);
    const bool is_plain = version == RECORD_VERSION_PLAIN;
    if (!is_plain && version != RECORD_VERSION)
        return ERR_MALFORMED;
    const uint64_t count = reader_varint(reader);
    /* A sample takes ten bytes, or a nibble, or more: a false count is caught before it allocates. */
    if (reader->failed ||
        (is_plain ? count > reader_left(reader) / 10 : count / 2 > reader_left(reader)))
        return ERR_MALFORMED;
    if (count == 0)
        return 0;
    uint64_t *ids = arena_alloc(arena, count, sizeof *ids);
    int64_t *times = arena_alloc(arena, count, sizeof *times);
    double *values = arena_alloc(arena, count, sizeof *values);
    if (ids == NULL || times == NULL || values == NULL)
        return ERR_NOMEM;
    if (!(is_plain ? decode_plain_samples : decode_samples)(reader, ids, times, values, count))
        return ERR_MALFORMED;
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
    int error = decode_start(&reader, arena, &record);
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
    int error = decode_start(&reader, arena, &record);
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
