/*
 * test_rollup_deletes.c - what is deleted after its samples have expired leaves the roll-ups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"

#define MINUTE_MS ((int64_t)60000)
#define DAY_MS    (1440 * MINUTE_MS)
#define ALWAYS    INT64_MIN / 2, INT64_MAX / 2
#define SAMPLES   600 /* of a series, a minute apart */

static void expect(struct kit *kit, uint64_t samples)
{
    uint64_t records;
    assert_int_equal(kit_samples(kit, ALWAYS, &records), samples);
    assert_true(records > 0);
}

static void records_of_which_some_is_deleted_go_and_stay_gone(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    kit_start(&kit);
    kit_close(&kit);
    kit.options.retention_raw_ms = 2 * DAY_MS;
    kit.options.rolls_up = true;
    kit.now_ms = KIT_START_MS + 4 * DAY_MS;
    kit_open(&kit);
    for (int64_t i = 1; i <= SAMPLES; i++)
        for (unsigned n = 0; n < 3; n++)
            assert_int_equal(kit_write(&kit, n, KIT_START_MS + i * MINUTE_MS, (double)i), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_which_some_is_deleted_go_and_stay_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
