/*
 * test_timeline.c - clocks that are set, and who is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/rules/timeline.h"

#define T0   INT64_C(1700000000000)
#define HOUR INT64_C(3600000)
#define MONO (mono_ns)5000 * 1000 * NS_PER_MS /* the host is up for 5,000 s */

/* `ms` later. */
static mono_ns later(int64_t ms)
{
    return MONO + (mono_ns)ms * NS_PER_MS;
}

static void a_clock_that_drifts_is_followed(void **state)
{
    struct timeline timeline;
    (void)state;
    timeline_init(&timeline, T0, MONO);
    for (int64_t ms = 0; ms < 100000; ms += 1000)
        assert_int_equal(timeline_now(&timeline, T0 + 2 * ms, later(ms)), T0 + 2 * ms);
}

static void hosts_that_see_no_jump_are_believed(void **state)
{
    static const int64_t steps[] = {HOUR, -HOUR};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct timeline timeline;
        timeline_init(&timeline, T0, MONO);
        for (int64_t ms = 0; ms < 600000; ms += 5000) {
            int64_t wall_ms = T0 + ms + (ms < 5000 ? 0 : steps[i]);
            timeline_witness(&timeline, T0 + ms - 20, wall_ms, later(ms));
            assert_int_equal(timeline_now(&timeline, wall_ms, later(ms)), T0 + ms);
        }
        /* It is set right again. */
        assert_int_equal(timeline_now(&timeline, T0 + 600000, later(600000)), T0 + 600000);
        assert_false(timeline.jumped);
    }
}

static void a_clock_that_is_set_right_is_taken_when_hosts_say_so(void **state)
{
    struct timeline timeline;
    (void)state;
    timeline_init(&timeline, T0 - HOUR, MONO); /* an hour slow */
    timeline_witness(&timeline, T0, T0 - HOUR, MONO);
    assert_int_equal(timeline_now(&timeline, T0 - HOUR, MONO), T0 - HOUR);
    assert_int_equal(timeline_now(&timeline, T0 + 1000, later(1000)), T0 + 1000 - HOUR);
    timeline_witness(&timeline, T0 + 1500, T0 + 1500, later(1500));
    assert_int_equal(timeline_now(&timeline, T0 + 2000, later(2000)), T0 + 2000);
}

static void one_host_of_three_with_a_bad_clock_is_outvoted(void **state)
{
    struct timeline timeline;
    (void)state;
    timeline_init(&timeline, T0, MONO);
    for (int64_t ms = 1000; ms < 5000000; ms += 1000) {
        timeline_witness(&timeline, T0 + ms + HOUR, T0 + ms + HOUR, later(ms));
        timeline_witness(&timeline, T0 + ms, T0 + ms + HOUR, later(ms));
        timeline_witness(&timeline, T0 + ms, T0 + ms + HOUR, later(ms));
    }
    assert_int_equal(timeline_now(&timeline, T0 + 5000000 + HOUR, later(5000000)), T0 + 5000000);
}

static void when_nobody_reports_the_wall_clock_is_taken_after_a_minute(void **state)
{
    struct timeline timeline;
    (void)state;
    timeline_init(&timeline, T0, MONO);
    assert_int_equal(timeline_now(&timeline, T0 + HOUR, later(0)), T0);
    assert_int_equal(timeline_now(&timeline, T0 + HOUR + 59999, later(59999)), T0 + 59999);
    assert_int_equal(timeline_now(&timeline, T0 + HOUR + 60000, later(60000)),
                     T0 + HOUR + 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_drifts_is_followed),
        cmocka_unit_test(hosts_that_see_no_jump_are_believed),
        cmocka_unit_test(a_clock_that_is_set_right_is_taken_when_hosts_say_so),
        cmocka_unit_test(one_host_of_three_with_a_bad_clock_is_outvoted),
        cmocka_unit_test(when_nobody_reports_the_wall_clock_is_taken_after_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
