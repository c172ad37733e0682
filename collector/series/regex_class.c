/*
 * regex_class.c - character classes and escapes, rewritten as PCRE2 spells them.
 *
 * Where the two differ: Go's \s has no vertical tab; \z and not \Z ends the text; (?i) folds \w
 * and [:alpha:] as it folds letters; a backslash before any other letter or digit is an error.
 */
#include <string.h>

#include "collector/series/regex_parser.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* After "\x{": any number of digits and '}'.  Stops behind what is no part of one. */
static bool read_braced_hex(struct regex_parser *parser, uint32_t *ret_code)
{
    uint32_t code = 0;
    const uint8_t *digits = parser->at;
    while (parser->at != parser->end) {
        uint32_t c;
        const uint8_t *at = parser->at;
        parser->at += utf8_decode(at, parser->end, &c);
        if (c == '}') {
            *ret_code = code;
            return at > digits && (code < 0xd800 || code > 0xdfff);
        }
        if (hex_digit(*at) < 0)
            return false;
        code = code * 16 + (uint32_t)hex_digit(*at);
        if (code > 0x10ffff)
            return false;
    }
    return false;
}

/* After "\x": two digits, or any number in braces.  False if it is neither. */
static bool read_hex(struct regex_parser *parser, uint32_t *ret_code)
{
    uint32_t code = 0;
    int digits[2] = {-1, -1};
    for (int i = 0; i < 2 && parser->at != parser->end; i++) {
        digits[i] = hex_digit(*parser->at);
        parser->at += utf8_decode(parser->at, parser->end, &code);
        if (i == 0 && code == '{')
            return read_braced_hex(parser, ret_code);
    }
    *ret_code = (uint32_t)(digits[0] * 16 + digits[1]);
    return digits[0] >= 0 && digits[1] >= 0;
}

/* After "\0".."\7" without a first digit of a backreference: up to three octal digits. */
static uint32_t read_octal(struct regex_parser *parser, uint8_t first)
{
    uint32_t code = (uint32_t)(first - '0');
    for (int i = 1;
         i < 3 && parser->at != parser->end && *parser->at >= '0' && *parser->at <= '7'; i++)
        code = code * 8 + (uint32_t)(*parser->at++ - '0');
    return code;
}

/* An escape that stands for one code point; the parser is at the backslash. */
static int read_escaped_code(struct regex_parser *parser, uint32_t *ret_code)
{
    static const char letters[] = "aftnrv";
    static const char meanings[] = "\a\f\t\n\r\v";
    const uint8_t *from = parser->at++;

    if (parser->at == parser->end)
        return diagnose(parser->why, ERR_INVALID,
                        "error parsing regexp: trailing backslash at end of expression: ``");
    uint8_t c = *parser->at;
    if (c >= 0x80 || !is_alphanumeric(c)) {
        parser->at += utf8_decode(parser->at, parser->end, ret_code);
        return c >= 0x80 ? regex_complain(parser, "invalid escape sequence", from, parser->at)
                         : 0;
    }
    parser->at++;
    const char *letter = strchr(letters, c);
    if (letter != NULL) {
        *ret_code = (uint8_t)meanings[letter - letters];
        return 0;
    }
    if (c == 'x' && read_hex(parser, ret_code))
        return 0;
    bool octal_follows = parser->at != parser->end && *parser->at >= '0' && *parser->at <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal_follows)) {
        *ret_code = read_octal(parser, c);
        return 0;
    }
    return regex_complain(parser, "invalid escape sequence", from, parser->at);
}

/* What (?i) adds to letters of ASCII, the long s and the sign of Kelvin, and what lies around.
 */
#define FOLDED_LETTERS   "\\x{17f}\\x{212a}"
#define BEYOND_ALL_ASCII "\\x{80}-\\x{17e}\\x{180}-\\x{2129}\\x{212b}-\\x{10ffff}"

