/*
 * test_interval.c - when a time interval holds, at its borders; what alerting.yml may say of
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/duty/duty.h"
#include "collector/notify/alerting_config.h"
#include "collector/notify/mute.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"

/* A route that is muted in the interval with this list of entries. */
static struct alerting *parse_with(const char *list, const char *kind, struct duty *duty)
{
    struct alerting *alerting = NULL;
    struct diagnosis why = {0};
    struct buf text = {0};

    buf_printf(&text,
               "route: {receiver: a, routes: [{%s: [it]}]}\nreceivers: [{name: a}]\n"
               "time_intervals: [{name: it, time_intervals: %s}]\n",
               kind, list);
    if (alerting_parse("a.yml", buf_bytes(&text), duty, &alerting, &why) != 0)
        fail_msg("%s: %s", list, why.text);
    buf_done(&text);
    return alerting;
}

static struct alerting *parse(const char *list, const char *kind)
{
    return parse_with(list, kind, NULL);
}

/* "2026-10-12 09:00[:59.999]" of Asia/Shanghai. */
static int64_t moment(const char *text)
{
    int year, month, day, hour, minute, second = 0, ms = 0;
    assert_true(sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d.%3d", &year, &month, &day, &hour, &minute,
                       &second, &ms) >= 5);
    return civil_days(year, month, day) * CIVIL_DAY_MS + (hour - 8) * 60 * CIVIL_MINUTE_MS +
           minute * CIVIL_MINUTE_MS + second * 1000 + ms;
}

static size_t muted_by(const struct alerting *alerting, int64_t at_ms)
{
    const char *names[ROUTE_INTERVALS_MAX];
    return mute_by_time(alerting_root(alerting)->children[0], at_ms, names);
}

