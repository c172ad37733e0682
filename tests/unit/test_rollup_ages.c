/*
 * test_rollup_ages.c - series whose roll-ups are kept for less long than those of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static const struct promql_options options = {.lookback_ms = 5 * MINUTE_MS,
                                              .default_step_ms = MINUTE_MS,
                                              .max_samples = 50000000,
                                              .experimental = true};

static void run(struct kit *kit, const char *text, int64_t start_ms, int64_t end_ms,
                int64_t step_ms, struct promql_result *result)
{
    struct promql_query query = {
        .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms};
    struct promql_error error;
    if (promql_run(&options, store_queryable(kit->store), &query, result, &error) != 0)
        fail_msg("%s: %s", text, error.why.text);
}

static bool has_info(const struct promql_result *result, const char *part)
{
    for (size_t i = 0; i < result->annotations.info_count; i++)
        if (strstr(result->annotations.infos[i], part) != NULL)
            return true;
    return false;
}

static struct store_stats stats_of(struct kit *kit)
{
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    return stats;
}

static void start(struct kit *kit, const struct store_retention *age)
{
    kit_start(kit);
    kit_close(kit);
    kit->options.retention_raw_ms = 2 * DAY_MS;
    kit->options.rolls_up = true;
    kit->options.retention_5m_ms = 30 * DAY_MS;
    kit->options.retention_1h_ms = 0;
    kit->options.ages = age;
    kit->options.age_count = 1;
    kit_open(kit);
}

/* A day of two series written, rolled up and expired: it ends at START + 1 d, it is START + 4 d. */
static void roll_a_day(struct kit *kit)
{
    struct model model = {0};
    kit->now_ms = KIT_START_MS + DAY_MS + 3 * HOUR_MS;
    kit_run(kit, &model, 1, KIT_START_MS, KIT_START_MS + DAY_MS, 1);
    kit_run(kit, &model, 4, KIT_START_MS, KIT_START_MS + DAY_MS, 4);
    model_done(&model);
    assert_int_equal(store_settle(kit->store), 0);
    kit->now_ms = KIT_START_MS + 4 * DAY_MS;
    assert_int_equal(store_settle(kit->store), 0);
}

/* What a query of one series at noon of the rolled day gets, and from which tier. */
static void expect_from(struct kit *kit, const char *text, const char *tier)
{
    struct promql_result result;
    run(kit, text, KIT_START_MS + DAY_MS / 2, KIT_START_MS + DAY_MS / 2, 0, &result);
    assert_int_equal(result.series_count, tier != NULL);
    if (tier != NULL)
        assert_true(has_info(&result, tier));
    promql_result_done(&result);
}

/* Ages of their own: at once for queries, and for the disk with the next turn. */
static void series_of_a_shorter_age_leave_each_tier(void **state)
{
    (void)state;
    static const struct {
        int64_t days;
        const char *own, *others;
        unsigned rewritten;
        const char *because;
    } cases[] = {
        {10, "roll-up of 5m", "roll-up of 5m", 0, "some of the day is young enough"},
        {12, "roll-up of 1h", "roll-up of 5m", 1, "the coarse tier has them longer"},
        {22, NULL, "roll-up of 5m", 2, "and then no longer"},
    };
    struct kit rolled;
    struct kit *kit = &rolled;
    struct matcher *matcher;
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("1"), &matcher, NULL), 0);
    const struct store_retention age = {.selection = {&matcher, 1},
                                        .rollup_5m_ms = 10 * DAY_MS,
                                        .rollup_1h_ms = 20 * DAY_MS};
    start(kit, &age);
    roll_a_day(kit);
    const struct store_stats whole = stats_of(kit);
    uint64_t made = whole.rollups_made, before = made; /* the store's own count begins at 0 */
    expect_from(kit, "m{n=\"1\"}", "roll-up of 5m");
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        print_message("%s\n", cases[c].because);
        kit->now_ms = KIT_START_MS + cases[c].days * DAY_MS;
        for (int turn = 0; turn < 3; turn++) {
            expect_from(kit, "m{n=\"1\"}", cases[c].own);
            expect_from(kit, "m{n=\"4\"}", cases[c].others);
            if (turn == 0) {
                assert_int_equal(store_settle(kit->store), 0);
                made += stats_of(kit).rollups_made - before;
            }
            if (turn == 1) {
                kit_close(kit);
                assert_int_equal(kit_faults(kit), 0);
                kit_open(kit);
                before = 0;
            }
        }
        const struct store_stats stats = stats_of(kit);
        assert_int_equal(stats.rollup_files[0], 1);
        assert_int_equal(stats.rollup_files[1], 1);
        /* Once each: of a file that still had them it would be again with the next turn. */
        assert_int_equal(made, whole.rollups_made + cases[c].rewritten);
    }
    /* What comes late for that day is no longer taken into it either. */
    assert_int_equal(kit_write(kit, 1, KIT_START_MS + DAY_MS / 2, 5), 0);
    assert_int_equal(store_settle(kit->store), 0);
    expect_from(kit, "m{n=\"1\"}", NULL);
    const struct store_stats stats = stats_of(kit);
    assert_int_equal(stats.spans, stats.rollup_files[0] + stats.rollup_files[1]);
    matcher_free(matcher);
    kit_stop(kit);
}

