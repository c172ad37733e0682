/*
 * plain.c - the plain form of a batch, byte by byte.
 *
 *   size      field                      (varints are LEB128, zigzag ones signed, the rest
 *     1       version: 1                  little-endian; `delta` is to the entry before, the
 *     8       tick, Unix ms               first entry is written whole)
 *     v       definition count
 *             columns of the tick:
 *     v         sample count n
 *     n x v     refs: the first, then deltas >= 1
 *     n x 8     values, IEEE 754 binary64 bits
 *     v       late groups, each:
 *     8         Unix ms
 *               columns, as above
 *     v       ended refs, count
 *     n x v     the first, then deltas >= 1
 *     v       log chunks, each:
 *     8         file generation
 *     v + n     path
 *     v         lines, each:
 *     v           offset: the first, then deltas >= 1
 *     z           time minus tick, ms, modulo 2^64
 *     v           severity
 *     v           flags
 *     v + n       text
 *     v       records, each:
 *     v         kind
 *     z         time minus tick, ms, modulo 2^64
 *     v + n     data
 *
 * Nothing may follow.  A count is believed only after it fits both its limit and the bytes that
 * are left, so a short input cannot ask for much memory.
 */
#include "proto/wire/plain.h"

#include <endian.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/wire/envelope.h"

#define PLAIN_VERSION 1

_Static_assert(sizeof(double) == sizeof(uint64_t), "values travel as 64 bits");

/* ---- limits, shared by both directions ------------------------------------------------- */

static bool refs_are_fit(const uint64_t *refs, size_t count, uint64_t definition_count)
{
    for (size_t i = 1; i < count; i++) {
        if (refs[i] <= refs[i - 1])
            return false;
    }
    return count == 0 || refs[count - 1] < definition_count;
}

static bool samples_are_fit(const struct plain_batch *batch)
{
    size_t total = batch->samples.count;

    if (total > BATCH_SAMPLES_MAX || batch->late_count > BATCH_LATE_MAX ||
        batch->ended_count > BATCH_SAMPLES_MAX || batch->definition_count > REFS_MAX)
        return false;
    if (!refs_are_fit(batch->samples.refs, total, batch->definition_count) ||
        !refs_are_fit(batch->ended, batch->ended_count, batch->definition_count))
        return false;
    for (size_t i = 0; i < batch->late_count; i++) {
        const struct sample_columns *late = &batch->late[i].samples;
        if (late->count > BATCH_SAMPLES_MAX - total)
            return false;
        if (!refs_are_fit(late->refs, late->count, batch->definition_count))
            return false;
        total += late->count;
    }
    return true;
}

static bool lines_are_fit(const struct log_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->lines[i].text.size > LOG_LINE_BYTES_MAX)
            return false;
        if (i > 0 && chunk->lines[i].offset <= chunk->lines[i - 1].offset)
            return false;
    }
    return true;
}

