/*
 * decode.c - see decode.h.
 *
 * Invalid UTF-8 is replaced as Unicode recommends (and W3C's decoders do): one U+FFFD for each
 * longest run of bytes that could have begun a character.
 */
#include "probe/log/decode.h"

#include <string.h>
#include <strings.h>

#include "probe/log/gb18030.h"

#define REPLACEMENT 0xfffdu

static const struct {
    const char *name;
    enum log_encoding encoding;
} names[] = {
    {"auto", LOG_ENCODING_AUTO},        {"utf-8", LOG_ENCODING_UTF8},
    {"utf8", LOG_ENCODING_UTF8},        {"gb18030", LOG_ENCODING_GB18030},
    {"gbk", LOG_ENCODING_GB18030},      {"gb2312", LOG_ENCODING_GB18030},
    {"cp936", LOG_ENCODING_GB18030},    {"utf-16", LOG_ENCODING_UTF16},
    {"utf-16le", LOG_ENCODING_UTF16LE}, {"utf-16be", LOG_ENCODING_UTF16BE},
};

const char *const log_encoding_names[] = {"auto",     "utf-8",    "utf8",  "gb18030",
                                          "gbk",      "gb2312",   "cp936", "utf-16",
                                          "utf-16le", "utf-16be", NULL};

bool log_encoding_named(const char *name, enum log_encoding *ret_encoding)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i].name, name) == 0) {
            *ret_encoding = names[i].encoding;
            return true;
        }
    return false;
}

enum log_encoding log_encoding_of_file(enum log_encoding encoding, struct bytes first)
{
    if (encoding != LOG_ENCODING_AUTO && encoding != LOG_ENCODING_UTF16)
        return encoding;
    if (first.size >= 2 && first.data[0] == 0xff && first.data[1] == 0xfe)
        return LOG_ENCODING_UTF16LE;
    if (first.size >= 2 && first.data[0] == 0xfe && first.data[1] == 0xff)
        return LOG_ENCODING_UTF16BE;
    return encoding == LOG_ENCODING_UTF16 ? LOG_ENCODING_UTF16LE : encoding;
}

static bool is_utf16(enum log_encoding encoding)
{
    return encoding >= LOG_ENCODING_UTF16;
}

size_t log_newline_size(enum log_encoding encoding)
{
    return is_utf16(encoding) ? 2 : 1;
}

/* One unit of UTF-16; little-endian unless said otherwise. */
static uint32_t unit_at(enum log_encoding encoding, const uint8_t *data)
{
    return encoding == LOG_ENCODING_UTF16BE ? (uint32_t)data[0] << 8 | data[1]
                                            : (uint32_t)data[1] << 8 | data[0];
}

size_t log_newline_find(enum log_encoding encoding, struct bytes data)
{
    if (!is_utf16(encoding)) {
        const uint8_t *found = data.size == 0 ? NULL : memchr(data.data, '\n', data.size);
        return found == NULL ? data.size : (size_t)(found - data.data);
    }
    for (size_t i = 0; i + 2 <= data.size; i += 2)
        if (unit_at(encoding, data.data + i) == '\n')
            return i;
    return data.size;
}

/* ---- the output ------------------------------------------------------------------------- */

struct output {
    uint8_t *to;
    size_t room;
    struct decoded done;
};

static void put_bytes(struct output *out, const uint8_t *data, size_t size)
{
    if (out->done.cut || size > out->room - out->done.size) {
        out->done.cut = true;
        return;
    }
    memcpy(out->to + out->done.size, data, size);
    out->done.size += size;
}

