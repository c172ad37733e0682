/*
 * template_operand.c - operands, commands and pipelines of a template.
 *
 * Blanks matter in one place only: ".a .b" is two operands, ".a.b" one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

#define NUMBER_BYTES_MAX 64

/* ---- operands ---------------------------------------------------------------------------- */

static int escape_char(char c)
{
    static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    return found == NULL ? -1 : (unsigned char)values[found - names];
}

/* The digits after \x, \u, \U (hexadecimal) or of \123 (octal).  False: no such number. */
static bool read_digits(struct template_parser *parser, int count, unsigned base,
                        uint32_t *ret_code)
{
    uint32_t code = 0;
    for (int i = 0; i < count; i++, parser->at++) {
        const char c = *parser->at;
        const unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                               : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                      : 99;
        if (digit >= base)
            return false;
        code = code * base + digit;
    }
    *ret_code = code;
    return true;
}

/* Behind a backslash: up to 4 bytes; 0: no known escape.  Leaves the parser behind it. */
static size_t parse_escape(struct template_parser *parser, uint8_t out[4])
{
    static const struct {
        char letter;
        int count;
    } numbers[] = {{'x', 2}, {'u', 4}, {'U', 8}};
    const int plain = escape_char(*parser->at);
    uint32_t code;

    if (plain >= 0) {
        parser->at++;
        out[0] = (uint8_t)plain;
        return 1;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (*parser->at != numbers[i].letter)
            continue;
        parser->at++;
        if (!read_digits(parser, numbers[i].count, 16, &code))
            return 0;
        out[0] = (uint8_t)code;
        return i == 0 ? 1 : utf8_encode(code, out);
    }
    if (!read_digits(parser, 3, 8, &code) || code > 255)
        return 0;
    out[0] = (uint8_t)code;
    return 1;
}

static int parse_quoted(struct template_parser *parser, struct value *ret_value)
{
    uint8_t *copy = arena_alloc(parser->arena, strcspn(parser->at + 1, "\n") + 4, 1);
    size_t size = 0;

    if (copy == NULL)
        return ERR_NOMEM;
    for (parser->at++; *parser->at != '"';) {
        if (*parser->at == '\0' || *parser->at == '\n')
            return template_complain(parser, "unterminated quoted string");
        if (*parser->at == '\\') {
            size_t added;
            parser->at++;
            added = parse_escape(parser, copy + size);
            if (added == 0)
                return template_complain(parser, "unknown escape in a string");
            size += added;
        } else {
            copy[size++] = (uint8_t)*parser->at++;
        }
    }
    parser->at++;
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, size}};
    return 0;
}

static int parse_raw(struct template_parser *parser, struct value *ret_value)
{
    const char *start = parser->at + 1, *end = strchr(start, '`');
    if (end == NULL)
        return template_complain(parser, "unterminated raw quoted string");
    parser->at = end + 1;
    *ret_value = (struct value){.kind = VALUE_STRING,
                                .as.text = {(const uint8_t *)start, (size_t)(end - start)}};
    return 0;
}

int template_parse_string(struct template_parser *parser, struct value *ret_value)
{
    return *parser->at == '`' ? parse_raw(parser, ret_value) : parse_quoted(parser, ret_value);
}

/* 'x', a character's number. */
static int parse_character(struct template_parser *parser, struct value *ret_value)
{
    uint8_t bytes[4];
    uint32_t code;
    size_t size;

    parser->at++;
    if (*parser->at == '\\') {
        parser->at++;
        size = parse_escape(parser, bytes);
    } else {
        size = strcspn(parser->at, "'\n");
        size = size < 4 ? size : 4;
        memcpy(bytes, parser->at, size);
        parser->at += size;
    }
    if (*parser->at != '\'' || size == 0 || utf8_decode(bytes, bytes + size, &code) != size)
        return template_complain(parser, "malformed character constant");
    parser->at++;
    *ret_value = (struct value){.kind = VALUE_INTEGER, .as.integer = code};
    return 0;
}

