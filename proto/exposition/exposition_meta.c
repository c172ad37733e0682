/*
 * exposition_meta.c - lines that begin with '#'.
 *
 *     # HELP name text      # TYPE name counter      # UNIT name bytes      # EOF
 *     # STALE name{...} 7   # NAN fff8000000000000 name{...} 7              (marks)
 *
 * The parser knows one family at a time, the last one named: both formats group a family's
 * lines.  Which sample names are of a family follows from its type; the suffixes are those of
 * the OpenMetrics specification, and of both formats' histograms and summaries.
 */
#include "proto/base/error.h"
#include "proto/base/utf8.h"
#include "proto/exposition/exposition_parts.h"

enum keyword {
    KEYWORD_NONE,
    KEYWORD_HELP,
    KEYWORD_TYPE,
    KEYWORD_UNIT,
    KEYWORD_STALE,
    KEYWORD_NAN
};

static const struct {
    const char *word;
    enum metric_type type;
    bool is_openmetrics, is_prometheus;
} types[] = {
    {"counter", METRIC_COUNTER, true, true},
    {"gauge", METRIC_GAUGE, true, true},
    {"histogram", METRIC_HISTOGRAM, true, true},
    {"summary", METRIC_SUMMARY, true, true},
    {"untyped", METRIC_UNTYPED, false, true},
    {"unknown", METRIC_UNKNOWN, true, true},
    {"info", METRIC_INFO, true, true},
    {"stateset", METRIC_GAUGE, true, true},
    {"gaugehistogram", METRIC_HISTOGRAM, true, true},
};

#define TYPES (sizeof types / sizeof *types)

static const struct {
    enum metric_type type;
    const char *suffix;
} suffixes[] = {
    {METRIC_COUNTER, "_total"},    {METRIC_COUNTER, "_created"}, {METRIC_HISTOGRAM, "_bucket"},
    {METRIC_HISTOGRAM, "_count"},  {METRIC_HISTOGRAM, "_sum"},   {METRIC_HISTOGRAM, "_created"},
    {METRIC_HISTOGRAM, "_gcount"}, {METRIC_HISTOGRAM, "_gsum"},  {METRIC_SUMMARY, "_count"},
    {METRIC_SUMMARY, "_sum"},      {METRIC_SUMMARY, "_created"}, {METRIC_INFO, "_info"},
};

const struct exposition_family *exposition_family_of(const struct exposition *parser,
                                                     struct bytes name)
{
    const struct exposition_family *family = &parser->family;
    struct bytes base = family->name;
    if (base.size == 0 || name.size < base.size || memcmp(name.data, base.data, base.size) != 0)
        return NULL;
    if (name.size == base.size)
        return family;
    struct bytes rest = {name.data + base.size, name.size - base.size};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (suffixes[i].type == family->type && bytes_equal(rest, bytes_of(suffixes[i].suffix)))
            return family;
    }
    return NULL;
}

static int enter_family(struct exposition *parser, struct bytes name)
{
    if (bytes_equal(parser->family.name, name))
        return 0;
    memcpy(parser->family_name, name.data, name.size); /* at most NAME_BYTES_MAX */
    parser->family = (struct exposition_family){.name = {parser->family_name, name.size}};
    return 0;
}

static int set_type(struct exposition *parser, struct bytes text, struct diagnosis *why)
{
    const char *known[TYPES];
    bool is_openmetrics = parser->format == EXPOSITION_OPENMETRICS;
    for (size_t i = 0; i < TYPES; i++) {
        known[i] = types[i].word;
        if (bytes_equal(text, bytes_of(types[i].word)) &&
            (is_openmetrics ? types[i].is_openmetrics : types[i].is_prometheus)) {
            parser->family.type = types[i].type;
            return EXPOSITION_METADATA;
        }
    }
    char excerpt[EXCERPT_BYTES];
    exposition_excerpt(text, excerpt);
    const char *nearest = nearest_name(excerpt, known, TYPES);
    if (is_openmetrics && nearest != NULL && strcmp(nearest, "untyped") == 0)
        nearest = "unknown";
    return exposition_fail(parser, ERR_MALFORMED, why, "unknown metric type \"%s\"%s%s%s",
                           excerpt, nearest != NULL ? " (did you mean \"" : "",
                           nearest != NULL ? nearest : "", nearest != NULL ? "\"?)" : "");
}

static int set_unit(struct exposition *parser, struct bytes text, struct diagnosis *why)
{
    struct bytes name = parser->family.name;
    bool is_suffix = text.size == 0 ||
                     (name.size > text.size && name.data[name.size - text.size - 1] == '_' &&
                      memcmp(name.data + name.size - text.size, text.data, text.size) == 0);
    bool is_strict = parser->format == EXPOSITION_OPENMETRICS;
    char excerpt[EXCERPT_BYTES];
    if (is_strict && !is_suffix)
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "the unit \"%s\" does not end its metric's name",
                               exposition_excerpt(text, excerpt));
    if (text.size > NAME_BYTES_MAX || !utf8_is_valid(text))
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "a unit is at most %zu bytes of UTF-8", NAME_BYTES_MAX);
    if (text.size > 0)
        memcpy(parser->unit, text.data, text.size);
    parser->family.unit = (struct bytes){parser->unit, text.size};
    return EXPOSITION_METADATA;
}

