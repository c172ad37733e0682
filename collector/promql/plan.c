/*
 * plan.c - one walk down the tree, carrying the times at which a part is looked at.
 */
#include "collector/promql/plan.h"

#include <math.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

struct planner {
    const struct promql_options *options;
    const struct promql_query *query;
    int64_t lookback_ms;
    struct plan *plan;
    struct diagnosis *why;
};

/* Times are bounded so that no sum of a few of them overflows: +-73 million years. */
#define TIME_MS_MAX      (INT64_C(1) << 61)
#define SUBQUERY_STEP_MS 60000 /* where the options name none */

static int check_times(const struct planner *planner, int64_t from_ms, int64_t until_ms)
{
    if (from_ms < -TIME_MS_MAX || until_ms < -TIME_MS_MAX || from_ms > TIME_MS_MAX ||
        until_ms > TIME_MS_MAX)
        return diagnose(planner->why, ERR_INVALID, "the expression's times are out of range");
    return 0;
}

/* A duration expression in seconds; *fault, if it is still NULL: what divided by zero. */
static double seconds_of(const struct planner *planner, const struct node *node,
                         const struct node **fault)
{
    double a = node->first != NULL ? seconds_of(planner, node->first, fault) : 0;
    double b;

    switch (node->kind) {
    case NODE_NUMBER:
        return node->number;
    case NODE_PAREN:
        return a;
    case NODE_UNARY:
        return node->operation == OP_SUB ? -a : a;
    case NODE_BINARY:
        b = seconds_of(planner, node->second, fault);
        switch (node->operation) {
        case OP_ADD:
            return a + b;
        case OP_SUB:
            return a - b;
        case OP_MUL:
            return a * b;
        case OP_DIV:
        case OP_MOD:
            if (b == 0 && *fault == NULL)
                *fault = node;
            return node->operation == OP_DIV ? a / b : fmod(a, b);
        default:
            return pow(a, b);
        }
    default:
        break;
    }
    if (node->argument_count == 2) {
        b = seconds_of(planner, node->first->next, fault);
        return (node->function->name[1] == 'i') == (a < b) ? a : b; /* min_of, max_of */
    }
    if (node->function->name[0] == 's')
        return (double)planner->query->step_ms / 1000.0;
    return (double)(planner->query->end_ms - planner->query->start_ms) / 1000.0;
}

/* Where a duration expression begins and ends as Prometheus sees it: without the parentheses
 * around it, and without the name of min_of() or max_of(). */
static size_t begin_of(const struct node *node)
{
    const bool is_inside = node->kind == NODE_PAREN || node->kind == NODE_BINARY ||
                           (node->kind == NODE_CALL && node->argument_count == 2);
    return is_inside ? begin_of(node->first) : node->at;
}

static size_t end_of(const struct node *node)
{
    if (node->kind == NODE_PAREN || node->kind == NODE_UNARY)
        return end_of(node->first);
    if (node->kind == NODE_BINARY)
        return end_of(node->second);
    return node->kind == NODE_CALL && node->argument_count == 2 ? end_of(node->first->next)
                                                                : node->until;
}

static int refuse(const struct planner *planner, const struct node *node, const char *why)
{
    return diagnose(planner->why, ERR_INVALID, "%zu:%zu: %s", begin_of(node), end_of(node),
                    why);
}

/* What is written as a number is rounded to nanoseconds first, what is worked out is not; whole
 * milliseconds are left of both. */
static int resolve(const struct planner *planner, const struct node *duration, bool positive,
                   int64_t *ret_ms)
{
    const struct node *fault = NULL;
    const double seconds = seconds_of(planner, duration, &fault);
    if (fault != NULL)
        return refuse(planner, fault,
                      fault->operation == OP_DIV ? "division by zero" : "modulo by zero");
    if (!isfinite(seconds))
        return refuse(planner, duration, "duration is NaN or infinite");
    if (positive && seconds <= 0)
        return refuse(planner, duration, "duration must be greater than 0");
    if (fabs(seconds) > DURATION_SECONDS_MAX)
        return refuse(planner, duration, "duration is out of range");
    const struct node *literal = node_unwrap(duration);
    *ret_ms = literal->kind == NODE_NUMBER ? duration_literal_ms(literal)
                                           : (int64_t)(seconds * 1000.0);
    return 0;
}

