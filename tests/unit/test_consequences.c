/*
 * test_consequences.c - what other rules, routes, receivers and duty would do: comparisons of answers
 * of the API, written here, with files read from memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/ctl/consequences.h"

static json_t *json_of(const char *text)
{
    json_error_t where;
    json_t *value = json_loads(text, 0, &where);
    if (value == NULL)
        fail_msg("%s at %d of %s", where.text, where.position, text);
    return value;
}

static struct rule_set *rules_of(const char *text)
{
    struct rule_set *set;
    struct diagnosis why = {0};
    if (rule_set_parse("r.yml", bytes_of(text), 15000, &set, &why) != 0)
        fail_msg("%s", why.text);
    return set;
}

static struct alerting *alerting_of(const char *text)
{
    struct alerting *alerting;
    struct diagnosis why = {0};
    if (alerting_parse("a.yml", bytes_of(text), NULL, &alerting, &why) != 0)
        fail_msg("%s", why.text);
    return alerting;
}

/* Compares as text, so that a failure shows both; takes `got`. */
static void expect(const char *because, json_t *got, const char *wanted_text)
{
    json_t *wanted = json_of(wanted_text);
    char *text = json_dumps(got, JSON_COMPACT);
    if (got == NULL || json_equal(got, wanted) == 0)
        fail_msg("%s: %s", because, text);
    free(text);
    json_decref(got);
    json_decref(wanted);
}

/* ---- rules ------------------------------------------------------------------------------- */

static const char running_rules[] =
    "{\"groups\":[{\"name\":\"g\",\"file\":\"old.yml\",\"interval\":15,\"limit\":0,\"rules\":["
    "{\"name\":\"A\",\"query\":\"up == 0\",\"duration\":60,\"keepFiringFor\":0,"
    "\"labels\":{\"severity\":\"page\"},\"annotations\":{},\"type\":\"alerting\",\"alerts\":["
    "{\"labels\":{\"alertname\":\"A\"},\"state\":\"firing\"}]},"
    "{\"name\":\"A\",\"query\":\"up == 2\",\"duration\":60,\"keepFiringFor\":0,"
    "\"labels\":{\"severity\":\"page\"},\"annotations\":{},\"type\":\"alerting\",\"alerts\":[]}"
    ","
    "{\"name\":\"r:r\",\"query\":\"sum(up)\",\"type\":\"recording\"}]}]}";

#define GROUP(interval) "groups:\n- name: g\n  interval: " interval "\n  rules:\n"
#define RULE_A(severity, expr, more)                                                           \
    "  - {alert: A, expr: " expr ", for: 1m, labels: {severity: " severity "}" more "}\n"
#define RECORD "  - {record: 'r:r', expr: sum(up)}\n"

struct rules_case {
    const char *because, *rules, *wanted;
};

static const struct rules_case rules_cases[] = {
    {"the same in another file is the same",
     GROUP("15s") RULE_A("page", "up == 0", "") RULE_A("page", "up == 2", "") RECORD,
     "{\"added\":[],\"removed\":[],\"changed\":[]}"},
    {"rules that are alike go by their order",
     GROUP("15s") RULE_A("page", "up == 0", "") RULE_A("page", "up == 3", "") RECORD,
     "{\"added\":[],\"removed\":[],\"changed\":[{\"group\":\"g\",\"name\":\"A\",\"type\":"
     "\"alerting\",\"what\":[\"expr\"],\"alerts\":[]}]}"},
    {"other labels make another rule, whose alerts begin anew",
     GROUP("15s") RULE_A("warn", "up == 0", "") RULE_A("page", "up == 0", "") RECORD,
     "{\"added\":[{\"group\":\"g\",\"name\":\"A\",\"type\":\"alerting\"}],\"removed\":[{"
     "\"group\":\"g\",\"name\":\"A\",\"type\":\"alerting\",\"successor\":true,\"alerts\":[]}],"
     "\"changed\":[]}"},
    {"what goes for good takes its alerts along", GROUP("15s") RECORD,
     "{\"added\":[],\"removed\":[{\"group\":\"g\",\"name\":\"A\",\"type\":\"alerting\","
     "\"successor\":false,\"alerts\":[{\"labels\":{\"alertname\":\"A\"},\"state\":\"firing\"}]}"
     ","
     "{\"group\":\"g\",\"name\":\"A\",\"type\":\"alerting\",\"successor\":false,\"alerts\":[]}]"
     ","
     "\"changed\":[]}"},
    {"texts and rhythm",
     GROUP("30s") RULE_A("page", "up == 0", ", annotations: {summary: x}")
         RULE_A("page", "up == 2", ", keep_firing_for: 5m") RECORD,
     "{\"added\":[],\"removed\":[],\"changed\":[{\"group\":\"g\",\"name\":\"A\",\"type\":"
     "\"alerting\",\"what\":[\"annotations\",\"interval\"],\"alerts\":[{\"labels\":{"
     "\"alertname\":\"A\"},\"state\":\"firing\"}]},{\"group\":\"g\",\"name\":\"A\",\"type\":"
     "\"alerting\",\"what\":[\"keep_firing_for\",\"interval\"],\"alerts\":[]},{\"group\":\"g\","
     "\"name\":\"r:r\",\"type\":\"recording\",\"what\":[\"interval\"],\"alerts\":[]}]}"},
};

