/*
 * functions_window.c - a window slides over each series of a range, and a function looks at what
 * is in it.
 *
 * A series is decoded where it is slid over, if nobody else wants its samples.  Where it has no gaps and
 * steps are multiples of its interval, windows lie alike, and those functions that can make use of it
 * work out a column of them at once.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

#define ALIKE_MIN   4  /* windows; fewer are worked out one by one */
#define ALONE_STEPS 64 /* so many are, where one of those that lie alike had to be */
#define ALIKE_SAMPLES ((size_t)1 << 20) /* about, before it is looked whether anybody waits */

static void annotate_counter(struct evaluation *ev, const struct node *argument,
                             const struct labels *labels)
{
    static const char *const endings[] = {"_total", "_sum", "_count", "_bucket"};
    struct bytes name = labels_get_text(labels, LABEL_NAME);
    struct bytes type = ev->options->experimental ? labels_get_text(labels, "__type__")
                                                  : (struct bytes){NULL, 0};
    if (name.size == 0 || bytes_equal(type, bytes_of("counter")) ||
        bytes_equal(type, bytes_of("histogram")))
        return;
    if (type.size > 0) {
        annotate(ev, argument, false,
                 "metric might not be a counter, __type__ label is not set to \"counter\" or "
                 "\"histogram\", got \"%.*s\": \"%.*s\"",
                 (int)type.size, (const char *)type.data, (int)name.size,
                 (const char *)name.data);
        return;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t size = strlen(endings[i]);
        if (name.size >= size && memcmp(name.data + name.size - size, endings[i], size) == 0)
            return;
    }
    annotate(ev, argument, false,
             "metric might not be a counter, name does not end in "
             "_total/_sum/_count/_bucket: \"%.*s\"",
             (int)name.size, (const char *)name.data);
}

typedef bool window_call(struct window *window, double *ret_value);

static window_call *window_function(const struct node *call, const struct window *window)
{
    bool has_records = window->rolled != NULL && window->first < window->rolled->count &&
                       window->extension == EXTENSION_NONE;
    return has_records && call->function->rolled != NULL ? call->function->rolled
                                                         : call->function->window;
}

/* A function that knows nothing of records sees few samples, and says so. */
static void annotate_records(struct evaluation *ev, const struct node *call,
                             const struct value *matrix, const struct range_series *series)
{
    if (series->rolled != NULL && series->rolled->count > 0 &&
        (call->function->rolled == NULL || matrix->extension != EXTENSION_NONE))
        annotate(ev, call, false,
                 "%s() sees one sample of each bucket of a roll-up, the last",
                 call->function->name);
}

/* A series being slid over. */
struct sliding {
    struct evaluation *ev;
    const struct node *call;
    const struct grid *grid;
    const struct value *matrix;
    const struct range_series *series;
    struct window window;
    size_t first, next;   /* the window at the last step */
    size_t left, entered; /* how many it moved by there */
    size_t alone_until;   /* windows before this step are worked out one by one */
    size_t looked_at;
};

/* Sets the window of a step; false if it is empty. */
static bool move_to(struct sliding *sliding, size_t step)
{
    const struct value *matrix = sliding->matrix;
    const struct range_series *series = sliding->series;
    struct window *window = &sliding->window;
    window->until_ms = value_reference(matrix, sliding->grid, step);
    window->from_ms = window->until_ms - matrix->range_ms;
    window->eval_ms = grid_time(sliding->grid, step);
    sliding->next = times_pass(series->times_ms, series->count, sliding->next,
                               window->until_ms + matrix->after_ms, &sliding->entered);
    sliding->first = times_pass(series->times_ms, series->count, sliding->first,
                                window->from_ms - matrix->before_ms, &sliding->left);
    window->first = sliding->first;
    if (series->rolled != NULL && window->extension == EXTENSION_NONE)
        window->is_narrow = rolled_narrow(series, sliding->first, sliding->next, window->until_ms,
                                          matrix->range_ms, &window->first, &window->share);
    window->count = sliding->next - window->first;
    window->times_ms = series->times_ms + window->first;
    window->values = series->values + window->first;
    return window->count > 0;
}

/* How many windows, this one and those after it, lie alike in a series without gaps: until one ends
 * behind the last sample.  *ret_stride: samples from one to the next. */
