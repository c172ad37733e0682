/*
 * print.c - rules and plans as JSON, for people.
 */
#include <jansson.h>
#include <stdlib.h>

#include "collector/policy/policy_parts.h"
#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

static int print(json_t *json, struct buf *out)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return ERR_NOMEM;
    buf_put_text(out, text);
    free(text);
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

static json_t *duration_json(int64_t ms)
{
    char text[DURATION_TEXT_BYTES];
    return json_string(duration_format(ms, text));
}

static json_t *during_json(const struct policy_rule *rule)
{
    json_t *names = json_array();
    for (size_t i = 0; i < rule->during_count; i++)
        (void)json_array_append_new(names, json_string(rule->during[i]->name));
    return names;
}

/* The parts of a rule as texts: "interval=1s", "cpu.interval=1s", "logs+=/app/x.log". */
static json_t *asks_json(const struct policy_rule *rule)
{
    char text[DURATION_TEXT_BYTES];
    json_t *asks = json_array();
    if (rule->interval_ms != 0)
        (void)json_array_append_new(
            asks, json_sprintf("interval=%s", duration_format(rule->interval_ms, text)));
    for (size_t i = 0; i < rule->wish_count; i++) {
        const struct policy_wish *wish = &rule->wishes[i];
        if (wish->has_switch)
            (void)json_array_append_new(
                asks, json_sprintf("%s=%s", wish->source, wish->is_on ? "on" : "off"));
        for (size_t k = 0; k < wish->option_count; k++)
            (void)json_array_append_new(
                asks, json_sprintf("%s.%s", wish->source, wish->options[k]->key));
        if (wish->interval_ms != 0)
            (void)json_array_append_new(asks,
                                        json_sprintf("%s.interval=%s", wish->source,
                                                     duration_format(wish->interval_ms, text)));
    }
    for (size_t i = 0; i < rule->log_count; i++)
        (void)json_array_append_new(
            asks, json_sprintf("logs%s=%s", policy_log_is_taken_back(rule->logs[i]) ? "-" : "+",
                               policy_log_path(rule->logs[i])));
    return asks;
}

static json_t *periods_json(const struct policy *policy, int64_t at_ms)
{
    json_t *periods = json_array();
    for (size_t i = 0; i < policy->period_count; i++) {
        const struct policy_period *period = &policy->periods[i];
        int64_t next_ms = policy_period_next(period, &policy->zone, at_ms);
        bool holds = policy_period_holds(period, &policy->zone, at_ms);
        /* Borders at which nothing changes are passed over, a year ahead at most. */
        for (int turn = 0; turn < 2000 && next_ms != INT64_MAX &&
                           policy_period_holds(period, &policy->zone, next_ms) == holds;
             turn++)
            next_ms = policy_period_next(period, &policy->zone, next_ms);
        (void)json_array_append_new(
            periods, json_pack("{s:s, s:i, s:b, s:I}", "name", period->name, "line",
                               (int)period->line, "inForce", holds, "changesMs",
                               (json_int_t)(next_ms == INT64_MAX ? 0 : next_ms)));
    }
    return periods;
}

int policy_print_rules_json(const struct policy *policy, int64_t at_ms, const uint64_t *hosts,
                            struct buf *out)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        json_t *row = json_pack(
            "{s:s, s:i, s:s, s:o, s:b, s:o}", "name", rule->name, "line", (int)rule->line,
            "match", rule->match_text, "during", during_json(rule), "inForce",
            policy_rule_is_in_force(policy, rule, at_ms), "asks", asks_json(rule));
        if (hosts != NULL)
            (void)json_object_set_new(row, "hosts", json_integer((json_int_t)hosts[i]));
        (void)json_array_append_new(rules, row);
    }
    return print(json_pack("{s:s, s:s, s:I, s:o, s:o}", "file", policy_name(policy), "timeZone",
                           policy->zone.name, "timeMs", (json_int_t)at_ms, "periods",
                           periods_json(policy, at_ms), "rules", rules),
                 out);
}

static json_t *part_json(const struct policy_item *item)
{
    switch (item->kind) {
    case POLICY_INTERVAL:
        return json_string("interval");
    case POLICY_LOG:
        return json_sprintf("logs.%s", item->subject);
    case POLICY_SOURCE_OPTION:
        return json_sprintf("sources.%s.%s", item->subject, item->node->key);
    case POLICY_SOURCE_INTERVAL:
    case POLICY_SOURCE_SWITCH:
        break;
    }
    return json_sprintf("sources.%s", item->subject);
}

/* An option's value on one line. */
static json_t *option_json(const struct config_node *node)
{
    struct buf text = {0};
    if (node->kind == CONFIG_SCALAR)
        return json_string(node->text);
    config_print(node, &text);
    json_t *json = json_string(buf_text(&text));
    buf_done(&text);
    return json;
}

static json_t *value_json(const struct policy_item *item)
{
    if (item->kind == POLICY_SOURCE_SWITCH)
        return json_string(item->is_on ? "on" : "off");
    if (item->kind == POLICY_SOURCE_OPTION)
        return option_json(item->node);
    return item->kind == POLICY_LOG ? json_string("tail") : duration_json(item->interval_ms);
}

int policy_print_plan_json(const struct policy_plan *plan, struct buf *out)
{
    json_t *items = json_array();
    for (size_t i = 0; i < plan->count; i++) {
        const struct policy_item *item = &plan->items[i];
        (void)json_array_append_new(
            items, json_pack("{s:o, s:o, s:s, s:i, s:o}", "part", part_json(item), "value",
                             value_json(item), "rule", item->rule->name, "line",
                             (int)item->line, "during", during_json(item->rule)));
    }
    return print(items, out);
}
