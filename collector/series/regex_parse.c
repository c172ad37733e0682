/*
 * regex_parse.c - recursive descent over a pattern: alternation, concatenation, repetition.
 *
 *     alternation   concatenation { "|" concatenation }
 *     concatenation { atom [ "*" | "+" | "?" | "{n}" | "{n,}" | "{n,m}" ] [ "?" ] }
 *
 * Neighbouring literal bytes share one node; a quantifier takes the last code point out of it.
 * Classes and escapes are in regex_class.c.
 */
#include <string.h>

#include "collector/series/labels.h"
#include "collector/series/regex_parser.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

int regex_complain(struct regex_parser *parser, const char *reason, const uint8_t *from,
                   const uint8_t *until)
{
    return diagnose(parser->why, ERR_INVALID, "error parsing regexp: %s: `%.*s`", reason,
                    (int)(until - from), (const char *)from);
}

struct regex_node *regex_node_new(struct regex_parser *parser, enum regex_kind kind)
{
    struct regex_node *node = arena_alloc(parser->arena, 1, sizeof *node);
    if (node != NULL)
        node->kind = kind;
    return node;
}

static void add_child(struct regex_node *parent, struct regex_node *child)
{
    if (parent->first == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
}

int regex_add_literal(struct regex_parser *parser, struct regex_node *concat, uint32_t code)
{
    uint8_t *at = parser->literals;
    size_t size = utf8_encode(code, at);
    struct regex_node *last = concat->last;

    parser->literals += size;
    if (last != NULL && last->kind == REGEX_LITERAL && last->fold == parser->flags.fold &&
        last->text.data + last->text.size == at) {
        last->text.size += size;
        return 0;
    }
    struct regex_node *node = regex_node_new(parser, REGEX_LITERAL);
    if (node == NULL)
        return ERR_NOMEM;
    node->text = (struct bytes){at, size};
    node->fold = parser->flags.fold;
    add_child(concat, node);
    return 0;
}

int regex_add_text(struct regex_parser *parser, struct regex_node *concat, enum regex_kind kind,
                   struct bytes text)
{
    struct regex_node *node = regex_node_new(parser, kind);
    if (node == NULL)
        return ERR_NOMEM;
    node->text = text;
    node->fold = kind == REGEX_CLASS && parser->flags.fold;
    add_child(concat, node);
    return 0;
}

/* Takes the last code point of a longer literal into a node of its own, to be repeated. */
static int split_last(struct regex_parser *parser, struct regex_node *concat)
{
    struct regex_node *last = concat->last;
    if (last->kind != REGEX_LITERAL)
        return 0;
    size_t at = last->text.size - 1;
    while (at > 0 && (last->text.data[at] & 0xc0) == 0x80)
        at--;
    if (at == 0)
        return 0;
    struct regex_node *node = regex_node_new(parser, REGEX_LITERAL);
    if (node == NULL)
        return ERR_NOMEM;
    node->fold = last->fold;
    node->text = (struct bytes){last->text.data + at, last->text.size - at};
    last->text.size = at;
    add_child(concat, node);
    return 0;
}

static const uint8_t *read_count(const uint8_t *at, const uint8_t *end, int *ret_count)
{
    int count = 0;
    const uint8_t *from = at;
    for (; at != end && *at >= '0' && *at <= '9'; at++)
        if (count <= REGEX_REPEAT_MAX)
            count = count * 10 + (*at - '0');
    if (at == from || (*from == '0' && at - from > 1))
        return NULL;
    *ret_count = count;
    return at;
}

/* "{n}", "{n,}" or "{n,m}" at `at`; NULL if it is none, and so literal text. */
static const uint8_t *read_counts(const uint8_t *at, const uint8_t *end, int *ret_min,
                                  int *ret_max)
{
    at = read_count(at + 1, end, ret_min);
    if (at == NULL || at == end)
        return NULL;
    *ret_max = *ret_min;
    if (*at == ',') {
        at++;
        if (at == end)
            return NULL;
        *ret_max = REGEX_UNBOUNDED;
        if (*at != '}')
            at = read_count(at, end, ret_max);
    }
    return at != NULL && at != end && *at == '}' ? at + 1 : NULL;
}

/* Is there a quantifier at the parser's place?  Where it ends, or NULL. */
static const uint8_t *read_quantifier(const struct regex_parser *parser, int *ret_min,
                                      int *ret_max)
{
    if (parser->at == parser->end)
        return NULL;
    switch (*parser->at) {
    case '*':
    case '+':
    case '?':
        *ret_min = *parser->at == '+';
        *ret_max = *parser->at == '?' ? 1 : REGEX_UNBOUNDED;
        return parser->at + 1;
    case '{':
        return read_counts(parser->at, parser->end, ret_min, ret_max);
    default:
        return NULL;
    }
}

/* Go's bound on counts within counts, whose product is how often the innermost may stand. */
static bool repeats_at_most(const struct regex_node *node, int limit)
{
    if (node->kind == REGEX_REPEAT) {
        if (node->max == 0)
            return true;
        int count = node->max == REGEX_UNBOUNDED ? node->min : node->max;
        if (count > limit)
            return false;
        limit /= count > 0 ? count : 1;
    }
    for (const struct regex_node *child = node->first; child != NULL; child = child->next)
        if (!repeats_at_most(child, limit))
            return false;
    return true;
}

static bool counts_are_bad(int min, int max)
{
    return min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX ||
           (max != REGEX_UNBOUNDED && min > max);
}

/* ERR_INVALID for another quantifier right behind the one from `from`. */
static int check_nested(struct regex_parser *parser, const uint8_t *from)
{
    int min, max;
    const uint8_t *again = read_quantifier(parser, &min, &max);
    if (again == NULL)
        return 0;
    if (counts_are_bad(min, max))
        return regex_complain(parser, "invalid repeat count", parser->at, again);
    again += again != parser->end && *again == '?';
    return regex_complain(parser, "invalid nested repetition operator", from, again);
}

static int parse_quantifier(struct regex_parser *parser, struct regex_node *concat,
                            const uint8_t *after, int min, int max)
{
    const uint8_t *from = parser->at;
    bool lazy = after != parser->end && *after == '?';

    parser->at = after + lazy;
    if (counts_are_bad(min, max))
        return regex_complain(parser, "invalid repeat count", from, after);
    if (concat->last == NULL)
        return regex_complain(parser, "missing argument to repetition operator", from,
                              parser->at);

    int error = split_last(parser, concat);
    struct regex_node *inner = error == 0 ? regex_node_new(parser, REGEX_GROUP) : NULL;
    if (inner == NULL)
        return ERR_NOMEM;
    *inner = *concat->last;
    inner->next = NULL;
    *concat->last = (struct regex_node){.kind = REGEX_REPEAT,
                                        .greedy = lazy == parser->flags.ungreedy,
                                        .min = min,
                                        .max = max,
                                        .first = inner,
                                        .last = inner};
    if ((min >= 2 || max >= 2) && !repeats_at_most(concat->last, REGEX_REPEAT_MAX))
        return regex_complain(parser, "invalid repeat count", from, parser->at);
    return check_nested(parser, from);
}

/* "(?P<name>" and "(?<name>": reads the name, leaves the place behind '>'. */
static int parse_group_name(struct regex_parser *parser, const uint8_t *from, size_t skip,
                            struct bytes *ret_name)
{
    const uint8_t *name = from + skip;
    const uint8_t *close = memchr(name, '>', (size_t)(parser->end - name));
    if (close == NULL)
        return regex_complain(parser, "invalid named capture", from, parser->end);
    struct bytes text = {name, (size_t)(close - name)};
    bool good = text.size > 0;
    for (size_t i = 0; i < text.size; i++)
        good = good && (text.data[i] == '_' || (text.data[i] >= '0' && text.data[i] <= '9') ||
                        (text.data[i] >= 'a' && text.data[i] <= 'z') ||
                        (text.data[i] >= 'A' && text.data[i] <= 'Z'));
    if (!good)
        return regex_complain(parser, "invalid named capture", from, close + 1);
    parser->at = close + 1;
    *ret_name = text;
    return 0;
}

/* "(?flags)" and "(?flags:": applies them, and says whether a group follows. */
static int parse_flags(struct regex_parser *parser, const uint8_t *from, bool *ret_is_group)
{
    struct regex_flags flags = parser->flags;
    bool on = true;
    bool any = false;
    bool bad = false;
    uint32_t code;

    parser->at = from + 2;
    while (!bad && parser->at != parser->end) {
        parser->at += utf8_decode(parser->at, parser->end, &code);
        switch (code) {
        case 'i':
            flags.fold = on;
            any = true;
            break;
        case 'm':
            flags.multiline = on;
            any = true;
            break;
        case 's':
            flags.dot_all = on;
            any = true;
            break;
        case 'U':
            flags.ungreedy = on;
            any = true;
            break;
        case '-':
            bad = !on;
            on = false;
            any = false;
            break;
        case ':':
        case ')':
            bad = !on && !any;
            if (bad)
                break;
            *ret_is_group = code == ':';
            parser->flags = flags;
            return 0;
        default:
            bad = true;
            break;
        }
    }
    return regex_complain(parser, "invalid or unsupported Perl syntax", from, parser->at);
}

static int parse_group_body(struct regex_parser *parser, struct regex_node *concat, int capture,
                            struct regex_flags outer, const uint8_t *from)
{
    struct regex_node *group = regex_node_new(parser, REGEX_GROUP);
    if (group == NULL)
        return ERR_NOMEM;
    group->capture = capture;
    if (++parser->depth > REGEX_DEPTH_MAX)
        return regex_complain(parser, "expression nests too deeply", from, parser->at);
    struct regex_node *inner = NULL;
    int error = regex_parse_alternation(parser, &inner);
    if (error != 0)
        return error;
    if (parser->at == parser->end)
        return regex_complain(parser, "missing closing )", parser->pattern.data, parser->end);
    parser->at++;
    parser->depth--;
    parser->flags = outer;
    add_child(group, inner);
    add_child(concat, group);
    return 0;
}

static int parse_group(struct regex_parser *parser, struct regex_node *concat)
{
    const uint8_t *from = parser->at;
    size_t left = (size_t)(parser->end - from);
    struct regex_flags outer = parser->flags;
    struct bytes name = {NULL, 0};
    int error = 0;

    if (left >= 2 && from[1] == '?') {
        bool is_group = true;
        if (left > 4 && from[2] == 'P' && from[3] == '<') {
            error = parse_group_name(parser, from, 4, &name);
        } else if (left > 3 && from[2] == '<') {
            error = parse_group_name(parser, from, 3, &name);
        } else {
            error = parse_flags(parser, from, &is_group);
            if (error == 0)
                return is_group ? parse_group_body(parser, concat, 0, outer, from) : 0;
        }
        if (error != 0)
            return error;
    } else {
        parser->at++;
    }
    if (parser->syntax->capture_count == REGEX_GROUPS_MAX)
        return regex_complain(parser, "too many groups", from, parser->at);
    int capture = ++parser->syntax->capture_count;
    parser->syntax->names[capture] = name;
    return parse_group_body(parser, concat, capture, outer, from);
}

static int parse_atom(struct regex_parser *parser, struct regex_node *concat)
{
    uint32_t code;
    const struct regex_flags flags = parser->flags;

    switch (*parser->at) {
    case '(':
        return parse_group(parser, concat);
    case '[':
        return regex_parse_class(parser, concat);
    case '\\':
        return regex_parse_escape(parser, concat);
    case '.':
        parser->at++;
        return regex_add_text(parser, concat, REGEX_CLASS,
                              bytes_of(flags.dot_all ? "." : "[^\\n]"));
    case '^':
        parser->at++;
        return flags.multiline
                   ? regex_add_text(parser, concat, REGEX_ASSERTION, bytes_of("(?m:^)"))
                   : regex_add_text(parser, concat, REGEX_BEGIN, bytes_of("\\A"));
    case '$':
        parser->at++;
        return flags.multiline
                   ? regex_add_text(parser, concat, REGEX_ASSERTION, bytes_of("(?m:$)"))
                   : regex_add_text(parser, concat, REGEX_END, bytes_of("\\z"));
    default:
        parser->at += utf8_decode(parser->at, parser->end, &code);
        return regex_add_literal(parser, concat, code);
    }
}

static int parse_concat(struct regex_parser *parser, struct regex_node **ret_node)
{
    struct regex_node *concat = regex_node_new(parser, REGEX_CONCAT);
    if (concat == NULL)
        return ERR_NOMEM;
    while (parser->at != parser->end && *parser->at != '|' && *parser->at != ')') {
        int min, max;
        const uint8_t *after = read_quantifier(parser, &min, &max);
        int error = after != NULL ? parse_quantifier(parser, concat, after, min, max)
                                  : parse_atom(parser, concat);
        if (error != 0)
            return error;
    }
    *ret_node = concat;
    return 0;
}

int regex_parse_alternation(struct regex_parser *parser, struct regex_node **ret_node)
{
    struct regex_node *first = NULL;
    int error = parse_concat(parser, &first);
    if (error != 0)
        return error;
    if (parser->at == parser->end || *parser->at != '|') {
        *ret_node = first;
        return 0;
    }
    struct regex_node *alternate = regex_node_new(parser, REGEX_ALTERNATE);
    if (alternate == NULL)
        return ERR_NOMEM;
    add_child(alternate, first);
    while (parser->at != parser->end && *parser->at == '|') {
        parser->at++;
        struct regex_node *branch = NULL;
        error = parse_concat(parser, &branch);
        if (error != 0)
            return error;
        add_child(alternate, branch);
    }
    *ret_node = alternate;
    return 0;
}

int regex_syntax_parse(struct bytes pattern, struct arena *arena,
                       struct regex_syntax *ret_syntax, struct diagnosis *why)
{
    *ret_syntax = (struct regex_syntax){0};
    if (pattern.size > REGEX_PATTERN_BYTES_MAX)
        return diagnose(why, ERR_INVALID, "error parsing regexp: expression too large");
    if (!utf8_is_valid(pattern))
        return diagnose(why, ERR_INVALID, "error parsing regexp: invalid UTF-8");

    /* No escape is shorter than what it stands for, so the literals fit in the pattern's size,
     * and three bytes more let utf8_encode() write freely at the end. */
    uint8_t *literals = arena_alloc(arena, pattern.size + 4, 1);
    if (literals == NULL)
        return ERR_NOMEM;
    struct regex_parser parser = {.pattern = pattern,
                                  .at = pattern.data,
                                  .end = pattern.size == 0 ? pattern.data
                                                           : pattern.data + pattern.size,
                                  .arena = arena,
                                  .literals = literals,
                                  .flags = {.dot_all = true},
                                  .syntax = ret_syntax,
                                  .why = why};
    int error = regex_parse_alternation(&parser, &ret_syntax->root);
    if (error == 0 && parser.at != parser.end)
        return regex_complain(&parser, "unexpected )", pattern.data, parser.end);
    return error;
}

int regex_syntax_check_anchored(const struct regex_syntax *syntax, struct bytes pattern,
                                struct diagnosis *why)
{
    if (!syntax->open_quote)
        return 0;
    return diagnose(why, ERR_INVALID, "error parsing regexp: missing closing ): `^(?s:%.*s)$`",
                    (int)pattern.size, (const char *)pattern.data);
}
