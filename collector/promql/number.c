/*
 * number.c - a float64 as Go's strconv.FormatFloat(value, 'f' or 'e', -1, 64) writes it.
 *
 * The digits are the shortest decimal that reads back the same, of those the nearest.  Between
 * 2^-36 and 1e17, where measurements lie, they come out of exact integers: value = m * 2^e, and
 *
 *     value * 10^k = m * 5^k * 2^(e+k)       m < 2^53, 5^k < 2^63: both fit in 128 bits
 *
 * with k such that 17 or 18 digits stand before the point.  All decimals between the middles to
 * the two neighbouring numbers read back as the value; the one that ends in the most zeros is
 * it.  Elsewhere it is found by trying: 15 significant digits always fit a decimal that was
 * typed, 17 always suffice; only subnormal numbers may need fewer than 15 that trailing zeros
 * do not show.  Then the digits are laid out anew, because C and Go put point and exponent in
 * different places.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/digits.h"

/* Digits are copied so many at a time, which is one move; what comes after them is written over. */
#define DIGITS_COPIED DIGITS_MAX

struct decimal {
    char room[DIGITS_MAX + DIGITS_COPIED];
    const char *digits; /* in `room`; without trailing zeros */
    int count;
    int point; /* value = 0.DIGITS * 10^point */
};

/* Does the text read back as the value - or, for a power of two, the text with its last digit
 * one up?  Numbers above a power of two lie twice as far apart as those below it, so the
 * decimal next above may still mean it where the nearest one, below, does not. */
static bool reads_back(char *text, double value)
{
    int exponent;
    char *last = strchr(text, 'e') - 1;
    if (strtod(text, NULL) == value)
        return true;
    if (frexp(value, &exponent) != 0.5 || *last < '0' || *last > '8')
        return false;
    (*last)++;
    return strtod(text, NULL) == value;
}

/* The number of a bit pattern, as m * 2^e; normal numbers only. */
struct binary {
    uint64_t m;
    int e;
};

static struct binary binary_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (struct binary){(bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52,
                           (int)(bits >> 52) - 1075};
}

__extension__ typedef unsigned __int128 wide;

/* A wide number times a power of two: its whole part, and how the rest compares with a half. */
struct scaled {
    uint64_t whole;
    int rest; /* 0: none, 1: below a half, 2: a half, 3: above */
};

static struct scaled scale(wide number, int shift)
{
    if (shift >= 0)
        return (struct scaled){(uint64_t)(number << shift), 0};
    wide half = (wide)1 << (-shift - 1);
    wide rest = number & ((half << 1) - 1);
    return (struct scaled){(uint64_t)(number >> -shift), rest == 0      ? 0
                                                         : rest < half  ? 1
                                                         : rest == half ? 2
                                                                        : 3};
}

/* Lays `number` * 10^exponent out as digits. */
static void decimal_of(uint64_t number, int exponent, struct decimal *decimal)
{
    const char *end = decimal->room + DIGITS_MAX;
    memset(decimal->room + DIGITS_MAX, 0, DIGITS_COPIED);
    decimal->digits = digits_put_before(decimal->room + DIGITS_MAX, number);
    for (; end[-1] == '0'; end--)
        exponent++;
    decimal->count = (int)(end - decimal->digits);
    decimal->point = decimal->count + exponent;
}

/* The multiple of `unit` next to the value, of two as near the even one. */
static uint64_t nearest(struct scaled value, uint64_t unit)
{
    uint64_t count = value.whole / unit;
    uint64_t over = value.whole % unit;
    bool is_up = over > unit / 2 || (over == unit / 2 && value.rest > 0);
    bool is_middle = over == unit / 2 && value.rest == 0;
    if (unit == 1) {
        is_up = value.rest == 3;
        is_middle = value.rest == 2;
    }
    return count + (is_up || (is_middle && count % 2 == 1));
}

static uint64_t power_of_five(int k)
{
    uint64_t power = 1;
    uint64_t square = 5;
    for (; k > 0; k >>= 1) {
        power *= k % 2 == 1 ? square : 1;
        square *= square;
    }
    return power;
}

/* As told above; false: elsewhere. */
static bool shortest_exact(double value, struct decimal *ret_decimal)
{
    if (value < 0x1p-36 || value >= 1e17) /* 5^k fits in 63 bits, the digits in 64 */
        return false;
    struct binary binary = binary_of(value);
    if (binary.e <= 0 && binary.e > -53 && (binary.m & ((UINT64_C(1) << -binary.e) - 1)) == 0) {
        decimal_of(binary.m >> -binary.e, 0, ret_decimal); /* its own digits are the shortest */
        return true;
    }
    /* Of at most 15 digits there is only one decimal that reads back. */
    double thousandfold = value * 1000;
    double millionfold = value * 1e6;
    if (value < 1e12 && thousandfold == (double)(uint64_t)thousandfold &&
        thousandfold / 1000 == value) {
        decimal_of((uint64_t)thousandfold, -3, ret_decimal);
        return true;
    }
    if (value < 1e9 && millionfold == (double)(uint64_t)millionfold &&
        millionfold / 1e6 == value) {
        decimal_of((uint64_t)millionfold, -6, ret_decimal);
        return true;
    }
    /* 1233/4096 is log10(2), near enough and never above the true power. */
    int k = 16 - (((binary.e + 52) * 1233) >> 12);
    uint64_t five = power_of_five(k);
    int shift = binary.e - 2 + k;
    bool is_power = binary.m == UINT64_C(1) << 52; /* the neighbour below is nearer */
    bool is_closed = binary.m % 2 == 0; /* the middles read back as the even number */
    struct scaled low = scale((wide)(4 * binary.m - (is_power ? 1 : 2)) * five, shift);
    struct scaled high = scale((wide)(4 * binary.m + 2) * five, shift);
    struct scaled middle = scale((wide)(4 * binary.m) * five, shift);
    uint64_t least = low.whole + (low.rest > 0 || !is_closed);
    uint64_t most = high.whole - (high.rest == 0 && !is_closed);
    if (least > most)
        return false;
    uint64_t unit = 1;
    int zeros = 0;
    for (; most / (unit * 10) * (unit * 10) >= least; zeros++)
        unit *= 10;
    uint64_t count = nearest(middle, unit);
    if (count * unit < least)
        count++;
    if (count * unit > most)
        count--;
    decimal_of(count, zeros - k, ret_decimal);
    return true;
}

