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

static void a_short_ones_end_is_held_for_as_long_as_it_fired_and_a_quarter(void **state)
{
    static const struct {
        const char *because;
        int64_t fired_ms, hold_ms;
    } cases[] = {
        {"a quarter longer than it fired", 8 * S, 10 * S},
        {"but a fortieth of the time at most", 59 * S, 15 * S},
        {"what fired for long is over at once", 60 * S, 0},
    };
    const struct flap_terms never = {0, 600 * S};
    struct flap flap = {0};
    (void)state;
    assert_int_equal(flap_hold_ms(&flap, &terms), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flap = (struct flap){0};
        flap_change(&flap, &terms, 1000 * S);
        flap_change(&flap, &terms, 1000 * S + cases[i].fired_ms);
        if (flap_hold_ms(&flap, &terms) != cases[i].hold_ms)
            fail_msg("%s", cases[i].because);
        assert_int_equal(flap_hold_ms(&flap, &never), 0);
    }
}

/* What a group that tells all at once sends of an alert that comes and goes for ten minutes, as
 * evaluate.c tells it and flush.c passes it on: a message for what is news to whoever heard the
 * last. */
static unsigned notices(int64_t period_ms, int64_t on_ms, int64_t every_ms)
{
    struct flap flap = {0};
    bool fires = false, is_open = false, told_open = false, told_flapping = false;
    int64_t hold_until_ms = 0;
    unsigned count = 0;
    for (int64_t ts_ms = 0; ts_ms < 1800 * S; ts_ms += every_ms) {
        const bool holds = ts_ms < 600 * S && ts_ms % period_ms < on_ms;
        if (holds != fires) {
            flap_change(&flap, &terms, ts_ms);
            is_open = holds || flap.flapping;
            hold_until_ms = is_open ? 0 : ts_ms + flap_hold_ms(&flap, &terms);
        } else if (flap_is_over(&flap, &terms, ts_ms)) {
            is_open = holds;
            flap = (struct flap){0};
        }
        fires = holds;
        const bool tells_open = is_open || hold_until_ms > ts_ms;
        count += tells_open != told_open || (tells_open && flap.flapping && !told_flapping);
        told_open = tells_open;
        told_flapping = tells_open && flap.flapping;
    }
    assert_false(told_open); /* in the end everybody knows that it is over */
    return count;
}

static void a_flap_is_three_notices_however_soon_they_are_told(void **state)
{
    static const int64_t every[] = {S / 10, 1 * S, 5 * S, 10 * S};
    (void)state;
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
        assert_int_equal(notices(20 * S, 10 * S, every[i]), 3);
        assert_in_range(notices(30 * S, 20 * S, every[i]), 1, 3);
        assert_in_range(notices(24 * S, 12 * S, every[i]), 1, 3);
    }
    assert_int_equal(notices(3600 * S, 10 * S, S), 2); /* one that comes once */
    assert_int_equal(notices(3600 * S, 400 * S, S), 2);
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
        cmocka_unit_test(a_short_ones_end_is_held_for_as_long_as_it_fired_and_a_quarter),
        cmocka_unit_test(a_flap_is_three_notices_however_soon_they_are_told),
        cmocka_unit_test(without_terms_nothing_flaps_and_nothing_is_remembered),
        cmocka_unit_test(bytes_read_back_and_cut_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
