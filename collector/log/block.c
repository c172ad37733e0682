/*
 * block.c - see block.h.
 *
 *   block = header in clear, then one zstd frame
 *     u32      "FLB1", little-endian 0x31424c46
 *     sized    path
 *     varint   line count, 1..LOG_BLOCK_LINES_MAX
 *     varint   bytes of all texts, 0..LOG_BLOCK_TEXT_MAX
 *     varint   first offset; varint last offset minus first
 *     zigzag   smallest time; varint largest minus smallest
 *     varint   severity mask, 9 bits
 *     varint   size of the columns before compression
 *     ...      the frame, to the end
 *
 *   columns, each for all lines before the next begins (like stands by like, so it packs well):
 *     varint   offset minus the offset before; 0 for the first, >= 1 after
 *     zigzag   time minus the time before; the first minus the smallest time
 *     u8       severity | flags << 4
 *     varint   text size
 *     bytes    texts
 *
 * Differences of times are taken modulo 2^64, so that no pair of times overflows.
 */
#include "collector/log/block.h"

#include <zstd.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BLOCK_MAGIC       0x31424c46u
#define SEVERITY_MASK_ALL 0x1ffu
#define COMPRESSION_LEVEL 3
/* Two ten-byte varints, a byte and a five-byte varint a line, then the texts. */
#define LINE_OVERHEAD_MAX ((size_t)26)
#define COLUMNS_BYTES_MAX (LOG_BLOCK_LINES_MAX * LINE_OVERHEAD_MAX + LOG_BLOCK_TEXT_MAX)

_Static_assert(LOG_LINE_FLAGS_ALL <= 0xf, "severity and flags share a byte");

static int64_t difference(int64_t later, int64_t earlier)
{
    return (int64_t)((uint64_t)later - (uint64_t)earlier);
}

static int64_t sum(int64_t start, int64_t step)
{
    return (int64_t)((uint64_t)start + (uint64_t)step);
}

/* ---- encoding --------------------------------------------------------------------------- */

static int survey(const struct log_chunk *chunk, struct log_block_info *info)
{
    if (chunk->count == 0)
        return ERR_INVALID;
    if (chunk->count > LOG_BLOCK_LINES_MAX || chunk->path.size > LOG_PATH_BYTES_MAX)
        return ERR_LIMIT;
    const struct log_line *lines = chunk->lines;
    *info = (struct log_block_info){.path = chunk->path,
                                    .line_count = chunk->count,
                                    .first_offset = lines[0].offset,
                                    .last_offset = lines[chunk->count - 1].offset,
                                    .min_ms = lines[0].ts_ms,
                                    .max_ms = lines[0].ts_ms};
    for (size_t i = 0; i < chunk->count; i++) {
        if ((i > 0 && lines[i].offset <= lines[i - 1].offset) ||
            lines[i].severity > LOG_SEVERITY_MAX ||
            (lines[i].flags & ~(uint32_t)LOG_LINE_FLAGS_ALL) != 0)
            return ERR_INVALID;
        if (lines[i].text.size > LOG_LINE_BYTES_MAX)
            return ERR_LIMIT;
        info->text_bytes += lines[i].text.size;
        info->severity_mask |= 1u << lines[i].severity;
        if (lines[i].ts_ms < info->min_ms)
            info->min_ms = lines[i].ts_ms;
        if (lines[i].ts_ms > info->max_ms)
            info->max_ms = lines[i].ts_ms;
    }
    return info->text_bytes > LOG_BLOCK_TEXT_MAX ? ERR_LIMIT : 0;
}

static void put_columns(const struct log_chunk *chunk, int64_t min_ms, struct buf *columns)
{
    const struct log_line *lines = chunk->lines;
    uint64_t offset = lines[0].offset;
    int64_t ts_ms = min_ms;
    for (size_t i = 0; i < chunk->count; i++) {
        buf_put_varint(columns, lines[i].offset - offset);
        offset = lines[i].offset;
    }
    for (size_t i = 0; i < chunk->count; i++) {
        buf_put_zigzag(columns, difference(lines[i].ts_ms, ts_ms));
        ts_ms = lines[i].ts_ms;
    }
    for (size_t i = 0; i < chunk->count; i++)
        buf_put_u8(columns, (uint8_t)(lines[i].severity | lines[i].flags << 4));
    for (size_t i = 0; i < chunk->count; i++)
        buf_put_varint(columns, lines[i].text.size);
    for (size_t i = 0; i < chunk->count; i++)
        buf_put(columns, lines[i].text.data, lines[i].text.size);
}

static int put_frame(const struct buf *columns, struct buf *out)
{
    size_t room = ZSTD_compressBound(columns->size);
    uint8_t *frame = buf_reserve(out, room);
    if (frame == NULL)
        return ERR_NOMEM;
    size_t size = ZSTD_compress(frame, room, columns->data, columns->size, COMPRESSION_LEVEL);
    if (ZSTD_isError(size))
        return ERR_NOMEM; /* with room for the worst case nothing else can fail */
    out->size += size;
    return 0;
}

int log_block_encode(const struct log_chunk *chunk, struct buf *out)
{
    struct log_block_info info;
    int error = survey(chunk, &info);
    if (error != 0)
        return error;
    struct buf columns = {0};
    put_columns(chunk, info.min_ms, &columns);
    size_t start = out->size;
    buf_put_u32(out, BLOCK_MAGIC);
    buf_put_sized(out, info.path);
    buf_put_varint(out, info.line_count);
    buf_put_varint(out, info.text_bytes);
    buf_put_varint(out, info.first_offset);
    buf_put_varint(out, info.last_offset - info.first_offset);
    buf_put_zigzag(out, info.min_ms);
    buf_put_varint(out, (uint64_t)difference(info.max_ms, info.min_ms));
    buf_put_varint(out, info.severity_mask);
    buf_put_varint(out, columns.size);
    error = buf_ok(&columns) && buf_ok(out) ? put_frame(&columns, out) : ERR_NOMEM;
    buf_done(&columns);
    if (error != 0 && !out->failed)
        out->size = start;
    return error;
}

