/*
 * test_tick_clock.c - the grid of ticks, and a clock that steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "probe/tick_clock.h"
#include "tests/unit/hand_clock.h"

static void grids_of_intervals_that_divide_each_other_share_points(void **state)
{
    struct hand_clock hand = {1000000, 1};
    struct clock clock = {hand_unix, hand_mono, &hand};
    struct tick_clock ticks;
    (void)state;
    tick_clock_init(&ticks, &clock, 0x123456789abcdef, 0);
    for (int64_t now = 1000000; now < 1100000; now += 333) {
        int64_t slow = tick_after(&ticks, now, 15000);
        assert_true(slow > now && slow - now <= 15000);
        assert_int_equal(tick_at_or_before(&ticks, slow, 5000), slow);
        assert_int_equal(tick_at_or_before(&ticks, slow, 1000), slow);
    }
}

static void time_goes_on_after_a_step_back_until_the_wall_catches_up(void **state)
{
    struct hand_clock hand = {5000000, 1000};
    struct clock clock = {hand_unix, hand_mono, &hand};
    struct tick_clock ticks;
    (void)state;
    tick_clock_init(&ticks, &clock, 7, 0);
    assert_int_equal(tick_clock_now(&ticks), 5000000);
    hand.unix_ms -= 4000000;
    hand_pass(&hand, 100);
    assert_int_equal(tick_clock_now(&ticks), 5000100);
    assert_true(ticks.is_held);
    assert_int_equal(ticks.step_ms, 4000000);
    hand_pass(&hand, 1);
    assert_int_equal(tick_clock_now(&ticks), 5000101);
    hand.unix_ms += 4000050;
    hand_pass(&hand, 9);
    assert_int_equal(tick_clock_now(&ticks), 5000160);
    assert_false(ticks.is_held);
}

static void a_restart_never_answers_a_time_the_spool_has_seen(void **state)
{
    struct hand_clock hand = {5000000, 1000};
    struct clock clock = {hand_unix, hand_mono, &hand};
    struct tick_clock ticks;
    (void)state;
    tick_clock_init(&ticks, &clock, 7, 6000000);
    assert_true(tick_clock_now(&ticks) > 6000000);
    tick_clock_init(&ticks, &clock, 7, 4000000);
    assert_int_equal(tick_clock_now(&ticks), 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_of_intervals_that_divide_each_other_share_points),
        cmocka_unit_test(time_goes_on_after_a_step_back_until_the_wall_catches_up),
        cmocka_unit_test(a_restart_never_answers_a_time_the_spool_has_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
