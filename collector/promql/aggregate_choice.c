/*
 * aggregate_choice.c - aggregations that look at all members of a group at one step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/aggregate.h"
#include "collector/promql/rank.h"
#include "proto/base/error.h"

#define INTEGER_LEAST (-9223372036854775808.0) /* Prometheus's minInt64 and maxInt64: */
#define INTEGER_MOST  9223372036854774784.0    /* what is not between them is refused */

double quantile_of(double q, double *values, size_t count)
{
    if (count == 0 || isnan(q))
        return (double)NAN;
    if (q < 0)
        return -HUGE_VAL;
    if (q > 1)
        return HUGE_VAL;
    double rank = q * (double)(count - 1);
    double weight = rank - floor(rank);
    double upper;
    double lower = rank_select(values, count, (size_t)floor(rank), &upper);
    return lower * (1 - weight) + upper * weight;
}

/* The parameters of all steps at one look, as Go's math.Min and math.Max find them: NaN wins.
 */
struct extent {
    double least, most;
    bool any_nan;
};

static struct extent extent_of(const double *parameters, size_t count)
{
    struct extent extent = {0, 0, false};
    if (count > 0)
        extent.least = extent.most = parameters[0];
    for (size_t i = 0; i < count; i++) {
        extent.any_nan = extent.any_nan || isnan(parameters[i]);
        extent.least = fmin(extent.least, parameters[i]);
        extent.most = fmax(extent.most, parameters[i]);
    }
    if (extent.any_nan) {
        extent.least = isinf(extent.least) && extent.least < 0 ? extent.least : (double)NAN;
        extent.most = isinf(extent.most) && extent.most > 0 ? extent.most : (double)NAN;
    }
    return extent;
}

static void annotate_quantile(struct evaluation *ev, const struct node *node, double quantile)
{
    char text[NUMBER_TEXT_BYTES];
    annotate(ev, node->second, true, "quantile value should be between 0 and 1, got %s",
             promql_number_general(quantile, text));
}

/* Said of the extremes alone, however many steps there are. */
static void annotate_quantiles(struct evaluation *ev, const struct node *node,
                               const struct grid *grid, const double *parameters)
{
    const struct extent extent = extent_of(parameters, grid->count);
    if (extent.any_nan)
        annotate_quantile(ev, node, (double)NAN);
    if (extent.most > 1)
        annotate_quantile(ev, node, extent.most);
    if (extent.least < 0)
        annotate_quantile(ev, node, extent.least);
}

int aggregate_quantile(struct evaluation *ev, const struct node *node, const struct grid *grid,
                       const struct value *input, const struct groups *groups,
                       const double *parameters, struct value *ret_value)
{
    double *values = arena_alloc(ev->arena, input->count + 1, sizeof *values);
    int error = values == NULL ? ERR_NOMEM : value_columns(ev, groups->count, ret_value);

    if (error == 0)
        annotate_quantiles(ev, node, grid, parameters);
    for (size_t n = 0; error == 0 && n < groups->count; n++) {
        const struct group *group = &groups->items[n];
        struct column *out = &ret_value->columns[n];
        error = column_init(ev, grid, out);
        if (error != 0)
            break;
        out->labels = group->labels;
        out->drop_name = group->drop_name;
        ret_value->count = n + 1;
        for (size_t step = 0; step < grid->count; step++) {
            size_t count = 0;
            for (size_t m = 0; m < group->count; m++)
                if (column_has(&input->columns[group->members[m]], step))
                    values[count++] = input->columns[group->members[m]].values[step];
            if (count > 0)
                column_set(out, step, quantile_of(parameters[step], values, count));
        }
    }
    return error;
}

struct candidate {
    double value;
    size_t member;
};

/* Best first; NaN is worse than anything; what came first wins a tie. */
static int order_descending(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    if (isnan(a->value) != isnan(b->value))
        return isnan(a->value) ? 1 : -1;
    if (a->value != b->value && !isnan(a->value))
        return a->value > b->value ? -1 : 1;
    return (a->member > b->member) - (a->member < b->member);
}

static int order_ascending(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    if (isnan(a->value) != isnan(b->value))
        return isnan(a->value) ? 1 : -1;
    if (a->value != b->value && !isnan(a->value))
        return a->value < b->value ? -1 : 1;
    return (a->member > b->member) - (a->member < b->member);
}

static void annotate_ratio(struct evaluation *ev, const struct node *node, double ratio)
{
    char text[NUMBER_TEXT_BYTES];
    annotate(ev, node->second, true,
             "ratio value should be between -1 and 1, got %s, capping to %s",
             promql_number_general(ratio, text), ratio > 0 ? "1" : "-1");
}