/* PCRE2's spelling of \d \D \s \S \w \W, inside a class; NULL if it is none of them. */
static const char *perl_class(uint8_t letter, bool fold)
{
    switch (letter) {
    case 'd':
        return "\\d";
    case 'D':
        return "\\D";
    case 'w':
        return fold ? "\\w" FOLDED_LETTERS : "\\w";
    case 'W':
        return fold ? "\\x{0}-/:-@\\[-\\^`{-\\x{7f}" BEYOND_ALL_ASCII : "\\W";
    case 's':
        return "\\t\\n\\f\\r ";
    case 'S':
        return "\\x{0}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{21}-\\x{10ffff}";
    default:
        return NULL;
    }
}

static int keep_class(struct regex_parser *parser, struct regex_node *concat, struct buf *text)
{
    int error = buf_ok(text) ? 0 : ERR_NOMEM;
    uint8_t *copy = error == 0 ? arena_alloc(parser->arena, text->size, 1) : NULL;
    if (copy == NULL)
        error = ERR_NOMEM;
    if (error == 0) {
        memcpy(copy, text->data, text->size);
        error = regex_add_text(parser, concat, REGEX_CLASS, (struct bytes){copy, text->size});
    }
    return error;
}

/* Of ASCII's classes that hold letters, what else of ASCII there is: in place of "[:^name:]"
 * where (?i) adds letters to the class, which PCRE2 does not take out of that. */
static const struct {
    const char *name, *folded_not; /* NULL: (?i) adds nothing */
} posix_classes[] = {
    {"alnum", "\\x{0}-/:-@\\[-`{-\\x{7f}"},
    {"alpha", "\\x{0}-@\\[-`{-\\x{7f}"},
    {"ascii", ""},
    {"blank", NULL},
    {"cntrl", NULL},
    {"digit", NULL},
    {"graph", "\\x{0}-\\x{20}\\x{7f}"},
    {"lower", "\\x{0}-@\\[-`{-\\x{7f}"},
    {"print", "\\x{0}-\\x{1f}\\x{7f}"},
    {"punct", NULL},
    {"space", NULL},
    {"upper", "\\x{0}-@\\[-`{-\\x{7f}"},
    {"word", "\\x{0}-/:-@\\[-\\^`{-\\x{7f}"},
    {"xdigit", NULL},
};

/* "[:alpha:]" and "[:^alpha:]", which PCRE2 spells the same.  False if it is none. */
static bool read_posix(struct regex_parser *parser, struct buf *out, bool *ret_bad)
{
    const uint8_t *from = parser->at;
    size_t left = (size_t)(parser->end - from);
    if (left < 4 || from[0] != '[' || from[1] != ':')
        return false;
    const uint8_t *close = memmem(from + 2, left - 2, ":]", 2);
    if (close == NULL)
        return false;
    bool negated = from[2] == '^';
    const uint8_t *name = from + 2 + negated;
    for (size_t i = 0; i < sizeof posix_classes / sizeof posix_classes[0] && name <= close;
         i++) {
        struct bytes text = {name, (size_t)(close - name)};
        const char *folded_not = posix_classes[i].folded_not;
        if (!bytes_equal(text, bytes_of(posix_classes[i].name)))
            continue;
        parser->at = close + 2;
        bool folded = parser->flags.fold && folded_not != NULL;
        if (!folded || !negated)
            buf_put(out, from, (size_t)(parser->at - from));
        else
            buf_printf(out, "%s" BEYOND_ALL_ASCII, folded_not);
        if (folded && !negated)
            buf_put_text(out, FOLDED_LETTERS);
        return true;
    }
    *ret_bad = true;
    (void)regex_complain(parser, "invalid character class range", from, close + 2);
    return true;
}

static int read_range_end(struct regex_parser *parser, uint32_t *ret_code)
{
    if (*parser->at == '\\')
        return read_escaped_code(parser, ret_code);
    parser->at += utf8_decode(parser->at, parser->end, ret_code);
    return 0;
}

