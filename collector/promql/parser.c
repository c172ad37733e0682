/*
 * parser.c - PromQL's grammar by precedence climbing.
 *
 *     lowest   or
 *              and unless
 *              == != <= < >= >
 *              + -
 *              * / % atan2
 *     highest  ^ (to the right); unary signs bind between * and ^, so -1^2 is -1
 *
 * Prometheus's grammar: promql/parser/generated_parser.y and its messages.
 */
#include "collector/promql/parser.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/functions.h"

static bool is_number_word(const struct token *token)
{
    return token_is_word(token, "inf") || token_is_word(token, "nan");
}

/* "(a, b, "c")" of by, without, on, ignoring, group_left, group_right. */
static bool parse_names(struct parser *parser, struct names *names)
{
    if (!parser_expect(parser, TOKEN_LEFT_PAREN, "grouping opts", "\"(\""))
        return false;
    while (!parser_at(parser, TOKEN_RIGHT_PAREN)) {
        struct bytes name = parser->token.text;
        if (parser_at(parser, TOKEN_STRING)) {
            if (!parser_string(parser, &parser->token, &name))
                return false;
            if (name.size == 0 || !utf8_is_valid(name))
                return parser_fail(parser, parser->token.at, "invalid label name");
        } else if (!parser_at(parser, TOKEN_WORD) || !label_name_is_legacy(name) ||
                   is_number_word(&parser->token)) {
            return parser_unexpected(parser, "grouping opts", "label");
        }
        if (!names_add(parser, names, name))
            return false;
        parser_advance(parser);
        if (parser_at(parser, TOKEN_COMMA))
            parser_advance(parser);
        else if (!parser_at(parser, TOKEN_RIGHT_PAREN))
            return parser_unexpected(parser, "grouping opts", "\",\" or \")\"");
    }
    parser_advance(parser);
    return parser->code == 0;
}

/* Words that are no metric's name where an expression begins. */
static bool is_reserved(const struct token *token)
{
    static const char *const reserved[] = {"bool",       "on",          "ignoring",
                                           "group_left", "group_right", "atan2"};
    return TOKEN_IS_ONE_OF(token, reserved);
}

static bool can_begin_expression(const struct token *token)
{
    switch (token->kind) {
    case TOKEN_WORD:
        return !is_reserved(token);
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
    case TOKEN_LEFT_PAREN:
    case TOKEN_LEFT_BRACE:
    case TOKEN_ADD:
    case TOKEN_SUB:
        return true;
    default:
        return false;
    }
}

static bool parse_arguments(struct parser *parser, struct node *call)
{
    struct node *last = NULL;
    if (!parser_expect(parser, TOKEN_LEFT_PAREN, "", ""))
        return false;
    while (!parser_at(parser, TOKEN_RIGHT_PAREN)) {
        struct node *argument = parse_expression(parser);
        if (argument == NULL)
            return false;
        if (last == NULL)
            call->first = argument;
        else
            last->next = argument;
        last = argument;
        call->argument_count++;
        if (!parser_at(parser, TOKEN_COMMA)) {
            if (!parser_at(parser, TOKEN_RIGHT_PAREN))
                return parser_unexpected(parser, "", "");
            break;
        }
        const size_t comma = parser->token.at;
        parser_advance(parser);
        if (parser->code == 0 && !can_begin_expression(&parser->token))
            return parser_fail(parser, comma,
                               "trailing commas not allowed in function call args");
    }
    call->until = parser->token.at + 1;
    return parser->code == 0; /* at the closing parenthesis */
}

static bool parse_grouping(struct parser *parser, struct node *node)
{
    if (node->grouped || (!parser_at_word(parser, "by") && !parser_at_word(parser, "without")))
        return parser->code == 0;
    node->without = parser_at_word(parser, "without");
    node->grouped = true;
    parser_advance(parser);
    node->until = parser->ahead.at;
    return parse_names(parser, &node->grouping);
}

static struct node *parse_aggregate(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_AGGREGATE, PROMQL_VECTOR, parser->token.at);
    if (node == NULL)
        return NULL;
    node->aggregation = aggregation_find(parser->token.text);
    parser_advance(parser);
    parser->aggregations++;
    if (!parse_grouping(parser, node) || !parse_arguments(parser, node))
        return NULL;
    parser_advance(parser);
    if (!parse_grouping(parser, node))
        return NULL;
    parser->aggregations--;

    size_t wanted = node->aggregation->has_parameter ? 2 : 1;
    if (node->argument_count == 0) {
        (void)parser_fail(parser, node->at, "no arguments for aggregate expression provided");
        return NULL;
    }
    if (node->argument_count != wanted) {
        (void)parser_fail(parser, node->at,
                          "wrong number of arguments for aggregate expression provided, "
                          "expected %zu, got %zu",
                          wanted, node->argument_count);
        return NULL;
    }
    if (wanted == 2) { /* sum's shape for all: first the vector */
        struct node *parameter = node->first;
        node->first = parameter->next;
        node->second = parameter;
        parameter->next = NULL;
    }
    return node;
}

