/*
 * route_matcher.c - Alertmanager's matcher text: {name="value", other=~"a|b", plain=word}.
 *
 *     text    = [ "{" ] matcher { "," matcher } [ "," ] [ "}" ]
 *     matcher = name ( "=" | "!=" | "=~" | "!~" ) value
 *     name    = bare | quoted        value = bare | quoted
 *     quoted  = '"' with \" \\ \n '"'; a bare value ends at a comma, a brace or the end
 */
#include <stdlib.h>

#include "collector/notify/route.h"
#include "proto/base/error.h"

struct scan {
    const char *at;
    const char *text; /* the whole, for messages */
    struct buf word;
    struct diagnosis *why;
};

static void skip_blanks(struct scan *scan)
{
    while (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n')
        scan->at++;
}

static int complain(struct scan *scan, const char *what)
{
    return diagnose(scan->why, ERR_INVALID, "bad matcher %s: %s at column %zu", scan->text,
                    what, (size_t)(scan->at - scan->text) + 1);
}

static int read_quoted(struct scan *scan)
{
    for (scan->at++; *scan->at != '"'; scan->at++) {
        char c = *scan->at;
        if (c == '\0')
            return complain(scan, "missing closing quote");
        if (c == '\\') {
            c = *++scan->at;
            if (c == 'n')
                c = '\n';
            else if (c != '"' && c != '\\')
                return complain(scan, "unknown escape");
        }
        buf_put_char(&scan->word, c);
    }
    scan->at++;
    return 0;
}

/* A quoted or bare word into scan->word; a bare one ends at any of `stops`. */
static int read_word(struct scan *scan, const char *stops)
{
    const char *start, *end;

    buf_clear(&scan->word);
    skip_blanks(scan);
    if (*scan->at == '"')
        return read_quoted(scan);
    start = scan->at;
    scan->at += strcspn(scan->at, stops);
    for (end = scan->at; end > start && (end[-1] == ' ' || end[-1] == '\t'); end--)
        continue;
    if (memchr(start, '"', (size_t)(end - start)) != NULL)
        return complain(scan, "stray quote");
    buf_put(&scan->word, start, (size_t)(end - start));
    return 0;
}

static int read_sign(struct scan *scan, enum matcher_kind *ret_kind)
{
    static const struct {
        const char *sign;
        enum matcher_kind kind;
    } signs[] = {{"=~", MATCH_REGEX},
                 {"!~", MATCH_NOT_REGEX},
                 {"!=", MATCH_NOT_EQUAL},
                 {"=", MATCH_EQUAL}};

    skip_blanks(scan);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t length = strlen(signs[i].sign);
        if (strncmp(scan->at, signs[i].sign, length) == 0) {
            scan->at += length;
            *ret_kind = signs[i].kind;
            return 0;
        }
    }
    return complain(scan, "expected = != =~ or !~");
}

static int read_matcher(struct scan *scan, struct matcher ***list, size_t *count)
{
    struct buf name = {0};
    enum matcher_kind kind = MATCH_EQUAL;
    int error = read_word(scan, "=!,{}");

    if (error == 0 && scan->word.size == 0)
        error = complain(scan, "expected a label name");
    if (error == 0) {
        buf_put(&name, scan->word.data, scan->word.size);
        error = read_sign(scan, &kind);
    }
    if (error == 0)
        error = read_word(scan, ",{}");
    if (error == 0 && (!buf_ok(&name) || !buf_ok(&scan->word)))
        error = ERR_NOMEM;
    if (error == 0)
        error = route_matcher_add(kind, buf_bytes(&name), buf_bytes(&scan->word), list, count,
                                  scan->why);
    buf_done(&name);
    return error;
}

static int read_list(struct scan *scan, struct matcher ***list, size_t *count)
{
    bool braces;

    skip_blanks(scan);
    braces = *scan->at == '{';
    if (braces)
        scan->at++;
    skip_blanks(scan);
    while (*scan->at != '\0' && *scan->at != '}') {
        int error = read_matcher(scan, list, count);
        if (error != 0)
            return error;
        skip_blanks(scan);
        if (*scan->at == ',')
            scan->at++;
        else if (*scan->at != '\0' && *scan->at != '}')
            return complain(scan, "expected a comma");
        skip_blanks(scan);
    }
    if (braces != (*scan->at == '}'))
        return complain(scan, braces ? "missing closing brace" : "stray closing brace");
    if (braces) {
        scan->at++;
        skip_blanks(scan);
        if (*scan->at != '\0')
            return complain(scan, "text after the closing brace");
    }
    return 0;
}

int route_matchers_parse(const char *text, struct matcher ***list, size_t *count,
                         struct diagnosis *why)
{
    struct scan scan = {.at = text, .text = text, .why = why};
    int error = read_list(&scan, list, count);
    buf_done(&scan.word);
    return error;
}