/* The characters of a number, without the underscores that may group its digits. */
static bool copy_number(struct template_parser *parser, char text[NUMBER_BYTES_MAX])
{
    const char *start = parser->at;
    size_t size = 0;
    while (isalnum((unsigned char)*parser->at) || *parser->at == '_' || *parser->at == '.' ||
           ((*parser->at == '-' || *parser->at == '+') &&
            (parser->at == start || strchr("eEpP", parser->at[-1]) != NULL))) {
        if (size == NUMBER_BYTES_MAX - 1)
            return false;
        if (*parser->at != '_')
            text[size++] = *parser->at;
        parser->at++;
    }
    text[size] = '\0';
    return true;
}

/* 0b101 and 0o17 as strtoll() has them not. */
static int64_t read_integer(const char *text, char **ret_end)
{
    const bool negative = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+');
    const int base = digits[0] != '0'                       ? 0
                     : digits[1] == 'b' || digits[1] == 'B' ? 2
                     : digits[1] == 'o' || digits[1] == 'O' ? 8
                                                            : 0;
    int64_t number;
    if (base == 0)
        return strtoll(text, ret_end, 0);
    number = strtoll(digits + 2, ret_end, base);
    return negative ? -number : number;
}

static int parse_number(struct template_parser *parser, struct value *ret_value)
{
    char text[NUMBER_BYTES_MAX], *end_integer, *end_real;
    int64_t integer;
    double real;

    if (!copy_number(parser, text))
        return template_complain(parser, "bad number syntax");
    errno = 0;
    integer = read_integer(text, &end_integer);
    if (errno == 0 && *end_integer == '\0' && end_integer != text) {
        *ret_value = (struct value){.kind = VALUE_INTEGER, .as.integer = integer};
        return 0;
    }
    real = strtod(text, &end_real);
    if (*end_real != '\0' || end_real == text || strpbrk(text, "nN") != NULL)
        return template_complain(parser, "bad number syntax");
    *ret_value = (struct value){.kind = VALUE_FLOAT, .as.real = real};
    return 0;
}

/* .a.b.c directly after an operand (or alone after dot). */
static int parse_fields(struct template_parser *parser, struct operand *operand)
{
    struct bytes *fields = arena_alloc(parser->arena, TEMPLATE_DEPTH_MAX, sizeof *fields);
    if (fields == NULL)
        return ERR_NOMEM;
    while (*parser->at == '.') {
        parser->at++;
        if (operand->field_count == TEMPLATE_DEPTH_MAX)
            return template_complain(parser, "too many fields");
        fields[operand->field_count] = template_read_name(parser);
        if (fields[operand->field_count++].size == 0)
            return template_complain(parser, "expected a field name after '.'");
    }
    operand->fields = fields;
    return 0;
}

static int parse_word(struct template_parser *parser, struct operand *operand)
{
    char name[64];
    const char *near;
    struct bytes word = template_read_name(parser);

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
        return template_complain_of(parser, "there is no function", word);
    (void)snprintf(name, sizeof name, "(did you mean %s?) there is no function", near);
    return template_complain_of(parser, name, word);
}

static int parse_parenthesized(struct template_parser *parser, struct operand *operand)
{
    struct pipeline *inner = arena_alloc(parser->arena, 1, sizeof *inner);
    int error;

    if (inner == NULL)
        return ERR_NOMEM;
    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return template_complain(parser, "nested too deeply");
    parser->at++;
    error = template_parse_pipeline(parser, inner);
    if (error != 0)
        return error;
    if (*parser->at != ')')
        return template_complain(parser, "unclosed left paren");
    parser->at++;
    parser->depth--;
    operand->kind = OPERAND_PIPELINE;
    operand->pipeline = inner;
    return *parser->at == '.' ? parse_fields(parser, operand) : 0;
}

static bool is_declared(const struct template_parser *parser, struct bytes name)
{
    for (size_t i = 0; i < parser->variable_count; i++)
        if (bytes_equal(parser->variables[i], name))
            return true;
    return name.size == 0; /* $ is what the template was given */
}

static int parse_variable(struct template_parser *parser, struct operand *operand)
{
    parser->at++;
    operand->kind = OPERAND_VARIABLE;
    operand->variable = template_read_name(parser);
    if (!is_declared(parser, operand->variable))
        return template_complain_of(parser, "undefined variable", operand->variable);
    return *parser->at == '.' ? parse_fields(parser, operand) : 0;
}

