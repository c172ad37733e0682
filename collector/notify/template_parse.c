/*
 * template_parse.c - a template's text becomes a tree.
 *
 * One pass, no token list: text up to "{{" is a node, what follows is read word by word.  Blanks
 * matter in one place only: ".a .b" is two operands, ".a.b" one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

struct parser {
    const char *at;
    const char *text;
    struct arena *arena;
    struct diagnosis *why;
    unsigned depth;
    bool trim_next; /* the action before ended in -}} */
};

enum word { WORD_NONE, WORD_IF, WORD_RANGE, WORD_WITH, WORD_ELSE, WORD_END };

static int parse_list(struct parser *parser, struct node **ret_list, enum word *ret_ended_by);
static int parse_pipeline(struct parser *parser, struct pipeline *pipeline);

static int complain(const struct parser *parser, const char *what)
{
    unsigned line = 1;
    for (const char *at = parser->text; at < parser->at; at++)
        line += *at == '\n';
    return diagnose(parser->why, ERR_INVALID, "template line %u: %s", line, what);
}

static int complain_of(const struct parser *parser, const char *what, struct bytes name)
{
    char message[200];
    (void)snprintf(message, sizeof message, "%s \"%.*s\"", what,
                   (int)(name.size < 80 ? name.size : 80), (const char *)name.data);
    return complain(parser, message);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(struct parser *parser)
{
    while (is_space(*parser->at))
        parser->at++;
}

/* Letters, digits, _ and any byte of a UTF-8 sequence. */
static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static struct bytes read_name(struct parser *parser)
{
    const char *start = parser->at;
    while (is_name_char(*parser->at))
        parser->at++;
    return (struct bytes){(const uint8_t *)start, (size_t)(parser->at - start)};
}

static bool at_close(const struct parser *parser)
{
    return strncmp(parser->at, "}}", 2) == 0 ||
           (strncmp(parser->at, "-}}", 3) == 0 && parser->at > parser->text &&
            is_space(parser->at[-1]));
}

static int expect_close(struct parser *parser)
{
    skip_spaces(parser);
    if (!at_close(parser))
        return complain(parser, *parser->at == '\0' ? "unclosed action"
                                                    : "unexpected text in an action");
    parser->trim_next = *parser->at == '-';
    parser->at += parser->trim_next ? 3 : 2;
    return 0;
}

/* ---- operands ---------------------------------------------------------------------------- */

static int escape_char(char c)
{
    static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    return found == NULL ? -1 : (unsigned char)values[found - names];
}

static int parse_quoted(struct parser *parser, struct value *ret_value)
{
    char *copy = arena_alloc(parser->arena, strcspn(parser->at + 1, "\n") + 1, 1);
    size_t size = 0;

    if (copy == NULL)
        return ERR_NOMEM;
    for (parser->at++; *parser->at != '"'; parser->at++) {
        int c = (unsigned char)*parser->at;
        if (c == '\0' || c == '\n')
            return complain(parser, "unterminated quoted string");
        if (c == '\\') {
            c = escape_char(*++parser->at);
            if (c < 0)
                return complain(parser, "unknown escape in a string");
        }
        copy[size++] = (char)c;
    }
    parser->at++;
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {(uint8_t *)copy, size}};
    return 0;
}

static int parse_raw(struct parser *parser, struct value *ret_value)
{
    const char *start = parser->at + 1, *end = strchr(start, '`');
    if (end == NULL)
        return complain(parser, "unterminated raw quoted string");
    parser->at = end + 1;
    *ret_value = (struct value){.kind = VALUE_STRING,
                                .as.text = {(const uint8_t *)start, (size_t)(end - start)}};
    return 0;
}

static int parse_number(struct parser *parser, struct value *ret_value)
{
    char *end_integer, *end_real;
    int64_t integer;
    double real;

    errno = 0;
    integer = strtoll(parser->at, &end_integer, 0);
    if (errno != 0)
        end_integer = (char *)(uintptr_t)parser->at;
    real = strtod(parser->at, &end_real);
    if (end_real > end_integer)
        *ret_value = (struct value){.kind = VALUE_FLOAT, .as.real = real};
    else
        *ret_value = (struct value){.kind = VALUE_INTEGER, .as.integer = integer};
    parser->at = end_real > end_integer ? end_real : end_integer;
    if (is_name_char(*parser->at) || *parser->at == '.')
        return complain(parser, "bad number syntax");
    return 0;
}

