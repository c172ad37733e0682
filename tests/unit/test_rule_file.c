/*
 * test_rule_file.c - rule files: what they mean, what is refused, which rules are for instances.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/rules/rule_file.h"
#include "collector/rules/scope.h"
#include "proto/base/error.h"

static void a_file_means_what_prometheus_means_by_it(void **state)
{
    static const char text[] =
        "groups:\n- name: g\n  interval: 30s\n  limit: 7\n  query_offset: 5s\n"
        "  labels: {team: ops, zone: a}\n  rules:\n"
        "  - {alert: A, expr: up == 0, for: 2m, keep_firing_for: 1m, labels: {team: db},\n"
        "     annotations: {summary: '{{ $value }}'}}\n"
        "  - {record: 'a:b', expr: sum(up)}\n- {name: h, rules: []}\n";
    struct rule_set *set = NULL;
    struct diagnosis why = {0};
    const struct rule *rule;
    (void)state;

    assert_int_equal(rule_set_parse("r.yml", bytes_of(text), 15000, &set, &why), 0);
    assert_int_equal(set->group_count, 2);
    assert_int_equal(set->groups[0]->interval_ms, 30000);
    assert_int_equal(set->groups[1]->interval_ms, 15000);
    assert_int_equal(set->groups[0]->limit, 7);
    assert_int_equal(set->groups[0]->query_offset_ms, 5000);
    rule = set->rules[0];
    assert_true(rule->is_alert && rule->single);
    assert_int_equal(rule->for_ms, 120000);
    assert_int_equal(rule->keep_firing_for_ms, 60000);
    assert_int_equal(rule->label_count, 2);
    assert_string_equal(rule->labels[0].text, "db");
    assert_string_equal(rule->labels[1].text, "a");
    assert_false(set->rules[1]->is_alert);
    rule_set_free(set);
}

static void mistakes_are_named_with_file_and_line(void **state)
{
    static const struct {
        const char *rule, *message;
    } cases[] = {
        {"{alert: A, expr: 'raet(x[5m])'}", "r.yml:4: expr at 1:1: unknown function"},
        {"{alert: A, expr: 'raet(x[5m])'}", "did you mean \"rate\"?"},
        {"{alert: A, expr: up, fro: 5m}", "did you mean \"for\"?"},
        {"{alert: A, expr: up, for: 5x}", "is not a duration"},
        {"{alert: A, record: b, expr: up}", "only one of 'record' and 'alert'"},
        {"{expr: up}", "one of 'record' or 'alert' must be set"},
        {"{alert: A}", "\"expr\" is missing"},
        {"{record: a, expr: up, for: 5m}", "invalid field 'for' in recording rule"},
        {"{record: a, expr: up, annotations: {a: b}}", "invalid field 'annotations'"},
        {"{record: 'a b', expr: up}", "invalid recording rule name"},
        {"{alert: A, expr: up, labels: {__name__: x}}", "invalid label name: __name__"},
        {"{alert: A, expr: up, annotations: {s: '{{ $value | foo }}'}}", "annotation \"s\""},
        {"{alert: A, expr: 'up['}", "expr at 1:"},
        {"{alert: A, expr: 'up[5m]'}", "instant vector or a scalar"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        struct rule_set *set = NULL;
        struct diagnosis why = {0};
        int error;
        (void)snprintf(text, sizeof text, "groups:\n- name: g\n  rules:\n  - %s\n",
                       cases[i].rule);
        error = rule_set_parse("r.yml", bytes_of(text), 15000, &set, &why);
        if (error == 0 || strstr(why.text, cases[i].message) == NULL)
            fail_msg("%s: %d %s", cases[i].rule, error, why.text);
    }
}

/* A rule file with one rule, and what is said of it beside. */
static int parse_more(const char *more, struct rule_set **ret_set, struct diagnosis *why)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "groups:\n- name: g\n  rules:\n  - {alert: HostHot, expr: heat > 80}\n"
                   "  - {alert: Other, expr: heat > 90}\nalerts:\n- %s\n", more);
    return rule_set_parse("r.yml", bytes_of(text), 15000, ret_set, why);
}

