/*
 * test_flap.c - when an alert flaps, when it has settled, and its stored form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/rules/flap.h"

#define S 1000

static const struct flap_terms terms = {4, 600 * S};

static void the_fourth_change_in_ten_minutes_is_flapping(void **state)
{
    struct flap flap = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        flap_change(&flap, &terms, i * 10 * S);
        assert_false(flap.flapping);
    }
    flap_change(&flap, &terms, 599 * S);
    assert_true(flap.flapping);
    assert_int_equal(flap.began_ms, 0);
}

static void changes_that_are_far_apart_are_none_of_it(void **state)
{
    struct flap flap = {0};
    (void)state;
    for (int i = 0; i < 50; i++) {
        flap_change(&flap, &terms, i * 201 * S);
        assert_false(flap.flapping);
        assert_true(flap.count <= 3);
    }
}

static void it_settles_after_half_of_the_time_without_a_change(void **state)
{
    struct flap flap = {0};
    (void)state;
    assert_false(flap_is_over(&flap, &terms, 10000 * S));
    flap_change(&flap, &terms, 0);
    assert_false(flap_is_over(&flap, &terms, 599 * S));
    assert_true(flap_is_over(&flap, &terms, 600 * S));
    for (int i = 1; i < 60; i++)
        flap_change(&flap, &terms, i * 10 * S);
    assert_true(flap.flapping);
    assert_int_equal(flap.count, FLAP_CHANGES_MAX);
    assert_int_equal(flap_last_ms(&flap), 590 * S);
    assert_false(flap_is_over(&flap, &terms, 889 * S));
    assert_true(flap_is_over(&flap, &terms, 890 * S));
}

static void without_terms_nothing_flaps_and_nothing_is_remembered(void **state)
{
    const struct flap_terms never = {0, 600 * S};
    struct flap flap = {0};
    (void)state;
    for (int i = 0; i < 10; i++)
        flap_change(&flap, &never, i);
    assert_int_equal(flap.count, 0);
    flap_change(&flap, &terms, 0);
    assert_true(flap_is_over(&flap, &never, 1)); /* a reload has switched it off */
}

static void bytes_read_back_and_cut_ones_do_not(void **state)
{
    struct flap flap = {0}, back;
    struct buf out = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        flap_change(&flap, &terms, i * S);
    flap_write(&flap, &out);
    for (size_t size = 0; size < out.size; size++) {
        struct reader cut = reader_of((struct bytes){out.data, size});
        assert_false(flap_read(&cut, &back));
    }
    struct reader whole = reader_of(buf_bytes(&out));
    assert_true(flap_read(&whole, &back));
    assert_memory_equal(&back, &flap, sizeof flap);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fourth_change_in_ten_minutes_is_flapping),
        cmocka_unit_test(changes_that_are_far_apart_are_none_of_it),
        cmocka_unit_test(it_settles_after_half_of_the_time_without_a_change),
        cmocka_unit_test(without_terms_nothing_flaps_and_nothing_is_remembered),
        cmocka_unit_test(bytes_read_back_and_cut_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
