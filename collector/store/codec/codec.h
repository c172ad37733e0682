/*
 * codec.h - a chunk: samples of one series, compressed without losing a bit.
 *
 *   chunk, all integers little-endian
 *     u8   format: 1
 *     u8   value kind: 0 float64 (native histograms come later)
 *     u16  sample count, 1..CHUNK_SAMPLES_MAX
 *     ...  times, then values, each with the coding its first byte names (drawn in codec_times.c
 *          and codec_values.c)
 *
 * The codec chooses per chunk: constant; delta or delta-of-delta of exact decimal integers,
 * bit-packed; sparse changes; XOR (Gorilla, VLDB 2015) for what is no short decimal.  It decodes
 * whole chunks at once.  Checksums are the container's (store values carry XXH3).
 * Pure functions; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define CHUNK_SAMPLES_MAX 8192

/* Appends the chunk.  Times strictly ascending.  ERR_INVALID, ERR_LIMIT, ERR_NOMEM. */
int chunk_encode(const int64_t *times_ms, const double *values, size_t count, struct buf *out);

/* Number of samples, first and last time, without decoding values.  Bytes may be corrupt:
 * ERR_MALFORMED. */
int chunk_describe(struct bytes chunk, size_t *ret_count, int64_t *ret_first_ms,
                   int64_t *ret_last_ms);

/* Decodes into arrays of at least the described count.  ERR_MALFORMED. */
int chunk_decode(struct bytes chunk, int64_t *times_ms, double *values, size_t *ret_count);
