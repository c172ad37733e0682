/*
 * test_rollup_amid.c - samples that come while a flush goes on, for a day that is about to be rolled
 * up and to expire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define RAW_MS    (2 * DAY_MS)
#define COUNT     60

/* The samples of an hour; the last, at its end, is of the next span. */
struct amid {
    struct kit *kit;
    int64_t hour_ms;
    bool is_due;
};

static void write_amid(void *context, const char *point)
{
    struct amid *amid = context;
    struct store_sample samples[COUNT];
    if (strcmp(point, "checkpoint.slices") != 0 || !amid->is_due)
        return;
    amid->is_due = false;
    for (int i = 0; i < COUNT; i++)
        samples[i] = (struct store_sample){kit_series(amid->kit, 0),
                                           amid->hour_ms + (i + 1) * MINUTE_MS, i};
    struct store_write write = {.samples = samples, .sample_count = COUNT};
    assert_int_equal(store_write_wait(amid->kit->store, &write), 0);
}

static void settle_amid(int64_t now_ms)
{
    struct kit kit;
    struct amid amid = {.kit = &kit, .hour_ms = KIT_START_MS + HOUR_MS};
    kit_start(&kit);
    kit_close(&kit);
    kit.options.retention_raw_ms = RAW_MS;
    kit.options.rolls_up = true;
    kit.options.step = write_amid;
    kit.options.step_context = &amid;
    kit_open(&kit);
    kit.now_ms = now_ms;
    /* So that no flush is due but the one that is asked for. */
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(kit_write(&kit, 0, now_ms, 1), 0);
    amid.is_due = true;
    for (int i = 0; i < 3; i++) {
        uint64_t records = 0;
        struct store_stats stats;
        assert_int_equal(store_settle(kit.store), 0);
        assert_false(amid.is_due);
        assert_int_equal(
            kit_samples(&kit, amid.hour_ms + 1, amid.hour_ms + HOUR_MS, &records), COUNT);
        assert_true(i == 0 || records > 0);
        store_get_stats(kit.store, &stats);
        assert_int_equal(stats.rollup_left_out, 0);
        kit.now_ms = now_ms + HOUR_MS; /* all of it is over by then */
    }
    kit_stop(&kit);
}

static void a_write_amid_a_flush_is_rolled_up_as_a_whole(void **state)
{
    (void)state;
    settle_amid(KIT_START_MS + 5 * DAY_MS);
}

/* What is in a file is over, and what is not comes for the same bucket and is not yet. */
static void so_is_one_of_which_half_is_over(void **state)
{
    (void)state;
    settle_amid(KIT_START_MS + 2 * HOUR_MS - MINUTE_MS / 2 + RAW_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_amid_a_flush_is_rolled_up_as_a_whole),
        cmocka_unit_test(so_is_one_of_which_half_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
