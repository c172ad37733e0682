/*
 * test_policy_rules.c - policy.yml: what is refused and where, what a host gets, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "collector/policy/period.h"
#include "collector/policy/policy.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

static const struct label db_labels[] = {
    {{(const uint8_t *)"role", 4}, {(const uint8_t *)"db", 2}},
    {{(const uint8_t *)"site", 4}, {(const uint8_t *)"zhongta", 7}},
};
static const struct policy_host db = {"node", "db-01", db_labels, 2};
static const struct policy_host web = {"node", "web-01", NULL, 0};

/* 2026-10-12 is a Monday; times are of Asia/Shanghai. */
#define MONDAY_0900 INT64_C(1791766800000)
#define MINUTE      INT64_C(60000)
#define HOUR        (60 * MINUTE)
#define DAY         (24 * HOUR)

static struct policy *read_policy(const char *text)
{
    struct policy *policy = NULL;
    struct diagnosis why = {0};
    if (policy_parse("p.yml", bytes_of(text), &policy, &why) != 0)
        fail_msg("%s", why.text);
    return policy;
}

static void expect_document(const char *text, const struct policy_host *host, int64_t at_ms,
                            const char *document)
{
    struct arena arena;
    struct policy_plan plan;
    struct buf out = {0};
    struct policy *policy = read_policy(text);
    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(policy_plan(policy, host, at_ms, &arena, &plan), 0);
    policy_print_document(&plan, &out);
    assert_string_equal(buf_text(&out), document);
    buf_done(&out);
    arena_reset(&arena);
    policy_unref(policy);
}

static void a_mistake_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"rule: []", "p.yml:1: unknown key \"rule\" (did you mean \"rules\"?)"},
        {"rules:\n- {intervall: 1s}", "p.yml:2: unknown key \"intervall\" in rules (did you"},
        {"rules:\n- interval: 1h30m", "p.yml:2: rules.interval: \"1h30m\" is not between"},
        {"rules:\n- {name: x}", "p.yml:2: x asks for nothing"},
        {"rules:\n- {match: {role: db}}", "p.yml:2: rule 1 asks for nothing"},
        {"rules:\n- interval: 1s\n  match: 'role=='", "p.yml:3: match: {role==}"},
        {"rules:\n- interval: 1s\n  match: '{role=~\"(\"}'", "p.yml:3: match: {role=~\"(\"}"},
        {"rules:\n- interval: 1s\n  match: 'a=\"b\"} or up{c=\"d\"'", "p.yml:3: match"},
        {"rules:\n- interval: 1s\n  match: {role: {a: b}}", "p.yml:3: match.role: expected a"},
        {"rules:\n- interval: 1s\n  match: [role]", "p.yml:3: match: expected a selector"},
        {"rules:\n- interval: 1s\n  during: peak", "p.yml:3: during: there is no period"},
        {"rules:\n- sources: [cpu]", "p.yml:2: sources: expected a map"},
        {"rules:\n- sources: {cpu: {enable: no}}", "did you mean \"enabled\"?"},
        {"rules:\n- sources: {processes: {topp: 3}}", "did you mean \"top\"?"},
        {"rules:\n- sources: {processes: {directory: /etc}}",
         "unknown key \"directory\" in sou"},
        {"rules:\n- sources: {'cpu: x': {}}", "is no name of a source"},
        {"rules:\n- logs: {path: /a}", "p.yml:2: logs: expected a list"},
        {"rules:\n- logs:\n  - {path: a.log}", "p.yml:3: logs: path \"a.log\" is not absolute"},
        {"rules:\n- logs:\n  - {path: /a/../b}", "p.yml:3: logs: path \"/a/../b\""},
        {"rules:\n- logs:\n  - {path: /a//b}", "p.yml:3: logs: path \"/a//b\""},
        {"rules:\n- logs:\n  - {encoding: gbk}", "p.yml:3: key \"path\" is missing in logs"},
        {"rules:\n- logs:\n  - {path: /a, encoding: gb18031}", "did you mean \"gb18030\"?"},
        {"rules:\n- logs:\n  - {path: /a, multiline: '('}", "bad regular expression"},
        {"rules:\n- logs:\n  - {path: /a, patterns: [{name: a, regex: '['}]}", "bad regular"},
        {"rules:\n- logs:\n  - {path: /a, patterns: [{name: a, regex: b}, {name: a, regex: "
         "c}]}",
         "two patterns named \"a\""},
        {"rules:\n- logs:\n  - {path: /a, rate_limit: -1}", "rate_limit"},
        {"rules:\n- logs:\n  - {path: /a, redact: none}", "unknown key \"redact\""},
        {"rules:\n- logs:\n  - {path: /a, redact_patterns: [{name: a, regex: '['}]}",
         "bad regular"},
        {"time_zone: Mars/Olympus", "p.yml:1: time_zone: expected"},
        {"periods: {a: {}}", "periods.a: says no time"},
        {"periods: {a: {from: 2026-02-29}}", "\"2026-02-29\" is not a date"},
        {"periods: {a: {from: 2026-10-02, to: 2026-10-01}}", "ends before it begins"},
        {"periods: {a: {hours: ['25:00-26:00']}}", "is not a range such as"},
        {"periods: {a: {hours: ['8:00-9:00']}}", "is not a range such as"},
        {"periods: {a: {weekdays: mond}}", "is not mon, tue"},
        {"periods: {a: {days: 0-5}}", "is not a day of the month"},
        {"periods: {a: {days: 5-40}}", "is not a day of the month"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *policy = NULL;
        struct diagnosis why = {0};
        assert_int_equal(policy_parse("p.yml", bytes_of(cases[i].text), &policy, &why),
                         ERR_INVALID);
        assert_null(policy);
        if (strstr(why.text, cases[i].reason) == NULL)
            fail_msg("%s\ngave: %s", cases[i].text, why.text);
    }
}

