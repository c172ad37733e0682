/*
 * exposition_number.c - numbers of both formats, to text and back.
 *
 * Most samples are whole numbers or have a few decimals.  A decimal whose digits m fit 53 bits
 * and whose power of ten is at most 10^22 is read with one exact operation, m times or divided
 * by that power, which IEEE 754 rounds correctly; likewise, a double is written as m with s
 * decimals when m / 10^s gives it back.  Everything else goes through the C library.
 *
 * Source: W. D. Clinger, How to Read Floating Point Numbers Accurately (PLDI 1990).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/base/error.h"
#include "proto/exposition/exposition_parts.h"

#define EXACT_MANTISSA  ((uint64_t)1 << 53)
#define EXACT_POWER     22
#define DIGITS_MAX      19 /* any number of so many digits fits 64 bits */
#define TEXT_BYTES_MAX  ((size_t)1024)
#define SHORT_SCALE_MAX 9
#define EXPONENT_BOUND  100000

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(struct bytes text, const char *word)
{
    return text.size == strlen(word) &&
           strncasecmp((const char *)text.data, word, text.size) == 0;
}

static double ordinary_nan(void)
{
    uint64_t bits = EXPOSITION_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool read_word(struct bytes text, double *ret_value)
{
    bool has_sign = text.size > 0 && (text.data[0] == '+' || text.data[0] == '-');
    bool is_negative = has_sign && text.data[0] == '-';
    if (is_word(text, "nan")) {
        *ret_value = ordinary_nan();
        return true;
    }
    if (has_sign)
        text = (struct bytes){text.data + 1, text.size - 1};
    if (!is_word(text, "inf") && !is_word(text, "infinity"))
        return false;
    *ret_value = is_negative ? -HUGE_VAL : HUGE_VAL;
    return true;
}

struct decimal {
    uint64_t mantissa;
    int64_t exponent;
    size_t digits; /* of the mantissa, leading zeros left out; beyond DIGITS_MAX not in it */
    bool is_negative;
};

static void take_digit(struct decimal *decimal, uint8_t c, bool is_fraction)
{
    if (decimal->digits > 0 || c != '0')
        decimal->digits++;
    if (decimal->digits <= DIGITS_MAX) {
        decimal->mantissa = decimal->mantissa * 10 + (uint64_t)(c - '0');
        decimal->exponent -= is_fraction;
    } else {
        decimal->exponent += !is_fraction;
    }
}

static bool read_exponent(const uint8_t *at, const uint8_t *end, int64_t *ret_exponent)
{
    bool is_negative = at < end && *at == '-';
    int64_t exponent = 0;
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        if (exponent < EXPONENT_BOUND)
            exponent = exponent * 10 + (*at - '0');
    }
    *ret_exponent = is_negative ? -exponent : exponent;
    return true;
}

/* Checks the whole text: sign, digits with a point among them or at an end, exponent. */
static bool read_decimal(struct bytes text, struct decimal *decimal)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    bool has_digits = false;
    bool is_fraction = false;
    int64_t exponent = 0;

    decimal->is_negative = at < end && *at == '-';
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    for (; at < end && (is_digit(*at) || (*at == '.' && !is_fraction)); at++) {
        if (*at == '.') {
            is_fraction = true;
        } else {
            take_digit(decimal, *at, is_fraction);
            has_digits = true;
        }
    }
    if (!has_digits)
        return false;
    if (at < end && ((*at | 0x20) != 'e' || !read_exponent(at + 1, end, &exponent)))
        return false;
    decimal->exponent += exponent;
    return true;
}

static int read_slowly(struct bytes text, double *ret_value)
{
    char copy[TEXT_BYTES_MAX + 1];
    if (text.size > TEXT_BYTES_MAX)
        return ERR_LIMIT;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    double value = strtod(copy, NULL);
    if (isinf(value))
        return ERR_LIMIT;
    *ret_value = value;
    return 0;
}

int exposition_number(struct bytes text, double *ret_value)
{
    struct decimal decimal = {0};
    if (text.size == 0)
        return ERR_MALFORMED;
    if (!read_decimal(text, &decimal))
        return read_word(text, ret_value) ? 0 : ERR_MALFORMED;
    bool is_exact = decimal.digits <= DIGITS_MAX && decimal.mantissa <= EXACT_MANTISSA &&
                    decimal.exponent >= -EXACT_POWER && decimal.exponent <= EXACT_POWER;
    if (!is_exact)
        return read_slowly(text, ret_value);
    double value = (double)decimal.mantissa;
    if (decimal.exponent < 0)
        value /= powers[-decimal.exponent];
    else
        value *= powers[decimal.exponent];
    *ret_value = decimal.is_negative ? -value : value;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------- */

/* The decimals of a short decimal, or -1: digits * 10^-scale is exactly `value`. */
static int short_scale(double value, uint64_t *ret_digits)
{
    for (int scale = 0; scale <= SHORT_SCALE_MAX; scale++) {
        double scaled = value * powers[scale];
        if (scaled >= (double)EXACT_MANTISSA)
            return -1;
        double digits = nearbyint(scaled);
        if (digits / powers[scale] == value) {
            *ret_digits = (uint64_t)digits;
            return scale;
        }
    }
    return -1;
}

static size_t put_short(char *text, bool is_negative, uint64_t digits, int scale)
{
    char reversed[EXPOSITION_NUMBER_BYTES];
    size_t size = 0;
    for (int i = 0; digits > 0 || i <= scale; i++) {
        if (i == scale && scale > 0)
            reversed[size++] = '.';
        reversed[size++] = (char)('0' + digits % 10);
        digits /= 10;
    }
    if (is_negative)
        reversed[size++] = '-';
    for (size_t i = 0; i < size; i++)
        text[i] = reversed[size - 1 - i];
    return size;
}

static size_t put_word(char *text, const char *word)
{
    size_t size = strlen(word);
    memcpy(text, word, size);
    return size;
}

size_t exposition_number_text(double value, char text[EXPOSITION_NUMBER_BYTES])
{
    if (isnan(value))
        return put_word(text, "NaN");
    if (isinf(value))
        return put_word(text, value > 0 ? "+Inf" : "-Inf");
    uint64_t digits = 0;
    int scale = short_scale(fabs(value), &digits);
    if (scale >= 0)
        return put_short(text, signbit(value) != 0, digits, scale);
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, EXPOSITION_NUMBER_BYTES, "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return strlen(text);
}
