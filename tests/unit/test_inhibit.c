/*
 * test_inhibit.c - which alert makes which others needless; cases after Alertmanager's
 * inhibit_test.go, and ten thousand alerts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/group.h"
#include "collector/notify/inhibit.h"
#include "proto/base/error.h"

struct world {
    struct alerting *alerting;
    struct groups groups;
    struct inhibition inhibition;
};

static struct world *open_world(const char *rules)
{
    struct world *world = calloc(1, sizeof *world);
    const struct inhibit_rule *read;
    struct diagnosis why = {0};
    struct buf text = {0};
    size_t count;

    buf_printf(&text, "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: %s\n",
               rules);
    if (alerting_parse("a.yml", buf_bytes(&text), NULL, &world->alerting, &why) != 0)
        fail_msg("%s: %s", rules, why.text);
    buf_done(&text);
    read = alerting_inhibit_rules(world->alerting, &count);
    inhibition_set_rules(&world->inhibition, read, count);
    return world;
}

static void close_world(struct world *world)
{
    groups_free(&world->groups);
    inhibition_done(&world->inhibition);
    alerting_free(world->alerting);
    free(world);
}

/* Labels of "a=b c=d"; labels_free(). */
static const struct labels *labels_of(const char *text)
{
    char copy[256], *rest = copy, *word;
    struct label pairs[8];
    const struct labels *labels;
    size_t count = 0;

    (void)snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        char *sign = strchr(word, '=');
        *sign = '\0';
        pairs[count++] = (struct label){bytes_of(word), bytes_of(sign + 1)};
    }
    assert_int_equal(labels_build(pairs, count, NULL, &labels), 0);
    return labels;
}

static void tell(struct world *world, const char *text, bool firing)
{
    const struct labels *labels = labels_of(text), *none;
    assert_int_equal(labels_build(NULL, 0, NULL, &none), 0);
    const struct alert alert = {.labels = labels,
                                .annotations = none,
                                .starts_ms = 1,
                                .firing = firing,
                                .generator_url = "",
                                .fingerprint = labels_fingerprint(labels)};
    assert_int_equal(
        groups_take_alert(&world->groups, alerting_root(world->alerting), &alert, 1000, 0), 0);
    labels_free(labels);
    labels_free(none);
}

/* The name of the alert that inhibits one that is tracked or not; "" if none does. */
static const char *inhibitor(struct world *world, const char *text)
{
    static char name[64];
    const struct labels *labels = labels_of(text);
    struct tracked *own = groups_find_alert(&world->groups, labels), *by;
    uint64_t fingerprint = 1;

    assert_int_equal(inhibition_refresh(&world->inhibition, &world->groups), 0);
    name[0] = '\0';
    for (int again = 0; again < 2; again++) { /* the second answer is the one that was kept */
        if (!inhibition_holds(&world->inhibition, labels, own == NULL ? NULL : &own->inhibited,
                              &fingerprint))
            continue;
        by = groups_find_fingerprint(&world->groups, fingerprint);
        assert_non_null(by);
        struct bytes value = labels_get(by->alert->labels, bytes_of("alertname"));
        (void)snprintf(name, sizeof name, "%.*s", (int)value.size, (const char *)value.data);
    }
    labels_free(labels);
    return name;
}

#define PAIR "[{source_matchers: ['s=1'], target_matchers: ['t=1'], equal: [e]}]"
#define OLD  "[{source_match: {s: 1}, target_match_re: {t: '1|2'}, equal: [e, f]}]"

