/*
 * test_eval.c - what surrounds a query: limits, cancellation, results, and sliding windows
 * against windows looked at one by one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "tests/promql/memory_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define STEP_MS         15000
#define SAMPLES         400

static const struct promql_options defaults = {
    .lookback_ms = 300000,
    .default_step_ms = 60000,
    .max_samples = 1000000,
    .max_memory_bytes = (size_t)64 << 20,
};

static struct memory_store store;

/* Counters with resets, gaps, stale markers and NaNs, from a fixed seed. */
static int fill_store(void **state)
{
    uint32_t random = 12345;
    const uint64_t stale_bits = STALE_NAN_BITS;
    double stale;
    (void)state;
    memcpy(&stale, &stale_bits, sizeof stale);
    memory_store_init(&store);
    for (size_t n = 0; n < 4; n++) {
        char host[8];
        size_t number;
        double value = 0;
        (void)snprintf(host, sizeof host, "h%zu", n);
        struct label pairs[] = {{bytes_of("__name__"), bytes_of("c_total")},
                                {bytes_of("host"), bytes_of(host)}};
        assert_int_equal(memory_store_series(&store, pairs, 2, &number), 0);
        for (int64_t i = 0; i < SAMPLES; i++) {
            random = random * 1664525 + 1013904223;
            unsigned dice = random >> 24;
            if (dice < 12)
                continue;
            value = dice < 18 ? 0 : value + (double)(dice % 7);
            double sample = dice == 20 ? stale : n == 3 && dice == 21 ? (double)NAN : value;
            assert_int_equal(memory_store_put(&store, number, i * STEP_MS + dice % 5, sample),
                             0);
        }
    }
    return 0;
}

static int empty_store(void **state)
{
    (void)state;
    memory_store_clear(&store);
    return 0;
}

static int run(const char *text, int64_t start_ms, int64_t end_ms, int64_t step_ms,
               const struct promql_options *options, struct promql_result *result,
               struct promql_error *error)
{
    struct promql_query query = {
        .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms};
    return promql_run(options, &store.queryable, &query, result, error);
}

/* The value of a series at a time, or false. */
static bool value_at(const struct promql_result *result, const struct labels *labels,
                     int64_t time_ms, double *ret_value)
{
    for (size_t i = 0; i < result->series_count; i++) {
        if (!labels_equal(result->series[i].labels, labels))
            continue;
        for (size_t n = 0; n < result->series[i].count; n++)
            if (result->series[i].times_ms[n] == time_ms) {
                *ret_value = result->series[i].values[n];
                return true;
            }
    }
    return false;
}

static void compare_with_instants(const char *text)
{
    const int64_t start = 600000;
    const int64_t end = 5400000;
    const int64_t step = 37000;
    struct promql_result range;
    struct promql_error error;
    size_t points = 0;
    size_t matched = 0;
    if (run(text, start, end, step, &defaults, &range, &error) != 0)
        fail_msg("%s: %s", text, error.why.text);
    for (size_t i = 0; i < range.series_count; i++)
        points += range.series[i].count;
    for (int64_t t = start; t <= end; t += step) {
        struct promql_result instant;
        if (run(text, t, t, 0, &defaults, &instant, &error) != 0)
            fail_msg("%s: %s", text, error.why.text);
        for (size_t i = 0; i < instant.series_count; i++) {
            double value;
            if (!value_at(&range, instant.series[i].labels, t, &value) ||
                memcmp(&value, instant.series[i].values, sizeof value) != 0)
                if (!(isnan(value) && isnan(instant.series[i].values[0])))
                    fail_msg("%s at %lld: %.17g, alone %.17g", text, (long long)t, value,
                             instant.series[i].values[0]);
            matched++;
        }
        promql_result_done(&instant);
    }
    if (points != matched || points == 0)
        fail_msg("%s: %zu points, alone %zu", text, points, matched);
    promql_result_done(&range);
}

static void a_range_query_is_its_instant_queries(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "c_total",
        "c_total offset 3m",
        "c_total @ 3000",
        "rate(c_total[5m])",
        "increase(c_total[1h])",
        "irate(c_total[2m])",
        "delta(c_total[5m])",
        "resets(c_total[20m])",
        "changes(c_total[20m])",
        "min_over_time(c_total[7m])",
        "max_over_time(c_total[7m])",
        "avg_over_time(c_total[7m])",
        "sum_over_time(c_total[7m] offset 1m)",
        "quantile_over_time(0.9, c_total[7m])",
        "stddev_over_time(c_total[7m])",
        "deriv(c_total[7m])",
        "predict_linear(c_total[7m], 600)",
        "predict_linear(c_total[7m] @ 3000, 600)",
        "absent_over_time(c_total{host=\"h1\"}[20s])",
        "timestamp(c_total)",
        "sum by (host) (rate(c_total[5m]))",
        "avg(c_total) / count(c_total)",
        "stddev(c_total)",
        "quantile(0.3, c_total)",
        "topk(2, c_total)",
        "count_values(\"v\", c_total % 3)",
        "c_total > 20 unless c_total > 40",
        "c_total{host=~\"h[12]\"} or c_total{host=\"h3\"}",
        "c_total / on() group_left() c_total{host=\"h0\"}",
        "c_total == bool on(host) c_total offset 1m",
        "hour() + minute()",
        "clamp(c_total, 5, 30) ^ 2 - -1",
        "scalar(c_total{host=\"h0\"}) + time()",
        "label_replace(c_total, \"n\", \"$1\", \"host\", \"h(.)\")",
        "round(rate(c_total[5m]), 0.1)",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        compare_with_instants(texts[i]);
}

