/*
 * test_late.c - samples that come late, in any order, anywhere inside retention: whatever holds
 * their time by then (tails, the head's chunks, files, merged days), the last write wins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define SERIES  6
#define BATCH   64

static int64_t below(unsigned *seed, int64_t limit)
{
    int64_t wide = (int64_t)rand_r(seed) << 31 | rand_r(seed);
    return wide % limit;
}

static void write_batch(struct kit *kit, struct model *model, struct store_sample *samples,
                        const unsigned *series, size_t count)
{
    struct store_write write = {.samples = samples, .sample_count = count};
    for (size_t i = 0; i < count; i++)
        samples[i].series = kit_series(kit, series[i]);
    assert_int_equal(store_write_wait(kit->store, &write), 0);
    for (size_t i = 0; i < count; i++)
        model_write(model, series[i], samples[i].ts_ms, samples[i].value);
}

/* Times on a coarse grid, so that many meet; most of them of the last hours, as in service, the
 * others of any day.  A few values, so that many are twins. */
static void write_anywhere(struct kit *kit, struct model *model, unsigned *seed)
{
    struct store_sample samples[BATCH];
    unsigned series[BATCH];
    const int64_t now_ms = kit->now_ms;
    for (size_t i = 0; i < BATCH; i++) {
        const int64_t reach_ms = rand_r(seed) % 3 == 0 ? 12 * DAY_MS : 4 * HOUR_MS;
        const int64_t grid_ms = reach_ms > DAY_MS ? HOUR_MS : 5 * 60000;
        series[i] = (unsigned)rand_r(seed) % SERIES;
        samples[i] = (struct store_sample){
            .ts_ms = (now_ms - below(seed, reach_ms)) / grid_ms * grid_ms,
            .value = rand_r(seed) % 5};
    }
    write_batch(kit, model, samples, series, BATCH);
}

static void the_last_write_wins_wherever_its_time_lies_by_then(void **state)
{
    (void)state;
    for (unsigned run = 1; run <= 4; run++) {
        struct kit kit;
        struct model model = {0};
        unsigned seed = run;
        kit_start(&kit);
        kit.now_ms = KIT_START_MS + 20 * DAY_MS;
        for (int round = 0; round < 80; round++) {
            write_anywhere(&kit, &model, &seed);
            kit.now_ms += below(&seed, HOUR_MS);
            switch (rand_r(&seed) % 12) {
            case 0: /* to files, and those into days */
                assert_int_equal(store_settle(kit.store), 0);
                break;
            case 1:
                kit_close(&kit);
                kit_open(&kit);
                break;
            case 2: /* as kill -9 leaves it */
                kit_crash(&kit);
                break;
            default:
                continue;
            }
            kit_expect(&kit, &model, ALWAYS);
        }
        assert_int_equal(store_settle(kit.store), 0);
        kit_expect(&kit, &model, ALWAYS);
        kit_close(&kit);
        assert_int_equal(kit_faults(&kit), 0);
        kit_open(&kit);
        kit_expect(&kit, &model, ALWAYS);
        model_done(&model);
        kit_stop(&kit);
    }
}

/* One time of one series, written once in every state that its day can be in. */
static void each_home_of_a_time_gives_way_to_the_next_write(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    double value = 0;
    const int64_t at_ms = KIT_START_MS + HOUR_MS;
    kit_start(&kit);
    kit.now_ms = at_ms;
    for (int life = 0; life < 6; life++) {
        for (int twice = 0; twice < 2; twice++) { /* over the tail, and over the late tail */
            kit_run(&kit, &model, 0, at_ms - HOUR_MS, at_ms, value);
            value += 1;
            struct store_sample sample = {.ts_ms = at_ms - KIT_STEP_MS, .value = value};
            write_batch(&kit, &model, &sample, &(unsigned){0}, 1);
            kit_expect(&kit, &model, ALWAYS);
        }
        switch (life) {
        case 0: /* a kill: from the log into the tails */
        case 3: /* over a file */
            kit_crash(&kit);
            break;
        case 1: /* a clean stop: from the checkpoint */
            kit_close(&kit);
            kit_open(&kit);
            break;
        case 2: /* a file of two hours */
        case 4: /* several of them into one */
            kit.now_ms += 3 * HOUR_MS;
            assert_int_equal(store_settle(kit.store), 0);
            break;
        default: /* a day's */
            kit.now_ms += 2 * DAY_MS;
            assert_int_equal(store_settle(kit.store), 0);
            break;
        }
        kit_expect(&kit, &model, ALWAYS);
    }
    model_done(&model);
    kit_stop(&kit);
}

/* The older of two writes in one batch loses too, and to a write of the same time in another. */
static void duplicates_in_one_batch_are_in_order_as_well(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    for (int settled = 0; settled < 2; settled++) {
        struct store_sample samples[] = {
            {.ts_ms = KIT_START_MS + 3000, .value = 1}, {.ts_ms = KIT_START_MS + 1000, .value = 2},
            {.ts_ms = KIT_START_MS + 3000, .value = 3}, {.ts_ms = KIT_START_MS + 1000, .value = 4},
            {.ts_ms = KIT_START_MS + 2000, .value = 5}, {.ts_ms = KIT_START_MS + 3000, .value = 1},
        };
        const unsigned series[6] = {0};
        write_batch(&kit, &model, samples, series, 6);
        kit_expect(&kit, &model, ALWAYS);
        kit.now_ms = KIT_START_MS + 5 * HOUR_MS;
        assert_int_equal(store_settle(kit.store), 0);
        kit_expect(&kit, &model, ALWAYS);
    }
    model_done(&model);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_write_wins_wherever_its_time_lies_by_then),
        cmocka_unit_test(each_home_of_a_time_gives_way_to_the_next_write),
        cmocka_unit_test(duplicates_in_one_batch_are_in_order_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
