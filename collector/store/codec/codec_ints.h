/*
 * codec_ints.h - runs of integers, bit-packed in blocks.  Internal to the codec.
 *
 * Values are taken modulo 2^64; small ones of either sign are cheap.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/codec/codec.h"

/* Appends `count` values in blocks of CHUNK_BLOCK, the last one shorter. */
void ints_put(struct buf *out, const uint64_t *values, size_t count);

/* Reads the next block of `count` <= CHUNK_BLOCK values.  False for rubbish. */
bool ints_get(struct reader *reader, uint64_t values[CHUNK_BLOCK], size_t count);

static inline uint64_t ints_zigzag(uint64_t value)
{
    return (value << 1) ^ (uint64_t)((int64_t)value >> 63);
}

static inline uint64_t ints_unzigzag(uint64_t value)
{
    return (value >> 1) ^ (~(value & 1) + 1);
}