/* A subquery's steps are absolute, so it is the same whoever asks. */
static void a_subquery_in_a_range_is_its_instant_subqueries(void **state)
{
    (void)state;
    compare_with_instants("max_over_time(rate(c_total[5m])[20m:1m])");
    compare_with_instants("sum_over_time(c_total[10m:] offset 2m)");
    compare_with_instants("avg_over_time(max_over_time(c_total[2m:30s])[10m:90s])");
}

static void too_much_of_anything_is_an_error(void **state)
{
    (void)state;
    struct promql_result result;
    struct promql_error error;
    struct promql_options few = defaults;
    few.max_samples = 100;
    assert_int_equal(run("rate(c_total[1h])", 5000000, 5000000, 0, &few, &result, &error),
                     ERR_LIMIT);
    assert_int_equal(error.failure, PROMQL_EXECUTION);
    assert_string_equal(error.why.text, "query processing would load too many samples into "
                                        "memory in query execution");
    struct promql_options small = defaults;
    for (small.max_memory_bytes = 1; small.max_memory_bytes < ((size_t)8 << 20);
         small.max_memory_bytes = small.max_memory_bytes * 3 / 2 + 16) {
        int code = run("sum by (host) (rate(c_total[5m])) * on(host) "
                       "group_left() max_over_time(c_total[10m:1m])",
                       600000, 5400000, 60000, &small, &result, &error);
        if (code == 0)
            promql_result_done(&result);
        else
            assert_true(code == ERR_NOMEM && error.failure == PROMQL_EXECUTION &&
                        error.why.text[0] != '\0');
    }
    struct arena_total total = {.limit_bytes = 20000};
    struct promql_options shared = defaults;
    shared.total = &total;
    assert_int_equal(run("c_total[10m]", 600000, 600000, 0, &shared, &result, &error), 0);
    assert_true(total.held_bytes > 0); /* as long as the result is held */
    struct promql_result more;
    assert_int_equal(run("rate(c_total[5m])", 600000, 5400000, 600, &shared, &more, &error),
                     ERR_NOMEM);
    assert_int_equal(error.failure, PROMQL_EXECUTION);
    assert_non_null(strstr(error.why.text, "all queries together"));
    promql_result_done(&result);
    assert_int_equal(total.held_bytes, 0);
    assert_int_equal(run("vector(1)[292y:1ms]", 0, 0, 0, &defaults, &result, &error),
                     ERR_NOMEM);
    assert_int_equal(run("time()[292y:1ms]", 0, 0, 0, &defaults, &result, &error),
                     ERR_INVALID);
}

static void a_label_made_too_long_costs_little_and_is_an_error(void **state)
{
    (void)state;
    struct promql_result result;
    struct promql_error error;
    struct buf text = {0};
    buf_put_text(&text, "label_replace(label_replace(c_total, \"a\", \"");
    for (int i = 0; i < 4000; i++)
        buf_put_char(&text, 'x');
    buf_put_text(&text, "\", \"\", \"\"), \"b\", \"");
    for (int i = 0; i < 100000; i++)
        buf_put_text(&text, "$1");
    buf_put_text(&text, "\", \"a\", \"(.*)\")");
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(run(buf_text(&text), 600000, 600000, 0, &defaults, &result, &error),
                     ERR_INVALID);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_string_equal(error.why.text, "the value made for label \"b\" is too long");
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB; all of it is 400 MB */
    buf_done(&text);
}

static void a_query_ends_when_nobody_waits_or_time_is_up(void **state)
{
    (void)state;
    volatile bool cancelled = true;
    struct promql_result result;
    struct promql_error error;
    struct promql_query query = {.text = "rate(c_total[5m])", .cancelled = &cancelled};
    assert_int_equal(promql_run(&defaults, &store.queryable, &query, &result, &error),
                     ERR_CANCELLED);
    assert_int_equal(error.failure, PROMQL_CANCELLED);
    assert_string_equal(error.why.text, "query was canceled in query execution");
    query.cancelled = NULL;
    query.deadline_mono_ns = (int64_t)clock_mono(&clock_system);
    assert_int_equal(promql_run(&defaults, &store.queryable, &query, &result, &error),
                     ERR_TIMEOUT);
    assert_int_equal(error.failure, PROMQL_TIMEOUT);
    /* Windows of 43,200 samples to look through: few, but each takes long. */
    query = (struct promql_query){.text = "quantile_over_time(0.5, vector(time())[12h:1s])",
                                  .end_ms = 9999000,
                                  .step_ms = 1000};
    query.deadline_mono_ns = (int64_t)(clock_mono(&clock_system) + 20 * NS_PER_MS);
    assert_int_equal(promql_run(&defaults, &store.queryable, &query, &result, &error),
                     ERR_TIMEOUT);
    assert_string_equal(error.why.text, "query timed out in query execution");
}

