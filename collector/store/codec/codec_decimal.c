/*
 * codec_decimal.c - is 12345.67 the double nearest to 1234567 / 100?
 *
 * Both 1234567 and 100 are exact in binary64 and division is correctly rounded, so decoding by
 * one division gives back exactly the double that reading "12345.67" gave.  The encoder guesses
 * the integer by multiplying, and believes the guess only if dividing gives the same bits.
 *
 * The same with other ways from an integer to a double, for programs that do not divide.
 */
#include "collector/store/codec/codec_decimal.h"

#include <math.h>
#include <string.h>

#include "proto/base/cloned.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: integers below are exact */
#define ROUND_MAX 2251799813685248.0 /* 2^51: the rounding trick holds below */
#define ROUNDER   6755399441055744.0 /* 1.5 * 2^52: adding it drops the fraction */

static const double powers[DECIMAL_SCALE_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const double inverses[DECIMAL_SCALE_MAX + 1] = {1e0,   1e-1,  1e-2,  1e-3,  1e-4,  1e-5,
                                                       1e-6,  1e-7,  1e-8,  1e-9,  1e-10, 1e-11,
                                                       1e-12, 1e-13, 1e-14, 1e-15};

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

/* At the smallest scale for quotients. */
static bool find_quotients(const double *values, size_t count, size_t exceptions_max,
                           int64_t *mantissas, bool *is_exception,
                           struct decimals *ret_decimals)
{
    struct decimals decimals = {.rule = DECIMAL_QUOTIENT};
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

static bool find_by_rule(const double *values, size_t count, size_t exceptions_max,
                         int64_t *mantissas, bool *is_exception, struct decimals *decimals)
{
    int64_t before = 0;

    decimals->exception_count = 0;
    for (size_t i = 0; i < count; i++) {
        double scaled = values[i] * powers[decimals->scale];
        bool fits = fabs(scaled) < ROUND_MAX; /* false for NaN too */
        if (fits) {
            uint64_t mantissa = (uint64_t)(int64_t)((scaled + ROUNDER) - ROUNDER);
            double again;
            decimals_to_values(&mantissa, 1, decimals->rule, decimals->scale, &again);
            fits = memcmp(&again, &values[i], sizeof again) == 0;
            before = fits ? (int64_t)mantissa : before;
        }
        if (!fits && ++decimals->exception_count > exceptions_max)
            return false;
        mantissas[i] = before;
        is_exception[i] = !fits;
    }
    return true;
}

/* Of programs that do not divide once by a power of ten: the disk times of node_exporter are
 * milliseconds times 0.001, its pressure times microseconds / 1000 / 1000. */
static bool find_others(const double *values, size_t count, size_t exceptions_max,
                        int64_t *mantissas, bool *is_exception, struct decimals *ret_decimals)
{
    static const struct decimals others[] = {{.rule = DECIMAL_PRODUCT, .scale = 3},
                                             {.rule = DECIMAL_PRODUCT, .scale = 6},
                                             {.rule = DECIMAL_PRODUCT, .scale = 9},
                                             {.rule = DECIMAL_TWICE, .scale = 6}};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct decimals decimals = others[i];
        if (find_by_rule(values, count, exceptions_max, mantissas, is_exception, &decimals)) {
            *ret_decimals = decimals;
            return true;
        }
    }
    return false;
}

bool decimals_find(const double *values, size_t count, size_t exceptions_max,
                   int64_t *mantissas, bool *is_exception, struct decimals *ret_decimals)
{
    bool found = find_quotients(values, count, exceptions_max, mantissas, is_exception,
                                ret_decimals);
    if (found && ret_decimals->exception_count == 0)
        return true;
    size_t fewer = found ? ret_decimals->exception_count - 1 : exceptions_max;
    if (find_others(values, count, fewer, mantissas, is_exception, ret_decimals))
        return true;
    /* The attempts have overwritten what was found. */
    return found && find_quotients(values, count, exceptions_max, mantissas, is_exception,
                                   ret_decimals);
}

/* Are all of them between -2^51 and 2^51? */
static bool are_small(const uint64_t *mantissas, size_t count)
{
    const uint64_t half = UINT64_C(1) << 51;
    uint64_t all = 0;

    for (size_t i = 0; i < count; i++)
        all |= mantissas[i] + half;
    return all >> 52 == 0;
}

/* Integers as doubles.  Small ones are added to the bits of a double whose last bit counts one: no
 * processor of the least kind turns two integers of 64 bits into doubles at once, all add. */
static void to_doubles(const uint64_t *mantissas, size_t count, double *values)
{
    uint64_t rounder;
    double number = ROUNDER;

    if (!are_small(mantissas, count)) {
        for (size_t i = 0; i < count; i++)
            values[i] = (double)(int64_t)mantissas[i];
        return;
    }
    memcpy(&rounder, &number, sizeof rounder);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = mantissas[i] + rounder;
        memcpy(&number, &bits, sizeof number);
        values[i] = number - ROUNDER;
    }
}

CLONED void decimals_to_values(const uint64_t *mantissas, size_t count, enum decimal_rule rule,
                        unsigned scale, double *values)
{
    const double divisor = powers[rule == DECIMAL_TWICE ? scale / 2 : scale];
    const double factor = inverses[scale];

    if (rule == DECIMAL_BITS) {
        memcpy(values, mantissas, count * sizeof *values);
        return;
    }
    to_doubles(mantissas, count, values);
    if (rule == DECIMAL_PRODUCT) {
        for (size_t i = 0; i < count; i++)
            values[i] *= factor;
    } else if (rule == DECIMAL_TWICE) {
        for (size_t i = 0; i < count; i++)
            values[i] = values[i] / divisor / divisor;
    } else if (scale > 0) {
        for (size_t i = 0; i < count; i++)
            values[i] /= divisor;
    }
}
