/*
 * test_duty.c - duty.yml: who is on duty when, by tables worked out by hand; whom a step means;
 * what is refused, and where.  The holidays are those of 2026 as shipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/duty/duty.h"
#include "proto/base/error.h"
#include "tests/unit/duty_kit.h"

static void print_shifts(const struct duty *duty, const struct duty_overrides *overrides,
                         const char *from, const char *to, struct buf *out)
{
    struct duty_shift *shifts;
    struct arena arena;
    size_t count;
    char begin[CIVIL_TEXT_BYTES], end[CIVIL_TEXT_BYTES];

    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(
        duty_shifts(duty, "r", overrides, moment(from), moment(to), &arena, &shifts, &count),
        0);
    for (size_t i = 0; i < count; i++) {
        const struct civil_zone *zone = duty_roster_zone(duty, "r");
        (void)civil_print_moment(civil_local_ms(zone, shifts[i].from_ms), begin);
        (void)civil_print_moment(civil_local_ms(zone, shifts[i].to_ms), end);
        buf_printf(out, "%s %s %s\n", begin + 5, end + 5,
                   shifts[i].person == NULL ? "-" : shifts[i].person->id);
    }
    arena_reset(&arena);
}

struct range_case {
    const char *because, *roster, *from, *to, *shifts;
};

static void check_cases(const struct range_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct duty *duty = read_roster(cases[i].roster);
        struct buf out = {0};
        print_shifts(duty, NULL, cases[i].from, cases[i].to, &out);
        if (strcmp(buf_text(&out), cases[i].shifts) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", cases[i].because, buf_text(&out),
                     cases[i].shifts);
        buf_done(&out);
        duty_unref(duty);
    }
}

static void turns_follow_the_clock_from_handover_to_handover(void **state)
{
    static const struct range_case cases[] = {
        {"days, over the end of a year",
         "  layers: [{rotation: [a, b, c], start: 2026-12-29, handover: '08:30', length: 1d}]",
         "2026-12-30 08:30", "2027-01-03 08:30",
         "12-30 08:30 12-31 08:30 b\n12-31 08:30 01-01 08:30 c\n"
         "01-01 08:30 01-02 08:30 a\n01-02 08:30 01-03 08:30 b\n"},
        {"weeks, cut to what was asked for",
         "  layers: [{rotation: [a, b], start: 2026-11-30, handover: '09:00', length: 1w}]",
         "2026-12-06 00:00", "2026-12-15 00:00",
         "12-06 00:00 12-07 09:00 a\n12-07 09:00 12-14 09:00 b\n12-14 09:00 12-15 00:00 a\n"},
        {"twelve hours, by a leap day",
         "  layers: [{rotation: [a, b], start: 2028-02-28, handover: '20:00', length: 12h}]",
         "2028-02-29 00:00", "2028-03-01 12:00",
         "02-29 00:00 02-29 08:00 a\n02-29 08:00 02-29 20:00 b\n02-29 20:00 03-01 08:00 a\n"
         "03-01 08:00 03-01 12:00 b\n"},
        {"months, over the end of a year",
         "  layers: [{rotation: [a, b, c], start: 2026-10-15, handover: '09:00', length: "
         "month}]",
         "2026-11-15 08:59", "2027-02-15 09:01",
         "11-15 08:59 11-15 09:00 a\n11-15 09:00 12-15 09:00 b\n12-15 09:00 01-15 09:00 c\n"
         "01-15 09:00 02-15 09:00 a\n02-15 09:00 02-15 09:01 b\n"},
        {"before its start and after its end a layer is not in force",
         "  layers: [{rotation: [a, b], start: 2026-12-02, until: 2026-12-03, length: 1d}]",
         "2026-12-01 00:00", "2026-12-05 00:00",
         "12-01 00:00 12-02 00:00 -\n12-02 00:00 12-03 00:00 a\n12-03 00:00 12-04 00:00 b\n"
         "12-04 00:00 12-05 00:00 -\n"},
        {"one alone needs no length", "  layers: [{rotation: [a], start: 2026-01-01}]",
         "2026-12-31 00:00", "2027-01-02 00:00", "12-31 00:00 01-02 00:00 a\n"},
        {"a zone of its own",
         "  time_zone: UTC\n"
         "  layers: [{rotation: [a, b], start: 2026-12-01, handover: '08:00', length: 1d}]",
         "2026-12-01 16:00", "2026-12-02 17:00",
         "12-01 08:00 12-02 08:00 a\n12-02 08:00 12-02 09:00 b\n"},
        {"a group is on duty together; who is in two in a row stays",
         "  layers: [{rotation: [[a, b], [b, c]], start: 2026-12-01, length: 1d}]",
         "2026-12-01 00:00", "2026-12-03 00:00",
         "12-01 00:00 12-02 00:00 a\n12-01 00:00 12-03 00:00 b\n12-02 00:00 12-03 00:00 c\n"},
    };
    (void)state;
    check_cases(cases, sizeof cases / sizeof *cases);
}

static void restrictions_follow_weekdays_hours_and_the_calendar(void **state)
{
    static const struct range_case cases[] = {
        {"hours of weekdays; a turn goes on over the weekend",
         "  layers:\n  - {rotation: [a, b], start: 2026-11-30, length: 1w,\n"
         "     restrict: {weekdays: mon-fri, hours: ['08:30-12:00', '13:30-17:30']}}",
         "2026-12-04 09:00", "2026-12-07 09:00",
         "12-04 09:00 12-04 12:00 a\n12-04 12:00 12-04 13:30 -\n12-04 13:30 12-04 17:30 a\n"
         "12-04 17:30 12-07 08:30 -\n12-07 08:30 12-07 09:00 b\n"},
        {"a night belongs to the day it begins on: Friday's ends on Saturday",
         "  layers:\n  - {rotation: [a], start: 2026-11-02,\n"
         "     restrict: {weekdays: fri, hours: '17:30-08:30'}}",
         "2026-12-04 00:00", "2026-12-06 00:00",
         "12-04 00:00 12-04 17:30 -\n12-04 17:30 12-05 08:30 a\n12-05 08:30 12-06 00:00 -\n"},
        {"Spring Festival 2026: Sat 14 is worked, 15 to 23 are off, Sat 28 is worked",
         "  layers:\n  - {rotation: [a], start: 2026-01-01, name: off, restrict: {days: "
         "holiday}}\n"
         "  - {rotation: [b], start: 2026-01-01, name: worked, restrict: {days: workday}}",
         "2026-02-12 00:00", "2026-03-03 00:00",
         "02-12 00:00 02-15 00:00 b\n02-15 00:00 02-24 00:00 a\n02-24 00:00 03-01 00:00 b\n"
         "03-01 00:00 03-02 00:00 a\n03-02 00:00 03-03 00:00 b\n"},
        {"without hours a day is from handover to handover",
         "  layers:\n  - {rotation: [a], start: 2026-01-01, handover: '08:30',\n"
         "     restrict: [{days: holiday}]}",
         "2026-10-09 00:00", "2026-10-12 12:00",
         "10-09 00:00 10-11 08:30 -\n10-11 08:30 10-12 08:30 a\n10-12 08:30 10-12 12:00 -\n"},
        {"by the clock, two who share weekends a day each always get the same day",
         "  layers:\n  - {rotation: [a, b], start: 2026-11-28, length: 1d,\n"
         "     restrict: {weekdays: sat-sun}}",
         "2026-12-05 00:00", "2026-12-07 00:00",
         "12-05 00:00 12-06 00:00 b\n12-06 00:00 12-07 00:00 a\n"},
        {"with skip only days in force count",
         "  layers:\n  - {rotation: [a, b, c], start: 2026-11-28, length: 1d, skip: true,\n"
         "     restrict: {weekdays: sat-sun}}",
         "2026-11-28 00:00", "2026-12-07 00:00",
         "11-28 00:00 11-29 00:00 a\n11-29 00:00 11-30 00:00 b\n11-30 00:00 12-05 00:00 -\n"
         "12-05 00:00 12-06 00:00 c\n12-06 00:00 12-07 00:00 a\n"},
        {"workday nights in turn, over the National Day of 2026 (Sun 20 Sep is worked)",
         "  layers:\n  - {rotation: [a, b], start: 2026-09-18, length: 1d, skip: true,\n"
         "     restrict: {days: workday, hours: '20:00-08:00'}}",
         "2026-09-18 12:00", "2026-09-22 07:00",
         "09-18 12:00 09-18 20:00 -\n09-18 20:00 09-19 08:00 a\n09-19 08:00 09-20 20:00 -\n"
         "09-20 20:00 09-21 08:00 b\n09-21 08:00 09-21 20:00 -\n09-21 20:00 09-22 07:00 a\n"},
        {"two days a turn, counted by duty days that begin at the handover",
         "  layers:\n  - {rotation: [a, b], start: 2026-12-01, handover: '09:00', length: 2d,\n"
         "     skip: true}",
         "2026-12-02 08:00", "2026-12-05 10:00",
         "12-02 08:00 12-03 09:00 a\n12-03 09:00 12-05 09:00 b\n12-05 09:00 12-05 10:00 a\n"},
    };
    (void)state;
    check_cases(cases, sizeof cases / sizeof *cases);
}

static void a_later_layer_wins_and_overrides_win_over_all(void **state)
{
    static const struct range_case cases[] = {
        {"the layer above holds while it is in force",
         "  layers:\n  - {name: low, rotation: [a], start: 2026-01-01}\n"
         "  - {name: high, rotation: [b], start: 2026-01-01, restrict: {hours: '12:00-13:00'}}",
         "2026-12-01 11:00", "2026-12-01 14:00",
         "12-01 11:00 12-01 12:00 a\n12-01 12:00 12-01 13:00 b\n12-01 13:00 12-01 14:00 a\n"},
        {"an override of the file, and one after it",
         "  layers: [{rotation: [a], start: 2026-01-01}]\n  overrides:\n"
         "  - {from: 2026-12-01 12:00, to: 2026-12-01 15:00, person: b}\n"
         "  - {from: 2026-12-01 13:00, to: 2026-12-01 14:00, person: c, reason: 会议}",
         "2026-12-01 11:00", "2026-12-01 16:00",
         "12-01 11:00 12-01 12:00 a\n12-01 12:00 12-01 13:00 b\n12-01 13:00 12-01 14:00 c\n"
         "12-01 14:00 12-01 15:00 b\n12-01 15:00 12-01 16:00 a\n"},
        {"one of a group is replaced, the other stays",
         "  layers: [{rotation: [[a, b]], start: 2026-01-01}]\n  overrides:\n"
         "  - {from: 2026-12-01 12:00, to: 2026-12-01 13:00, person: c, instead_of: b}\n"
         "  - {from: 2026-12-01 12:00, to: 2026-12-01 13:00, person: c, instead_of: d}",
         "2026-12-01 11:00", "2026-12-01 14:00",
         "12-01 11:00 12-01 14:00 a\n12-01 11:00 12-01 12:00 b\n12-01 12:00 12-01 13:00 c\n"
         "12-01 13:00 12-01 14:00 b\n"},
        {"a date alone as the end means the whole day",
         "  layers: [{rotation: [a], start: 2026-01-01}]\n  overrides:\n"
         "  - {from: 2026-12-01, to: 2026-12-01, person: b}",
         "2026-11-30 12:00", "2026-12-02 12:00",
         "11-30 12:00 12-01 00:00 a\n12-01 00:00 12-02 00:00 b\n12-02 00:00 12-02 12:00 a\n"},
    };
    (void)state;
    check_cases(cases, sizeof cases / sizeof *cases);
}

static void swaps_win_over_the_file(void **state)
{
    struct duty_override items[] = {
        {1, "r", "c", NULL, 0, 0, 0, "op", ""},
        {2, "other", "d", NULL, 0, 0, 0, "op", ""},
        {3, "r", "gone", NULL, 0, 0, 0, "op", ""},
        {4, "r", "d", "b", 0, 0, 0, "op", ""},
    };
    const struct duty_overrides overrides = {items, 4};
    struct duty *duty =
        read_roster("  layers: [{rotation: [a], start: 2026-01-01}]\n"
                    "  overrides: [{from: 2026-12-01 12:00, to: 2026-12-01 15:00, person: b}]");
    struct buf out = {0};
    (void)state;
    items[0].from_ms = moment("2026-12-01 13:00");
    items[0].to_ms = items[1].to_ms = items[2].to_ms = moment("2026-12-01 14:00");
    items[3].from_ms = moment("2026-12-01 12:00");
    items[3].to_ms = moment("2026-12-01 12:30");
    print_shifts(duty, &overrides, "2026-12-01 11:00", "2026-12-01 16:00", &out);
    assert_string_equal(buf_text(&out),
                        "12-01 11:00 12-01 12:00 a\n12-01 12:00 12-01 12:30 d\n"
                        "12-01 12:30 12-01 13:00 b\n12-01 13:00 12-01 14:00 c\n"
                        "12-01 14:00 12-01 15:00 b\n12-01 15:00 12-01 16:00 a\n");
    buf_done(&out);
    duty_unref(duty);
}

static void questions_out_of_bounds_are_refused(void **state)
{
    struct duty *duty = read_roster("  layers: [{rotation: [a], start: 2026-01-01}]");
    struct duty_shift *shifts;
    struct arena arena;
    size_t count;
    (void)state;
    arena_init(&arena, 4096);
    assert_int_equal(duty_shifts(duty, "none", NULL, 0, 1, &arena, &shifts, &count),
                     ERR_NOTFOUND);
    assert_int_equal(duty_shifts(duty, "r", NULL, -1, 1, &arena, &shifts, &count), ERR_LIMIT);
    assert_int_equal(
        duty_shifts(duty, "r", NULL, 0, DUTY_RANGE_MAX_MS + 1, &arena, &shifts, &count),
        ERR_LIMIT);
    assert_int_equal(duty_shifts(duty, "r", NULL, DUTY_TIME_MAX_MS, DUTY_TIME_MAX_MS + 1,
                                 &arena, &shifts, &count),
                     ERR_LIMIT);
    assert_int_equal(duty_shifts(duty, "r", NULL, 5, 5, &arena, &shifts, &count), 0);
    assert_int_equal(count, 0);
    arena_reset(&arena);
    duty_unref(duty);
}

/* ---- properties -------------------------------------------------------------------------- */

