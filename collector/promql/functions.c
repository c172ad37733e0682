/*
 * functions.c - the table of functions, sorted by name, and how a row is put to work.
 */
#include "collector/promql/functions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define MAP(name)    map_##name, NULL, NULL, NULL
#define WINDOW(name) NULL, window_##name, NULL, NULL
#define ROLLED(name) NULL, window_##name, NULL, rolled_##name
#define WHOLE(name)  NULL, NULL, whole_##name, NULL

/* clang-format off */
static const struct function table[] = {
    {"abs", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(abs), "absolute value"},
    {"absent", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(absent),
     "1 where the vector is empty"},
    {"absent_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WHOLE(absent_over_time),
     "1 where the range holds no sample"},
    {"acos", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(acos), "arc cosine, in radians"},
    {"acosh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(acosh), "inverse hyperbolic cosine"},
    {"asin", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(asin), "arc sine, in radians"},
    {"asinh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(asinh), "inverse hyperbolic sine"},
    {"atan", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(atan), "arc tangent, in radians"},
    {"atanh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(atanh),
     "inverse hyperbolic tangent"},
    {"avg_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ROLLED(avg_over_time),
     "mean of the samples"},
    {"ceil", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(ceil), "rounded up to an integer"},
    {"changes", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_ANCHORED, ROLLED(changes),
     "how often the value changed"},
    {"clamp", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_SCALAR, PROMQL_SCALAR}, 3, 3, 0, MAP(clamp),
     "kept within min and max"},
    {"clamp_max", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_SCALAR}, 2, 2, 0, MAP(clamp_max),
     "at most max"},
    {"clamp_min", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_SCALAR}, 2, 2, 0, MAP(clamp_min),
     "at least min"},
    {"cos", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(cos), "cosine of radians"},
    {"cosh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(cosh), "hyperbolic cosine"},
    {"count_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ROLLED(count_over_time),
     "number of samples"},
    {"day_of_month", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND,
     MAP(day_of_month), "day of the month, 1..31, UTC"},
    {"day_of_week", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(day_of_week),
     "day of the week, 0 is Sunday, UTC"},
    {"day_of_year", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(day_of_year),
     "day of the year, 1..366, UTC"},
    {"days_in_month", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND,
     MAP(days_in_month), "days in the month, 28..31, UTC"},
    {"deg", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(deg), "radians in degrees"},
    {"delta", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ROLLED(delta),
     "extrapolated difference of a gauge over the range"},
    {"deriv", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WINDOW(deriv),
     "per-second slope by least squares"},
    {"double_exponential_smoothing", PROMQL_VECTOR,
     {PROMQL_MATRIX, PROMQL_SCALAR, PROMQL_SCALAR},
     3, 3, FUNCTION_EXPERIMENTAL, WINDOW(double_exponential_smoothing),
     "smoothed value with trend (Holt)"},
    {"end", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_EXPERIMENTAL, WHOLE(end),
     "end of the query, in seconds"},
    {"exp", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(exp), "e to the power"},
    {"first_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_KEEPS_NAME,
     ROLLED(first_over_time), "oldest sample"},
    {"floor", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(floor),
     "rounded down to an integer"},
    {"histogram_avg", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(empty),
     "of native histograms; empty for other samples"},
    {"histogram_count", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(empty),
     "of native histograms; empty for other samples"},
    {"histogram_fraction", PROMQL_VECTOR, {PROMQL_SCALAR, PROMQL_SCALAR, PROMQL_VECTOR},
     3, 3, 0, WHOLE(histogram_fraction), "share of a histogram between two values"},
    {"histogram_quantile", PROMQL_VECTOR, {PROMQL_SCALAR, PROMQL_VECTOR}, 2, 2, 0,
     WHOLE(histogram_quantile), "quantile of a histogram by its buckets"},
    {"histogram_quantiles", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_STRING, PROMQL_SCALAR, PROMQL_SCALAR},
     3, 2 + HISTOGRAM_QUANTILES_MAX, FUNCTION_EXPERIMENTAL, WHOLE(histogram_quantiles),
     "several quantiles of a histogram, each labelled with its own"},
    {"histogram_stddev", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(empty),
     "of native histograms; empty for other samples"},
    {"histogram_stdvar", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(empty),
     "of native histograms; empty for other samples"},
    {"histogram_sum", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(empty),
     "of native histograms; empty for other samples"},
    {"hour", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(hour),
     "hour of the day, 0..23, UTC"},
    {"idelta", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WINDOW(idelta),
     "difference of the last two samples"},
    {"increase", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_COUNTER | FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ROLLED(increase),
     "extrapolated increase of a counter over the range"},
    {"info", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_VECTOR}, 1, 2, FUNCTION_EXPERIMENTAL,
     WHOLE(info), "with the labels of its info metrics"},
    {"irate", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WINDOW(irate),
     "per-second increase by the last two samples of a counter"},
    {"label_join", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING},
     3, FUNCTION_UNLIMITED, 0, WHOLE(label_join), "labels joined into one by a separator"},
    {"label_replace", PROMQL_VECTOR,
     {PROMQL_VECTOR, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING},
     5, 5, 0, WHOLE(label_replace), "a label made of another by a pattern"},
    {"last_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_KEEPS_NAME,
     NULL, window_last_over_time, NULL, window_last_over_time, "newest sample"},
    {"ln", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(ln), "natural logarithm"},
    {"log10", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(log10), "decimal logarithm"},
    {"log2", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(log2), "binary logarithm"},
    {"mad_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_EXPERIMENTAL,
     WINDOW(mad_over_time), "median absolute deviation"},
    {"max_of", PROMQL_SCALAR, {PROMQL_SCALAR}, 2, 2, FUNCTION_EXPERIMENTAL, WHOLE(max_of),
     "the larger of two scalars"},
    {"max_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ROLLED(max_over_time),
     "largest sample"},
    {"min_of", PROMQL_SCALAR, {PROMQL_SCALAR}, 2, 2, FUNCTION_EXPERIMENTAL, WHOLE(min_of),
     "the smaller of two scalars"},
    {"min_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ROLLED(min_over_time),
     "smallest sample"},
    {"minute", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(minute),
     "minute of the hour, 0..59, UTC"},
    {"month", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(month),
     "month of the year, 1..12, UTC"},
    {"pi", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, 0, WHOLE(pi), "3.14159..."},
    {"predict_linear", PROMQL_VECTOR, {PROMQL_MATRIX, PROMQL_SCALAR}, 2, 2, FUNCTION_TIME_BOUND,
     WINDOW(predict_linear), "value in t seconds by least squares"},
    {"present_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, NULL, window_present_over_time, NULL, window_present_over_time,
     "1 where there is a sample"},
    {"quantile_over_time", PROMQL_VECTOR, {PROMQL_SCALAR, PROMQL_MATRIX},
     2, 2, FUNCTION_QUANTILE, WINDOW(quantile_over_time), "the sample at a rank"},
    {"rad", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(rad), "degrees in radians"},
    {"range", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_EXPERIMENTAL, WHOLE(range),
     "end less start of the query, in seconds"},
    {"rate", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_COUNTER | FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ROLLED(rate),
     "per-second increase of a counter over the range"},
    {"resets", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_ANCHORED, ROLLED(resets),
     "how often a counter was reset"},
    {"round", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_SCALAR}, 1, 2, 0, MAP(round),
     "rounded to the nearest multiple, of 1 if not told"},
    {"scalar", PROMQL_SCALAR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(scalar),
     "the only sample of the vector, else NaN"},
    {"sgn", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(sgn), "sign: -1, 0 or 1"},
    {"sin", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(sin), "sine of radians"},
    {"sinh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(sinh), "hyperbolic sine"},
    {"sort", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(sort), "ordered by value"},
    {"sort_by_label", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_STRING},
     1, FUNCTION_UNLIMITED, FUNCTION_EXPERIMENTAL, WHOLE(sort_by_label), "ordered by labels"},
    {"sort_by_label_desc", PROMQL_VECTOR, {PROMQL_VECTOR, PROMQL_STRING},
     1, FUNCTION_UNLIMITED, FUNCTION_EXPERIMENTAL, WHOLE(sort_by_label_desc),
     "ordered by labels, last first"},
    {"sort_desc", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, WHOLE(sort_desc),
     "ordered by value, largest first"},
    {"sqrt", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(sqrt), "square root"},
    {"start", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_EXPERIMENTAL, WHOLE(start),
     "start of the query, in seconds"},
    {"start_timestamp", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, FUNCTION_EXPERIMENTAL,
     WHOLE(empty), "start time of the sample; none is stored, so nothing"},
    {"stddev_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WINDOW(stddev_over_time),
     "population standard deviation"},
    {"stdvar_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, WINDOW(stdvar_over_time),
     "population variance"},
    {"step", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_EXPERIMENTAL, WHOLE(step),
     "step of the query, in seconds"},
    {"sum_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ROLLED(sum_over_time),
     "sum of the samples"},
    {"tan", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(tan), "tangent of radians"},
    {"tanh", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(tanh), "hyperbolic tangent"},
    {"time", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_TIME_BOUND, WHOLE(time),
     "the evaluation time, in seconds"},
    {"timestamp", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, FUNCTION_TIME_BOUND, WHOLE(timestamp),
     "time of the sample, in seconds"},
    {"ts_of_first_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_EXPERIMENTAL,
     ROLLED(ts_of_first_over_time), "time of the oldest sample"},
    {"ts_of_last_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_EXPERIMENTAL,
     NULL, window_ts_of_last_over_time, NULL, window_ts_of_last_over_time, "time of the newest sample"},
    {"ts_of_max_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_EXPERIMENTAL,
     WINDOW(ts_of_max_over_time), "time of the largest sample"},
    {"ts_of_min_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_EXPERIMENTAL,
     WINDOW(ts_of_min_over_time), "time of the smallest sample"},
    {"vector", PROMQL_VECTOR, {PROMQL_SCALAR}, 1, 1, 0, WHOLE(vector),
     "the scalar as a vector without labels"},
    {"year", PROMQL_VECTOR, {PROMQL_VECTOR}, 0, 1, FUNCTION_TIME_BOUND, MAP(year), "year, UTC"},
};
/* clang-format on */

