/*
 * codec.h - a chunk: samples of one series, compressed without losing a bit.
 *
 *   chunk (varints are LEB128, zigzag ones signed, fixed integers little-endian)
 *     u8   format 1..3 in the high four bits, value kind in the low ones: 0 float64 (native
 *          histograms come later).  3 is written where there are literals, else 2; 1 is the same
 *          without tokens and without decimals of a rule but 0, and still read
 *     v    sample count, 1..CHUNK_SAMPLES_MAX
 *     ...  times (drawn in codec_times.c)
 *     ...  values (drawn in codec_values.h)
 *
 * The codec chooses per chunk: constant; exact decimal integers as they are, as deltas or as
 * delta-of-deltas, divided by what they have in common and bit-packed; sparse changes; XOR
 * (after Gorilla, VLDB 2015) for what is no short decimal; and, for what is written once and kept,
 * the same integers entropy-coded.  It decodes whole chunks at once.  Checksums are the
 * container's (store values carry XXH3).
 *
 * Pure functions; any thread; they use up to 512 KiB of stack and allocate nothing but `out`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define CHUNK_SAMPLES_MAX 8192
#define CHUNK_BLOCK       64

enum chunk_effort {
    CHUNK_QUICK, /* the head's: it is written and read again within hours */
    CHUNK_SMALL, /* history's: three times as long to write, an eighth smaller */
};

/* Appends the chunk.  ERR_INVALID if times do not strictly ascend or count is 0, ERR_LIMIT,
 * ERR_NOMEM. */
int chunk_encode(const int64_t *times_ms, const double *values, size_t count,
                 enum chunk_effort effort, struct buf *out);

/* Number of samples, first and last time, without decoding values; constant time.  Bytes may be
 * corrupt: ERR_MALFORMED. */
int chunk_describe(struct bytes chunk, size_t *ret_count, int64_t *ret_first_ms,
                   int64_t *ret_last_ms);

/* Decodes into arrays of at least the described count; both may be half written on failure.
 * ERR_MALFORMED. */
int chunk_decode(struct bytes chunk, int64_t *times_ms, double *values, size_t *ret_count);
/* What a chunk says of its samples by the way they are coded. */
struct chunk_told {
    bool is_plain;       /* no value is a stale marker; that it is false tells nothing */
    int64_t interval_ms; /* its times lie so far apart; 0: not all of them */
};
/* The same, for who wants to know or needs less.  With `times_only` markers stand where they are,
 * other values may be any number, and rubbish among them may go unnoticed. */
int chunk_decode_told(struct bytes chunk, bool times_only, int64_t *times_ms, double *values,
                      size_t *ret_count, struct chunk_told *ret_told);
