/*
 * exposition_sample.c - one sample's line.
 *
 *     name{label="value",...} value [timestamp] [# {label="value"} value [timestamp]]
 *     {"name",label="value",...} value ...
 *
 * The exemplar after '#' is OpenMetrics's only.  There single spaces stand exactly where they
 * stand above; in Prometheus text blanks and tabs may stand between any two tokens.
 */
#include <math.h>

#include "proto/base/error.h"
#include "proto/base/utf8.h"
#include "proto/exposition/exposition_parts.h"

static bool is_strict(const struct exposition *parser)
{
    return parser->format == EXPOSITION_OPENMETRICS;
}

static bool stands(const struct cursor *cursor, uint8_t c)
{
    return cursor->at < cursor->end && *cursor->at == c;
}

static int expected(const struct exposition *parser, const struct cursor *cursor,
                    const char *what, struct diagnosis *why)
{
    char excerpt[EXCERPT_BYTES];
    struct bytes rest = {cursor->at, (size_t)(cursor->end - cursor->at)};
    if (rest.size == 0)
        return exposition_fail(parser, ERR_MALFORMED, why, "expected %s, but the line ends",
                               what);
    return exposition_fail(parser, ERR_MALFORMED, why, "expected %s, not \"%s\"", what,
                           exposition_excerpt(rest, excerpt));
}

/* ---- labels ---------------------------------------------------------------------------- */

/* Keeps them ascending.  Senders mostly write them so, which makes this one comparison.  With
 * `count` NULL the label is checked and left out. */
static int add_label(struct exposition *parser, struct label label, size_t *count,
                     struct diagnosis *why)
{
    char excerpt[EXCERPT_BYTES];
    if (label.value.size > LABEL_VALUE_BYTES_MAX)
        return exposition_fail(
            parser, ERR_LIMIT, why, "a value of the label \"%s\" of %zu bytes; at most %zu",
            exposition_excerpt(label.name, excerpt), label.value.size, LABEL_VALUE_BYTES_MAX);
    if (count == NULL)
        return 0;
    size_t at = *count;
    int order = -1;
    if (*count == SERIES_LABELS_MAX)
        return exposition_fail(parser, ERR_LIMIT, why, "more than %zu labels",
                               SERIES_LABELS_MAX);
    if (bytes_equal(label.name, bytes_of("__name__")))
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "__name__ is no label here: write {\"name\", ...}");
    while (at > 0 && (order = bytes_compare(parser->labels[at - 1].name, label.name)) > 0)
        at--;
    if (at > 0 && order == 0)
        return exposition_fail(parser, ERR_MALFORMED, why, "the label \"%s\" is there twice",
                               exposition_excerpt(label.name, excerpt));
    memmove(parser->labels + at + 1, parser->labels + at,
            (*count - at) * sizeof *parser->labels);
    parser->labels[at] = label;
    (*count)++;
    return 0;
}

/* An empty value means that there is no such label. */
static size_t drop_empty(struct exposition *parser, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (parser->labels[i].value.size > 0)
            parser->labels[kept++] = parser->labels[i];
    }
    return kept;
}

static int read_value_of(struct exposition *parser, struct cursor *cursor, struct label *label,
                         struct diagnosis *why)
{
    exposition_skip_blanks(parser, cursor);
    if (!stands(cursor, '='))
        return expected(parser, cursor, "\"=\" after a label's name", why);
    cursor->at++;
    exposition_skip_blanks(parser, cursor);
    if (!stands(cursor, '"'))
        return expected(parser, cursor, "a label's value in quotes", why);
    return exposition_quoted(parser, cursor, &label->value, why);
}

/* One thing between braces: the metric's name in quotes (only if `name` is given and still
 * empty), or a label. */
static int read_item(struct exposition *parser, struct cursor *cursor, struct bytes *name,
                     size_t *count, struct diagnosis *why)
{
    struct label label = {0};
    bool is_quoted = stands(cursor, '"');
    struct cursor start = *cursor;
    int error = exposition_name(parser, cursor, false, &label.name, why);
    if (error != 0)
        return error;
    if (label.name.size == 0)
        return expected(parser, &start, "a label's name or \"}\"", why);
    struct cursor after = *cursor;
    exposition_skip_blanks(parser, &after);
    if (is_quoted && (stands(&after, ',') || stands(&after, '}'))) {
        if (name == NULL || name->size > 0)
            return exposition_fail(parser, ERR_MALFORMED, why,
                                   "a second metric name between the braces");
        *name = label.name;
        return 0;
    }
    error = read_value_of(parser, cursor, &label, why);
    return error != 0 ? error : add_label(parser, label, count, why);
}