/* .a.b.c directly after an operand (or alone after dot). */
static int parse_fields(struct parser *parser, struct operand *operand)
{
    struct bytes *fields = arena_alloc(parser->arena, TEMPLATE_DEPTH_MAX, sizeof *fields);
    if (fields == NULL)
        return ERR_NOMEM;
    while (*parser->at == '.') {
        parser->at++;
        if (operand->field_count == TEMPLATE_DEPTH_MAX)
            return complain(parser, "too many fields");
        fields[operand->field_count] = read_name(parser);
        if (fields[operand->field_count++].size == 0)
            return complain(parser, "expected a field name after '.'");
    }
    operand->fields = fields;
    return 0;
}

static int parse_word(struct parser *parser, struct operand *operand)
{
    char name[64];
    const char *near;
    struct bytes word = read_name(parser);

    if (bytes_equal(word, bytes_of("true")) || bytes_equal(word, bytes_of("false"))) {
        operand->literal =
            (struct value){.kind = VALUE_BOOL, .as.boolean = word.data[0] == 't'};
        return 0;
    }
    if (bytes_equal(word, bytes_of("nil")))
        return 0;
    operand->kind = OPERAND_FUNCTION;
    operand->function = template_function_find(word);
    if (operand->function != NULL)
        return 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)(word.size < 63 ? word.size : 63),
                   (const char *)word.data);
    near = template_function_near(name);
    if (near == NULL)
        return complain_of(parser, "there is no function", word);
    (void)snprintf(name, sizeof name, "(did you mean %s?) there is no function", near);
    return complain_of(parser, name, word);
}

static int parse_parenthesized(struct parser *parser, struct operand *operand)
{
    struct pipeline *inner = arena_alloc(parser->arena, 1, sizeof *inner);
    int error;

    if (inner == NULL)
        return ERR_NOMEM;
    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return complain(parser, "nested too deeply");
    parser->at++;
    error = parse_pipeline(parser, inner);
    if (error != 0)
        return error;
    if (*parser->at != ')')
        return complain(parser, "unclosed left paren");
    parser->at++;
    parser->depth--;
    operand->kind = OPERAND_PIPELINE;
    operand->pipeline = inner;
    return *parser->at == '.' ? parse_fields(parser, operand) : 0;
}

