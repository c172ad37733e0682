/* remote_answer.c - see remote_answer.h. */
#include "collector/http/remote_answer.h"

#include <string.h>

#include "collector/http/remote_wire.h"
#include "collector/http/xor_chunk.h"

#define CHUNK_IS_XOR 1

void remote_scratch_done(struct remote_scratch *scratch)
{
    buf_done(&scratch->whole);
    buf_done(&scratch->part);
    buf_done(&scratch->chunk);
}

/* CRC-32C (Castagnoli). */
static uint32_t crc32c(struct bytes bytes)
{
    /* Four bits at a time; the polynomial is 0x82f63b78, reflected. */
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static void put_field(struct buf *out, unsigned number, struct bytes bytes)
{
    buf_put_u8(out, (uint8_t)FIELD(number, WIRE_SIZED));
    buf_put_sized(out, bytes);
}

static void put_number(struct buf *out, unsigned number, int64_t value)
{
    if (value == 0)
        return;
    buf_put_u8(out, (uint8_t)FIELD(number, WIRE_VARINT));
    buf_put_varint(out, (uint64_t)value);
}

void remote_put_message(struct buf *out, struct bytes message)
{
    put_field(out, 1, message);
}

static void put_labels(struct buf *out, const struct labels *labels, struct buf *part)
{
    for (size_t i = 0; i < labels->count; i++) {
        buf_clear(part);
        put_field(part, 1, labels->pairs[i].name);
        put_field(part, 2, labels->pairs[i].value);
        put_field(out, 1, buf_bytes(part));
    }
}

void remote_put_series(struct buf *out, const struct remote_samples *samples,
                       struct remote_scratch *scratch)
{
    struct buf *whole = &scratch->whole;
    struct buf *part = &scratch->part;
    buf_clear(whole);
    put_labels(whole, samples->labels, part);
    for (size_t i = 0; i < samples->count; i++) {
        uint64_t bits;
        memcpy(&bits, &samples->values[i], sizeof bits);
        buf_clear(part);
        buf_put_u8(part, FIELD(1, WIRE_FIXED64));
        buf_put_u64(part, bits);
        put_number(part, 2, samples->times_ms[i]);
        put_field(whole, 2, buf_bytes(part));
    }
    if (!buf_ok(whole) || !buf_ok(part)) {
        out->failed = true;
        out->total_refused = whole->total_refused || part->total_refused;
    }
    put_field(out, 1, buf_bytes(whole));
}

/* A chunk of `count` samples from `first` on, as a field of a ChunkedSeries. */
static void put_chunk(struct buf *out, const struct remote_samples *samples, size_t first,
                      size_t count, struct remote_scratch *scratch)
{
    struct buf *part = &scratch->part;
    buf_clear(&scratch->chunk);
    buf_clear(part);
    xor_chunk_put(&scratch->chunk, samples->times_ms + first, samples->values + first, count);
    put_number(part, 1, samples->times_ms[first]);
    put_number(part, 2, samples->times_ms[first + count - 1]);
    put_number(part, 3, CHUNK_IS_XOR);
    put_field(part, 4, buf_bytes(&scratch->chunk));
    put_field(out, 2, buf_bytes(part));
}

size_t remote_put_frame(struct buf *out, const struct remote_samples *samples, size_t query,
                        struct remote_scratch *scratch)
{
    struct buf *whole = &scratch->whole;
    size_t put = 0;
    if (samples->count == 0)
        return 0;
    buf_clear(whole);
    put_labels(whole, samples->labels, &scratch->part);
    while (put < samples->count && whole->size < REMOTE_FRAME_BYTES) {
        size_t left = samples->count - put;
        size_t count = left < XOR_CHUNK_SAMPLES ? left : XOR_CHUNK_SAMPLES;
        put_chunk(whole, samples, put, count, scratch);
        put += count;
    }
    buf_clear(&scratch->part);
    put_field(&scratch->part, 1, buf_bytes(whole));
    put_number(&scratch->part, 2, (int64_t)query);
    if (!buf_ok(whole) || !buf_ok(&scratch->part) || !buf_ok(&scratch->chunk))
        out->failed = true;
    uint32_t crc = crc32c(buf_bytes(&scratch->part));
    buf_put_varint(out, scratch->part.size);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_put_u8(out, (uint8_t)(crc >> shift));
    buf_put(out, scratch->part.data, scratch->part.size);
    return put;
}