static void what_is_said_beside_reaches_its_rule(void **state)
{
    struct rule_set *set = NULL;
    struct diagnosis why = {0};
    (void)state;

    assert_int_equal(parse_more("{alert: HostHot, recover: 'heat < 60', stale_for: 2h}\n"
                                "- {alert: '*', flap_changes: 0, flap_within: 5m}",
                                &set, &why), 0);
    assert_non_null(set->rules[0]->recover);
    assert_true(set->rules[0]->recover_single);
    assert_int_equal(set->rules[0]->stale_ms, 2 * 3600 * 1000);
    assert_int_equal(set->rules[0]->flap.changes, 4);
    assert_null(set->rules[1]->recover);
    assert_int_equal(set->rules[1]->stale_ms, 24 * 3600 * 1000);
    assert_int_equal(set->rules[1]->flap.changes, 0);
    assert_int_equal(set->rules[1]->flap.within_ms, 5 * 60 * 1000);
    rule_set_free(set);
}

static void mistakes_beside_are_named_with_file_and_line(void **state)
{
    static const struct {
        const char *more, *message;
    } cases[] = {
        {"{alert: HostHto}", "r.yml:7: no alerting rule is named \"HostHto\""},
        {"{alert: HostHto}", "did you mean \"HostHot\"?"},
        {"{alert: HostHot, recover: 'heat <'}", "r.yml:7: recover at 1:7"},
        {"{alert: HostHot, recover: 'heat[5m]'}", "recover must yield an instant vector"},
        {"{alert: HostHot, recover: '1'}", "recover must yield an instant vector"},
        {"{alert: '*', recover: 'heat < 5'}", "recover is for one alert"},
        {"{alert: HostHot, stale_for: soon}", "is not a duration"},
        {"{alert: HostHot, flap_changes: 1}", "one change is no flapping"},
        {"{alert: HostHot}\n- {alert: HostHot}", "r.yml:8: alert \"HostHot\" is there twice"},
        {"{alert: HostHot, recovr: x}", "did you mean \"recover\"?"},
        {"{recover: x}", "\"alert\" is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rule_set *set = NULL;
        struct diagnosis why = {0};
        int error = parse_more(cases[i].more, &set, &why);
        if (error == 0 || strstr(why.text, cases[i].message) == NULL)
            fail_msg("%s: %d %s", cases[i].more, error, why.text);
    }
}

static void expressions_that_mix_instances_are_known(void **state)
{
    static const struct {
        const char *text;
        bool single;
    } cases[] = {
        {"up == 0", true},
        {"rate(x[1m]) > 2 and on (instance) up == 1", true},
        {"avg by (instance, job) (x)", true},
        {"sum without (cpu) (x)", true},
        {"a / on (instance, job) count by (instance, job) (b)", true},
        {"max_over_time(x[5m:1m]) > time()", true},
        {"sum(x)", false},
        {"sum by (job) (x)", false},
        {"sum without (instance) (x)", false},
        {"a / ignoring (instance) b", false},
        {"a / on (job) b", false},
        {"absent(x)", false},
        {"x > scalar(y)", false},
        {"x or vector(0)", false},
        {"topk(3, x)", false},
        {"label_replace(x, \"instance\", \"a\", \"b\", \"c\")", false},
        {"vector(1)", false},
        {"time() > bool 5", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct promql_expression *expression;
        struct promql_error error = {0};
        if (promql_parse(cases[i].text, &expression, &error) != 0)
            fail_msg("%s: %s", cases[i].text, error.why.text);
        if (scope_is_single(expression) != cases[i].single)
            fail_msg("%s", cases[i].text);
        promql_expression_free(expression);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_beside_reaches_its_rule),
        cmocka_unit_test(mistakes_beside_are_named_with_file_and_line),
        cmocka_unit_test(a_file_means_what_prometheus_means_by_it),
        cmocka_unit_test(mistakes_are_named_with_file_and_line),
        cmocka_unit_test(expressions_that_mix_instances_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
