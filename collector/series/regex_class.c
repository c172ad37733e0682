/*
 * regex_class.c - character classes and escapes, rewritten as PCRE2 spells them.
 *
 * Where the two differ: Go's \s has no vertical tab; \z and not \Z ends the text; \p{Greek} is
 * the script alone, not its extensions; a backslash before any other letter or digit is an
 * error.
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

/* After "\x": two digits, or any number in braces.  False if it is neither. */
static bool read_hex(struct regex_parser *parser, uint32_t *ret_code)
{
    uint32_t code = 0;
    const uint8_t *at = parser->at;
    if (at != parser->end && *at == '{') {
        const uint8_t *digits = ++at;
        for (; at != parser->end && hex_digit(*at) >= 0; at++) {
            code = code * 16 + (uint32_t)hex_digit(*at);
            if (code > 0x10ffff)
                return false;
        }
        if (at == digits || at == parser->end || *at != '}')
            return false;
        parser->at = at + 1;
    } else {
        if (parser->end - at < 2 || hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
            return false;
        code = (uint32_t)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
        parser->at = at + 2;
    }
    *ret_code = code;
    return code < 0xd800 || code > 0xdfff;
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

/* "\pL", "\p{Greek}", "\P{^Greek}": appends PCRE2's spelling. */
static int read_property(struct regex_parser *parser, struct buf *out)
{
    const uint8_t *from = parser->at;
    bool negated = from[1] == 'P';
    struct bytes name;

    parser->at += 2;
    if (parser->at == parser->end)
        return regex_complain(parser, "invalid character class range", from, parser->at);
    if (*parser->at == '{') {
        const uint8_t *close = memchr(parser->at, '}', (size_t)(parser->end - parser->at));
        if (close == NULL)
            return regex_complain(parser, "invalid character class range", from, parser->end);
        name = (struct bytes){parser->at + 1, (size_t)(close - parser->at - 1)};
        parser->at = close + 1;
    } else {
        name = (struct bytes){parser->at++, 1};
    }
    if (name.size > 0 && name.data[0] == '^') {
        negated = !negated;
        name.data++;
        name.size--;
    }
    bool good = name.size > 0 && name.size <= 40;
    for (size_t i = 0; good && i < name.size; i++)
        good = is_alphanumeric(name.data[i]) || name.data[i] == '_';
    if (!good)
        return regex_complain(parser, "invalid character class range", from, parser->at);
    bool script = name.size > 2 && !bytes_equal(name, bytes_of("Any"));
    buf_printf(out, "\\%c{%s%.*s}", negated ? 'P' : 'p', script ? "sc:" : "", (int)name.size,
               (const char *)name.data);
    return 0;
}

/* PCRE2's spelling of \d \D \s \S \w \W, inside a class; NULL if it is none of them. */
static const char *perl_class(uint8_t letter)
{
    switch (letter) {
    case 'd':
        return "\\d";
    case 'D':
        return "\\D";
    case 'w':
        return "\\w";
    case 'W':
        return "\\W";
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

/* "[:alpha:]" and "[:^alpha:]", which PCRE2 spells the same.  False if it is none. */
static bool read_posix(struct regex_parser *parser, struct buf *out, bool *ret_bad)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    const uint8_t *from = parser->at;
    size_t left = (size_t)(parser->end - from);
    if (left < 4 || from[0] != '[' || from[1] != ':')
        return false;
    const uint8_t *close = memmem(from + 2, left - 2, ":]", 2);
    if (close == NULL)
        return false;
    const uint8_t *name = from + 2 + (from[2] == '^');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name <= close &&
            bytes_equal((struct bytes){name, (size_t)(close - name)}, bytes_of(names[i]))) {
            parser->at = close + 2;
            buf_put(out, from, (size_t)(parser->at - from));
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
        } else if (escape && perl_class(parser->at[1]) != NULL) {
            buf_put_text(out, perl_class(parser->at[1]));
            parser->at += 2;
        } else if (escape && (parser->at[1] == 'p' || parser->at[1] == 'P')) {
            error = read_property(parser, out);
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
    if (perl_class(letter) != NULL) {
        buf_printf(&text, "[%s]", perl_class(letter));
        parser->at += 2;
    } else if (letter == 'p' || letter == 'P') {
        error = read_property(parser, &text);
    } else {
        error = read_escaped_code(parser, &code);
        return error != 0 ? error : regex_add_literal(parser, concat, code);
    }
    if (error == 0)
        error = keep_class(parser, concat, &text);
    buf_done(&text);
    return error;
}
