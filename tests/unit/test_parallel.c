/*
 * test_parallel.c - queries whose series are shared between threads give what one thread gives,
 * to the bit, and end as it does: too much memory, too many samples, nobody waiting.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "collector/series/crew.h"
#include "proto/base/error.h"
#include "tests/promql/memory_store.h"

#define STEP_MS  15000
#define SAMPLES  200
#define SERIES   300
#define START_MS 600000
#define END_MS   2400000

static struct memory_store store;
static struct crew *crew;

static struct promql_options options_with(struct crew *helpers)
{
    return (struct promql_options){.lookback_ms = 300000,
                                   .default_step_ms = 60000,
                                   .max_samples = 10000000,
                                   .max_memory_bytes = (size_t)256 << 20,
                                   .crew = helpers};
}

/* Counters with resets, gaps and stale markers, from a fixed seed. */
static int fill_store(void **state)
{
    uint32_t random = 4711;
    const uint64_t stale_bits = STALE_NAN_BITS;
    double stale;
    (void)state;
    memcpy(&stale, &stale_bits, sizeof stale);
    memory_store_init(&store);
    for (size_t n = 0; n < SERIES; n++) {
        char host[16];
        size_t number;
        double value = 0;
        (void)snprintf(host, sizeof host, "h%03zu", n);
        struct label pairs[] = {
            {bytes_of("__name__"), bytes_of(n % 3 == 0 ? "gauge" : "c_total")},
            {bytes_of("host"), bytes_of(host)}};
        assert_int_equal(memory_store_series(&store, pairs, 2, &number), 0);
        for (int64_t i = 0; i < SAMPLES; i++) {
            random = random * 1664525 + 1013904223;
            unsigned dice = random >> 24;
            if (dice < 12)
                continue;
            value = dice < 18 ? 0 : value + (double)(dice % 7) / 3;
            assert_int_equal(memory_store_put(&store, number, i * STEP_MS + dice % 5,
                                              dice == 20 ? stale : value),
                             0);
        }
    }
    return crew_open("helpers", 3, &crew);
}

static int empty_store(void **state)
{
    (void)state;
    crew_close(crew);
    memory_store_clear(&store);
    return 0;
}

static int run_steps(const char *text, int64_t step_ms, const struct promql_options *options,
                     struct promql_result *result, struct promql_error *error)
{
    struct promql_query query = {
        .text = text, .start_ms = START_MS, .end_ms = END_MS, .step_ms = step_ms};
    return promql_run(options, &store.queryable, &query, result, error);
}

static int run(const char *text, const struct promql_options *options,
               struct promql_result *result, struct promql_error *error)
{
    return run_steps(text, STEP_MS, options, result, error);
}

static const char *const expressions[] = {
    "c_total",
    "rate(c_total[5m])",
    "increase({__name__=~\".+\"}[2m])",
    "sum by (host) (rate(c_total[3m])) / on (host) max_over_time(c_total[10m])",
    "quantile_over_time(0.9, c_total[5m])",
    "max_over_time(rate(c_total[1m])[5m:30s])",
    "timestamp(c_total) - c_total offset 2m",
    "topk(3, c_total)",
    "c_total smoothed",
    "increase(c_total[5m] anchored)",
    "avg(deriv(gauge[5m])) + count(rate(gauge[5m]) > 0.1)",
};

static void assert_same(const char *text, const struct promql_result *a,
                        const struct promql_result *b)
{
    assert_int_equal(a->series_count, b->series_count);
    assert_true(a->series_count > 0);
    for (size_t i = 0; i < a->series_count; i++) {
        const struct series_samples *x = &a->series[i];
        const struct series_samples *y = &b->series[i];
        if (!labels_equal(x->labels, y->labels) || x->count != y->count ||
            memcmp(x->times_ms, y->times_ms, x->count * sizeof *x->times_ms) != 0 ||
            memcmp(x->values, y->values, x->count * sizeof *x->values) != 0)
            fail_msg("%s: series %zu is another", text, i);
    }
    assert_int_equal(a->looked_at, b->looked_at);
    assert_int_equal(a->spent.samples_left, b->spent.samples_left);
    assert_int_equal(a->annotations.info_count, b->annotations.info_count);
    for (size_t i = 0; i < a->annotations.info_count; i++)
        assert_string_equal(a->annotations.infos[i], b->annotations.infos[i]);
}

