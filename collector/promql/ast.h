/*
 * ast.h - a parsed expression: nodes in one arena, immutable once checked.
 *
 * Nodes carry ids 0..count-1, by which a plan (plan.h) keeps what depends on the query's times:
 * so one expression serves many queries at the same time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/promql/engine.h"
#include "collector/promql/lexer.h"

struct function;
struct aggregation;

enum node_kind {
    NODE_NUMBER, /* a duration literal too, then in seconds */
    NODE_STRING,
    NODE_SELECTOR, /* name{...} */
    NODE_MATRIX,   /* first[range] */
    NODE_SUBQUERY, /* first[range:step] */
    NODE_CALL,
    NODE_AGGREGATE, /* op by (labels) (second, first) */
    NODE_BINARY,
    NODE_UNARY,
    NODE_PAREN,
};

enum operator_kind {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_AND,
    OP_OR,
    OP_UNLESS,
    OP_TRIM_UPPER,
    OP_TRIM_LOWER
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

enum cardinality { ONE_TO_ONE, MANY_TO_ONE, ONE_TO_MANY, MANY_TO_MANY };

struct names {
    struct bytes *items;
    size_t count;
};

/* How the two sides of a binary operator find each other. */
struct matching {
    bool present; /* on() or ignoring() was written */
    bool on;
    enum cardinality cardinality;
    struct names labels;
    struct names include; /* of group_left / group_right */
    bool fills_left, fills_right;
    bool fills_alike; /* by one fill() */
    double fill_left, fill_right;
};

struct node {
    enum node_kind kind;
    enum promql_type type;
    unsigned id;
    size_t at, until; /* place in the text */

    struct node *first,
        *second;       /* operands, inner expression; aggregate: expression, parameter */
    struct node *next; /* next argument of a call */

    double number;
    bool is_duration; /* number: written as a duration */
    struct bytes string;

    /* selector */
    struct bytes name; /* the metric name, if written before or alone in the braces */
    bool name_quoted;
    struct matcher **matchers;
    size_t matcher_count;

    /* selector, subquery */
    enum at_kind at_modifier;
    int64_t at_ms;
    struct node *offset; /* duration expression, or NULL */
    bool anchored, smoothed;

    /* matrix, subquery */
    struct node *range, *step; /* duration expressions; step may be NULL */

    /* call: arguments from `first` on, by next */
    const struct function *function;
    size_t argument_count;

    /* aggregate */
    const struct aggregation *aggregation;
    struct names grouping;
    bool without;
    bool grouped; /* by or without was written */

    /* binary, unary */
    enum operator_kind operation;
    size_t operator_at; /* binary: its place in the text */
    bool returns_bool;
    struct matching matching;
};

struct promql_expression {
    struct arena arena;
    const char *text; /* a copy */
    struct node *root;
    unsigned node_count;
    struct matcher **matchers; /* all of them, to be freed */
    size_t matcher_count, matcher_capacity;
};

static inline bool operator_is_comparison(enum operator_kind operation)
{
    return operation >= OP_EQUAL && operation <= OP_GREATER_EQUAL;
}

static inline bool operator_is_set(enum operator_kind operation)
{
    return operation >= OP_AND && operation <= OP_UNLESS;
}

/* What Go's time.Duration has room for. */
#define DURATION_SECONDS_MAX 9223372036.8547764

const char *operator_text(enum operator_kind operation);
/* "scalar", "instant vector", "range vector", "string". */
const char *promql_type_text(enum promql_type type);
/* Canonical text of one part; what promql_expression_print() gives of the whole. */
void node_print(const struct node *node, struct buf *out);
/* The same, and where in it each part of the expression stands, at the part's id: room for
 * node_count of them.  Durations and a range's selector are no parts of their own. */
struct node_span {
    size_t at, until;
};
void node_print_spans(const struct node *node, struct buf *out, struct node_span *spans);
/* Whole milliseconds of a range, step or offset that is a NODE_NUMBER. */
int64_t duration_literal_ms(const struct node *number);
/* Past any parentheses. */
const struct node *node_unwrap(const struct node *node);

/* Of a node's operands, or a call's arguments, the one behind `child`; the first is node->first. */
static inline const struct node *node_after(const struct node *node, const struct node *child)
{
    if (node->kind == NODE_CALL)
        return child->next;
    return child == node->first ? node->second : NULL;
}