static unsigned pick(unsigned *seed, unsigned count)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 16) % count;
}

/* A roster of single persons, anything else by chance. */
static void print_chance(unsigned *seed, struct buf *out)
{
    static const char *const lengths[] = {"1d", "1w", "12h", "month", "3d", "7h", "90m"};
    static const char *const hours[] = {"08:30-17:30", "17:30-08:30", "00:00-24:00",
                                        "23:59-00:00", "22:00-06:00"};
    static const char *const rests[] = {"weekdays: sat-sun", "weekdays: [fri, mon-tue]",
                                        "days: workday", "days: holiday"};
    unsigned layers = 1 + pick(seed, 4);
    buf_put_text(out, "  layers:\n");
    for (unsigned i = 0; i < layers; i++) {
        unsigned length = pick(seed, 7);
        buf_printf(out,
                   "  - {rotation: [a, b, c, d], start: 2026-01-%02u, handover: '%02u:%02u', "
                   "length: %s, skip: %s",
                   1 + pick(seed, 28), pick(seed, 24), pick(seed, 60), lengths[length],
                   length != 3 && length < 5 && length != 2 && pick(seed, 2) ? "true"
                                                                             : "false");
        if (pick(seed, 3) > 0) {
            buf_printf(out, ", restrict: [{%s", rests[pick(seed, 4)]);
            if (pick(seed, 2))
                buf_printf(out, ", hours: ['%s', '%s']", hours[pick(seed, 5)],
                           hours[pick(seed, 5)]);
            buf_printf(out, "}, {%s}]", rests[pick(seed, 4)]);
        }
        buf_put_text(out, "}\n");
    }
}

