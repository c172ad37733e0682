/*
 * test_rollup_classes.c - series of different ages of samples and tiers in the same days.
 *
 * What can go wrong, and is tried here:
 *   - samples of a series with a shorter age leave a day that others still have: too early (without
 *     records), never, or with the others' samples
 *   - a series with a longer age loses its samples when those of the others expire
 *   - a query of both gets the worse of the two for both, or says "roll-up" where samples answered
 *   - a tier that a series does not have hides the coarser one that it has
 *   - what comes late for a series that is rolled up is lost, or stands as a day's only word; what is
 *     deleted comes back with the next file
 *   - other rules after a restart: records that are there are not found any more, or a copy that was
 *     made ahead under the old rules becomes the only word without what the new ones keep
 *   - a day with nothing to keep is walked again with every turn; one that is damaged holds up others;
 *     a full store waits for a roll-up that cannot be read
 *   - a crash in between (tests/fault/test_rollup.c: at every step)
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "proto/base/must.h"
#include "tests/unit/store_kit.h"

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define CLASSES   5
#define DAYS      2
#define GAP_MS    (20 * HOUR_MS) /* of each day an hour from here on is empty */

static const struct promql_options options = {.lookback_ms = 5 * MINUTE_MS,
                                              .default_step_ms = MINUTE_MS,
                                              .max_samples = 50000000,
                                              .experimental = true};

/* Series n is of class n. */
static const struct {
    int64_t raw, tiers[2]; /* days; INT64_MAX: for ever; 0: none */
    struct store_retention rule;
} classes[CLASSES] = {
    {4, {30, INT64_MAX}, {.raw_ms = 0}}, /* the others */
    {2, {10, 20}, {.raw_ms = 2 * DAY_MS, .rollup_5m_ms = 10 * DAY_MS, .rollup_1h_ms = 20 * DAY_MS}},
    {8, {30, INT64_MAX}, {.raw_ms = 8 * DAY_MS}},
    {3, {0, 0}, {.raw_ms = 3 * DAY_MS, .rollup_5m_ms = STORE_NEVER, .rollup_1h_ms = STORE_NEVER}},
    {2, {0, 40}, {.raw_ms = 2 * DAY_MS, .rollup_5m_ms = STORE_NEVER, .rollup_1h_ms = 40 * DAY_MS}},
};

struct world {
    struct kit kit;
    struct matcher *matchers[CLASSES];
    struct store_retention rules[CLASSES];
    size_t rule_count;
    _Atomic unsigned walks; /* rollup.written */
};

static void step(void *context, const char *point)
{
    struct world *world = context;
    kit_gate(&world->kit, point);
    world->walks += strcmp(point, "rollup.written") == 0;
}

/* Opens it anew with the rules of the classes in a mask. */
static void open_with(struct world *world, unsigned mask)
{
    struct kit *kit = &world->kit;
    if (kit->store != NULL)
        kit_close(kit);
    world->rule_count = 0;
    for (unsigned n = 1; n < CLASSES; n++)
        if ((mask & (1u << n)) != 0) {
            struct store_retention *rule = &world->rules[world->rule_count++];
            *rule = classes[n].rule;
            rule->selection = (struct store_selection){&world->matchers[n], 1};
        }
    kit->options.ages = world->rules;
    kit->options.age_count = world->rule_count;
    kit->options.retention_raw_ms = 4 * DAY_MS;
    kit->options.retention_5m_ms = 30 * DAY_MS;
    kit->options.retention_1h_ms = 0;
    kit->options.rolls_up = true;
    kit->options.step = step;
    kit->options.step_context = world;
    kit_open(kit);
}

#define ALL_RULES 0x1eu

static void start(struct world *world, unsigned mask)
{
    *world = (struct world){.walks = 0};
    kit_start(&world->kit);
    for (unsigned n = 1; n < CLASSES; n++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%u", n);
        must(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of(text), &world->matchers[n], NULL) ==
             0);
    }
    open_with(world, mask);
}

static void stop(struct world *world)
{
    kit_close(&world->kit);
    assert_int_equal(kit_faults(&world->kit), 0);
    kit_stop_closed(&world->kit);
    for (unsigned n = 1; n < CLASSES; n++)
        matcher_free(world->matchers[n]);
}