static void a_rule_is_the_same_by_group_name_and_labels(void **state)
{
    json_t *running = json_of(running_rules);
    (void)state;
    for (size_t i = 0; i < sizeof rules_cases / sizeof rules_cases[0]; i++) {
        struct rule_set *offered = rules_of(rules_cases[i].rules);
        expect(rules_cases[i].because, consequences_of_rules(running, offered),
               rules_cases[i].wanted);
        rule_set_free(offered);
    }
    json_decref(running);
}

/* ---- silences ---------------------------------------------------------------------------- */

#define SILENCE(state, name, value, regex)                                                     \
    "[{\"id\":\"s\",\"createdBy\":\"c\",\"comment\":\"t\",\"status\":{\"state\":\"" state      \
    "\"},\"matchers\":[{\"name\":\"" name "\",\"value\":\"" value "\",\"isRegex\":" regex      \
    "}]}]"
#define FOUND(text)                                                                            \
    "[{\"id\":\"s\",\"createdBy\":\"c\",\"comment\":\"t\",\"matchers\":[\"" text "\"]}]"

static void a_silence_is_idle_if_no_rule_left_can_meet_it(void **state)
{
    static const struct {
        const char *because, *silences, *alerts, *wanted;
    } cases[] = {
        {"its alert has no rule", SILENCE("active", "alertname", "A", "false"), "[]",
         FOUND("alertname=\\\"A\\\"")},
        {"it is over anyway", SILENCE("expired", "alertname", "A", "false"), "[]", "[]"},
        {"a label that the rule sets otherwise", SILENCE("pending", "severity", "pa.*", "true"),
         "[]", FOUND("severity=~\\\"pa.*\\\"")},
        {"a label that only the expression sets", SILENCE("active", "instance", "a", "false"),
         "[]", "[]"},
        {"nothing met it before", SILENCE("active", "alertname", "Z", "false"), "[]", "[]"},
        {"somebody posts such alerts", SILENCE("active", "alertname", "A", "false"),
         "[{\"labels\":{\"alertname\":\"A\"},\"value\":\"\"}]", "[]"},
        {"our own rules' do not count, they end", SILENCE("active", "alertname", "A", "false"),
         "[{\"labels\":{\"alertname\":\"A\"},\"value\":\"1e+00\"}]",
         FOUND("alertname=\\\"A\\\"")},
    };
    json_t *running = json_of(running_rules);
    struct rule_set *offered = rules_of(
        "groups: [{name: g, rules: [{alert: B, expr: up, labels: {severity: warn}}]}]");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *silences = json_of(cases[i].silences), *alerts = json_of(cases[i].alerts);
        expect(cases[i].because, consequences_of_silences(silences, running, offered, alerts),
               cases[i].wanted);
        json_decref(silences);
        json_decref(alerts);
    }
    rule_set_free(offered);
    json_decref(running);
}

/* ---- routes and receivers ---------------------------------------------------------------- */

static const char alerts[] =
    "[{\"fingerprint\":\"1\",\"labels\":{\"alertname\":\"A\",\"host\":"
    "\"a\"},\"state\":\"firing\"},"
    "{\"fingerprint\":\"3b236f15eb72f585\",\"labels\":{\"alertname\":\"A\",\"host\":"
    "\"b\"},\"state\":\"firing\"}]";

#define TREE(more) "route: {receiver: x, group_by: [alertname]" more "}\n"
#define NAMES      "receivers: [{name: x}, {name: y}]\n"