/* Shifts tile what was asked for, and at every moment say what duty_resolve() says. */
static void check_tiling(const struct duty *duty, int64_t from_ms, int64_t to_ms,
                         unsigned *seed)
{
    const struct duty_target target = {DUTY_ROSTER, "r"};
    const struct duty_person *persons[DUTY_RESOLVED_MAX];
    struct duty_shift *shifts;
    struct arena arena;
    size_t count;

    arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(duty_shifts(duty, "r", NULL, from_ms, to_ms, &arena, &shifts, &count), 0);
    assert_true(count > 0 && shifts[0].from_ms == from_ms && shifts[count - 1].to_ms == to_ms);
    for (size_t i = 0; i < count; i++) {
        assert_true(shifts[i].from_ms < shifts[i].to_ms);
        assert_true(i == 0 || shifts[i].from_ms == shifts[i - 1].to_ms);
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t span = shifts[i].to_ms - shifts[i].from_ms;
        const int64_t moments[] = {shifts[i].from_ms, shifts[i].to_ms - 1,
                                   shifts[i].from_ms +
                                       (int64_t)pick(seed, 65536) * span / 65536};
        for (size_t k = 0; k < 3; k++) {
            size_t found = duty_resolve(duty, NULL, &target, moments[k], NULL, 0, persons);
            assert_int_equal(found, shifts[i].person == NULL ? 0 : 1);
            assert_true(found == 0 || persons[0] == shifts[i].person);
        }
    }
    arena_reset(&arena);
}

