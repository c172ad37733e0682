/*
 * test_duty_coverage.c - what duty.yml leaves open, found and told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "collector/duty/coverage.h"
#include "tests/unit/duty_kit.h"

struct coverage_case {
    const char *because, *roster, *from, *to, *findings;
};

static void check_coverage(const struct coverage_case *each)
{
    struct duty *duty = read_roster(each->roster);
    struct duty_finding *findings;
    struct arena arena;
    struct buf out = {0};
    size_t count;
    arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(duty_coverage(duty, NULL, moment(each->from), moment(each->to), &arena,
                                   &findings, &count),
                     0);
    for (size_t i = 0; i < count; i++) {
        duty_finding_print(duty, &findings[i], true, &out);
        buf_put_char(&out, '\n');
    }
    if (strcmp(buf_text(&out), each->findings) != 0)
        fail_msg("%s:\n%s\ninstead of\n%s", each->because, buf_text(&out), each->findings);
    buf_done(&out);
    arena_reset(&arena);
    duty_unref(duty);
}

static void what_a_roster_leaves_open_is_found(void **state)
{
    static const struct coverage_case cases[] = {
        {"round the clock: nothing", "  layers: [{rotation: [a], start: 2026-01-01}]",
         "2026-11-01 00:00", "2026-12-31 00:00", ""},
        {"a gap, and another",
         "  layers:\n  - {rotation: [a], start: 2026-01-01, until: 2026-11-02 12:00}\n"
         "  - {rotation: [b], start: 2026-11-03, until: 2026-11-04}",
         "2026-11-01 00:00", "2026-11-06 00:00",
         "roster r: nobody is on duty from 2026-11-02 12:00 to 2026-11-03 00:00; 1 more\n"},
        {"hours that nobody is needed in are no gap",
         "  layers: [{rotation: [a], start: 2026-01-01, restrict: {days: workday, hours: "
         "'08:30-17:30'}}]\n  cover: {days: workday, hours: '09:00-17:00'}",
         "2026-11-01 00:00", "2026-11-06 00:00", ""},
        {"hours in which somebody is needed",
         "  layers: [{rotation: [a], start: 2026-01-01, restrict: {days: workday, hours: "
         "'08:30-17:30'}}]\n  cover: {days: workday, hours: '17:00-18:00'}",
         "2026-11-02 00:00", "2026-11-03 00:00",
         "roster r: nobody is on duty from 2026-11-02 17:30 to 2026-11-02 18:00\n"},
        {"nobody is ever needed",
         "  cover: none\n  layers: [{rotation: [a], start: 2030-01-01}]", "2026-11-02 00:00",
         "2026-11-03 00:00", ""},
        {"somebody out of reach",
         "  layers: [{rotation: [a, d], start: 2026-11-01, length: 1d}]", "2026-11-01 00:00",
         "2026-11-05 00:00",
         "roster r: 值班员丙 (d), on duty from 2026-11-02 00:00 to 2026-11-03 00:00, can be "
         "reached in no way; 1 more\n"},
        {"next year's holidays are needed, and not known",
         "  cover: none\n  layers: [{rotation: [a], start: 2026-11-01, restrict: {days: "
         "workday}}]",
         "2026-12-20 00:00", "2027-01-02 00:00",
         "roster r: there is no holiday file for 2027; its weekdays count as workdays\n"},
        {"turns that have counted the days of a year without a file",
         "  cover: none\n  layers: [{rotation: [a, b], start: 2025-06-01, length: 1d, skip: "
         "true, restrict: {days: workday}}]",
         "2026-12-20 00:00", "2026-12-21 00:00",
         "roster r: there is no holiday file for 2025; its weekdays count as workdays\n"},
        {"a layer that is over needs nothing",
         "  cover: none\n  layers: [{rotation: [a], start: 2026-11-01, until: 2026-11-30, "
         "restrict: {days: workday}}]",
         "2026-12-20 00:00", "2027-01-02 00:00", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_coverage(&cases[i]);
}

#define ENDS(steps)                                                                            \
    "  cover: none\n  layers: [{rotation: [a], start: 2026-01-01, until: 2026-11-02 12:00}]\n" \
    "escalations: [{name: e, " steps "}]"

static void an_escalation_must_end_at_somebody(void **state)
{
    static const char open[] =
        "escalation e: its last steps reach nobody from 2026-11-02 12:00 to 2026-11-03 00:00\n";
    static const char always[] =
        "escalation e: its last steps reach nobody from 2026-11-02 00:00 to 2026-11-03 00:00\n";
    static const struct coverage_case cases[] = {
        {"the roster ends", ENDS("steps: [{notify: [{roster: r}]}]"), "", "", open},
        {"somebody stands behind it",
         ENDS("steps: [{notify: [{roster: r}]}, {wait: 5m, notify: "
              "[{person: m}]}]"),
         "", "", ""},
        {"only the first round reaches him",
         ENDS("steps: [{notify: [{person: m}]}, {notify: [{roster: r}]}], repeat_from: 2"), "",
         "", open},
        {"a manager of whoever was told",
         ENDS("steps: [{notify: [{person: b}]}, {notify: "
              "[{manager: true}]}], repeat_from: 2"),
         "", "", ""},
        {"nobody was told, so there is no manager",
         ENDS("steps: [{notify: [{roster: r}]}, {notify: [{manager: true}]}], repeat_from: 2"),
         "", "", open},
        {"he has no way", ENDS("steps: [{notify: [{person: d}]}]"), "", "", always},
        {"he has none by this channel",
         ENDS("steps: [{notify: [{person: c}], channels: [sms]}]"), "", "", always},
        {"another of the channels is his",
         ENDS("steps: [{notify: [{person: c}], channels: [sms, mail]}]"), "", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct coverage_case each = cases[i];
        each.from = "2026-11-02 00:00";
        each.to = "2026-11-03 00:00";
        check_coverage(&each);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_roster_leaves_open_is_found),
        cmocka_unit_test(an_escalation_must_end_at_somebody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
