/*
 * test_consequences.c - what other rules, routes and receivers would do: comparisons of answers
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_the_same_by_group_name_and_labels),
        cmocka_unit_test(a_silence_is_idle_if_no_rule_left_can_meet_it),
        cmocka_unit_test(alerts_change_hands_or_groups),
        cmocka_unit_test(a_channel_that_goes_is_told_with_what_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