/* ---- decoding --------------------------------------------------------------------------- */

/* Reads the header; leaves `reader` at the frame. */
static int read_header(struct reader *reader, struct log_block_info *info, size_t *columns_size)
{
    uint32_t magic = reader_u32(reader);
    info->path = reader_sized(reader);
    uint64_t line_count = reader_varint(reader);
    uint64_t text_bytes = reader_varint(reader);
    info->first_offset = reader_varint(reader);
    uint64_t offset_span = reader_varint(reader);
    info->min_ms = reader_zigzag(reader);
    uint64_t time_span = reader_varint(reader);
    uint64_t mask = reader_varint(reader);
    uint64_t size = reader_varint(reader);
    if (reader->failed || magic != BLOCK_MAGIC)
        return ERR_MALFORMED;
    if (line_count > LOG_BLOCK_LINES_MAX || text_bytes > LOG_BLOCK_TEXT_MAX ||
        info->path.size > LOG_PATH_BYTES_MAX || size > COLUMNS_BYTES_MAX)
        return ERR_LIMIT;
    info->max_ms = sum(info->min_ms, (int64_t)time_span);
    info->last_offset = info->first_offset + offset_span;
    if (line_count == 0 || mask == 0 || mask > SEVERITY_MASK_ALL ||
        info->last_offset < info->first_offset || info->max_ms < info->min_ms)
        return ERR_MALFORMED;
    info->line_count = (size_t)line_count;
    info->text_bytes = (size_t)text_bytes;
    info->severity_mask = (uint32_t)mask;
    *columns_size = (size_t)size;
    return 0;
}

int log_block_peek(struct bytes block, struct log_block_info *ret_info)
{
    struct reader reader = reader_of(block);
    struct log_block_info info;
    size_t columns_size;
    int error = read_header(&reader, &info, &columns_size);
    if (error == 0)
        *ret_info = info;
    return error;
}

/* Fills offsets, times, severities and flags. */
static int read_numbers(struct reader *columns, const struct log_block_info *info,
                        struct log_line *lines)
{
    uint64_t offset = info->first_offset;
    for (size_t i = 0; i < info->line_count; i++) {
        uint64_t step = reader_varint(columns);
        if ((i == 0) != (step == 0) || step > info->last_offset - offset)
            return ERR_MALFORMED;
        offset += step;
        lines[i].offset = offset;
    }
    int64_t ts_ms = info->min_ms;
    for (size_t i = 0; i < info->line_count; i++) {
        ts_ms = sum(ts_ms, reader_zigzag(columns));
        if (ts_ms < info->min_ms || ts_ms > info->max_ms)
            return ERR_MALFORMED;
        lines[i].ts_ms = ts_ms;
    }
    for (size_t i = 0; i < info->line_count; i++) {
        uint8_t packed = reader_u8(columns);
        lines[i].severity = packed & 0xfu;
        lines[i].flags = (uint32_t)packed >> 4;
        if (lines[i].severity > LOG_SEVERITY_MAX ||
            (lines[i].flags & ~(uint32_t)LOG_LINE_FLAGS_ALL) != 0 ||
            (info->severity_mask >> lines[i].severity & 1u) == 0)
            return ERR_MALFORMED;
    }
    return columns->failed || offset != info->last_offset ? ERR_MALFORMED : 0;
}

/* Sizes first, then the texts in place; every byte must be accounted for. */
static int read_texts(struct reader *columns, const struct log_block_info *info,
                      struct log_line *lines)
{
    size_t total = 0;
    for (size_t i = 0; i < info->line_count; i++) {
        uint64_t size = reader_varint(columns);
        if (columns->failed || size > LOG_LINE_BYTES_MAX || size > info->text_bytes - total)
            return ERR_MALFORMED;
        lines[i].text.size = (size_t)size;
        total += (size_t)size;
    }
    if (total != info->text_bytes || reader_left(columns) != total)
        return ERR_MALFORMED;
    for (size_t i = 0; i < info->line_count; i++)
        lines[i].text = reader_bytes(columns, lines[i].text.size);
    return 0;
}

int log_block_decode(struct bytes block, struct arena *arena, struct log_block_info *ret_info,
                     const struct log_line **ret_lines)
{
    struct reader reader = reader_of(block);
    struct log_block_info info;
    size_t columns_size;
    int error = read_header(&reader, &info, &columns_size);
    if (error != 0)
        return error;
    uint8_t *data = arena_alloc(arena, columns_size == 0 ? 1 : columns_size, 1);
    struct log_line *lines = arena_alloc(arena, info.line_count, sizeof *lines);
    if (data == NULL || lines == NULL)
        return ERR_NOMEM;
    size_t size = ZSTD_decompress(data, columns_size, reader.at, reader_left(&reader));
    if (ZSTD_isError(size) || size != columns_size)
        return ERR_MALFORMED;
    struct reader columns = reader_of((struct bytes){data, columns_size});
    error = read_numbers(&columns, &info, lines);
    if (error == 0)
        error = read_texts(&columns, &info, lines);
    if (error != 0)
        return error;
    *ret_info = info;
    *ret_lines = lines;
    return 0;
}