static const struct {
    const char *list, *at;
    bool holds;
} borders[] = {
    {"[{}]", "2026-10-12 09:00", true},
    {"[]", "2026-10-12 09:00", false},
    {"[{times: [{start_time: '09:00', end_time: '17:00'}]}]", "2026-10-12 08:59:59.999",
     false},
    {"[{times: [{start_time: '09:00', end_time: '17:00'}]}]", "2026-10-12 09:00", true},
    {"[{times: [{start_time: '09:00', end_time: '17:00'}]}]", "2026-10-12 16:59:59.999",
     true},
    {"[{times: [{start_time: '09:00', end_time: '17:00'}]}]", "2026-10-12 17:00", false},
    {"[{times: [{start_time: '17:30', end_time: '24:00'}]}]", "2026-10-12 23:59:59.999",
     true},
    {"[{times: [{start_time: '17:30', end_time: '24:00'}]}]", "2026-10-13 00:00", false},
    {"[{times: [{start_time: '00:00', end_time: '01:00'}, {start_time: '23:00', end_time: "
     "'24:00'}]}]",
     "2026-10-12 23:30", true},
    /* 2026-10-12 is a Monday */
    {"[{weekdays: ['monday:friday']}]", "2026-10-12 00:00", true},
    {"[{weekdays: ['monday:friday']}]", "2026-10-11 23:59:59.999", false},
    {"[{weekdays: ['monday:friday']}]", "2026-10-16 23:59:59.999", true},
    {"[{weekdays: ['monday:friday']}]", "2026-10-17 00:00", false},
    {"[{weekdays: ['Saturday', sunday]}]", "2026-10-11 12:00", true},
    {"[{weekdays: ['sunday:monday']}]", "2026-10-12 12:00", true},
    {"[{weekdays: ['sunday:monday']}]", "2026-10-13 12:00", false},
    {"[{weekdays: ['saturday:monday']}]", "2026-10-10 12:00", true},
    {"[{weekdays: ['sunday:saturday']}]", "2026-10-14 12:00", true},
    {"[{weekdays: ['周一:周三']}]", "2026-10-14 12:00", true},
    {"[{days_of_month: ['1:15']}]", "2026-10-15 23:59", true},
    {"[{days_of_month: ['1:15']}]", "2026-10-16 00:00", false},
    {"[{days_of_month: [5]}]", "2026-10-05 00:00", true},
    {"[{days_of_month: ['-1']}]", "2026-02-28 12:00", true},
    {"[{days_of_month: ['-1']}]", "2028-02-28 12:00", false},
    {"[{days_of_month: ['-1']}]", "2028-02-29 12:00", true},
    {"[{days_of_month: ['-3:-1']}]", "2026-04-28 00:00", true},
    {"[{days_of_month: ['-3:-1']}]", "2026-04-27 23:59", false},
    {"[{days_of_month: ['29:31']}]", "2026-02-28 12:00", false}, /* begins past the end */
    {"[{days_of_month: ['25:31']}]", "2026-02-28 12:00", true},  /* cut off */
    {"[{days_of_month: ['25:31']}]", "2026-03-01 12:00", false},
    {"[{days_of_month: ['-31:-20']}]", "2026-02-01 12:00", true},
    {"[{days_of_month: ['20:-5']}]", "2026-02-24 12:00", true},
    {"[{days_of_month: ['20:-5']}]", "2026-02-25 12:00", false},
    {"[{months: ['january:march']}]", "2026-03-31 23:59", true},
    {"[{months: ['january:march']}]", "2026-04-01 00:00", false},
    {"[{months: ['1:3', december]}]", "2026-12-01 00:00", true},
    {"[{months: ['May:8']}]", "2026-08-01 00:00", true},
    {"[{months: [10]}]", "2026-10-31 00:00", true},
    {"[{years: ['2026:2027']}]", "2027-12-31 23:59", true},
    {"[{years: ['2026:2027']}]", "2028-01-01 00:00", false},
    {"[{years: [2026]}]", "2025-12-31 23:59:59.999", false},
    /* fields are joined by and, entries by or */
    {"[{weekdays: [monday], months: [october], days_of_month: [12], years: [2026]}]",
     "2026-10-12 12:00", true},
    {"[{weekdays: [monday], months: [october], days_of_month: [13], years: [2026]}]",
     "2026-10-12 12:00", false},
    {"[{weekdays: [tuesday]}, {weekdays: [monday]}]", "2026-10-12 12:00", true},
    /* where it is that late */
    {"[{times: [{start_time: '01:00', end_time: '02:00'}], location: UTC}]",
     "2026-10-12 09:30", true},
    {"[{times: [{start_time: '09:00', end_time: '10:00'}], location: UTC}]",
     "2026-10-12 09:30", false},
    {"[{times: [{start_time: '10:00', end_time: '11:00'}], location: '+09:00'}]",
     "2026-10-12 09:30", true},
    {"[{weekdays: [sunday], location: '-05:00'}]", "2026-10-12 12:59:59.999", true},
    {"[{weekdays: [sunday], location: '-05:00'}]", "2026-10-12 13:00", false},
    {"[{weekdays: [monday], location: PRC}]", "2026-10-12 00:00", true},
};

static void an_interval_holds_from_border_to_border(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof borders / sizeof borders[0]; i++) {
        struct alerting *mute = parse(borders[i].list, "mute_time_intervals");
        struct alerting *active = parse(borders[i].list, "active_time_intervals");
        if ((muted_by(mute, moment(borders[i].at)) > 0) != borders[i].holds)
            fail_msg("%s at %s", borders[i].list, borders[i].at);
        if ((muted_by(active, moment(borders[i].at)) == 0) != borders[i].holds)
            fail_msg("active in %s at %s", borders[i].list, borders[i].at);
        alerting_free(mute);
        alerting_free(active);
    }
}

