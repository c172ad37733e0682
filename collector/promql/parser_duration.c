/*
 * parser_duration.c - durations: 5m, 300, 2 * step(), max_of(1m, range() / 2).
 *
 * They are ordinary number, unary, binary and call nodes, but of a language of their own: the
 * calls are step(), range(), min_of() and max_of(), and plan.c works them out.
 */
#include <math.h>

#include "collector/promql/functions.h"
#include "collector/promql/parser.h"

static struct node *parse_sum(struct parser *parser);
static struct node *parse_operand(struct parser *parser);

static bool unexpected(struct parser *parser)
{
    return parser_unexpected(parser, parser->duration_place->context,
                             parser->duration_place->expected);
}

static bool expect(struct parser *parser, enum token_kind kind)
{
    return parser_expect(parser, kind, parser->duration_place->context,
                         parser->duration_place->expected);
}

static struct node *parse_call(struct parser *parser)
{
    static const struct {
        const char *name;
        int arguments;
    } calls[] = {{"step", 0}, {"range", 0}, {"min_of", 2}, {"max_of", 2}};
    int wanted = -1;
    const struct function *function = NULL;

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (parser_at_word(parser, calls[i].name)) {
            wanted = calls[i].arguments;
            function = function_find(bytes_of(calls[i].name));
        }
    if (function == NULL) {
        (void)unexpected(parser);
        return NULL;
    }
    struct node *node = parser_node(parser, NODE_CALL, PROMQL_SCALAR, parser->token.at);
    if (node == NULL)
        return NULL;
    node->function = function;
    node->argument_count = (size_t)wanted;
    parser_advance(parser);
    if (!expect(parser, TOKEN_LEFT_PAREN))
        return NULL;
    if (wanted == 2) {
        node->first = parse_sum(parser);
        if (node->first == NULL || !expect(parser, TOKEN_COMMA))
            return NULL;
        node->first->next = parse_sum(parser);
        if (node->first->next == NULL)
            return NULL;
    }
    node->until = parser->token.at + 1;
    return expect(parser, TOKEN_RIGHT_PAREN) ? node : NULL;
}

static struct node *parse_literal(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_NUMBER, PROMQL_SCALAR, parser->token.at);
    int64_t ms = 0;
    if (node == NULL)
        return NULL;
    bool good = parser_at(parser, TOKEN_NUMBER)
                    ? number_parse(parser->token.text, &node->number)
                    : duration_token_parse(parser->token.text, &ms);
    if (!good) {
        (void)parser_bad_number(parser);
        return NULL;
    }
    if (parser_at(parser, TOKEN_DURATION)) {
        node->is_duration = true;
        node->number = (double)ms / 1000.0;
    }
    if (!(node->number <= DURATION_SECONDS_MAX)) {
        (void)parser_fail(parser, node->at, "duration out of range");
        return NULL;
    }
    node->until = parser->token.at + parser->token.text.size;
    parser_advance(parser);
    return parser->code == 0 ? node : NULL;
}

/* A sign before an operand that `parse_inner` reads.  A plus says nothing. */
static struct node *parse_sign(struct parser *parser,
                               struct node *(*parse_inner)(struct parser *parser))
{
    bool minus = parser_at(parser, TOKEN_SUB);
    size_t at = parser->token.at;

    if (++parser->depth > EXPRESSION_DEPTH_MAX) {
        (void)parser_fail(parser, at, "expression nests too deeply");
        return NULL;
    }
    parser_advance(parser);
    struct node *operand = parse_inner(parser);
    parser->depth--;
    if (operand == NULL)
        return NULL;
    if (operand->kind == NODE_NUMBER) {
        operand->number = minus ? -operand->number : operand->number;
        operand->at = at;
        return operand;
    }
    if (!minus)
        return operand;
    struct node *node = parser_node(parser, NODE_UNARY, PROMQL_SCALAR, at);
    if (node == NULL)
        return NULL;
    node->operation = OP_SUB;
    node->first = operand;
    node->until = operand->until;
    return node;
}

