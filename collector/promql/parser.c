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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/functions.h"

#define PRECEDENCE_UNARY 6

static const struct {
    enum operator_kind operator;
    enum token_kind kind; /* TOKEN_WORD: by text */
    const char *text;
    int precedence;
} operators[] = {
    {OP_OR, TOKEN_WORD, "or", 1},
    {OP_AND, TOKEN_WORD, "and", 2},
    {OP_UNLESS, TOKEN_WORD, "unless", 2},
    {OP_EQUAL, TOKEN_EQUAL, "==", 3},
    {OP_NOT_EQUAL, TOKEN_NOT_EQUAL, "!=", 3},
    {OP_LESS, TOKEN_LESS, "<", 3},
    {OP_LESS_EQUAL, TOKEN_LESS_EQUAL, "<=", 3},
    {OP_GREATER, TOKEN_GREATER, ">", 3},
    {OP_GREATER_EQUAL, TOKEN_GREATER_EQUAL, ">=", 3},
    {OP_TRIM_UPPER, TOKEN_TRIM_UPPER, "</", 3},
    {OP_TRIM_LOWER, TOKEN_TRIM_LOWER, ">/", 3},
    {OP_ADD, TOKEN_ADD, "+", 4},
    {OP_SUB, TOKEN_SUB, "-", 4},
    {OP_MUL, TOKEN_MUL, "*", 5},
    {OP_DIV, TOKEN_DIV, "/", 5},
    {OP_MOD, TOKEN_MOD, "%", 5},
    {OP_ATAN2, TOKEN_WORD, "atan2", 5},
    {OP_POW, TOKEN_POW, "^", PRECEDENCE_UNARY},
};
#define OPERATORS (sizeof operators / sizeof operators[0])

const char *operator_text(enum operator_kind operator)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].operator== operator)
            return operators[i].text;
    return "";
}

bool parser_at(const struct parser *parser, enum token_kind kind)
{
    return parser->token.kind == kind;
}

bool parser_at_word(const struct parser *parser, const char *word)
{
    return token_is_word(&parser->token, word);
}

void parser_advance(struct parser *parser)
{
    parser->token = parser->ahead;
    if (parser->token.kind == TOKEN_ERROR) {
        (void)parser_fail(parser, parser->token.at, "%s", parser->lexer.message);
        return;
    }
    if (parser->ahead.kind != TOKEN_END)
        parser->ahead = lexer_next(&parser->lexer);
}

void parser_init(struct parser *parser, struct promql_expression *expression,
                 struct promql_error *error)
{
    *parser = (struct parser){.expression = expression, .error = error};
    lexer_init(&parser->lexer, expression->text);
    parser->ahead = lexer_next(&parser->lexer);
    parser_advance(parser);
}

bool parser_fail(struct parser *parser, size_t at, const char *format, ...)
{
    char message[DIAGNOSIS_BYTES];
    va_list arguments;

    if (parser->code != 0)
        return false;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    parser->code = diagnose(&parser->error->why, ERR_INVALID, "%s", message);
    parser->error->failure = PROMQL_BAD_DATA;
    parser->error->line = 1;
    parser->error->column = 1;
    for (size_t i = 0; i < at && parser->expression->text[i] != '\0'; i++) {
        parser->error->column++;
        if (parser->expression->text[i] == '\n') {
            parser->error->line++;
            parser->error->column = 1;
        }
    }
    return false;
}

bool parser_out_of_memory(struct parser *parser)
{
    if (parser->code == 0) {
        parser->code = ERR_NOMEM;
        parser->error->failure = PROMQL_EXECUTION;
        (void)diagnose(&parser->error->why, ERR_NOMEM, "the expression needs too much memory");
    }
    return false;
}

