/*
 * rivals.h - what the codec is compared with.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"

/* Appends times and values as Gorilla does (VLDB 2015): delta-of-delta of times, XOR of values. */
void rival_gorilla(const int64_t *times_ms, const double *values, size_t count, struct buf *out);

/* Bytes that zstd -3 makes of them. */
size_t rival_zstd(const struct buf *bytes);

/* Order-0 entropy, in bytes, of the differences (first or second, whichever has less) of the
 * values, their distribution being known for nothing: what no coder that looks at one difference
 * at a time can reach. */
double rival_bound(const double *values, size_t count);