/* Offset and @ of a selector or subquery. */
static int resolve_times(const struct planner *planner, const struct node *node,
                         struct plan_node *planned)
{
    if (node->at_modifier == AT_TIME)
        planned->fixed_ms = node->at_ms;
    else if (node->at_modifier == AT_START)
        planned->fixed_ms = planner->query->start_ms;
    else if (node->at_modifier == AT_END)
        planned->fixed_ms = planner->query->end_ms;
    planned->fixed = node->at_modifier != AT_NONE;
    planned->invariant = planned->fixed;
    return node->offset == NULL ? 0
                                : resolve(planner, node->offset, false, &planned->offset_ms);
}

static int plan_node(struct planner *planner, const struct node *node, int64_t start_ms,
                     int64_t end_ms);

/* A selector that reaches back `reach_ms` from each step: its range, or the lookback. */
static int plan_selector(struct planner *planner, const struct node *node, int64_t reach_ms,
                         bool is_range, int64_t start_ms, int64_t end_ms)
{
    struct plan_node *planned = &planner->plan->nodes[node->id];
    if ((node->anchored || node->smoothed) && !planner->options->experimental)
        return diagnose(planner->why, ERR_INVALID,
                        "the %s modifier is experimental and not enabled",
                        node->anchored ? "anchored" : "smoothed");
    int error = resolve_times(planner, node, planned);
    if (error != 0)
        return error;
    int64_t from =
        (planned->fixed ? planned->fixed_ms : start_ms) - planned->offset_ms - reach_ms;
    int64_t until = (planned->fixed ? planned->fixed_ms : end_ms) - planned->offset_ms;
    if (is_range && (node->anchored || node->smoothed))
        from -= planner->lookback_ms;
    if (node->smoothed)
        until += planner->lookback_ms;
    error = check_times(planner, from, until);
    if (error != 0)
        return error;
    if (planner->plan->selector_count == 0 || from < planner->plan->from_ms)
        planner->plan->from_ms = from;
    if (planner->plan->selector_count == 0 || until > planner->plan->until_ms)
        planner->plan->until_ms = until;
    planner->plan->selector_count++;
    return 0;
}

static int plan_subquery(struct planner *planner, const struct node *node, int64_t start_ms,
                         int64_t end_ms)
{
    struct plan_node *planned = &planner->plan->nodes[node->id];
    int error = resolve_times(planner, node, planned);
    if (error == 0)
        error = resolve(planner, node->range, true, &planned->range_ms);
    planned->step_ms = planner->options->default_step_ms;
    if (planned->step_ms <= 0)
        planned->step_ms = SUBQUERY_STEP_MS;
    if (error == 0 && node->step != NULL)
        error = resolve(planner, node->step, true, &planned->step_ms);
    if (error == 0 && planned->step_ms == 0)
        error = refuse(planner, node->step, "a subquery's step is one millisecond at least");
    if (error != 0)
        return error;
    int64_t from = (planned->fixed ? planned->fixed_ms : start_ms) - planned->offset_ms -
                   planned->range_ms;
    int64_t until = (planned->fixed ? planned->fixed_ms : end_ms) - planned->offset_ms;
    error = check_times(planner, from, until);
    return error != 0 ? error : plan_node(planner, node->first, from, until);
}

/* The info series of info() are looked up where its argument looks. */
static int plan_info(struct planner *planner, const struct node *call, int64_t from_ms,
                     int64_t until_ms)
{
    struct plan *plan = planner->plan;
    info_times(plan, call, planner->lookback_ms, &from_ms, &until_ms);
    int error = check_times(planner, from_ms, until_ms);
    if (error != 0)
        return error;
    if (plan->selector_count == 0 || from_ms < plan->from_ms)
        plan->from_ms = from_ms;
    if (plan->selector_count == 0 || until_ms > plan->until_ms)
        plan->until_ms = until_ms;
    plan->selector_count++;
    return 0;
}

static int plan_call(struct planner *planner, const struct node *node, int64_t start_ms,
                     int64_t end_ms)
{
    bool invariant = (node->function->flags & FUNCTION_TIME_BOUND) == 0;
    if ((node->function->flags & FUNCTION_EXPERIMENTAL) != 0 && !planner->options->experimental)
        return diagnose(planner->why, ERR_INVALID, "function \"%s\" is not enabled",
                        node->function->name);
    for (const struct node *argument = node->first; argument != NULL;
         argument = argument->next) {
        int error = plan_node(planner, argument, start_ms, end_ms);
        if (error != 0)
            return error;
        invariant = invariant && planner->plan->nodes[argument->id].invariant;
    }
    planner->plan->nodes[node->id].invariant = invariant;
    return node->function->whole == whole_info ? plan_info(planner, node, start_ms, end_ms) : 0;
}