static const struct {
    const char *because, *rules, *firing[4], *target, *by;
} inhibitions[] = {
    {"the plain case", PAIR, {"alertname=S s=1 e=x"}, "alertname=T t=1 e=x", "S"},
    {"another value", PAIR, {"alertname=S s=1 e=x"}, "alertname=T t=1 e=y", ""},
    {"the source has no such label", PAIR, {"alertname=S s=1"}, "alertname=T t=1 e=y", ""},
    {"neither has the label", PAIR, {"alertname=S s=1"}, "alertname=T t=1", "S"},
    {"it is no target", PAIR, {"alertname=S s=1 e=x"}, "alertname=T t=2 e=x", ""},
    {"it is no source", PAIR, {"alertname=S s=2 e=x"}, "alertname=T t=1 e=x", ""},
    {"nothing inhibits itself",
     PAIR,
     {"alertname=B s=1 t=1 e=x"},
     "alertname=B s=1 t=1 e=x",
     ""},
    {"two that are both do not inhibit each other",
     PAIR,
     {"alertname=B s=1 t=1 e=x", "alertname=C s=1 t=1 e=x"},
     "alertname=B s=1 t=1 e=x",
     ""},
    {"one that is both inhibits a plain target",
     PAIR,
     {"alertname=B s=1 t=1 e=x"},
     "alertname=T t=1 e=x",
     "B"},
    {"a plain source inhibits one that is both",
     PAIR,
     {"alertname=B s=1 t=1 e=x", "alertname=S s=1 e=x"},
     "alertname=B s=1 t=1 e=x",
     "S"},
    {"values are not run together",
     OLD,
     {"alertname=S s=1 e=xy f=z"},
     "alertname=T t=1 e=x f=yz",
     ""},
    {"the older keys", OLD, {"alertname=S s=1 e=x f=y"}, "alertname=T t=2 e=x f=y", "S"},
    {"an old pattern is anchored", OLD, {"alertname=S s=1"}, "alertname=T t=12", ""},
    {"one label of two differs",
     OLD,
     {"alertname=S s=1 e=x f=y"},
     "alertname=T t=1 e=x f=z",
     ""},
    {"without equal anything will do",
     "[{source_matchers: ['s=1'], target_matchers: [t=1]}]",
     {"alertname=S s=1 e=x"},
     "alertname=T t=1 e=y",
     "S"},
    {"an empty rule inhibits nothing", "[{}]", {"alertname=S s=1"}, "alertname=T t=1", ""},
    {"the second rule",
     "[{source_matchers: ['s=9'], target_matchers: ['t=1']}, "
     "{source_matchers: ['s=1'], target_matchers: ['t=1']}]",
     {"alertname=S s=1"},
     "alertname=T t=1",
     "S"},
    {"a source may be inhibited itself",
     "[{source_matchers: ['s=1'], target_matchers: ['s=2']}, "
     "{source_matchers: ['s=2'], target_matchers: ['s=3']}]",
     {"alertname=A s=1", "alertname=B s=2"},
     "alertname=C s=3",
     "B"},
    {"negative matchers",
     "[{source_matchers: ['s!=1'], target_matchers: ['t!~\"1|2\"', "
     "'s=\"1\"'], equal: [e]}]",
     {"alertname=S e=x"},
     "alertname=T s=1 t=3 e=x",
     "S"},
};

static void a_target_is_inhibited_by_a_source_with_the_same_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inhibitions / sizeof inhibitions[0]; i++)
        for (int tracked = 0; tracked < 2; tracked++) {
            struct world *world = open_world(inhibitions[i].rules);
            for (size_t j = 0; j < 4 && inhibitions[i].firing[j] != NULL; j++)
                tell(world, inhibitions[i].firing[j], true);
            if (tracked == 1)
                tell(world, inhibitions[i].target, true);
            if (strcmp(inhibitor(world, inhibitions[i].target), inhibitions[i].by) != 0)
                fail_msg("%s (tracked: %d): %s", inhibitions[i].because, tracked,
                         inhibitor(world, inhibitions[i].target));
            close_world(world);
        }
}

static void it_is_inhibited_as_long_as_a_source_fires(void **state)
{
    struct world *world = open_world(PAIR);
    (void)state;
    tell(world, "alertname=T t=1 e=x", true);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "");
    tell(world, "alertname=S s=1 e=x", true);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "S");
    tell(world, "alertname=S s=1 e=x", true); /* heard again */
    tell(world, "alertname=R s=1 e=x", true);
    tell(world, "alertname=S s=1 e=x", false);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "R");
    tell(world, "alertname=R s=1 e=x", false);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "");
    tell(world, "alertname=S s=1 e=x", true);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "S");
    close_world(world);
}

static void other_rules_are_in_force_at_once(void **state)
{
    struct world *world = open_world(PAIR), *other = open_world("[]");
    size_t count;
    (void)state;
    tell(world, "alertname=S s=1 e=x", true);
    tell(world, "alertname=T t=1 e=x", true);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "S");
    const struct inhibit_rule *rules = alerting_inhibit_rules(other->alerting, &count);
    inhibition_set_rules(&world->inhibition, rules, count);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "");
    rules = alerting_inhibit_rules(world->alerting, &count);
    inhibition_set_rules(&world->inhibition, rules, count);
    assert_string_equal(inhibitor(world, "alertname=T t=1 e=x"), "S");
    close_world(world);
    close_world(other);
}

/* All are both sides of the first rule and have one value: the case in which comparing
 * everything with everything would take 10^8 steps.  It takes a few milliseconds. */
static void ten_thousand_alerts_are_no_burden(void **state)
{
    enum { COUNT = 10000 };
    struct world *world =
        open_world("[{source_matchers: ['n=~\".+\"'], target_matchers: ['n=~\".+\"'], equal: "
                   "[e]}, {source_matchers: ['s=1'], target_matchers: ['n=~\".+\"'], equal: "
                   "[host]}]");
    char text[64];
    size_t inhibited = 0;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "alertname=N n=%d host=h%d", i, i / 10);
        tell(world, text, true);
    }
    for (int i = 0; i < COUNT / 20; i++) {
        (void)snprintf(text, sizeof text, "alertname=S s=1 host=h%d", i);
        tell(world, text, true);
    }
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "alertname=N n=%d host=h%d", i, i / 10);
        inhibited += strcmp(inhibitor(world, text), "S") == 0;
    }
    assert_int_equal(inhibited, COUNT / 2);
    close_world(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_inhibited_by_a_source_with_the_same_values),
        cmocka_unit_test(it_is_inhibited_as_long_as_a_source_fires),
        cmocka_unit_test(other_rules_are_in_force_at_once),
        cmocka_unit_test(ten_thousand_alerts_are_no_burden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