/* *ret_none: nothing is chosen at any step, whatever else there is to be said. */
static int check_parameters(struct evaluation *ev, const struct node *node,
                            const struct grid *grid, const double *parameters, bool *ret_none)
{
    const struct extent extent = extent_of(parameters, grid->count);
    const bool ratio = node->aggregation->kind == AGGREGATE_LIMIT_RATIO;
    char text[NUMBER_TEXT_BYTES];
    *ret_none = ratio ? extent.least == 0 && extent.most == 0 : extent.most < 1;
    if (*ret_none)
        return 0;
    if (extent.any_nan)
        return diagnose(ev->why, ERR_INVALID,
                        ratio ? "Ratio value is NaN" : "Parameter value is NaN");
    if (ratio && extent.most > 1)
        annotate_ratio(ev, node, extent.most);
    if (ratio && extent.least < -1)
        annotate_ratio(ev, node, extent.least);
    if (!ratio && extent.least <= INTEGER_LEAST)
        return diagnose(ev->why, ERR_INVALID, "Scalar value %s underflows int64",
                        promql_number_general(extent.least, text));
    if (!ratio && extent.most >= INTEGER_MOST)
        return diagnose(ev->why, ERR_INVALID, "Scalar value %s overflows int64",
                        promql_number_general(extent.most, text));
    return 0;
}

/* Is the series in the stable sample that a ratio means?  Its hash is its place, so the sample
 * of a larger ratio holds that of a smaller one, and -r is what r leaves.  The hash is
 * Prometheus's, and so is the sample. */
static bool in_ratio(double place, double ratio)
{
    return ratio >= 0 ? place < ratio : place >= 1 + ratio;
}

/* NULL unless it is limit_ratio(). */
static int find_places(struct evaluation *ev, const struct node *node,
                       const struct value *input, double **ret_places)
{
    *ret_places = NULL;
    if (node->aggregation->kind != AGGREGATE_LIMIT_RATIO)
        return 0;
    double *places = arena_alloc(ev->arena, input->count + 1, sizeof *places);
    if (places == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < input->count; i++)
        places[i] =
            (double)labels_prometheus_hash(input->columns[i].labels) / 18446744073709551615.0;
    *ret_places = places;
    return 0;
}

static void choose_step(const struct node *node, size_t step, const struct value *input,
                        const struct group *group, double parameter, const double *places,
                        struct candidate *candidates, const struct value *output)
{
    enum aggregation_kind kind = node->aggregation->kind;
    size_t count = 0;

    for (size_t m = 0; m < group->count; m++) {
        const struct column *column = &input->columns[group->members[m]];
        if (column_has(column, step) &&
            (places == NULL || in_ratio(places[group->members[m]], parameter)))
            candidates[count++] = (struct candidate){column->values[step], group->members[m]};
    }
    if (kind == AGGREGATE_TOPK)
        qsort(candidates, count, sizeof *candidates, order_descending);
    else if (kind == AGGREGATE_BOTTOMK)
        qsort(candidates, count, sizeof *candidates, order_ascending);
    if (kind != AGGREGATE_LIMIT_RATIO && parameter < (double)count)
        count = parameter < 1 ? 0 : (size_t)parameter;
    for (size_t i = 0; i < count; i++)
        column_set(&output->columns[candidates[i].member], step, candidates[i].value);
}

/* An instant result comes best first within its group. */
static int order_by_value(struct evaluation *ev, const struct node *node,
                          const struct value *input, const struct groups *groups,
                          struct value *value)
{
    struct candidate *candidates = arena_alloc(ev->arena, input->count + 1, sizeof *candidates);
    struct column *ordered = arena_alloc(ev->arena, input->count + 1, sizeof *ordered);
    size_t kept = 0;

    if (candidates == NULL || ordered == NULL)
        return ERR_NOMEM;
    for (size_t n = 0; n < groups->count; n++) {
        size_t count = 0;
        for (size_t m = 0; m < groups->items[n].count; m++) {
            const struct column *column = &value->columns[groups->items[n].members[m]];
            if (column_has(column, 0))
                candidates[count++] =
                    (struct candidate){column->values[0], groups->items[n].members[m]};
        }
        if (node->aggregation->kind == AGGREGATE_TOPK)
            qsort(candidates, count, sizeof *candidates, order_descending);
        else if (node->aggregation->kind == AGGREGATE_BOTTOMK)
            qsort(candidates, count, sizeof *candidates, order_ascending);
        for (size_t i = 0; i < count; i++)
            ordered[kept++] = value->columns[candidates[i].member];
    }
    value->columns = ordered;
    value->count = kept;
    return 0;
}