static void helpers_change_nothing(void **state)
{
    (void)state;
    struct promql_options alone = options_with(NULL);
    struct promql_options helped = options_with(crew);
    alone.experimental = helped.experimental = true;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        struct promql_result a;
        struct promql_result b;
        struct promql_error error;
        if (run(expressions[i], &alone, &a, &error) != 0 ||
            run(expressions[i], &helped, &b, &error) != 0)
            fail_msg("%s: %s", expressions[i], error.why.text);
        assert_same(expressions[i], &a, &b);
        promql_result_done(&a);
        promql_result_done(&b);
    }
}

/* With so many steps that groups are worth sharing. */
static void groups_are_shared_too(void **state)
{
    static const char *const texts[] = {
        "sum by (host) (c_total)",  "count by (host) (c_total)", "avg by (host) (c_total)",
        "max by (host) (gauge)",    "sum(rate(c_total[5m]))",    "group without () (c_total)",
        "stddev by (host) (gauge)",
    };
    (void)state;
    struct promql_options alone = options_with(NULL);
    struct promql_options helped = options_with(crew);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct promql_result a;
        struct promql_result b;
        struct promql_error error;
        assert_int_equal(run_steps(texts[i], 1000, &alone, &a, &error), 0);
        assert_int_equal(run_steps(texts[i], 1000, &helped, &b, &error), 0);
        assert_same(texts[i], &a, &b);
        promql_result_done(&a);
        promql_result_done(&b);
    }
}

static void *run_often(void *context)
{
    (void)context;
    helpers_change_nothing(NULL);
    return NULL;
}

static void several_queries_share_the_helpers(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void too_much_ends_a_query_as_ever(void **state)
{
    (void)state;
    struct promql_result result;
    struct promql_error error;
    struct promql_options small = options_with(crew);
    size_t failed = 0;
    for (small.max_memory_bytes = 100000; small.max_memory_bytes < ((size_t)16 << 20);
         small.max_memory_bytes = small.max_memory_bytes * 5 / 4) {
        struct arena_total total = {.limit_bytes = (size_t)1 << 30};
        small.total = &total;
        int code = run("rate(c_total[5m]) + on (host) c_total", &small, &result, &error);
        assert_true(code == 0 || code == ERR_NOMEM);
        failed += code != 0;
        if (code == 0) {
            assert_int_equal(total.held_bytes, result.arena.held_bytes);
            assert_true(result.arena.held_bytes <= small.max_memory_bytes);
            promql_result_done(&result);
        }
        assert_int_equal(total.held_bytes, 0);
    }
    assert_true(failed > 3);
    struct arena_total little = {.limit_bytes = 400000};
    small.max_memory_bytes = (size_t)256 << 20;
    small.total = &little;
    assert_int_equal(run("rate(c_total[5m]) + on (host) c_total", &small, &result, &error),
                     ERR_NOMEM);
    assert_non_null(strstr(error.why.text, "all queries together"));
}

static void nobody_waiting_ends_the_helpers_too(void **state)
{
    (void)state;
    volatile bool cancelled = true;
    struct promql_options helped = options_with(crew);
    struct promql_result result;
    struct promql_error error;
    struct promql_query query = {.text = "rate(c_total[5m])",
                                 .start_ms = START_MS,
                                 .end_ms = END_MS,
                                 .step_ms = STEP_MS,
                                 .cancelled = &cancelled};
    assert_int_equal(promql_run(&helped, &store.queryable, &query, &result, &error),
                     ERR_CANCELLED);
    query.cancelled = NULL;
    query.deadline_mono_ns = 1;
    assert_int_equal(promql_run(&helped, &store.queryable, &query, &result, &error),
                     ERR_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_change_nothing),
        cmocka_unit_test(groups_are_shared_too),
        cmocka_unit_test(several_queries_share_the_helpers),
        cmocka_unit_test(too_much_ends_a_query_as_ever),
        cmocka_unit_test(nobody_waiting_ends_the_helpers_too),
    };
    return cmocka_run_group_tests(tests, fill_store, empty_store);
}