/* The holidays of 2026 as shipped: 1 to 7 October are off, Saturday the 10th is worked. */
static void a_calendars_days_are_those_of_the_holiday_files(void **state)
{
    static const struct {
        const char *list, *at;
        bool holds;
    } cases[] = {
        {"[{calendar: cn-workday}]", "2026-09-30 23:59", true},
        {"[{calendar: cn-workday}]", "2026-10-01 00:00", false},
        {"[{calendar: cn-workday}]", "2026-10-10 09:00", true},
        {"[{calendar: cn-workday}]", "2026-10-11 09:00", false},
        {"[{calendar: cn-holiday}]", "2026-10-01 09:00", true},
        {"[{calendar: cn-holiday}]", "2026-10-10 09:00", false},
        {"[{calendar: cn-holiday}]", "2026-10-17 09:00", true},
        {"[{calendar: cn-workday, times: [{start_time: '09:00', end_time: '17:00'}]}]",
         "2026-10-10 08:59", false},
        {"[{calendar: cn-workday, times: [{start_time: '09:00', end_time: '17:00'}]}]",
         "2026-10-10 09:00", true},
        {"[{calendar: cn-holiday, location: UTC}]", "2026-10-01 07:59", false},
        {"[{calendar: cn-holiday, location: UTC}]", "2026-10-01 08:00", true},
    };
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    (void)state;
    if (duty_parse("d.yml", bytes_of("holidays: " HOLIDAYS "\n"), &duty, &why) != 0)
        fail_msg("%s", why.text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alerting *alerting = parse_with(cases[i].list, "mute_time_intervals", duty);
        struct buf text = {0};
        if ((muted_by(alerting, moment(cases[i].at)) > 0) != cases[i].holds)
            fail_msg("%s at %s", cases[i].list, cases[i].at);
        alerting_print(alerting, &text); /* as Alertmanager can read it */
        assert_non_null(strstr(buf_text(&text), "    # calendar: cn-"));
        buf_done(&text);
        alerting_free(alerting);
    }
    duty_unref(duty);
}

static void the_hosts_own_zone_is_asked_for_by_name(void **state)
{
    struct alerting *alerting =
        parse("[{times: [{start_time: '10:00', end_time: '11:00'}], location: Local}]",
              "mute_time_intervals");
    const int64_t at_ms = moment("2026-10-12 09:30"); /* 01:30 UTC */
    (void)state;
    (void)setenv("TZ", "XXX-9", 1);
    tzset();
    assert_int_equal(muted_by(alerting, at_ms), 1);
    (void)setenv("TZ", "UTC0", 1);
    tzset();
    assert_int_equal(muted_by(alerting, at_ms), 0);
    alerting_free(alerting);
}

#define ONE(entry)                                                                             \
    "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals:\n- name: it\n"              \
    "  time_intervals:\n  - " entry "\n"

static void mistakes_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {ONE("times: [{start_time: '9:00', end_time: '17:00'}]"),
         "a.yml:6: start_time: \"9:00\" is not a time"},
        {ONE("times: [{start_time: '09:00', end_time: '24:01'}]"), "a.yml:6: end_time:"},
        {ONE("times: [{start_time: '22:00', end_time: '06:00'}]"), "crosses midnight"},
        {ONE("times: [{start_time: '22:00'}]"), "end_time"},
        {ONE("times: []"), "a.yml:6: times: expected a list"},
        {ONE("weekdays: [monday, 'munday:friday']"),
         "a.yml:6: weekdays: \"munday:friday\" is not a weekday"},
        {ONE("weekdays: []"), "a.yml:6: weekdays"},
        {ONE("days_of_month: [0]"), "a.yml:6: days_of_month: \"0\" is not a day"},
        {ONE("days_of_month: ['1:32']"), "\"1:32\" is not a day"},
        {ONE("days_of_month: ['-1:-3']"), "ends before it starts"},
        {ONE("days_of_month: ['-3:5']"), "ends before it starts"},
        {ONE("days_of_month: ['5:3']"), "ends before it starts"},
        {ONE("months: ['janury']"), "\"janury\" is not a month"},
        {ONE("months: ['november:february']"), "ends before it starts"},
        {ONE("months: [13]"), "\"13\" is not a month"},
        {ONE("years: ['2027:2026']"), "ends before it starts"},
        {ONE("years: ['20x']"), "is not a year"},
        {ONE("location: Europe/Berlin"),
         "a.yml:6: location: \"Europe/Berlin\" is not known here; expected Asia/Shanghai"},
        {ONE("location: '+05:30'"), "is not known here"},
        {ONE("calendar: workdays"), "a.yml:6: calendar: \"workdays\" is neither cn-workday"},
        {ONE("calendar: cn-workday"), "collector.yml names no `duty:` file"},
        {ONE("weekday: [monday]"), "did you mean \"weekdays\"?"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{time_intervals: []}]",
         "name"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: x}]",
         "time_intervals"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\n"
         "mute_time_intervals: [{name: x, time_intervals: []}]\n"
         "time_intervals: [{name: x, time_intervals: []}]",
         "a.yml:4: time interval \"x\" is there twice"},
        {"route: {receiver: a, mute_time_intervals: [x]}\nreceivers: [{name: a}]\n"
         "time_intervals: [{name: x, time_intervals: []}]",
         "a.yml:1: the root route must not have mute_time_intervals"},
        {"route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [nihgts]\n"
         "receivers: [{name: a}]\ntime_intervals: [{name: nights, time_intervals: []}]",
         "a.yml:4: there is no time interval \"nihgts\" (did you mean \"nights\"?)"},
        {"route: {receiver: a, routes: [{active_time_intervals: [x]}]}\nreceivers: [{name: a}]",
         "there is no time interval \"x\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alerting *alerting = NULL;
        struct diagnosis why = {0};
        int error = alerting_parse("a.yml", bytes_of(cases[i].text), NULL, &alerting, &why);
        if (error == 0 || strstr(why.text, cases[i].message) == NULL)
            fail_msg("case %zu: %d %s", i, error, why.text);
    }
}