static size_t count_alike(const struct sliding *sliding, size_t step, size_t *ret_stride)
{
    const struct range_series *series = sliding->series;
    const int64_t interval_ms = series->interval_ms;
    const int64_t step_ms = sliding->grid->step_ms;
    if (interval_ms == 0 || step_ms < interval_ms || step_ms % interval_ms != 0 ||
        sliding->matrix->fixed || sliding->window.extension != EXTENSION_NONE ||
        series->rolled != NULL ||
        (sliding->first == 0 && sliding->window.from_ms < series->times_ms[0] - interval_ms))
        return 0;
    const size_t stride = (size_t)(step_ms / interval_ms);
    const size_t by_samples = (series->count - sliding->next) / stride;
    const size_t by_steps = sliding->grid->count - 1 - step;
    *ret_stride = stride;
    return 1 + (by_samples < by_steps ? by_samples : by_steps);
}

static void set_present(struct column *column, size_t first, size_t count)
{
    for (size_t step = first; step < first + count;) {
        const size_t bit = step % 64;
        const size_t bits = 64 - bit < first + count - step ? 64 - bit : first + count - step;
        column->present[step / 64] |= UINT64_MAX >> (64 - bits) << bit;
        step += bits;
    }
}

/* Windows that lie alike, many at once; how many steps that were. */
static size_t slide_alike(struct sliding *sliding, size_t step,
                          const struct parameters *parameters, struct column *out)
{
    struct window *window = &sliding->window;
    size_t stride;
    if (sliding->call->function->alike == NULL || step < sliding->alone_until ||
        sliding->ev->looked_at_by_step != NULL)
        return 0;
    const size_t most = ALIKE_SAMPLES / window->count / ALIKE_MIN * ALIKE_MIN + ALIKE_MIN;
    size_t windows = count_alike(sliding, step, &stride);
    if (windows < ALIKE_MIN)
        return 0;
    if (windows > most)
        windows = most;
    window->parameter = parameters->count > 0 ? parameters->columns[0] + step : NULL;
    const size_t done =
        sliding->call->function->alike(window, stride, windows, out->values + step);
    sliding->alone_until = step + done + (done < windows ? ALONE_STEPS : 0);
    if (done == 0)
        return 0;
    set_present(out, step, done);
    sliding->looked_at += done * window->count;
    sliding->first += (done - 1) * stride;
    sliding->next += (done - 1) * stride;
    sliding->left = sliding->entered = stride;
    return done;
}

static int slide_one(struct sliding *sliding, size_t step, struct column *out)
{
    struct window *window = &sliding->window;
    double result;
    sliding->looked_at += window->count;
    if (sliding->ev->looked_at_by_step != NULL)
        evaluation_look(sliding->ev, sliding->grid, step, window->count);
    if (window_function(sliding->call, window)(window, &result))
        column_set(out, step, result);
    if (window->failed)
        return ERR_NOMEM;
    return step % 16 == 0 || window->count > 1000
               ? evaluation_tick_steps(sliding->ev, window->count)
               : 0;
}

/* Slides the window over one series while the steps go forward in time. */
static int slide(struct evaluation *ev, const struct node *call, const struct grid *grid,
                 const struct value *matrix, const struct range_series *series,
                 const struct parameters *parameters, struct column *out)
{
    double at_step[FUNCTION_PARAMETERS_MAX] = {0};
    struct sliding sliding = {.ev = ev,
                              .call = call,
                              .grid = grid,
                              .matrix = matrix,
                              .series = series,
                              .window = {.all_values = series->values,
                                         .all_count = series->count,
                                         .parameters = at_step,
                                         .extreme = SIZE_MAX,
                                         .rolled = series->rolled,
                                         .extension = matrix->extension,
                                         .ev = ev}};

    for (size_t step = 0; step < grid->count; step++) {
        if (!move_to(&sliding, step))
            continue;
        const size_t done = slide_alike(&sliding, step, parameters, out);
        int error = 0;
        if (sliding.window.failed)
            return ERR_NOMEM;
        if (done > 0) {
            step += done - 1;
            error = evaluation_tick_steps(ev, done * sliding.window.count);
        } else {
            parameters_at(parameters, step, at_step);
            error = slide_one(&sliding, step, out);
        }
        if (error != 0)
            return error;
    }
    if (ev->looked_at_by_step == NULL)
        evaluation_look(ev, grid, 0, sliding.looked_at);
    return 0;
}

static const struct node *matrix_argument(const struct node *call)
{
    const struct node *argument = call->first;
    while (argument->type != PROMQL_MATRIX)
        argument = argument->next;
    return argument;
}

static bool any_has(const struct value *value, size_t count, size_t step)
{
    for (size_t i = 0; i < count; i++)
        if (value->columns[i].values != NULL && column_has(&value->columns[i], step))
            return true;
    return false;
}