static void the_later_rule_has_the_last_word(void **state)
{
    static const char rules[] =
        "rules:\n"
        "- {interval: 10s, sources: {cpu: {interval: 2s}, load: {enabled: false}}}\n"
        "- match: 'role=\"db\"'\n"
        "  interval: 5s\n"
        "  sources: {cpu: {enabled: true}, load: {enabled: true, interval: 3s}}\n"
        "- {match: {site: unicom}, interval: 1s}\n";
    (void)state;
    expect_document(
        rules, &web, 0,
        "interval: 10s\nsources:\n  cpu: {interval: 2s}\n  load: {enabled: false}\n");
    expect_document(rules, &db, 0,
                    "interval: 5s\nsources:\n  cpu: {interval: 2s, enabled: true}\n"
                    "  load: {interval: 3s, enabled: true}\n");
}

static void an_option_of_a_source_is_set_whole_by_the_last_rule(void **state)
{
    static const char rules[] =
        "rules:\n"
        "- sources: {processes: {top: 20, groups: [{name: a, comm: [x, y]}], others: ''}}\n"
        "- {match: {role: db}, sources: {processes: {groups: [{name: b}], interval: 10s}}}\n";
    (void)state;
    expect_document(rules, &web, 0,
                    "sources:\n  processes: {groups: [{name: \"a\", comm: [\"x\", \"y\"]}], "
                    "others: \"\", top: \"20\"}\n");
    expect_document(rules, &db, 0,
                    "sources:\n  processes: {interval: 10s, groups: [{name: \"b\"}], "
                    "others: \"\", top: \"20\"}\n");
}