static void put_code_point(struct output *out, uint32_t point)
{
    uint8_t text[4];
    size_t size;
    if (point < 0x80) {
        text[0] = (uint8_t)point;
        size = 1;
    } else if (point < 0x800) {
        text[0] = (uint8_t)(0xc0 | point >> 6);
        text[1] = (uint8_t)(0x80 | (point & 0x3f));
        size = 2;
    } else if (point < 0x10000) {
        text[0] = (uint8_t)(0xe0 | point >> 12);
        text[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        text[2] = (uint8_t)(0x80 | (point & 0x3f));
        size = 3;
    } else {
        text[0] = (uint8_t)(0xf0 | point >> 18);
        text[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
        text[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        text[3] = (uint8_t)(0x80 | (point & 0x3f));
        size = 4;
    }
    put_bytes(out, text, size);
}

static void put_replacement(struct output *out)
{
    out->done.replaced = true;
    put_code_point(out, REPLACEMENT);
}

/* ---- UTF-8 ------------------------------------------------------------------------------ */

/* The size of the character at `data`, or 0 if there is none; then *ret_skip bytes are bad. */
static size_t utf8_step(const uint8_t *data, size_t left, size_t *ret_skip)
{
    uint8_t lead = data[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size;
    *ret_skip = 1;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf) {
        size = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        size = 3;
        if (lead == 0xe0)
            low = 0xa0; /* no overlong forms */
        if (lead == 0xed)
            high = 0x9f; /* no surrogates */
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        size = 4;
        if (lead == 0xf0)
            low = 0x90;
        if (lead == 0xf4)
            high = 0x8f; /* nothing past U+10FFFF */
    } else {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        *ret_skip = i;
        if (i >= left || data[i] < low || data[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

/* How many first bytes are ASCII; looked at by eights, as most lines are nothing else. */
static size_t ascii_size(const uint8_t *data, size_t size)
{
    size_t at = 0;
    uint64_t eight;
    for (; at + sizeof eight <= size; at += sizeof eight) {
        memcpy(&eight, data + at, sizeof eight);
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (at < size && data[at] < 0x80)
        at++;
    return at;
}

static bool is_valid_utf8(struct bytes raw)
{
    size_t skip;
    size_t at = 0;
    for (;;) {
        at += ascii_size(raw.data + at, raw.size - at);
        if (at == raw.size)
            return true;
        size_t size = utf8_step(raw.data + at, raw.size - at, &skip);
        if (size == 0)
            return false;
        at += size;
    }
}

static void decode_utf8(struct bytes raw, struct output *out)
{
    size_t at = 0;
    while (at < raw.size && !out->done.cut) {
        size_t skip;
        size_t size = utf8_step(raw.data + at, raw.size - at, &skip);
        if (size > 0)
            put_bytes(out, raw.data + at, size);
        else
            put_replacement(out);
        at += size > 0 ? size : skip;
    }
}

size_t log_whole_characters(enum log_encoding encoding, struct bytes data)
{
    if (is_utf16(encoding))
        return data.size - data.size % 2;
    if (encoding == LOG_ENCODING_GB18030)
        return data.size; /* its characters cannot be told from the end */
    size_t tail = 0;
    while (tail < 3 && tail < data.size && (data.data[data.size - 1 - tail] & 0xc0) == 0x80)
        tail++;
    if (tail == data.size)
        return data.size;
    uint8_t lead = data.data[data.size - 1 - tail];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return wanted > tail + 1 ? data.size - 1 - tail : data.size;
}

/* ---- UTF-16 ----------------------------------------------------------------------------- */

static void decode_utf16(enum log_encoding encoding, struct bytes raw, struct output *out)
{
    size_t at = 0;
    while (at + 2 <= raw.size && !out->done.cut) {
        uint32_t unit = unit_at(encoding, raw.data + at);
        at += 2;
        if (unit < 0xd800 || unit > 0xdfff) {
            put_code_point(out, unit);
            continue;
        }
        uint32_t second =
            at + 2 <= raw.size && unit < 0xdc00 ? unit_at(encoding, raw.data + at) : 0;
        if (second >= 0xdc00 && second <= 0xdfff) {
            put_code_point(out, 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00));
            at += 2;
        } else {
            put_replacement(out);
        }
    }
    if (at < raw.size && !out->done.cut)
        put_replacement(out); /* half a unit */
}

/* ---- GB18030 ---------------------------------------------------------------------------- */

static void decode_gb18030(struct bytes raw, struct output *out)
{
    size_t at = 0;
    while (at < raw.size && !out->done.cut) {
        uint32_t point = 0;
        size_t size = gb18030_step(raw.data + at, raw.size - at, &point);
        if (size > 0)
            put_code_point(out, point);
        else
            put_replacement(out);
        at += size > 0 ? size : 1;
    }
}

/* ---- a line ----------------------------------------------------------------------------- */

/* Text that is in order and has room is taken as it is. */
static bool copy_utf8(struct bytes raw, struct output *out)
{
    if (raw.size > out->room || !is_valid_utf8(raw))
        return false;
    put_bytes(out, raw.data, raw.size);
    return true;
}

static void decode_auto(struct bytes raw, struct output *out)
{
    if (copy_utf8(raw, out))
        return;
    if (!is_valid_utf8(raw)) {
        struct output attempt = *out;
        decode_gb18030(raw, &attempt);
        if (!attempt.done.replaced) {
            *out = attempt;
            return;
        }
    }
    decode_utf8(raw, out);
}

/* Drops what is not text: the mark, leading NULs, a last carriage return. */
static size_t trim(uint8_t *text, size_t size)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    size_t start = 0;
    while (start < size && text[start] == '\0')
        start++;
    if (size - start >= sizeof mark && memcmp(text + start, mark, sizeof mark) == 0)
        start += sizeof mark;
    if (size > start && text[size - 1] == '\r')
        size--;
    if (start > 0)
        memmove(text, text + start, size - start);
    return size - start;
}

struct decoded decode_line(enum log_encoding encoding, struct bytes raw, uint8_t *to,
                           size_t room)
{
    struct output out = {.to = to, .room = room};
    if (encoding == LOG_ENCODING_AUTO)
        decode_auto(raw, &out);
    else if (is_utf16(encoding))
        decode_utf16(encoding, raw, &out);
    else if (encoding == LOG_ENCODING_GB18030)
        decode_gb18030(raw, &out);
    else if (!copy_utf8(raw, &out))
        decode_utf8(raw, &out);
    out.done.size = trim(to, out.done.size);
    return out.done;
}
