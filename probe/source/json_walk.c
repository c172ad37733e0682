/*
 * json_walk.c - JSON from left to right (json_walk.h).
 *
 * No recursion: what is open is a stack of closing brackets beside the path.
 */
#include "probe/source/json_walk.h"

#include <string.h>

#include "proto/base/error.h"
#include "proto/base/utf8.h"
#include "proto/exposition/exposition.h"

bool json_step_is(const struct json_walk *walk, size_t depth, const char *key)
{
    return depth < walk->depth && walk->path[depth].size == strlen(key) &&
           memcmp(walk->path[depth].text, key, walk->path[depth].size) == 0;
}

static void skip_space(struct span *rest)
{
    while (rest->at < rest->end &&
           (*rest->at == ' ' || *rest->at == '\t' || *rest->at == '\n' || *rest->at == '\r'))
        rest->at++;
}

static bool take(struct span *rest, char wanted)
{
    skip_space(rest);
    if (rest->at == rest->end || *rest->at != wanted)
        return false;
    rest->at++;
    return true;
}

static bool take_hex4(struct span *rest, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (span_size(*rest) < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *rest->at++;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit > 15)
            return false;
        code = code << 4 | digit;
    }
    *ret_code = code;
    return true;
}

/* What follows a backslash, as UTF-8; 0: malformed. */
static size_t take_escape(struct span *rest, uint8_t out[4])
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;
    if (rest->at == rest->end)
        return 0;
    char c = *rest->at++;
    if (c != 'u') {
        const char *found = c == '\0' ? NULL : strchr(names, c);
        if (found == NULL)
            return 0;
        out[0] = (uint8_t)means[found - names];
        return 1;
    }
    if (!take_hex4(rest, &code))
        return 0;
    if (code >= 0xd800 && code < 0xdc00) { /* the first of a pair */
        struct span more = *rest;
        if (scan_text(&more, "\\u") && take_hex4(&more, &low) && low >= 0xdc00 &&
            low < 0xe000) {
            *rest = more;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd; /* half of a pair */
    return utf8_encode(code, out);
}

/* A text from its opening quote to its closing one. */
static bool take_text(struct span *rest, char out[JSON_TEXT_BYTES], size_t *ret_size)
{
    size_t size = 0;
    if (!take(rest, '"'))
        return false;
    while (rest->at < rest->end && *rest->at != '"') {
        uint8_t piece[4] = {(uint8_t)*rest->at};
        size_t more = 1;
        if ((unsigned char)*rest->at < ' ')
            return false;
        if (*rest->at++ == '\\')
            more = take_escape(rest, piece);
        if (more == 0)
            return false;
        if (size + more <= JSON_TEXT_BYTES) {
            memcpy(out + size, piece, more);
            size += more;
        }
    }
    *ret_size = size;
    return take(rest, '"');
}

static bool take_word(struct json_walk *walk, const char *word, enum json_kind kind)
{
    walk->kind = kind;
    return scan_text(&walk->rest, word);
}

static bool take_number(struct json_walk *walk)
{
    struct span number = {walk->rest.at, walk->rest.at};
    while (number.end < walk->rest.end && *number.end != '\0' &&
           strchr("+-.0123456789eE", *number.end) != NULL)
        number.end++;
    walk->rest.at = number.end;
    walk->kind = JSON_NUMBER;
    return span_size(number) > 0 &&
           exposition_number(span_bytes(number), &walk->number) != ERR_MALFORMED;
}

static bool take_scalar(struct json_walk *walk)
{
    skip_space(&walk->rest);
    switch (walk->rest.at < walk->rest.end ? *walk->rest.at : '\0') {
    case 'n':
        return take_word(walk, "null", JSON_NULL);
    case 't':
        return take_word(walk, "true", JSON_TRUE);
    case 'f':
        return take_word(walk, "false", JSON_FALSE);
    case '"':
        walk->kind = JSON_TEXT;
        return take_text(&walk->rest, walk->text, &walk->size);
    default:
        return take_number(walk);
    }
}

/* The key of the next member, or the place of the next item, of what is open. */
static bool take_step(struct json_walk *walk)
{
    struct json_step *step = &walk->path[walk->depth - 1];
    step->size = 0;
    return walk->closing[walk->depth - 1] == ']' ||
           (take_text(&walk->rest, step->text, &step->size) && take(&walk->rest, ':'));
}

/* After a value: closes what ends here, and goes on to the next one.  *ret_done: the text's
 * end.
 */
static bool take_end(struct json_walk *walk, bool *ret_done)
{
    while (walk->depth > 0 && take(&walk->rest, walk->closing[walk->depth - 1]))
        walk->depth--;
    skip_space(&walk->rest);
    *ret_done = walk->depth == 0;
    if (walk->depth == 0)
        return walk->rest.at == walk->rest.end;
    walk->path[walk->depth - 1].index++;
    return take(&walk->rest, ',') && take_step(walk);
}

int json_walk(struct json_walk *walk, struct span text,
              int (*scalar)(void *context, const struct json_walk *walk), void *context)
{
    bool is_done = false;
    walk->rest = text;
    walk->depth = 0;
    while (!is_done) {
        bool is_map = take(&walk->rest, '{');
        bool is_open = is_map || take(&walk->rest, '[');
        if (is_open && walk->depth == JSON_DEPTH_MAX)
            return ERR_LIMIT;
        if (is_open) {
            walk->closing[walk->depth] = is_map ? '}' : ']';
            walk->path[walk->depth++].index = 0;
            struct span rest = walk->rest;
            if (!take(&rest, walk->closing[walk->depth - 1])) { /* not empty */
                if (!take_step(walk))
                    return ERR_MALFORMED;
                continue;
            }
        } else {
            if (!take_scalar(walk))
                return ERR_MALFORMED;
            int error = scalar(context, walk);
            if (error != 0)
                return error;
        }
        if (!take_end(walk, &is_done))
            return ERR_MALFORMED;
    }
    return 0;
}