/* As Prometheus names tokens in messages: <op:+>, <aggr:sum>, identifier "x". */
static void describe_token(const struct token *token, char out[160])
{
    int size = token->text.size > 100 ? 100 : (int)token->text.size;
    const char *text = (const char *)token->text.data;

    switch (token->kind) {
    case TOKEN_END:
        (void)snprintf(out, 160, "end of input");
        return;
    case TOKEN_NUMBER:
        (void)snprintf(out, 160, "number \"%.*s\"", size, text);
        return;
    case TOKEN_DURATION:
        (void)snprintf(out, 160, "duration \"%.*s\"", size, text);
        return;
    case TOKEN_STRING:
        (void)snprintf(out, 160, "string \"%.*s\"", size - 2 > 0 ? size - 2 : 0, text + 1);
        return;
    case TOKEN_WORD:
        if (aggregation_find(token->text) != NULL) {
            (void)snprintf(out, 160, "<aggr:%.*s>", size, text);
            return;
        }
        (void)snprintf(out, 160, "identifier \"%.*s\"", size, text);
        break;
    default:
        (void)snprintf(out, 160, "\"%.*s\"", size, text);
        break;
    }
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].kind == token->kind &&
            (token->kind != TOKEN_WORD || token_is_word(token, operators[i].text)))
            (void)snprintf(out, 160, "<op:%s>", operators[i].text);
    static const char *const keywords[] = {"offset",     "by",          "without", "on", "ignoring",
                                           "group_left", "group_right", "bool"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (token_is_word(token, keywords[i]))
            (void)snprintf(out, 160, "keyword <%s>", keywords[i]);
}

bool parser_unexpected(struct parser *parser, const char *context, const char *expected)
{
    char token[160];
    describe_token(&parser->token, token);
    return parser_fail(parser, parser->token.at, "unexpected %s%s%s%s%s", token,
                       *context != '\0' ? " in " : "", context,
                       *expected != '\0' ? ", expected " : "", expected);
}

bool parser_expect(struct parser *parser, enum token_kind kind, const char *context,
                   const char *expected)
{
    if (!parser_at(parser, kind))
        return parser_unexpected(parser, context, expected);
    parser_advance(parser);
    return parser->code == 0;
}

struct node *parser_node(struct parser *parser, enum node_kind kind, enum promql_type type,
                         size_t at)
{
    struct node *node = arena_alloc(&parser->expression->arena, 1, sizeof *node);
    if (node == NULL) {
        (void)parser_out_of_memory(parser);
        return NULL;
    }
    node->kind = kind;
    node->type = type;
    node->at = at;
    node->id = parser->expression->node_count++;
    return node;
}

bool parser_string(struct parser *parser, const struct token *token, struct bytes *ret_text)
{
    const char *reason = NULL;
    uint8_t *text = arena_alloc(&parser->expression->arena, token->text.size + 4, 1);
    if (text == NULL)
        return parser_out_of_memory(parser);
    size_t size = string_unquote(token->text, text, &reason);
    if (size == SIZE_MAX)
        return parser_fail(parser, token->at, "%s", reason);
    *ret_text = (struct bytes){text, size};
    return true;
}

bool names_add(struct parser *parser, struct names *names, struct bytes name)
{
    if ((names->count & (names->count - 1)) == 0) { /* full at 0, 1, 2, 4, ... */
        size_t capacity = names->count == 0 ? 1 : names->count * 2;
        struct bytes *items = arena_alloc(&parser->expression->arena, capacity, sizeof *items);
        if (items == NULL)
            return parser_out_of_memory(parser);
        if (names->count > 0)
            memcpy(items, names->items, names->count * sizeof *items);
        names->items = items;
    }
    names->items[names->count++] = name;
    return true;
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
        } else if (!parser_at(parser, TOKEN_WORD) || !label_name_is_legacy(name)) {
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

static bool parse_arguments(struct parser *parser, struct node *call, const char *context)
{
    struct node *last = NULL;
    if (!parser_expect(parser, TOKEN_LEFT_PAREN, context, "\"(\""))
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
                return parser_unexpected(parser, context, "");
            break;
        }
        parser_advance(parser);
        if (parser_at(parser, TOKEN_RIGHT_PAREN))
            return parser_fail(parser, parser->token.at,
                               "trailing commas not allowed in function call args");
    }
    call->until = parser->token.at + 1;
    parser_advance(parser);
    return parser->code == 0;
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
    struct node *node =
        parser_node(parser, NODE_AGGREGATE, PROMQL_VECTOR, parser->token.at);
    if (node == NULL)
        return NULL;
    node->aggregation = aggregation_find(parser->token.text);
    parser_advance(parser);
    if (!parse_grouping(parser, node) || !parse_arguments(parser, node, "aggregation") ||
        !parse_grouping(parser, node))
        return NULL;

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

