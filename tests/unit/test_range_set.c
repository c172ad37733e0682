#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "collector/ingest/range_set.h"
#include "proto/base/error.h"

#define MODEL_NUMBERS 400

static void random_additions_agree_with_a_naive_model(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 200; round++) {
        struct range_set set = {0};
        bool model[MODEL_NUMBERS + 2] = {false};
        for (int step = 0; step < 60; step++) {
            uint64_t first = (uint64_t)(rand() % MODEL_NUMBERS) + 1;
            uint64_t last = first + (uint64_t)(rand() % 8);
            if (last > MODEL_NUMBERS)
                last = MODEL_NUMBERS;
            assert_int_equal(range_set_add(&set, first, last), 0);
            for (uint64_t n = first; n <= last; n++)
                model[n] = true;
        }
        uint64_t low = 0;
        while (model[low + 1])
            low++;
        assert_int_equal(set.low_water, low);
        for (uint64_t n = 1; n <= MODEL_NUMBERS; n++)
            assert_int_equal(range_set_has(&set, n), model[n]);
        for (size_t i = 0; i < set.count; i++)
            assert_true(set.ranges[i].first >
                        (i == 0 ? set.low_water : set.ranges[i - 1].last) + 1);
        for (int ask = 0; ask < 50; ask++) {
            uint64_t first = (uint64_t)(rand() % MODEL_NUMBERS) + 1;
            uint64_t last = first + (uint64_t)(rand() % 5);
            bool all = last <= MODEL_NUMBERS;
            for (uint64_t n = first; all && n <= last; n++)
                all = model[n];
            assert_int_equal(range_set_covers(&set, first, last), all);
        }
        range_set_done(&set);
    }
}

static void a_set_survives_its_stored_form(void **state)
{
    struct range_set set = {0}, again;
    struct buf buf = {0};
    (void)state;
    assert_int_equal(range_set_add(&set, 1, 10), 0);
    assert_int_equal(range_set_add(&set, 12, 12), 0);
    assert_int_equal(range_set_add(&set, 20, 30), 0);
    range_set_write(&set, &buf);
    struct reader reader = reader_of(buf_bytes(&buf));
    assert_int_equal(range_set_read(&reader, &again), 0);
    assert_int_equal(again.low_water, 10);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.ranges[1].first, 20);
    assert_int_equal(again.ranges[1].last, 30);
    range_set_done(&set);
    range_set_done(&again);
    for (size_t size = 0; size < buf.size; size++) { /* every cut is noticed */
        reader = reader_of((struct bytes){buf.data, size});
        assert_int_equal(range_set_read(&reader, &again), ERR_MALFORMED);
    }
    buf_done(&buf);
}

static void one_range_too_many_is_a_limit_and_changes_nothing(void **state)
{
    struct range_set set = {0};
    (void)state;
    for (uint64_t i = 0; i < STREAM_RANGES_MAX; i++)
        assert_int_equal(range_set_add(&set, 10 + 2 * i, 10 + 2 * i), 0);
    assert_int_equal(range_set_add(&set, 5000, 5000), ERR_LIMIT);
    assert_int_equal(set.count, STREAM_RANGES_MAX);
    assert_int_equal(range_set_add(&set, 11, 11), 0); /* joining is always possible */
    assert_int_equal(set.count, STREAM_RANGES_MAX - 1);
    range_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_additions_agree_with_a_naive_model),
        cmocka_unit_test(a_set_survives_its_stored_form),
        cmocka_unit_test(one_range_too_many_is_a_limit_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
