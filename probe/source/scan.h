/*
 * scan.h - reading kernel text from the left: bounded, no copies, no locale, no allocation.
 *
 * A span is what is still unread of a run of bytes; each scan_* takes from its front and
 * returns false, leaving the span where it was, when what it wants is not there.  Nothing ever
 * reads at or past `end`, so a file cut anywhere is safe; the bytes need not end in NUL.
 *
 *     struct span line, name;
 *     uint64_t value;
 *     while (scan_line(&text, &line))
 *         if (scan_word(&line, &name) && scan_u64(&line, &value)) ...
 *
 * Blanks are space and tab; numbers and words skip the blanks before them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/bytes.h"

struct span {
    const char *at;
    const char *end;
};

static inline struct span span_of(const char *data, size_t size)
{
    return (struct span){data, data + size};
}

static inline struct span span_text(const char *text)
{
    return (struct span){text, text + strlen(text)};
}

/* Bytes as a span; they may be none, with no address. */
static inline struct span span_from(struct bytes bytes)
{
    const char *data = bytes.size > 0 ? (const char *)bytes.data : "";
    return span_of(data, bytes.size);
}

static inline size_t span_size(struct span span)
{
    return (size_t)(span.end - span.at);
}

static inline struct bytes span_bytes(struct span span)
{
    return (struct bytes){(const uint8_t *)span.at, span_size(span)};
}

static inline bool span_is(struct span span, const char *text)
{
    size_t size = strlen(text);
    return span_size(span) == size && memcmp(span.at, text, size) == 0;
}

static inline void scan_blanks(struct span *span)
{
    while (span->at < span->end && (*span->at == ' ' || *span->at == '\t'))
        span->at++;
}

/* The next line without its newline; a last line without one counts.  False at the end. */
static inline bool scan_line(struct span *text, struct span *ret_line)
{
    if (text->at >= text->end)
        return false;
    const char *newline = memchr(text->at, '\n', span_size(*text));
    ret_line->at = text->at;
    ret_line->end = newline != NULL ? newline : text->end;
    text->at = newline != NULL ? newline + 1 : text->end;
    return true;
}

/* A decimal number that fits 64 bits.  What follows it is not looked at. */
static inline bool scan_u64(struct span *span, uint64_t *ret_value)
{
    struct span rest = *span;
    scan_blanks(&rest);
    uint64_t value = 0;
    const char *first = rest.at;
    for (; rest.at < rest.end; rest.at++) {
        unsigned digit = (unsigned)(unsigned char)*rest.at - '0';
        if (digit > 9)
            break;
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (rest.at == first)
        return false;
    *span = rest;
    *ret_value = value;
    return true;
}

/* Bytes up to the next blank or the end; at least one. */
static inline bool scan_word(struct span *span, struct span *ret_word)
{
    struct span rest = *span;
    scan_blanks(&rest);
    const char *first = rest.at;
    while (rest.at < rest.end && *rest.at != ' ' && *rest.at != '\t' && *rest.at != '\n')
        rest.at++;
    if (rest.at == first)
        return false;
    *ret_word = (struct span){first, rest.at};
    *span = rest;
    return true;
}

/* Exactly this character, after blanks. */
static inline bool scan_char(struct span *span, char wanted)
{
    struct span rest = *span;
    scan_blanks(&rest);
    if (rest.at >= rest.end || *rest.at != wanted)
        return false;
    rest.at++;
    *span = rest;
    return true;
}

/* Exactly this text at the front; no blanks are skipped. */
static inline bool scan_text(struct span *span, const char *wanted)
{
    size_t size = strlen(wanted);
    if (span_size(*span) < size || memcmp(span->at, wanted, size) != 0)
        return false;
    span->at += size;
    return true;
}

/* A number with an optional minus sign that fits 64 bits. */
bool scan_i64(struct span *span, int64_t *ret_value);

/* A whole number of up to 64 bits, with or without sign, as the nearest double. */
static inline bool scan_number(struct span *span, double *ret_value)
{
    uint64_t positive;
    int64_t number;
    if (scan_u64(span, &positive))
        *ret_value = (double)positive;
    else if (scan_i64(span, &number))
        *ret_value = (double)number;
    else
        return false;
    return true;
}

/* A plain decimal fraction such as loadavg's "12.34": digits, at most 15 of them in all, so
 * that the result is the double nearest to what is written. */
bool scan_decimal(struct span *span, double *ret_value);

/* 0x and up to 16 hexadecimal digits, the 0x may be missing. */
bool scan_hex(struct span *span, uint64_t *ret_value);

/* Cuts blanks and newlines off both ends. */
struct span span_trim(struct span span);

/* Copies foreign text where people will read it: bytes that are no UTF-8 become U+FFFD, control
 * characters (NUL, newline, escape: names of devices and processes may hold anything) become
 * spaces.  Writes at most `capacity` bytes, never half a character, no NUL; returns the size.
 */
size_t text_clean(struct bytes text, char *out, size_t capacity);

/* Undoes the octal escapes of /proc/mounts ("\040" for a space).  `out` holds at least
 * text.size bytes; returns the size. */
size_t text_unescape_octal(struct bytes text, char *out);