static void shifts_tile_the_range_without_overlap(void **state)
{
    unsigned seed = 20261128;
    (void)state;
    for (int round = 0; round < 150; round++) {
        struct buf roster = {0};
        print_chance(&seed, &roster);
        struct duty *duty = read_roster(buf_text(&roster));
        int64_t from_ms = moment("2025-12-28 00:00") + (int64_t)pick(&seed, 65536) * 500000;
        check_tiling(duty, from_ms, from_ms + (1 + pick(&seed, 60)) * CIVIL_DAY_MS, &seed);
        duty_unref(duty);
        buf_done(&roster);
    }
}

/* ---- whom a step means ------------------------------------------------------------------- */

static void expect_resolved(const struct duty *duty, struct duty_target target,
                            const char *told, const char *ids)
{
    const struct duty_person *persons[DUTY_RESOLVED_MAX], *before[8];
    struct buf out = {0};
    size_t told_count = 0;
    for (; told[told_count] != '\0'; told_count++) {
        const char id[2] = {told[told_count], '\0'};
        before[told_count] = duty_person(duty, id);
    }
    size_t count = duty_resolve(duty, NULL, &target, moment("2026-12-01 12:00"), before,
                                told_count, persons);
    for (size_t i = 0; i < count; i++)
        buf_put_text(&out, persons[i]->id);
    assert_string_equal(buf_text(&out), ids);
    buf_done(&out);
}