static void alerts_change_hands_or_groups(void **state)
{
    static const struct {
        const char *because, *tree, *wanted;
    } cases[] = {
        {"timers change nobody", TREE(", repeat_interval: 1h"), "[]"},
        {"one of them goes to another",
         TREE(", routes: [{receiver: y, matchers: ['host=\"b\"']}]"),
         "[{\"before\":[\"x\"],\"after\":[\"y\"],\"regrouped\":[],\"alerts\":[{\"fingerprint\":"
         "\"3b236f15eb72f585\",\"labels\":{\"alertname\":\"A\",\"host\":\"b\"},\"state\":"
         "\"firing\"}]}]"},
        {"a new route to the same receiver is a new group, which tells anew",
         TREE(", routes: [{receiver: x, matchers: ['host=\"b\"']}]"),
         "[{\"before\":[\"x\"],\"after\":[\"x\"],\"regrouped\":[\"x\"],\"alerts\":[{"
         "\"fingerprint\":\"3b236f15eb72f585\",\"labels\":{\"alertname\":\"A\",\"host\":\"b\"},"
         "\"state\":"
         "\"firing\"}]}]"},
    };
    json_t *all = json_of(alerts), *none = json_array();
    json_t *ending =
        json_of("[{\"alerts\":[{\"labels\":{\"alertname\":\"A\",\"host\":\"b\"}}]}]");
    struct alerting *before = alerting_of(TREE("") NAMES);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%s%s", cases[i].tree, NAMES);
        struct alerting *after = alerting_of(text);
        expect(cases[i].because, consequences_of_routes(all, none, before, after),
               cases[i].wanted);
        expect("what ends goes nowhere", consequences_of_routes(all, ending, before, after),
               "[]");
        alerting_free(after);
    }
    alerting_free(before);
    json_decref(all);
    json_decref(none);
    json_decref(ending);
}

static void a_channel_that_goes_is_told_with_what_is_owed(void **state)
{
    json_t *running = json_of(
        "[{\"name\":\"x\",\"integrations\":[{\"channel\":\"webhook\",\"index\":0,\"owed\":0},"
        "{\"channel\":\"webhook\",\"index\":1,\"owed\":3}]},{\"name\":\"empty\","
        "\"integrations\":[]},{\"name\":\"kept\",\"integrations\":[]}]");
    struct alerting *after = alerting_of(
        "route: {receiver: x}\nreceivers:\n- {name: x, webhook_configs: [{url: 'http://h/'}],"
        " program_configs: [{command: [/bin/true]}]}\n- {name: kept}\n- {name: new}\n");
    (void)state;
    expect(
        "ways", consequences_of_receivers(running, after),
        "{\"added\":[{\"receiver\":\"x\",\"channel\":\"program\",\"index\":0},{\"receiver\":"
        "\"new\",\"channel\":null,\"index\":null}],\"removed\":[{\"receiver\":\"x\","
        "\"channel\":\"webhook\",\"index\":1,\"owed\":3},{\"receiver\":\"empty\",\"channel\":"
        "null,\"index\":null}]}");
    alerting_free(after);
    json_decref(running);
}

/* ---- who is told when -------------------------------------------------------------------- */

/* Thursday 2026-12-03 10:00 and 22:00 in Beijing, and 22:00 of the day before: ALERTS as a range
 * query gives them, and an alert that fires at the later of these. */
#define TEN     "1796263200"
#define TEN_PM  "1796306400"
#define EVE     "1796220000"
#define NOW_MS  INT64_C(1796306400000)
static const char fires_now[] =
    "[{\"labels\":{\"alertname\":\"Slow\",\"rack\":\"7\"},\"state\":\"firing\"},"
    "{\"labels\":{\"alertname\":\"Soon\"},\"state\":\"pending\"}]";
static const char fired[] =
    "{\"result\":["
    "{\"metric\":{\"__name__\":\"ALERTS\",\"alertstate\":\"firing\",\"alertname\":\"Slow\","
    "\"rack\":\"7\"},\"values\":[[" TEN ",\"1\"]]},"
    "{\"metric\":{\"alertstate\":\"firing\",\"alertname\":\"Down\",\"rack\":\"7\"},"
    "\"values\":[[" EVE ",\"1\"],[" TEN ",\"1\"]]},"
    "{\"metric\":{\"alertstate\":\"firing\",\"alertname\":\"Slow\",\"rack\":\"8\"},"
    "\"values\":[[" TEN ",\"1\"]]}]}";