int template_parse_operand(struct template_parser *parser, struct operand **ret_operand)
{
    struct operand *operand = arena_alloc(parser->arena, 1, sizeof *operand);
    char c = *parser->at;

    if (operand == NULL)
        return ERR_NOMEM;
    *ret_operand = operand;
    if (c == '"' || c == '`')
        return template_parse_string(parser, &operand->literal);
    if (c == '\'')
        return parse_character(parser, &operand->literal);
    if (c == '(')
        return parse_parenthesized(parser, operand);
    if (c == '$')
        return parse_variable(parser, operand);
    if (c == '.' && !isdigit((unsigned char)parser->at[1])) {
        operand->kind = OPERAND_DOT;
        if (template_is_name_char(parser->at[1]))
            return parse_fields(parser, operand);
        parser->at++;
        return 0;
    }
    if (isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.')
        return parse_number(parser, &operand->literal);
    if (template_is_name_char(c))
        return parse_word(parser, operand);
    return template_complain(parser, "unexpected character in an action");
}

/* ---- commands and pipelines -------------------------------------------------------------- */

static bool ends_command(const struct template_parser *parser)
{
    return *parser->at == '\0' || *parser->at == '|' || *parser->at == ')' ||
           template_at_close(parser);
}

static int parse_command(struct template_parser *parser, struct command **ret_command)
{
    struct command *command = arena_alloc(parser->arena, 1, sizeof *command);
    struct operand **end;

    if (command == NULL)
        return ERR_NOMEM;
    end = &command->operands;
    template_skip_spaces(parser);
    while (!ends_command(parser)) {
        int error = template_parse_operand(parser, end);
        if (error != 0)
            return error;
        if (!template_is_space(*parser->at) && !ends_command(parser))
            return template_complain(parser, "expected a blank between operands");
        end = &(*end)->next;
        template_skip_spaces(parser);
    }
    if (command->operands == NULL)
        return template_complain(parser, "missing value for command");
    if (command->operands->next != NULL && command->operands->kind != OPERAND_FUNCTION &&
        command->operands->field_count == 0)
        return template_complain(parser, "can't give argument to non-function");
    *ret_command = command;
    return 0;
}

/* "$a := ", "$a, $b := ", "$a = "; otherwise the parser stays where it is. */
static int parse_variables(struct template_parser *parser, struct pipeline *pipeline)
{
    const char *start = parser->at;
    for (size_t i = 0; i < 2 && *parser->at == '$'; i++) {
        parser->at++;
        pipeline->variables[i] = template_read_name(parser);
        template_skip_spaces(parser);
        if (strncmp(parser->at, ":=", 2) == 0 || *parser->at == '=') {
            pipeline->variable_count = i + 1;
            pipeline->declares = *parser->at == ':';
            parser->at += pipeline->declares ? 2 : 1;
            return pipeline->declares || i == 0
                       ? 0
                       : template_complain(parser, "only := declares two variables");
        }
        if (*parser->at != ',')
            break;
        parser->at++;
        template_skip_spaces(parser);
    }
    parser->at = start;
    return 0;
}

/* A variable is there from the end of the pipeline that declares it. */
static int declare(struct template_parser *parser, const struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->variable_count; i++) {
        if (!pipeline->declares && !is_declared(parser, pipeline->variables[i]))
            return template_complain_of(parser, "undefined variable", pipeline->variables[i]);
        if (!pipeline->declares)
            continue;
        if (parser->variable_count == TEMPLATE_VARIABLES_MAX)
            return template_complain(parser, "too many variables");
        parser->variables[parser->variable_count++] = pipeline->variables[i];
    }
    return 0;
}

int template_parse_pipeline(struct template_parser *parser, struct pipeline *pipeline)
{
    struct command **end = &pipeline->commands;
    int error;

    template_skip_spaces(parser);
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
        if ((after->next->operands->kind == OPERAND_LITERAL ||
             after->next->operands->kind == OPERAND_DOT) &&
            after->next->operands->field_count == 0)
            return template_complain(parser, "non executable command in pipeline");
    return error == 0 ? declare(parser, pipeline) : error;
}
