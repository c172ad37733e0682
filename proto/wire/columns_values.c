/*
 * columns_values.c - a changed value, in as few bytes as its step has digits.
 *
 * What a host reports is mostly short decimals: counts, bytes, seconds with two or six digits.
 * The nearest binary64 of such a decimal is found again exactly by one correctly rounded
 * division of two exact numbers, m / 10^scale, |m| < 2^53, scale <= 15.  So a value travels as
 * the step of its integer m, and only what is no such decimal travels as bits.
 *
 *   code, a varint                    then
 *     even      zigzag(step) * 2      -                    scale is that of the expected value
 *     odd  2 k + 1, k = 0..15         zigzag varint step   scale is k
 *          2 k + 1, k = 16..23        k - 15 bytes,        bits = expected bits XOR these,
 *                                     little-endian        zero-extended
 *
 *   step = m - m', modulo 2^64, where m' is the expected value's integer carried to the scale
 *   (m' * 10^(scale - scale'), modulo 2^64; 0 if its own scale is larger than `scale`).  An
 *   expected value that is no short decimal counts as m' = 0 at scale 0.
 *
 * The expected value's scale is the smallest that fits; both ends compute it, so it must be
 * computed the same way everywhere: multiply, round to nearest (ties to even), divide, compare
 * the bits.  -0.0 is no short decimal.
 */
#include "proto/wire/columns_values.h"

#include <math.h>

#include "proto/base/must.h"

#define SCALE_MAX     15
#define TRIED_AT_ONCE 4
_Static_assert((SCALE_MAX + 1) % TRIED_AT_ONCE == 0, "scales are tried in whole steps");
#define OP_BITS    15                  /* + number of bytes, 1..8 */
#define EXACT_MAX  9007199254740992.0  /* 2^53 */
#define STEP_SHORT (UINT64_C(1) << 62) /* zigzag steps below fit the even form */

static const double powers[SCALE_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Integers from here on have no fraction. */
#define NO_FRACTION 4503599627370496.0 /* 2^52 */
/* value × 10^s of a short decimal of scale s is that far from its integer at most: both value
 * and product are rounded once, by 2^-53 of them each. */
#define NEAR (1.0 / 2251799813685248.0) /* 2^-51 */

static const uint64_t integer_powers[SCALE_MAX + 1] = {UINT64_C(1),
                                                       UINT64_C(10),
                                                       UINT64_C(100),
                                                       UINT64_C(1000),
                                                       UINT64_C(10000),
                                                       UINT64_C(100000),
                                                       UINT64_C(1000000),
                                                       UINT64_C(10000000),
                                                       UINT64_C(100000000),
                                                       UINT64_C(1000000000),
                                                       UINT64_C(10000000000),
                                                       UINT64_C(100000000000),
                                                       UINT64_C(1000000000000),
                                                       UINT64_C(10000000000000),
                                                       UINT64_C(100000000000000),
                                                       UINT64_C(1000000000000000)};

struct decimal {
    bool is_decimal;
    unsigned scale;
    int64_t mantissa;
};

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest integer, ties to even: adding 2^52 leaves no bit for a fraction. */
static double rounded(double value)
{
    if (!(fabs(value) < NO_FRACTION))
        return value;
    return value < 0 ? (value - NO_FRACTION) + NO_FRACTION
                     : (value + NO_FRACTION) - NO_FRACTION;
}

/* Bit i: the value may be a short decimal of scale `from` + i, i = 0..3.  Without a branch and
 * a division, because most scales that are tried do not fit.  Adding and taking away 1.5 × 2^52
 * rounds what is below 2^51, of either sign; what is larger, or NaN, passes. */
static unsigned candidates(double value, unsigned from)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < TRIED_AT_ONCE; i++) {
        double scaled = value * powers[from + i];
        double whole = (scaled + 1.5 * NO_FRACTION) - 1.5 * NO_FRACTION;
        mask |= (unsigned)!(fabs(scaled - whole) > fabs(scaled) * NEAR) << i;
    }
    return mask;
}

