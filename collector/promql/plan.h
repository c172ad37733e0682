/*
 * plan.h - what an expression means at a query's times.
 *
 * An expression is parsed once; a plan is made for each run, because step(), range(), start()
 * and end() depend on it.  It holds, by node id: resolved offsets, ranges, subquery steps and @
 * times; which parts give the same at every step, and are therefore evaluated once; and the
 * outermost sample times any selector needs, for which the store is opened.
 */
#pragma once

#include "collector/promql/ast.h"

struct plan_node {
    bool invariant; /* the same at every step */
    bool unlabelled; /* selector: nobody asks for its labels */
    bool unvalued;   /* selector: of its samples only the times count */
    bool fixed;     /* selector, subquery: looks at fixed_ms whatever the step */
    int64_t fixed_ms;
    int64_t offset_ms;
    int64_t range_ms, step_ms; /* matrix, subquery */
};

struct plan {
    struct plan_node *nodes; /* by id */
    int64_t from_ms, until_ms;
    unsigned selector_count;
};

/* ERR_INVALID for durations that come out wrong or experimental parts that are not enabled (bad
 * data, told in `why`), ERR_NOMEM. */
int plan_make(const struct promql_expression *expression, const struct promql_options *options,
              const struct promql_query *query, int64_t lookback_ms, struct arena *arena,
              struct plan *ret_plan, struct diagnosis *why);