static int order_of_names(const void *key, const void *row)
{
    return bytes_compare(*(const struct bytes *)key,
                         bytes_of(((const struct function *)row)->name));
}

const struct function *function_find(struct bytes name)
{
    return bsearch(&name, table, sizeof table / sizeof table[0], sizeof table[0],
                   order_of_names);
}

const struct function *function_table(size_t *ret_count)
{
    *ret_count = sizeof table / sizeof table[0];
    return table;
}

enum promql_type function_argument_type(const struct function *function, size_t index)
{
    size_t last = 0;
    if (function->max_args == FUNCTION_UNLIMITED || function->max_args > FUNCTION_TYPES_MAX) {
        /* The last type listed repeats: one past the least if only it is optional. */
        last = (size_t)function->min_args;
        return function->types[index < last ? index : last];
    }
    must(index < FUNCTION_TYPES_MAX);
    return function->types[index];
}

/* The scalar arguments of a call, each a column over the grid. */
struct parameters {
    const double *columns[FUNCTION_PARAMETERS_MAX];
    size_t count;
};

static void parameters_at(const struct parameters *parameters, size_t step,
                          double out[FUNCTION_PARAMETERS_MAX])
{
    for (size_t i = 0; i < parameters->count; i++)
        out[i] = parameters->columns[i][step];
}

