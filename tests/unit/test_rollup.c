/*
 * test_rollup.c - samples that were rolled up and have expired, asked beside a store that has
 * them still.
 *
 * Two stores are given the same samples: a counter with resets, a gauge, one with NaN and gaps,
 * one that ends with a stale marker now and then.  One keeps them, the other rolls them up.
 * Over windows of whole buckets both must answer the same.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define MINUTE_MS  ((int64_t)60000)
#define HOUR_MS    (60 * MINUTE_MS)
#define DAY_MS     (24 * HOUR_MS)
#define T(minutes) ((minutes)*MINUTE_MS)
#define SERIES     5

static const struct promql_options options = {.lookback_ms = 5 * MINUTE_MS,
                                              .default_step_ms = MINUTE_MS,
                                              .max_samples = 50000000,
                                              .experimental = true};

static double stale(void)
{
    uint64_t bits = STALE_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* -- two stores -------------------------------------------------------------------------- */

struct pair {
    struct kit kept, rolled;
};

static void start_rolling(struct kit *kit, int64_t raw_ms, int64_t retention_5m_ms,
                          int64_t retention_1h_ms)
{
    kit_start(kit);
    kit_close(kit);
    kit->options.retention_raw_ms = raw_ms;
    kit->options.rolls_up = true;
    kit->options.retention_5m_ms = retention_5m_ms;
    kit->options.retention_1h_ms = retention_1h_ms;
    kit_open(kit);
}

static void pair_start(struct pair *pair)
{
    kit_start(&pair->kept);
    start_rolling(&pair->rolled, 2 * DAY_MS, 30 * DAY_MS, 0);
}

static void pair_stop(struct pair *pair)
{
    kit_stop(&pair->kept);
    kit_stop(&pair->rolled);
}

static void pair_at(struct pair *pair, int64_t now_ms)
{
    pair->kept.now_ms = now_ms;
    pair->rolled.now_ms = now_ms;
}

static double value_of(unsigned n, unsigned *seed, double before)
{
    int dice = rand_r(seed) % 1000;
    switch (n) {
    case 0: /* a counter that is reset now and then */
        return dice < 5 ? dice : before + dice % 20;
    case 1: /* a gauge with decimals */
        return (double)(dice - 500) / 8;
    case 2: /* not always a number */
        return dice < 50 ? (double)NAN : before == before ? before + dice % 3 - 1 : 7;
    case 3: /* ends, and comes back */
        return dice < 20 ? stale() : dice % 4;
    default: /* large, for the compensation of sums */
        return dice % 2 == 0 ? 1e16 : dice;
    }
}

/* Each series every 15 s from `from_ms` on, but for gaps. */
static void write_both(struct pair *pair, int64_t from_ms, int64_t until_ms, unsigned *seed)
{
    static struct store_sample samples[2][4096];
    double before[SERIES] = {0};
    size_t count = 0;
    for (int64_t ts = from_ms; ts < until_ms; ts += 15000)
        for (unsigned n = 0; n < SERIES; n++) {
            bool is_gap = n == 2 && (ts / (7 * MINUTE_MS)) % 3 == 0;
            before[n] = value_of(n, seed, before[n]);
            if (!is_gap) {
                samples[0][count] =
                    (struct store_sample){kit_series(&pair->kept, n), ts, before[n]};
                samples[1][count++] =
                    (struct store_sample){kit_series(&pair->rolled, n), ts, before[n]};
            }
            if (count < 4096 && (ts + 15000 < until_ms || n + 1 < SERIES))
                continue;
            for (size_t k = 0; k < 2; k++) {
                struct kit *kit = k == 0 ? &pair->kept : &pair->rolled;
                struct store_write write = {.samples = samples[k], .sample_count = count};
                assert_int_equal(store_write_wait(kit->store, &write), 0);
            }
            count = 0;
        }
}

/* A day written, rolled up and expired: it ends at START + 1 d, it is START + 4 d. */
static void roll_a_day(struct pair *pair, unsigned seed)
{
    pair_at(pair, KIT_START_MS + DAY_MS + 3 * HOUR_MS);
    write_both(pair, KIT_START_MS, KIT_START_MS + DAY_MS, &seed);
    assert_int_equal(store_settle(pair->kept.store), 0);
    assert_int_equal(store_settle(pair->rolled.store), 0);
    pair_at(pair, KIT_START_MS + 4 * DAY_MS);
    assert_int_equal(store_settle(pair->rolled.store), 0);
}

