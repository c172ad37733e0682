/*
 * mail_text.c - see mail_text.h.
 */
#include "collector/notify/mail_text.h"

#include <string.h>
#include <time.h>

/* An encoded word is at most 75 characters: "=?UTF-8?B?" 60 "?=" leaves 45 bytes of text. */
#define WORD_TEXT_BYTES 45
#define LINE_TEXT_BYTES 57 /* 76 characters of base64 */
#define BEIJING_SECONDS (8 * 3600)

static void put_base64(struct buf *out, const uint8_t *data, size_t size)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                         (left > 2 ? data[i + 2] : 0);
        buf_put_char(out, digits[three >> 18]);
        buf_put_char(out, digits[three >> 12 & 63]);
        buf_put_char(out, left > 1 ? digits[three >> 6 & 63] : '=');
        buf_put_char(out, left > 2 ? digits[three & 63] : '=');
    }
}

void mail_put_base64(struct buf *out, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i += LINE_TEXT_BYTES) {
        size_t left = bytes.size - i;
        put_base64(out, bytes.data + i, left < LINE_TEXT_BYTES ? left : LINE_TEXT_BYTES);
        buf_put_text(out, "\r\n");
    }
}

static uint8_t without_breaks(uint8_t c)
{
    return c < 0x20 || c == 0x7f ? ' ' : c;
}

static bool is_plain(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] >= 0x7f)
            return false;
    /* a literal "=?" would be read as an encoded word; lines end at 998 */
    return value.size < 900 && memmem(value.data, value.size, "=?", 2) == NULL;
}

/* As it is, or as encoded words. */
static void put_words(struct buf *out, struct bytes value)
{
    if (value.size == 0 || is_plain(value)) {
        for (size_t i = 0; i < value.size; i++)
            buf_put_u8(out, without_breaks(value.data[i]));
        return;
    }
    for (size_t at = 0; at < value.size;) {
        uint8_t word[WORD_TEXT_BYTES];
        size_t end = at + WORD_TEXT_BYTES < value.size ? at + WORD_TEXT_BYTES : value.size;
        while (end < value.size && end > at + 1 && (value.data[end] & 0xC0) == 0x80)
            end--;
        for (size_t i = at; i < end; i++)
            word[i - at] = without_breaks(value.data[i]);
        if (at > 0)
            buf_put_text(out, "\r\n ");
        buf_put_text(out, "=?UTF-8?B?");
        put_base64(out, word, end - at);
        buf_put_text(out, "?=");
        at = end;
    }
}

void mail_put_header(struct buf *out, const char *name, struct bytes value)
{
    buf_printf(out, "%s: ", name);
    put_words(out, value);
    buf_put_text(out, "\r\n");
}

/* The name in front of an address, without its quotes. */
static struct bytes name_of(const char *start, struct bytes address)
{
    const char *end = (const char *)address.data;
    start += strspn(start, " \t,\"");
    while (end > start && strchr(" \t<\"", end[-1]) != NULL)
        end--;
    return (struct bytes){(const uint8_t *)start, end > start ? (size_t)(end - start) : 0};
}

void mail_put_addresses(struct buf *out, const char *name, const char *list)
{
    const char *at = list, *start = list;
    struct bytes address;
    bool is_first = true;

    if (is_plain(bytes_of(list))) {
        mail_put_header(out, name, bytes_of(list));
        return;
    }
    buf_printf(out, "%s: ", name);
    for (; (address = mail_next_address(&at)).size > 0; start = at) {
        struct bytes words = name_of(start, address);
        buf_put_text(out, is_first ? "" : ",\r\n ");
        is_first = false;
        put_words(out, words);
        buf_put_text(out, words.size > 0 ? " <" : "<");
        buf_put(out, address.data, address.size);
        buf_put_char(out, '>');
    }
    buf_put_text(out, "\r\n");
}

static struct tm beijing(int64_t ts_ms)
{
    time_t when = (time_t)(ts_ms / 1000 + BEIJING_SECONDS);
    struct tm local = {0};
    (void)gmtime_r(&when, &local);
    return local;
}

const char *mail_date(int64_t ts_ms, char text[MAIL_DATE_BYTES])
{
    /* English names whatever the locale is, as RFC 5322 wants. */
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm local = beijing(ts_ms);
    struct buf line = {0};
    buf_printf(&line, "%s, %02d %s %04d %02d:%02d:%02d +0800", days[local.tm_wday],
               local.tm_mday, months[local.tm_mon], local.tm_year + 1900, local.tm_hour,
               local.tm_min, local.tm_sec);
    text[0] = '\0';
    if (buf_ok(&line) && line.size < MAIL_DATE_BYTES)
        (void)strcpy(text, buf_text(&line));
    buf_done(&line);
    return text;
}

const char *mail_local_time(int64_t ts_ms, char text[MAIL_DATE_BYTES])
{
    struct tm local = beijing(ts_ms);
    text[0] = '\0';
    (void)strftime(text, MAIL_DATE_BYTES, "%Y-%m-%d %H:%M:%S", &local);
    return text;
}

struct bytes mail_next_address(const char **at)
{
    const char *start = *at + strspn(*at, " \t,"), *end = start + strcspn(start, ",");
    const char *open = memchr(start, '<', (size_t)(end - start));
    const char *close = memchr(start, '>', (size_t)(end - start));

    *at = end;
    if (open != NULL && close != NULL && close > open) {
        start = open + 1;
        end = close;
    }
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct bytes){(const uint8_t *)start, (size_t)(end - start)};
}