static int set_help(struct exposition *parser, struct bytes text, struct diagnosis *why)
{
    if (!utf8_is_valid(text))
        return exposition_fail(parser, ERR_MALFORMED, why, "the help is no UTF-8 text");
    struct bytes help = exposition_unescape(text, parser->format == EXPOSITION_OPENMETRICS);
    if (help.size > HELP_BYTES_MAX) {
        help.size = HELP_BYTES_MAX;
        while ((help.data[help.size] & 0xc0) == 0x80)
            help.size--;
    }
    if (help.size > 0)
        memcpy(parser->help, help.data, help.size);
    parser->family.help = (struct bytes){parser->help, help.size};
    return EXPOSITION_METADATA;
}

/* The keyword after "# ", and the cursor past the blank that follows it. */
static enum keyword read_keyword(const struct exposition *parser, struct cursor *cursor)
{
    static const char *const words[] = {
        [KEYWORD_HELP] = "HELP",   [KEYWORD_TYPE] = "TYPE", [KEYWORD_UNIT] = "UNIT",
        [KEYWORD_STALE] = "STALE", [KEYWORD_NAN] = "NAN",
    };
    enum keyword last = parser->reads_marks && parser->format == EXPOSITION_PROMETHEUS
                            ? KEYWORD_NAN
                            : KEYWORD_UNIT;
    struct bytes word = exposition_word(cursor);
    for (enum keyword i = KEYWORD_HELP; i <= last; i++) {
        if (bytes_equal(word, bytes_of(words[i])) && cursor->at < cursor->end) {
            cursor->at++;
            return i;
        }
    }
    return KEYWORD_NONE;
}

/* What follows the name; Prometheus text does not mind blanks around it, except in a help. */
static struct bytes read_text(const struct exposition *parser, struct cursor *cursor,
                              enum keyword keyword)
{
    if (cursor->at < cursor->end)
        cursor->at++; /* one blank */
    if (keyword != KEYWORD_HELP)
        exposition_skip_blanks(parser, cursor);
    while (parser->format == EXPOSITION_PROMETHEUS && keyword != KEYWORD_HELP &&
           cursor->end > cursor->at && (cursor->end[-1] == ' ' || cursor->end[-1] == '\t'))
        cursor->end--;
    return (struct bytes){cursor->at, (size_t)(cursor->end - cursor->at)};
}

static int read_metadata(struct exposition *parser, struct cursor cursor, enum keyword keyword,
                         struct diagnosis *why)
{
    struct bytes name;
    exposition_skip_blanks(parser, &cursor);
    int error = exposition_name(parser, &cursor, true, &name, why);
    if (error != 0)
        return error;
    bool is_strict = parser->format == EXPOSITION_OPENMETRICS;
    bool is_ended = cursor.at == cursor.end
                        ? !is_strict
                        : *cursor.at == ' ' || (*cursor.at == '\t' && !is_strict);
    if (name.size == 0 || !is_ended)
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "expected a metric name and a text after %s",
                               keyword == KEYWORD_HELP   ? "HELP"
                               : keyword == KEYWORD_TYPE ? "TYPE"
                                                         : "UNIT");
    enter_family(parser, name);
    struct bytes text = read_text(parser, &cursor, keyword);
    switch (keyword) {
    case KEYWORD_TYPE:
        return set_type(parser, text, why);
    case KEYWORD_UNIT:
        return set_unit(parser, text, why);
    case KEYWORD_HELP:
    case KEYWORD_STALE:
    case KEYWORD_NAN:
    case KEYWORD_NONE:
        break;
    }
    return set_help(parser, text, why);
}

int exposition_read_comment(struct exposition *parser, struct cursor cursor,
                            struct exposition_sample *ret_sample, struct diagnosis *why)
{
    bool is_strict = parser->format == EXPOSITION_OPENMETRICS;
    cursor.at++;
    struct bytes rest = {cursor.at, (size_t)(cursor.end - cursor.at)};
    bool has_blank = rest.size > 0 && (*rest.data == ' ' || (*rest.data == '\t' && !is_strict));
    if (is_strict && bytes_equal(rest, bytes_of(" EOF"))) {
        parser->is_over = true;
        return EXPOSITION_MORE;
    }
    if (has_blank)
        cursor.at++;
    exposition_skip_blanks(parser, &cursor);
    enum keyword keyword = has_blank ? read_keyword(parser, &cursor) : KEYWORD_NONE;
    if (keyword == KEYWORD_STALE || keyword == KEYWORD_NAN)
        return exposition_read_mark(parser, cursor, keyword == KEYWORD_STALE, ret_sample, why);
    if (keyword != KEYWORD_NONE)
        return read_metadata(parser, cursor, keyword, why);
    if (is_strict)
        return exposition_fail(parser, ERR_MALFORMED, why,
                               "OpenMetrics has HELP, TYPE, UNIT and EOF, no other comments");
    return EXPOSITION_MORE;
}
