/*
 * test_route.c - alerting.yml: what is refused and how; which receiver takes what; group keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/alerting_config.h"
#include "proto/base/error.h"

static const char tree[] =
    "route:\n"
    "  receiver: root\n"
    "  group_by: [alertname]\n"
    "  group_wait: 1s\n"
    "  routes:\n"
    "  - matchers: ['team=\"db\"']\n"
    "    receiver: db\n"
    "    continue: true\n"
    "    routes: [{match: {severity: critical}, receiver: pager, group_by: ['...']}]\n"
    "  - {match_re: {host: 'web.*'}, receiver: web}\n"
    "receivers: [{name: root}, {name: db}, {name: pager}, {name: web}]\n";

static struct alerting *parse(const char *text)
{
    struct alerting *alerting = NULL;
    struct diagnosis why = {0};
    if (alerting_parse("a.yml", bytes_of(text), NULL, &alerting, &why) != 0)
        fail_msg("%s", why.text);
    return alerting;
}

/* "receiver groupkey; ..." for an alert with labels "a=b c=d". */
static const char *route_of(const struct alerting *alerting, const char *text)
{
    static char result[1024];
    const struct route *routes[ROUTE_MATCHES_MAX];
    const struct labels *labels, *group;
    struct label pairs[8];
    size_t count = 0, taken;
    char copy[256], *rest = copy, *word;
    struct arena arena;
    struct buf out = {0};

    (void)snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        char *sign = strchr(word, '=');
        *sign = '\0';
        pairs[count++] = (struct label){bytes_of(word), bytes_of(sign + 1)};
    }
    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(pairs, count, &arena, &labels), 0);
    taken = route_match(alerting_root(alerting), labels, routes);
    for (size_t i = 0; i < taken; i++) {
        assert_int_equal(route_group_labels(routes[i], labels, &arena, &group), 0);
        buf_printf(&out, "%s%s ", i > 0 ? "; " : "", routes[i]->receiver->name);
        route_group_key(routes[i], group, &out);
    }
    (void)snprintf(result, sizeof result, "%s", buf_text(&out));
    buf_done(&out);
    arena_reset(&arena);
    return result;
}

static void alerts_take_the_routes_that_amtool_says(void **state)
{
    struct alerting *alerting = parse(tree);
    (void)state;
    assert_string_equal(route_of(alerting, "alertname=A"), "root {}:{alertname=\"A\"}");
    assert_string_equal(route_of(alerting, "alertname=A team=db"),
                        "db {}/{team=\"db\"}:{alertname=\"A\"}");
    assert_string_equal(route_of(alerting, "alertname=A severity=critical team=db"),
                        "pager {}/{team=\"db\"}/{severity=\"critical\"}:{alertname=\"A\", "
                        "severity=\"critical\", team=\"db\"}");
    assert_string_equal(route_of(alerting, "alertname=A team=db host=web1"),
                        "db {}/{team=\"db\"}:{alertname=\"A\"}; "
                        "web {}/{host=~\"^(?:web.*)$\"}:{alertname=\"A\"}");
    assert_string_equal(route_of(alerting, "host=web1"), "web {}/{host=~\"^(?:web.*)$\"}:{}");
    assert_int_equal(alerting_root(alerting)->children[0]->group_wait_ms, 1000);
    assert_int_equal(alerting_root(alerting)->group_interval_ms, 300000);
    alerting_free(alerting);
}

static void mistakes_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"route: {receiver: a}\nreceivers: [{name: b}]", "a.yml:1: there is no receiver \"a\""},
        {"route: {recever: a}\nreceivers: [{name: a}]", "did you mean \"receiver\"?"},
        {"route: {receiver: a, group_by: [x, x]}\nreceivers: [{name: a}]", "there twice"},
        {"route: {receiver: a, group_by: ['...', x]}\nreceivers: [{name: a}]", "stand alone"},
        {"route: {receiver: a, matchers: ['x=y']}\nreceivers: [{name: a}]", "no matchers"},
        {"route: {receiver: a, routes: [{matchers: ['x']}]}\nreceivers: [{name: a}]",
         "expected = != =~ or !~"},
        {"route: {receiver: a, routes: [{matchers: ['x=~\"(\"']}]}\nreceivers: [{name: a}]",
         "a.yml:1:"},
        {"receivers: [{name: a}]", "\"route\" is missing"},
        {"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "there twice"},
        {"route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{}]",
         "a.yml:4: webhook_configs: give either url or url_file"},
        {"route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'ftp://x'}]}]",
         "http:// or https://"},
        {"route: {receiver: a}\nreceivers: [{name: a, email_configs: [{to: x@y}]}]", "no from"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: {}", "is a list"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules:\n- {source_match: x}",
         "a.yml:4:"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules:\n- {equals: [x]}",
         "a.yml:4: unknown key \"equals\" in inhibit_rules (did you mean \"equal\"?)"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules:\n"
         "- {target_matchers: ['x=~\"(\"']}",
         "a.yml:4:"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alerts_take_the_routes_that_amtool_says),
        cmocka_unit_test(mistakes_are_named_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
