/*
 * literal.c - what number, duration and string tokens stand for.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/lexer.h"
#include "proto/base/error.h"
#include "proto/base/units.h"
#include "proto/base/utf8.h"

#define NUMBER_TOKEN_BYTES 400

static bool is_hex_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Copies without Go's separators, each of which stands between two digits, or between 0x and one. */
static bool copy_digits(struct bytes text, char copy[NUMBER_TOKEN_BYTES])
{
    size_t size = 0;
    if (text.size >= NUMBER_TOKEN_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '_') {
            copy[size++] = (char)text.data[i];
            continue;
        }
        if (i == 0 || i + 1 == text.size || !is_hex_digit(text.data[i + 1]) ||
            !(is_hex_digit(text.data[i - 1]) || text.data[i - 1] == 'x' ||
              text.data[i - 1] == 'X'))
            return false;
    }
    copy[size] = '\0';
    return true;
}

bool number_parse(struct bytes text, double *ret_value)
{
    char copy[NUMBER_TOKEN_BYTES];
    char *end;

    if (!copy_digits(text, copy))
        return false;
    if (strspn(copy, "0123456789abcdefABCDEFxX") == strlen(copy)) {
        /* As Go's ParseInt with base 0: 0x is hexadecimal, a leading 0 octal.  Digits that are
         * neither, as in 08, are a decimal number again. */
        errno = 0;
        long long whole = strtoll(copy, &end, 0);
        if (errno == 0 && *end == '\0') {
            *ret_value = (double)whole;
            return true;
        }
    }
    if (copy[0] == '0' && (copy[1] == 'x' || copy[1] == 'X'))
        return false; /* Go's hexadecimals that are no integers have a p */
    *ret_value = strtod(copy, &end);
    return *end == '\0' && !isinf(*ret_value);
}

const char *number_fault(struct bytes text)
{
    char copy[NUMBER_TOKEN_BYTES];
    char *end;
    return copy_digits(text, copy) && isinf(strtod(copy, &end)) && *end == '\0'
               ? "value out of range"
               : "invalid syntax";
}

/* ERR_LIMIT where nanoseconds, which Prometheus counts, would not fit. */
static int duration_token_read(struct bytes text, int64_t *ret_ms)
{
    char copy[NUMBER_TOKEN_BYTES];
    int error = copy_digits(text, copy) ? duration_parse(copy, ret_ms) : ERR_MALFORMED;
    return error == 0 && *ret_ms > INT64_MAX / 1000000 ? ERR_LIMIT : error;
}

bool duration_token_parse(struct bytes text, int64_t *ret_ms)
{
    return duration_token_read(text, ret_ms) == 0;
}

bool duration_token_is_too_long(struct bytes text)
{
    int64_t ms;
    return duration_token_read(text, &ms) == ERR_LIMIT;
}

/* The first unit of a duration token that is none; empty if all are. */
struct bytes duration_unknown_unit(struct bytes text)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d", "w", "y"};
    for (size_t i = 0; i < text.size;) {
        while (i < text.size && text.data[i] >= '0' && text.data[i] <= '9')
            i++;
        struct bytes unit = {text.data + i, 0};
        for (; i < text.size && !(text.data[i] >= '0' && text.data[i] <= '9'); i++)
            unit.size++;
        bool is_known = unit.size == 0;
        for (size_t k = 0; k < sizeof units / sizeof units[0] && !is_known; k++)
            is_known = bytes_equal(unit, bytes_of(units[k]));
        if (!is_known)
            return unit;
    }
    return (struct bytes){NULL, 0};
}

/* -- escapes ----------------------------------------------------------------------------- */

/* How many digits of which base follow: \101, \x41, \u00e9, \U0001f600. */
struct digits {
    size_t count;
    uint32_t base;
};