static void expect_held(struct kit *kit, size_t row, const int64_t oldest_ms[STORE_TIERS])
{
    static struct store_held rows[STORE_HELD_MAX];
    size_t count;
    assert_int_equal(store_held(kit->store, rows, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].selection.count, 0);
    assert_int_equal(rows[1].selection.count, 1);
    for (size_t t = 0; t < STORE_TIERS; t++)
        assert_int_equal(rows[row].oldest_ms[t], oldest_ms[t]);
}

/* Of the others and of whom the rule means, each tier by itself; what readers leave out is not held. */
static void what_is_held_is_told_by_rule_and_tier(void **state)
{
    (void)state;
    static const int64_t nothing[] = {INT64_MAX, INT64_MAX, INT64_MAX};
    static const int64_t samples[] = {KIT_START_MS, INT64_MAX, INT64_MAX};
    static const int64_t rolled[] = {INT64_MAX, KIT_START_MS, KIT_START_MS};
    static const int64_t coarse[] = {INT64_MAX, INT64_MAX, KIT_START_MS};
    struct kit kit;
    struct model model = {0};
    struct matcher *matcher;
    static struct store_held rows[STORE_HELD_MAX];
    size_t count;
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("1"), &matcher, NULL), 0);
    const struct store_retention age = {.selection = {&matcher, 1},
                                        .rollup_5m_ms = 10 * DAY_MS,
                                        .rollup_1h_ms = 20 * DAY_MS};
    start(&kit, &age);
    assert_int_equal(store_held(kit.store, rows, &count), 0);
    assert_int_equal(rows[0].age_ms[0], 2 * DAY_MS);
    assert_int_equal(rows[0].age_ms[1], 30 * DAY_MS);
    assert_true(rows[0].age_ms[2] == STORE_FOREVER);
    assert_int_equal(rows[1].age_ms[0], 2 * DAY_MS);
    assert_int_equal(rows[1].age_ms[1], 10 * DAY_MS);
    assert_int_equal(rows[1].age_ms[2], 20 * DAY_MS);
    expect_held(&kit, 0, nothing);
    kit.now_ms = KIT_START_MS + HOUR_MS;
    kit_run(&kit, &model, 4, KIT_START_MS, KIT_START_MS + HOUR_MS, 4); /* in memory */
    model_done(&model);
    expect_held(&kit, 0, samples);
    expect_held(&kit, 1, nothing);
    roll_a_day(&kit);
    expect_held(&kit, 0, rolled);
    expect_held(&kit, 1, rolled);
    kit.now_ms = KIT_START_MS + 12 * DAY_MS; /* not read any more, though still in the file */
    expect_held(&kit, 0, rolled);
    expect_held(&kit, 1, coarse);
    assert_int_equal(store_settle(kit.store), 0);
    expect_held(&kit, 1, coarse);
    kit.now_ms = KIT_START_MS + 22 * DAY_MS;
    assert_int_equal(store_settle(kit.store), 0);
    expect_held(&kit, 0, rolled);
    expect_held(&kit, 1, nothing);
    matcher_free(matcher);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_of_a_shorter_age_leave_each_tier),
        cmocka_unit_test(what_is_held_is_told_by_rule_and_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