/* As Go's "%f" writes it. */
static const char *factor_text(double factor, char text[NUMBER_TEXT_BYTES])
{
    if (!isfinite(factor))
        return promql_number_general(factor, text);
    (void)snprintf(text, NUMBER_TEXT_BYTES, "%f", factor);
    return text;
}

/* What is to be said of scalar arguments, at steps where there was a window to use them on. */
static int judge_parameters(struct evaluation *ev, const struct node *call,
                            const struct grid *grid, const struct parameters *parameters,
                            const struct value *value, size_t count)
{
    const unsigned flags = call->function->flags;
    char text[NUMBER_TEXT_BYTES];
    for (size_t step = 0; (flags & FUNCTION_QUANTILE) != 0 && step < grid->count; step++) {
        const double quantile = parameters->columns[0][step];
        if (!(quantile >= 0 && quantile <= 1) && any_has(value, count, step))
            annotate(ev, call->first, true, "quantile value should be between 0 and 1, got %s",
                     promql_number_general(quantile, text));
    }
    for (size_t step = 0; (flags & FUNCTION_FACTORS) != 0 && step < grid->count; step++)
        for (size_t n = 0; n < 2; n++) {
            const double factor = parameters->columns[n][step];
            if ((factor <= 0 || factor >= 1) && any_has(value, count, step))
                return diagnose(ev->why, ERR_INVALID,
                                n == 0
                                    ? "invalid smoothing factor. Expected: 0 < sf < 1, got: %s"
                                    : "invalid trend factor. Expected: 0 < tf < 1, got: %s",
                                factor_text(factor, text));
        }
    return 0;
}

/* One window function over all series of a range. */
struct window_loop {
    const struct node *call;
    const struct grid *grid;
    const struct value *matrix;
    const struct parameters *parameters;
    struct column *columns; /* one a series; `values` stays NULL where there is no result */
};

static int window_one(struct evaluation *mine, void *context, size_t index)
{
    const struct window_loop *loop = context;
    struct range_series series;
    struct column column;
    int error = matrix_range(mine, loop->matrix, index, &series);
    if (error != 0 || series.count == 0)
        return error;
    error = column_init(mine, loop->grid, &column);
    if (error == 0)
        error = slide(mine, loop->call, loop->grid, loop->matrix, &series, loop->parameters,
                      &column);
    if (error != 0 || !column_any(&column, loop->grid))
        return error;
    column.labels = series.labels;
    column.drop_name = series.drop_name;
    loop->columns[index] = column;
    return 0;
}

static uint64_t window_cost(const struct grid *grid, const struct value *matrix)
{
    uint64_t cost = matrix->count * grid->count;
    if (matrix->unread != NULL)
        return cost + matrix->unread->samples;
    for (size_t i = 0; i < matrix->count; i++)
        cost += matrix->ranges[i].count;
    return cost;
}

/* Columns of the series that have any, and what there is to be said of each. */
static int keep_columns(struct evaluation *ev, const struct node *call, const struct grid *grid,
                        const struct value *matrix, struct value *value)
{
    const unsigned flags = call->function->flags;
    int error = 0;
    for (size_t i = 0; error == 0 && i < matrix->count; i++) {
        struct column *column = &value->columns[value->count];
        if (value->columns[i].values == NULL)
            continue;
        *column = value->columns[i];
        if (matrix->unread == NULL)
            annotate_records(ev, call, matrix, &matrix->ranges[i]);
        if ((flags & FUNCTION_COUNTER) != 0)
            annotate_counter(ev, matrix_argument(call), column->labels);
        if ((flags & FUNCTION_KEEPS_NAME) == 0)
            error = column_drop_name(ev, column);
        value->count++;
    }
    if (error != 0)
        return error;
    return ev->options->delayed_name_removal ? value_merge(ev, grid, value)
                                             : value_distinct(ev, value);
}

int window_evaluate(struct evaluation *ev, const struct node *call, const struct grid *grid,
                    struct value *ret_value)
{
    struct parameters parameters = {.count = 0};
    struct value matrix = {0};

    int error = evaluate_arguments(ev, call, grid, &parameters, &matrix);
    if (error == 0)
        error = value_columns(ev, matrix.count, ret_value);
    struct window_loop loop = {call, grid, &matrix, &parameters, ret_value->columns};
    const size_t count = error == 0 ? matrix.count : 0;
    int looped = evaluate_unread(ev, matrix.unread, count,
                                 error == 0 ? window_cost(grid, &matrix) : 0, window_one, &loop);
    if (error == 0)
        error = looped;
    if (error == 0)
        error = judge_parameters(ev, call, grid, &parameters, ret_value, count);
    return error == 0 ? keep_columns(ev, call, grid, &matrix, ret_value) : error;
}
