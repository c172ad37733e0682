/*
 * block.h - lines of one file generation, packed for keeping.
 *
 * A block is what the history stores under (stream, generation, first offset): up to
 * LOG_BLOCK_LINES_MAX lines in ascending offset order, as columns, compressed together.  A
 * short header in clear (path, times, severities, offsets) lets a search pass a block by
 * without unpacking it.  The layout is drawn in block.c.
 *
 * A block carries no checksum of its own: who stores it covers key and value with one. Decoding
 * is nevertheless total: any bytes yield lines or an error, within the arena's ceiling.
 *
 * Any thread; no state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/wire/plain.h"

#define LOG_BLOCK_LINES_MAX ((size_t)65536)
/* A block is due at this much text (uncompressed).  One line more may exceed it, so a block
 * never holds more than LOG_BLOCK_TEXT_MAX. */
#define LOG_BLOCK_TEXT_DUE ((size_t)64 << 10)
#define LOG_BLOCK_TEXT_MAX (LOG_BLOCK_TEXT_DUE + LOG_LINE_BYTES_MAX)

/* What a block has a place for. */
#define LOG_SEVERITY_MAX   8u
#define LOG_LINE_FLAGS_ALL ((uint32_t)(LOG_LINE_CUT | LOG_LINE_REPLACED | LOG_LINE_MULTI))

/* What the header in clear says. */
struct log_block_info {
    struct bytes path; /* of the file; points into the block */
    size_t line_count;
    size_t text_bytes;                  /* of all lines, uncompressed */
    uint64_t first_offset, last_offset; /* of the first and the last line */
    int64_t min_ms, max_ms;             /* smallest and largest line time */
    uint32_t severity_mask;             /* bit s set: some line has severity s (0..8) */
};

/* Appends a block of chunk->lines (ascending by offset, at least one, within the limits above)
 * to `out`.  ERR_LIMIT, ERR_INVALID (no lines, offsets not ascending, severity above 8),
 * ERR_NOMEM. */
int log_block_encode(const struct log_chunk *chunk, struct buf *out);

/* The header alone.  ERR_MALFORMED, ERR_LIMIT. */
int log_block_peek(struct bytes block, struct log_block_info *ret_info);

/* Header and lines; lines and their texts live in `arena`, ret_info->path in `block`.
 * ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
int log_block_decode(struct bytes block, struct arena *arena, struct log_block_info *ret_info,
                     const struct log_line **ret_lines);
