/*
 * test_windows.c - a range query gives at each step what an instant query gives there, to the bit,
 * however many windows are worked out at once.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "tests/promql/memory_store.h"

#define INTERVAL_MS 15000
#define SAMPLES     400
#define BEGIN_MS    INT64_C(1700000000000)
#define END_MS      (BEGIN_MS + SAMPLES * INTERVAL_MS)

static struct memory_store store;

/* What is odd about a series; the first ones are as regular as most are. */
enum shape { COUNTER, FROM_ZERO, STANDS, RESET, GAUGE, NANS, GAP, JITTER, MARKED, SHORT, HUGE_ONES, SHAPES };
static const char *const shape_names[SHAPES] = {"counter", "from_zero", "stands", "reset", "gauge",
                                                "nans",    "gap",       "jitter", "marked", "short",
                                                "huge"};

static bool is_left_out(enum shape shape, int64_t i)
{
    return (shape == GAP && i % 90 > 70) || (shape == SHORT && (i < 100 || i > 180));
}

static double next_value(enum shape shape, int64_t i, uint32_t dice, double value)
{
    if (shape == STANDS || (shape == FROM_ZERO && i < 60))
        return value;
    if ((shape == RESET || shape == FROM_ZERO) && i % 150 == 149)
        return shape == RESET ? 1 : value;
    if (shape == GAUGE)
        return value + (double)dice / 64 - 2;
    return dice % 3 == 0 ? value : value + (double)(dice % 7) / 3;
}

static int fill_store(void **state)
{
    uint32_t random = 4711;
    const uint64_t stale_bits = STALE_NAN_BITS;
    double stale;
    (void)state;
    memcpy(&stale, &stale_bits, sizeof stale);
    memory_store_init(&store);
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        struct label pairs[] = {{bytes_of("__name__"), bytes_of("c_total")},
                                {bytes_of("shape"), bytes_of(shape_names[shape])}};
        double value = shape == FROM_ZERO ? 0 : 1e5;
        size_t number;
        assert_int_equal(memory_store_series(&store, pairs, 2, &number), 0);
        for (int64_t i = 0; i < SAMPLES; i++) {
            random = random * 1664525 + 1013904223;
            const uint32_t dice = random >> 24;
            int64_t at_ms = BEGIN_MS + i * INTERVAL_MS + 123;
            double put = value = next_value(shape, i, dice, value);
            if (is_left_out(shape, i))
                continue;
            if (shape == JITTER)
                at_ms += dice % 9;
            if (shape == NANS && dice < 10)
                put = (double)NAN;
            if (shape == HUGE_ONES && i % 100 > 80)
                put *= i % 2 == 0 ? 1e303 : -1e303;
            if (shape == MARKED && i % 120 == 60)
                put = stale;
            assert_int_equal(memory_store_put(&store, number, at_ms, put), 0);
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

static void run(const char *text, int64_t start_ms, int64_t end_ms, int64_t step_ms,
                struct promql_result *result)
{
    const struct promql_options options = {.lookback_ms = 300000,
                                           .default_step_ms = 60000,
                                           .max_samples = 10000000,
                                           .max_memory_bytes = (size_t)256 << 20};
    struct promql_error error;
    struct promql_query query = {
        .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms};
    if (promql_run(&options, &store.queryable, &query, result, &error) != 0)
        fail_msg("%s: %s", text, error.why.text);
}

/* The value of a series at a time, or NULL. */
static const double *value_at(const struct promql_result *result, const struct labels *labels,
                              int64_t ms)
{
    for (size_t i = 0; i < result->series_count; i++)
        for (size_t k = 0; k < result->series[i].count; k++)
            if (result->series[i].times_ms[k] == ms &&
                labels_equal(result->series[i].labels, labels))
                return &result->series[i].values[k];
    return NULL;
}

/* How many values there are. */
static size_t assert_as_at_instants(const char *text, int64_t start_ms, int64_t step_ms)
{
    struct promql_result range;
    size_t points = 0, expected = 0;
    run(text, start_ms, END_MS + 400000, step_ms, &range);
    for (size_t i = 0; i < range.series_count; i++)
        points += range.series[i].count;
    for (int64_t ms = start_ms; ms <= END_MS + 400000; ms += step_ms) {
        struct promql_result instant;
        run(text, ms, ms, 0, &instant);
        for (size_t i = 0; i < instant.series_count; i++) {
            const double *value = value_at(&range, instant.series[i].labels, ms);
            if (value == NULL || memcmp(value, &instant.series[i].values[0], sizeof *value) != 0)
                fail_msg("%s, step %lld, at %lld, series %zu: %g where an instant has %.17g", text,
                         (long long)step_ms, (long long)(ms - BEGIN_MS), i,
                         value == NULL ? (double)NAN : *value, instant.series[i].values[0]);
        }
        expected += instant.series_count;
        promql_result_done(&instant);
    }
    assert_int_equal(points, expected);
    promql_result_done(&range);
    return points;
}

static void each_step_is_as_an_instant(void **state)
{
    static const char *const functions[] = {"rate", "increase", "delta", "irate", "changes",
                                            "max_over_time", "last_over_time", "deriv",
                                            "sum_over_time", "avg_over_time"};
    static const char *const ranges[] = {"5m", "1m", "47s", "15s", "40m"};
    static const int64_t steps_ms[] = {15000, 60000, 7000, 300000, 45000};
    size_t points = 0;
    (void)state;
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++)
        for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++)
            for (size_t s = 0; s < sizeof steps_ms / sizeof steps_ms[0]; s++) {
                char text[64];
                (void)snprintf(text, sizeof text, "%s(c_total[%s])", functions[f], ranges[r]);
                if (steps_ms[s] >= 15000 || r == 0)
                    points += assert_as_at_instants(
                        text, BEGIN_MS - 200000 + (int64_t)s * 5123, steps_ms[s]);
            }
    assert_true(points > 100000);
}

/* Where the arguments change from step to step, too. */
static void so_is_a_line_with_a_time_to_predict(void **state)
{
    static const char *const ranges[] = {"5m", "30s", "40m"};
    static const int64_t steps_ms[] = {15000, 60000, 45000};
    size_t points = 0;
    (void)state;
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++)
        for (size_t s = 0; s < sizeof steps_ms / sizeof steps_ms[0]; s++) {
            char text[96];
            (void)snprintf(text, sizeof text, "predict_linear(c_total[%s], time() %% 1000)",
                           ranges[r]);
            points += assert_as_at_instants(text, BEGIN_MS - 200000, steps_ms[s]);
        }
    assert_true(points > 20000);
}

static void so_is_one_with_an_offset_or_of_a_subquery(void **state)
{
    (void)state;
    assert_true(assert_as_at_instants("rate(c_total[5m] offset 3m)", BEGIN_MS, 60000) > 500);
    assert_true(assert_as_at_instants("rate(c_total[5m] @ 1700003000)", BEGIN_MS, 60000) > 500);
    assert_true(assert_as_at_instants("delta(sum by (shape) (c_total)[10m:30s])", BEGIN_MS, 60000) > 500);
    assert_true(assert_as_at_instants("rate(c_total[5m:15s])", BEGIN_MS + 123, 15000) > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_as_an_instant),
        cmocka_unit_test(so_is_a_line_with_a_time_to_predict),
        cmocka_unit_test(so_is_one_with_an_offset_or_of_a_subquery),
    };
    return cmocka_run_group_tests(tests, fill_store, empty_store);
}
