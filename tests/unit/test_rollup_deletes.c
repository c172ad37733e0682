/*
 * test_rollup_deletes.c - what is deleted after its samples have expired leaves the roll-ups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"

#define MINUTE_MS ((int64_t)60000)
#define DAY_MS    (1440 * MINUTE_MS)
#define RAW_MS    (16 * DAY_MS) /* rolled up when two of them are left */
#define ALWAYS    INT64_MIN / 2, INT64_MAX / 2
#define SAMPLES   600 /* of a series, a minute apart */
#define SERIES    3

static void expect(struct kit *kit, uint64_t samples)
{
    uint64_t records;
    assert_int_equal(kit_samples(kit, ALWAYS, &records), samples);
    assert_true(records > 0);
}

static void start_with_a_day(struct kit *kit, int64_t now_ms)
{
    static struct store_sample samples[SERIES * SAMPLES];
    kit_start(kit);
    kit_close(kit);
    kit->options.retention_raw_ms = RAW_MS;
    kit->options.rolls_up = true;
    kit->now_ms = now_ms;
    kit_open(kit);
    for (int64_t i = 0; i < SAMPLES; i++)
        for (unsigned n = 0; n < SERIES; n++)
            samples[i * SERIES + n] = (struct store_sample){
                kit_series(kit, n), KIT_START_MS + (i + 1) * MINUTE_MS, (double)(i + 1)};
    struct store_write write = {.samples = samples, .sample_count = SERIES * SAMPLES};
    assert_int_equal(store_write_wait(kit->store, &write), 0);
}

static void records_of_which_some_is_deleted_go_and_stay_gone(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    start_with_a_day(&kit, KIT_START_MS + RAW_MS + DAY_MS);
    assert_int_equal(store_settle(kit.store), 0);
    expect(&kit, 3 * SAMPLES);

    assert_int_equal(
        kit_delete(&kit, 1, KIT_START_MS + 11 * MINUTE_MS, KIT_START_MS + 16 * MINUTE_MS), 0);
    expect(&kit, 3 * SAMPLES - 10); /* two buckets of five */
    assert_int_equal(kit_delete(&kit, 2, ALWAYS), 0);
    expect(&kit, 2 * SAMPLES - 10);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "2", ALWAYS), 0);
    kit_close(&kit);
    kit_open(&kit);
    expect(&kit, 2 * SAMPLES - 10);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(store_settle(kit.store), 0);
    store_get_stats(kit.store, &stats);
    assert_int_equal(stats.deletes_pending, 0); /* the files are without it */
    assert_int_equal(stats.rollup_files[0], 1);
    expect(&kit, 2 * SAMPLES - 10);

    /* What is written into the hole afterwards counts. */
    assert_int_equal(kit_write(&kit, 2, KIT_START_MS + 11 * MINUTE_MS, 7), 0);
    expect(&kit, 2 * SAMPLES - 9);
    assert_int_equal(store_settle(kit.store), 0);
    expect(&kit, 2 * SAMPLES - 9);

    assert_int_equal(kit_delete(&kit, 0, ALWAYS), 0);
    assert_int_equal(kit_delete(&kit, 1, ALWAYS), 0);
    assert_int_equal(kit_delete(&kit, 2, ALWAYS), 0);
    assert_int_equal(store_settle(kit.store), 0);
    store_get_stats(kit.store, &stats);
    assert_int_equal(stats.spans, 0);
    kit_close(&kit);
    assert_int_equal(kit_faults(&kit), 0);
    kit_stop_closed(&kit);
}

/* So that what the rest takes is little beside it. */
static uint64_t bytes_with_ballast(struct kit *kit)
{
    static uint8_t ballast[8 << 20];
    struct store_stats stats;
    memset(ballast, 'x', sizeof ballast);
    struct store_put put = {bytes_of("ballast"), {ballast, sizeof ballast}};
    struct store_write write = {.puts = &put, .put_count = 1};
    assert_int_equal(store_write_wait(kit->store, &write), 0);
    kit_close(kit);
    kit_open(kit);
    assert_int_equal(kit_put(kit, "look", "at the disk"), 0);
    store_get_stats(kit->store, &stats);
    return stats.disk_bytes;
}

