/*
 * aggregations.c - by and without: columns into groups, groups into columns.
 *
 * Groups do not depend on the step.  Each group's members are walked column by column over
 * arrays of accumulators, one a step, so the inner loops are over steps.  What chooses among
 * its members (topk, quantile, count_values ...) is in aggregate_choice.c.
 */
#include "collector/promql/aggregate.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "collector/series/kahan.h"
#include "proto/base/cloned.h"
#include "proto/base/error.h"

#define FOLD_PART 4 /* a step of a column is so much sooner added than another is worked out */

static const struct aggregation table[] = {
    {"avg", AGGREGATE_AVG, false, PROMQL_SCALAR, false, "arithmetic mean"},
    {"bottomk", AGGREGATE_BOTTOMK, true, PROMQL_SCALAR, false, "the k smallest samples"},
    {"count", AGGREGATE_COUNT, false, PROMQL_SCALAR, false, "number of series"},
    {"count_values", AGGREGATE_COUNT_VALUES, true, PROMQL_STRING, false,
     "number of series by their value"},
    {"group", AGGREGATE_GROUP, false, PROMQL_SCALAR, false, "1 for each group"},
    {"limit_ratio", AGGREGATE_LIMIT_RATIO, true, PROMQL_SCALAR, true,
     "a stable sample of the series, by ratio"},
    {"limitk", AGGREGATE_LIMITK, true, PROMQL_SCALAR, true, "any k series"},
    {"max", AGGREGATE_MAX, false, PROMQL_SCALAR, false, "largest value"},
    {"min", AGGREGATE_MIN, false, PROMQL_SCALAR, false, "smallest value"},
    {"quantile", AGGREGATE_QUANTILE, true, PROMQL_SCALAR, false, "the value at a rank"},
    {"stddev", AGGREGATE_STDDEV, false, PROMQL_SCALAR, false, "population standard deviation"},
    {"stdvar", AGGREGATE_STDVAR, false, PROMQL_SCALAR, false, "population variance"},
    {"sum", AGGREGATE_SUM, false, PROMQL_SCALAR, false, "sum"},
    {"topk", AGGREGATE_TOPK, true, PROMQL_SCALAR, false, "the k largest samples"},
};

const struct aggregation *aggregation_table(size_t *ret_count)
{
    *ret_count = sizeof table / sizeof table[0];
    return table;
}

const struct aggregation *aggregation_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (name.size == strlen(table[i].name) &&
            strncasecmp((const char *)name.data, table[i].name, name.size) == 0)
            return &table[i];
    return NULL;
}

static int group_labels(struct evaluation *ev, const struct node *node,
                        const struct labels *labels, const struct labels **ret_labels)
{
    labels_builder_reset(&ev->builder, node->without ? labels : NULL);
    if (node->without) /* the name alone: type and unit are labels like others here */
        labels_builder_delete(&ev->builder, bytes_of(LABEL_NAME));
    for (size_t i = 0; i < node->grouping.count; i++)
        labels_builder_set(&ev->builder, node->grouping.items[i],
                           node->without ? (struct bytes){NULL, 0}
                                         : labels_get(labels, node->grouping.items[i]));
    return labels_builder_build(&ev->builder, ev->arena, ret_labels);
}

static int make_groups(struct evaluation *ev, const struct node *node,
                       const struct value *input, struct groups *ret_groups)
{
    struct label_index index;
    size_t *numbers = arena_alloc(ev->arena, input->count + 1, sizeof *numbers);
    int error = numbers == NULL ? ERR_NOMEM : label_index_init(ev, 16, &index);

    for (size_t i = 0; error == 0 && i < input->count; i++) {
        const struct labels *labels;
        error = evaluation_tick(ev);
        if (error == 0)
            error = group_labels(ev, node, input->columns[i].labels, &labels);
        if (error == 0)
            error = label_index_add(ev, &index, labels, &numbers[i]);
    }
    if (error != 0)
        return error;
    size_t *members = arena_alloc(ev->arena, input->count + 1, sizeof *members);
    struct group *groups = arena_alloc(ev->arena, index.count + 1, sizeof *groups);
    if (members == NULL || groups == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < input->count; i++)
        groups[numbers[i]].count++;
    for (size_t n = 0, at = 0; n < index.count; n++) {
        groups[n].labels = index.keys[n];
        groups[n].members = members + at;
        groups[n].drop_name = false;
        at += groups[n].count;
        groups[n].count = 0;
    }
    for (size_t i = 0; i < input->count; i++) {
        struct group *group = &groups[numbers[i]];
        group->members[group->count++] = i;
        group->drop_name = group->drop_name || input->columns[i].drop_name;
    }
    *ret_groups = (struct groups){groups, index.count};
    return 0;
}

struct accumulator {
    double value, compensation, mean;
    double count;
    bool incremental;
};

/* Welford: value is the sum of squared distances. */
static void add_deviation(struct accumulator *at, double sample)
{
    at->count++;
    double delta = sample - at->mean;
    at->mean += delta / at->count;
    at->value += delta * (sample - at->mean);
}

