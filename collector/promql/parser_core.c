/*
 * parser_core.c - the parser's place in the text, its messages, its table of operators.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/parser.h"

static const struct operator_row operators[] = {
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

const struct operator_row *operator_of_token(const struct token *token)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].kind == token->kind &&
            (token->kind != TOKEN_WORD || token_is_word(token, operators[i].text)))
            return &operators[i];
    return NULL;
}

const char *operator_text(enum operator_kind operation)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (operators[i].operation == operation)
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

/* Go's %q of a token, cut after ten characters (as bytes: it is for people). */
static void describe_text(const char *kind, struct bytes text, char out[160])
{
    size_t at = (size_t)snprintf(out, 160, "%s \"", kind);
    size_t shown = 0;
    for (; shown < text.size && (text.size <= 10 || shown < 10); shown++) {
        if (text.data[shown] == '"' || text.data[shown] == '\\')
            out[at++] = '\\';
        out[at++] = (char)text.data[shown];
    }
    /* no half characters: at most three bytes follow the first */
    for (size_t more = 0; more < 3 && shown < text.size && (text.data[shown] & 0xc0) == 0x80;
         more++)
        out[at++] = (char)text.data[shown++];
    (void)snprintf(out + at, 160 - at, shown < text.size ? "\"..." : "\"");
}

/* <op:and>, <aggr:sum>, <by>, "start", number "Inf", identifier "x", metric identifier "a:b". */
static void describe_word(const struct token *token, char out[160])
{
    static const char *const keywords[] = {"offset",   "by",         "without",     "on",
                                           "ignoring", "group_left", "group_right", "bool",
                                           "anchored", "smoothed"};
    static const char *const preprocessors[] = {"start", "end", "step", "range"};
    static const char *const numbers[] = {"inf", "nan"};
    const int size = token->text.size > 100 ? 100 : (int)token->text.size;
    const char *text = (const char *)token->text.data;
    const char *before = memchr(text, ':', token->text.size) != NULL ? "metric identifier \""
                                                                     : "identifier \"";
    const char *after = "\"";
    if (aggregation_find(token->text) != NULL)
        before = "<aggr:", after = ">";
    else if (operator_of_token(token) != NULL)
        before = "<op:", after = ">";
    else if (TOKEN_IS_ONE_OF(token, keywords))
        before = "<", after = ">";
    else if (TOKEN_IS_ONE_OF(token, preprocessors))
        before = "\"";
    else if (TOKEN_IS_ONE_OF(token, numbers))
        before = "number \"";
    (void)snprintf(out, 160, "%s%.*s%s", before, size, text, after);
}

/* As Prometheus names tokens in messages; in braces every word is a name. */
static void describe_token(const struct token *token, bool is_in_braces, char out[160])
{
    const int size = token->text.size > 100 ? 100 : (int)token->text.size;
    const char *text = (const char *)token->text.data;
    bool is_operator = operator_of_token(token) != NULL || token->kind == TOKEN_AT ||
                       token->kind == TOKEN_MATCHES || token->kind == TOKEN_NOT_MATCHES;
    if (token->kind == TOKEN_END)
        (void)snprintf(out, 160, "end of input");
    else if (token->kind == TOKEN_NUMBER)
        describe_text("number", token->text, out);
    else if (token->kind == TOKEN_DURATION)
        describe_text("duration", token->text, out);
    else if (token->kind == TOKEN_STRING)
        describe_text("string", token->text, out);
    else if (token->kind == TOKEN_WORD && is_in_braces)
        (void)snprintf(out, 160, "identifier \"%.*s\"", size, text);
    else if (token->kind == TOKEN_WORD)
        describe_word(token, out);
    else
        (void)snprintf(out, 160, is_operator ? "<op:%.*s>" : "\"%.*s\"", size, text);
}

bool parser_unexpected(struct parser *parser, const char *context, const char *expected)
{
    char token[160];
    describe_token(&parser->token, strcmp(context, CONTEXT_LABELS) == 0, token);
    if (*context == '\0' && parser->aggregations > 0)
        context = CONTEXT_AGGREGATION;
    return parser_fail(parser, parser->token.at, "unexpected %s%s%s%s%s", token,
                       *context != '\0' ? " in " : "", context,
                       *expected != '\0' ? ", expected " : "", expected);
}

bool parser_bad_number(struct parser *parser)
{
    const struct token *token = &parser->token;
    const struct bytes unit = duration_unknown_unit(token->text);
    const int size = token->text.size > 80 ? 80 : (int)token->text.size;
    const char *text = (const char *)token->text.data;
    if (token->kind == TOKEN_NUMBER)
        return parser_fail(parser, token->at,
                           "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s", size,
                           text, number_fault(token->text));
    if (duration_token_is_too_long(token->text))
        return parser_fail(parser, token->at, "duration out of range");
    if (unit.size > 0)
        return parser_fail(parser, token->at, "unknown unit \"%.*s\" in duration \"%.*s\"",
                           unit.size > 20 ? 20 : (int)unit.size, (const char *)unit.data, size,
                           text);
    return parser_fail(parser, token->at, "not a valid duration string: \"%.*s\"", size, text);
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
    uint8_t *text = arena_alloc(&parser->expression->arena, token->text.size + 4, 1);
    if (text == NULL)
        return parser_out_of_memory(parser);
    *ret_text = (struct bytes){text, string_unquote(token->text, text)};
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
