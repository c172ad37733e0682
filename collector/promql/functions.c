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

#define MAP(name)    map_##name, NULL, NULL, NULL, NULL
#define WINDOW(name) NULL, window_##name, NULL, NULL, NULL
#define ROLLED(name) NULL, window_##name, NULL, rolled_##name, NULL
#define ALIKE(name)  NULL, window_##name, NULL, rolled_##name, alike_##name
#define MULTIPLE(name) NULL, window_##name, NULL, NULL, alike_##name
#define WHOLE(name)  NULL, NULL, whole_##name, NULL, NULL
#define SAME(name)   NULL, window_##name, NULL, window_##name, NULL /* of records, too */

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
    {"avg_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ALIKE(avg_over_time),
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
    {"delta", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ALIKE(delta),
     "extrapolated difference of a gauge over the range"},
    {"deriv", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, MULTIPLE(deriv),
     "per-second slope by least squares"},
    {"double_exponential_smoothing", PROMQL_VECTOR,
     {PROMQL_MATRIX, PROMQL_SCALAR, PROMQL_SCALAR},
     3, 3, FUNCTION_EXPERIMENTAL | FUNCTION_FACTORS, WINDOW(double_exponential_smoothing),
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
    {"increase", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_COUNTER | FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ALIKE(increase),
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
     SAME(last_over_time), "newest sample"},
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
     MULTIPLE(predict_linear), "value in t seconds by least squares"},
    {"present_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, SAME(present_over_time),
     "1 where there is a sample"},
    {"quantile_over_time", PROMQL_VECTOR, {PROMQL_SCALAR, PROMQL_MATRIX},
     2, 2, FUNCTION_QUANTILE, WINDOW(quantile_over_time), "the sample at a rank"},
    {"rad", PROMQL_VECTOR, {PROMQL_VECTOR}, 1, 1, 0, MAP(rad), "degrees in radians"},
    {"range", PROMQL_SCALAR, {PROMQL_SCALAR}, 0, 0, FUNCTION_EXPERIMENTAL, WHOLE(range),
     "end less start of the query, in seconds"},
    {"rate", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, FUNCTION_COUNTER | FUNCTION_ANCHORED | FUNCTION_SMOOTHED, ALIKE(rate),
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
    {"sum_over_time", PROMQL_VECTOR, {PROMQL_MATRIX}, 1, 1, 0, ALIKE(sum_over_time),
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
     SAME(ts_of_last_over_time), "time of the newest sample"},
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

void parameters_at(const struct parameters *parameters, size_t step,
                   double out[FUNCTION_PARAMETERS_MAX])
{
    for (size_t i = 0; i < parameters->count; i++)
        out[i] = parameters->columns[i][step];
}

/* The samples of a range may be left unread for a function that looks at each series once. */
static int evaluate_argument(struct evaluation *ev, const struct node *call,
                             const struct node *argument, const struct grid *grid,
                             struct value *ret_value)
{
    const struct node *inner = node_unwrap(argument);
    if (call->function->window != NULL && inner->kind == NODE_MATRIX && ev->costs == NULL)
        return evaluate_matrix(ev, inner, grid, false, ret_value);
    return evaluate(ev, argument, grid, ret_value);
}

int evaluate_arguments(struct evaluation *ev, const struct node *call, const struct grid *grid,
                       struct parameters *parameters, struct value *ret_main)
{
    for (const struct node *argument = call->first; argument != NULL;
         argument = argument->next) {
        struct value value = {0};
        int error = evaluate_argument(ev, call, argument, grid, &value);
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

int function_evaluate(struct evaluation *ev, const struct node *call, const struct grid *grid,
                      struct value *ret_value)
{
    int error = extended_check(ev, call);
    if (error != 0)
        return error;
    if (call->function->map != NULL)
        return evaluate_map(ev, call, grid, ret_value);
    if (call->function->window != NULL)
        return window_evaluate(ev, call, grid, ret_value);
    return call->function->whole(ev, call, grid, ret_value);
}