static void selectors_mean_what_prometheus_means(void **state)
{
    static const struct {
        const char *match;
        bool db, web;
    } cases[] = {
        {"''", true, true},
        {"'{}'", true, true},
        {"{}", true, true},
        {"'role=\"db\"'", true, false},
        {"'{role=\"db\", site=~\"zhong.*\"}'", true, false},
        {"'role!=\"db\"'", false, true},
        {"'role!~\"d.\"'", false, true},
        {"'role=\"\"'", false, true},
        {"'role=~\"d\"'", false, false}, /* anchored */
        {"'instance=~\"web-.*\", job=\"node\"'", false, true},
        {"{role: db}", true, false},
        {"{role: [web, db]}", true, false},
        {"{role: [d.]}", false, false}, /* a text, no pattern */
        {"{role: ''}", false, true},
        {"{instance: db-01, site: zhongta}", true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text = {0};
        buf_printf(&text, "rules: [{interval: 1s, match: %s}]", cases[i].match);
        struct policy *policy = read_policy(buf_text(&text));
        if (policy_rule_matches(policy, 0, &db) != cases[i].db ||
            policy_rule_matches(policy, 0, &web) != cases[i].web)
            fail_msg("%s", cases[i].match);
        policy_unref(policy);
        buf_done(&text);
    }
}

static void a_log_path_has_one_entry_and_can_be_taken_back(void **state)
{
    static const char rules[] =
        "rules:\n"
        "- logs: [{path: /a.log}, {path: /b.log, encoding: gbk}, {path: /c.log}]\n"
        "- match: {role: db}\n"
        "  logs: [{path: /a.log, enabled: false}, {path: /b.log, from: end, enabled: true}]\n";
    (void)state;
    expect_document(rules, &web, 0,
                    "logs:\n- {path: \"/a.log\"}\n- {path: \"/b.log\", encoding: \"gbk\"}\n"
                    "- {path: \"/c.log\"}\n");
    expect_document(rules, &db, 0,
                    "logs:\n- {path: \"/b.log\", from: \"end\"}\n- {path: \"/c.log\"}\n");
}

/* What a person writes goes through YAML twice and must come out as it was. */
static void any_text_reaches_the_probe_as_it_was_written(void **state)
{
    static const char rules[] = "rules:\n- logs:\n  - {path: "
                                "\"/a\\u0085\\uFEFF\\\\\\\"\\x07中文 {x}: [#'\\uFFFD.log\"}\n";
    struct arena arena;
    struct policy_plan plan;
    struct buf out = {0};
    struct config *config = NULL;
    struct diagnosis why = {0};
    (void)state;
    struct policy *policy = read_policy(rules);
    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(policy_plan(policy, &web, 0, &arena, &plan), 0);
    policy_print_document(&plan, &out);
    if (config_parse("document", buf_bytes(&out), &config, &why) != 0)
        fail_msg("%s", why.text);
    const struct config_node *logs = config_child(config_root(config), "logs");
    assert_string_equal(config_child(logs->children[0], "path")->text, plan.items[0].subject);
    config_free(config);
    buf_done(&out);
    arena_reset(&arena);
    policy_unref(policy);
}

static void no_word_for_a_host_is_an_empty_document(void **state)
{
    (void)state;
    expect_document("", &web, 0, "");
    expect_document("rules: []", &web, 0, "");
    expect_document("rules: [{match: {role: db}, interval: 1s}]", &web, 0, "");
}

static void a_period_only_ever_shortens_an_interval(void **state)
{
    static const char rules[] =
        "periods: {peak: {weekdays: mon-fri, hours: '08:30-17:30'}}\n"
        "rules:\n"
        "- {interval: 5s, sources: {cpu: {interval: 1s}}}\n"
        "- {during: peak, interval: 2s, sources: {cpu: {interval: 3s}}}\n"
        "- {during: [peak], match: {role: db}, interval: 10s}\n";
    (void)state;
    expect_document(rules, &db, MONDAY_0900, "interval: 2s\nsources:\n  cpu: {interval: 1s}\n");
    expect_document(rules, &db, MONDAY_0900 + 9 * HOUR,
                    "interval: 5s\nsources:\n  cpu: {interval: 1s}\n");
    expect_document(rules, &db, MONDAY_0900 + 5 * DAY, /* Saturday */
                    "interval: 5s\nsources:\n  cpu: {interval: 1s}\n");
}

static void periods_hold_when_their_words_say(void **state)
{
    static const struct {
        const char *period;
        int64_t at_ms;
        bool holds;
    } cases[] = {
        {"{from: 2026-10-12, to: 2026-10-12}", MONDAY_0900 - 9 * HOUR, true},
        {"{from: 2026-10-12, to: 2026-10-12}", MONDAY_0900 - 9 * HOUR - 1, false},
        {"{from: 2026-10-12, to: 2026-10-12}", MONDAY_0900 + 15 * HOUR - 1, true},
        {"{from: 2026-10-12, to: 2026-10-12}", MONDAY_0900 + 15 * HOUR, false},
        {"{from: '2026-10-12 09:00'}", MONDAY_0900, true},
        {"{from: 2026-10-12T09:01}", MONDAY_0900, false},
        {"{to: '2026-10-12 09:00'}", MONDAY_0900, false},
        {"{weekdays: mon}", MONDAY_0900, true},
        {"{weekdays: 周一}", MONDAY_0900, true},
        {"{weekdays: [tue-sun]}", MONDAY_0900, false},
        {"{weekdays: sat-mon}", MONDAY_0900, true},
        {"{weekdays: mon}", MONDAY_0900 - 9 * HOUR - 1, false},
        {"{weekdays: Monday-friday}", MONDAY_0900, true},
        {"{days: 12}", MONDAY_0900, true},
        {"{days: [1-11, 13-31]}", MONDAY_0900, false},
        {"{days: 1-15, weekdays: [tue]}", MONDAY_0900, false},
        {"{hours: '09:00-09:01'}", MONDAY_0900, true},
        {"{hours: '08:00-09:00'}", MONDAY_0900, false},
        {"{hours: ['22:00-09:01']}", MONDAY_0900, true},
        {"{hours: ['22:00-06:00']}", MONDAY_0900, false},
        {"{hours: ['00:00-24:00']}", MONDAY_0900 - 9 * HOUR, true},
    };
    struct diagnosis why = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config;
        struct civil_zone zone;
        struct policy_period period;
        struct buf text = {0};
        buf_printf(&text, "p: %s", cases[i].period);
        assert_int_equal(config_parse("p", buf_bytes(&text), &config, &why), 0);
        assert_int_equal(policy_zone_read(config, NULL, &zone, &why), 0);
        if (policy_period_read(config, config_root(config)->children[0], &zone, &period,
                               &why) != 0)
            fail_msg("%s", why.text);
        if (policy_period_holds(&period, &zone, cases[i].at_ms) != cases[i].holds)
            fail_msg("%s at %lld", cases[i].period, (long long)cases[i].at_ms);
        config_free(config);
        buf_done(&text);
    }
}