/* The sum while it fits, the incremental mean once it overflows. */
static void add_average(struct accumulator *at, double sample)
{
    at->count++;
    if (!at->incremental) {
        struct kahan sum = kahan_add((struct kahan){at->value, at->compensation}, sample);
        if (at->count == 1 || !isinf(sum.sum)) {
            at->value = sum.sum;
            at->compensation = sum.compensation;
            return;
        }
        at->incremental = true;
        at->mean = at->value / (at->count - 1);
        at->compensation /= at->count - 1;
    }
    double share = (at->count - 1) / at->count;
    struct kahan mean = kahan_add((struct kahan){share * at->mean, share * at->compensation},
                                  sample / at->count);
    at->mean = mean.sum;
    at->compensation = mean.compensation;
}

static void accumulate(enum aggregation_kind kind, struct accumulator *at, double sample)
{
    struct kahan sum;
    switch (kind) {
    case AGGREGATE_SUM:
        sum = kahan_add((struct kahan){at->value, at->compensation}, sample);
        at->value = sum.sum;
        at->compensation = sum.compensation;
        break;
    case AGGREGATE_AVG:
        add_average(at, sample);
        return;
    case AGGREGATE_MIN:
        if (at->count == 0 || sample < at->value || isnan(at->value))
            at->value = sample;
        break;
    case AGGREGATE_MAX:
        if (at->count == 0 || sample > at->value || isnan(at->value))
            at->value = sample;
        break;
    case AGGREGATE_STDDEV:
    case AGGREGATE_STDVAR:
        add_deviation(at, sample);
        return;
    default:
        break;
    }
    at->count++;
}

static double finish(enum aggregation_kind kind, const struct accumulator *at)
{
    switch (kind) {
    case AGGREGATE_SUM:
        return isinf(at->value) ? at->value : at->value + at->compensation;
    case AGGREGATE_AVG:
        if (at->incremental)
            return at->mean + at->compensation;
        return at->value / at->count + at->compensation / at->count;
    case AGGREGATE_STDDEV:
        return sqrt(at->value / at->count);
    case AGGREGATE_STDVAR:
        return at->value / at->count;
    default:
        return at->value;
    }
}

/* Sums of all steps side by side. */
struct step_sums {
    double *sums, *compensations;
};

/* What an addition rounds away is found without a look at which summand is the larger (Knuth's
 * TwoSum), so that the loop becomes vectors: as long as nothing overflows it is the very number that
 * kahan_add() finds. */
CLONED static void add_values(const double *restrict values, size_t count,
                              double *restrict sums, double *restrict compensations)
{
    for (size_t i = 0; i < count; i++) {
        double sum = sums[i] + values[i];
        double added = sum - sums[i];
        compensations[i] += (sums[i] - (sum - added)) + (values[i] - added);
        sums[i] = sum;
    }
}

static void add_column(const struct grid *grid, const struct column *column,
                       const struct step_sums *sums, struct column *out)
{
    for (size_t at = 0; at < grid->count; at += 64) {
        size_t count = grid->count - at < 64 ? grid->count - at : 64;
        uint64_t present = column->present[at / 64];
        const double *values = column->values + at;
        out->present[at / 64] |= present;
        if (present == UINT64_MAX >> (64 - count)) {
            add_values(values, count, sums->sums + at, sums->compensations + at);
            continue;
        }
        for (; present != 0; present &= present - 1) {
            size_t i = (size_t)__builtin_ctzll(present);
            add_values(values + i, 1, sums->sums + at + i, sums->compensations + at + i);
        }
    }
}

/* Where something overflows, or is no number: the rules of kahan_add(), one by one. */
static double sum_by_rule(const struct value *input, const struct group *group, size_t step)
{
    struct kahan sum = {0, 0};
    for (size_t m = 0; m < group->count; m++) {
        const struct column *column = &input->columns[group->members[m]];
        if (column_has(column, step))
            sum = kahan_add(sum, column->values[step]);
    }
    return isinf(sum.sum) ? sum.sum : sum.sum + sum.compensation;
}

/* sum(), which most boards ask for. */
static int sum_group(struct evaluation *ev, const struct grid *grid, const struct value *input,
                     const struct group *group, const struct step_sums *sums,
                     struct column *out)
{
    memset(sums->sums, 0, grid->count * sizeof *sums->sums);
    memset(sums->compensations, 0, grid->count * sizeof *sums->compensations);
    for (size_t m = 0; m < group->count; m++) {
        int error = evaluation_tick_steps(ev, grid->count);
        if (error != 0)
            return error;
        add_column(grid, &input->columns[group->members[m]], sums, out);
    }
    for (size_t step = 0; step < grid->count; step++) {
        double sum = sums->sums[step] + sums->compensations[step];
        out->values[step] = isfinite(sum) ? sum : sum_by_rule(input, group, step);
    }
    return 0;
}

