/*
 * xor_chunk.h - samples as Prometheus's XOR chunks, which remote read sends.
 *
 *     offset size  chunk, bits from the highest of each byte
 *          0    2  sample count, big-endian, 1..65535
 *          2    n  first time: zigzag varint of Unix ms; first value: 64 bits
 *               n  second time: varint of the difference; value: xor (below)
 *               n  others: difference of differences d, value: xor
 *
 *     d    0                         0
 *          -8191..8192               10    and 14 bits
 *          -65535..65536             110   and 17 bits
 *          -524287..524288           1110  and 20 bits
 *          others                    1111  and 64 bits
 *     xor  0                         0
 *          fits the bits kept before 10    and those bits
 *          others                    11    leading zeros (5 bits, at most 31), how many bits follow
 *                                          (6 bits, 64 as 0), those bits
 *
 * Source: Prometheus tsdb/docs/format/chunks.md, tsdb/chunkenc/xor.go.  Any thread.
 */
#pragma once

#include "proto/base/buf.h"

#define XOR_CHUNK_SAMPLES 120 /* what Prometheus puts into one */

/* Appends a chunk of 1..65535 samples, times ascending.  A failure is `out`'s. */
void xor_chunk_put(struct buf *out, const int64_t *times_ms, const double *values, size_t count);
