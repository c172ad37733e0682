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

static enum flap_tells step(struct flap *flap, enum flap_change change, int64_t ts_ms)
{
    bool changed;
    return flap_step(flap, &terms, change, ts_ms, &changed);
}

static void a_short_ones_end_waits_whether_it_comes_back(void **state)
{
    static const struct {
        const char *because;
        int64_t fired_ms, due_ms;
    } cases[] = {
        {"twice as long as it fired", 10 * S, 20 * S},
        {"but a twentieth of the time at most", 59 * S, 30 * S},
        {"what fired for long is over at once", 60 * S, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flap flap = {0}, again;
        const int64_t end_ms = 1000 * S + cases[i].fired_ms, due_ms = end_ms + cases[i].due_ms;
        assert_int_equal(step(&flap, FLAP_BEGAN, 1000 * S), FLAP_TELLS_CHANGE);
        if (step(&flap, FLAP_ENDED, end_ms) !=
            (cases[i].due_ms > 0 ? FLAP_TELLS_NOTHING : FLAP_TELLS_CHANGE))
            fail_msg("%s", cases[i].because);
        assert_int_equal(flap_fired_ms(&flap), 1000 * S);
        again = flap;
        if (cases[i].due_ms > 0 &&
            (step(&flap, FLAP_NO_CHANGE, due_ms - 1) != FLAP_TELLS_NOTHING ||
             step(&flap, FLAP_NO_CHANGE, due_ms) != FLAP_TELLS_END))
            fail_msg("%s", cases[i].because);
        assert_int_equal(step(&flap, FLAP_NO_CHANGE, due_ms + 1), FLAP_TELLS_NOTHING);
        assert_int_equal(step(&flap, FLAP_BEGAN, due_ms + S), FLAP_TELLS_CHANGE);
        /* Back in time there is no end to tell, and nothing new. */
        assert_int_equal(step(&again, FLAP_BEGAN, due_ms - 1), cases[i].due_ms > 0
                                                                   ? FLAP_TELLS_NOTHING
                                                                   : FLAP_TELLS_CHANGE);
        assert_false(again.owes_end);
    }
}

static void an_end_that_waits_is_told_when_a_reload_switches_flapping_off(void **state)
{
    const struct flap_terms never = {0, 600 * S};
    struct flap flap = {0};
    bool changed;
    (void)state;
    (void)step(&flap, FLAP_BEGAN, 0);
    (void)step(&flap, FLAP_ENDED, S);
    assert_int_equal(flap_step(&flap, &never, FLAP_NO_CHANGE, S, &changed), FLAP_TELLS_END);
    assert_true(changed);
}

/* What a group that tells all at once sends of an alert that comes and goes for ten minutes: a
 * message for what is news to whoever heard the last (dedup.h). */
static unsigned notices(int64_t period_ms, int64_t on_ms, int64_t every_ms)
{
    struct flap flap = {0};
    bool fires = false, told_firing = false, told_flapping = false;
    unsigned count = 0;
    for (int64_t ts_ms = 0; ts_ms < 1800 * S; ts_ms += every_ms) {
        const bool holds = ts_ms < 600 * S && ts_ms % period_ms < on_ms;
        const enum flap_change change = holds == fires ? FLAP_NO_CHANGE
                                        : holds        ? FLAP_BEGAN
                                                       : FLAP_ENDED;
        const enum flap_tells tells = step(&flap, change, ts_ms);
        fires = holds;
        if (tells == FLAP_TELLS_NOTHING)
            continue;
        const bool as_firing = tells == FLAP_TELLS_FIRING ||
                               (tells != FLAP_TELLS_END && fires);
        if (as_firing != told_firing || (flap.flapping && as_firing && !told_flapping))
            count++;
        told_flapping = as_firing && flap.flapping;
        told_firing = as_firing;
    }
    assert_false(told_firing); /* in the end everybody knows that it is over */
    return count;
}

static void a_flap_is_three_notices_however_soon_they_are_told(void **state)
{
    static const int64_t every[] = {1 * S, 5 * S, 10 * S, 15 * S};
    (void)state;
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
        assert_in_range(notices(20 * S, 10 * S, every[i]), 2, 3);
        assert_in_range(notices(60 * S, 30 * S, every[i]), 2, 3);
        assert_in_range(notices(30 * S, 20 * S, every[i]), 2, 3);
    }
    assert_int_equal(notices(20 * S, 10 * S, S), 3);
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
    flap.owes_end = true;
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
        cmocka_unit_test(a_short_ones_end_waits_whether_it_comes_back),
        cmocka_unit_test(an_end_that_waits_is_told_when_a_reload_switches_flapping_off),
        cmocka_unit_test(a_flap_is_three_notices_however_soon_they_are_told),
        cmocka_unit_test(without_terms_nothing_flaps_and_nothing_is_remembered),
        cmocka_unit_test(bytes_read_back_and_cut_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