int aggregate_choose(struct evaluation *ev, const struct node *node, const struct grid *grid,
                     const struct value *input, const struct groups *groups,
                     const double *parameters, struct value *ret_value)
{
    struct candidate *candidates = arena_alloc(ev->arena, input->count + 1, sizeof *candidates);
    double *places = NULL;
    bool none = false;
    int error =
        candidates == NULL ? ERR_NOMEM : check_parameters(ev, node, grid, parameters, &none);

    if (error == 0)
        error = value_columns(ev, input->count, ret_value);
    if (error != 0 || none)
        return error;
    error = find_places(ev, node, input, &places);
    for (size_t i = 0; error == 0 && i < input->count; i++) {
        error = column_init(ev, grid, &ret_value->columns[i]);
        ret_value->columns[i].labels = input->columns[i].labels;
        ret_value->columns[i].drop_name = input->columns[i].drop_name;
    }
    for (size_t n = 0; error == 0 && n < groups->count; n++)
        for (size_t step = 0; error == 0 && step < grid->count; step++) {
            error = evaluation_tick(ev);
            choose_step(node, step, input, &groups->items[n], parameters[step], places,
                        candidates, ret_value);
        }
    if (error != 0)
        return error;
    if (grid->count == 1)
        return order_by_value(ev, node, input, groups, ret_value);
    for (size_t i = 0; i < input->count; i++)
        if (column_any(&ret_value->columns[i], grid))
            ret_value->columns[ret_value->count++] = ret_value->columns[i];
    return 0;
}

static int count_value(struct evaluation *ev, const struct grid *grid,
                       const struct group *group, struct bytes label, double value, size_t step,
                       struct label_index *index, struct value *output, size_t *capacity)
{
    char text[NUMBER_TEXT_BYTES];
    const struct labels *labels;
    size_t number;

    labels_builder_reset(&ev->builder, group->labels);
    if (label.size > 0)
        labels_builder_set(&ev->builder, label, bytes_of(promql_number_plain(value, text)));
    int error = labels_builder_build(&ev->builder, ev->arena, &labels);
    if (error == 0)
        error = label_index_add(ev, index, labels, &number);
    if (error != 0)
        return error;
    if (number == *capacity) {
        struct column *columns = arena_alloc(ev->arena, *capacity * 2, sizeof *columns);
        if (columns == NULL)
            return ERR_NOMEM;
        memcpy(columns, output->columns, *capacity * sizeof *columns);
        output->columns = columns;
        *capacity *= 2;
    }
    struct column *column = &output->columns[number];
    if (number == output->count) {
        error = column_init(ev, grid, column);
        if (error != 0)
            return error;
        column->labels = labels;
        column->drop_name = false; /* a count is of nothing that lost its name */
        output->count++;
    }
    column_set(column, step, (column_has(column, step) ? column->values[step] : 0) + 1);
    return 0;
}

/* What is left out of a group takes the values with it. */
static bool leaves_out(const struct node *node, struct bytes label)
{
    bool found = bytes_equal(label, bytes_of(LABEL_NAME));
    for (size_t i = 0; !found && i < node->grouping.count; i++)
        found = bytes_equal(label, node->grouping.items[i]);
    return node->without && found;
}

int aggregate_count_values(struct evaluation *ev, const struct node *node,
                           const struct grid *grid, const struct value *input,
                           const struct groups *groups, struct bytes label,
                           struct value *ret_value)
{
    struct label_index index;
    size_t capacity = groups->count < 16 ? 16 : groups->count;

    if (label.size == 0 || !utf8_is_valid(label) || memchr(label.data, 0, label.size) != NULL) {
        buf_clear(&ev->text);
        text_quote(label, &ev->text);
        return diagnose(ev->why, ERR_INVALID, "invalid label name %s", buf_text(&ev->text));
    }
    if (leaves_out(node, label))
        label.size = 0;
    int error = label_index_init(ev, capacity, &index);
    if (error == 0)
        error = value_columns(ev, capacity, ret_value);
    for (size_t n = 0; error == 0 && n < groups->count; n++)
        for (size_t m = 0; error == 0 && m < groups->items[n].count; m++) {
            const struct column *column = &input->columns[groups->items[n].members[m]];
            for (size_t step = 0; error == 0 && step < grid->count; step++)
                if (column_has(column, step))
                    error =
                        count_value(ev, grid, &groups->items[n], label, column->values[step],
                                    step, &index, ret_value, &capacity);
        }
    return error;
}