/* The day goes while nothing can be written: the roll-up there is was made before the delete and
 * before what came late, and becomes all there is. */
static void a_delete_is_final_and_late_samples_are_counted_where_no_room_is_left(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    start_with_a_day(&kit, KIT_START_MS + RAW_MS);
    assert_int_equal(store_settle(kit.store), 0);
    store_get_stats(kit.store, &stats);
    assert_int_equal(stats.rollup_files[0], 1);
    uint64_t bytes = bytes_with_ballast(&kit);

    assert_int_equal(kit_delete(&kit, 2, ALWAYS), 0);
    assert_int_equal(
        kit_delete(&kit, 1, KIT_START_MS + 11 * MINUTE_MS, KIT_START_MS + 16 * MINUTE_MS), 0);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    store_get_stats(kit.store, &stats);
    assert_int_equal(stats.deletes_pending, 0); /* written down nowhere any more */
    /* One between others, one of a bucket that has none, one more of that, and one written over. */
    assert_int_equal(kit_write(&kit, 0, KIT_START_MS + 20 * MINUTE_MS + 1, 5), 0);
    assert_int_equal(kit_write(&kit, 0, KIT_START_MS + 900 * MINUTE_MS, 5), 0);
    assert_int_equal(kit_write(&kit, 0, KIT_START_MS + 899 * MINUTE_MS, 5), 0);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 33 * MINUTE_MS, 1e6), 0);
    kit_close(&kit);

    kit.options.quota_bytes = bytes;
    kit.now_ms = KIT_START_MS + RAW_MS + DAY_MS;
    for (int round = 0; round < 3; round++) {
        kit_open(&kit);
        assert_int_equal(store_settle(kit.store), 0);
        store_get_stats(kit.store, &stats);
        assert_int_equal(stats.rollup_files[0], 1);
        assert_int_equal(stats.spans, 2); /* the samples have expired */
        assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "2", ALWAYS), 0);
        expect(&kit, 2 * SAMPLES - 10); /* and of the other delete two buckets of five */
        if (round == 0) { /* the four, and of those two buckets what had not been deleted */
            assert_int_equal(stats.rollup_left_out, 4 + 4);
            assert_int_equal(stats.rollup_days_lost, 0);
        }
        kit_close(&kit);
        kit.options.quota_bytes = round == 1 ? 0 : bytes; /* there is room again: nothing returns */
    }
    assert_int_equal(kit_faults(&kit), 0);
    kit_stop_closed(&kit);
}

/* While the samples are there a roll-up that cannot be read is made anew, or they would go for
 * nothing. */
static void a_damaged_roll_up_is_made_anew_before_the_samples_go(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    char command[160];
    start_with_a_day(&kit, KIT_START_MS + RAW_MS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_close(&kit);
    (void)snprintf(command, sizeof command, "for f in %s/history/*.rollup_5m.mdb; do rm $f; done",
                   kit.directory);
    assert_int_equal(system(command), 0);
    kit.now_ms = KIT_START_MS + RAW_MS + DAY_MS;
    kit_open(&kit);
    assert_int_equal(store_settle(kit.store), 0);
    store_get_stats(kit.store, &stats);
    assert_int_equal(stats.spans, 2);
    expect(&kit, 3 * SAMPLES);
    assert_int_equal(
        kit_delete(&kit, 1, KIT_START_MS + 11 * MINUTE_MS, KIT_START_MS + 15 * MINUTE_MS), 0);
    expect(&kit, 3 * SAMPLES - 5); /* of five minutes, not of an hour */
    kit_close(&kit);
    assert_int_equal(kit_faults(&kit), 0);
    kit_stop_closed(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_which_some_is_deleted_go_and_stay_gone),
        cmocka_unit_test(a_delete_is_final_and_late_samples_are_counted_where_no_room_is_left),
        cmocka_unit_test(a_damaged_roll_up_is_made_anew_before_the_samples_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