/* Between two borders nothing changes: minute by minute over five weeks. */
static void nothing_changes_between_two_borders(void **state)
{
    static const char rules[] =
        "periods:\n"
        "  a: {weekdays: [mon-wed, sat], hours: ['08:30-12:00', '23:00-01:15']}\n"
        "  b: {days: [1-3, 31], hours: '00:00-24:00'}\n"
        "  c: {from: '2026-10-20 07:07', to: 2026-10-22, hours: '18:00-06:00'}\n"
        "rules:\n"
        "- {during: a, interval: 9s}\n- {during: b, interval: 8s}\n- {during: c, interval: "
        "7s}\n";
    struct arena arena;
    struct policy *policy = read_policy(rules);
    int64_t border_ms = policy_next_border(policy, MONDAY_0900 - 1), last_ms = -1;
    size_t changes = 0;
    (void)state;
    arena_init(&arena, (size_t)1 << 20);
    for (int64_t at_ms = MONDAY_0900; at_ms < MONDAY_0900 + 35 * DAY; at_ms += MINUTE) {
        struct policy_plan plan;
        arena_reset(&arena);
        assert_int_equal(policy_plan(policy, &web, at_ms, &arena, &plan), 0);
        int64_t interval_ms = plan.count == 0 ? 0 : plan.items[0].interval_ms;
        bool is_border = at_ms >= border_ms;
        if (is_border)
            border_ms = policy_next_border(policy, at_ms);
        assert_true(border_ms > at_ms);
        if (last_ms >= 0 && interval_ms != last_ms) {
            changes++;
            assert_true(is_border);
        }
        last_ms = interval_ms;
    }
    assert_true(changes > 40);
    arena_reset(&arena);
    policy_unref(policy);
    policy = read_policy("rules: [{interval: 1s}]");
    assert_true(policy_next_border(policy, MONDAY_0900) == INT64_MAX);
    policy_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_is_named_with_its_line),
        cmocka_unit_test(the_later_rule_has_the_last_word),
        cmocka_unit_test(an_option_of_a_source_is_set_whole_by_the_last_rule),
        cmocka_unit_test(selectors_mean_what_prometheus_means),
        cmocka_unit_test(a_log_path_has_one_entry_and_can_be_taken_back),
        cmocka_unit_test(any_text_reaches_the_probe_as_it_was_written),
        cmocka_unit_test(no_word_for_a_host_is_an_empty_document),
        cmocka_unit_test(a_period_only_ever_shortens_an_interval),
        cmocka_unit_test(periods_hold_when_their_words_say),
        cmocka_unit_test(nothing_changes_between_two_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
