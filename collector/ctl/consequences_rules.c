/*
 * consequences_rules.c - rules that come, go and change, and what becomes of their alerts;
 * which silences no rule can meet any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/consequences.h"
#include "proto/base/buf.h"

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static bool is_alerting(const json_t *rule)
{
    return strcmp(member(rule, "type"), "alerting") == 0;
}

/* ---- which rule is which ----------------------------------------------------------------- */

/* A running rule, and whether an offered one is it. */
struct running_rule {
    const json_t *group, *rule;
    bool is_taken;
};

struct running_rules {
    struct running_rule *items;
    size_t count;
};

static bool read_running(const json_t *running, struct running_rules *ret_rules)
{
    const json_t *groups = json_object_get(running, "groups");
    struct running_rules rules = {0};
    size_t i, j, most = 0;
    json_t *group, *rule;

    json_array_foreach(groups, i, group) most +=
        json_array_size(json_object_get(group, "rules"));
    rules.items = calloc(most + 1, sizeof *rules.items);
    if (rules.items == NULL)
        return false;
    json_array_foreach(groups, i,
                       group){json_array_foreach(json_object_get(group, "rules"), j, rule){
        rules.items[rules.count++] = (struct running_rule){group, rule, false};
}
}
*ret_rules = rules;
return true;
}

static bool same_texts(const json_t *object, const struct rule_text *texts, size_t count)
{
    if (json_object_size(object) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_object_get(object, texts[i].name));
        if (text == NULL || strcmp(text, texts[i].text) != 0)
            return false;
    }
    return true;
}

static bool is_same(const struct running_rule *running, const struct rule *rule)
{
    return strcmp(member(running->group, "name"), rule->group->name) == 0 &&
           is_alerting(running->rule) == rule->is_alert &&
           strcmp(member(running->rule, "name"), rule->name) == 0 &&
           same_texts(json_object_get(running->rule, "labels"), rule->labels,
                      rule->label_count);
}

/* The first that is the same and not taken: several alike are told apart by their order. */
static struct running_rule *find_running(const struct running_rules *rules,
                                         const struct rule *rule)
{
    for (size_t i = 0; i < rules->count; i++)
        if (!rules->items[i].is_taken && is_same(&rules->items[i], rule))
            return &rules->items[i];
    return NULL;
}

/* ---- what differs ------------------------------------------------------------------------ */

static bool same_seconds(const json_t *object, const char *key, int64_t ms)
{
    const double seconds = json_number_value(json_object_get(object, key));
    return (int64_t)(seconds * 1000 + 0.5) == ms;
}

static json_t *what_differs(const struct running_rule *running, const struct rule *rule)
{
    const json_t *old = running->rule;
    json_t *what = json_array();

    if (strcmp(member(old, "query"), rule->expression_text) != 0)
        json_array_append_new(what, json_string("expr"));
    if (rule->is_alert && !same_seconds(old, "duration", rule->for_ms))
        json_array_append_new(what, json_string("for"));
    if (rule->is_alert && !same_seconds(old, "keepFiringFor", rule->keep_firing_for_ms))
        json_array_append_new(what, json_string("keep_firing_for"));
    if (rule->is_alert && !same_texts(json_object_get(old, "annotations"), rule->annotations,
                                      rule->annotation_count))
        json_array_append_new(what, json_string("annotations"));
    if (!same_seconds(running->group, "interval", rule->group->interval_ms))
        json_array_append_new(what, json_string("interval"));
    if (json_integer_value(json_object_get(running->group, "limit")) !=
        (json_int_t)rule->group->limit)
        json_array_append_new(what, json_string("limit"));
    return what;
}

static json_t *row_of(const char *group, const char *name, bool is_alert)
{
    return json_pack("{s:s, s:s, s:s}", "group", group, "name", name, "type",
                     is_alert ? "alerting" : "recording");
}

static void add_alerts(json_t *row, const json_t *rule)
{
    json_t *list = json_array(), *alert;
    size_t i;
    json_array_foreach(json_object_get(rule, "alerts"), i, alert)
    {
        json_array_append_new(list, json_pack("{s:O, s:s}", "labels",
                                              json_object_get(alert, "labels"), "state",
                                              member(alert, "state")));
    }
    json_object_set_new(row, "alerts", list);
}

/* Is there an offered alert of this name whose labels differ? */
static bool has_successor(const struct running_rule *running, const json_t *added)
{
    size_t i;
    json_t *row;
    json_array_foreach(added, i, row)
    {
        if (is_alerting(row) == is_alerting(running->rule) &&
            strcmp(member(row, "name"), member(running->rule, "name")) == 0)
            return true;
    }
    return false;
}

json_t *consequences_of_rules(const json_t *running, const struct rule_set *offered)
{
    json_t *added = json_array(), *removed = json_array(), *changed = json_array();
    struct running_rules rules;

    if (!read_running(running, &rules))
        return NULL;
    for (size_t i = 0; i < offered->rule_count; i++) {
        const struct rule *rule = offered->rules[i];
        struct running_rule *old = find_running(&rules, rule);
        json_t *row = row_of(rule->group->name, rule->name, rule->is_alert), *what;
        if (old == NULL) {
            json_array_append_new(added, row);
            continue;
        }
        old->is_taken = true;
        what = what_differs(old, rule);
        if (json_array_size(what) == 0) {
            json_decref(row);
            json_decref(what);
            continue;
        }
        json_object_set_new(row, "what", what);
        add_alerts(row, old->rule);
        json_array_append_new(changed, row);
    }
    for (size_t i = 0; i < rules.count; i++) {
        const struct running_rule *old = &rules.items[i];
        json_t *row;
        if (old->is_taken)
            continue;
        row = row_of(member(old->group, "name"), member(old->rule, "name"),
                     is_alerting(old->rule));
        json_object_set_new(row, "successor", json_boolean(has_successor(old, added)));
        add_alerts(row, old->rule);
        json_array_append_new(removed, row);
    }
    free(rules.items);
    return json_pack("{s:o, s:o, s:o}", "added", added, "removed", removed, "changed", changed);
}