/* The cursor is past the opening brace, and ends past the closing one. */
static int read_items(struct exposition *parser, struct cursor *cursor, struct bytes *name,
                      size_t *count, struct diagnosis *why)
{
    exposition_skip_blanks(parser, cursor);
    while (!stands(cursor, '}')) {
        int error = read_item(parser, cursor, name, count, why);
        if (error != 0)
            return error;
        exposition_skip_blanks(parser, cursor);
        if (stands(cursor, ',')) {
            cursor->at++;
            exposition_skip_blanks(parser, cursor);
        } else if (!stands(cursor, '}')) {
            return expected(parser, cursor, "\",\" or \"}\" after a label", why);
        }
    }
    cursor->at++;
    return 0;
}

/* ---- value and time -------------------------------------------------------------------- */

/* Moves past what must separate the next word. */
static bool skip_separator(const struct exposition *parser, struct cursor *cursor)
{
    if (!is_strict(parser)) {
        exposition_skip_blanks(parser, cursor);
        return true;
    }
    bool is_there = stands(cursor, ' ');
    cursor->at += is_there;
    return is_there;
}

static int read_number(const struct exposition *parser, struct cursor *cursor, const char *what,
                       double *ret_value, struct diagnosis *why)
{
    char excerpt[EXCERPT_BYTES];
    if (!skip_separator(parser, cursor))
        return expected(parser, cursor, what, why);
    struct cursor start = *cursor;
    struct bytes word = exposition_word(cursor);
    if (word.size == 0)
        return expected(parser, &start, what, why);
    int error = exposition_number(word, ret_value);
    if (error == 0)
        return 0;
    return exposition_fail(parser, error, why,
                           error == ERR_LIMIT ? "the number \"%s\" is out of range"
                                              : "\"%s\" is no number",
                           exposition_excerpt(word, excerpt));
}

