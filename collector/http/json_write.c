/* json_write.c - see json_write.h. */
#include "collector/http/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/digits.h"
#include "proto/base/must.h"

struct json_writer json_write_to(struct buf *out)
{
    return (struct json_writer){.out = out};
}

static void before_value(struct json_writer *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->has_item[json->depth])
        buf_put_char(json->out, ',');
    json->has_item[json->depth] = true;
}

static void open_level(struct json_writer *json, bool is_array)
{
    before_value(json);
    must(json->depth < JSON_DEPTH_MAX);
    json->depth++;
    json->has_item[json->depth] = false;
    json->is_array[json->depth] = is_array;
    buf_put_char(json->out, is_array ? '[' : '{');
}

void json_write_object(struct json_writer *json)
{
    open_level(json, false);
}

void json_write_array(struct json_writer *json)
{
    open_level(json, true);
}

void json_write_end(struct json_writer *json)
{
    must(json->depth > 0 && !json->after_key);
    buf_put_char(json->out, json->is_array[json->depth] ? ']' : '}');
    json->depth--;
}

/* The length of one well-formed UTF-8 sequence at `at`, or 0 (RFC 3629). */
static size_t utf8_length(const uint8_t *at, size_t left)
{
    uint8_t c = at[0];
    size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    bool is_fit = !(c == 0xe0 && at[1] < 0xa0) && !(c == 0xed && at[1] > 0x9f) &&
                  !(c == 0xf0 && at[1] < 0x90) && !(c == 0xf4 && at[1] > 0x8f);
    return is_fit ? size : 0;
}

static void put_escaped(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        buf_put_text(out, "\\\"");
        return;
    case '\\':
        buf_put_text(out, "\\\\");
        return;
    case '\n':
        buf_put_text(out, "\\n");
        return;
    case '\r':
        buf_put_text(out, "\\r");
        return;
    case '\t':
        buf_put_text(out, "\\t");
        return;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Is one of the bytes below c, which is at most 0x80? */
static uint64_t any_below(uint64_t word, uint8_t c)
{
    return (word - EACH_BYTE(c)) & ~word & EACH_BYTE(0x80);
}

/* How many bytes at the front stand for themselves; nearly always all of them. */
static size_t plain_size(struct bytes text)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= text.size; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        if (((word & EACH_BYTE(0x80)) | any_below(word, 0x20) |
             any_below(word ^ EACH_BYTE('"'), 1) | any_below(word ^ EACH_BYTE('\\'), 1) |
             any_below(word ^ EACH_BYTE(0x7f), 1)) != 0)
            break;
    }
    while (i < text.size && is_plain(text.data[i]))
        i++;
    return i;
}

static void put_special(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.size;) {
        struct bytes rest = {text.data + i, text.size - i};
        const size_t plain = plain_size(rest);
        if (plain > 0) {
            buf_put(out, rest.data, plain);
            i += plain;
            continue;
        }
        uint8_t c = *rest.data;
        size_t size = c >= 0x80 ? utf8_length(rest.data, rest.size) : 0;
        if (size > 0)
            buf_put(out, rest.data, size);
        else if (c >= 0x80)
            buf_put_text(out, "\xef\xbf\xbd");
        else
            put_escaped(out, c);
        i += size > 0 ? size : 1;
    }
}

static void put_quoted(struct buf *out, struct bytes text)
{
    const size_t plain = plain_size(text);
    uint8_t *to = buf_reserve(out, plain + 2);
    if (to == NULL)
        return; /* the buffer remembers */
    to[0] = '"';
    if (plain > 0)
        memcpy(to + 1, text.data, plain);
    to[plain + 1] = '"';
    out->size += plain + 1;
    if (plain == text.size) {
        out->size++;
        return;
    }
    put_special(out, (struct bytes){text.data + plain, text.size - plain});
    buf_put_char(out, '"');
}

void json_write_key_bytes(struct json_writer *json, struct bytes key)
{
    must(!json->after_key);
    before_value(json);
    put_quoted(json->out, key);
    buf_put_char(json->out, ':');
    json->after_key = true;
}

void json_write_key(struct json_writer *json, const char *key)
{
    json_write_key_bytes(json, bytes_of(key));
}

void json_write_string(struct json_writer *json, struct bytes text)
{
    before_value(json);
    put_quoted(json->out, text);
}

void json_write_text(struct json_writer *json, const char *text)
{
    json_write_string(json, bytes_of(text));
}

void json_write_integer(struct json_writer *json, int64_t value)
{
    before_value(json);
    buf_printf(json->out, "%" PRId64, value);
}

void json_write_boolean(struct json_writer *json, bool value)
{
    before_value(json);
    buf_put_text(json->out, value ? "true" : "false");
}

void json_write_number(struct json_writer *json, double value)
{
    must(isfinite(value));
    char text[32];
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    before_value(json);
    buf_put_text(json->out, text);
}

void json_write_raw(struct json_writer *json, struct bytes text)
{
    before_value(json);
    buf_put(json->out, text.data, text.size);
}

size_t json_seconds_text(int64_t ts_ms, char text[JSON_SECONDS_BYTES])
{
    uint64_t magnitude = ts_ms < 0 ? 0 - (uint64_t)ts_ms : (uint64_t)ts_ms;
    char backwards[2 * JSON_SECONDS_BYTES] = {0};
    char *const end = backwards + JSON_SECONDS_BYTES;
    char *at = end;
    uint64_t fraction = magnitude % 1000;
    if (fraction != 0) {
        *--at = (char)('0' + fraction % 10);
        *--at = (char)('0' + fraction / 10 % 10);
        *--at = (char)('0' + fraction / 100);
        *--at = '.';
    }
    at = digits_put_before(at, magnitude / 1000);
    if (ts_ms < 0)
        *--at = '-';
    memcpy(text, at, JSON_SECONDS_BYTES); /* as many as there can be: one move */
    return (size_t)(end - at);
}

void json_write_seconds(struct json_writer *json, int64_t ts_ms)
{
    char text[JSON_SECONDS_BYTES];
    before_value(json);
    buf_put(json->out, text, json_seconds_text(ts_ms, text));
}

void json_write_instant(struct json_writer *json, int64_t ts_ms)
{
    int64_t seconds = ts_ms / 1000;
    int64_t ms = ts_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&when, &tm);
    char text[64];
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)ms);
    json_write_text(json, text);
}

void json_write_text_member(struct json_writer *json, const char *key, const char *text)
{
    json_write_key(json, key);
    json_write_text(json, text);
}

void json_write_integer_member(struct json_writer *json, const char *key, int64_t value)
{
    json_write_key(json, key);
    json_write_integer(json, value);
}

void json_write_instant_member(struct json_writer *json, const char *key, int64_t ts_ms)
{
    json_write_key(json, key);
    if (ts_ms == 0)
        json_write_raw(json, bytes_of("null"));
    else
        json_write_instant(json, ts_ms);
}
