/*
 * labels_print.c - labels as people read and type them.
 *
 * Values are quoted as Go's strconv.Quote does, because that is what Prometheus prints and what
 * its parser reads back; the shapes are those of client_golang's model.Metric and of
 * prometheus/model/labels.
 */
#include <string.h>

#include "collector/series/labels.h"
#include "proto/base/utf8.h"

/* Code points that Go's strconv.IsPrint refuses: controls, spaces other than U+0020, format
 * characters, private use and non-characters, and of those that are not assigned the large runs.
 * Ascending.  Source: Unicode 15, the categories of UnicodeData.txt. */
static const struct {
    uint32_t first, last;
} unprintable[] = {
    {0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},
    {0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},
    {0x8e2, 0x8e2},     {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},
    {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},   {0xe000, 0xf8ff},
    {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0x323b0, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool is_printable(uint32_t code)
{
    for (size_t i = 0; i < sizeof unprintable / sizeof unprintable[0]; i++)
        if (code <= unprintable[i].last)
            return code < unprintable[i].first;
    return true;
}

static void put_escaped(uint32_t code, struct buf *out)
{
    static const char named[] = "\a\b\f\n\r\t\v\\\"";
    static const char letters[] = "abfnrtv\\\"";
    const char *at = code != 0 && code < 0x80 ? strchr(named, (int)code) : NULL;

    if (at != NULL) {
        buf_put_char(out, '\\');
        buf_put_char(out, letters[at - named]);
    } else if (code < 0x80) {
        buf_printf(out, "\\x%02x", (unsigned)code);
    } else if (code < 0x10000) {
        buf_printf(out, "\\u%04x", (unsigned)code);
    } else {
        buf_printf(out, "\\U%08x", (unsigned)code);
    }
}

void text_quote(struct bytes text, struct buf *out)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.size == 0 ? at : at + text.size;

    buf_put_char(out, '"');
    while (at != end) {
        uint32_t code;
        size_t size = utf8_decode(at, end, &code);
        if (size == 0) {
            buf_printf(out, "\\x%02x", (unsigned)*at++);
            continue;
        }
        if (code == '"' || code == '\\' || !is_printable(code))
            put_escaped(code, out);
        else
            buf_put(out, at, size);
        at += size;
    }
    buf_put_char(out, '"');
}

static void put_pair(const struct label *pair, struct buf *out)
{
    if (label_name_is_legacy(pair->name))
        buf_put(out, pair->name.data, pair->name.size);
    else
        text_quote(pair->name, out);
    buf_put_char(out, '=');
    text_quote(pair->value, out);
}

void labels_print(const struct labels *labels, struct buf *out)
{
    struct bytes name = labels_get_text(labels, LABEL_NAME);
    bool plain = name.size > 0 && metric_name_is_legacy(name);
    bool first = true;

    if (plain)
        buf_put(out, name.data, name.size);
    if (plain && labels->count == 1)
        return;
    buf_put_char(out, '{');
    if (name.size > 0 && !plain) {
        text_quote(name, out);
        first = false;
    }
    for (size_t i = 0; i < labels->count; i++) {
        if (bytes_equal(labels->pairs[i].name, bytes_of(LABEL_NAME)))
            continue;
        if (!first)
            buf_put_text(out, ", ");
        first = false;
        put_pair(&labels->pairs[i], out);
    }
    buf_put_char(out, '}');
}

void labels_print_pairs(const struct labels *labels, struct buf *out)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < labels->count; i++) {
        if (i > 0)
            buf_put_text(out, ", ");
        put_pair(&labels->pairs[i], out);
    }
    buf_put_char(out, '}');
}
