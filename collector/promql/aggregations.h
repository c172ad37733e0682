/*
 * aggregations.h - the table of aggregation operators.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/promql/eval.h"

enum aggregation_kind {
    AGGREGATE_SUM,
    AGGREGATE_AVG,
    AGGREGATE_COUNT,
    AGGREGATE_MIN,
    AGGREGATE_MAX,
    AGGREGATE_GROUP,
    AGGREGATE_STDDEV,
    AGGREGATE_STDVAR,
    AGGREGATE_TOPK,
    AGGREGATE_BOTTOMK,
    AGGREGATE_COUNT_VALUES,
    AGGREGATE_QUANTILE,
    AGGREGATE_LIMITK,
    AGGREGATE_LIMIT_RATIO
};

struct aggregation {
    const char *name;
    enum aggregation_kind kind;
    bool has_parameter;
    enum promql_type parameter_type;
    bool experimental;
    const char *help;
};

/* By name, whatever the case; NULL if there is none. */
const struct aggregation *aggregation_find(struct bytes name);
const struct aggregation *aggregation_table(size_t *ret_count);

int aggregation_evaluate(struct evaluation *ev, const struct node *node,
                         const struct grid *grid, struct value *ret_value);