/* A whole number of milliseconds. */
static bool read_milliseconds(struct bytes word, int64_t *ret_ms)
{
    bool is_negative = word.size > 0 && word.data[0] == '-';
    size_t at = is_negative;
    int64_t value = 0;
    if (at == word.size)
        return false;
    for (; at < word.size; at++) {
        int digit = word.data[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    /* Counted downwards, because there is one more negative number. */
    return is_negative ? (*ret_ms = value, true) : !__builtin_sub_overflow(0, value, ret_ms);
}

static bool read_seconds(struct bytes word, int64_t *ret_ms)
{
    double seconds = 0;
    if (exposition_number(word, &seconds) != 0)
        return false;
    double ms = round(seconds * 1000);
    if (!(ms >= -0x1p63 && ms < 0x1p63)) /* NaN too */
        return false;
    *ret_ms = (int64_t)ms;
    return true;
}

static int read_time(const struct exposition *parser, struct cursor *cursor, int64_t *ret_ms,
                     struct diagnosis *why)
{
    char excerpt[EXCERPT_BYTES];
    struct cursor start = *cursor;
    struct bytes word = exposition_word(cursor);
    if (word.size == 0)
        return expected(parser, &start, "a timestamp", why);
    bool is_read =
        is_strict(parser) ? read_seconds(word, ret_ms) : read_milliseconds(word, ret_ms);
    if (is_read)
        return 0;
    return exposition_fail(parser, ERR_MALFORMED, why, "\"%s\" is no timestamp in %s",
                           exposition_excerpt(word, excerpt),
                           is_strict(parser) ? "seconds" : "whole milliseconds");
}

/* "# {...} value [timestamp]"; checked, because OpenMetrics is strict, and left out. */
static int skip_exemplar(struct exposition *parser, struct cursor *cursor,
                         struct diagnosis *why)
{
    double value = 0;
    int64_t time_ms = 0;
    cursor->at++;
    if (!stands(cursor, ' ') || cursor->end - cursor->at < 2 || cursor->at[1] != '{')
        return expected(parser, cursor, "\" {\" and an exemplar's labels", why);
    cursor->at += 2;
    int error = read_items(parser, cursor, NULL, NULL, why);
    if (error == 0)
        error = read_number(parser, cursor, "an exemplar's value", &value, why);
    if (error != 0 || cursor->at == cursor->end)
        return error;
    if (!skip_separator(parser, cursor))
        return expected(parser, cursor, "an exemplar's timestamp", why);
    return read_time(parser, cursor, &time_ms, why);
}

static int read_rest(struct exposition *parser, struct cursor *cursor,
                     struct exposition_sample *sample, struct diagnosis *why)
{
    int error = read_number(parser, cursor, "a value", &sample->value, why);
    exposition_skip_blanks(parser, cursor);
    if (error != 0 || cursor->at == cursor->end)
        return error;
    if (is_strict(parser) && !skip_separator(parser, cursor))
        return expected(parser, cursor, "a single space", why);
    if (!(is_strict(parser) && stands(cursor, '#'))) {
        error = read_time(parser, cursor, &sample->time_ms, why);
        sample->has_time = true;
        exposition_skip_blanks(parser, cursor);
        if (error != 0 || cursor->at == cursor->end)
            return error;
        if (is_strict(parser) && !skip_separator(parser, cursor))
            return expected(parser, cursor, "a single space", why);
    }
    if (is_strict(parser))
        error = stands(cursor, '#') ? skip_exemplar(parser, cursor, why)
                                    : expected(parser, cursor, "an exemplar", why);
    if (error != 0 || cursor->at == cursor->end)
        return error;
    return expected(parser, cursor, "the end of the line", why);
}

/* The name and the labels; the cursor ends behind them. */
static int read_series(struct exposition *parser, struct cursor *cursor,
                       struct exposition_sample *sample, struct diagnosis *why)
{
    struct cursor start = *cursor;
    size_t count = 0;
    int error = 0;
    if (!stands(cursor, '"'))
        error = exposition_name(parser, cursor, true, &sample->name, why);
    if (error == 0 && sample->name.size == 0 && !stands(cursor, '{'))
        error = expected(parser, &start, "a metric name", why);
    bool has_blank = stands(cursor, ' ') || stands(cursor, '\t');
    struct cursor after = *cursor;
    exposition_skip_blanks(parser, &after);
    if (error == 0 && stands(&after, '{')) {
        *cursor = after;
        cursor->at++;
        error = read_items(parser, cursor, &sample->name, &count, why);
        if (error == 0 && sample->name.size == 0)
            error = exposition_fail(parser, ERR_MALFORMED, why,
                                    "no metric name before or between the braces");
    } else if (error == 0 && cursor->at < cursor->end && !has_blank) {
        error = expected(parser, cursor, "a blank or \"{\" after the metric name", why);
    }
    if (error != 0)
        return error;
    sample->labels = parser->labels;
    sample->label_count = drop_empty(parser, count);
    sample->family = exposition_family_of(parser, sample->name);
    return 0;
}

int exposition_read_sample(struct exposition *parser, struct cursor cursor,
                           struct exposition_sample *ret_sample, struct diagnosis *why)
{
    struct exposition_sample sample = {0};
    int error = read_series(parser, &cursor, &sample, why);
    if (error == 0)
        error = read_rest(parser, &cursor, &sample, why);
    if (error != 0)
        return error;
    *ret_sample = sample;
    return EXPOSITION_SAMPLE;
}

/* ---- marks ----------------------------------------------------------------------------- */

static bool read_hexadecimal(struct bytes word, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    if (word.size != 16)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        bits = bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_bits = bits;
    return true;
}

int exposition_read_mark(struct exposition *parser, struct cursor cursor, bool is_stale,
                         struct exposition_sample *ret_sample, struct diagnosis *why)
{
    struct exposition_sample sample = {.has_time = true};
    uint64_t bits = EXPOSITION_STALE_BITS;
    exposition_skip_blanks(parser, &cursor);
    bool is_read = is_stale || read_hexadecimal(exposition_word(&cursor), &bits);
    memcpy(&sample.value, &bits, sizeof bits);
    if (!is_read || !isnan(sample.value))
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "expected the sixteen hexadecimal digits of a NaN");
    exposition_skip_blanks(parser, &cursor);
    int error = read_series(parser, &cursor, &sample, why);
    exposition_skip_blanks(parser, &cursor);
    if (error == 0)
        error = read_time(parser, &cursor, &sample.time_ms, why);
    exposition_skip_blanks(parser, &cursor);
    if (error == 0 && cursor.at < cursor.end)
        error = expected(parser, &cursor, "the end of the line", why);
    if (error != 0)
        return error;
    *ret_sample = sample;
    return EXPOSITION_SAMPLE;
}