static int parse_operand(struct parser *parser, struct operand **ret_operand)
{
    struct operand *operand = arena_alloc(parser->arena, 1, sizeof *operand);
    char c = *parser->at;

    if (operand == NULL)
        return ERR_NOMEM;
    *ret_operand = operand;
    if (c == '"')
        return parse_quoted(parser, &operand->literal);
    if (c == '`')
        return parse_raw(parser, &operand->literal);
    if (c == '(')
        return parse_parenthesized(parser, operand);
    if (c == '$') {
        parser->at++;
        operand->kind = OPERAND_VARIABLE;
        operand->variable = read_name(parser);
        return *parser->at == '.' ? parse_fields(parser, operand) : 0;
    }
    if (c == '.' && !isdigit((unsigned char)parser->at[1])) {
        operand->kind = OPERAND_DOT;
        if (is_name_char(parser->at[1]))
            return parse_fields(parser, operand);
        parser->at++;
        return 0;
    }
    if (isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.')
        return parse_number(parser, &operand->literal);
    if (is_name_char(c))
        return parse_word(parser, operand);
    return complain(parser, "unexpected character in an action");
}

/* ---- commands and pipelines -------------------------------------------------------------- */

static bool ends_command(const struct parser *parser)
{
    return *parser->at == '\0' || *parser->at == '|' || *parser->at == ')' || at_close(parser);
}

static int parse_command(struct parser *parser, struct command **ret_command)
{
    struct command *command = arena_alloc(parser->arena, 1, sizeof *command);
    struct operand **end;

    if (command == NULL)
        return ERR_NOMEM;
    end = &command->operands;
    skip_spaces(parser);
    while (!ends_command(parser)) {
        int error = parse_operand(parser, end);
        if (error != 0)
            return error;
        if (!is_space(*parser->at) && !ends_command(parser))
            return complain(parser, "expected a blank between operands");
        end = &(*end)->next;
        skip_spaces(parser);
    }
    if (command->operands == NULL)
        return complain(parser, "missing value for command");
    if (command->operands->next != NULL && command->operands->kind != OPERAND_FUNCTION)
        return complain(parser, "can't give argument to non-function");
    *ret_command = command;
    return 0;
}

/* "$a := ", "$a, $b := ", "$a = "; otherwise the parser stays where it is. */
static int parse_variables(struct parser *parser, struct pipeline *pipeline)
{
    const char *start = parser->at;
    for (size_t i = 0; i < 2 && *parser->at == '$'; i++) {
        parser->at++;
        pipeline->variables[i] = read_name(parser);
        skip_spaces(parser);
        if (strncmp(parser->at, ":=", 2) == 0 || *parser->at == '=') {
            pipeline->variable_count = i + 1;
            pipeline->declares = *parser->at == ':';
            parser->at += pipeline->declares ? 2 : 1;
            return pipeline->declares || i == 0
                       ? 0
                       : complain(parser, "only := declares two variables");
        }
        if (*parser->at != ',')
            break;
        parser->at++;
        skip_spaces(parser);
    }
    parser->at = start;
    return 0;
}

static int parse_pipeline(struct parser *parser, struct pipeline *pipeline)
{
    struct command **end = &pipeline->commands;
    int error;

    skip_spaces(parser);
    error = parse_variables(parser, pipeline);
    while (error == 0) {
        error = parse_command(parser, end);
        if (error != 0 || *parser->at != '|')
            break;
        parser->at++;
        end = &(*end)->next;
    }
    for (const struct command *after = pipeline->commands;
         error == 0 && after != NULL && after->next != NULL; after = after->next)
        if (after->next->operands->kind != OPERAND_FUNCTION)
            return complain(parser, "non executable command in pipeline");
    return error;
}

/* ---- actions ----------------------------------------------------------------------------- */

/* The keyword at the parser, consumed; WORD_NONE if there is none. */
static enum word read_keyword(struct parser *parser)
{
    static const struct {
        const char *text;
        enum word word;
    } words[] = {{"if", WORD_IF}, {"range", WORD_RANGE}, {"with", WORD_WITH},
                 {"else", WORD_ELSE}, {"end", WORD_END}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].text);
        if (strncmp(parser->at, words[i].text, length) == 0 &&
            !is_name_char(parser->at[length])) {
            parser->at += length;
            return words[i].word;
        }
    }
    return WORD_NONE;
}

static int parse_control(struct parser *parser, enum word word, struct node *node);

/* After {{else: another control ("else if"), or }} and a list up to {{end}}. */
static int parse_else(struct parser *parser, struct node *node)
{
    enum word word, ended_by;
    int error;

    skip_spaces(parser);
    word = read_keyword(parser);
    if (word == WORD_IF || word == WORD_WITH) {
        node->otherwise = arena_alloc(parser->arena, 1, sizeof *node->otherwise);
        return node->otherwise == NULL ? ERR_NOMEM
                                       : parse_control(parser, word, node->otherwise);
    }
    error = word != WORD_NONE ? complain(parser, "unexpected word after else")
                              : expect_close(parser);
    if (error == 0)
        error = parse_list(parser, &node->otherwise, &ended_by);
    if (error == 0 && ended_by != WORD_END)
        error = complain(parser, "expected {{end}}");
    return error != 0 ? error : expect_close(parser);
}

static int parse_control(struct parser *parser, enum word word, struct node *node)
{
    enum word ended_by;
    int error;

    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return complain(parser, "nested too deeply");
    node->kind = word == WORD_IF ? NODE_IF : word == WORD_RANGE ? NODE_RANGE : NODE_WITH;
    error = parse_pipeline(parser, &node->pipeline);
    if (error == 0)
        error = expect_close(parser);
    if (error == 0)
        error = parse_list(parser, &node->body, &ended_by);
    if (error == 0 && ended_by == WORD_NONE)
        error = complain(parser, "unexpected EOF: an if, range or with has no {{end}}");
    if (error == 0)
        error = ended_by == WORD_ELSE ? parse_else(parser, node) : expect_close(parser);
    parser->depth--;
    return error;
}

