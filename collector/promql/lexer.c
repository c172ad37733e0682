/*
 * lexer.c - one token at a time, at most one character of lookahead.
 *
 * Words as in Prometheus: [a-zA-Z_:][a-zA-Z0-9_:]*, without colons in braces and brackets.  What
 * is no token is told in Prometheus's words, which depend on where it stands: in braces; in
 * brackets before the first number, and behind it; elsewhere.
 */
#include "collector/promql/lexer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "collector/series/labels.h"
#include "proto/base/buf.h"
#include "proto/base/utf8.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void lexer_init(struct lexer *lexer, const char *text)
{
    *lexer = (struct lexer){.text = text, .size = strlen(text)};
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    return lexer->at + ahead < lexer->size ? lexer->text[lexer->at + ahead] : '\0';
}

static struct token token_of(const struct lexer *lexer, enum token_kind kind, size_t from)
{
    return (struct token){kind, from, {(const uint8_t *)lexer->text + from, lexer->at - from}};
}

static struct token token_error(struct lexer *lexer, size_t from, const char *message)
{
    if (message != lexer->message)
        (void)snprintf(lexer->message, sizeof lexer->message, "%s", message);
    lexer->at = lexer->size; /* nothing after an error makes sense */
    return (struct token){TOKEN_ERROR, from, bytes_of(lexer->message)};
}

static void skip_space(struct lexer *lexer)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == '#')
            while (lexer->at < lexer->size && peek(lexer, 0) != '\n')
                lexer->at++;
        else if (lexer->at < lexer->size && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            lexer->at++;
        else
            return;
    }
}

static bool skip_one_of(struct lexer *lexer, const char *set)
{
    if (peek(lexer, 0) == '\0' || strchr(set, peek(lexer, 0)) == NULL)
        return false;
    lexer->at++;
    return true;
}

static bool is_at_end(const struct lexer *lexer)
{
    return lexer->at >= lexer->size;
}

/* After a digit: ".", an exponent with its sign, "_" or more digits.  False if what stands there can
 * go on no number; it is passed by. */
static bool skip_number_part(struct lexer *lexer, const char *digits, bool *had_point,
                             bool *had_exponent)
{
    if (skip_one_of(lexer, ".")) {
        bool is_second = *had_point;
        *had_point = true;
        return !is_second && !skip_one_of(lexer, "_.") && strlen(digits) == 10;
    }
    if (skip_one_of(lexer, "eE")) { /* of hexadecimals, too: 0x1e5 is read on, 0x1ee is not */
        bool is_second = *had_exponent;
        *had_exponent = true;
        if (is_second)
            return false;
        (void)skip_one_of(lexer, "+-");
        return !skip_one_of(lexer, "._eE") && !is_at_end(lexer);
    }
    if (skip_one_of(lexer, "_"))
        return !skip_one_of(lexer, "._eE") && !is_at_end(lexer);
    while (skip_one_of(lexer, digits))
        ;
    return true;
}

/* "12.5e3", ".5", "0x1F"; the first character is known to begin a number.  What it takes for one
 * need be none ("1e" before a space): that is found when it is read.  False: no number, and all
 * that was looked at is passed by. */
static bool skip_number(struct lexer *lexer)
{
    const char *digits = "0123456789";
    bool had_point = false;
    bool had_exponent = false;
    if (skip_one_of(lexer, "0") && skip_one_of(lexer, "xX")) {
        (void)skip_one_of(lexer, "_");
        digits = "0123456789abcdefABCDEF";
    }
    (void)skip_one_of(lexer, ".");
    (void)skip_one_of(lexer, digits);
    while (!is_at_end(lexer) && (strchr(digits, peek(lexer, 0)) != NULL ||
                                 strchr("._eE", peek(lexer, 0)) != NULL)) {
        if (!skip_number_part(lexer, digits, &had_point, &had_exponent))
            return false;
    }
    return !is_letter(peek(lexer, 0)) && !is_digit(peek(lexer, 0));
}

/* After a number: "m", "h30m", ...  Units that are none, as hs, are found when it is read.  False if no
 * duration stands here; then all that was looked at is passed by. */
static bool skip_duration_rest(struct lexer *lexer)
{
    if (!skip_one_of(lexer, "smhdwy"))
        return false;
    (void)skip_one_of(lexer, "s");
    while (is_digit(peek(lexer, 0))) {
        while (is_digit(peek(lexer, 0)))
            lexer->at++;
        if (!skip_one_of(lexer, "smhdw"))
            return false;
        (void)skip_one_of(lexer, "s");
    }
    if (!is_letter(peek(lexer, 0)))
        return true;
    lexer->at++;
    return false;
}

static struct token lex_number(struct lexer *lexer)
{
    size_t from = lexer->at;
    lexer->had_duration = lexer->had_duration || lexer->brackets > 0;
    lexer->in_duration = false;
    if (skip_number(lexer))
        return token_of(lexer, TOKEN_NUMBER, from);
    if (skip_duration_rest(lexer))
        return token_of(lexer, TOKEN_DURATION, from);
    (void)snprintf(lexer->message, sizeof lexer->message,
                   "bad number or duration syntax: \"%.*s\"",
                   lexer->at - from > 80 ? 80 : (int)(lexer->at - from), lexer->text + from);
    return token_error(lexer, from, lexer->message);
}

