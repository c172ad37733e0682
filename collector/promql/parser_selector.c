/*
 * parser_selector.c - name{matchers}, and what may follow: [range], offset, @.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/parser.h"

#define SELECTOR_MATCHERS_MAX 256

/* Keeps the matcher in the expression, which frees it. */
static bool keep_matcher(struct parser *parser, enum matcher_kind kind, struct bytes name,
                         struct bytes value, size_t at)
{
    struct promql_expression *expression = parser->expression;
    struct diagnosis why = {""};

    if (expression->matcher_count == expression->matcher_capacity) {
        size_t capacity =
            expression->matcher_capacity == 0 ? 8 : expression->matcher_capacity * 2;
        struct matcher **grown =
            realloc(expression->matchers, capacity * sizeof *expression->matchers);
        if (grown == NULL)
            return parser_out_of_memory(parser);
        expression->matchers = grown;
        expression->matcher_capacity = capacity;
    }
    int error =
        matcher_new(kind, name, value, &expression->matchers[expression->matcher_count], &why);
    if (error == ERR_INVALID)
        return parser_fail(parser, at, "%s", why.text);
    if (error != 0)
        return parser_out_of_memory(parser);
    expression->matcher_count++;
    return true;
}

/* A quoted name in braces.  A second one is a matcher that nothing satisfies as well. */
static bool set_name(struct parser *parser, struct node *node, struct bytes name, size_t at)
{
    if (!utf8_is_valid(name))
        return parser_fail(parser, at, "invalid metric name");
    if (name.size > 0 && node->name.size == 0) {
        node->name = name;
        node->name_quoted = true;
    }
    return keep_matcher(parser, MATCH_EQUAL, bytes_of(LABEL_NAME), name, at);
}

static bool read_kind(struct parser *parser, enum matcher_kind *ret_kind)
{
    switch (parser->token.kind) {
    case TOKEN_ASSIGN:
        *ret_kind = MATCH_EQUAL;
        break;
    case TOKEN_NOT_EQUAL:
        *ret_kind = MATCH_NOT_EQUAL;
        break;
    case TOKEN_MATCHES:
        *ret_kind = MATCH_REGEX;
        break;
    case TOKEN_NOT_MATCHES:
        *ret_kind = MATCH_NOT_REGEX;
        break;
    default:
        return parser_unexpected(parser, CONTEXT_LABELS, "label matching operator");
    }
    parser_advance(parser);
    return parser->code == 0;
}

/* One of  label="v"  "label"="v"  "metric". */
static bool parse_matcher(struct parser *parser, struct node *node)
{
    const struct token token = parser->token;
    struct bytes name = token.text;
    struct bytes value = {NULL, 0};
    enum matcher_kind kind = MATCH_EQUAL;

    if (token.kind == TOKEN_STRING) {
        if (!parser_string(parser, &token, &name))
            return false;
    } else if (token.kind != TOKEN_WORD) {
        return parser_unexpected(parser, CONTEXT_LABELS, "identifier or \"}\"");
    }
    parser_advance(parser);
    if (parser->code != 0)
        return false;
    if (token.kind == TOKEN_STRING &&
        (parser_at(parser, TOKEN_COMMA) || parser_at(parser, TOKEN_RIGHT_BRACE)))
        return set_name(parser, node, name, token.at);
    if (name.size == 0 || !utf8_is_valid(name))
        return parser_fail(parser, token.at, "invalid label name");
    if (!read_kind(parser, &kind))
        return false;
    if (!parser_at(parser, TOKEN_STRING))
        return parser_unexpected(parser, CONTEXT_LABELS, "string");
    if (!parser_string(parser, &parser->token, &value) ||
        !keep_matcher(parser, kind, name, value, token.at))
        return false;
    parser_advance(parser);
    return parser->code == 0;
}

static bool parse_braces(struct parser *parser, struct node *node)
{
    size_t count = 0;
    parser_advance(parser);
    while (parser->code == 0 && !parser_at(parser, TOKEN_RIGHT_BRACE)) {
        if (++count > SELECTOR_MATCHERS_MAX)
            return parser_fail(parser, parser->token.at, "too many matchers in one selector");
        if (!parse_matcher(parser, node))
            return false;
        if (parser_at(parser, TOKEN_COMMA))
            parser_advance(parser);
        else if (!parser_at(parser, TOKEN_RIGHT_BRACE))
            return parser_unexpected(parser, CONTEXT_LABELS, "\",\" or \"}\"");
    }
    node->until = parser->token.at + 1;
    parser_advance(parser);
    return parser->code == 0;
}