static int fold_group(struct evaluation *ev, enum aggregation_kind kind,
                      const struct grid *grid, const struct value *input,
                      const struct group *group, struct accumulator *scratch,
                      struct column *out)
{
    memset(scratch, 0, grid->count * sizeof *scratch);
    for (size_t m = 0; m < group->count; m++) {
        const struct column *column = &input->columns[group->members[m]];
        int error = evaluation_tick_steps(ev, grid->count);
        if (error != 0)
            return error;
        for (size_t step = 0; step < grid->count; step++)
            if (column_has(column, step))
                accumulate(kind, &scratch[step], column->values[step]);
    }
    for (size_t step = 0; step < grid->count; step++)
        if (scratch[step].count > 0)
            column_set(out, step, finish(kind, &scratch[step]));
    return 0;
}

/* count() and group(): nothing is looked at but whether there is a value. */
static int count_group(struct evaluation *ev, enum aggregation_kind kind, const struct grid *grid,
                       const struct value *input, const struct group *group, double *counts,
                       struct column *out)
{
    memset(counts, 0, grid->count * sizeof *counts);
    for (size_t m = 0; m < group->count; m++) {
        const struct column *column = &input->columns[group->members[m]];
        int error = evaluation_tick_steps(ev, grid->count);
        if (error != 0)
            return error;
        for (size_t at = 0; at < grid->count; at += 64) {
            size_t count = grid->count - at < 64 ? grid->count - at : 64;
            uint64_t present = column->present[at / 64];
            out->present[at / 64] |= present;
            if (present == UINT64_MAX >> (64 - count)) {
                for (size_t i = 0; i < count; i++)
                    counts[at + i] += 1;
                continue;
            }
            for (; present != 0; present &= present - 1)
                counts[at + (size_t)__builtin_ctzll(present)] += 1;
        }
    }
    for (size_t step = 0; step < grid->count; step++)
        out->values[step] = kind == AGGREGATE_COUNT ? counts[step] : counts[step] > 0;
    return 0;
}

/* Every group for itself. */
struct fold_loop {
    enum aggregation_kind kind;
    const struct grid *grid;
    const struct value *input;
    const struct groups *groups;
    struct column *columns; /* one a group */
};

/* Room for so many bytes a step, kept from group to group; NULL: there is none. */
static void *room_for(struct evaluation *mine, const struct grid *grid, size_t bytes)
{
    if (mine->steps_bytes < grid->count * bytes) {
        mine->steps = arena_alloc_raw(mine->arena, grid->count, bytes);
        mine->steps_bytes = mine->steps == NULL ? 0 : grid->count * bytes;
    }
    return mine->steps;
}

static int fold_one(struct evaluation *mine, void *context, size_t index)
{
    const struct fold_loop *loop = context;
    const struct group *group = &loop->groups->items[index];
    struct column *out = &loop->columns[index];
    void *room = room_for(mine, loop->grid, sizeof(struct accumulator)); /* the largest of all */
    int error = room == NULL ? ERR_NOMEM : column_init(mine, loop->grid, out);
    if (error != 0)
        return error;
    out->labels = group->labels;
    out->drop_name = group->drop_name;
    switch (loop->kind) {
    case AGGREGATE_SUM:
        return sum_group(mine, loop->grid, loop->input, group,
                         &(struct step_sums){room, (double *)room + loop->grid->count}, out);
    case AGGREGATE_COUNT:
    case AGGREGATE_GROUP:
        return count_group(mine, loop->kind, loop->grid, loop->input, group, room, out);
    default:
        return fold_group(mine, loop->kind, loop->grid, loop->input, group, room, out);
    }
}

static int fold(struct evaluation *ev, const struct node *node, const struct grid *grid,
                const struct value *input, const struct groups *groups, struct value *ret_value)
{
    int error = value_columns(ev, groups->count, ret_value);
    struct fold_loop loop = {node->aggregation->kind, grid, input, groups, ret_value->columns};
    if (error == 0)
        error = evaluate_shared(ev, groups->count, input->count * grid->count / FOLD_PART, fold_one,
                                &loop);
    ret_value->count = error == 0 ? groups->count : 0;
    return error;
}

int aggregation_evaluate(struct evaluation *ev, const struct node *node,
                         const struct grid *grid, struct value *ret_value)
{
    struct value input = {0};
    struct value parameter = {0};
    struct groups groups;

    int error = evaluate(ev, node->first, grid, &input);
    if (error == 0 && node->second != NULL)
        error = evaluate(ev, node->second, grid, &parameter);
    if (error == 0)
        error = make_groups(ev, node, &input, &groups);
    if (error != 0)
        return error;
    switch (node->aggregation->kind) {
    case AGGREGATE_TOPK:
    case AGGREGATE_BOTTOMK:
    case AGGREGATE_LIMITK:
    case AGGREGATE_LIMIT_RATIO:
        return aggregate_choose(ev, node, grid, &input, &groups, parameter.scalars, ret_value);
    case AGGREGATE_QUANTILE:
        return aggregate_quantile(ev, node, grid, &input, &groups, parameter.scalars,
                                  ret_value);
    case AGGREGATE_COUNT_VALUES:
        return aggregate_count_values(ev, node, grid, &input, &groups, parameter.string,
                                      ret_value);
    default:
        return fold(ev, node, grid, &input, &groups, ret_value);
    }
}