static struct token lex_string(struct lexer *lexer)
{
    size_t from = lexer->at;
    char quote = lexer->text[lexer->at++];
    for (;;) {
        if (lexer->at >= lexer->size)
            return token_error(lexer, from,
                               quote == '`' ? "unterminated raw string"
                                            : "unterminated quoted string");
        char c = lexer->text[lexer->at++];
        if (c == quote)
            return token_of(lexer, TOKEN_STRING, from);
        if (quote == '`')
            continue;
        if (c == '\n')
            return token_error(lexer, from, "unterminated quoted string");
        if (c != '\\')
            continue;
        const uint8_t *text = (const uint8_t *)lexer->text;
        size_t size = string_escape(text + lexer->at, text + lexer->size, (uint8_t)quote,
                                    lexer->message);
        if (size == 0)
            return token_error(lexer, from, lexer->message);
        lexer->at += size;
    }
}

static struct token lex_word(struct lexer *lexer)
{
    size_t from = lexer->at;
    bool colons = lexer->braces == 0 && lexer->brackets == 0;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)) ||
           (colons && peek(lexer, 0) == ':'))
        lexer->at++;
    return token_of(lexer, TOKEN_WORD, from);
}

/* Go's %q of the character at `place`, which a token that began at `from` cannot have; of the end
 * and of what is no UTF-8 it is that of U+FFFD. */
static struct token unexpected_character(struct lexer *lexer, size_t from, size_t place,
                                         const char *what, const char *expected)
{
    uint32_t code = 0;
    const uint8_t *at = (const uint8_t *)lexer->text + place;
    const uint8_t *end = (const uint8_t *)lexer->text + lexer->size;
    size_t size = at < end ? utf8_decode(at, end, &code) : 0;
    struct bytes text = size > 0 ? (struct bytes){at, size} : bytes_of("\xef\xbf\xbd");
    struct buf quoted = {0};
    if (code == '\'' || code == '"') /* the one is escaped between these quotes, not the other */
        buf_put_text(&quoted, code == '"' ? "'\"'" : "'\\''");
    else
        text_quote(text, &quoted);
    (void)snprintf(lexer->message, sizeof lexer->message, "unexpected %s '%.*s'%s", what,
                   quoted.size < 2 ? 0 : (int)quoted.size - 2, buf_text(&quoted) + 1, expected);
    buf_done(&quoted);
    return token_error(lexer, from, lexer->message);
}

static struct token count_bracket(struct lexer *lexer, enum token_kind kind, size_t from)
{
    lexer->braces += (kind == TOKEN_LEFT_BRACE) - (kind == TOKEN_RIGHT_BRACE);
    lexer->brackets += (kind == TOKEN_LEFT_BRACKET) - (kind == TOKEN_RIGHT_BRACKET);
    lexer->parentheses += (kind == TOKEN_LEFT_PAREN) - (kind == TOKEN_RIGHT_PAREN);
    if (lexer->parentheses < 0) /* Prometheus's lexer has passed it by then */
        return token_error(lexer, from + 1, "unexpected right parenthesis ')'");
    if (lexer->brackets < 0)
        return token_error(lexer, from, "unexpected right bracket ']'");
    if (lexer->brackets > 1)
        return token_error(lexer, from, "unexpected left bracket '['");
    if (lexer->braces < 0)
        return token_error(lexer, from, "unexpected character: '}'");
    if (kind == TOKEN_LEFT_BRACKET) {
        lexer->in_duration = true;
        lexer->had_colon = false;
    }
    if (kind == TOKEN_RIGHT_BRACKET)
        lexer->in_duration = false;
    return token_of(lexer, kind, from);
}

static struct token lex_operator(struct lexer *lexer)
{
    static const struct {
        const char *text;
        enum token_kind kind;
    } operators[] = {
        /* longer ones first */
        {"==", TOKEN_EQUAL},        {"!=", TOKEN_NOT_EQUAL},
        {"<=", TOKEN_LESS_EQUAL},   {">=", TOKEN_GREATER_EQUAL},
        {"</", TOKEN_TRIM_UPPER},   {">/", TOKEN_TRIM_LOWER},
        {"<", TOKEN_LESS},          {">", TOKEN_GREATER},
        {"=", TOKEN_ASSIGN},        {"(", TOKEN_LEFT_PAREN},
        {")", TOKEN_RIGHT_PAREN},   {"{", TOKEN_LEFT_BRACE},
        {"}", TOKEN_RIGHT_BRACE},   {"[", TOKEN_LEFT_BRACKET},
        {"]", TOKEN_RIGHT_BRACKET}, {",", TOKEN_COMMA},
        {"@", TOKEN_AT},
        {"+", TOKEN_ADD},           {"-", TOKEN_SUB},
        {"*", TOKEN_MUL},           {"/", TOKEN_DIV},
        {"%", TOKEN_MOD},           {"^", TOKEN_POW},
    };
    size_t from = lexer->at;
    if (peek(lexer, 0) == '=' && peek(lexer, 1) == '~')
        return unexpected_character(lexer, from, from + 1, "character after '=':", "");
    if (peek(lexer, 0) == '!' && peek(lexer, 1) != '=')
        return unexpected_character(lexer, from, from + 1, "character after '!':", "");
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t size = strlen(operators[i].text);
        if (strncmp(lexer->text + from, operators[i].text, size) != 0)
            continue;
        lexer->at += size;
        return count_bracket(lexer, operators[i].kind, from);
    }
    return unexpected_character(lexer, from, from, "character:", "");
}

