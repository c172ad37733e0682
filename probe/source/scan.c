/*
 * scan.c - the longer scanners (scan.h).
 */
#include "probe/source/scan.h"

bool scan_i64(struct span *span, int64_t *ret_value)
{
    struct span rest = *span;
    scan_blanks(&rest);
    bool negative = rest.at < rest.end && *rest.at == '-';
    if (negative)
        rest.at++;
    if (rest.at >= rest.end || *rest.at < '0' || *rest.at > '9')
        return false;
    uint64_t size;
    if (!scan_u64(&rest, &size) || size > (uint64_t)INT64_MAX)
        return false;
    *span = rest;
    *ret_value = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

bool scan_decimal(struct span *span, double *ret_value)
{
    struct span rest = *span;
    scan_blanks(&rest);
    uint64_t digits = 0;
    double scale = 1;
    int seen = 0;
    bool fraction = false;
    for (; rest.at < rest.end; rest.at++) {
        if (*rest.at == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (*rest.at < '0' || *rest.at > '9')
            break;
        if (++seen > 15)
            return false;
        digits = digits * 10 + (uint64_t)(*rest.at - '0');
        if (fraction)
            scale *= 10;
    }
    if (seen == 0)
        return false;
    *span = rest;
    *ret_value = (double)digits / scale;
    return true;
}

bool scan_hex(struct span *span, uint64_t *ret_value)
{
    struct span rest = *span;
    scan_blanks(&rest);
    (void)(scan_text(&rest, "0x") || scan_text(&rest, "0X"));
    uint64_t value = 0;
    int digits = 0;
    for (; rest.at < rest.end; rest.at++, digits++) {
        char c = *rest.at;
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            break;
        if (digits == 16)
            return false;
        value = value << 4 | digit;
    }
    if (digits == 0)
        return false;
    *span = rest;
    *ret_value = value;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span span_trim(struct span span)
{
    while (span.at < span.end && is_blank(*span.at))
        span.at++;
    while (span.at < span.end && is_blank(span.end[-1]))
        span.end--;
    return span;
}

/* The length of the well-formed UTF-8 character at the front (RFC 3629: no overlong forms, no
 * surrogates, nothing past U+10FFFF), or 0. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                    : lead >= 0xe0 && lead <= 0xef ? 3
                    : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) ||
               (lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : length;
}

size_t text_clean(struct bytes text, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size;) {
        const char *from = (const char *)text.data + i;
        size_t taken = utf8_length(text.data + i, text.size - i);
        size_t given = taken;
        if (taken == 0) {
            from = "\xef\xbf\xbd";
            taken = 1;
            given = 3;
        } else if (taken == 1 && (text.data[i] < 0x20 || text.data[i] == 0x7f)) {
            from = " ";
        }
        if (given > capacity - size)
            break;
        memcpy(out + size, from, given);
        size += given;
        i += taken;
    }
    return size;
}

static bool is_octal(uint8_t c)
{
    return c >= '0' && c <= '7';
}

size_t text_unescape_octal(struct bytes text, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t *at = text.data + i;
        if (at[0] == '\\' && text.size - i >= 4 && at[1] <= '3' && is_octal(at[1]) &&
            is_octal(at[2]) && is_octal(at[3])) {
            out[size++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 3;
        } else {
            out[size++] = (char)at[0];
        }
    }
    return size;
}