/* Evaluates the scalars into `parameters` and the one other argument into `*ret_main`. */
static int evaluate_arguments(struct evaluation *ev, const struct node *call,
                              const struct grid *grid, struct parameters *parameters,
                              struct value *ret_main)
{
    for (const struct node *argument = call->first; argument != NULL;
         argument = argument->next) {
        struct value value = {0};
        int error = evaluate(ev, argument, grid, &value);
        if (error != 0)
            return error;
        if (argument->type != PROMQL_SCALAR) {
            *ret_main = value;
            continue;
        }
        must(parameters->count < FUNCTION_PARAMETERS_MAX);
        parameters->columns[parameters->count++] = value.scalars;
    }
    return 0;
}

/* Date functions without an argument are of vector(time()), round() is to 1. */
static int add_defaults(struct evaluation *ev, const struct node *call, const struct grid *grid,
                        struct parameters *parameters, struct value *main_value)
{
    double *numbers = arena_alloc(ev->arena, grid->count, sizeof *numbers);
    if (numbers == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++)
        numbers[step] =
            call->argument_count == 0 ? (double)grid_time(grid, step) / 1000.0 : 1.0;
    if (call->argument_count > 0) {
        parameters->columns[parameters->count++] = numbers;
        return 0;
    }
    int error = value_columns(ev, 1, main_value);
    if (error == 0)
        error = column_init(ev, grid, &main_value->columns[0]);
    if (error == 0)
        error = labels_build(NULL, 0, ev->arena, &main_value->columns[0].labels);
    for (size_t step = 0; error == 0 && step < grid->count; step++)
        column_set(&main_value->columns[0], step, numbers[step]);
    main_value->count = error == 0;
    return error;
}

