/*
 * codec_decimal.h - binary64 values that are short decimals, as integers.  Internal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_SCALE_MAX 15

/* How a value follows from its mantissa, all in binary64. */
enum decimal_rule {
    DECIMAL_QUOTIENT, /* mantissa / 10^scale: what reading its text gives */
    DECIMAL_PRODUCT,  /* mantissa * 10^-scale: a kernel's ms, by a program that multiplies */
    DECIMAL_TWICE,    /* mantissa / 10^(scale/2) / 10^(scale/2): us by way of ms */
    DECIMAL_BITS,     /* no decimal: the mantissa is the value's bits; scale 0 */
    DECIMAL_RULES
};

/* So is every value but the exceptions, bit for bit. */
struct decimals {
    enum decimal_rule rule;
    unsigned scale;
    size_t exception_count;
};

/* Finds a scale and a rule (not DECIMAL_BITS) by which at most `exceptions_max` of `count` values
 * are no exact decimals, and fills mantissas[] (an exception repeats the one before it) and
 * is_exception[].  False if there is none. */
bool decimals_find(const double *values, size_t count, size_t exceptions_max,
                   int64_t *mantissas, bool *is_exception, struct decimals *ret_decimals);

/* scale <= DECIMAL_SCALE_MAX; an odd one is rounded down by DECIMAL_TWICE. */
void decimals_to_values(const uint64_t *mantissas, size_t count, enum decimal_rule rule,
                        unsigned scale, double *values);
