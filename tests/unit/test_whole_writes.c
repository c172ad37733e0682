/*
 * test_whole_writes.c - a query beside writers sees all of what one write brought, or none.
 *
 * What can go wrong: the series of one host are copied one by one, and a write lands amid them;
 * a sum over them then mixes two ticks.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/base/arena.h"
#include "proto/base/must.h"
#include "tests/unit/store_kit.h"

#define SERIES      48u /* ids 1 to 48: neighbours in one shard */
#define ARENA_BYTES ((size_t)64 << 20)
#define MEETINGS    150 /* looks that saw another round than the one before */

struct beside {
    struct kit kit;
    _Atomic bool is_over;
};

static void write_round(struct beside *beside, uint64_t round)
{
    struct store_sample samples[SERIES];
    for (unsigned n = 0; n < SERIES; n++)
        samples[n] = (struct store_sample){kit_series(&beside->kit, n),
                                           KIT_START_MS + (int64_t)round, (double)round};
    struct store_write write = {.samples = samples, .sample_count = SERIES};
    must(store_write_wait(beside->kit.store, &write) == 0);
}

static void *write_on(void *context)
{
    struct beside *beside = context;
    for (uint64_t round = 1; !beside->is_over; round++)
        write_round(beside, round);
    return NULL;
}

static void none_of_a_write_is_seen_without_the_others(void **state)
{
    static struct beside beside;
    pthread_t thread;
    double seen = 0;
    (void)state;
    kit_start(&beside.kit);
    write_round(&beside, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &beside), 0);
    for (unsigned meetings = 0; meetings < MEETINGS;) {
        struct series_samples *series;
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        size_t count = kit_select(&beside.kit, MATCH_EQUAL, "__name__", "m",
                                  KIT_START_MS + (int64_t)seen, INT64_MAX / 2, &arena, &series);
        assert_int_equal(count, SERIES);
        const double last = series[0].values[series[0].count - 1];
        for (size_t i = 1; i < count; i++)
            assert_true(series[i].values[series[i].count - 1] == last);
        meetings += last > seen;
        seen = last;
        arena_reset(&arena);
    }
    beside.is_over = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    kit_stop(&beside.kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_of_a_write_is_seen_without_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