/* A sample a minute, in (start, end] of each hour but the gap. */
static void write_days(struct world *world, unsigned series_mask)
{
    static struct store_sample samples[DAYS * 1440];
    for (unsigned n = 0; n < CLASSES; n++) {
        size_t count = 0;
        for (int64_t ms = MINUTE_MS; ms < DAYS * DAY_MS && (series_mask & (1u << n)) != 0;
             ms += MINUTE_MS)
            if (ms % DAY_MS <= GAP_MS || ms % DAY_MS > GAP_MS + HOUR_MS)
                samples[count++] = (struct store_sample){kit_series(&world->kit, n),
                                                         KIT_START_MS + ms, (double)n};
        struct store_write write = {.samples = samples, .sample_count = count};
        if (count > 0)
            assert_int_equal(store_write_wait(world->kit.store, &write), 0);
    }
}

static void settle_at(struct world *world, int64_t now_ms)
{
    world->kit.now_ms = KIT_START_MS + now_ms;
    assert_int_equal(store_settle(world->kit.store), 0);
}

static struct store_stats stats_of(struct world *world)
{
    struct store_stats stats;
    store_get_stats(world->kit.store, &stats);
    return stats;
}

/* -- asking ------------------------------------------------------------------------------ */

enum source { NOTHING, SAMPLES, MINUTES, HOURS };

/* The value of one series, -1: there is none; and where it is from. */
static double ask(struct world *world, const char *text, int64_t at_ms, enum source *ret_source)
{
    struct promql_result result;
    struct promql_query query = {
        .text = text, .start_ms = KIT_START_MS + at_ms, .end_ms = KIT_START_MS + at_ms};
    struct promql_error error;
    if (promql_run(&options, store_queryable(world->kit.store), &query, &result, &error) != 0)
        fail_msg("%s: %s", text, error.why.text);
    double value = result.series_count == 1 ? result.series[0].values[0] : -1;
    *ret_source = result.series_count == 0 ? NOTHING : SAMPLES;
    for (size_t i = 0; i < result.annotations.info_count; i++) {
        const char *info = result.annotations.infos[i];
        *ret_source = strstr(info, "roll-up of 5m") != NULL   ? MINUTES
                      : strstr(info, "roll-up of 1h") != NULL ? HOURS
                                                              : *ret_source;
    }
    promql_result_done(&result);
    return value;
}

/* The samples of an hour of a day, and who says so. */
static void expect_hour(struct world *world, unsigned n, int64_t end_ms, double samples,
                        enum source wanted, const char *because)
{
    char text[64];
    enum source source;
    (void)snprintf(text, sizeof text, "count_over_time(m{n=\"%u\"}[1h])", n);
    double value = ask(world, text, end_ms, &source);
    if (source != wanted || (wanted != NOTHING && value != samples))
        fail_msg("%s: at %lld h the hour to %lld h of series %u has %g samples from %d, not %g "
                 "from %d",
                 because, (long long)((world->kit.now_ms - KIT_START_MS) / HOUR_MS),
                 (long long)(end_ms / HOUR_MS), n, value, source, samples, wanted);
}

/* The specification: samples until the day is as old as they are kept, then the finest tier that is
 * made of them and not over yet; where there is none, samples until they are as old. */
static enum source source_of(unsigned n, int day, int64_t now_ms)
{
    const int64_t newest_ms = (day + 1) * DAY_MS - MINUTE_MS;
    const int64_t noon_ms = day * DAY_MS + DAY_MS / 2;
    const int64_t age = (now_ms - (day + 1) * DAY_MS) / DAY_MS; /* of all of the day */
    if (classes[n].tiers[1] == 0)
        return noon_ms >= now_ms - classes[n].raw * DAY_MS ? SAMPLES : NOTHING;
    if (newest_ms >= now_ms - classes[n].raw * DAY_MS)
        return SAMPLES;
    for (int t = 0; t < 2; t++)
        if (classes[n].tiers[t] > classes[n].raw && age < classes[n].tiers[t])
            return t == 0 ? MINUTES : HOURS;
    return NOTHING;
}