static bool unknown_function(struct parser *parser, const struct token *token)
{
    size_t count;
    const struct function *table = function_table(&count);
    const char **names = malloc((count + 1) * sizeof *names);
    char wrong[80];

    if (names == NULL)
        return parser_out_of_memory(parser);
    for (size_t i = 0; i < count; i++)
        names[i] = table[i].name;
    (void)snprintf(wrong, sizeof wrong, "%.*s", (int)token->text.size,
                   (const char *)token->text.data);
    const char *nearest = nearest_name(wrong, names, count);
    free(names);
    return parser_fail(parser, token->at, "unknown function with name \"%s\"%s%s%s", wrong,
                       nearest != NULL ? " (did you mean \"" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "\"?)" : "");
}

static struct node *parse_call(struct parser *parser)
{
    const struct function *function = function_find(parser->token.text);
    if (function == NULL) {
        (void)unknown_function(parser, &parser->token);
        return NULL;
    }
    struct node *node = parser_node(parser, NODE_CALL, function->returns, parser->token.at);
    if (node == NULL)
        return NULL;
    node->function = function;
    parser_advance(parser);
    return parse_arguments(parser, node, "function call") ? node : NULL;
}

static struct node *parse_word(struct parser *parser)
{
    const struct token *token = &parser->token;
    bool is_call = parser->ahead.kind == TOKEN_LEFT_PAREN;

    if (aggregation_find(token->text) != NULL &&
        (is_call || token_is_word(&parser->ahead, "by") ||
         token_is_word(&parser->ahead, "without")))
        return parse_aggregate(parser);
    if (is_call)
        return parse_call(parser);
    if (token_is_word(token, "inf") || token_is_word(token, "nan")) {
        struct node *node = parser_node(parser, NODE_NUMBER, PROMQL_SCALAR, token->at);
        if (node == NULL)
            return NULL;
        node->number = token_is_word(token, "inf") ? HUGE_VAL
                                                   : (double)NAN;
        node->until = token->at + token->text.size;
        parser_advance(parser);
        return node;
    }
    static const char *const reserved[] = {"bool", "on", "ignoring", "group_left", "group_right"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (token_is_word(token, reserved[i])) {
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
        (void)parser_fail(parser, token.at,
                          token.kind == TOKEN_DURATION ? "not a valid duration string: \"%.*s\""
                                                       : "error parsing number: \"%.*s\"",
                          (int)token.text.size, (const char *)token.text.data);
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
    case TOKEN_END:
        if (parser->token.at == 0 || parser->expression->node_count == 0) {
            (void)parser_fail(parser, 0, "no expression found in input");
            return NULL;
        }
        break;
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
    node->operator= minus ? OP_SUB : OP_ADD;
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

    matching->cardinality = operator_is_set(node->operator) ? MANY_TO_MANY : ONE_TO_ONE;
    if (parser_at_word(parser, "bool")) {
        node->returns_bool = true;
        if (!operator_is_comparison(node->operator))
            return parser_fail(parser, parser->token.at,
                               "bool modifier can only be used on comparison operators");
        parser_advance(parser);
    }
    if ((parser_at_word(parser, "on") || parser_at_word(parser, "ignoring")) &&
        parser->ahead.kind == TOKEN_LEFT_PAREN) {
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

/* The operator at the parser's place, or OPERATORS. */
static size_t find_operator(const struct parser *parser)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].kind == parser->token.kind &&
            (operators[i].kind != TOKEN_WORD || parser_at_word(parser, operators[i].text)))
            return i;
    return OPERATORS;
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
        size_t found = left != NULL && parser->code == 0 ? find_operator(parser) : OPERATORS;
        if (found == OPERATORS || operators[found].precedence < least)
            break;
        if (++chain > EXPRESSION_DEPTH_MAX) {
            (void)parser_fail(parser, parser->token.at, "too many operators in one expression");
            return NULL;
        }
        struct node *node = parser_node(parser, NODE_BINARY, PROMQL_SCALAR, left->at);
        if (node == NULL)
            return NULL;
        node->operator= operators[found].operator;
        node->first = left;
        parser_advance(parser);
        if (!parse_matching(parser, node))
            return NULL;
        node->second = parse_binary(parser, operators[found].precedence + (node->operator!= OP_POW));
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