static struct digits digits_after(uint8_t c)
{
    switch (c) {
    case 'x':
        return (struct digits){2, 16};
    case 'u':
        return (struct digits){4, 16};
    case 'U':
        return (struct digits){8, 16};
    default:
        return c >= '0' && c <= '7' ? (struct digits){3, 8} : (struct digits){0, 0};
    }
}

/* What a letter after a backslash means; 0: it is none of them. */
static uint8_t letter_meaning(uint8_t c)
{
    static const char letters[] = "abfnrtv\\";
    static const char meanings[] = "\a\b\f\n\r\t\v\\";
    const char *letter = c != 0 ? strchr(letters, c) : NULL;
    return letter == NULL ? 0 : (uint8_t)meanings[letter - letters];
}

/* Go's %#U of the character at `at`. */
static size_t complain(const uint8_t *at, const uint8_t *end, const char *before,
                       const char *after, char message[LEXER_MESSAGE_BYTES])
{
    uint32_t code = 0xfffd;
    size_t size = utf8_decode(at, end, &code);
    bool is_plain = size > 0 && code >= 0x20 && (code < 0x7f || code > 0xa0);
    (void)snprintf(message, LEXER_MESSAGE_BYTES, "%s U+%04X%s%.*s%s%s", before, code,
                   is_plain ? " '" : "", is_plain ? (int)size : 0, (const char *)at,
                   is_plain ? "'" : "", after);
    return 0;
}

static size_t complain_of_end(char message[LEXER_MESSAGE_BYTES])
{
    (void)snprintf(message, LEXER_MESSAGE_BYTES, "escape sequence not terminated");
    return 0;
}

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 16;
}

size_t string_escape(const uint8_t *at, const uint8_t *end, uint8_t quote,
                     char message[LEXER_MESSAGE_BYTES])
{
    uint64_t code = 0;
    if (at >= end)
        return complain_of_end(message);
    if (*at == quote || letter_meaning(*at) != 0)
        return 1;
    const struct digits digits = digits_after(*at);
    if (digits.count == 0)
        return complain(at, end, "unknown escape sequence", "", message);
    const size_t letter = digits.base == 8 ? 0 : 1;
    for (size_t i = letter; i < letter + digits.count; i++) {
        if (at + i >= end)
            return complain_of_end(message);
        uint32_t value = (uint32_t)hex_value(at[i]);
        if (value >= digits.base)
            return complain(at + i, end, "illegal character", " in escape sequence", message);
        code = code * digits.base + value;
    }
    const uint64_t most = digits.count <= 3 ? 0xff : 0x10ffff;
    if (code > most || (code >= 0xd800 && code <= 0xdfff)) {
        (void)snprintf(message, LEXER_MESSAGE_BYTES,
                       "escape sequence is an invalid Unicode code point");
        return 0;
    }
    return letter + digits.count;
}

/* An escape that was checked: appends what it stands for and returns its end. */
static const uint8_t *unescape(const uint8_t *at, uint8_t quote, uint8_t *out, size_t *size)
{
    const struct digits digits = digits_after(*at);
    uint32_t code = 0;
    if (*at == quote || letter_meaning(*at) != 0) {
        out[(*size)++] = *at == quote ? quote : letter_meaning(*at);
        return at + 1;
    }
    at += digits.base == 8 ? 0 : 1;
    for (size_t i = 0; i < digits.count; i++)
        code = code * digits.base + (uint32_t)hex_value(*at++);
    if (digits.count <= 3)
        out[(*size)++] = (uint8_t)code; /* a byte */
    else
        *size += utf8_encode(code, out + *size);
    return at;
}

size_t string_unquote(struct bytes quoted, uint8_t *out)
{
    uint8_t quote = quoted.data[0];
    const uint8_t *at = quoted.data + 1;
    const uint8_t *end = quoted.data + quoted.size - 1;
    size_t size = 0;

    while (at < end) {
        if (*at == '\\' && quote != '`')
            at = unescape(at + 1, quote, out, &size);
        else
            out[size++] = *at++;
    }
    return size;
}