static bool fits_scale(double value, unsigned scale, int64_t *ret_mantissa)
{
    double whole = rounded(value * powers[scale]);
    if (!(fabs(whole) < EXACT_MAX)) /* false for NaN too */
        return false;
    int64_t mantissa = (int64_t)whole;
    if (bits_of((double)mantissa / powers[scale]) != bits_of(value))
        return false;
    *ret_mantissa = mantissa;
    return true;
}

/* The smallest scale that is exact.  Once m leaves the exact integers no larger scale fits. */
static struct decimal decimal_of(double value)
{
    struct decimal decimal = {0};

    for (unsigned from = 0; from <= SCALE_MAX; from += TRIED_AT_ONCE) {
        for (unsigned mask = candidates(value, from); mask != 0; mask &= mask - 1) {
            unsigned scale = from + (unsigned)__builtin_ctz(mask);
            if (!(fabs(value * powers[scale]) < EXACT_MAX))
                return decimal;
            if (fits_scale(value, scale, &decimal.mantissa)) {
                decimal.is_decimal = true;
                decimal.scale = scale;
                return decimal;
            }
        }
        if (!(fabs(value * powers[from + TRIED_AT_ONCE - 1]) < EXACT_MAX))
            break;
    }
    return decimal;
}

/* The expected value's integer at a scale, modulo 2^64. */
static uint64_t carried(const struct decimal *expected, unsigned scale)
{
    if (!expected->is_decimal || expected->scale > scale)
        return 0;
    return (uint64_t)expected->mantissa * integer_powers[scale - expected->scale];
}

static uint64_t zigzag_of(uint64_t step)
{
    return (step << 1) ^ (uint64_t)((int64_t)step >> 63);
}

static void put_bits(struct buf *out, uint64_t difference)
{
    unsigned count = 0;
    must(difference != 0);
    for (uint64_t rest = difference; rest != 0; rest >>= 8)
        count++;
    buf_put_u8(out, (uint8_t)(2 * (OP_BITS + count) + 1));
    for (unsigned i = 0; i < count; i++)
        buf_put_u8(out, (uint8_t)(difference >> (8 * i)));
}

void value_put(struct buf *out, double value, double expected)
{
    struct decimal from = decimal_of(expected);
    int64_t mantissa;

    if (fits_scale(value, from.scale, &mantissa)) {
        uint64_t zigzag = zigzag_of((uint64_t)mantissa - carried(&from, from.scale));
        if (zigzag < STEP_SHORT) {
            buf_put_varint(out, zigzag << 1);
            return;
        }
    }
    struct decimal to = decimal_of(value);
    if (!to.is_decimal) {
        put_bits(out, bits_of(value) ^ bits_of(expected));
        return;
    }
    buf_put_u8(out, (uint8_t)(2 * to.scale + 1));
    buf_put_varint(out, zigzag_of((uint64_t)to.mantissa - carried(&from, to.scale)));
}

static double decimal_value(uint64_t mantissa, unsigned scale)
{
    return (double)(int64_t)mantissa / powers[scale];
}

/* Most are of one byte. */
static inline uint64_t get_varint(struct reader *reader)
{
    if (!reader->failed && reader->at < reader->end && *reader->at < 0x80)
        return *reader->at++;
    return reader_varint(reader);
}

double value_get(struct reader *reader, double expected)
{
    uint64_t code = get_varint(reader);
    uint64_t op = code >> 1;

    if ((code & 1) != 0 && op > OP_BITS) {
        uint64_t difference = 0;
        if (op > OP_BITS + sizeof difference) {
            reader->failed = true;
            return 0;
        }
        struct bytes bytes = reader_bytes(reader, (size_t)op - OP_BITS);
        for (size_t i = 0; i < bytes.size; i++)
            difference |= (uint64_t)bytes.data[i] << (8 * i);
        return value_of(bits_of(expected) ^ difference);
    }
    struct decimal from = decimal_of(expected);
    unsigned scale = from.scale;
    uint64_t zigzag = op;
    if ((code & 1) != 0) {
        scale = (unsigned)op;
        zigzag = get_varint(reader);
    }
    uint64_t step = (zigzag >> 1) ^ (~(zigzag & 1) + 1);
    return decimal_value(carried(&from, scale) + step, scale);
}