static void results_have_the_type_of_the_expression(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool range;
        enum promql_type type;
        size_t series;
    } cases[] = {
        {"1 + 1", false, PROMQL_SCALAR, 1},   {"1 + 1", true, PROMQL_MATRIX, 1},
        {"\"a\"", false, PROMQL_STRING, 0},   {"c_total", false, PROMQL_VECTOR, 4},
        {"c_total", true, PROMQL_MATRIX, 4},  {"c_total[5m]", false, PROMQL_MATRIX, 4},
        {"nothing", false, PROMQL_VECTOR, 0}, {"sum(c_total)[5m:1m]", false, PROMQL_MATRIX, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct promql_result result;
        struct promql_error error;
        int64_t start = 3000000;
        assert_int_equal(run(cases[i].text, start, start + (cases[i].range ? 60000 : 0),
                             cases[i].range ? 30000 : 0, &defaults, &result, &error),
                         0);
        assert_int_equal(result.type, cases[i].type);
        assert_int_equal(result.series_count, cases[i].series);
        promql_result_done(&result);
    }
}

static void what_two_selectors_share_is_fetched_once(void **state)
{
    (void)state;
    struct promql_result once;
    struct promql_result twice;
    struct promql_error error;
    const char *text =
        "c_total / on(host) rate(c_total[5m]) + on(host) sum by (host) (c_total)";
    assert_int_equal(run("c_total", 600000, 5400000, 60000, &defaults, &once, &error), 0);
    assert_int_equal(run(text, 600000, 5400000, 60000, &defaults, &twice, &error), 0);
    assert_true(once.spent.samples_seen > 0);
    assert_int_equal(twice.spent.samples_seen, once.spent.samples_seen);
    promql_result_done(&once);
    promql_result_done(&twice);
}

static void a_range_query_of_a_range_vector_is_refused(void **state)
{
    (void)state;
    struct promql_result result;
    struct promql_error error;
    assert_int_equal(run("c_total[5m]", 0, 60000, 30000, &defaults, &result, &error),
                     ERR_INVALID);
    assert_int_equal(error.failure, PROMQL_BAD_DATA);
    assert_string_equal(error.why.text, "invalid expression type \"range vector\" for range "
                                        "query, must be Scalar or instant Vector");
}

static void experiments_must_be_allowed(void **state)
{
    (void)state;
    static const char *const texts[] = {"sort_by_label(c_total, \"host\")",
                                        "limitk(1, c_total)", "mad_over_time(c_total[5m])",
                                        "c_total + fill(0) c_total"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct promql_result result;
        struct promql_error error;
        assert_int_equal(run(texts[i], 0, 0, 0, &defaults, &result, &error), ERR_INVALID);
        assert_int_equal(error.failure, PROMQL_BAD_DATA);
        assert_non_null(strstr(error.why.text, "not enabled"));
    }
}

/* Without the delay a name goes at once, with it at the very end. */
static void names_go_now_or_at_the_end(void **state)
{
    (void)state;
    const char *text = "label_replace(rate(c_total{host=\"h0\"}[5m]), \"old\", \"$1\", "
                       "\"__name__\", \"(.*)\")";
    for (int delayed = 0; delayed < 2; delayed++) {
        struct promql_options options = defaults;
        struct promql_result result;
        struct promql_error error;
        struct buf out = {0};
        options.delayed_name_removal = delayed != 0;
        assert_int_equal(run(text, 3000000, 3000000, 0, &options, &result, &error), 0);
        assert_int_equal(result.series_count, 1);
        labels_print(result.series[0].labels, &out);
        assert_string_equal(buf_text(&out),
                            delayed ? "{host=\"h0\", old=\"c_total\"}" : "{host=\"h0\"}");
        buf_done(&out);
        promql_result_done(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_query_is_its_instant_queries),
        cmocka_unit_test(a_subquery_in_a_range_is_its_instant_subqueries),
        cmocka_unit_test(too_much_of_anything_is_an_error),
        cmocka_unit_test(a_label_made_too_long_costs_little_and_is_an_error),
        cmocka_unit_test(a_query_ends_when_nobody_waits_or_time_is_up),
        cmocka_unit_test(results_have_the_type_of_the_expression),
        cmocka_unit_test(what_two_selectors_share_is_fetched_once),
        cmocka_unit_test(a_range_query_of_a_range_vector_is_refused),
        cmocka_unit_test(experiments_must_be_allowed),
        cmocka_unit_test(names_go_now_or_at_the_end),
    };
    return cmocka_run_group_tests(tests, fill_store, empty_store);
}