struct node *parse_selector(struct parser *parser)
{
    struct promql_expression *expression = parser->expression;
    struct node *node = parser_node(parser, NODE_SELECTOR, PROMQL_VECTOR, parser->token.at);
    size_t before = expression->matcher_count;

    if (node == NULL)
        return NULL;
    if (parser_at(parser, TOKEN_WORD)) {
        node->name = parser->token.text;
        node->until = parser->token.at + parser->token.text.size;
        parser_advance(parser);
    }
    if (parser->code == 0 && parser_at(parser, TOKEN_LEFT_BRACE) && !parse_braces(parser, node))
        return NULL;
    if (parser->code != 0)
        return NULL;
    if (node->name.size > 0 && !node->name_quoted) {
        for (size_t i = before; i < expression->matcher_count; i++)
            if (bytes_equal(expression->matchers[i]->name, bytes_of(LABEL_NAME))) {
                struct bytes other = expression->matchers[i]->value;
                (void)parser_fail(parser, node->at,
                                  "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                                  (int)node->name.size, (const char *)node->name.data,
                                  (int)other.size, (const char *)other.data);
                return NULL;
            }
        if (!keep_matcher(parser, MATCH_EQUAL, bytes_of(LABEL_NAME), node->name, node->at))
            return NULL;
    }
    node->matcher_count = expression->matcher_count - before;
    node->matchers = arena_alloc(&expression->arena, node->matcher_count + 1, sizeof(void *));
    if (node->matchers == NULL) {
        (void)parser_out_of_memory(parser);
        return NULL;
    }
    if (node->matcher_count > 0)
        memcpy(node->matchers, expression->matchers + before,
               node->matcher_count * sizeof(void *));
    return node;
}

/* The node that carries offset and @ of an expression, or NULL if it takes none. */
static struct node *modifiable(struct node *node)
{
    if (node->kind == NODE_MATRIX)
        return node->first;
    return node->kind == NODE_SELECTOR || node->kind == NODE_SUBQUERY ? node : NULL;
}

static bool parse_offset(struct parser *parser, struct node *node)
{
    static const struct duration_place place = {"offset",
                                                "number, duration, step(), or range()"};
    struct node *target = modifiable(node);

    parser_advance(parser);
    struct node *offset = parse_duration_operand(parser, &place);
    if (offset == NULL)
        return false;
    if (target == NULL)
        return parser_fail(parser, node->at,
                           "offset modifier must be preceded by an instant vector selector or "
                           "range vector selector or a subquery");
    if (target->offset != NULL)
        return parser_fail(parser, node->at, "offset may not be set multiple times");
    target->offset = offset;
    node->until = offset->until;
    return true;
}

/* `at`: where what it belongs to begins. */
static bool parse_at_time(struct parser *parser, struct node *target, size_t at)
{
    double sign = 1;
    double seconds = 0;
    int64_t ms = 0;

    if (parser_at(parser, TOKEN_ADD) || parser_at(parser, TOKEN_SUB)) {
        sign = parser_at(parser, TOKEN_SUB) ? -1 : 1;
        parser_advance(parser);
    }
    if (parser_at(parser, TOKEN_NUMBER)) {
        if (!number_parse(parser->token.text, &seconds))
            return parser_bad_number(parser);
    } else if (parser_at(parser, TOKEN_DURATION)) {
        if (!duration_token_parse(parser->token.text, &ms))
            return parser_bad_number(parser);
        seconds = (double)ms / 1000.0;
    } else if (parser_at_word(parser, "inf") || parser_at_word(parser, "nan")) {
        const char *text = parser_at_word(parser, "nan") ? "NaN" : sign < 0 ? "-Inf" : "+Inf";
        return parser_fail(parser, at, "timestamp out of bounds for @ modifier: %s", text);
    } else {
        return parser_unexpected(parser, "@", "timestamp");
    }
    seconds *= sign * 1000.0;
    if (!(fabs(seconds) < 2.3e18)) /* 2^61 ms, the plan's bound too */
        return parser_fail(parser, at, "timestamp out of bounds for @ modifier: %f",
                           seconds / 1000.0);
    target->at_modifier = AT_TIME;
    target->at_ms = (int64_t)round(seconds);
    return true;
}