static void a_target_means_each_person_once(void **state)
{
    struct duty *duty = read_roster("  layers: [{rotation: [[a, b]], start: 2026-01-01}]\n"
                                    "- name: off\n"
                                    "  layers: [{rotation: [a], start: 2027-01-01}]");
    (void)state;
    expect_resolved(duty, (struct duty_target){DUTY_PERSON, "c"}, "", "c");
    expect_resolved(duty, (struct duty_target){DUTY_ROSTER, "r"}, "", "ab");
    expect_resolved(duty, (struct duty_target){DUTY_ROSTER, "off"}, "", "");
    expect_resolved(duty, (struct duty_target){DUTY_TEAM, "ops"}, "", "ab");
    expect_resolved(duty, (struct duty_target){DUTY_TEAM, "db"}, "", "dc");
    expect_resolved(duty, (struct duty_target){DUTY_MANAGER, NULL}, "b", "m"); /* their own */
    expect_resolved(duty, (struct duty_target){DUTY_MANAGER, NULL}, "a", "m"); /* the team's */
    expect_resolved(duty, (struct duty_target){DUTY_MANAGER, NULL}, "abc", "m");
    expect_resolved(duty, (struct duty_target){DUTY_MANAGER, NULL}, "c", "");
    expect_resolved(duty, (struct duty_target){DUTY_MANAGER, NULL}, "", "");
    duty_unref(duty);
}