/* Around a literal parentheses leave no trace, and around others one pair does, as in Prometheus. */
static struct node *parse_paren(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_PAREN, PROMQL_SCALAR, parser->token.at);
    if (node == NULL)
        return NULL;
    if (++parser->depth > EXPRESSION_DEPTH_MAX) {
        (void)parser_fail(parser, node->at, "expression nests too deeply");
        return NULL;
    }
    parser_advance(parser);
    node->first = parse_sum(parser);
    parser->depth--;
    if (node->first == NULL)
        return NULL;
    node->until = parser->token.at + 1;
    if (!expect(parser, TOKEN_RIGHT_PAREN))
        return NULL;
    if (node->first->kind != NODE_NUMBER && node->first->kind != NODE_PAREN)
        return node;
    node->first->until = node->until;
    return node->first;
}

static struct node *parse_operand(struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        return parse_literal(parser);
    case TOKEN_LEFT_PAREN:
        return parse_paren(parser);
    case TOKEN_ADD:
    case TOKEN_SUB:
        return parse_sign(parser, parse_operand);
    default:
        return parse_call(parser);
    }
}

static struct node *binary(struct parser *parser, enum operator_kind operation,
                           struct node *left, struct node *right)
{
    if (right == NULL)
        return NULL;
    struct node *node = parser_node(parser, NODE_BINARY, PROMQL_SCALAR, left->at);
    if (node == NULL)
        return NULL;
    node->operation = operation;
    node->first = left;
    node->second = right;
    node->until = right->until;
    return node;
}

static struct node *parse_power(struct parser *parser)
{
    if (parser_at(parser, TOKEN_ADD) || parser_at(parser, TOKEN_SUB))
        return parse_sign(parser, parse_power);
    struct node *left = parse_operand(parser);
    if (left == NULL || !parser_at(parser, TOKEN_POW))
        return left;
    parser_advance(parser);
    if (++parser->depth > EXPRESSION_DEPTH_MAX) {
        (void)parser_fail(parser, left->at, "expression nests too deeply");
        return NULL;
    }
    struct node *node = binary(parser, OP_POW, left, parse_power(parser));
    parser->depth--;
    return node;
}

/* A zero that is written, not worked out. */
static bool is_zero(const struct node *node)
{
    node = node_unwrap(node);
    return node->kind == NODE_NUMBER && node->number == 0;
}

static struct node *parse_product(struct parser *parser)
{
    struct node *left = parse_power(parser);
    for (int chain = 0; left != NULL && chain < EXPRESSION_DEPTH_MAX; chain++) {
        enum operator_kind operation = parser_at(parser, TOKEN_MUL)   ? OP_MUL
                                       : parser_at(parser, TOKEN_DIV) ? OP_DIV
                                       : parser_at(parser, TOKEN_MOD) ? OP_MOD
                                                                      : OP_NONE;
        if (operation == OP_NONE)
            return left;
        const size_t at = parser->token.at;
        parser_advance(parser);
        struct node *right = parse_power(parser);
        if (right != NULL && operation != OP_MUL && is_zero(right)) {
            (void)parser_fail(parser, at,
                              operation == OP_DIV ? "division by zero" : "modulo by zero");
            return NULL;
        }
        left = binary(parser, operation, left, right);
    }
    return left;
}

static struct node *parse_sum(struct parser *parser)
{
    struct node *left = parse_product(parser);
    for (int chain = 0; left != NULL && chain < EXPRESSION_DEPTH_MAX; chain++) {
        enum operator_kind operation = parser_at(parser, TOKEN_ADD)   ? OP_ADD
                                       : parser_at(parser, TOKEN_SUB) ? OP_SUB
                                                                      : OP_NONE;
        if (operation == OP_NONE)
            return left;
        parser_advance(parser);
        left = binary(parser, operation, left, parse_product(parser));
    }
    return left;
}

struct node *parse_duration(struct parser *parser, const struct duration_place *place)
{
    parser->duration_place = place;
    return parse_sum(parser);
}

struct node *parse_duration_operand(struct parser *parser, const struct duration_place *place)
{
    parser->duration_place = place;
    return parse_operand(parser);
}

/* Prometheus has nanoseconds, and counts the whole milliseconds in them. */
int64_t duration_literal_ms(const struct node *number)
{
    return number->is_duration ? llround(number->number * 1000.0)
                               : llround(number->number * 1e9) / 1000000;
}
