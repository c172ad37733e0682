/*
 * escape_name.c - names of any characters for readers of the classic alphabet.
 *
 *     text/plain;version=0.0.4;q=0.3, text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4
 *
 * A Prometheus that scrapes says this.  It is read from what is wanted most downwards until the
 * classic text format comes, which is what there is; an escaping said on the way holds, even of
 * a format that is not spoken here.
 */
#include "collector/http/escape_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/series/labels.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

#define RANGES_MAX   16 /* media ranges of a header that are looked at */
#define ESCAPED_MOST 10 /* bytes a character may become: _10ffff_ and some */

static const char *const words[] = {"underscores", "allow-utf-8", "dots", "values"};

struct media_range {
    double quality;
    bool is_classic;  /* text/plain of version 0.0.4, or of none */
    bool has_version; /* a version that is another */
    int escaping;     /* -1: it says nothing of it */
};

static struct bytes trimmed(struct bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = (struct bytes){text.data + 1, text.size - 1};
    while (text.size > 0 &&
           (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Takes what stands before the next `separator` off the text. */
static struct bytes take(struct bytes *text, char separator)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != (uint8_t)separator)
        size++;
    struct bytes taken = {text->data, size};
    size_t passed = size < text->size ? size + 1 : size;
    *text = (struct bytes){text->data + passed, text->size - passed};
    return trimmed(taken);
}

static void read_parameter(struct bytes parameter, struct media_range *range)
{
    struct bytes name = take(&parameter, '=');
    struct bytes value = trimmed(parameter);
    char number[16];
    if (bytes_equal(name, bytes_of("q")) && value.size < sizeof number) {
        memcpy(number, value.data, value.size);
        number[value.size] = '\0';
        range->quality = strtod(number, NULL);
    } else if (bytes_equal(name, bytes_of("version"))) {
        range->has_version = value.size > 0 && !bytes_equal(value, bytes_of("0.0.4"));
    } else if (bytes_equal(name, bytes_of("escaping"))) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (bytes_equal(value, bytes_of(words[i])))
                range->escaping = (int)i;
    }
}

static struct media_range read_range(struct bytes text)
{
    struct media_range range = {.quality = 1, .escaping = -1};
    struct bytes type = take(&text, ';');
    while (text.size > 0)
        read_parameter(take(&text, ';'), &range);
    range.is_classic = bytes_equal(type, bytes_of("text/plain")) && !range.has_version;
    return range;
}

enum name_escaping escaping_of_accept(const char *accept)
{
    struct media_range ranges[RANGES_MAX];
    size_t count = 0;
    struct bytes text = bytes_of(accept);
    while (text.size > 0 && count < RANGES_MAX) {
        struct media_range range = read_range(take(&text, ','));
        size_t at = count++;
        for (; at > 0 && ranges[at - 1].quality < range.quality; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = range;
    }
    enum name_escaping escaping = ESCAPE_UNDERSCORES;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].escaping >= 0)
            escaping = (enum name_escaping)ranges[i].escaping;
        if (ranges[i].is_classic)
            break;
    }
    return escaping;
}

static bool is_classic(uint32_t code, bool first)
{
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || code == '_' ||
           code == ':' || (code >= '0' && code <= '9' && !first);
}

/* One character; the text in `out` is not terminated.  Returns its size. */
static size_t escape_code(enum name_escaping escaping, uint32_t code, bool first,
                          bool is_broken, char out[ESCAPED_MOST + 1])
{
    if (escaping != ESCAPE_UNDERSCORES && code == '_')
        return (size_t)sprintf(out, "__");
    if (escaping == ESCAPE_DOTS && code == '.')
        return (size_t)sprintf(out, "_dot_");
    if (!is_broken && is_classic(code, first))
        return (size_t)sprintf(out, "%c", (char)code);
    if (escaping != ESCAPE_VALUES)
        return (size_t)sprintf(out, escaping == ESCAPE_DOTS ? "__" : "_");
    return (size_t)(is_broken ? sprintf(out, "_FFFD_") : sprintf(out, "_%x_", (unsigned)code));
}

int escape_name(struct arena *arena, enum name_escaping escaping, struct bytes name,
                struct bytes *ret_name)
{
    *ret_name = name;
    if (escaping == ESCAPE_NOTHING || metric_name_is_legacy(name))
        return 0;
    char *text = arena_alloc(arena, name.size * ESCAPED_MOST + 4, 1);
    if (text == NULL)
        return ERR_NOMEM;
    size_t size = escaping == ESCAPE_VALUES ? (size_t)sprintf(text, "U__") : 0;
    for (size_t at = 0; at < name.size;) {
        uint32_t code = 0;
        char piece[ESCAPED_MOST + 1];
        size_t bytes = utf8_decode(name.data + at, name.data + name.size, &code);
        size_t wrote = escape_code(escaping, code, at == 0, bytes == 0, piece);
        memcpy(text + size, piece, wrote);
        size += wrote;
        at += bytes > 0 ? bytes : 1;
    }
    *ret_name = (struct bytes){(const uint8_t *)text, size};
    return 0;
}