static struct store_stats stats_of(struct kit *kit)
{
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    return stats;
}

static size_t sample_files(struct kit *kit)
{
    struct store_stats stats = stats_of(kit);
    return stats.spans - stats.rollup_files[0] - stats.rollup_files[1];
}

/* -- asking ------------------------------------------------------------------------------ */

static void run(struct kit *kit, const char *text, int64_t start_ms, int64_t end_ms,
                int64_t step_ms, struct promql_result *result)
{
    struct promql_query query = {
        .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms};
    struct promql_error error;
    if (promql_run(&options, store_queryable(kit->store), &query, result, &error) != 0)
        fail_msg("%s: %s", text, error.why.text);
}

static bool is_near(double a, double b)
{
    double size = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-9 * (size > 1 ? size : 1);
}

static void expect_same(const char *text, const struct promql_result *a,
                        const struct promql_result *b)
{
    if (a->series_count != b->series_count)
        fail_msg("%s: %zu series, not %zu", text, b->series_count, a->series_count);
    for (size_t i = 0; i < a->series_count; i++) {
        const struct series_samples *x = &a->series[i];
        const struct series_samples *y = &b->series[i];
        assert_true(labels_equal(x->labels, y->labels));
        if (x->count != y->count)
            fail_msg("%s: series %zu has %zu values, not %zu", text, i, y->count, x->count);
        for (size_t j = 0; j < x->count; j++)
            if (x->times_ms[j] != y->times_ms[j] || !is_near(x->values[j], y->values[j]))
                fail_msg("%s: series %zu at %lld: %.17g, not %.17g", text, i,
                         (long long)x->times_ms[j], y->values[j], x->values[j]);
    }
}

static bool has_info(const struct promql_result *result, const char *part)
{
    for (size_t i = 0; i < result->annotations.info_count; i++)
        if (strstr(result->annotations.infos[i], part) != NULL)
            return true;
    return false;
}

/* Both stores, over steps from the end of the first hour on; the rolled one says what it used.
 */
static void ask_both(struct pair *pair, const char *text, int64_t step_ms, const char *tier)
{
    struct promql_result kept;
    struct promql_result rolled;
    int64_t start_ms = KIT_START_MS + 2 * HOUR_MS;
    int64_t end_ms = KIT_START_MS + DAY_MS - HOUR_MS;
    run(&pair->kept, text, start_ms, end_ms, step_ms, &kept);
    run(&pair->rolled, text, start_ms, end_ms, step_ms, &rolled);
    assert_true(kept.series_count > 0);
    expect_same(text, &kept, &rolled);
    assert_false(has_info(&kept, "roll-up"));
    if (!has_info(&rolled, tier))
        fail_msg("%s: nothing is said of the roll-up", text);
    promql_result_done(&kept);
    promql_result_done(&rolled);
}

static size_t values_in(struct kit *kit, const char *text, int64_t start_ms, int64_t end_ms,
                        int64_t step_ms)
{
    struct promql_result result;
    size_t count = 0;
    run(kit, text, start_ms, end_ms, step_ms, &result);
    for (size_t i = 0; i < result.series_count; i++)
        count += result.series[i].count;
    promql_result_done(&result);
    return count;
}

static double one_value(struct kit *kit, const char *text, int64_t at_ms)
{
    struct promql_result result;
    run(kit, text, at_ms, at_ms, 0, &result);
    double value = result.series_count == 1 ? result.series[0].values[0] : (double)INFINITY;
    promql_result_done(&result);
    return value;
}

/* -- answers ----------------------------------------------------------------------------- */

static const struct {
    const char *function, *selector;
} of_buckets[] = {
    {"count_over_time", "m"},
    {"sum_over_time", "m{n!=\"2\"}"},
    {"avg_over_time", "m"},
    {"min_over_time", "m"},
    {"max_over_time", "m"},
    {"first_over_time", "m"},
    {"last_over_time", "m"},
    {"ts_of_first_over_time", "m"},
    {"ts_of_last_over_time", "m"},
    {"rate", "m"},
    {"increase", "m"},
    {"delta", "m"},
    {"resets", "m"},
    {"changes", "m"},
    {"present_over_time", "m"},
};
#define OF_BUCKETS (sizeof of_buckets / sizeof of_buckets[0])

