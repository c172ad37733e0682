/*
 * eval_binary.c - operators, where at least one side is a scalar.
 *
 * Arithmetic drops the metric name; a comparison keeps the vector's samples that satisfy it,
 * with their names and values, whichever side the vector is on; with bool it is 0 or 1 instead,
 * and the name goes.
 */
#include <math.h>

#include "collector/promql/eval.h"
#include "proto/base/error.h"

double operate(enum operator_kind operation, double left, double right, bool *ret_keep)
{
    *ret_keep = true;
    switch (operation) {
    case OP_ADD:
        return left + right;
    case OP_SUB:
        return left - right;
    case OP_MUL:
        return left * right;
    case OP_DIV:
        return left / right;
    case OP_MOD:
        return fmod(left, right);
    case OP_POW:
        return pow(left, right);
    case OP_ATAN2:
        return atan2(left, right);
    case OP_EQUAL:
        *ret_keep = left == right;
        return left;
    case OP_NOT_EQUAL:
        *ret_keep = left != right;
        return left;
    case OP_LESS:
        *ret_keep = left < right;
        return left;
    case OP_LESS_EQUAL:
        *ret_keep = left <= right;
        return left;
    case OP_GREATER:
        *ret_keep = left > right;
        return left;
    case OP_GREATER_EQUAL:
        *ret_keep = left >= right;
        return left;
    default:
        *ret_keep = false;
        return left; /* trims are for histograms: floats vanish */
    }
}

static int between_scalars(const struct node *node, const struct grid *grid, struct value *left,
                           const struct value *right)
{
    for (size_t step = 0; step < grid->count; step++) {
        bool keep;
        double result =
            operate(node->operation, left->scalars[step], right->scalars[step], &keep);
        left->scalars[step] = node->returns_bool ? (double)keep : result;
    }
    return 0;
}

static void scalar_column(const struct node *node, const struct grid *grid,
                          const double *scalars, bool swapped, struct column *column)
{
    bool comparison = operator_is_comparison(node->operation);
    for (size_t step = 0; step < grid->count; step++) {
        bool keep;
        if (!column_has(column, step))
            continue;
        double own = column->values[step];
        double result = operate(node->operation, swapped ? scalars[step] : own,
                                swapped ? own : scalars[step], &keep);
        if (node->returns_bool)
            column->values[step] = (double)keep;
        else if (!keep)
            column_clear(column, step);
        else
            column->values[step] = comparison ? own : result;
    }
}

static int with_scalar(struct evaluation *ev, const struct node *node, const struct grid *grid,
                       const double *scalars, bool swapped, struct value *vector)
{
    bool drops = !operator_is_comparison(node->operation) || node->returns_bool;
    size_t kept = 0;
    for (size_t i = 0; i < vector->count; i++) {
        struct column *column = &vector->columns[i];
        int error = evaluation_tick_steps(ev, grid->count);
        scalar_column(node, grid, scalars, swapped, column);
        if (error == 0 && drops)
            error = column_drop_name(ev, column);
        if (error != 0)
            return error;
        if (column_any(column, grid))
            vector->columns[kept++] = *column;
    }
    vector->count = kept;
    return drops ? value_merge(ev, grid, vector) : 0;
}

int evaluate_binary(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    struct value *ret_value)
{
    struct value left = {0};
    struct value right = {0};
    int error = evaluate(ev, node->first, grid, &left);

    if (error == 0)
        error = evaluate(ev, node->second, grid, &right);
    if (error != 0)
        return error;
    bool trims = node->operation == OP_TRIM_UPPER || node->operation == OP_TRIM_LOWER;
    if (trims && (left.type == PROMQL_SCALAR || left.count > 0) &&
        (right.type == PROMQL_SCALAR || right.count > 0))
        annotate(ev, node, false,
                 "incompatible sample types encountered for binary operator \"%s\": float %s "
                 "float",
                 operator_text(node->operation), operator_text(node->operation));
    if (trims && left.type == PROMQL_SCALAR && right.type == PROMQL_SCALAR)
        return diagnose(ev->why, ERR_INVALID,
                        "operator \"%s\" not allowed for Scalar operations",
                        operator_text(node->operation));
    if (left.type == PROMQL_SCALAR && right.type == PROMQL_SCALAR) {
        error = between_scalars(node, grid, &left, &right);
        *ret_value = left;
    } else if (right.type == PROMQL_SCALAR) {
        error = with_scalar(ev, node, grid, right.scalars, false, &left);
        *ret_value = left;
    } else if (left.type == PROMQL_SCALAR) {
        error = with_scalar(ev, node, grid, left.scalars, true, &right);
        *ret_value = right;
    } else if (operator_is_set(node->operation)) {
        error = match_sets(ev, node, grid, &left, &right, ret_value);
    } else {
        error = match_vectors(ev, node, grid, &left, &right, ret_value);
    }
    return error;
}