/* One member of a class: a code point or a range. */
static int read_range(struct regex_parser *parser, struct buf *out)
{
    const uint8_t *from = parser->at;
    uint32_t first = 0;
    int error = read_range_end(parser, &first);
    if (error != 0)
        return error;
    uint32_t last = first;
    if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']') {
        parser->at++;
        error = read_range_end(parser, &last);
        if (error == 0 && last < first)
            return regex_complain(parser, "invalid character class range", from, parser->at);
    }
    if (error == 0)
        buf_printf(out, first == last ? "\\x{%x}" : "\\x{%x}-\\x{%x}", (unsigned)first,
                   (unsigned)last);
    return error;
}

static int read_class(struct regex_parser *parser, struct buf *out)
{
    const uint8_t *from = parser->at++;
    bool first = true;

    buf_put_char(out, '[');
    if (parser->at != parser->end && *parser->at == '^') {
        buf_put_char(out, '^');
        parser->at++;
    }
    for (; parser->at != parser->end && (first || *parser->at != ']'); first = false) {
        bool bad = false;
        int error = 0;
        bool escape = *parser->at == '\\' && parser->end - parser->at >= 2;
        if (read_posix(parser, out, &bad)) {
            error = bad ? ERR_INVALID : 0;
        } else if (escape && perl_class(parser->at[1], parser->flags.fold) != NULL) {
            buf_put_text(out, perl_class(parser->at[1], parser->flags.fold));
            parser->at += 2;
        } else if (escape && (parser->at[1] == 'p' || parser->at[1] == 'P')) {
            error = regex_read_property(parser, out);
        } else {
            error = read_range(parser, out);
        }
        if (error != 0)
            return error;
    }
    if (parser->at == parser->end)
        return regex_complain(parser, "missing closing ]", from, parser->end);
    parser->at++;
    buf_put_char(out, ']');
    return 0;
}

int regex_parse_class(struct regex_parser *parser, struct regex_node *concat)
{
    struct buf text = {0};
    int error = read_class(parser, &text);
    if (error == 0)
        error = keep_class(parser, concat, &text);
    buf_done(&text);
    return error;
}

/* "\Q...\E": everything between is literal; the end may be missing. */
static int parse_quoted(struct regex_parser *parser, struct regex_node *concat)
{
    parser->at += 2;
    while (parser->at != parser->end) {
        uint32_t code;
        if (parser->end - parser->at >= 2 && parser->at[0] == '\\' && parser->at[1] == 'E') {
            parser->at += 2;
            return 0;
        }
        parser->at += utf8_decode(parser->at, parser->end, &code);
        int error = regex_add_literal(parser, concat, code);
        if (error != 0)
            return error;
    }
    parser->syntax->open_quote = true;
    return 0;
}

int regex_parse_escape(struct regex_parser *parser, struct regex_node *concat)
{
    uint8_t letter = parser->end - parser->at >= 2 ? parser->at[1] : 0;
    uint32_t code = 0;
    struct buf text = {0};

    switch (letter) {
    case 'A':
        parser->at += 2;
        return regex_add_text(parser, concat, REGEX_BEGIN, bytes_of("\\A"));
    case 'z':
        parser->at += 2;
        return regex_add_text(parser, concat, REGEX_END, bytes_of("\\z"));
    case 'b':
    case 'B':
        parser->at += 2;
        return regex_add_text(parser, concat, REGEX_ASSERTION,
                              bytes_of(letter == 'b' ? "\\b" : "\\B"));
    case 'Q':
        return parse_quoted(parser, concat);
    default:
        break;
    }
    int error = 0;
    if (perl_class(letter, parser->flags.fold) != NULL) {
        buf_printf(&text, "[%s]", perl_class(letter, parser->flags.fold));
        parser->at += 2;
    } else if (letter == 'p' || letter == 'P') {
        error = regex_read_property(parser, &text);
    } else {
        error = read_escaped_code(parser, &code);
        return error != 0 ? error : regex_add_literal(parser, concat, code);
    }
    if (error == 0)
        error = keep_class(parser, concat, &text);
    buf_done(&text);
    return error;
}