static int refuse_unsupported(const struct parser *parser)
{
    static const char *const words[] = {"define", "template", "block", "break", "continue"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(parser->at, words[i], strlen(words[i])) == 0 &&
            !is_name_char(parser->at[strlen(words[i])]))
            return complain_of(parser, "no support for", bytes_of(words[i]));
    return 0;
}

/* What stands between {{ and }}.  *ret_word says else or end, which belong to the caller. */
static int parse_action(struct parser *parser, struct node **ret_node, enum word *ret_word)
{
    struct node *node;
    int error;

    skip_spaces(parser);
    *ret_word = read_keyword(parser);
    if (*ret_word == WORD_ELSE || *ret_word == WORD_END)
        return 0;
    error = refuse_unsupported(parser);
    if (error != 0)
        return error;
    node = arena_alloc(parser->arena, 1, sizeof *node);
    if (node == NULL)
        return ERR_NOMEM;
    *ret_node = node;
    if (*ret_word != WORD_NONE)
        return parse_control(parser, *ret_word, node);
    node->kind = NODE_ACTION;
    error = parse_pipeline(parser, &node->pipeline);
    return error != 0 ? error : expect_close(parser);
}

static int skip_comment(struct parser *parser)
{
    const char *end = strstr(parser->at + 2, "*/");
    if (end == NULL)
        return complain(parser, "unclosed comment");
    parser->at = end + 2;
    return expect_close(parser);
}

/* The text before the next action, trimmed as the actions on both sides ask. */
static struct bytes read_text(struct parser *parser, bool *ret_more)
{
    const char *start = parser->at, *open = strstr(start, "{{");
    const char *end = open != NULL ? open : start + strlen(start);

    while (parser->trim_next && start < end && is_space(*start))
        start++;
    parser->trim_next = false;
    parser->at = end;
    *ret_more = open != NULL;
    if (open != NULL) {
        parser->at += 2;
        if (*parser->at == '-' && is_space(parser->at[1])) {
            parser->at++;
            while (end > start && is_space(end[-1]))
                end--;
            skip_spaces(parser);
        }
    }
    return (struct bytes){(const uint8_t *)start, (size_t)(end - start)};
}

static int add_text(struct parser *parser, struct bytes text, struct node ***end)
{
    struct node *node;
    if (text.size == 0)
        return 0;
    node = arena_alloc(parser->arena, 1, sizeof *node);
    if (node == NULL)
        return ERR_NOMEM;
    node->text = text;
    **end = node;
    *end = &node->next;
    return 0;
}

static int parse_list(struct parser *parser, struct node **ret_list, enum word *ret_ended_by)
{
    struct node **end = ret_list;
    *ret_ended_by = WORD_NONE;
    for (;;) {
        bool more;
        int error = add_text(parser, read_text(parser, &more), &end);
        if (error != 0 || !more)
            return error;
        if (strncmp(parser->at, "/*", 2) == 0) {
            error = skip_comment(parser);
            if (error != 0)
                return error;
            continue;
        }
        error = parse_action(parser, end, ret_ended_by);
        if (error != 0 || *ret_ended_by == WORD_ELSE || *ret_ended_by == WORD_END)
            return error;
        *ret_ended_by = WORD_NONE;
        end = &(*end)->next;
    }
}

int template_parse(const char *text, struct arena *arena, const struct template **ret_template,
                   struct diagnosis *why)
{
    struct parser parser = {.at = text, .text = text, .arena = arena, .why = why};
    struct template *template = arena_alloc(arena, 1, sizeof *template);
    enum word ended_by;
    int error;

    if (template == NULL)
        return ERR_NOMEM;
    if (strlen(text) > TEMPLATE_BYTES_MAX)
        return diagnose(why, ERR_LIMIT, "a template of more than %zu bytes",
                        TEMPLATE_BYTES_MAX);
    error = parse_list(&parser, &template->nodes, &ended_by);
    if (error == 0 && ended_by != WORD_NONE)
        error = complain(&parser, ended_by == WORD_END ? "unexpected {{end}}"
                                                       : "unexpected {{else}}");
    if (error == 0)
        *ret_template = template;
    return error;
}

int template_check(const char *text, struct diagnosis *why)
{
    const struct template *template;
    struct arena arena;
    int error;

    arena_init(&arena, (size_t)64 << 20);
    error = template_parse(text, &arena, &template, why);
    arena_reset(&arena);
    return error;
}