static void an_escalation_is_read_with_its_defaults(void **state)
{
    struct duty *duty =
        read_duty(PERSONS "rosters: [{name: r, layers: [{rotation: [a], start: "
                          "2026-01-01}]}]\n"
                          "escalations:\n- name: default\n  steps:\n"
                          "  - notify: [{roster: r}]\n"
                          "  - {wait: 10m, notify: [{team: db}, {manager: true}, "
                          "{person: c}], channels: [sms, mail], ways: all}\n"
                          "  repeat_from: 2\n");
    const struct duty_escalation *escalation = duty_escalation(duty, "default");
    (void)state;
    assert_ptr_equal(escalation, duty_escalation_at(duty, 0));
    assert_null(duty_escalation_at(duty, 1));
    assert_int_equal(escalation->step_count, 2);
    assert_int_equal(escalation->repeat_ms, 30 * CIVIL_MINUTE_MS);
    assert_int_equal(escalation->repeat_from, 1);
    assert_int_equal(escalation->steps[0].wait_ms, 0);
    assert_false(escalation->steps[0].all_ways);
    assert_int_equal(escalation->steps[1].wait_ms, 10 * CIVIL_MINUTE_MS);
    assert_true(escalation->steps[1].all_ways);
    assert_int_equal(escalation->steps[1].channel_count, 2);
    assert_int_equal(escalation->steps[1].target_count, 3);
    assert_int_equal(escalation->steps[1].targets[1].kind, DUTY_MANAGER);
    duty_unref(duty);
}

/* ---- mistakes ---------------------------------------------------------------------------- */

#define LAYER(more) PERSONS "rosters:\n- name: r\n  layers:\n  - {rotation: [a, b], " more "}\n"
#define STEP(more)                                                                             \
    PERSONS "rosters: [{name: night, layers: [{rotation: [a], start: 2026-01-01}]}]\n"         \
            "escalations: [{name: e, steps: [" more "]}]\n"