static void write_call(char text[96], size_t i, const char *range)
{
    (void)snprintf(text, 96, "%s(%s[%s])", of_buckets[i].function, of_buckets[i].selector,
                   range);
}

/* rate() has no sample between the last of one window and the first of the next: neither does
 * the roll-up, so they agree to the last digits. */
static void windows_of_whole_buckets_answer_as_the_samples_did(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        int64_t step_ms, retention_5m_ms;
        const char *tier;
    } cases[] = {
        {"5m", T(5), 30 * DAY_MS, "roll-up of 5m"},
        {"10m", T(5), 30 * DAY_MS, "roll-up of 5m"},
        {"1h", T(15), 30 * DAY_MS, "roll-up of 5m"},
        {"1h", T(60), 3 * DAY_MS, "roll-up of 1h"},
        {"2h", T(60), 3 * DAY_MS, "roll-up of 1h"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct pair pair;
        char text[96];
        pair_start(&pair);
        kit_close(&pair.rolled);
        pair.rolled.options.retention_5m_ms = cases[c].retention_5m_ms;
        kit_open(&pair.rolled);
        roll_a_day(&pair, 7 + (unsigned)c);
        assert_int_equal(sample_files(&pair.rolled), 0);
        assert_int_equal(stats_of(&pair.rolled).quarantined, 0);
        for (size_t i = 0; i < OF_BUCKETS; i++) {
            write_call(text, i, cases[c].range);
            ask_both(&pair, text, cases[c].step_ms, cases[c].tier);
        }
        pair_stop(&pair);
    }
}

static void lines_have_no_holes_between_buckets(void **state)
{
    (void)state;
    struct pair pair;
    int64_t from_ms = KIT_START_MS + 2 * HOUR_MS;
    int64_t until_ms = KIT_START_MS + DAY_MS - 1;
    const size_t minutes = (size_t)((until_ms - from_ms) / MINUTE_MS) + 1;
    static const char *const texts[] = {"m{n=\"1\"}", "rate(m{n=\"0\"}[1m])",
                                        "avg_over_time(m{n=\"1\"}[5m])",
                                        "increase(m{n=\"0\"}[7m])"};
    for (int tier = 0; tier < 2; tier++) {
        pair_start(&pair);
        kit_close(&pair.rolled);
        pair.rolled.options.retention_5m_ms = (tier == 0 ? 30 : 3) * DAY_MS;
        kit_open(&pair.rolled);
        roll_a_day(&pair, 3);
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            assert_int_equal(values_in(&pair.rolled, texts[i], from_ms, until_ms, MINUTE_MS),
                             minutes);
        /* The last sample of a bucket, at its own time. */
        int64_t end_ms = KIT_START_MS + 6 * HOUR_MS;
        assert_true(one_value(&pair.rolled, "m{n=\"1\"}", end_ms + 1) ==
                    one_value(&pair.kept, "m{n=\"1\"}", end_ms));
        assert_true(one_value(&pair.rolled, "timestamp(m{n=\"1\"})", end_ms + 1) ==
                    (double)end_ms / 1000);
        pair_stop(&pair);
    }
}

/* Windows narrower than a bucket have their share of what adds up; those that lie across
 * buckets are near. */
static void other_windows_are_near(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    roll_a_day(&pair, 11);
    for (int64_t at = KIT_START_MS + 3 * HOUR_MS; at < KIT_START_MS + 20 * HOUR_MS;
         at += 37 * MINUTE_MS + 13000) {
        double kept = one_value(&pair.kept, "count_over_time(m{n=\"1\"}[1m])", at);
        double rolled = one_value(&pair.rolled, "count_over_time(m{n=\"1\"}[1m])", at);
        assert_true(fabs(kept - rolled) < 1e-9);
        kept = one_value(&pair.kept, "rate(m{n=\"0\"}[2h])", at);
        rolled = one_value(&pair.rolled, "rate(m{n=\"0\"}[2h])", at);
        if (fabs(kept - rolled) > 0.05 * kept)
            fail_msg("a rate of %g, not %g", rolled, kept);
    }
    assert_true(one_value(&pair.rolled, "count(quantile_over_time(0.5, m[1h]))",
                          KIT_START_MS + 5 * HOUR_MS) == SERIES);
    struct promql_result result;
    run(&pair.rolled, "quantile_over_time(0.5, m[1h])", KIT_START_MS + 5 * HOUR_MS,
        KIT_START_MS + 5 * HOUR_MS, 0, &result);
    assert_true(has_info(&result, "quantile_over_time() sees one sample of each bucket"));
    promql_result_done(&result);
    pair_stop(&pair);
}