static json_t *seen(void)
{
    json_t *now = json_of(fires_now), *past = json_of(fired);
    json_t *episodes = consequences_episodes(now, past, NOW_MS, 0);
    json_decref(now);
    json_decref(past);
    return episodes;
}

static void what_fires_and_what_fired_are_one_where_their_labels_are(void **state)
{
    json_t *past = json_of(fired), *none = json_array();
    (void)state;
    expect("now and before", seen(),
           "[{\"labels\":{\"alertname\":\"Slow\",\"rack\":\"7\"},\"state\":\"firing\",\"times\":["
           TEN_PM "000," TEN "000]},"
           "{\"labels\":{\"alertname\":\"Down\",\"rack\":\"7\"},\"state\":\"past\",\"times\":["
           EVE "000," TEN "000]},"
           "{\"labels\":{\"alertname\":\"Slow\",\"rack\":\"8\"},\"state\":\"past\",\"times\":["
           TEN "000]}]");
    expect("nothing is known of the past", consequences_episodes(none, NULL, NOW_MS, 0), "[]");
    json_decref(past);
    json_decref(none);
}

#define NIGHTS                                                                                 \
    "time_intervals: [{name: nights, time_intervals: [{times: [{start_time: '18:00', "         \
    "end_time: '24:00'}], location: Asia/Shanghai}]}]\n"
#define INHIBIT(equal)                                                                         \
    "inhibit_rules: [{source_matchers: [alertname=Down], target_matchers: ['alertname=~\".+\"'], " \
    "equal: [" equal "]}]\n"
#define ROUTE(more) "route: {receiver: x, routes: [{receiver: y, matchers: ['rack=~\".+\"']" more "}]}\n"
#define MUTED(name, rack, state, n, first, last)                                               \
    "{\"labels\":{\"alertname\":\"" name "\",\"rack\":\"" rack "\"},\"state\":\"" state          \
    "\",\"moments\":" n ",\"firstMs\":" first "000,\"lastMs\":" last "000}"
#define MUTING(becomes, by, alerts)                                                            \
    "[{\"receiver\":\"y\",\"becomes\":\"" becomes "\",\"by\":\"" by "\",\"alerts\":[" alerts "]}]"

static void alerts_of_now_and_of_the_past_are_muted_by_other_rules_and_times(void **state)
{
    static const struct {
        const char *because, *before, *after, *wanted;
    } cases[] = {
        {"nothing changes", NIGHTS INHIBIT("rack") ROUTE(", mute_time_intervals: [nights]"),
         NIGHTS INHIBIT("rack") ROUTE(", mute_time_intervals: [nights]"), "[]"},
        {"at night it is not told", NIGHTS ROUTE(""),
         NIGHTS ROUTE(", mute_time_intervals: [nights]"),
         MUTING("muted", "time",
                MUTED("Slow", "7", "firing", "1", TEN_PM, TEN_PM) ","
                MUTED("Down", "7", "past", "1", EVE, EVE))},
        {"by day it was not", NIGHTS ROUTE(", active_time_intervals: [nights]"), ROUTE(""),
         MUTING("told", "time",
                MUTED("Slow", "7", "firing", "1", TEN, TEN) ","
                MUTED("Down", "7", "past", "1", TEN, TEN) ","
                MUTED("Slow", "8", "past", "1", TEN, TEN))},
        {"the same rack was down, which inhibits not itself", ROUTE(""),
         INHIBIT("rack") ROUTE(""),
         MUTING("muted", "inhibition", MUTED("Slow", "7", "firing", "1", TEN, TEN))},
        {"no longer only of the rack", INHIBIT("rack") ROUTE(""), INHIBIT("") ROUTE(""),
         MUTING("muted", "inhibition", MUTED("Slow", "8", "past", "1", TEN, TEN))},
        {"an inhibition that goes, where the time mutes as before",
         NIGHTS INHIBIT("") ROUTE(", active_time_intervals: [nights]"),
         NIGHTS ROUTE(", active_time_intervals: [nights]"), "[]"},
    };
    json_t *episodes = seen();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        struct alerting *before, *after;
        (void)snprintf(text, sizeof text, "%s%s", cases[i].before, NAMES);
        before = alerting_of(text);
        (void)snprintf(text, sizeof text, "%s%s", cases[i].after, NAMES);
        after = alerting_of(text);
        expect(cases[i].because, consequences_of_mutes(episodes, before, after),
               cases[i].wanted);
        alerting_free(before);
        alerting_free(after);
    }
    json_decref(episodes);
}

