/*
 * test_functions.c - the table of functions, and single values of what it computes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/functions.h"
#include "tests/promql/memory_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void rows_are_sorted_complete_and_found(void **state)
{
    (void)state;
    size_t count;
    const struct function *table = function_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct function *row = &table[i];
        assert_ptr_equal(function_find(bytes_of(row->name)), row);
        assert_true(i == 0 || strcmp(table[i - 1].name, row->name) < 0);
        assert_int_equal((row->map != NULL) + (row->window != NULL) + (row->whole != NULL), 1);
        assert_true(row->max_args == FUNCTION_UNLIMITED || row->min_args <= row->max_args);
        assert_true(strlen(row->help) > 5);
    }
    assert_null(function_find(bytes_of("nonsense")));
}

/* The stable functions of Prometheus 3. */
static const char *const stable_names[] = {
    "abs", "absent", "absent_over_time", "acos", "acosh", "asin", "asinh", "atan", "atanh",
    "avg_over_time", "ceil", "changes", "clamp", "clamp_max", "clamp_min", "cos", "cosh",
    "count_over_time", "days_in_month", "day_of_month", "day_of_week", "day_of_year", "deg",
    "delta", "deriv", "exp", "first_over_time", "floor", "histogram_avg", "histogram_count",
    "histogram_fraction", "histogram_quantile", "histogram_stddev", "histogram_stdvar",
    "histogram_sum", "hour", "idelta", "increase", "irate", "label_join", "label_replace",
    "last_over_time", "ln", "log10", "log2", "max_over_time", "min_over_time", "minute",
    "month", "pi", "predict_linear", "present_over_time", "quantile_over_time", "rad", "rate",
    "resets", "round", "scalar", "sgn", "sin", "sinh", "sort", "sort_desc", "sqrt",
    "stddev_over_time", "stdvar_over_time", "sum_over_time", "tan", "tanh", "time",
    "timestamp", "vector", "year",
};

static void every_stable_function_is_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stable_names); i++) {
        const struct function *row = function_find(bytes_of(stable_names[i]));
        if (row == NULL || (row->flags & FUNCTION_EXPERIMENTAL) != 0)
            fail_msg("%s", stable_names[i]);
    }
    static const char *const operators[] = {"sum",  "avg",     "count",    "min",
                                            "max",  "group",   "stddev",   "stdvar",
                                            "topk", "bottomk", "quantile", "count_values"};
    for (size_t i = 0; i < COUNT_OF(operators); i++)
        assert_non_null(aggregation_find(bytes_of(operators[i])));
}

/* Scalars at 2024-02-29 12:34:56 UTC. */
static void single_values_are_right(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"scalar(minute())", 34},
        {"scalar(hour())", 12},
        {"scalar(day_of_week())", 4},
        {"scalar(day_of_month())", 29},
        {"scalar(day_of_year())", 60},
        {"scalar(days_in_month())", 29},
        {"scalar(month())", 2},
        {"scalar(year())", 2024},
        {"scalar(year(vector(-1)))", 1969},
        {"scalar(day_of_year(vector(-1)))", 365},
        {"scalar(day_of_week(vector(-86400 * 5)))", 6},
        {"scalar(month(vector(-62135596800)))", 1},
        {"scalar(year(vector(-62135596800)))", 1},
        {"scalar(days_in_month(vector(4107456000)))", 28}, /* 2100 is no leap year */
        {"scalar(day_of_year(vector(4133894400)))", 365},
        {"time()", 1709210096},
        {"scalar(timestamp(vector(1)))", 1709210096},
        {"pi()", 3.141592653589793},
        {"scalar(round(vector(2.5)))", 3},
        {"scalar(round(vector(-2.5)))", -2},
        {"scalar(round(vector(0.35), 0.1))", 0.4},
        {"scalar(clamp(vector(5), 1, 3))", 3},
        {"scalar(clamp(vector(5), 3, 1))", (double)NAN},
        {"scalar(clamp_min(vector(NaN), 1))", (double)NAN},
        {"scalar(sgn(vector(-0.5)))", -1},
        {"scalar(deg(vector(pi())))", 180},
        {"scalar(log2(vector(8)))", 3},
        {"-5 % 3", -2},
        {"5 atan2 0", 1.5707963267948966},
        {"2 ^ -1", 0.5},
        {"1 / 0", HUGE_VAL},
        {"5 >= bool 5", 1},
        {"scalar(absent(nothing))", 1},
        {"scalar(sum(vector(1e308) or label_replace(vector(1e308), \"a\", \"b\", \"\", \"\")))",
         HUGE_VAL},
        {"scalar(avg(vector(1e308) or label_replace(vector(1e308), \"a\", \"b\", \"\", \"\")))",
         1e308},
        {"scalar(sum_over_time(vector(0.1)[10m:1m]))", 1},
        {"scalar(stddev(vector(2) or label_replace(vector(4), \"a\", \"b\", \"\", \"\")))", 1},
    };
    struct memory_store store;
    memory_store_init(&store);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct promql_options options = {.lookback_ms = 300000,
                                               .default_step_ms = 60000,
                                               .max_samples = 1000,
                                               .max_memory_bytes = 1 << 20};
        struct promql_query query = {.text = cases[i].text,
                                     .start_ms = INT64_C(1709210096000),
                                     .end_ms = INT64_C(1709210096000)};
        struct promql_result result;
        struct promql_error error;
        if (promql_run(&options, &store.queryable, &query, &result, &error) != 0)
            fail_msg("%s: %s", cases[i].text, error.why.text);
        assert_int_equal(result.type, PROMQL_SCALAR);
        double value = result.series[0].values[0];
        bool same = isnan(cases[i].value)
                        ? isnan(value)
                        : value == cases[i].value ||
                              fabs(value - cases[i].value) < 1e-14 * fabs(cases[i].value);
        if (!same)
            fail_msg("%s is %.17g", cases[i].text, value);
        promql_result_done(&result);
    }
    memory_store_clear(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_complete_and_found),
        cmocka_unit_test(every_stable_function_is_there),
        cmocka_unit_test(single_values_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