/* The day that is still there, and the one before: a window across both. */
static void a_window_across_records_and_samples_is_one_window(void **state)
{
    (void)state;
    struct pair pair;
    unsigned seed = 21;
    pair_start(&pair);
    pair_at(&pair, KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS);
    write_both(&pair, KIT_START_MS, KIT_START_MS + 2 * DAY_MS, &seed);
    assert_int_equal(store_settle(pair.kept.store), 0);
    pair_at(&pair, KIT_START_MS + 3 * DAY_MS + HOUR_MS);
    assert_int_equal(store_settle(pair.rolled.store), 0);
    assert_int_equal(sample_files(&pair.rolled), 1);
    for (size_t i = 0; i < OF_BUCKETS; i++) {
        char text[96];
        struct promql_result kept;
        struct promql_result rolled;
        write_call(text, i, "2h");
        for (int64_t step = -4; step <= 4; step++) {
            int64_t at = KIT_START_MS + DAY_MS + step * T(30);
            run(&pair.kept, text, at, at, 0, &kept);
            run(&pair.rolled, text, at, at, 0, &rolled);
            expect_same(text, &kept, &rolled);
            promql_result_done(&kept);
            promql_result_done(&rolled);
        }
    }
    pair_stop(&pair);
}

/* -- lives of files ---------------------------------------------------------------------- */

static void each_tier_expires_by_its_own_age(void **state)
{
    (void)state;
    struct pair pair;
    int64_t noon = KIT_START_MS + DAY_MS / 2;
    pair_start(&pair);
    kit_close(&pair.rolled);
    pair.rolled.options.retention_1h_ms = 60 * DAY_MS;
    kit_open(&pair.rolled);
    unsigned seed = 5;
    pair_at(&pair, KIT_START_MS + DAY_MS + 3 * HOUR_MS);
    write_both(&pair, KIT_START_MS, KIT_START_MS + DAY_MS, &seed);
    struct kit *kit = &pair.rolled;
    assert_int_equal(store_settle(kit->store), 0);
    assert_int_equal(stats_of(kit).rollup_files[0], 0); /* no hurry */
    kit->now_ms = KIT_START_MS + 3 * DAY_MS - 5 * HOUR_MS;
    assert_int_equal(store_settle(kit->store), 0);
    assert_int_equal(stats_of(kit).rollup_files[0], 1); /* before the samples go */
    assert_int_equal(stats_of(kit).rollup_files[1], 1);
    assert_int_equal(sample_files(kit), 1);
    assert_true(one_value(kit, "count_over_time(m{n=\"1\"}[1m])", noon) == 4);
    struct promql_result result;
    run(kit, "m", noon, noon, 0, &result);
    assert_int_equal(result.annotations.info_count, 0);
    promql_result_done(&result);

    kit->now_ms = KIT_START_MS + 4 * DAY_MS;
    assert_int_equal(store_settle(kit->store), 0);
    assert_int_equal(sample_files(kit), 0);
    kit_close(kit);
    assert_int_equal(kit_faults(kit), 0);
    kit_open(kit); /* sole roll-ups still are */
    run(kit, "m", noon, noon, 0, &result);
    assert_true(has_info(&result, "roll-up of 5m"));
    promql_result_done(&result);

    kit->now_ms = KIT_START_MS + 40 * DAY_MS;
    assert_int_equal(store_settle(kit->store), 0);
    assert_int_equal(stats_of(kit).rollup_files[0], 0);
    run(kit, "m", noon, noon, 0, &result);
    assert_true(result.series_count == SERIES - 1 || result.series_count == SERIES);
    assert_true(has_info(&result, "roll-up of 1h"));
    assert_false(has_info(&result, "roll-up of 5m"));
    promql_result_done(&result);

    kit->now_ms = KIT_START_MS + 70 * DAY_MS;
    assert_int_equal(store_settle(kit->store), 0);
    assert_int_equal(stats_of(kit).spans, 0);
    assert_int_equal(values_in(kit, "m", KIT_START_MS, KIT_START_MS + DAY_MS, HOUR_MS), 0);
    pair_stop(&pair);
}