/* Operands `first` and perhaps `second`, looked at at the node's own times. */
static int plan_operands(struct planner *planner, const struct node *node, int64_t start_ms,
                         int64_t end_ms)
{
    struct plan_node *nodes = planner->plan->nodes;
    int error = plan_node(planner, node->first, start_ms, end_ms);
    if (error == 0 && node->second != NULL)
        error = plan_node(planner, node->second, start_ms, end_ms);
    nodes[node->id].invariant = nodes[node->first->id].invariant &&
                                (node->second == NULL || nodes[node->second->id].invariant);
    return error;
}

/* count() and group() of a selector, without by or without, tell its series apart by nothing. */
static void mark_unlabelled(const struct planner *planner, const struct node *node)
{
    const enum aggregation_kind kind = node->aggregation->kind;
    const struct node *operand = node_unwrap(node->first);
    if ((kind == AGGREGATE_COUNT || kind == AGGREGATE_GROUP) && !node->without &&
        node->grouping.count == 0 && operand->kind == NODE_SELECTOR)
        planner->plan->nodes[operand->id].unlabelled = true;
}

static bool is_counted(const struct node *node)
{
    static bool (*const counting[])(struct window *, double *) = {
        window_count_over_time, window_present_over_time, window_ts_of_first_over_time,
        window_ts_of_last_over_time};
    if (node->kind == NODE_AGGREGATE)
        return node->aggregation->kind == AGGREGATE_COUNT ||
               node->aggregation->kind == AGGREGATE_GROUP;
    for (size_t i = 0; i < sizeof counting / sizeof counting[0]; i++)
        if (node->kind == NODE_CALL && node->function->window == counting[i])
            return true;
    return false;
}

/* What counts samples does not look at their values.  A smoothed line is drawn of values. */
static void mark_unvalued(const struct planner *planner, const struct node *node)
{
    if (!is_counted(node) || node->first == NULL)
        return;
    const struct node *operand = node_unwrap(node->first);
    if (operand->kind == NODE_MATRIX)
        operand = operand->first;
    if (operand->kind == NODE_SELECTOR && !operand->smoothed)
        planner->plan->nodes[operand->id].unvalued = true;
}

static int plan_node(struct planner *planner, const struct node *node, int64_t start_ms,
                     int64_t end_ms)
{
    struct plan_node *planned = &planner->plan->nodes[node->id];
    int error;

    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        planned->invariant = true;
        return 0;
    case NODE_SELECTOR:
        return plan_selector(planner, node, planner->lookback_ms, false, start_ms, end_ms);
    case NODE_MATRIX:
        error = resolve(planner, node->range, true, &planned->range_ms);
        if (error == 0)
            error =
                plan_selector(planner, node->first, planned->range_ms, true, start_ms, end_ms);
        planned->invariant = planner->plan->nodes[node->first->id].invariant;
        return error;
    case NODE_SUBQUERY:
        return plan_subquery(planner, node, start_ms, end_ms);
    case NODE_CALL:
        mark_unvalued(planner, node);
        return plan_call(planner, node, start_ms, end_ms);
    case NODE_AGGREGATE:
        if (node->aggregation->experimental && !planner->options->experimental)
            return diagnose(planner->why, ERR_INVALID, "%s() is experimental and not enabled",
                            node->aggregation->name);
        mark_unlabelled(planner, node);
        mark_unvalued(planner, node);
        return plan_operands(planner, node, start_ms, end_ms);
    case NODE_BINARY:
        if ((node->matching.fills_left || node->matching.fills_right) &&
            !planner->options->experimental)
            return diagnose(planner->why, ERR_INVALID,
                            "fill modifiers are experimental and not enabled");
        return plan_operands(planner, node, start_ms, end_ms);
    case NODE_UNARY:
    case NODE_PAREN:
        return plan_operands(planner, node, start_ms, end_ms);
    }
    return 0;
}

int plan_make(const struct promql_expression *expression, const struct promql_options *options,
              const struct promql_query *query, int64_t lookback_ms, struct arena *arena,
              struct plan *ret_plan, struct diagnosis *why)
{
    *ret_plan = (struct plan){.from_ms = query->start_ms, .until_ms = query->end_ms};
    ret_plan->nodes = arena_alloc(arena, expression->node_count, sizeof *ret_plan->nodes);
    if (ret_plan->nodes == NULL)
        return ERR_NOMEM;
    struct planner planner = {options, query, lookback_ms, ret_plan, why};
    return plan_node(&planner, expression->root, query->start_ms, query->end_ms);
}
