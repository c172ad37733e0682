/*
 * number.c - a float64 as Go's strconv.FormatFloat(value, 'f' or 'e', -1, 64) writes it.
 *
 * The shortest decimal that reads back the same is found by trying: 15 significant digits
 * always fit a decimal that was typed, 17 always suffice; only subnormal numbers may need fewer
 * than 15 that trailing zeros do not show.  Then the digits are laid out anew, because C and Go
 * put point and exponent in different places.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"

struct decimal {
    char digits[20]; /* without trailing zeros */
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

/* Shortest digits of a finite, positive number. */
static struct decimal shortest(double value)
{
    struct decimal decimal = {.count = 0};
    char text[40];

    for (int precision = value < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (reads_back(text, value))
            break;
    }
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at != '.')
            decimal.digits[decimal.count++] = *at;
    while (decimal.count > 1 && decimal.digits[decimal.count - 1] == '0')
        decimal.count--;
    decimal.digits[decimal.count] = '\0';
    decimal.point = atoi(at + 1) + 1;
    return decimal;
}

static char *put(char *at, const char *digits, int count)
{
    memcpy(at, digits, (size_t)count);
    return at + count;
}

static char *put_zeros(char *at, int count)
{
    if (count > 0)
        memset(at, '0', (size_t)count);
    return count > 0 ? at + count : at;
}

static void put_plain(const struct decimal *decimal, char *at)
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
}

static void put_exponent(const struct decimal *decimal, char *at)
{
    int exponent = decimal->point - 1;
    *at++ = decimal->digits[0];
    if (decimal->count > 1) {
        *at++ = '.';
        at = put(at, decimal->digits + 1, decimal->count - 1);
    }
    (void)sprintf(at, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

enum notation { NOTATION_JSON, NOTATION_PLAIN, NOTATION_GENERAL };

/* Go's %g of the shortest digits: an exponent from 1e+06 and below 1e-04 on. */
static bool general_is_plain(const struct decimal *decimal)
{
    return decimal->point - 1 >= -4 && decimal->point - 1 < 6;
}

static const char *number_text(double value, enum notation notation,
                               char text[NUMBER_TEXT_BYTES])
{
    if (isnan(value))
        return strcpy(text, "NaN");
    if (isinf(value))
        return strcpy(text, value > 0 ? "+Inf" : "-Inf");
    char *at = text;
    if (signbit(value))
        *at++ = '-';
    double size = fabs(value);
    if (size == 0.0) {
        (void)strcpy(at, "0");
        return text;
    }
    struct decimal decimal = shortest(size);
    if (notation == NOTATION_PLAIN ||
        (notation == NOTATION_JSON && size >= 1e-6 && size < 1e21) ||
        (notation == NOTATION_GENERAL && general_is_plain(&decimal)))
        put_plain(&decimal, at);
    else
        put_exponent(&decimal, at);
    return text;
}

const char *promql_number_text(double value, char text[NUMBER_TEXT_BYTES])
{
    return number_text(value, NOTATION_JSON, text);
}

const char *promql_number_plain(double value, char text[NUMBER_TEXT_BYTES])
{
    return number_text(value, NOTATION_PLAIN, text);
}

const char *promql_number_general(double value, char text[NUMBER_TEXT_BYTES])
{
    return number_text(value, NOTATION_GENERAL, text);
}
