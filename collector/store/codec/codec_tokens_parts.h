/*
 * codec_tokens_parts.h - integers and tokens, for codec_tokens.c and codec_tokens_plan.c.
 */
#pragma once

#include "collector/store/codec/codec_tokens.h"

#define MANTISSA_MAX   2
#define TABLE_BITS_MAX 11
#define TOKENS         512 /* more than there are: 2 * (8 + 61 * 4) */
/* What the first literal is told from: the least there may be. */
#define LITERALS_FROM (UINT64_C(1) << 63)

static inline unsigned highest_bit(uint64_t value)
{
    return 63 - (unsigned)__builtin_clzll(value);
}

static inline uint64_t magnitude_of(uint64_t value)
{
    return (int64_t)value < 0 ? 0 - value : value;
}

static inline unsigned token_of(uint64_t value, unsigned mantissa, unsigned *ret_low_bits)
{
    uint64_t a = magnitude_of(value);
    unsigned class = (unsigned)a;

    *ret_low_bits = 0;
    if (a >= UINT64_C(2) << mantissa) {
        unsigned l = highest_bit(a);
        *ret_low_bits = l - mantissa;
        class = (2u << mantissa) + ((l - mantissa - 1) << mantissa) +
                (unsigned)((a >> (l - mantissa)) & ((1u << mantissa) - 1));
    }
    return 2 * class - ((int64_t)value < 0);
}

/* The smallest magnitude of a token; false if no value has it. */
static inline bool token_base(unsigned token, unsigned mantissa, uint64_t *ret_base,
                              unsigned *ret_low_bits)
{
    unsigned class = (token + 1) / 2, exact = 2u << mantissa;

    *ret_low_bits = 0;
    *ret_base = class;
    if (class >= exact) {
        unsigned l = ((class - exact) >> mantissa) + mantissa + 1;
        if (l > 63)
            return false;
        uint64_t head = (1u << mantissa) + (class & ((1u << mantissa) - 1));
        *ret_low_bits = l - mantissa;
        *ret_base = head << (l - mantissa);
    }
    return true;
}