static int evaluate_map(struct evaluation *ev, const struct node *call, const struct grid *grid,
                        struct value *ret_value)
{
    struct parameters parameters = {.count = 0};
    double at_step[FUNCTION_PARAMETERS_MAX] = {0};
    size_t kept = 0;

    int error = evaluate_arguments(ev, call, grid, &parameters, ret_value);
    if (error == 0 && call->function->max_args != (int)call->argument_count)
        error = add_defaults(ev, call, grid, &parameters, ret_value);
    for (size_t i = 0; error == 0 && i < ret_value->count; i++) {
        struct column *column = &ret_value->columns[i];
        error = evaluation_tick_steps(ev, grid->count);
        for (size_t step = 0; step < grid->count; step++) {
            if (!column_has(column, step))
                continue;
            parameters_at(&parameters, step, at_step);
            if (!call->function->map(column->values[step], at_step, &column->values[step]))
                column_clear(column, step);
        }
        if (error == 0)
            error = column_drop_name(ev, column);
        if (column_any(column, grid))
            ret_value->columns[kept++] = *column;
    }
    ret_value->count = kept;
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

static void annotate_counter(struct evaluation *ev, const struct node *argument,
                             const struct range_series *series)
{
    static const char *const endings[] = {"_total", "_sum", "_count", "_bucket"};
    struct bytes name = labels_get_text(series->labels, LABEL_NAME);
    struct bytes type = ev->options->experimental ? labels_get_text(series->labels, "__type__")
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

/* The first sample from `at` on that lies behind `until_ms`; mostly as many are passed as the time
 * before. */
static size_t pass(const struct range_series *series, size_t at, int64_t until_ms, size_t *passed)
{
    const int64_t *times_ms = series->times_ms;
    size_t next = at + *passed;
    if (next <= series->count && next > at && times_ms[next - 1] <= until_ms) {
        if (next == series->count || times_ms[next] > until_ms)
            return next;
    } else {
        next = at;
    }
    while (next < series->count && times_ms[next] <= until_ms)
        next++;
    *passed = next - at;
    return next;
}

/* Slides the window over one series while the steps go forward in time. */
static int slide(struct evaluation *ev, const struct node *call, const struct grid *grid,
                 const struct value *matrix, const struct range_series *series,
                 const struct parameters *parameters, struct column *out)
{
    double at_step[FUNCTION_PARAMETERS_MAX] = {0};
    struct window window = {.all_values = series->values,
                            .all_count = series->count,
                            .parameters = at_step,
                            .extreme = SIZE_MAX,
                            .rolled = series->rolled,
                            .extension = matrix->extension,
                            .ev = ev};
    size_t first = 0, next = 0;
    size_t left = 0, entered = 0; /* the window at the last step */
    size_t looked_at = 0;

    for (size_t step = 0; step < grid->count; step++) {
        double result;
        window.until_ms = value_reference(matrix, grid, step);
        window.from_ms = window.until_ms - matrix->range_ms;
        window.eval_ms = grid_time(grid, step);
        next = pass(series, next, window.until_ms + matrix->after_ms, &entered);
        first = pass(series, first, window.from_ms - matrix->before_ms, &left);
        window.first = first;
        if (series->rolled != NULL && window.extension == EXTENSION_NONE)
            window.is_narrow = rolled_narrow(series, first, next, window.until_ms,
                                             matrix->range_ms, &window.first, &window.share);
        if (window.first == next)
            continue;
        window.count = next - window.first;
        looked_at += window.count;
        if (ev->looked_at_by_step != NULL)
            evaluation_look(ev, grid, step, window.count);
        window.times_ms = series->times_ms + window.first;
        window.values = series->values + window.first;
        parameters_at(parameters, step, at_step);
        if (window_function(call, &window)(&window, &result))
            column_set(out, step, result);
        if (window.failed)
            return ERR_NOMEM;
        int error =
            step % 16 == 0 || window.count > 1000 ? evaluation_tick_steps(ev, window.count) : 0;
        if (error != 0)
            return error;
    }
    if (ev->looked_at_by_step == NULL)
        evaluation_look(ev, grid, 0, looked_at);
    return 0;
}

static const struct node *matrix_argument(const struct node *call)
{
    const struct node *argument = call->first;
    while (argument->type != PROMQL_MATRIX)
        argument = argument->next;
    return argument;
}

static void annotate_quantiles(struct evaluation *ev, const struct node *call,
                               const struct grid *grid, const double *quantiles)
{
    char text[NUMBER_TEXT_BYTES];
    for (size_t step = 0; step < grid->count; step++)
        if (isnan(quantiles[step]) || quantiles[step] < 0 || quantiles[step] > 1)
            annotate(ev, call->first, true, "quantile value should be between 0 and 1, got %s",
                     promql_number_general(quantiles[step], text));
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
    const struct range_series *series = &loop->matrix->ranges[index];
    struct column column;
    int error = column_init(mine, loop->grid, &column);
    if (error == 0)
        error = slide(mine, loop->call, loop->grid, loop->matrix, series, loop->parameters,
                      &column);
    if (error != 0 || !column_any(&column, loop->grid))
        return error;
    column.labels = series->labels;
    column.drop_name = series->drop_name;
    loop->columns[index] = column;
    return 0;
}

static uint64_t window_cost(const struct grid *grid, const struct value *matrix)
{
    uint64_t cost = 0;
    for (size_t i = 0; i < matrix->count; i++)
        cost += matrix->ranges[i].count + grid->count;
    return cost;
}

static int evaluate_window(struct evaluation *ev, const struct node *call,
                           const struct grid *grid, struct value *ret_value)
{
    struct parameters parameters = {.count = 0};
    struct value matrix = {0};
    const unsigned flags = call->function->flags;

    int error = evaluate_arguments(ev, call, grid, &parameters, &matrix);
    if (error == 0)
        error = value_columns(ev, matrix.count, ret_value);
    if (error == 0 && (flags & FUNCTION_QUANTILE) != 0)
        annotate_quantiles(ev, call, grid, parameters.columns[0]);
    struct window_loop loop = {call, grid, &matrix, &parameters, ret_value->columns};
    if (error == 0)
        error = evaluate_shared(ev, matrix.count, window_cost(grid, &matrix), window_one, &loop);
    for (size_t i = 0; error == 0 && i < matrix.count; i++) {
        const struct range_series *series = &matrix.ranges[i];
        struct column *column = &ret_value->columns[ret_value->count];
        if (ret_value->columns[i].values == NULL)
            continue;
        *column = ret_value->columns[i];
        annotate_records(ev, call, &matrix, series);
        if ((flags & FUNCTION_COUNTER) != 0)
            annotate_counter(ev, matrix_argument(call), series);
        if ((flags & FUNCTION_KEEPS_NAME) == 0)
            error = column_drop_name(ev, column);
        ret_value->count++;
    }
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

int function_evaluate(struct evaluation *ev, const struct node *call, const struct grid *grid,
                      struct value *ret_value)
{
    int error = extended_check(ev, call);
    if (error != 0)
        return error;
    if (call->function->map != NULL)
        return evaluate_map(ev, call, grid, ret_value);
    if (call->function->window != NULL)
        return evaluate_window(ev, call, grid, ret_value);
    return call->function->whole(ev, call, grid, ret_value);
}
