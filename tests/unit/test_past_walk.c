/*
 * test_past_walk.c - alerts along the steps of the past: what is noted, what lasts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/rules/past_walk.h"

#define STEP    10
#define FROM    1000
#define STARTED 1100 /* steps 1000 to 1100 were missed */
#define UNTIL   1150

struct outcome {
    int64_t noted_from, noted_until; /* 0: no note */
    unsigned notes;
    int64_t active, fired; /* of what lasts; 0: nothing does */
    unsigned alive;        /* steps at which ALERTS is written */
};

static int note(void *context, const struct alert *alert)
{
    struct outcome *outcome = context;
    outcome->notes++;
    outcome->noted_from = alert->starts_ms;
    outcome->noted_until = alert->ends_ms;
    return 0;
}

static int lasts(void *context, const struct past_alive *alive)
{
    struct outcome *outcome = context;
    outcome->active = alive->life.active_ms;
    outcome->fired = alive->life.fired_ms;
    return 0;
}

static int alive(void *context, const struct labels *labels, const struct alert_life *life,
                 int64_t ts_ms)
{
    struct outcome *outcome = context;
    (void)life;
    assert_true(ts_ms <= STARTED);
    outcome->alive += labels != NULL;
    return 0;
}

/* The condition holds from `from` until before `until`, and from `again` on (0: never). */
static struct outcome walk(const char *rule, int64_t from, int64_t until, int64_t again,
                           const struct alert_life *before)
{
    char text[300];
    struct rule_set *set = NULL;
    struct diagnosis why = {0};
    struct arena arena;
    int64_t times[64];
    double values[64];
    struct series_samples series = {.times_ms = times, .values = values};
    const struct promql_result result = {.series = &series, .series_count = 1};
    struct rule_state state = {0};
    struct past_life past = {0};
    struct outcome outcome = {0};
    size_t template_errors = 0;

    (void)snprintf(text, sizeof text, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m%s}\n",
                   rule);
    assert_int_equal(rule_set_parse("r.yml", bytes_of(text), STEP, &set, &why), 0);
    state.rule = set->rules[0];
    for (int64_t ts = FROM; ts <= UNTIL; ts += STEP)
        if ((ts >= from && ts < until) || (again != 0 && ts >= again)) {
            times[series.count] = ts;
            values[series.count++] = 1;
        }
    arena_init(&arena, 1 << 20);
    if (before != NULL) {
        const struct label name = {bytes_of("alertname"), bytes_of("A")};
        const struct labels *labels;
        assert_int_equal(labels_build(&name, 1, &arena, &labels), 0);
        past = (struct past_life){labels_fingerprint(labels), *before};
        state.past = &past;
        state.past_count = 1;
    }
    static const struct template_environment environment = {.external_url = ""};
    struct past_walk past_walk_ = {.state = &state, .result = &result, .from_ms = FROM,
                                   .until_ms = UNTIL, .step_ms = STEP, .started_ms = STARTED,
                                   .environment = &environment, .arena = &arena,
                                   .template_errors = &template_errors, .context = &outcome,
                                   .passed = note, .lasts = lasts, .was_alive = alive};
    assert_int_equal(past_walk(&past_walk_, &why), 0);
    arena_reset(&arena);
    rule_set_free(set);
    return outcome;
}

static void what_began_and_ended_is_noted_with_its_times(void **state)
{
    struct outcome outcome = walk("", 1020, 1050, 0, NULL);
    (void)state;
    assert_int_equal(outcome.notes, 1);
    assert_int_equal(outcome.noted_from, 1020);
    assert_int_equal(outcome.noted_until, 1050);
    assert_int_equal(outcome.active, 0);
    assert_int_equal(outcome.alive, 3);
}

static void what_did_not_last_for_long_enough_is_not(void **state)
{
    (void)state;
    assert_int_equal(walk(", for: 30ms", 1020, 1050, 0, NULL).notes, 0);
    assert_int_equal(walk(", for: 20ms", 1020, 1050, 0, NULL).notes, 1);
    assert_int_equal(walk(", for: 20ms", 1020, 1050, 0, NULL).noted_from, 1040);
}

static void what_lasts_has_its_true_start_and_is_no_note(void **state)
{
    struct outcome outcome = walk(", for: 50ms", 1070, 2000, 0, NULL);
    (void)state;
    assert_int_equal(outcome.notes, 0);
    assert_int_equal(outcome.active, 1070);
    assert_int_equal(outcome.fired, 1120);
    outcome = walk("", 1020, 1040, 1090, NULL);
    assert_int_equal(outcome.notes, 1);
    assert_int_equal(outcome.active, 1090);
}

static void what_the_present_has_told_is_no_note(void **state)
{
    (void)state;
    assert_int_equal(walk("", 1080, 1130, 0, NULL).notes, 0);  /* seen after the start */
    assert_int_equal(walk("", 1120, 1140, 0, NULL).notes, 0);  /* began after it */
    /* It fired in the past, but was pending anew when it was seen, and ended before its time. */
    assert_int_equal(walk(", for: 40ms", 1050, 1130, 0, NULL).notes, 1);
}

static void what_was_alive_before_goes_on(void **state)
{
    const struct alert_life firing = {ALERT_FIRING, 900, 920, 0, 920, 0};
    const struct alert_life pending = {ALERT_PENDING, 990, 0, 0, 0, 0};
    struct outcome outcome;
    (void)state;
    assert_int_equal(walk(", for: 20ms", FROM, 1050, 0, &firing).notes, 0);
    assert_int_equal(walk(", for: 20ms", FROM, 2000, 0, &firing).active, 900);
    outcome = walk(", for: 30ms", FROM, 1050, 0, &pending);
    assert_int_equal(outcome.notes, 1);
    assert_int_equal(outcome.noted_from, 1020);
}

static void what_fired_when_the_collector_went_down_again_was_told(void **state)
{
    const struct alert_life firing = {ALERT_FIRING, 1020, 1020, 0, 1095, 0};
    (void)state;
    assert_int_equal(walk("", 1020, 1080, 0, &firing).notes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_began_and_ended_is_noted_with_its_times),
        cmocka_unit_test(what_did_not_last_for_long_enough_is_not),
        cmocka_unit_test(what_lasts_has_its_true_start_and_is_no_note),
        cmocka_unit_test(what_the_present_has_told_is_no_note),
        cmocka_unit_test(what_was_alive_before_goes_on),
        cmocka_unit_test(what_fired_when_the_collector_went_down_again_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
