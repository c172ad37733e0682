/*
 * codec_decimal.c - is 12345.67 the double nearest to 1234567 / 100?
 *
 * Both 1234567 and 100 are exact in binary64 and division is correctly rounded, so decoding by
 * one division gives back exactly the double that reading "12345.67" gave.  The encoder guesses
 * the integer by multiplying, and believes the guess only if dividing gives the same bits.
 */
#include "collector/store/codec/codec_decimal.h"

#include <math.h>
#include <string.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: integers below are exact */
#define ROUND_MAX 2251799813685248.0 /* 2^51: the rounding trick holds below */
#define ROUNDER   6755399441055744.0 /* 1.5 * 2^52: adding it drops the fraction */

static const double powers[DECIMAL_SCALE_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static bool fits_scale(double value, unsigned scale, int64_t *ret_mantissa)
{
    double scaled = value * powers[scale];
    double limit = scale == 0 ? EXACT_MAX : ROUND_MAX;

    if (!(fabs(scaled) < limit)) /* false for NaN too */
        return false;
    int64_t mantissa = (int64_t)(scale == 0 ? scaled : (scaled + ROUNDER) - ROUNDER);
    double again = (double)mantissa / powers[scale];
    if (memcmp(&again, &value, sizeof again) != 0)
        return false;
    *ret_mantissa = mantissa;
    return true;
}

/* The smallest scale >= `scale` at which the value is exact, or more than the largest. */
static unsigned scale_from(double value, unsigned scale)
{
    int64_t ignored;
    while (scale <= DECIMAL_SCALE_MAX && !fits_scale(value, scale, &ignored)) {
        if (!(fabs(value) * powers[scale] < EXACT_MAX))
            return DECIMAL_SCALE_MAX + 1;
        scale++;
    }
    return scale;
}

bool decimals_find(const double *values, size_t count, size_t exceptions_max,
                   int64_t *mantissas, bool *is_exception, struct decimals *ret_decimals)
{
    struct decimals decimals = {0};
    size_t exceptions = 0;
    int64_t before = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned scale = scale_from(values[i], decimals.scale);
        if (scale <= DECIMAL_SCALE_MAX)
            decimals.scale = scale;
        else if (++exceptions > exceptions_max)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        is_exception[i] = !fits_scale(values[i], decimals.scale, &before);
        mantissas[i] = before;
        decimals.exception_count += is_exception[i];
    }
    if (decimals.exception_count > exceptions_max)
        return false;
    *ret_decimals = decimals;
    return true;
}

void decimals_to_values(const uint64_t *mantissas, size_t count, unsigned scale, double *values)
{
    if (scale == 0) {
        for (size_t i = 0; i < count; i++)
            values[i] = (double)(int64_t)mantissas[i];
        return;
    }
    const double divisor = powers[scale];
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(int64_t)mantissas[i] / divisor;
}
