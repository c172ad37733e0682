/*
 * codec_values.h - what the values of one series have in common, said once.  Internal to the codec.
 *
 *   values
 *     u8   coding
 *          0 constant:  8 bytes, the bits of all of them
 *          1 short constant: u8 scale, z mantissa; value = mantissa / 10^scale
 *          2 runs:      v number of runs k, 2..count
 *                       k - 1 integers: length - 1 of every run but the last
 *                       values again, k of them, not constant and not runs
 *          3 decimals:  u8 scale (0..15) + 16 * order (0..2) + 64 * rule (0..2)
 *                       z first mantissa
 *                       v unit, at least 1
 *                       count - 1 integers, see below
 *          4 decimals with exceptions:
 *                       v number of exceptions, 1..count
 *                       each: v position (the first whole, then minus the one before, >= 1),
 *                       8 bytes of bits
 *                       then as 3
 *          5 xor:       8 bytes, the bits of the first
 *                       u8 shift, 0..63
 *                       count - 1 integers: (bits XOR bits of the one before) >> shift
 *          6 tokens:    as 3, rule 0..3, but the integers as codec_tokens.c draws them; of order 0
 *                       there are `count`, and what stands as first mantissa is a base
 *          7 literals:  as 6, but a run with literals
 *
 *   Integers are packed as codec_ints.c draws them.  Those of decimals give
 *          n[i], n[0] = 0:  order 0: n[i] itself; 1: n[i] - n[i-1];
 *                           2: (n[i] - n[i-1]) - (n[i-1] - n[i-2]), n[-1] = 0
 *          mantissa[i] = first + unit * n[i], modulo 2^64
 *          value[i] from mantissa[i] by the rule (codec_decimal.h): 0 mantissa / 10^scale,
 *          1 mantissa * 10^-scale, 2 mantissa / 10^(scale/2) / 10^(scale/2), 3 the bits themselves
 *
 * The unit is the greatest common divisor of the steps: memory comes in pages, sectors in 512.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/codec/codec.h"

enum coding {
    CODING_CONSTANT,
    CODING_SHORT_CONSTANT,
    CODING_RUNS,
    CODING_DECIMALS,
    CODING_EXCEPTIONS,
    CODING_XOR,
    CODING_TOKENS,
    CODING_LITERALS,
};
#define ORDERS 3

/* Special cases that can be left out, to see what each buys (tests/bench/codec). */
enum values_without {
    WITHOUT_TOKENS = 1,          /* all that CHUNK_QUICK does without */
    WITHOUT_BITS = 2,            /* as tokens: of values that are no decimals */
    WITHOUT_RUNS = 4,
    WITHOUT_DECIMALS = 8,        /* all XOR */
    WITHOUT_RULES = 16,          /* decimals by division only */
    WITHOUT_EXCEPTIONS = 32,
    WITHOUT_UNIT = 64,
    WITHOUT_ORDER_0 = 128,
    WITHOUT_ORDER_2 = 256,
    WITHOUT_SHORT_CONSTANT = 512,
    WITHOUT_LITERALS = 1024,
};

/* Appends the values, with all special cases but those in `without`. */
void values_put(struct buf *out, const double *values, size_t count, unsigned without);
/* Can no stale marker be among them, by their coding alone?  The reader stays where it is. */
bool values_are_plain(const struct reader *reader);
/* False for rubbish. */
bool values_get(struct reader *reader, double *values, size_t count);

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