/* While the samples are there, what comes late is in the roll-up that is made anew. */
static void what_comes_late_redoes_the_roll_up(void **state)
{
    (void)state;
    struct kit kit;
    start_rolling(&kit, 2 * DAY_MS, 30 * DAY_MS, 0);
    kit.now_ms = KIT_START_MS + 3 * DAY_MS - 5 * HOUR_MS;
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(61), 10), 0);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 23 * HOUR_MS, 10), 0);
    assert_int_equal(store_settle(kit.store), 0);
    uint64_t made = stats_of(&kit).rollups_made; /* the keeper may have begun by itself */
    assert_true(made >= 2);
    assert_int_equal(sample_files(&kit), 1);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(62), 20), 0);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(61), 11), 0); /* the last write wins */
    assert_int_equal(kit_write(&kit, 2, KIT_START_MS + T(71), 30), 0);
    assert_int_equal(store_settle(kit.store), 0);
    assert_true(stats_of(&kit).rollups_made >= made + 2);
    made = stats_of(&kit).rollups_made;
    assert_int_equal(stats_of(&kit).rollup_files[0], 1);
    kit.now_ms = KIT_START_MS + 4 * DAY_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).rollups_made, made); /* nothing new */
    assert_int_equal(sample_files(&kit), 0);
    int64_t at = KIT_START_MS + T(65);
    assert_true(one_value(&kit, "sum_over_time(m{n=\"1\"}[5m])", at) == 31);
    assert_true(one_value(&kit, "max_over_time(m{n=\"1\"}[5m])", at) == 20);
    assert_true(one_value(&kit, "m{n=\"2\"}", KIT_START_MS + T(75)) == 30);
    assert_int_equal(stats_of(&kit).rollup_left_out, 0);
    kit_stop(&kit);
}

/* When they are gone it fills buckets that have nothing, at once and for good. */
static void what_comes_later_still_fills_what_is_empty(void **state)
{
    (void)state;
    struct kit kit;
    start_rolling(&kit, 2 * DAY_MS, 30 * DAY_MS, 0);
    kit.now_ms = KIT_START_MS + 4 * DAY_MS;
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(61), 10), 0);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(sample_files(&kit), 0);
    for (int round = 0; round < 2; round++) { /* a second time it changes nothing */
        assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(62), 20), 0); /* same bucket */
        assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(302), 30), 0);
        assert_int_equal(kit_write(&kit, 1, KIT_START_MS + T(2), 40), 0);
        assert_int_equal(kit_write(&kit, 3, KIT_START_MS + T(61), 50), 0); /* another series */
        for (int settled = 0; settled < 2; settled++) {
            int64_t at = KIT_START_MS + DAY_MS;
            assert_true(one_value(&kit, "sum_over_time(m{n=\"1\"}[1d])", at) == 80);
            assert_true(one_value(&kit, "count_over_time(m{n=\"1\"}[1d])", at) == 3);
            assert_true(one_value(&kit, "m{n=\"3\"}", KIT_START_MS + T(65)) == 50);
            assert_int_equal(store_settle(kit.store), 0);
            assert_int_equal(sample_files(&kit), 0);
        }
    }
    /* One, then all four: after a settle nothing in memory says that they are the same again. */
    assert_int_equal(stats_of(&kit).rollup_left_out, 5);
    kit_close(&kit);
    assert_int_equal(kit_faults(&kit), 0);
    kit_open(&kit);
    kit_stop(&kit);
}

/* Beside it what a commit or a roll-up takes is little. */
static void put_ballast(struct kit *kit)
{
    static uint8_t ballast[8 << 20];
    memset(ballast, 'x', sizeof ballast);
    struct store_put put = {bytes_of("ballast"), {ballast, sizeof ballast}};
    struct store_write write = {.puts = &put, .put_count = 1};
    assert_int_equal(store_write_wait(kit->store, &write), 0);
}