/* ---- silences ---------------------------------------------------------------------------- */

struct matchers {
    struct matcher **items;
    size_t count;
};

static void matchers_done(struct matchers *matchers)
{
    for (size_t i = 0; i < matchers->count; i++)
        matcher_free(matchers->items[i]);
    free(matchers->items);
}

static enum matcher_kind kind_of(const json_t *matcher)
{
    const json_t *equal = json_object_get(matcher, "isEqual");
    const bool is_equal = equal == NULL || json_is_true(equal);
    if (json_is_true(json_object_get(matcher, "isRegex")))
        return is_equal ? MATCH_REGEX : MATCH_NOT_REGEX;
    return is_equal ? MATCH_EQUAL : MATCH_NOT_EQUAL;
}

static bool read_matchers(const json_t *silence, struct matchers *ret_matchers)
{
    struct matchers matchers = {0};
    struct diagnosis why = {0};
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(silence, "matchers"), i, one)
    {
        if (route_matcher_add(kind_of(one), bytes_of(member(one, "name")),
                              bytes_of(member(one, "value")), &matchers.items, &matchers.count,
                              &why) != 0) {
            matchers_done(&matchers);
            return false;
        }
    }
    *ret_matchers = matchers;
    return true;
}

/* Could an alert with this label meet the matcher?  NULL: its expression says what it is, or a
 * template does. */
static bool may_meet(const struct matcher *matcher, const char *value)
{
    return value == NULL || strstr(value, "{{") != NULL ||
           matcher_matches(matcher, bytes_of(value), NULL);
}

static bool offered_may_meet(const struct matchers *matchers, const struct rule_set *offered)
{
    for (size_t i = 0; i < offered->rule_count; i++) {
        const struct rule *rule = offered->rules[i];
        bool may = rule->is_alert;
        for (size_t j = 0; may && j < matchers->count; j++) {
            const struct matcher *matcher = matchers->items[j];
            const char *value =
                bytes_equal(matcher->name, bytes_of("alertname")) ? rule->name : NULL;
            for (size_t k = 0; value == NULL && k < rule->label_count; k++)
                if (bytes_equal(matcher->name, bytes_of(rule->labels[k].name)))
                    value = rule->labels[k].text;
            may = may_meet(matcher, value);
        }
        if (may)
            return true;
    }
    return false;
}

static bool running_may_meet(const struct matchers *matchers, const json_t *running)
{
    size_t i, j;
    json_t *group, *rule;
    json_array_foreach(json_object_get(running, "groups"), i, group)
    {
        json_array_foreach(json_object_get(group, "rules"), j, rule)
        {
            bool may = is_alerting(rule);
            for (size_t k = 0; may && k < matchers->count; k++) {
                const char *name = (const char *)matchers->items[k]->name.data;
                const char *value = strcmp(name, "alertname") == 0
                                        ? member(rule, "name")
                                        : json_string_value(json_object_get(
                                              json_object_get(rule, "labels"), name));
                may = may_meet(matchers->items[k], value);
            }
            if (may)
                return true;
        }
    }
    return false;
}

/* An alert that somebody else posts, which no rule of ours makes. */
static bool posted_meets(const struct matchers *matchers, const json_t *alerts)
{
    size_t i;
    json_t *alert;
    json_array_foreach(alerts, i, alert)
    {
        bool holds = *member(alert, "value") == '\0'; /* rules have one */
        for (size_t j = 0; holds && j < matchers->count; j++)
            holds =
                matcher_matches(matchers->items[j],
                                bytes_of(member(json_object_get(alert, "labels"),
                                                (const char *)matchers->items[j]->name.data)),
                                NULL);
        if (holds)
            return true;
    }
    return false;
}

static json_t *silence_row(const json_t *silence, const struct matchers *matchers)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < matchers->count; i++) {
        struct buf text = {0};
        route_put_matcher(&text, matchers->items[i]);
        json_array_append_new(texts, json_string(buf_text(&text)));
        buf_done(&text);
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "id", member(silence, "id"), "createdBy",
                     member(silence, "createdBy"), "comment", member(silence, "comment"),
                     "matchers", texts);
}

json_t *consequences_of_silences(const json_t *silences, const json_t *running,
                                 const struct rule_set *offered, const json_t *alerts)
{
    json_t *rows = json_array(), *silence;
    size_t i;

    json_array_foreach(silences, i, silence)
    {
        const char *state = member(json_object_get(silence, "status"), "state");
        struct matchers matchers;
        if (strcmp(state, "expired") == 0 || !read_matchers(silence, &matchers))
            continue;
        if (running_may_meet(&matchers, running) && !offered_may_meet(&matchers, offered) &&
            !posted_meets(&matchers, alerts))
            json_array_append_new(rows, silence_row(silence, &matchers));
        matchers_done(&matchers);
    }
    return rows;
}
