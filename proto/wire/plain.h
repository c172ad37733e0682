/*
 * plain.h - one batch in memory: what a probe's tick produced, and what the collector stores.
 *
 * This is the form both programs work with; the spool keeps it serialized (plain_write), the
 * wire codes it (envelope.h), the content hash is taken over it.  protobuf types never leave
 * proto/wire/.
 *
 *   plain serialization, little-endian, version byte first (see plain.c for the table):
 *     version u8 | tick_ms i64 | definition_count varint |
 *     sample count varint | refs: varint first, then varint deltas | values: f64 x count |
 *     late groups | ended refs | log chunks | records
 *   The XXH3-64 of exactly these bytes is the batch's content hash.
 *
 * Limits are checked by plain_read() and by the encoders alike.  Everything a read yields
 * points into the arena or the input, whichever the function says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define BATCH_SAMPLES_MAX     ((size_t)65536)   /* refs a batch, late ones included */
#define BATCH_PLAIN_BYTES_MAX ((size_t)2 << 20) /* so that any batch fits an envelope */
#define BATCH_LATE_MAX        ((size_t)256)
#define BATCH_LOG_CHUNKS_MAX  ((size_t)256)
#define BATCH_LOG_LINES_MAX   ((size_t)65536)
#define BATCH_RECORDS_MAX     ((size_t)256)
/* A tick of more series than a batch takes is several batches, its parts: each has the refs of
 * one stretch of BATCH_SAMPLES_MAX, so that a series stays in its part as long as its epoch. */
#define BATCH_PARTS_MAX ((size_t)16)
#define LOG_LINE_BYTES_MAX    ((size_t)64 << 10)
#define LOG_PATH_BYTES_MAX    ((size_t)4096)
#define RECORD_BYTES_MAX      ((size_t)1 << 20)

/* Columns: refs strictly ascending; values bit for bit (NaN payloads too). */
struct sample_columns {
    const uint64_t *refs;
    const double *values;
    size_t count;
};

struct late_samples {
    int64_t ts_ms;
    struct sample_columns samples;
};

enum log_line_flag { LOG_LINE_CUT = 1, LOG_LINE_REPLACED = 2, LOG_LINE_MULTI = 4 };

struct log_line {
    uint64_t offset; /* of the first byte, in the file generation */
    int64_t ts_ms;
    uint32_t severity; /* 0 unknown, else syslog severity + 1 (1 emerg .. 8 debug) */
    uint32_t flags;
    struct bytes text; /* UTF-8, no newline at the end */
};

struct log_chunk {
    uint64_t file_id; /* generation */
    struct bytes path;
    const struct log_line *lines; /* ascending by offset */
    size_t count;
};

enum record_kind { RECORD_PROCESS_TABLE = 1, RECORD_EVENT = 2, RECORD_INVENTORY = 3 };

struct record {
    uint32_t kind; /* enum record_kind; others are kept and passed on */
    int64_t ts_ms;
    struct bytes data; /* coded by proto/wire/record.h */
};

struct plain_batch {
    int64_t tick_ms;           /* Unix time */
    uint64_t definition_count; /* refs the batch may use: 0..count-1 */
    struct sample_columns samples;
    const struct late_samples *late;
    size_t late_count;
    const uint64_t *ended; /* ascending refs: stale marker at tick_ms */
    size_t ended_count;
    const struct log_chunk *logs;
    size_t log_count;
    const struct record *records;
    size_t record_count;
};

/* The part that columns belong to, 0..BATCH_PARTS_MAX - 1; empty ones to the first. */
static inline size_t part_of(const struct sample_columns *columns)
{
    uint64_t part = columns->count == 0 ? 0 : columns->refs[0] / BATCH_SAMPLES_MAX;
    return part < BATCH_PARTS_MAX ? (size_t)part : BATCH_PARTS_MAX - 1;
}

/* Appends the serialization.  ERR_LIMIT if the batch breaks a limit above, ERR_NOMEM. */
int plain_write(const struct plain_batch *batch, struct buf *out);

/* Reads a serialization.  Arrays live in `arena`; texts point into `bytes`, which must outlive
 * the batch.  ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
int plain_read(struct bytes bytes, struct arena *arena, struct plain_batch *ret_batch);

/* XXH3-64 of a serialization. */
uint64_t plain_hash(struct bytes serialized);
