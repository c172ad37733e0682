/*
 * span_file.c - the small formats inside a history file.
 */
#include "collector/store/span_file.h"

#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"


const char *const span_table_names[SPAN_TABLES] = {
    [SPAN_MANIFEST] = "manifest",
    [SPAN_STREAM] = "stream",
    [SPAN_CHUNKS] = "chunks",
    [SPAN_SERIES] = "series",
    [SPAN_INDEX] = "index",
    [SPAN_LOGS_TABLE] = "logs",
    [SPAN_LOGS_BY_TIME] = "logs_by_time",
};

const struct span_kind_row span_kind_rows[SPAN_KINDS] = {
    {SPAN_SAMPLES, "samples"},
    {SPAN_LOGS, "logs"},
    {SPAN_ROLLUP_5M, "rollup_5m"},
    {SPAN_ROLLUP_1H, "rollup_1h"},
};

static bool is_kind(uint8_t kind)
{
    for (size_t i = 0; i < SPAN_KINDS; i++)
        if (kind == (uint8_t)span_kind_rows[i].kind)
            return true;
    return false;
}

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
    buf_put_u8(out, manifest->version);
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
    if (span_kind_is_rollup(manifest->kind))
        buf_put_varint(out, manifest->through);
}

int span_manifest_read(struct bytes bytes, struct span_manifest *ret_manifest)
{
    struct reader reader = reader_of(bytes);
    struct span_manifest manifest = {0};
    manifest.version = reader_u8(&reader);
    if (manifest.version > SPAN_VERSION)
        return ERR_INVALID;
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
    if (span_kind_is_rollup(manifest.kind))
        manifest.through = reader_varint(&reader);
    if (reader.failed || reader_left(&reader) != 0 || manifest.version == 0 ||
        !is_kind(manifest.kind) ||
        manifest.series > UINT32_MAX)
        return ERR_MALFORMED;
    *ret_manifest = manifest;
    return 0;
}