static void expect_all(struct world *world, const char *because)
{
    const int64_t now_ms = world->kit.now_ms - KIT_START_MS;
    for (int day = 0; day < DAYS; day++) {
        bool is_rolled = false;
        double there = 0;
        enum source source;
        const int64_t noon_ms = day * DAY_MS + DAY_MS / 2;
        for (unsigned n = 0; n < CLASSES; n++) {
            const enum source wanted = source_of(n, day, now_ms);
            expect_hour(world, n, noon_ms, 60, wanted, because);
            is_rolled = is_rolled || wanted > SAMPLES;
            there += wanted != NOTHING;
        }
        const double value = ask(world, "sum(count_over_time(m[1h]))", noon_ms, &source);
        assert_true(value == (there > 0 ? 60 * there : -1));
        assert_int_equal(source > SAMPLES, is_rolled);
    }
}

/* -- tests ------------------------------------------------------------------------------- */

static void each_series_is_answered_by_its_own_ages(void **state)
{
    (void)state;
    struct world world;
    /* In half days after the start; each of them changes something. */
    static const int64_t halves[] = {5, 6, 7, 8, 9, 10, 11, 13, 18, 19, 21, 24, 42, 46, 62, 66, 82, 90};
    start(&world, ALL_RULES);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x1f);
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        settle_at(&world, halves[i] * DAY_MS / 2 + HOUR_MS);
        expect_all(&world, "settled");
        if (i % 4 == 1)
            kit_crash(&world.kit);
        else if (i % 4 == 3)
            open_with(&world, ALL_RULES);
        expect_all(&world, "and opened again");
        /* Once each: a day with nothing due is left alone. */
        const unsigned walks = world.walks;
        const uint64_t made = stats_of(&world).rollups_made;
        assert_int_equal(store_settle(world.kit.store), 0);
        if (i % 2 == 0 && (world.walks != walks || stats_of(&world).rollups_made != made))
            fail_msg("at %lld half days a second turn works again", (long long)halves[i]);
    }
    const struct store_stats stats = stats_of(&world);
    assert_int_equal(stats.spans - stats.rollup_files[0] - stats.rollup_files[1], 0);
    assert_int_equal(stats.rollup_files[0], 0);
    assert_int_equal(stats.rollup_files[1], DAYS);
    assert_int_equal(stats.rollup_left_out, 0);
    assert_int_equal(stats.quarantined, 0);
    stop(&world);
}

static void late_samples_and_deletes_redo_what_they_touch(void **state)
{
    (void)state;
    struct world world;
    const int64_t late_ms = GAP_MS + 30 * MINUTE_MS;
    const int64_t noon_ms = DAY_MS / 2;
    start(&world, ALL_RULES);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x1f);
    settle_at(&world, 4 * DAY_MS); /* the first day: 1 and 4 are rolled up, 3 is gone */
    expect_all(&world, "before");
    for (unsigned n = 0; n < CLASSES; n++)
        assert_int_equal(kit_write(&world.kit, n, KIT_START_MS + late_ms, 9), 0);
    assert_int_equal(kit_write(&world.kit, 1, KIT_START_MS + noon_ms, 9), 0); /* closed */
    for (int turn = 0; turn < 3; turn++) {
        expect_hour(&world, 0, GAP_MS + HOUR_MS, 1, SAMPLES, "late");
        expect_hour(&world, 2, GAP_MS + HOUR_MS, 1, SAMPLES, "late");
        expect_hour(&world, 1, GAP_MS + HOUR_MS, 1, turn == 0 ? SAMPLES : MINUTES, "late");
        expect_hour(&world, 4, GAP_MS + HOUR_MS, 1, HOURS, "late");
        if (turn > 0)
            expect_all(&world, "late");
        if (turn == 1)
            kit_crash(&world.kit);
        assert_int_equal(store_settle(world.kit.store), 0);
    }
    /* Of a record only all can go; of samples what was meant. */
    assert_int_equal(kit_delete(&world.kit, MODEL_ALL, KIT_START_MS + noon_ms - 7 * MINUTE_MS + 1,
                                KIT_START_MS + noon_ms),
                     0);
    for (int turn = 0; turn < 4; turn++) {
        const enum source source = turn < 3 ? SAMPLES : MINUTES;
        expect_hour(&world, 0, noon_ms, 53, source, "deleted");
        expect_hour(&world, 2, noon_ms, 53, SAMPLES, "deleted");
        expect_hour(&world, 1, noon_ms, 50, MINUTES, "deleted");
        expect_hour(&world, 4, noon_ms, -1, HOURS, "deleted"); /* nobody */
        expect_hour(&world, 4, noon_ms - HOUR_MS, 60, HOURS, "deleted");
        if (turn == 1)
            open_with(&world, ALL_RULES);
        settle_at(&world, turn < 2 ? 4 * DAY_MS : 6 * DAY_MS);
    }
    assert_int_equal(stats_of(&world).deletes_pending, 0);
    stop(&world);
}

