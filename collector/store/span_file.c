/*
 * span_file.c - the small formats inside a history file.
 */
#include "collector/store/span_file.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "proto/base/error.h"

#define MANIFEST_VERSION 1
#define GROUP_ZSTD_LEVEL 3

enum group_coding { GROUP_PLAIN, GROUP_ZSTD };

const char *const span_table_names[SPAN_TABLES] = {
    [SPAN_MANIFEST] = "manifest",
    [SPAN_STREAM] = "stream",
    [SPAN_CHUNKS] = "chunks",
    [SPAN_SERIES] = "series",
    [SPAN_INDEX] = "index",
    [SPAN_LOGS_TABLE] = "logs",
    [SPAN_LOGS_BY_TIME] = "logs_by_time",
};

void extent_put(uint8_t to[EXTENT_BYTES], const struct extent *extent)
{
    key_put_u64(to, extent->offset);
    key_put_u32(to + 8, extent->size);
    key_put_u64(to + 12, extent->seal);
}

struct extent extent_get(const uint8_t from[EXTENT_BYTES])
{
    return (struct extent){key_get_u64(from), key_get_u32(from + 8), key_get_u64(from + 12)};
}

uint64_t extent_seal(char table, struct bytes key, struct bytes data)
{
    uint64_t seed = XXH3_64bits_withSeed(key.data, key.size, (uint64_t)table);
    return XXH3_64bits_withSeed(data.data, data.size, seed);
}

void span_manifest_write(const struct span_manifest *manifest, struct buf *out)
{
    buf_put_u8(out, MANIFEST_VERSION);
    buf_put_u8(out, manifest->kind);
    buf_put_zigzag(out, manifest->start_ms);
    buf_put_zigzag(out, manifest->end_ms);
    buf_put_varint(out, manifest->generation);
    buf_put_varint(out, manifest->series);
    buf_put_varint(out, manifest->chunks);
    buf_put_varint(out, manifest->samples);
    buf_put_varint(out, manifest->groups);
    buf_put_varint(out, manifest->blocks);
    buf_put_varint(out, manifest->pairs);
    buf_put_varint(out, manifest->log_blocks);
    buf_put_varint(out, manifest->stream_bytes);
    buf_put_zigzag(out, manifest->min_ms);
    buf_put_zigzag(out, manifest->max_ms);
}

int span_manifest_read(struct bytes bytes, struct span_manifest *ret_manifest)
{
    struct reader reader = reader_of(bytes);
    struct span_manifest manifest = {0};
    if (reader_u8(&reader) != MANIFEST_VERSION)
        return ERR_MALFORMED;
    manifest.kind = reader_u8(&reader);
    manifest.start_ms = reader_zigzag(&reader);
    manifest.end_ms = reader_zigzag(&reader);
    manifest.generation = reader_varint(&reader);
    manifest.series = reader_varint(&reader);
    manifest.chunks = reader_varint(&reader);
    manifest.samples = reader_varint(&reader);
    manifest.groups = reader_varint(&reader);
    manifest.blocks = reader_varint(&reader);
    manifest.pairs = reader_varint(&reader);
    manifest.log_blocks = reader_varint(&reader);
    manifest.stream_bytes = reader_varint(&reader);
    manifest.min_ms = reader_zigzag(&reader);
    manifest.max_ms = reader_zigzag(&reader);
    if (reader.failed || reader_left(&reader) != 0 ||
        (manifest.kind != SPAN_SAMPLES && manifest.kind != SPAN_LOGS) ||
        manifest.series > UINT32_MAX)
        return ERR_MALFORMED;
    *ret_manifest = manifest;
    return 0;
}

/* -- groups ------------------------------------------------------------------------------ */

static bool compress(const struct buf *raw, size_t at, struct buf *out)
{
    size_t bound = ZSTD_compressBound(raw->size);
    uint8_t *to = buf_reserve(out, bound);
    if (to == NULL)
        return false;
    size_t packed = ZSTD_compress(to, bound, raw->data, raw->size, GROUP_ZSTD_LEVEL);
    if (ZSTD_isError(packed) || packed + packed / 16 >= raw->size) {
        /* Not worth unpacking it on every read. */
        out->data[at] = GROUP_PLAIN;
        buf_put(out, raw->data, raw->size);
        return buf_ok(out);
    }
    out->size += packed;
    return true;
}

int group_pack(const struct buf *sizes, size_t count, const struct buf *entries,
               struct buf *out)
{
    struct buf raw = {0};
    buf_put_varint(&raw, count);
    buf_put(&raw, sizes->data, sizes->size);
    buf_put(&raw, entries->data, entries->size);
    size_t at = out->size;
    buf_put_u8(out, GROUP_ZSTD);
    buf_put_varint(out, raw.size);
    bool good = buf_ok(sizes) && buf_ok(entries) && buf_ok(&raw) && buf_ok(out) &&
                compress(&raw, at, out);
    buf_done(&raw);
    return good ? 0 : ERR_NOMEM;
}

static int unpack_raw(struct bytes bytes, struct buf *raw, struct bytes *ret_raw)
{
    struct reader reader = reader_of(bytes);
    uint8_t coding = reader_u8(&reader);
    uint64_t size = reader_varint(&reader);
    struct bytes rest = {reader.at, reader_left(&reader)};
    if (reader.failed || size > GROUP_RAW_MAX)
        return ERR_MALFORMED;
    if (coding == GROUP_PLAIN && rest.size == size) {
        *ret_raw = rest;
        return 0;
    }
    if (coding != GROUP_ZSTD || ZSTD_getFrameContentSize(rest.data, rest.size) != size)
        return ERR_MALFORMED;
    buf_clear(raw);
    uint8_t *to = buf_reserve(raw, size == 0 ? 1 : size);
    if (to == NULL)
        return ERR_NOMEM;
    if (ZSTD_decompress(to, size, rest.data, rest.size) != size)
        return ERR_MALFORMED;
    *ret_raw = (struct bytes){to, size};
    return 0;
}

int group_unpack(struct bytes bytes, struct buf *raw, struct buf *table,
                 struct group_view *ret_view)
{
    struct bytes content;
    int error = unpack_raw(bytes, raw, &content);
    if (error != 0)
        return error;
    struct reader reader = reader_of(content);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || count > reader_left(&reader))
        return ERR_MALFORMED;
    buf_clear(table);
    uint32_t *offsets = (uint32_t *)(void *)buf_reserve(table, (count + 1) * sizeof *offsets);
    if (offsets == NULL)
        return ERR_NOMEM;
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)offset;
        offset += reader_varint(&reader);
        if (offset > content.size)
            return ERR_MALFORMED;
    }
    offsets[count] = (uint32_t)offset;
    if (reader.failed || offset != reader_left(&reader))
        return ERR_MALFORMED;
    *ret_view = (struct group_view){reader.at, offsets, count};
    return 0;
}
