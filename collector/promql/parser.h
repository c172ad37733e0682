/*
 * parser.h - what the parser's files share; engine.h has the public calls.
 *
 *     parser_core.c       the place in the text, messages, the operators
 *     parser.c            binary, unary and primary expressions, calls, aggregations
 *     parser_selector.c   selectors, ranges, offset and @
 *     parser_duration.c   durations and arithmetic on them
 *     check.c             types, once the tree is whole
 *
 * Errors: the first one stands, with its place; every parse function then returns NULL or false
 * and its callers unwind.
 */
#pragma once

#include "collector/promql/ast.h"
#include "proto/base/error.h"

#define QUERY_BYTES_MAX       ((size_t)256 << 10)
#define EXPRESSION_BYTES_MAX  ((size_t)64 << 20)
#define EXPRESSION_DEPTH_MAX  500
#define EXPRESSION_HEIGHT_MAX 1000 /* nodes from the root to a leaf */

/* Where what is unexpected stands, in Prometheus's words. */
#define CONTEXT_AGGREGATION "aggregation"
#define CONTEXT_LABELS      "label matching"

/* Of the duration at hand. */
struct duration_place {
    const char *context, *expected;
};

struct parser {
    struct lexer lexer;
    struct token token, ahead;
    struct promql_expression *expression;
    struct promql_error *error;
    int code; /* 0, or why parsing stopped */
    int depth;
    int aggregations; /* that have begun and not ended */
    const struct duration_place *duration_place;
};

void parser_init(struct parser *parser, struct promql_expression *expression,
                 struct promql_error *error);
void parser_advance(struct parser *parser);
bool parser_at(const struct parser *parser, enum token_kind kind);
bool parser_at_word(const struct parser *parser, const char *word);

/* A message (printf format) at a place of the text.  Always returns false. */
bool parser_fail(struct parser *parser, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "unexpected TOKEN in CONTEXT, expected EXPECTED"; both may be "".  An aggregation around it is the
 * context of what has none. */
bool parser_unexpected(struct parser *parser, const char *context, const char *expected);
bool parser_out_of_memory(struct parser *parser);
/* The number or duration at hand is none.  Always returns false. */
bool parser_bad_number(struct parser *parser);
/* Takes the token if it is of this kind, or complains. */
bool parser_expect(struct parser *parser, enum token_kind kind, const char *context,
                   const char *expected);

struct node *parser_node(struct parser *parser, enum node_kind kind, enum promql_type type,
                         size_t at);
bool parser_string(struct parser *parser, const struct token *token, struct bytes *ret_text);
bool names_add(struct parser *parser, struct names *names, struct bytes name);

#define PRECEDENCE_UNARY 6

struct operator_row {
    enum operator_kind operation;
    enum token_kind kind; /* TOKEN_WORD: by text */
    const char *text;
    int precedence; /* higher binds tighter */
};

/* The binary operator that a token is, or NULL. */
const struct operator_row *operator_of_token(const struct token *token);

struct node *parse_expression(struct parser *parser);
struct node *parse_selector(struct parser *parser);
/* offset, @, [range], [range:step], as many as follow. */
struct node *parse_modifiers(struct parser *parser, struct node *node);
/* In brackets: with arithmetic; after offset: one operand.  `place`, which lives on, is for messages. */
struct node *parse_duration(struct parser *parser, const struct duration_place *place);
struct node *parse_duration_operand(struct parser *parser, const struct duration_place *place);

/* No path from `node`, itself `height` nodes from the root, is longer than
 * EXPRESSION_HEIGHT_MAX; to be asked before anything else walks the tree. */
bool check_height(struct parser *parser, const struct node *node, int height);

/* Types, arities, matchers: everything that can be known before the query runs. */
bool check_expression(struct parser *parser, const struct node *node);
