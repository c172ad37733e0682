/*
 * engine.h - PromQL: text in, values out.
 *
 *     parse (parser.h) -> typed plan (plan.h) -> evaluate column-wise over the step grid
 * (eval.h)
 *
 * Exact Prometheus 3 semantics for float samples (windows open on the left, lookback 5 m,
 * StaleNaN by bits).  Knows no HTTP: formatting results is collector/http's job.
 *
 * Threads   An engine is immutable; any thread may run queries with it at the same time.  A
 * query runs on the calling thread. Memory    Results live in the query's arena until
 * promql_result_done().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "proto/base/arena.h"
#include "proto/base/diagnosis.h"

struct promql_options {
    int64_t lookback_ms;     /* 5 m */
    int64_t default_step_ms; /* of subqueries: the global evaluation interval */
    uint64_t max_samples;    /* a query may decode; 50 million */
    size_t max_memory_bytes; /* a query's arena; 1 GiB */
    /* What all queries may hold together, or the part of it of one whose answer counts, too; NULL: no
     * such limit. */
    struct arena_total *total;
    struct crew *crew; /* helps with many series; NULL: the caller's thread does all */
    bool delayed_name_removal;
    bool experimental; /* experimental functions and modifiers */
};

enum promql_type { PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };

/* What went wrong, as the HTTP API tells it apart. */
enum promql_failure {
    PROMQL_OK,
    PROMQL_BAD_DATA,
    PROMQL_EXECUTION,
    PROMQL_TIMEOUT,
    PROMQL_CANCELLED,
    PROMQL_INTERNAL
};

struct promql_error {
    enum promql_failure failure;
    unsigned line, column;  /* of a parse error, from 1; else 0 */
    struct diagnosis why;   /* without the position prefix */
    bool is_empty_selector; /* no matcher that does not match "" */
};

struct promql_query {
    const char *text;
    int64_t start_ms, end_ms; /* equal for an instant query */
    int64_t step_ms;          /* 0 for an instant query */
    int64_t lookback_ms;      /* 0: the engine's */
    int64_t deadline_mono_ns; /* 0: none (struct clock's mono) */
    volatile bool *cancelled; /* set by another thread; may be NULL */
    bool wants_steps;         /* result.looked_at_by_step */
    bool wants_profile;       /* result.profile */
};

/* What one part of an expression cost, its operands included.  Parts that never ran (what an
 * operand made needless, a selector under its range) are not told of. */
struct promql_profile {
    const char *text; /* canonical */
    unsigned depth;   /* 0: the whole; operands follow what they are operands of, one deeper */
    uint64_t steps;   /* it was worked out for; 1 where it is the same at every step */
    uint64_t series;  /* it gave */
    uint64_t samples, chunks;  /* read from the store; 0 if another part had read the same */
    int64_t nanoseconds, own_nanoseconds; /* all of it, and without its operands */
};

struct promql_annotations {
    const char *const *warnings;
    size_t warning_count;
    const char *const *infos;
    size_t info_count;
};

struct promql_result {
    enum promql_type type;
    struct series_samples *series; /* VECTOR: one sample each; MATRIX; SCALAR: one, no labels */
    size_t series_count;
    struct bytes string; /* STRING */
    int64_t string_ms;
    struct promql_annotations annotations;
    struct query_budget spent;
    uint64_t looked_at;          /* samples that selectors and ranges gave, over all steps */
    uint64_t *looked_at_by_step; /* if asked for: one a step, from start_ms on */
    struct promql_profile *profile; /* if asked for: in the order of the plan */
    size_t profile_count;
    struct arena arena;          /* owner of the above */
};

/* Runs a query.  0, or an error code with *ret_error filled.  On success the caller calls
 * promql_result_done(). */
int promql_run(const struct promql_options *options, struct queryable *store,
               const struct promql_query *query, struct promql_result *ret_result,
               struct promql_error *ret_error);
void promql_result_done(struct promql_result *result);

/* A parsed expression, to be evaluated many times (rules).  Immutable. */
struct promql_expression;
int promql_parse(const char *text, struct promql_expression **ret_expression,
                 struct promql_error *ret_error);
void promql_expression_free(struct promql_expression *expression);
enum promql_type promql_expression_type(const struct promql_expression *expression);
/* Canonical text on one line, as promql's String(); for the rules API. */
void promql_expression_print(const struct promql_expression *expression, struct buf *out);
/* The same over several lines where it is long, as promql's Pretty(); for format_query. */
void promql_expression_lay_out(const struct promql_expression *expression, struct buf *out);
/* Same as promql_run() on a parsed expression; query->text is ignored. */
int promql_run_expression(const struct promql_options *options, struct queryable *store,
                          const struct promql_expression *expression,
                          const struct promql_query *query, struct promql_result *ret_result,
                          struct promql_error *ret_error);
/* Every selector of the expression, so that rules know what makes them dirty.  Stops on a
 * non-zero return. */
int promql_expression_selectors(const struct promql_expression *expression,
                                int (*each)(void *context, struct matcher *const *matchers,
                                            size_t count),
                                void *context);

/* What a selector reads: at time t samples from (t - offset - range, t - offset]. */
struct promql_input {
    struct matcher *const *matchers;
    size_t matcher_count;
    int64_t range_ms; /* 0: the newest sample, as far as the lookback goes */
    int64_t offset_ms;
    bool is_fixed; /* its time does not follow t (@), or is made by an expression */
};
/* The same with the times; the outermost of a range in a subquery's place has range 0. */
int promql_expression_inputs(const struct promql_expression *expression,
                             int (*each)(void *context, const struct promql_input *input),
                             void *context);

/* A selector alone (match[] parameters): name{a="b"}. */
int promql_parse_selector(const char *text, struct matcher ***ret_matchers, size_t *ret_count,
                          struct promql_error *ret_error);
void promql_matchers_free(struct matcher **matchers, size_t count);
/* {__name__="name", a="b"} */
void promql_print_matchers(struct matcher *const *matchers, size_t count, struct buf *out);

/* Go's strconv.FormatFloat(v, 'f' or 'e' by Prometheus's JSON rule, -1): shortest digits that
 * read back the same; "NaN", "+Inf", "-Inf".  At least 32 bytes... returns text. */
#define NUMBER_TEXT_BYTES 360
const char *promql_number_text(double value, char text[NUMBER_TEXT_BYTES]);
/* The same; gives its end, where a NUL is. */
char *promql_number_put(double value, char text[NUMBER_TEXT_BYTES]);
/* The same, never with an exponent: label values made by count_values, printed expressions. */
const char *promql_number_plain(double value, char text[NUMBER_TEXT_BYTES]);
/* Go's %g: an exponent from 1e+06 on; as annotations write numbers. */
const char *promql_number_general(double value, char text[NUMBER_TEXT_BYTES]);