/* Edits from one word to the other, where swapping two neighbours is one edit: raet is nearer
 * to rate than to rad.  Long words are not worth it. */
static size_t edit_distance(struct bytes a, const char *b)
{
    enum { LONGEST = 40 };
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    size_t size = strlen(b);

    if (a.size > LONGEST || size > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= size; j++) {
            size_t best = above[j - 1] + (a.data[i - 1] != (uint8_t)b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a.data[i - 1] == (uint8_t)b[j - 2] &&
                a.data[i - 2] == (uint8_t)b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return row[size];
}

static bool unknown_function(struct parser *parser, const struct token *token)
{
    size_t count;
    const struct function *table = function_table(&count);
    const char *nearest = NULL;
    size_t least = token->text.size / 3 + 1; /* what is further away is no typing error */

    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(token->text, table[i].name);
        if (distance < least || (distance == least && nearest == NULL)) {
            least = distance;
            nearest = table[i].name;
        }
    }
    return parser_fail(parser, token->at, "unknown function with name \"%.*s\"%s%s%s",
                       token->text.size > 80 ? 80 : (int)token->text.size,
                       (const char *)token->text.data,
                       nearest != NULL ? " (did you mean \"" : "",
                       nearest != NULL ? nearest : "", nearest != NULL ? "\"?)" : "");
}

static struct node *parse_call(struct parser *parser)
{
    const struct token token = parser->token;
    const struct function *function = function_find(token.text);
    struct node *node = parser_node(
        parser, NODE_CALL, function != NULL ? function->returns : PROMQL_VECTOR, token.at);
    if (node == NULL)
        return NULL;
    node->function = function;
    parser_advance(parser);
    if (!parse_arguments(parser, node))
        return NULL;
    if (function == NULL) { /* what is wrong in the arguments comes first */
        (void)unknown_function(parser, &token);
        return NULL;
    }
    parser_advance(parser);
    return parser->code == 0 ? node : NULL;
}

/* Words that stand for something else than a function where a parenthesis follows. */
static bool is_never_called(const struct token *token)
{
    static const char *const words[] = {"by", "without", "offset", "and", "or",
                                        "unless", "anchored", "smoothed", "inf", "nan"};
    return TOKEN_IS_ONE_OF(token, words) || is_reserved(token) ||
           memchr(token->text.data, ':', token->text.size) != NULL;
}

static struct node *parse_word(struct parser *parser)
{
    const struct token *token = &parser->token;
    bool is_call = parser->ahead.kind == TOKEN_LEFT_PAREN;

    if (aggregation_find(token->text) != NULL &&
        (is_call || token_is_word(&parser->ahead, "by") ||
         token_is_word(&parser->ahead, "without")))
        return parse_aggregate(parser);
    if (is_call && !is_never_called(token))
        return parse_call(parser);
    if (is_number_word(token)) {
        struct node *node = parser_node(parser, NODE_NUMBER, PROMQL_SCALAR, token->at);
        if (node == NULL)
            return NULL;
        node->number = token_is_word(token, "inf") ? HUGE_VAL : (double)NAN;
        node->until = token->at + token->text.size;
        parser_advance(parser);
        return node;
    }
    if (is_reserved(token)) {
        (void)parser_unexpected(parser, "", "");
        return NULL;
    }
    return parse_selector(parser);
}

static struct node *parse_literal(struct parser *parser)
{
    const struct token token = parser->token;
    bool is_string = token.kind == TOKEN_STRING;
    struct node *node = parser_node(parser, is_string ? NODE_STRING : NODE_NUMBER,
                                    is_string ? PROMQL_STRING : PROMQL_SCALAR, token.at);
    if (node == NULL)
        return NULL;
    node->until = token.at + token.text.size;
    int64_t ms = 0;
    bool good = true;
    if (is_string)
        good = parser_string(parser, &token, &node->string);
    else if (token.kind == TOKEN_NUMBER)
        good = number_parse(token.text, &node->number);
    else
        good = duration_token_parse(token.text, &ms);
    if (!good) {
        (void)parser_bad_number(parser);
        return NULL;
    }
    if (token.kind == TOKEN_DURATION) {
        node->is_duration = true;
        node->number = (double)ms / 1000.0;
    }
    parser_advance(parser);
    return parser->code == 0 ? node : NULL;
}

static struct node *parse_paren(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_PAREN, PROMQL_SCALAR, parser->token.at);
    if (node == NULL)
        return NULL;
    parser_advance(parser);
    node->first = parse_expression(parser);
    if (node->first == NULL)
        return NULL;
    node->type = node->first->type;
    node->until = parser->token.at + 1;
    return parser_expect(parser, TOKEN_RIGHT_PAREN, "", "") ? node : NULL;
}

static struct node *parse_primary(struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_LEFT_PAREN:
        return parse_paren(parser);
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
        return parse_literal(parser);
    case TOKEN_LEFT_BRACE:
        return parse_selector(parser);
    case TOKEN_WORD:
        return parse_word(parser);
    default:
        break;
    }
    (void)parser_unexpected(parser, "", "");
    return NULL;
}