/* A store that is full makes no roll-ups but of what is about to give more room, and at the
 * very end not even those. */
static void roll_ups_never_take_the_last_room(void **state)
{
    (void)state;
    static const struct {
        uint64_t percent;
        int64_t days;
        uint64_t made, lost, samples;
        const char *because;
    } cases[] = {
        {50, 3, 2, 0, 1, "there is room, and the samples are near their end"},
        {90, 3, 0, 0, 1, "it is full, and the samples need not go yet"},
        {90, 4, 2, 0, 0, "it is full, and samples that go make room"},
        {99, 4, 0, 1, 0, "nothing is left, and samples that go make room"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct pair pair;
        unsigned seed = 3;
        pair_start(&pair);
        struct kit *kit = &pair.rolled;
        pair_at(&pair, KIT_START_MS + DAY_MS + 3 * HOUR_MS);
        write_both(&pair, KIT_START_MS, KIT_START_MS + DAY_MS, &seed);
        put_ballast(kit);
        assert_int_equal(store_settle(kit->store), 0);
        kit_close(kit);
        kit_open(kit);
        assert_int_equal(kit_put(kit, "look", "at the disk"), 0);
        uint64_t bytes = stats_of(kit).disk_bytes;
        kit_close(kit);
        assert_true(bytes > 0);
        kit->options.quota_bytes = bytes * 100 / cases[c].percent;
        kit->now_ms = KIT_START_MS + cases[c].days * DAY_MS - 2 * HOUR_MS;
        kit_open(kit);
        assert_int_equal(store_settle(kit->store), 0);
        struct store_stats stats = stats_of(kit);
        if (stats.rollups_made != cases[c].made || stats.rollup_days_lost != cases[c].lost ||
            sample_files(kit) != cases[c].samples)
            fail_msg(
                "%s (%llu %% of %llu): %llu roll-ups are made, %llu days lost, %zu files of "
                "samples left",
                cases[c].because, (unsigned long long)stats.used_percent,
                (unsigned long long)bytes, (unsigned long long)stats.rollups_made,
                (unsigned long long)stats.rollup_days_lost, sample_files(kit));
        pair_stop(&pair);
    }
}

static void a_time_in_a_wrong_unit_is_refused_by_tiers_that_last_for_ever(void **state)
{
    (void)state;
    struct kit kit;
    start_rolling(&kit, 2 * DAY_MS, 0, 0);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS / 1000, 10), 0);
    assert_int_equal(stats_of(&kit).samples_refused, 1);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS - 9 * 365 * DAY_MS, 10), 0);
    assert_int_equal(stats_of(&kit).samples_refused, 1);
    kit_stop(&kit);
}

static void a_tier_that_would_not_outlive_the_samples_is_not_made(void **state)
{
    (void)state;
    struct kit kit;
    start_rolling(&kit, 2 * DAY_MS, 2 * DAY_MS, 3 * DAY_MS);
    kit.now_ms = KIT_START_MS + 3 * DAY_MS + HOUR_MS;
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 23 * HOUR_MS, 10), 0);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS - 3 * HOUR_MS, 10), 0); /* 3 d: too old */
    assert_int_equal(stats_of(&kit).samples_refused, 1);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).rollup_files[0], 0);
    assert_int_equal(stats_of(&kit).rollup_files[1], 1);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_whole_buckets_answer_as_the_samples_did),
        cmocka_unit_test(lines_have_no_holes_between_buckets),
        cmocka_unit_test(other_windows_are_near),
        cmocka_unit_test(a_window_across_records_and_samples_is_one_window),
        cmocka_unit_test(each_tier_expires_by_its_own_age),
        cmocka_unit_test(what_comes_late_redoes_the_roll_up),
        cmocka_unit_test(what_comes_later_still_fills_what_is_empty),
        cmocka_unit_test(roll_ups_never_take_the_last_room),
        cmocka_unit_test(a_time_in_a_wrong_unit_is_refused_by_tiers_that_last_for_ever),
        cmocka_unit_test(a_tier_that_would_not_outlive_the_samples_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
