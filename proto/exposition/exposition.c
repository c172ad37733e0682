/*
 * exposition.c - lines out of pieces, and the small change of reading one; see exposition.h.
 *
 *     piece   ...tal 7\nhttp_req   uests_total 1\n...
 *                      |           |
 *     line    [ http_req | uests_total 1 ]          read when its newline has come
 */
#include "proto/exposition/exposition.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"
#include "proto/exposition/exposition_parts.h"

enum exposition_format exposition_format_of(const char *content_type)
{
    static const char media[] = "application/openmetrics-text";
    if (content_type == NULL || strncasecmp(content_type, media, sizeof media - 1) != 0)
        return EXPOSITION_PROMETHEUS;
    char after = content_type[sizeof media - 1];
    return after == '\0' || after == ';' || after == ' ' ? EXPOSITION_OPENMETRICS
                                                         : EXPOSITION_PROMETHEUS;
}

void exposition_init(struct exposition *parser, enum exposition_format format,
                     const char *source, uint8_t *line, size_t capacity)
{
    must(capacity > 0);
    parser->format = format;
    parser->source = source;
    parser->line = line;
    parser->line_capacity = capacity;
    parser->line_size = 0;
    parser->line_number = 0;
    parser->is_inside = false;
    parser->is_skipped = false;
    parser->is_over = false;
    parser->reads_marks = false;
    parser->family = (struct exposition_family){0};
}

int exposition_fail(const struct exposition *parser, int error, struct diagnosis *why,
                    const char *format, ...)
{
    char reason[DIAGNOSIS_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (parser->source != NULL)
        return diagnose(why, error, "%s:%llu: %s", parser->source,
                        (unsigned long long)parser->line_number, reason);
    return diagnose(why, error, "line %llu: %s", (unsigned long long)parser->line_number,
                    reason);
}

const char *exposition_excerpt(struct bytes text, char excerpt[EXCERPT_BYTES])
{
    size_t room = EXCERPT_BYTES - 4; /* "..." and NUL */
    size_t size = 0;
    size_t at = 0;
    while (at < text.size && size + 4 <= room) {
        uint32_t code = 0;
        size_t step = utf8_decode(text.data + at, text.data + text.size, &code);
        if (step == 0 || code < 0x20 || code == 0x7f) {
            excerpt[size++] = '?';
            at++;
            continue;
        }
        memcpy(excerpt + size, text.data + at, step);
        size += step;
        at += step;
    }
    (void)snprintf(excerpt + size, EXCERPT_BYTES - size, "%s", at < text.size ? "..." : "");
    return excerpt;
}

void exposition_skip_blanks(const struct exposition *parser, struct cursor *cursor)
{
    if (parser->format == EXPOSITION_OPENMETRICS)
        return;
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t'))
        cursor->at++;
}

struct bytes exposition_word(struct cursor *cursor)
{
    uint8_t *from = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != ' ' && *cursor->at != '\t')
        cursor->at++;
    return (struct bytes){from, (size_t)(cursor->at - from)};
}

struct bytes exposition_unescape(struct bytes text, bool with_quotes)
{
    /* The bytes are the parser's line. */
    uint8_t *data = (uint8_t *)(uintptr_t)text.data;
    const uint8_t *first = text.size == 0 ? NULL : memchr(data, '\\', text.size);
    if (first == NULL)
        return text;
    size_t to = (size_t)(first - data);
    for (size_t from = to; from < text.size; from++) {
        uint8_t next = data[from] == '\\' && from + 1 < text.size ? data[from + 1] : 0;
        bool is_escape = next == '\\' || next == 'n' || (with_quotes && next == '"');
        if (is_escape)
            from++;
        data[to++] = is_escape && next == 'n' ? (uint8_t)'\n' : data[from];
    }
    return (struct bytes){data, to};
}

int exposition_quoted(const struct exposition *parser, struct cursor *cursor,
                      struct bytes *ret_text, struct diagnosis *why)
{
    uint8_t *from = cursor->at + 1;
    uint8_t *at = from;
    bool is_escaped = false;
    while (at < cursor->end && *at != '"') {
        is_escaped = is_escaped || *at == '\\';
        at += *at == '\\' && at + 1 < cursor->end ? 2 : 1;
    }
    if (at >= cursor->end)
        return exposition_fail(parser, ERR_MALFORMED, why, "a quote is not closed");
    struct bytes text = {from, (size_t)(at - from)};
    if (!utf8_is_valid(text) || memchr(from, 0, text.size) != NULL) {
        char excerpt[EXCERPT_BYTES];
        return exposition_fail(parser, ERR_MALFORMED, why, "\"%s\" is no UTF-8 text",
                               exposition_excerpt(text, excerpt));
    }
    cursor->at = at + 1;
    *ret_text = is_escaped ? exposition_unescape(text, true) : text;
    return 0;
}