#define TIMERS(wait, interval, repeat)                                                         \
    "[{\"groupWaitMs\":" wait ",\"groupIntervalMs\":" interval ",\"repeatIntervalMs\":" repeat "}]"

static void other_timers_are_told_with_the_alerts_they_are_of(void **state)
{
    struct alerting *before = alerting_of(ROUTE("") NAMES);
    struct alerting *after =
        alerting_of("route: {receiver: x, repeat_interval: 1h, routes: [{receiver: y, "
                    "matchers: ['rack=~\".+\"'], group_wait: 1m, repeat_interval: 4h}]}\n" NAMES);
    json_t *episodes = seen();
    (void)state;
    expect("both routes, one of them without an alert",
           consequences_of_timers(episodes, before, after),
           "[{\"receiver\":\"y\",\"before\":" TIMERS("30000", "300000", "14400000")
           ",\"after\":" TIMERS("60000", "300000", "14400000") ",\"alerts\":["
           "{\"labels\":{\"alertname\":\"Slow\",\"rack\":\"7\"},\"state\":\"firing\"},"
           "{\"labels\":{\"alertname\":\"Down\",\"rack\":\"7\"},\"state\":\"past\"},"
           "{\"labels\":{\"alertname\":\"Slow\",\"rack\":\"8\"},\"state\":\"past\"}]},"
           "{\"receiver\":\"x\",\"before\":" TIMERS("30000", "300000", "14400000")
           ",\"after\":" TIMERS("30000", "300000", "3600000") ",\"alerts\":[]}]");
    expect("the same", consequences_of_timers(episodes, after, after), "[]");
    json_decref(episodes);
    alerting_free(before);
    alerting_free(after);
}

static void rules_and_intervals_that_come_and_go_are_named(void **state)
{
    struct alerting *before = alerting_of(INHIBIT("rack") NIGHTS ROUTE("") NAMES);
    struct alerting *after = alerting_of(
        INHIBIT("row, rack") "time_intervals: [{name: nights, time_intervals: [{years: "
                             "['2026']}]}, {name: days, time_intervals: []}]\n" ROUTE("") NAMES);
    (void)state;
    expect("rules", consequences_of_inhibit_rules(before, after),
           "{\"added\":[\"{alertname=\\\"Down\\\"} -> {alertname=~\\\".+\\\"} equal [row, "
           "rack]\"],\"removed\":[\"{alertname=\\\"Down\\\"} -> {alertname=~\\\".+\\\"} equal "
           "[rack]\"]}");
    expect("intervals", consequences_of_intervals(before, after),
           "{\"added\":[\"days\"],\"removed\":[],\"changed\":[\"nights\"]}");
    expect("back", consequences_of_intervals(after, before),
           "{\"added\":[],\"removed\":[\"days\"],\"changed\":[\"nights\"]}");
    alerting_free(before);
    alerting_free(after);
}

/* ---- duty -------------------------------------------------------------------------------- */

#define DAY INT64_C(86400000)
#define D0  INT64_C(1796227200000) /* 2026-12-03 00:00 in Beijing */
#define PERSONS                                                                                \
    "persons: [{id: a, name: 值班员甲}, {id: b, name: 值班员乙}, {id: c, name: 值班员丙}]\n"
#define A "{\"id\":\"a\",\"name\":\"值班员甲\"}"
#define B "{\"id\":\"b\",\"name\":\"值班员乙\"}"
#define C "{\"id\":\"c\",\"name\":\"值班员丙\"}"

static struct duty *duty_of(const char *text)
{
    struct duty *duty;
    struct diagnosis why = {0};
    if (duty_parse("d.yml", bytes_of(text), &duty, &why) != 0)
        fail_msg("%s", why.text);
    return duty;
}

/* a, b, a on three days, as duty/shifts has it. */
#define SHIFT(from, to, person)                                                                \
    "{\"fromMs\":" from ",\"toMs\":" to ",\"person\":" person ",\"layer\":\"l\",\"swap\":0}"