static void other_rules_after_a_restart_hold(void **state)
{
    (void)state;
    struct world world;
    const int64_t noon_ms = DAY_MS / 2;
    start(&world, ALL_RULES);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x1f);
    settle_at(&world, 3 * DAY_MS + HOUR_MS);
    expect_all(&world, "all rules");
    /* Without rules: what is gone stays gone, and records that are there are read. */
    open_with(&world, 0);
    for (int turn = 0; turn < 2; turn++) {
        expect_hour(&world, 1, noon_ms, 60, MINUTES, "no rules");
        expect_hour(&world, 4, noon_ms, 60, HOURS, "no rules");
        expect_hour(&world, 1, DAY_MS + noon_ms, 60, SAMPLES, "no rules");
        settle_at(&world, 3 * DAY_MS + 2 * HOUR_MS);
    }
    /* The day becomes one: each as fine as it was.  What comes late for one that has hours only must
     * not become its only word in the finer tier. */
    assert_int_equal(
        kit_write(&world.kit, 4, KIT_START_MS + GAP_MS + 30 * MINUTE_MS, 9), 0);
    settle_at(&world, 5 * DAY_MS + HOUR_MS);
    expect_hour(&world, 0, noon_ms, 60, MINUTES, "no rules, later");
    expect_hour(&world, 1, noon_ms, 60, MINUTES, "no rules, later");
    expect_hour(&world, 2, noon_ms, 60, MINUTES, "no rules, later");
    expect_hour(&world, 4, noon_ms, 60, HOURS, "no rules, later");
    expect_hour(&world, 4, GAP_MS + HOUR_MS, 1, HOURS, "no rules, late");
    expect_hour(&world, 3, DAY_MS + noon_ms, 60, SAMPLES, "no rules, later");
    /* With them again: shorter ages take effect, a longer one brings nothing back. */
    open_with(&world, ALL_RULES);
    settle_at(&world, 5 * DAY_MS + 2 * HOUR_MS);
    expect_hour(&world, 2, noon_ms, 60, MINUTES, "rules again");
    expect_hour(&world, 1, DAY_MS + noon_ms, 60, MINUTES, "rules again");
    expect_hour(&world, 3, DAY_MS + noon_ms, 0, NOTHING, "rules again");
    expect_hour(&world, 4, DAY_MS + noon_ms, 60, HOURS, "rules again");
    expect_hour(&world, 2, DAY_MS + noon_ms, 60, SAMPLES, "rules again");
    stop(&world);
}

/* Made ahead while nothing of series 3 was to be kept; when its time comes, it is. */
static void a_copy_of_other_rules_is_not_trusted(void **state)
{
    (void)state;
    struct world world;
    start(&world, 0);
    world.rules[0] = (struct store_retention){.selection = {&world.matchers[3], 1},
                                              .rollup_5m_ms = STORE_NEVER,
                                              .rollup_1h_ms = STORE_NEVER};
    kit_close(&world.kit);
    world.kit.options.age_count = 1;
    kit_open(&world.kit);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x09);
    settle_at(&world, 2 * DAY_MS + 4 * HOUR_MS); /* a flush leaves out what is over */
    settle_at(&world, 5 * DAY_MS - 6 * HOUR_MS);
    assert_int_equal(stats_of(&world).rollup_files[0], 1); /* ahead */
    open_with(&world, 0);
    settle_at(&world, 5 * DAY_MS + HOUR_MS);
    expect_hour(&world, 0, DAY_MS / 2, 60, MINUTES, "others");
    expect_hour(&world, 3, DAY_MS / 2, 60, MINUTES, "kept by now");
    stop(&world);
}

/* -- turns ------------------------------------------------------------------------------- */

static void a_day_of_which_nothing_is_kept_is_walked_once(void **state)
{
    (void)state;
    struct world world;
    start(&world, 0x02);
    /* A rule of another series: nothing is kept of 3, and its samples are near their end. */
    world.rules[0] = classes[3].rule;
    world.rules[0].raw_ms = 0;
    world.rules[0].selection = (struct store_selection){&world.matchers[3], 1};
    kit_close(&world.kit);
    kit_open(&world.kit);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x08);
    world.walks = 0;
    settle_at(&world, 5 * DAY_MS - 6 * HOUR_MS);
    assert_int_equal(world.walks, 1);
    assert_int_equal(stats_of(&world).rollups_made, 0);
    settle_at(&world, 5 * DAY_MS - 6 * HOUR_MS + MINUTE_MS);
    assert_int_equal(world.walks, 1);
    stop(&world);
}

