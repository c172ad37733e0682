/*
 * template_tree.h - the parsed form of a template, between the template_*.c files.
 *
 *     list      text and actions, in order
 *     pipeline  [$a[, $b] :=] command { "|" command }
 *     command   operand { " " operand }           the first may be a function's name
 *     operand   literal, .field chain, $variable chain, (pipeline) chain, function
 */
#pragma once

#include "collector/notify/template.h"

enum operand_kind { OPERAND_LITERAL, OPERAND_DOT, OPERAND_VARIABLE, OPERAND_FUNCTION,
                    OPERAND_PIPELINE };

struct pipeline;
struct template_function;

struct operand {
    enum operand_kind kind;
    struct value literal;
    struct bytes variable;
    const struct template_function *function;
    const struct pipeline *pipeline;
    const struct bytes *fields; /* .a.b after it */
    size_t field_count;
    struct operand *next;
};

struct command {
    struct operand *operands; /* at least one */
    struct command *next;
};

struct pipeline {
    struct bytes variables[2];
    size_t variable_count;
    bool declares; /* := rather than = */
    struct command *commands;
};

enum node_kind { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_RANGE, NODE_WITH };

struct node {
    enum node_kind kind;
    struct bytes text;
    struct pipeline pipeline;
    struct node *body, *otherwise;
    struct node *next;
};

struct template {
    struct node *nodes;
};

/* One run: where the functions get memory and leave their reason. */
struct template_machine {
    struct arena *arena;
    struct buf *out;
    struct diagnosis *why;
    unsigned steps_left;
};

struct template_function {
    const char *name;
    unsigned least, most; /* arguments */
    int (*call)(struct template_machine *machine, const struct value *arguments, size_t count,
                struct value *ret_value);
    const char *help;
};

/* NULL if there is none. */
const struct template_function *template_function_find(struct bytes name);
/* The nearest name, for messages; may be NULL. */
const char *template_function_near(const char *name);

/* ---- values (template_value.c) */

/* As {{ value }} prints it. */
void template_value_print(const struct value *value, struct buf *out);
bool template_value_is_true(const struct value *value);
/* A field or key: nil kind if a map has none; false if the value has no fields at all. */
bool template_value_field(const struct value *value, struct bytes name, struct value *ret_value);
/* Numbers, and strings that read as one (Go's ParseFloat). */
bool template_value_to_number(const struct value *value, double *ret_number);
const char *template_value_kind_name(enum value_kind kind);
/* The text of a value in the arena. */
int template_value_to_text(struct template_machine *machine, const struct value *value,
                  struct bytes *ret_text);

/* ---- functions in files of their own */
typedef int template_call(struct template_machine *machine, const struct value *arguments,
                          size_t count, struct value *ret_value);
template_call template_printf, template_match, template_replace; /* template_logic.c, template_regex.c */
template_call template_last;
template_call template_not;
template_call template_equal;
template_call template_not_equal;
template_call template_less;
template_call template_at_most;
template_call template_greater;
template_call template_at_least;
template_call template_length;
template_call template_index;
