/*
 * json.c - see json.h.
 */
#include "collector/notify/json.h"

#include <stdio.h>
#include <time.h>

/* The length of the UTF-8 sequence at `at`, or 0 if the bytes there are none. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (at[0] >= 0x80 && (at[0] < 0xC2 || at[0] > 0xF4))
        return 0;
    if (length > left)
        return 0;
    return utf8_is_valid((struct bytes){at, length}) ? length : 0;
}

static void put_ascii(struct buf *out, uint8_t c)
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
        if (c < 0x20 || c == '<' || c == '>' || c == '&')
            buf_printf(out, "\\u%04x", c);
        else
            buf_put_u8(out, c);
    }
}

void json_put_string(struct buf *out, struct bytes text)
{
    size_t at = 0;
    buf_put_char(out, '"');
    while (at < text.size) {
        size_t length = sequence_length(text.data + at, text.size - at);
        if (length == 1) {
            put_ascii(out, text.data[at]);
        } else if (length == 0) {
            buf_put_text(out, "\\ufffd");
            length = 1;
        } else if (length == 3 && memcmp(text.data + at, "\xE2\x80\xA8", 3) == 0) {
            buf_put_text(out, "\\u2028");
        } else if (length == 3 && memcmp(text.data + at, "\xE2\x80\xA9", 3) == 0) {
            buf_put_text(out, "\\u2029");
        } else {
            buf_put(out, text.data + at, length);
        }
        at += length;
    }
    buf_put_char(out, '"');
}

void json_put_text(struct buf *out, const char *text)
{
    json_put_string(out, bytes_of(text));
}

void json_put_labels(struct buf *out, const struct labels *labels)
{
    buf_put_char(out, '{');
    for (size_t i = 0; labels != NULL && i < labels->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_string(out, labels->pairs[i].name);
        buf_put_char(out, ':');
        json_put_string(out, labels->pairs[i].value);
    }
    buf_put_char(out, '}');
}

const char *json_time(int64_t ts_ms, char text[JSON_TIME_BYTES])
{
    int64_t seconds = ts_ms / 1000, ms = ts_ms % 1000;
    time_t when;
    struct tm utc;
    size_t used;

    if (ts_ms == 0)
        return strcpy(text, "0001-01-01T00:00:00Z");
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    when = (time_t)seconds;
    if (gmtime_r(&when, &utc) == NULL)
        return strcpy(text, "0001-01-01T00:00:00Z");
    used = strftime(text, JSON_TIME_BYTES - 8, "%Y-%m-%dT%H:%M:%S", &utc);
    if (ms != 0) {
        int digits = ms % 10 != 0 ? 3 : ms % 100 != 0 ? 2 : 1;
        int64_t shown = digits == 3 ? ms : digits == 2 ? ms / 10 : ms / 100;
        used += (size_t)snprintf(text + used, 6, ".%0*d", digits, (int)shown);
    }
    text[used] = 'Z';
    text[used + 1] = '\0';
    return text;
}

void json_put_text_member(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    json_put_text(out, text);
}

void json_put_instant_member(struct buf *out, const char *key, int64_t ts_ms)
{
    char text[JSON_TIME_BYTES];
    if (ts_ms == 0)
        buf_printf(out, ",\"%s\":null", key);
    else
        buf_printf(out, ",\"%s\":\"%s\"", key, json_time(ts_ms, text));
}
