/*
 * literal.c - what number, duration and string tokens stand for.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/lexer.h"
#include "proto/base/units.h"
#include "proto/base/utf8.h"

#define NUMBER_TOKEN_BYTES 400

/* Copies without Go's digit separators. */
static bool copy_digits(struct bytes text, char copy[NUMBER_TOKEN_BYTES])
{
    size_t size = 0;
    if (text.size >= NUMBER_TOKEN_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != '_')
            copy[size++] = (char)text.data[i];
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
    *ret_value = strtod(copy, &end);
    return *end == '\0' && !isinf(*ret_value);
}

bool duration_token_parse(struct bytes text, int64_t *ret_ms)
{
    char copy[NUMBER_TOKEN_BYTES];
    return copy_digits(text, copy) && duration_parse(copy, ret_ms) == 0;
}

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Digits of \x41 é \U0001f600 \101 from `at`; the end, or NULL. */
static const uint8_t *read_code(const uint8_t *at, const uint8_t *end, int digits,
                                uint32_t base, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (end - at < digits)
        return NULL;
    for (int i = 0; i < digits; i++, at++) {
        int value = hex_value(*at);
        if (value < 0 || (uint32_t)value >= base)
            return NULL;
        code = code * base + (uint32_t)value;
    }
    *ret_code = code;
    return at;
}

/* One escape after the backslash at `at`; appends what it stands for and returns its end. */
static const uint8_t *unescape(const uint8_t *at, const uint8_t *end, uint8_t quote,
                               uint8_t *out, size_t *size)
{
    static const char letters[] = "abfnrtv\\";
    static const char meanings[] = "\a\b\f\n\r\t\v\\";
    uint8_t c = *at;
    uint32_t code = 0;
    const uint8_t *after;

    if (c == quote) {
        out[(*size)++] = c;
        return at + 1;
    }
    const char *letter = c != 0 ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        out[(*size)++] = (uint8_t)meanings[letter - letters];
        return at + 1;
    }
    if (c == 'x' || (c >= '0' && c <= '7')) {
        after =
            c == 'x' ? read_code(at + 1, end, 2, 16, &code) : read_code(at, end, 3, 8, &code);
        if (after != NULL && code > 0xff)
            return NULL;
        if (after != NULL)
            out[(*size)++] = (uint8_t)code;
        return after;
    }
    if (c != 'u' && c != 'U')
        return NULL;
    after = read_code(at + 1, end, c == 'u' ? 4 : 8, 16, &code);
    if (after == NULL || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return NULL;
    *size += utf8_encode(code, out + *size);
    return after;
}

size_t string_unquote(struct bytes quoted, uint8_t *out, const char **ret_reason)
{
    uint8_t quote = quoted.data[0];
    const uint8_t *at = quoted.data + 1;
    const uint8_t *end = quoted.data + quoted.size - 1;
    size_t size = 0;

    while (at < end) {
        if (*at != '\\' || quote == '`') {
            out[size++] = *at++;
            continue;
        }
        at++;
        at = at < end ? unescape(at, end, quote, out, &size) : NULL;
        if (at == NULL) {
            *ret_reason = "unknown escape sequence in string";
            return SIZE_MAX;
        }
    }
    return size;
}