/* Shortest digits of a finite, positive number. */
static void shortest(double value, struct decimal *decimal)
{
    char text[40];

    if (shortest_exact(value, decimal))
        return;

    for (int precision = value < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (reads_back(text, value))
            break;
    }
    const char *at = text;
    memset(decimal->room, 0, sizeof decimal->room);
    decimal->digits = decimal->room;
    decimal->count = 0;
    for (; *at != 'e'; at++)
        if (*at != '.')
            decimal->room[decimal->count++] = *at;
    while (decimal->count > 1 && decimal->room[decimal->count - 1] == '0')
        decimal->count--;
    decimal->point = atoi(at + 1) + 1;
}

static char *put(char *at, const char *digits, int count)
{
    memcpy(at, digits, DIGITS_COPIED);
    return at + count;
}

static char *put_zeros(char *at, int count)
{
    if (count > 0)
        memset(at, '0', (size_t)count);
    return count > 0 ? at + count : at;
}

/* Both give the end, where they put a NUL. */
static char *put_plain(const struct decimal *decimal, char *at)
{
    int whole = decimal->point < decimal->count ? decimal->point : decimal->count;
    if (decimal->point <= 0) {
        *at++ = '0';
        whole = 0;
    } else {
        at = put(at, decimal->digits, whole);
        at = put_zeros(at, decimal->point - whole);
    }
    if (whole < decimal->count) {
        *at++ = '.';
        at = put_zeros(at, -decimal->point);
        at = put(at, decimal->digits + whole, decimal->count - whole);
    }
    *at = '\0';
    return at;
}

static char *put_exponent(const struct decimal *decimal, char *at)
{
    int exponent = decimal->point - 1;
    *at++ = decimal->digits[0];
    if (decimal->count > 1) {
        *at++ = '.';
        at = put(at, decimal->digits + 1, decimal->count - 1);
    }
    return at + sprintf(at, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

enum notation { NOTATION_JSON, NOTATION_PLAIN, NOTATION_GENERAL };

/* Go's %g of the shortest digits: an exponent from 1e+06 and below 1e-04 on. */
static bool general_is_plain(const struct decimal *decimal)
{
    return decimal->point - 1 >= -4 && decimal->point - 1 < 6;
}

/* Bytes, counters of packets, zeros: most of what is measured. */
static char *put_whole(char *at, uint64_t number)
{
    char room[DIGITS_MAX + DIGITS_COPIED] = {0};
    const char *first = digits_put_before(room + DIGITS_MAX, number);
    memcpy(at, first, DIGITS_COPIED);
    at += room + DIGITS_MAX - first;
    *at = '\0';
    return at;
}

static char *number_put(double value, enum notation notation, char text[NUMBER_TEXT_BYTES])
{
    if (isnan(value))
        return stpcpy(text, "NaN");
    if (isinf(value))
        return stpcpy(text, value > 0 ? "+Inf" : "-Inf");
    char *at = text;
    if (signbit(value))
        *at++ = '-';
    double size = fabs(value);
    if (size == 0.0 || (notation != NOTATION_GENERAL && size < 0x1p53 && size == trunc(size)))
        return put_whole(at, (uint64_t)size);
    struct decimal decimal;
    shortest(size, &decimal);
    if (notation == NOTATION_PLAIN ||
        (notation == NOTATION_JSON && size >= 1e-6 && size < 1e21) ||
        (notation == NOTATION_GENERAL && general_is_plain(&decimal)))
        return put_plain(&decimal, at);
    return put_exponent(&decimal, at);
}

char *promql_number_put(double value, char text[NUMBER_TEXT_BYTES])
{
    return number_put(value, NOTATION_JSON, text);
}

const char *promql_number_text(double value, char text[NUMBER_TEXT_BYTES])
{
    (void)number_put(value, NOTATION_JSON, text);
    return text;
}

const char *promql_number_plain(double value, char text[NUMBER_TEXT_BYTES])
{
    (void)number_put(value, NOTATION_PLAIN, text);
    return text;
}

const char *promql_number_general(double value, char text[NUMBER_TEXT_BYTES])
{
    (void)number_put(value, NOTATION_GENERAL, text);
    return text;
}