static const char running_duty[] =
    "{\"rosters\":[{\"name\":\"r\",\"title\":\"夜班\",\"offsetMs\":28800000,\"shifts\":["
    SHIFT("1796227200000", "1796270400000", A) "," /* until noon, and then another layer */
    SHIFT("1796270400000", "1796313600000", A) ","
    SHIFT("1796313600000", "1796400000000", B) ","
    SHIFT("1796400000000", "1796486400000", A) "]}]}";
#define ROSTER(persons)                                                                        \
    "rosters:\n- {name: r, title: 夜班, layers: [{rotation: [" persons                          \
    "], start: 2026-12-03, length: 1d}]}\n"
#define STRETCH(becomes, from, to, before, after)                                              \
    "{\"roster\":\"r\",\"title\":\"夜班\",\"offsetMs\":28800000,\"becomes\":\"" becomes           \
    "\",\"fromMs\":" from ",\"toMs\":" to ",\"before\":[" before "],\"after\":[" after "]}"

static void others_on_duty_are_told_by_the_stretch(void **state)
{
    static const struct {
        const char *because, *text, *swaps, *wanted;
    } cases[] = {
        {"the same", PERSONS ROSTER("a, b"), "[]", "[]"},
        {"a swap is no part of the file", PERSONS ROSTER("a, c"),
         "[{\"number\":1,\"roster\":\"r\",\"person\":\"b\",\"insteadOf\":\"c\",\"fromMs\":"
         "1796313600000,\"toMs\":1796400000000,\"by\":\"x\",\"atMs\":1,\"reason\":\"\"}]",
         "[]"},
        {"the second day", PERSONS ROSTER("a, c"), "[]",
         "[" STRETCH("changed", "1796313600000", "1796400000000", B, C) "]"},
        {"one more, beside them", PERSONS ROSTER("[a, c], [b, c], [a, c]"), "[]",
         "[" STRETCH("changed", "1796227200000", "1796313600000", A, A "," C) ","
         STRETCH("changed", "1796313600000", "1796400000000", B, B "," C) ","
         STRETCH("changed", "1796400000000", "1796486400000", A, A "," C) "]"},
        {"a roster that goes; what says the same is one stretch", PERSONS, "[]",
         "[" STRETCH("removed", "1796227200000", "1796313600000", A, "") ","
         STRETCH("removed", "1796313600000", "1796400000000", B, "") ","
         STRETCH("removed", "1796400000000", "1796486400000", A, "") "]"},
    };
    json_t *running = json_of(running_duty);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct duty *duty = duty_of(cases[i].text);
        json_t *swaps = json_of(cases[i].swaps);
        expect(cases[i].because, consequences_of_duty(running, swaps, duty, D0, D0 + 3 * DAY),
               cases[i].wanted);
        json_decref(swaps);
        duty_unref(duty);
    }
    json_decref(running);
}

static void a_first_duty_file_and_its_end_are_told(void **state)
{
    struct duty *duty = duty_of(PERSONS ROSTER("a"));
    json_t *running = json_of(running_duty), *none = json_array();
    (void)state;
    expect("the first", consequences_of_duty(NULL, none, duty, D0, D0 + 2 * DAY),
           "[" STRETCH("added", "1796227200000", "1796400000000", "", A) "]");
    expect("the end", consequences_of_duty(running, none, NULL, D0, D0 + DAY),
           "[" STRETCH("removed", "1796227200000", "1796313600000", A, "") "]");
    expect("neither", consequences_of_duty(NULL, none, NULL, D0, D0 + DAY), "[]");
    duty_unref(duty);
    json_decref(running);
    json_decref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_the_same_by_group_name_and_labels),
        cmocka_unit_test(a_silence_is_idle_if_no_rule_left_can_meet_it),
        cmocka_unit_test(alerts_change_hands_or_groups),
        cmocka_unit_test(a_channel_that_goes_is_told_with_what_is_owed),
        cmocka_unit_test(what_fires_and_what_fired_are_one_where_their_labels_are),
        cmocka_unit_test(alerts_of_now_and_of_the_past_are_muted_by_other_rules_and_times),
        cmocka_unit_test(other_timers_are_told_with_the_alerts_they_are_of),
        cmocka_unit_test(rules_and_intervals_that_come_and_go_are_named),
        cmocka_unit_test(others_on_duty_are_told_by_the_stretch),
        cmocka_unit_test(a_first_duty_file_and_its_end_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
