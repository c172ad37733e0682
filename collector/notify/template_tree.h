/*
 * template_tree.h - the parsed form of a template, between the template_*.c files.
 *
 *     list      text and actions, in order
 *     pipeline  [$a[, $b] :=] command { "|" command }
 *     command   operand { " " operand }           the first may be a function or a method
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
    struct command *commands; /* NULL: {{ template "x" }} without data */
};

enum node_kind { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_RANGE, NODE_WITH, NODE_TEMPLATE,
                 NODE_BREAK, NODE_CONTINUE };

struct node {
    enum node_kind kind;
    struct bytes text; /* NODE_TEMPLATE: the name */
    struct pipeline pipeline;
    struct node *body, *otherwise;
    struct node *next;
};

/* A named template. */
struct named_template {
    struct bytes name;
    struct node *nodes;
    struct named_template *next;
};

struct template_set {
    struct arena *arena;
    struct named_template *first;
};

struct template {
    struct node *nodes;
    struct named_template *own; /* defined in the same text */
    const struct template_set *set;
};

/* NULL if there is none. */
const struct named_template *template_definition(const struct template *template,
                                             struct bytes name);

/* ---- parsing, between template_parse.c and template_operand.c */

#define TEMPLATE_VARIABLES_MAX 64

struct template_parser {
    const char *at;
    const char *text;
    const char *name; /* of the file; NULL: none */
    struct arena *arena;
    struct diagnosis *why;
    struct named_template **definitions;
    struct bytes variables[TEMPLATE_VARIABLES_MAX]; /* declared so far; scopes take them back */
    size_t variable_count;
    unsigned depth, range_depth;
    bool trim_next; /* the action before ended in -}} */
};

/* ERR_INVALID with the line. */
int template_complain(const struct template_parser *parser, const char *what);
int template_complain_of(const struct template_parser *parser, const char *what,
                         struct bytes name);
bool template_is_space(char c);
bool template_is_name_char(char c);
void template_skip_spaces(struct template_parser *parser);
/* May be empty. */
struct bytes template_read_name(struct template_parser *parser);
/* At "}}" or " -}}"? */
bool template_at_close(const struct template_parser *parser);
/* "text" or `text`. */
int template_parse_string(struct template_parser *parser, struct value *ret_value);
int template_parse_pipeline(struct template_parser *parser, struct pipeline *pipeline);
int template_parse_operand(struct template_parser *parser, struct operand **ret_operand);

/* ---- running */

struct run; /* template_run.c */

/* One run: where the functions get memory and leave their reason. */
struct template_machine {
    struct arena *arena;
    struct buf *out;
    struct diagnosis *why;
    const struct template_environment *environment; /* never NULL */
    struct run *run;
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

/* The text of a named template over `data`. */
int template_run_named(struct template_machine *machine, struct bytes name, struct value data,
                       struct buf *out);

/* ---- values (template_value.c) */

/* As {{ value }} prints it. */
void template_value_print(const struct value *value, struct buf *out);
bool template_value_is_true(const struct value *value);
/* A field or key: nil kind if a map has none; false if the value has no fields at all. */
bool template_value_field(const struct value *value, struct bytes name, struct value *ret_value);
/* Numbers, durations (seconds), and strings that read as one (Go's ParseFloat). */
bool template_value_to_number(const struct value *value, double *ret_number);
const char *template_value_kind_name(enum value_kind kind);
/* The text of a value in the arena. */
int template_value_to_text(struct template_machine *machine, const struct value *value,
                  struct bytes *ret_text);
/* What `scratch` holds, copied to the arena as a text; scratch is done with. */
int template_value_keep(struct template_machine *machine, struct buf *scratch,
                        struct value *ret_value);
struct value template_value_of_bool(bool truth);

/* ---- methods (template_method.c) */

/* Calls the method of this name with arguments: 0, ERR_NOTFOUND if the value has none. */
int template_method(struct template_machine *machine, const struct value *value,
                    struct bytes name, const struct value *arguments, size_t count,
                    struct value *ret_value);

/* ---- times (template_time.c) */

/* Go's layouts: "2006-01-02 15:04:05". */
void template_time_format(const struct value *time, struct bytes layout, struct buf *out);
/* As {{ time }} prints it: "2006-01-02 15:04:05.999999999 -0700 MST". */
void template_time_print(const struct value *time, struct buf *out);
/* "1h2m3.5s". */
void template_duration_print(int64_t duration_ms, struct buf *out);

/* ---- functions in files of their own */
typedef int template_call(struct template_machine *machine, const struct value *arguments,
                          size_t count, struct value *ret_value);
/* template_logic.c */
template_call template_last, template_not, template_equal, template_not_equal, template_less,
    template_at_most, template_greater, template_at_least, template_length, template_index,
    template_slice;
/* template_printf.c */
template_call template_printf;
/* template_regex.c */
template_call template_match, template_replace;
/* template_humanize.c */
template_call template_humanize, template_humanize_1024, template_humanize_duration,
    template_humanize_percentage, template_humanize_timestamp;
/* template_query.c */
template_call template_query_call, template_first, template_value_of_sample, template_label,
    template_string_value, template_sort_by_label, template_graph_link, template_table_link,
    template_args, template_tmpl, template_path_prefix, template_external_url;
/* template_time.c */
template_call template_to_time, template_parse_duration, template_to_duration, template_now,
    template_date, template_tz, template_since;
/* template_escape.c */
template_call template_safe_html, template_safe_url, template_html, template_js,
    template_url_query, template_url_unescape, template_to_json;

/* A value as an action of a page prints it: markup as it is, all else escaped. */
void template_escape_print(const struct value *value, struct buf *out);