/* In braces there are names, strings, commas and the operators of matchers. */
static struct token lex_in_braces(struct lexer *lexer)
{
    size_t from = lexer->at;
    bool has_tilde = peek(lexer, 1) == '~';
    switch (peek(lexer, 0)) {
    case ',':
        lexer->at++;
        return token_of(lexer, TOKEN_COMMA, from);
    case '}':
        lexer->at++;
        return count_bracket(lexer, TOKEN_RIGHT_BRACE, from);
    case '{':
        return unexpected_character(lexer, from, from, "left brace", "");
    case '=':
        lexer->at += has_tilde ? 2 : 1;
        return token_of(lexer, has_tilde ? TOKEN_MATCHES : TOKEN_ASSIGN, from);
    case '!':
        if (!has_tilde && peek(lexer, 1) != '=')
            break;
        lexer->at += 2;
        return token_of(lexer, has_tilde ? TOKEN_NOT_MATCHES : TOKEN_NOT_EQUAL, from);
    default:
        return unexpected_character(lexer, from, from, "character inside braces:", "");
    }
    return unexpected_character(lexer, from, from + 1, "character after '!' inside braces:", "");
}

static struct token lex_colon(struct lexer *lexer)
{
    size_t from = lexer->at;
    if (lexer->had_colon && !lexer->in_duration)
        return unexpected_character(lexer, from, from, "colon", "");
    lexer->at++;
    if (!lexer->had_duration)
        return token_error(lexer, from + 1,
                           "unexpected colon before duration in duration expression");
    if (lexer->had_colon)
        return token_error(lexer, from + 1,
                           "unexpected repeated colon in duration expression");
    lexer->had_colon = true;
    return token_of(lexer, TOKEN_COLON, from);
}

/* The words of duration expressions; a number ends what Prometheus's lexer takes for one. */
static struct token lex_duration_word(struct lexer *lexer)
{
    static const char *const words[] = {"step", "range", "min_of", "max_of", "min", "max"};
    size_t from = lexer->at;
    struct token token = lex_word(lexer);
    if (TOKEN_IS_ONE_OF(&token, words))
        return token;
    return lexer->in_duration
               ? unexpected_character(lexer, from, from, "character in duration expression:", "")
               : unexpected_character(lexer, from, from, "character:", ", expected ':'");
}

/* What was opened must have been closed; Prometheus's lexer complains in this order. */
static struct token lex_end(struct lexer *lexer)
{
    if (lexer->braces > 0)
        return token_error(lexer, lexer->at, "unexpected end of input inside braces");
    if (lexer->in_duration)
        return token_error(lexer, lexer->at, "unexpected end of input in duration expression");
    if (lexer->parentheses > 0)
        return token_error(lexer, lexer->at, "unclosed left parenthesis");
    if (lexer->brackets > 0)
        return token_error(lexer, lexer->at, "unclosed left bracket");
    return token_of(lexer, TOKEN_END, lexer->at);
}

struct token lexer_next(struct lexer *lexer)
{
    skip_space(lexer);
    char c = peek(lexer, 0);
    if (lexer->at >= lexer->size)
        return lex_end(lexer);
    bool is_quote = c == '"' || c == '\'' || c == '`';
    bool is_number = is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)));
    if (lexer->in_duration && !is_letter(c) && !is_number && strchr("]:()+-*/%^,", c) == NULL)
        return unexpected_character(lexer, lexer->at, lexer->at,
                                    "character in duration expression:", "");
    if (is_quote)
        return lex_string(lexer);
    if (is_letter(c) && lexer->brackets > 0 && lexer->braces == 0)
        return lex_duration_word(lexer);
    if (is_letter(c) || (c == ':' && lexer->brackets == 0 && lexer->braces == 0))
        return lex_word(lexer);
    if (lexer->braces > 0)
        return lex_in_braces(lexer);
    if (c == ':')
        return lex_colon(lexer);
    if (is_number)
        return lex_number(lexer);
    return lex_operator(lexer);
}

bool token_is_word(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && token->text.size == strlen(word) &&
           strncasecmp((const char *)token->text.data, word, token->text.size) == 0;
}

bool token_is_one_of(const struct token *token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_is_word(token, words[i]))
            return true;
    return false;
}
