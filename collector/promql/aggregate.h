/*
 * aggregate.h - groups of columns, and the aggregations that choose among their members.
 */
#pragma once

#include "collector/promql/aggregations.h"

struct group {
    const struct labels *labels;
    size_t *members; /* columns of the input, ascending */
    size_t count;
    bool drop_name; /* any member lost its name */
};

struct groups {
    struct group *items;
    size_t count;
};

/* topk, bottomk, limitk, limit_ratio: the members themselves, where they are chosen. */
int aggregate_choose(struct evaluation *ev, const struct node *node, const struct grid *grid,
                     const struct value *input, const struct groups *groups,
                     const double *parameters, struct value *ret_value);
int aggregate_quantile(struct evaluation *ev, const struct node *node, const struct grid *grid,
                       const struct value *input, const struct groups *groups,
                       const double *parameters, struct value *ret_value);
int aggregate_count_values(struct evaluation *ev, const struct node *node,
                           const struct grid *grid, const struct value *input,
                           const struct groups *groups, struct bytes label,
                           struct value *ret_value);

/* The value at rank q of `count` numbers, which are sorted in place, NaN lowest. */
double quantile_of(double q, double *values, size_t count);