/* Alertmanager's key for files of templates, which we do not read. */
static void cut_templates(struct buf *text)
{
    text->size = (size_t)(strstr(buf_text(text), "templates:") - buf_text(text));
}

/* Both names of the list at once, and what is printed means the same when it is read. */
static void what_is_printed_is_the_same_again(void **state)
{
    static const char text[] =
        "route:\n  receiver: a\n  routes:\n"
        "  - {mute_time_intervals: [nights, old], active_time_intervals: [east]}\n"
        "receivers: [{name: a}]\n"
        "inhibit_rules: [{source_match: {s: '1'}, target_matchers: ['t=~\"x|\\\\\\\"y\"'], "
        "equal: "
        "[e, f]}]\n"
        "mute_time_intervals: [{name: old, time_intervals: [{weekdays: "
        "['saturday:monday']}]}]\n"
        "time_intervals:\n"
        "- name: nights\n  time_intervals:\n"
        "  - {times: [{start_time: '00:00', end_time: '08:30'}], months: [may, '6:8'], "
        "days_of_month: ['1:-1'], years: [2026], location: UTC}\n"
        "- {name: east, time_intervals: [{}]}\n";
    struct alerting *alerting = NULL, *again = NULL;
    struct diagnosis why = {0};
    struct buf first = {0}, second = {0};
    (void)state;
    assert_int_equal(alerting_parse("a.yml", bytes_of(text), NULL, &alerting, &why), 0);
    alerting_print(alerting, &first);
    cut_templates(&first);
    if (alerting_parse("a.yml", buf_bytes(&first), NULL, &again, &why) != 0)
        fail_msg("%s\n%s", why.text, buf_text(&first));
    alerting_print(again, &second);
    cut_templates(&second);
    assert_string_equal(buf_text(&first), buf_text(&second));
    assert_non_null(
        strstr(buf_text(&first), "weekdays: [\"saturday\", \"sunday\", \"monday\"]"));
    assert_non_null(strstr(buf_text(&first), "location: Asia/Shanghai"));
    assert_non_null(strstr(buf_text(&first), "- \"t=~\\\"x|"));
    buf_done(&first);
    buf_done(&second);
    alerting_free(alerting);
    alerting_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interval_holds_from_border_to_border),
        cmocka_unit_test(a_calendars_days_are_those_of_the_holiday_files),
        cmocka_unit_test(the_hosts_own_zone_is_asked_for_by_name),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(what_is_printed_is_the_same_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
