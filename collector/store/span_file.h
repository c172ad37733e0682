/*
 * span_file.h - a history file: one LMDB environment in one file, written once, in key order.
 *
 *   name      DATA/history/START-END.GENERATION.samples.mdb, times in ms
 *             (or .logs.mdb, .rollup_5m.mdb, .rollup_1h.mdb)
 *
 *   table     key                              value
 *   manifest  "manifest"                       seal | counts (struct span_manifest, varints)
 *   stream    piece number u32 BE              seal | STREAM_PIECE_BYTES bytes of the stream
 *   chunks    first ordinal u32 BE             extent of a group of series
 *   series    first ordinal u32 BE             extent of a block of label sets
 *   index     name NUL value                   seal | posting
 *   logs      stream, file, offset (u64 BE),
 *             block number u32 BE              extent of a log block | min ms, max ms (i64 BE)
 *   logs_by_time  min ms i64 BE, number u32 BE max ms i64 BE | key of `logs`
 *
 * Series are numbered by ordinals, from 0 in the order of their labels; all tables speak of
 * ordinals.  So a metric's series stand together, a posting of a name is one run, and what a
 * dashboard asks for lies in a few neighbouring groups.
 *
 * The stream is one run of bytes cut into pieces that fill LMDB's pages exactly, and what is in
 * it is found by extents: u64 offset | u32 size | u64 seal, big-endian; the seal is XXH3 over
 * table letter, key and bytes.  So nothing is lost to half-filled pages, however small a group
 * is.
 *
 *   group     entries, packed as span_group.c draws it
 *   entry     varint chunk count c | c x varint chunk size | chunks (codec.h), ascending in
 *             time; of a roll-up those of its records (records.h)
 *   block     as a group, an entry being one label set (labels.h)
 *   posting   u8 form: 0 varint differences | 1 portable roaring bitmap | 4 varint count,
 *             differences packed in blocks (codec_ints.h); + 2: sized name and
 *             sized value stand before it, because key was too long and is cut: first
 *             KEY_CUT_BYTES of name NUL value | XXH3 of all of it u64 BE
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/live.h"
#include "proto/base/buf.h"

enum span_kind {
    SPAN_SAMPLES = 's',
    SPAN_LOGS = 'l',
    SPAN_ROLLUP_5M = '5',
    SPAN_ROLLUP_1H = 'h',
};
/* All kinds, and what their file names say of them. */
#define SPAN_KINDS 4
struct span_kind_row {
    enum span_kind kind;
    const char *name;
};
extern const struct span_kind_row span_kind_rows[SPAN_KINDS];
static inline bool span_kind_is_rollup(uint8_t kind)
{
    return kind == SPAN_ROLLUP_5M || kind == SPAN_ROLLUP_1H;
}

enum span_table {
    SPAN_MANIFEST,
    SPAN_STREAM,
    SPAN_CHUNKS,
    SPAN_SERIES,
    SPAN_INDEX,
    SPAN_LOGS_TABLE,
    SPAN_LOGS_BY_TIME,
    SPAN_TABLES
};
extern const char *const span_table_names[SPAN_TABLES];

/* LMDB keeps a large value in whole pages behind a header of 16 bytes: 16 pages, full. */
#define STREAM_PIECE_BYTES ((size_t)16 * 4096 - 16 - SEAL_BYTES)
#define GROUP_RAW_BYTES    ((size_t)24 << 10) /* a group is closed at this size */
#define GROUP_RAW_MAX      ((size_t)1 << 30)
#define LABELS_BLOCK_MAX   64
#define EXTENT_BYTES       20
#define LOG_KEY_BYTES      28
#define KEY_CUT_BYTES      ((size_t)500)
#define CHUNK_SAMPLES_KEPT 4096               /* a chunk in history holds at most */
#define SPAN_MAP_BYTES     ((size_t)16 << 30) /* no file grows past this */

/* 1: groups of codings 0 and 1, chunks of format 1; 2: all groups, format 2; 3: all of
 * them, all postings. */
#define SPAN_VERSION 3

struct span_manifest {
    uint8_t version; /* 1..SPAN_VERSION */
    uint8_t kind;
    int64_t start_ms, end_ms;
    uint64_t generation;
    uint64_t series, chunks, samples, groups, blocks, pairs, log_blocks, stream_bytes;
    int64_t min_ms, max_ms; /* of samples or lines */
    uint64_t through;       /* of a roll-up: samples of files up to this generation are in it */
};

struct extent {
    uint64_t offset;
    uint32_t size;
    uint64_t seal;
};

void extent_put(uint8_t to[EXTENT_BYTES], const struct extent *extent);
struct extent extent_get(const uint8_t from[EXTENT_BYTES]);
uint64_t extent_seal(char table, struct bytes key, struct bytes data);

void span_manifest_write(const struct span_manifest *manifest, struct buf *out);
/* Any bytes are safe.  ERR_MALFORMED; ERR_INVALID: of a version that comes after this one. */
int span_manifest_read(struct bytes bytes, struct span_manifest *ret_manifest);

/* Packs entries as a group or block (span_group.c); and takes it apart: what the view points to
 * is in `bytes`, `raw` and `table`.  Any bytes are safe.  ERR_MALFORMED, ERR_NOMEM. */
enum group_of { GROUP_OF_CHUNKS, GROUP_OF_LABELS };
int group_pack(enum group_of of, const struct buf *sizes, size_t count,
               const struct buf *entries, struct buf *out);
struct group_view {
    const uint8_t *entries;
    const uint32_t *offsets; /* count + 1 of them; in `table` */
    size_t count;
};
int group_unpack(struct bytes bytes, struct buf *raw, struct buf *table,
                 struct group_view *ret_view);
static inline struct bytes group_entry(const struct group_view *view, size_t i)
{
    return (struct bytes){view->entries + view->offsets[i],
                          view->offsets[i + 1] - view->offsets[i]};
}
