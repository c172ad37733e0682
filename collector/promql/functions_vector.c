/*
 * functions_vector.c - between scalars and vectors, and what is not there.
 */
#include <math.h>
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

static int one_column(struct evaluation *ev, const struct grid *grid,
                      struct column **ret_column, struct value *ret_value)
{
    int error = value_columns(ev, 1, ret_value);
    if (error == 0)
        error = column_init(ev, grid, &ret_value->columns[0]);
    if (error == 0)
        error = labels_build(NULL, 0, ev->arena, &ret_value->columns[0].labels);
    if (error == 0) {
        ret_value->count = 1;
        *ret_column = &ret_value->columns[0];
    }
    return error;
}

WHOLE_FUNCTION(pi)
{
    double *scalars = arena_alloc(ev->arena, grid->count, sizeof *scalars);
    (void)call;
    if (scalars == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++)
        scalars[step] = 3.14159265358979323846;
    *ret_value = (struct value){.type = PROMQL_SCALAR, .scalars = scalars};
    return 0;
}

static int choose(struct evaluation *ev, const struct node *call, const struct grid *grid,
                  bool larger, struct value *ret_value)
{
    struct value other = {0};
    int error = evaluate(ev, call->first, grid, ret_value);
    if (error == 0)
        error = evaluate(ev, call->first->next, grid, &other);
    for (size_t step = 0; error == 0 && step < grid->count; step++) {
        double a = ret_value->scalars[step];
        double b = other.scalars[step];
        if (isnan(a) || isnan(b))
            ret_value->scalars[step] = (double)NAN;
        else
            ret_value->scalars[step] = larger == (a > b) ? a : b;
    }
    return error;
}

WHOLE_FUNCTION(max_of)
{
    return choose(ev, call, grid, true, ret_value);
}

WHOLE_FUNCTION(min_of)
{
    return choose(ev, call, grid, false, ret_value);
}

WHOLE_FUNCTION(scalar)
{
    struct value vector = {0};
    int error = evaluate(ev, call->first, grid, &vector);
    double *scalars = arena_alloc(ev->arena, grid->count, sizeof *scalars);

    if (error == 0 && scalars == NULL)
        error = ERR_NOMEM;
    if (error != 0)
        return error;
    for (size_t step = 0; step < grid->count; step++) {
        size_t found = 0;
        for (size_t i = 0; i < vector.count && found < 2; i++)
            if (column_has(&vector.columns[i], step)) {
                scalars[step] = vector.columns[i].values[step];
                found++;
            }
        if (found != 1)
            scalars[step] = (double)NAN;
    }
    *ret_value = (struct value){.type = PROMQL_SCALAR, .scalars = scalars};
    return 0;
}

WHOLE_FUNCTION(vector)
{
    struct value scalar = {0};
    struct column *column = NULL;
    int error = evaluate(ev, call->first, grid, &scalar);
    if (error == 0)
        error = one_column(ev, grid, &column, ret_value);
    for (size_t step = 0; error == 0 && step < grid->count; step++)
        column_set(column, step, scalar.scalars[step]);
    return error;
}

/* Can a series have this label at all?  A query's strings may hold any bytes. */
static bool is_label(const struct matcher *matcher)
{
    struct bytes name = matcher->name;
    struct bytes value = matcher->value;
    return name.size <= NAME_BYTES_MAX && value.size <= LABEL_VALUE_BYTES_MAX &&
           utf8_is_valid(value) && memchr(name.data, 0, name.size) == NULL &&
           memchr(value.data, 0, value.size) == NULL;
}

/* The labels that the equality matchers of a selector promise; a label that is matched again
 * promises nothing. */
static int promised_labels(struct evaluation *ev, const struct node *argument,
                           const struct labels **ret_labels)
{
    const struct node *selector = node_unwrap(argument);
    if (selector->kind == NODE_MATRIX)
        selector = selector->first;
    labels_builder_reset(&ev->builder, NULL);
    size_t count = selector->kind == NODE_SELECTOR ? selector->matcher_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct matcher *matcher = selector->matchers[i];
        bool again = false; /* was there an equality for it before? */
        if (bytes_equal(matcher->name, bytes_of(LABEL_NAME)))
            continue;
        for (size_t n = 0; n < i; n++)
            again = again || (selector->matchers[n]->kind == MATCH_EQUAL &&
                              bytes_equal(selector->matchers[n]->name, matcher->name));
        if (matcher->kind == MATCH_EQUAL && !again && is_label(matcher))
            labels_builder_set(&ev->builder, matcher->name, matcher->value);
        else
            labels_builder_delete(&ev->builder, matcher->name);
    }
    return labels_builder_build(&ev->builder, ev->arena, ret_labels);
}

/* 1 at the steps that have no bit. */
static int where_absent(struct evaluation *ev, const struct node *argument,
                        const struct grid *grid, const uint64_t *present,
                        struct value *ret_value)
{
    struct column *column = NULL;
    int error = one_column(ev, grid, &column, ret_value);
    if (error == 0)
        error = promised_labels(ev, argument, &column->labels);
    if (error != 0)
        return error;
    for (size_t step = 0; step < grid->count; step++)
        if ((present[step / 64] >> (step % 64) & 1) == 0)
            column_set(column, step, 1);
    ret_value->count = column_any(column, grid);
    return 0;
}

WHOLE_FUNCTION(absent)
{
    struct value vector = {0};
    size_t words = (grid->count + 63) / 64;
    uint64_t *present = arena_alloc(ev->arena, words, sizeof *present);
    int error = present == NULL ? ERR_NOMEM : evaluate(ev, call->first, grid, &vector);

    if (error != 0)
        return error;
    for (size_t i = 0; i < vector.count; i++)
        for (size_t word = 0; word < words; word++)
            present[word] |= vector.columns[i].present[word];
    return where_absent(ev, call->first, grid, present, ret_value);
}

WHOLE_FUNCTION(absent_over_time)
{
    struct value matrix = {0};
    uint64_t *present = arena_alloc(ev->arena, (grid->count + 63) / 64, sizeof *present);
    int error = present == NULL ? ERR_NOMEM : evaluate(ev, call->first, grid, &matrix);

    for (size_t i = 0; error == 0 && i < matrix.count; i++) {
        const struct range_series *series = &matrix.ranges[i];
        size_t next = 0;
        error = evaluation_tick(ev);
        for (size_t step = 0; error == 0 && step < grid->count; step++) {
            int64_t until_ms = value_reference(&matrix, grid, step);
            while (next < series->count && series->times_ms[next] <= until_ms)
                next++;
            if (next > 0 && series->times_ms[next - 1] > until_ms - matrix.range_ms)
                present[step / 64] |= UINT64_C(1) << (step % 64);
        }
    }
    return error == 0 ? where_absent(ev, call->first, grid, present, ret_value) : error;
}

/* Of native histograms, or of start times: the samples here are floats that have none, and are
 * left out. */
WHOLE_FUNCTION(empty)
{
    struct value vector = {0};
    int error = evaluate(ev, call->first, grid, &vector);
    return error == 0 ? value_columns(ev, 0, ret_value) : error;
}