static struct node *parse_binary(struct parser *parser, int least);

static struct node *parse_unary(struct parser *parser)
{
    if (!parser_at(parser, TOKEN_ADD) && !parser_at(parser, TOKEN_SUB)) {
        struct node *node = parse_primary(parser);
        return node != NULL ? parse_modifiers(parser, node) : NULL;
    }
    bool minus = parser_at(parser, TOKEN_SUB);
    size_t at = parser->token.at;
    parser_advance(parser);
    struct node *operand = parse_binary(parser, PRECEDENCE_UNARY);
    if (operand == NULL)
        return NULL;
    if (operand->kind == NODE_NUMBER) { /* -1 is a number */
        operand->number = minus ? -operand->number : operand->number;
        operand->at = at;
        return operand;
    }
    struct node *node = parser_node(parser, NODE_UNARY, operand->type, at);
    if (node == NULL)
        return NULL;
    node->operation = minus ? OP_SUB : OP_ADD;
    node->first = operand;
    node->until = operand->until;
    return node;
}

static bool parse_fill(struct parser *parser, struct matching *matching, bool left, bool right)
{
    parser_advance(parser);
    if (!parser_expect(parser, TOKEN_LEFT_PAREN, "fill modifier", "\"(\""))
        return false;
    struct node *value = parse_unary(parser);
    if (value == NULL)
        return false;
    if (value->kind != NODE_NUMBER)
        return parser_fail(parser, value->at, "fill modifier value must be a number");
    if ((left && matching->fills_left) || (right && matching->fills_right))
        return parser_fail(parser, value->at, "fill modifier may not be set multiple times");
    if (left) {
        matching->fills_left = true;
        matching->fill_left = value->number;
    }
    if (right) {
        matching->fills_right = true;
        matching->fill_right = value->number;
    }
    matching->fills_alike = left && right;
    return parser_expect(parser, TOKEN_RIGHT_PAREN, "fill modifier", "\")\"");
}

static bool parse_group_side(struct parser *parser, struct matching *matching)
{
    bool left = parser_at_word(parser, "group_left");
    if (!left && !parser_at_word(parser, "group_right"))
        return parser->code == 0;
    matching->cardinality = left ? MANY_TO_ONE : ONE_TO_MANY;
    parser_advance(parser);
    return !parser_at(parser, TOKEN_LEFT_PAREN) || parse_names(parser, &matching->include);
}

/* "bool on(a) group_left(b) fill(0)", all optional. */
static bool parse_matching(struct parser *parser, struct node *node)
{
    struct matching *matching = &node->matching;

    matching->cardinality = operator_is_set(node->operation) ? MANY_TO_MANY : ONE_TO_ONE;
    if (parser_at_word(parser, "bool")) {
        node->returns_bool = true;
        parser_advance(parser);
    }
    if (parser_at_word(parser, "on") || parser_at_word(parser, "ignoring")) {
        matching->present = true;
        matching->on = parser_at_word(parser, "on");
        parser_advance(parser);
        if (!parse_names(parser, &matching->labels) || !parse_group_side(parser, matching))
            return false;
    }
    while (parser->code == 0 && parser->ahead.kind == TOKEN_LEFT_PAREN) {
        bool both = parser_at_word(parser, "fill");
        bool left = both || parser_at_word(parser, "fill_left");
        bool right = both || parser_at_word(parser, "fill_right");
        if (!left && !right)
            break;
        if (!parse_fill(parser, matching, left, right))
            return false;
    }
    return parser->code == 0;
}

static struct node *parse_binary(struct parser *parser, int least)
{
    if (++parser->depth > EXPRESSION_DEPTH_MAX) {
        (void)parser_fail(parser, parser->token.at, "expression nests too deeply");
        return NULL;
    }
    struct node *left = parse_unary(parser);
    int chain = 0;
    for (;;) {
        const struct operator_row *found =
            left != NULL && parser->code == 0 ? operator_of_token(&parser->token) : NULL;
        if (found == NULL || found->precedence < least)
            break;
        if (++chain > EXPRESSION_DEPTH_MAX) {
            (void)parser_fail(parser, parser->token.at, "too many operators in one expression");
            return NULL;
        }
        struct node *node = parser_node(parser, NODE_BINARY, PROMQL_SCALAR, left->at);
        if (node == NULL)
            return NULL;
        node->operation = found->operation;
        node->operator_at = parser->token.at;
        node->first = left;
        parser_advance(parser);
        if (!parse_matching(parser, node))
            return NULL;
        node->second = parse_binary(parser, found->precedence + (node->operation != OP_POW));
        if (node->second == NULL)
            return NULL;
        node->until = node->second->until;
        if (left->type == PROMQL_VECTOR || node->second->type == PROMQL_VECTOR)
            node->type = PROMQL_VECTOR;
        left = node;
    }
    parser->depth--;
    return parser->code == 0 ? left : NULL;
}

struct node *parse_expression(struct parser *parser)
{
    return parse_binary(parser, 1);
}