static bool logs_are_fit(const struct plain_batch *batch)
{
    size_t lines = 0;

    if (batch->log_count > BATCH_LOG_CHUNKS_MAX || batch->record_count > BATCH_RECORDS_MAX)
        return false;
    for (size_t i = 0; i < batch->log_count; i++) {
        const struct log_chunk *chunk = &batch->logs[i];
        if (chunk->count > BATCH_LOG_LINES_MAX - lines ||
            chunk->path.size > LOG_PATH_BYTES_MAX || !lines_are_fit(chunk))
            return false;
        lines += chunk->count;
    }
    for (size_t i = 0; i < batch->record_count; i++) {
        if (batch->records[i].data.size > RECORD_BYTES_MAX)
            return false;
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------- */

/* Refs and values pass through a block on the stack: one put for many, and no byte of slack. */
#define BLOCK        64
#define VARINT_BYTES 10

static size_t varint_write(uint8_t *to, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        to[size++] = (uint8_t)(value | 0x80);
    to[size++] = (uint8_t)value;
    return size;
}

static void put_refs(struct buf *out, const uint64_t *refs, size_t count)
{
    uint8_t block[BLOCK * VARINT_BYTES];
    uint64_t before = 0;

    buf_put_varint(out, count);
    for (size_t at = 0; at < count;) {
        size_t end = count - at < BLOCK ? count : at + BLOCK;
        size_t size = 0;
        for (; at < end; at++) {
            size += varint_write(block + size, refs[at] - before);
            before = refs[at];
        }
        buf_put(out, block, size);
    }
}

static void put_columns(struct buf *out, const struct sample_columns *columns)
{
    uint64_t block[BLOCK];

    put_refs(out, columns->refs, columns->count);
    for (size_t at = 0; at < columns->count; at += BLOCK) {
        size_t n = columns->count - at < BLOCK ? columns->count - at : BLOCK;
        memcpy(block, columns->values + at, n * sizeof *block);
        for (size_t i = 0; i < n; i++)
            block[i] = htole64(block[i]);
        buf_put(out, block, n * sizeof *block);
    }
}

static void put_time(struct buf *out, int64_t ts_ms, int64_t tick_ms)
{
    buf_put_zigzag(out, (int64_t)((uint64_t)ts_ms - (uint64_t)tick_ms));
}

static void put_chunk(struct buf *out, const struct log_chunk *chunk, int64_t tick_ms)
{
    buf_put_u64(out, chunk->file_id);
    buf_put_sized(out, chunk->path);
    buf_put_varint(out, chunk->count);
    for (size_t i = 0; i < chunk->count; i++) {
        const struct log_line *line = &chunk->lines[i];
        buf_put_varint(out, i == 0 ? line->offset : line->offset - chunk->lines[i - 1].offset);
        put_time(out, line->ts_ms, tick_ms);
        buf_put_varint(out, line->severity);
        buf_put_varint(out, line->flags);
        buf_put_sized(out, line->text);
    }
}

int plain_write(const struct plain_batch *batch, struct buf *out)
{
    size_t start = out->size;

    if (!samples_are_fit(batch) || !logs_are_fit(batch))
        return ERR_LIMIT;
    buf_put_u8(out, PLAIN_VERSION);
    buf_put_u64(out, (uint64_t)batch->tick_ms);
    buf_put_varint(out, batch->definition_count);
    put_columns(out, &batch->samples);
    buf_put_varint(out, batch->late_count);
    for (size_t i = 0; i < batch->late_count; i++) {
        buf_put_u64(out, (uint64_t)batch->late[i].ts_ms);
        put_columns(out, &batch->late[i].samples);
    }
    put_refs(out, batch->ended, batch->ended_count);
    buf_put_varint(out, batch->log_count);
    for (size_t i = 0; i < batch->log_count; i++)
        put_chunk(out, &batch->logs[i], batch->tick_ms);
    buf_put_varint(out, batch->record_count);
    for (size_t i = 0; i < batch->record_count; i++) {
        buf_put_varint(out, batch->records[i].kind);
        put_time(out, batch->records[i].ts_ms, batch->tick_ms);
        buf_put_sized(out, batch->records[i].data);
    }
    if (!buf_ok(out))
        return ERR_NOMEM;
    if (out->size - start > BATCH_PLAIN_BYTES_MAX) {
        out->size = start;
        return ERR_LIMIT;
    }
    return 0;
}

/* ---- reading --------------------------------------------------------------------------- */

/* A count of things that take at least `least_bytes` each. */
static int get_count(struct reader *reader, size_t limit, size_t least_bytes, size_t *ret_count)
{
    uint64_t count = reader_varint(reader);
    if (reader->failed)
        return ERR_MALFORMED;
    if (count > limit)
        return ERR_LIMIT;
    if (count > reader_left(reader) / least_bytes)
        return ERR_MALFORMED;
    *ret_count = (size_t)count;
    return 0;
}

static uint32_t get_u32(struct reader *reader)
{
    uint64_t value = reader_varint(reader);
    if (value > UINT32_MAX)
        reader->failed = true;
    return (uint32_t)value;
}

static int64_t get_time(struct reader *reader, int64_t tick_ms)
{
    return (int64_t)((uint64_t)reader_zigzag(reader) + (uint64_t)tick_ms);
}

/* The next of an ascending run: the first is written whole, the rest as deltas >= 1. */
static uint64_t get_ascending(struct reader *reader, bool is_first, uint64_t before)
{
    uint64_t delta = reader_varint(reader);
    uint64_t value = 0;
    if (is_first)
        return delta;
    if (delta == 0 || __builtin_add_overflow(before, delta, &value))
        reader->failed = true;
    return value;
}

static int get_refs(struct reader *reader, size_t least_bytes, struct arena *arena,
                    const uint64_t **ret_refs, size_t *ret_count)
{
    size_t count = 0;
    int error = get_count(reader, BATCH_SAMPLES_MAX, least_bytes, &count);
    if (error != 0)
        return error;
    uint64_t *refs = arena_alloc(arena, count, sizeof *refs);
    if (refs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && !reader->failed; i++)
        refs[i] = get_ascending(reader, i == 0, i == 0 ? 0 : refs[i - 1]);
    *ret_refs = refs;
    *ret_count = count;
    return reader->failed ? ERR_MALFORMED : 0;
}

static int get_columns(struct reader *reader, struct arena *arena,
                       struct sample_columns *columns)
{
    int error = get_refs(reader, 1 + sizeof(double), arena, &columns->refs, &columns->count);
    if (error != 0)
        return error;
    double *values = arena_alloc(arena, columns->count, sizeof *values);
    if (values == NULL)
        return ERR_NOMEM;
    struct bytes raw = reader_bytes(reader, columns->count * sizeof *values);
    if (reader->failed)
        return ERR_MALFORMED;
    for (size_t i = 0; i < columns->count; i++) {
        uint64_t bits;
        memcpy(&bits, raw.data + i * sizeof bits, sizeof bits);
        bits = le64toh(bits);
        memcpy(&values[i], &bits, sizeof bits);
    }
    columns->values = values;
    return 0;
}

static int get_late(struct reader *reader, struct arena *arena, struct plain_batch *batch)
{
    int error = get_count(reader, BATCH_LATE_MAX, sizeof(uint64_t) + 1, &batch->late_count);
    if (error != 0)
        return error;
    struct late_samples *late = arena_alloc(arena, batch->late_count, sizeof *late);
    if (late == NULL)
        return ERR_NOMEM;
    batch->late = late;
    for (size_t i = 0; i < batch->late_count && error == 0; i++) {
        late[i].ts_ms = (int64_t)reader_u64(reader);
        error = get_columns(reader, arena, &late[i].samples);
    }
    return error;
}

static int get_chunk(struct reader *reader, struct arena *arena, int64_t tick_ms,
                     struct log_chunk *chunk)
{
    chunk->file_id = reader_u64(reader);
    chunk->path = reader_sized(reader);
    int error = get_count(reader, BATCH_LOG_LINES_MAX, 5, &chunk->count);
    if (error != 0)
        return error;
    struct log_line *lines = arena_alloc(arena, chunk->count, sizeof *lines);
    if (lines == NULL)
        return ERR_NOMEM;
    chunk->lines = lines;
    for (size_t i = 0; i < chunk->count && !reader->failed; i++) {
        lines[i].offset = get_ascending(reader, i == 0, i == 0 ? 0 : lines[i - 1].offset);
        lines[i].ts_ms = get_time(reader, tick_ms);
        lines[i].severity = get_u32(reader);
        lines[i].flags = get_u32(reader);
        lines[i].text = reader_sized(reader);
    }
    return reader->failed ? ERR_MALFORMED : 0;
}

static int get_logs(struct reader *reader, struct arena *arena, struct plain_batch *batch)
{
    int error = get_count(reader, BATCH_LOG_CHUNKS_MAX, 10, &batch->log_count);
    if (error != 0)
        return error;
    struct log_chunk *logs = arena_alloc(arena, batch->log_count, sizeof *logs);
    if (logs == NULL)
        return ERR_NOMEM;
    batch->logs = logs;
    for (size_t i = 0; i < batch->log_count && error == 0; i++)
        error = get_chunk(reader, arena, batch->tick_ms, &logs[i]);
    return error;
}

static int get_records(struct reader *reader, struct arena *arena, struct plain_batch *batch)
{
    int error = get_count(reader, BATCH_RECORDS_MAX, 3, &batch->record_count);
    if (error != 0)
        return error;
    struct record *records = arena_alloc(arena, batch->record_count, sizeof *records);
    if (records == NULL)
        return ERR_NOMEM;
    batch->records = records;
    for (size_t i = 0; i < batch->record_count; i++) {
        records[i].kind = get_u32(reader);
        records[i].ts_ms = get_time(reader, batch->tick_ms);
        records[i].data = reader_sized(reader);
    }
    return reader->failed ? ERR_MALFORMED : 0;
}

int plain_read(struct bytes bytes, struct arena *arena, struct plain_batch *ret_batch)
{
    struct plain_batch batch = {0};
    struct reader reader = reader_of(bytes);

    if (bytes.size > BATCH_PLAIN_BYTES_MAX)
        return ERR_LIMIT;
    if (reader_u8(&reader) != PLAIN_VERSION)
        return ERR_MALFORMED;
    batch.tick_ms = (int64_t)reader_u64(&reader);
    batch.definition_count = reader_varint(&reader);
    int error = get_columns(&reader, arena, &batch.samples);
    if (error == 0)
        error = get_late(&reader, arena, &batch);
    if (error == 0)
        error = get_refs(&reader, 1, arena, &batch.ended, &batch.ended_count);
    if (error == 0)
        error = get_logs(&reader, arena, &batch);
    if (error == 0)
        error = get_records(&reader, arena, &batch);
    if (error != 0)
        return error;
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_MALFORMED;
    if (!samples_are_fit(&batch) || !logs_are_fit(&batch))
        return ERR_LIMIT;
    *ret_batch = batch;
    return 0;
}

uint64_t plain_hash(struct bytes serialized)
{
    return XXH3_64bits(serialized.data, serialized.size);
}