static bool parse_at(struct parser *parser, struct node *node)
{
    struct node *target = modifiable(node);
    struct node unused = {0};

    if (target != NULL && target->at_modifier != AT_NONE)
        return parser_fail(parser, node->at, "@ <timestamp> may not be set multiple times");
    struct node *place = target != NULL ? target : &unused;
    parser_advance(parser);
    bool start = parser_at_word(parser, "start");
    if (start || parser_at_word(parser, "end")) {
        place->at_modifier = start ? AT_START : AT_END;
        parser_advance(parser);
        if (!parser_expect(parser, TOKEN_LEFT_PAREN, "@", "timestamp"))
            return false;
        if (!parser_at(parser, TOKEN_RIGHT_PAREN))
            return parser_unexpected(parser, "@", "timestamp");
    } else if (!parse_at_time(parser, place, node->at)) {
        return false;
    }
    node->until = parser->token.at + parser->token.text.size;
    parser_advance(parser);
    if (target == NULL)
        return parser_fail(parser, node->at,
                           "@ modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery");
    return parser->code == 0;
}

/* `at`: of the bracket. */
static bool check_range(struct parser *parser, const struct node *node, size_t at)
{
    if (node->kind != NODE_SELECTOR)
        return parser_fail(parser, at, "ranges only allowed for vector selectors");
    if (node->offset != NULL)
        return parser_fail(parser, at, "no offset modifiers allowed before range");
    if (node->at_modifier == AT_TIME) /* start() and end() are, as in Prometheus */
        return parser_fail(parser, at, "no @ modifiers allowed before range");
    return true;
}

/* A duration that is known already must be positive; the others are checked by the plan. */
static bool check_positive(struct parser *parser, const struct node *duration)
{
    if (duration->kind == NODE_NUMBER && !(duration->number > 0))
        return parser_fail(parser, duration->at, "duration must be greater than 0");
    return true;
}

static bool parse_step(struct parser *parser, struct node *node)
{
    static const struct duration_place place = {
        "subquery selector", "number, duration, step(), range(), or \"]\""};
    parser_advance(parser);
    if (parser_at(parser, TOKEN_RIGHT_BRACKET))
        return true;
    node->step = parse_duration(parser, &place);
    return node->step != NULL && check_positive(parser, node->step);
}

static struct node *parse_range(struct parser *parser, struct node *inner)
{
    static const struct duration_place place = {"subquery or range selector",
                                                "number, duration, step(), or range()"};
    const size_t bracket = parser->token.at;
    parser_advance(parser);
    struct node *range = parse_duration(parser, &place);
    if (range == NULL || !check_positive(parser, range))
        return NULL;
    bool is_subquery = parser_at(parser, TOKEN_COLON);
    struct node *node = parser_node(parser, is_subquery ? NODE_SUBQUERY : NODE_MATRIX,
                                    PROMQL_MATRIX, inner->at);
    if (node == NULL)
        return NULL;
    node->first = inner;
    node->range = range;
    if (is_subquery && !parse_step(parser, node))
        return NULL;
    node->until = parser->token.at + 1;
    if (!parser_expect(parser, TOKEN_RIGHT_BRACKET,
                       is_subquery ? "subquery selector" : "subquery or range",
                       is_subquery ? "\"]\"" : "\":\" or \"]\""))
        return NULL;
    return is_subquery || check_range(parser, inner, bracket) ? node : NULL;
}

/* Only selectors have one.  The texts are Prometheus's (promql/parser/parse.go, setAnchored()). */
static bool parse_extension(struct parser *parser, struct node *node)
{
    struct node *target = modifiable(node);
    bool anchored = parser_at_word(parser, "anchored");
    const char *word = anchored ? "anchored" : "smoothed";
    if (node->kind == NODE_SUBQUERY)
        return parser_fail(parser, node->at, "%s modifier is not supported for subqueries", word);
    if (target == NULL)
        return parser_fail(parser, node->at, "%s modifier not implemented", word);
    if (anchored ? target->smoothed : target->anchored)
        return parser_fail(parser, node->at,
                           "anchored and smoothed modifiers cannot be used together");
    target->anchored = anchored;
    target->smoothed = !anchored;
    node->until = parser->token.at + parser->token.text.size;
    parser_advance(parser);
    return parser->code == 0;
}

struct node *parse_modifiers(struct parser *parser, struct node *node)
{
    while (node != NULL && parser->code == 0) {
        bool good = true;
        if (parser_at(parser, TOKEN_LEFT_BRACKET))
            node = parse_range(parser, node);
        else if (parser_at_word(parser, "offset"))
            good = parse_offset(parser, node);
        else if (parser_at(parser, TOKEN_AT))
            good = parse_at(parser, node);
        else if (parser_at_word(parser, "anchored") || parser_at_word(parser, "smoothed"))
            good = parse_extension(parser, node);
        else
            return node;
        if (!good)
            return NULL;
    }
    return parser->code == 0 ? node : NULL;
}
