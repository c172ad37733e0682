/*
 * codec_decimal.h - binary64 values that are short decimals, as integers.  Internal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_SCALE_MAX 15

/* value = mantissa / 10^scale for every value but the exceptions, bit for bit. */
struct decimals {
    unsigned scale;
    size_t exception_count;
};

/* Finds a scale at which at most `exceptions_max` of `count` values are no exact decimals, and
 * fills mantissas[] (an exception repeats the one before it) and is_exception[].  False if
 * there is no such scale. */
bool decimals_find(const double *values, size_t count, size_t exceptions_max,
                   int64_t *mantissas, bool *is_exception, struct decimals *ret_decimals);

/* values[i] = mantissas[i] / 10^scale, correctly rounded.  scale <= DECIMAL_SCALE_MAX. */
void decimals_to_values(const uint64_t *mantissas, size_t count, unsigned scale,
                        double *values);
