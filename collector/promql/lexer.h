/*
 * lexer.h - PromQL text as tokens.
 *
 * Words are one kind of token; what a word means (keyword, function, metric, label) depends on
 * where it stands, and the parser decides.  Two places have tokens of their own: between '{' and
 * '}' there are names without colons, strings, commas and operators of matchers; between '[' and
 * ']' a colon stands alone, and the words are those of duration expressions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR, /* text is the message */
    TOKEN_WORD,
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING, /* with its quotes */
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ASSIGN, /* = */
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_EQUAL, /* == */
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_MATCHES,     /* =~ */
    TOKEN_NOT_MATCHES, /* !~ */
    TOKEN_TRIM_UPPER,  /* </ */
    TOKEN_TRIM_LOWER,  /* >/ */
};

struct token {
    enum token_kind kind;
    size_t at; /* offset in the text */
    struct bytes text;
};

#define LEXER_MESSAGE_BYTES 128

struct lexer {
    const char *text;
    size_t size, at;
    int braces;        /* inside { } */
    int brackets;      /* inside [ ]: a colon separates range and step */
    bool in_duration;  /* in brackets, before the first number */
    bool had_duration; /* in any brackets so far, as Prometheus asks */
    bool had_colon;    /* in these brackets */
    int parentheses;
    char message[LEXER_MESSAGE_BYTES]; /* of the last TOKEN_ERROR */
};

void lexer_init(struct lexer *lexer, const char *text);
struct token lexer_next(struct lexer *lexer);

/* Is the word this one, whatever the case? */
bool token_is_word(const struct token *token, const char *word);
/* Is it one of an array of them? */
#define TOKEN_IS_ONE_OF(token, words) \
    token_is_one_of(token, words, sizeof(words) / sizeof(words)[0])
bool token_is_one_of(const struct token *token, const char *const *words, size_t count);

/* Checks the escape whose backslash lies before `at`; returns its size, or 0 and what is wrong with
 * it. */
size_t string_escape(const uint8_t *at, const uint8_t *end, uint8_t quote,
                     char message[LEXER_MESSAGE_BYTES]);
/* Resolves the quotes and Go's escapes of a string token into `out`, which must hold the
 * token's size; returns the size. */
size_t string_unquote(struct bytes quoted, uint8_t *out);

/* A number token, or a duration token (then in seconds); false if it does not fit. */
bool number_parse(struct bytes text, double *ret_value);
/* Why a number token is none, in the words of Go's strconv. */
const char *number_fault(struct bytes text);
bool duration_token_parse(struct bytes text, int64_t *ret_ms);
/* Is it one, but more than 292 years? */
bool duration_token_is_too_long(struct bytes text);
/* The first unit of a duration token that is none; empty if all are. */
struct bytes duration_unknown_unit(struct bytes text);
