/*
 * functions.h - one table of functions: a row parses, evaluates and documents.
 *
 * A row has exactly one implementation, by how the function looks at its arguments:
 *     map       one sample of the vector in, one out, with the scalar arguments of the step
 *     window    the samples of one series inside one range, one sample out
 *     whole     anything else: it evaluates its own arguments
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/promql/eval.h"

#define FUNCTION_TYPES_MAX      6
#define FUNCTION_UNLIMITED      (-1)
#define FUNCTION_PARAMETERS_MAX 4
#define HISTOGRAM_QUANTILES_MAX 10

/* Names are dropped unless a row says otherwise; these flags say otherwise. */
enum function_flags {
    FUNCTION_KEEPS_NAME = 1,
    FUNCTION_EXPERIMENTAL = 2,
    FUNCTION_COUNTER = 4, /* wants a counter: others get an info annotation */
    FUNCTION_TIME_BOUND =
        8,                  /* its value depends on the evaluation time even if inputs do not */
    FUNCTION_QUANTILE = 16, /* its first argument should be within 0..1 */
    FUNCTION_ANCHORED = 32, /* takes anchored ranges, */
    FUNCTION_SMOOTHED = 64, /* smoothed ones */
    FUNCTION_FACTORS = 128, /* its two scalars must lie between 0 and 1 */
};

struct function {
    const char *name;
    enum promql_type returns;
    enum promql_type types[FUNCTION_TYPES_MAX]; /* past max_args unused; the last repeats */
    int min_args, max_args;
    unsigned flags;
    bool (*map)(double value, const double *parameters, double *ret_value); /* false: nothing */
    bool (*window)(struct window *window, double *ret_value);
    int (*whole)(struct evaluation *ev, const struct node *call, const struct grid *grid,
                 struct value *ret_value);
    /* Of a window function: for windows with records of a roll-up; NULL: it sees the last sample
     * of each as if there were no others. */
    bool (*rolled)(struct window *window, double *ret_value);
    /* Of a window function: for this window and those that follow it, `windows` in all, each `stride`
     * samples behind the one before and else lying alike in a series without gaps.  How many of them
     * it has worked out; the next needs a call of its own.  NULL: all do. */
    size_t (*alike)(struct window *window, size_t stride, size_t windows, double *values);
    const char *help;
};

/* By name; NULL if there is none. */
const struct function *function_find(struct bytes name);
/* Every row, in the order of the names. */
const struct function *function_table(size_t *ret_count);

/* The type of the n-th argument. */
enum promql_type function_argument_type(const struct function *function, size_t index);

/* The times at which info() looks up info series: from and until are those of the grid. */
struct plan;
void info_times(const struct plan *plan, const struct node *call, int64_t lookback_ms,
                int64_t *from_ms, int64_t *until_ms);

/* Evaluates a call by its row. */
int function_evaluate(struct evaluation *ev, const struct node *call, const struct grid *grid,
                      struct value *ret_value);