/* Cuts files short whose names have a part in them; how many. */
static int damage(const struct world *world, const char *part)
{
    char path[512];
    int cut = 0;
    (void)snprintf(path, sizeof path, "%s/history", world->kit.directory);
    DIR *entries = opendir(path);
    must(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strstr(entry->d_name, part) == NULL)
            continue;
        (void)snprintf(path, sizeof path, "%s/history/%s", world->kit.directory, entry->d_name);
        must(truncate(path, 4096) == 0);
        cut++;
    }
    (void)closedir(entries);
    return cut;
}

static void a_day_that_is_damaged_does_not_hold_up_the_next(void **state)
{
    (void)state;
    struct world world;
    char first[32];
    start(&world, ALL_RULES);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x1f);
    settle_at(&world, 2 * DAY_MS + 4 * HOUR_MS);
    kit_close(&world.kit);
    (void)snprintf(first, sizeof first, "%lld-", (long long)KIT_START_MS);
    assert_int_equal(damage(&world, first), 1);
    kit_open(&world.kit);
    settle_at(&world, 4 * DAY_MS + HOUR_MS);
    expect_hour(&world, 1, DAY_MS + DAY_MS / 2, 60, MINUTES, "the day behind it");
    expect_hour(&world, 2, DAY_MS + DAY_MS / 2, 60, SAMPLES, "the day behind it");
    assert_true(stats_of(&world).quarantined > 0);
    kit_stop(&world.kit);
    for (unsigned n = 1; n < CLASSES; n++)
        matcher_free(world.matchers[n]);
}

/* Nothing is left to write to, and what was made ahead cannot be read: the day goes all the same. */
static void a_full_store_does_not_wait_for_a_damaged_roll_up(void **state)
{
    (void)state;
    static uint8_t ballast[8 << 20];
    struct world world;
    start(&world, 0);
    world.kit.now_ms = KIT_START_MS + 2 * DAY_MS + 3 * HOUR_MS;
    write_days(&world, 0x01);
    memset(ballast, 'x', sizeof ballast);
    struct store_put put = {bytes_of("ballast"), {ballast, sizeof ballast}};
    struct store_write write = {.puts = &put, .put_count = 1};
    assert_int_equal(store_write_wait(world.kit.store, &write), 0);
    settle_at(&world, 5 * DAY_MS - 6 * HOUR_MS);
    assert_int_equal(stats_of(&world).rollup_files[0], 1);
    kit_close(&world.kit);
    kit_open(&world.kit);
    assert_int_equal(kit_put(&world.kit, "look", "at the disk"), 0);
    const uint64_t bytes = stats_of(&world).disk_bytes;
    kit_close(&world.kit);
    assert_true(bytes > 0);
    assert_int_equal(damage(&world, ".rollup_"), 2);
    world.kit.options.quota_bytes = bytes * 100 / 99;
    kit_open(&world.kit);
    settle_at(&world, 5 * DAY_MS + HOUR_MS);
    const struct store_stats stats = stats_of(&world);
    assert_int_equal(stats.rollup_days_lost, 1);
    assert_int_equal(stats.rollups_made, 0);
    expect_hour(&world, 0, DAY_MS / 2, 0, NOTHING, "the first day");
    expect_hour(&world, 0, DAY_MS + DAY_MS / 2, 60, SAMPLES, "the second");
    kit_stop(&world.kit);
    for (unsigned n = 1; n < CLASSES; n++)
        matcher_free(world.matchers[n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_series_is_answered_by_its_own_ages),
        cmocka_unit_test(late_samples_and_deletes_redo_what_they_touch),
        cmocka_unit_test(other_rules_after_a_restart_hold),
        cmocka_unit_test(a_copy_of_other_rules_is_not_trusted),
        cmocka_unit_test(a_day_of_which_nothing_is_kept_is_walked_once),
        cmocka_unit_test(a_day_that_is_damaged_does_not_hold_up_the_next),
        cmocka_unit_test(a_full_store_does_not_wait_for_a_damaged_roll_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