int exposition_name(const struct exposition *parser, struct cursor *cursor, bool with_colon,
                    struct bytes *ret_name, struct diagnosis *why)
{
    struct bytes name = {cursor->at, 0};
    if (cursor->at < cursor->end && *cursor->at == '"') {
        int error = exposition_quoted(parser, cursor, &name, why);
        if (error != 0)
            return error;
        if (name.size == 0)
            return exposition_fail(parser, ERR_MALFORMED, why, "a name is empty");
    } else {
        while (cursor->at < cursor->end &&
               exposition_is_name_byte(*cursor->at, cursor->at == name.data, with_colon))
            cursor->at++;
        name.size = (size_t)(cursor->at - name.data);
    }
    if (name.size > NAME_BYTES_MAX)
        return exposition_fail(parser, ERR_LIMIT, why, "a name of %zu bytes; at most %zu",
                               name.size, NAME_BYTES_MAX);
    *ret_name = name;
    return 0;
}

/* ---- lines ----------------------------------------------------------------------------- */

static int read_line(struct exposition *parser, struct exposition_sample *ret_sample,
                     struct diagnosis *why)
{
    struct cursor cursor = {parser->line, parser->line + parser->line_size};
    bool is_strict = parser->format == EXPOSITION_OPENMETRICS;
    if (parser->is_over)
        return exposition_fail(parser, ERR_MALFORMED, why, "there is more after \"# EOF\"");
    if (!is_strict && cursor.end > cursor.at && cursor.end[-1] == '\r')
        cursor.end--;
    exposition_skip_blanks(parser, &cursor);
    if (cursor.at == cursor.end)
        return is_strict ? exposition_fail(parser, ERR_MALFORMED, why,
                                           "OpenMetrics has no empty lines")
                         : EXPOSITION_MORE;
    if (*cursor.at == '#')
        return exposition_read_comment(parser, cursor, ret_sample, why);
    return exposition_read_sample(parser, cursor, ret_sample, why);
}

static void begin_line(struct exposition *parser)
{
    if (parser->is_inside)
        return;
    parser->is_inside = true;
    parser->is_skipped = false;
    parser->line_size = 0;
    parser->line_number++;
}

/* Takes bytes up to the newline, or all; they fit, or the line is given up. */
static int take(struct exposition *parser, const uint8_t *data, size_t size,
                struct diagnosis *why)
{
    begin_line(parser);
    if (parser->is_skipped)
        return 0;
    if (size > parser->line_capacity - parser->line_size) {
        parser->is_skipped = true;
        return exposition_fail(parser, ERR_LIMIT, why, "the line is longer than %zu bytes",
                               parser->line_capacity);
    }
    if (size > 0)
        memcpy(parser->line + parser->line_size, data, size);
    parser->line_size += size;
    return 0;
}

int exposition_next(struct exposition *parser, struct bytes *piece,
                    struct exposition_sample *ret_sample, struct diagnosis *why)
{
    while (piece->size > 0) {
        const uint8_t *newline = memchr(piece->data, '\n', piece->size);
        size_t size = newline == NULL ? piece->size : (size_t)(newline - piece->data);
        int got = take(parser, piece->data, size, why);
        size_t used = size + (newline != NULL);
        *piece = (struct bytes){piece->data + used, piece->size - used};
        if (newline != NULL) {
            parser->is_inside = false;
            if (got == 0 && !parser->is_skipped)
                got = read_line(parser, ret_sample, why);
        }
        if (got != EXPOSITION_MORE)
            return got;
    }
    return EXPOSITION_MORE;
}

int exposition_end(struct exposition *parser, struct exposition_sample *ret_sample,
                   struct diagnosis *why)
{
    if (parser->is_inside) {
        parser->is_inside = false;
        bool is_eof = parser->line_size == 5 && memcmp(parser->line, "# EOF", 5) == 0;
        if (parser->format == EXPOSITION_OPENMETRICS && !is_eof)
            return exposition_fail(parser, ERR_MALFORMED, why,
                                   "the text ends inside a line, without \"# EOF\"");
        int got = parser->is_skipped ? EXPOSITION_MORE : read_line(parser, ret_sample, why);
        if (got != EXPOSITION_MORE)
            return got;
    }
    if (parser->format == EXPOSITION_OPENMETRICS && !parser->is_over) {
        parser->is_over = true;
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "the text does not end with \"# EOF\"");
    }
    return EXPOSITION_MORE;
}