static void a_mistake_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"person: []", "d.yml:1: unknown key \"person\" (did you mean \"persons\"?)"},
        {"time_zone: Mars", "d.yml:1: time_zone: expected Asia/Shanghai"},
        {"holidays: /nonexistent/h", "d.yml:1: holidays: /nonexistent/h: "},
        {"persons: [{name: x}]", "d.yml:1: key \"id\" is missing in persons"},
        {"persons: [{id: a b, name: x}]", "persons.id: \"a b\" is not 1 to 64 bytes"},
        {"persons:\n- {id: a, name: x}\n- {id: b, name: x}\n- {id: a, name: y}",
         "d.yml:4: persons: the id \"a\" is there twice"},
        {"persons: [{id: a, name: x, manager: a}]", "a is their own manager"},
        {"persons: [{id: a, name: x, team: opps}]\nteams: [{name: ops}]",
         "d.yml:1: there is no team \"opps\" (did you mean \"ops\"?)"},
        {"persons: [{id: a, name: x, ways: [{channel: sms, to: ''}]}]", "no address"},
        {PERSONS "rosters:\n- {name: r, layers: [{rotation: [值班员丙], start: 2026-01-01}]}",
         "d.yml:12: rotation: \"值班员丙\" is the name of several persons; write the id: "
         "\"c\", "
         "\"d\" (备份)"},
        {PERSONS "rosters:\n- {name: r, layers: [{rotation: [值班员甲], start: 2026-01-01}]}",
         "d.yml:12: rotation: \"值班员甲\" is a name; persons are referred to by id: \"a\" "
         "(一线)"},
        {PERSONS "rosters:\n- {name: r, layers: [{rotation: [[a, x]], start: 2026-01-01}]}",
         "d.yml:12: there is no person with the id \"x\""},
        {PERSONS "rosters:\n- {name: r, layers: [{rotation: [], start: 2026-01-01}]}",
         "there is nobody in it"},
        {PERSONS "rosters:\n- {name: r, layers: []}", "d.yml:12: layers: roster r has none"},
        {LAYER("start: 2026-01-01"), "length is missing"},
        {LAYER("start: 2026-02-30, length: 1d"), "start: \"2026-02-30\" is not a date"},
        {LAYER("start: 2026-01-31, length: month"), "months begin on a day up to the 28th"},
        {LAYER("start: 2026-01-01, length: 12h, skip: true"), "with skip it is of whole days"},
        {LAYER("start: 2026-01-01, length: 1x"), "length: \"1x\" is neither month nor"},
        {LAYER("start: 2026-01-01, length: 1d, handover: '24:00'"), "handover: \"24:00\""},
        {LAYER("start: 2026-01-02, until: 2026-01-01, length: 1d"), "ends before it starts"},
        {LAYER("start: 2026-01-01, length: 1d, restrict: {}"), "says weekdays, days or hours"},
        {LAYER("start: 2026-01-01, length: 1d, restrict: {days: working}"),
         "restrict.days: \"working\" is neither workday nor holiday"},
        {LAYER("start: 2026-01-01, length: 1d, restrict: {hours: '8-9'}"), "restrict.hours"},
        {LAYER("start: 2026-01-01, length: 1d, restrict: {weekdays: moon}"),
         "restrict.weekdays: \"moon\""},
        {LAYER("start: 2026-01-01, length: 1d") "  cover: sometimes\n", "cover: expected"},
        {LAYER("start: 2026-01-01, length: 1d") "  overrides: [{from: 2026-01-02, to: "
                                                "2026-01-01, person: a}]\n",
         "d.yml:15: overrides: from and to are dates"},
        {STEP(""), "steps: escalation e has none"},
        {STEP("{notify: []}"), "the step tells nobody"},
        {STEP("{notify: [{roster: nigt}]}"), "no roster \"nigt\" (did you mean \"night\"?)"},
        {STEP("{notify: [{team: empty}]}"), "team \"empty\" has no members"},
        {STEP("{notify: [{manager: true}]}"), "before the first step nobody has been told"},
        {STEP("{notify: [{person: a, team: ops}]}"), "each entry is one of"},
        {STEP("{notify: [{person: a}], ways: al}"), "ways"},
        {PERSONS "escalations: [{name: e, repeat_from: 2, steps: [{notify: [{person: a}]}]}]",
         "repeat_from: e has no such step"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct duty *duty = NULL;
        struct diagnosis why = {0};
        if (duty_parse("d.yml", bytes_of(cases[i].text), &duty, &why) != ERR_INVALID)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(why.text, cases[i].reason) == NULL)
            fail_msg("%s\ninstead of %s", why.text, cases[i].reason);
    }
}

static void an_unknown_channel_is_named_with_its_line(void **state)
{
    static const char *const both[] = {"mail", "sms"}, *const near[] = {"smss", "mail"};
    struct diagnosis why = {0};
    struct duty *duty = read_duty(PERSONS);
    (void)state;
    assert_int_equal(duty_check_channels(duty, both, 2, &why), 0);
    assert_int_equal(duty_check_channels(duty, near, 2, &why), ERR_INVALID);
    assert_string_equal(why.text,
                        "d.yml:2: there is no contact channel \"sms\" in alerting.yml "
                        "(did you mean \"smss\"?)");
    duty_unref(duty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_follow_the_clock_from_handover_to_handover),
        cmocka_unit_test(restrictions_follow_weekdays_hours_and_the_calendar),
        cmocka_unit_test(a_later_layer_wins_and_overrides_win_over_all),
        cmocka_unit_test(swaps_win_over_the_file),
        cmocka_unit_test(questions_out_of_bounds_are_refused),
        cmocka_unit_test(shifts_tile_the_range_without_overlap),
        cmocka_unit_test(a_target_means_each_person_once),
        cmocka_unit_test(an_escalation_is_read_with_its_defaults),
        cmocka_unit_test(a_mistake_is_named_with_its_line),
        cmocka_unit_test(an_unknown_channel_is_named_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
