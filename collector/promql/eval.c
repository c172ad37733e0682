/*
 * eval.c - one node: what it is decides who works it out.
 */
#include "collector/promql/eval.h"

#include "collector/promql/aggregations.h"
#include "collector/promql/functions.h"
#include "proto/base/error.h"

static int constant(struct evaluation *ev, double number, const struct grid *grid,
                    struct value *ret_value)
{
    double *scalars = arena_alloc(ev->arena, grid->count, sizeof *scalars);
    if (scalars == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++)
        scalars[step] = number;
    *ret_value = (struct value){.type = PROMQL_SCALAR, .scalars = scalars};
    return 0;
}

static int evaluate_unary(struct evaluation *ev, const struct node *node,
                          const struct grid *grid, struct value *ret_value)
{
    int error = evaluate(ev, node->first, grid, ret_value);
    if (error != 0 || node->operation == OP_ADD)
        return error;
    if (ret_value->type == PROMQL_SCALAR) {
        for (size_t step = 0; step < grid->count; step++)
            ret_value->scalars[step] = -ret_value->scalars[step];
        return 0;
    }
    for (size_t i = 0; error == 0 && i < ret_value->count; i++) {
        struct column *column = &ret_value->columns[i];
        for (size_t step = 0; step < grid->count; step++)
            column->values[step] = -column->values[step];
        error = column_drop_name(ev, column);
    }
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

static int evaluate_node(struct evaluation *ev, const struct node *node,
                         const struct grid *grid, struct value *ret_value)
{
    switch (node->kind) {
    case NODE_NUMBER:
        return constant(ev, node->number, grid, ret_value);
    case NODE_STRING:
        *ret_value = (struct value){.type = PROMQL_STRING, .string = node->string};
        return 0;
    case NODE_SELECTOR:
        return evaluate_selector(ev, node, grid, false, ret_value);
    case NODE_MATRIX:
        return evaluate_matrix(ev, node, grid, true, ret_value);
    case NODE_SUBQUERY:
        return evaluate_subquery(ev, node, grid, ret_value);
    case NODE_CALL:
        return function_evaluate(ev, node, grid, ret_value);
    case NODE_AGGREGATE:
        return aggregation_evaluate(ev, node, grid, ret_value);
    case NODE_BINARY:
        return evaluate_binary(ev, node, grid, ret_value);
    case NODE_UNARY:
        return evaluate_unary(ev, node, grid, ret_value);
    case NODE_PAREN:
        return evaluate(ev, node->first, grid, ret_value);
    }
    return ERR_INVALID;
}

int evaluate(struct evaluation *ev, const struct node *node, const struct grid *grid,
             struct value *ret_value)
{
    return ev->costs == NULL ? evaluate_plain(ev, node, grid, ret_value)
                             : evaluate_measured(ev, node, grid, ret_value);
}

int evaluate_plain(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct value *ret_value)
{
    struct grid once = {grid->start_ms, grid->step_ms, 1};
    bool alike = grid->count > 1 && ev->plan->nodes[node->id].invariant &&
                 (node->type == PROMQL_SCALAR || node->type == PROMQL_VECTOR);
    int error = evaluation_tick_steps(ev, grid->count);
    if (error == 0)
        error = evaluate_node(ev, node, alike ? &once : grid, ret_value);
    if (error == 0 && alike)
        error = value_broadcast(ev, grid, ret_value);
    return error;
}
