/*
 * consequences_text.c - the answer of `check consequences`, as people read it.
 */
#include <stdio.h>
#include <string.h>

#include "collector/ctl/check.h"
#include "collector/ctl/explain_text.h"

#define EXAMPLES_MAX 5 /* alerts named on a line; the rest are counted */

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void put_member(const json_t *object, const char *key, struct buf *out)
{
    explain_put_foreign(member(object, key), out);
}

static void begin(const struct ctl *ctl, const char *english, const char *chinese,
                  struct buf *out)
{
    if (out->size > 0)
        buf_put_char(out, '\n');
    buf_printf(out, "%s\n", SAY(ctl, english, chinese));
}

static void put_examples(const struct ctl *ctl, const json_t *alerts, struct buf *out)
{
    size_t i;
    json_t *alert;
    json_array_foreach(alerts, i, alert)
    {
        buf_put_text(out, "      ");
        if (i == EXAMPLES_MAX) {
            buf_printf(out, SAY(ctl, "and %zu more\n", "等共 %zu 条\n"),
                       ctl->chinese ? json_array_size(alerts)
                                    : json_array_size(alerts) - EXAMPLES_MAX);
            return;
        }
        explain_put_labels(json_object_get(alert, "labels"), out);
        if (strcmp(member(alert, "state"), "pending") == 0)
            buf_put_text(out, SAY(ctl, "  (pending)", "（待定）"));
        buf_put_char(out, '\n');
    }
}

static size_t firing_of(const json_t *alerts)
{
    size_t i, count = 0;
    json_t *alert;
    json_array_foreach(alerts, i, alert) count += strcmp(member(alert, "state"), "firing") == 0;
    return count;
}

/* ---- rules ------------------------------------------------------------------------------- */

static void put_rule(const char *sign, const json_t *rule, struct buf *out)
{
    buf_printf(out, "  %s ", sign);
    put_member(rule, "group", out);
    buf_put_text(out, " / ");
    put_member(rule, "name", out);
}

static void put_removed(const struct ctl *ctl, const json_t *rule, struct buf *out)
{
    const json_t *alerts = json_object_get(rule, "alerts");
    const size_t firing = firing_of(alerts), pending = json_array_size(alerts) - firing;

    put_rule("-", rule, out);
    if (json_is_true(json_object_get(rule, "successor")))
        buf_put_text(out, SAY(ctl, " (another rule of this name comes in its place)",
                              "（由同名的另一条规则取代）"));
    if (firing > 0)
        buf_printf(out,
                   SAY(ctl, ": %zu firing alerts END, and are told as resolved",
                       "：%zu 条触发中的告警会结束，并通知恢复"),
                   firing);
    if (pending > 0)
        buf_printf(out, SAY(ctl, "; %zu pending ones are dropped", "；%zu 条待定告警作废"),
                   pending);
    if (firing + pending > 0 && json_is_true(json_object_get(rule, "successor")))
        buf_put_text(out, SAY(ctl, "; they begin anew, with their `for`", "；重新开始计时"));
    buf_put_char(out, '\n');
    put_examples(ctl, alerts, out);
}

static void put_changed(const struct ctl *ctl, const json_t *rule, struct buf *out)
{
    const json_t *alerts = json_object_get(rule, "alerts");
    const json_t *whats = json_object_get(rule, "what");
    bool judges_anew = false;
    size_t i;
    json_t *what;

    put_rule("~", rule, out);
    json_array_foreach(whats, i, what)
    {
        buf_printf(out, "%s%s", i == 0 ? SAY(ctl, ": ", "：") : SAY(ctl, ", ", "、"),
                   json_string_value(what));
        judges_anew = judges_anew || strcmp(json_string_value(what), "expr") == 0;
    }
    if (json_array_size(alerts) > 0 && judges_anew)
        buf_printf(out,
                   SAY(ctl, "; %zu alerts go on if the new expression yields them, else end",
                       "；%zu 条告警由新表达式决定继续还是结束"),
                   json_array_size(alerts));
    else if (json_array_size(alerts) > 0)
        buf_printf(out, SAY(ctl, "; %zu alerts go on", "；%zu 条告警继续"),
                   json_array_size(alerts));
    buf_put_char(out, '\n');
    if (judges_anew)
        put_examples(ctl, alerts, out);
}

static void put_rules(const struct ctl *ctl, const json_t *rules, struct buf *out)
{
    const json_t *added = json_object_get(rules, "added");
    const json_t *removed = json_object_get(rules, "removed");
    const json_t *changed = json_object_get(rules, "changed");
    size_t i;
    json_t *rule;

    if (json_array_size(added) + json_array_size(removed) + json_array_size(changed) == 0)
        return;
    begin(ctl, "Rules", "规则", out);
    json_array_foreach(added, i, rule)
    {
        put_rule("+", rule, out);
        buf_put_char(out, '\n');
    }
    json_array_foreach(removed, i, rule) put_removed(ctl, rule, out);
    json_array_foreach(changed, i, rule) put_changed(ctl, rule, out);
}

/* ---- routes and receivers ---------------------------------------------------------------- */

static void put_names(const struct ctl *ctl, const json_t *names, struct buf *out)
{
    size_t i;
    json_t *name;
    if (json_array_size(names) == 0)
        buf_put_text(out, SAY(ctl, "nobody", "无人"));
    json_array_foreach(names, i, name)
    {
        buf_put_text(out, i > 0 ? "," : "");
        explain_put_foreign(json_string_value(name), out);
    }
}

static void put_routes(const struct ctl *ctl, const json_t *routes, struct buf *out)
{
    size_t i;
    json_t *row;
    if (json_array_size(routes) > 0)
        begin(ctl, "Routes of the alerts there are", "现有告警的路由", out);
    json_array_foreach(routes, i, row)
    {
        const json_t *alerts = json_object_get(row, "alerts");
        const json_t *anew = json_object_get(row, "regrouped");
        buf_put_text(out, "  ~ ");
        put_names(ctl, json_object_get(row, "before"), out);
        buf_put_text(out, " → ");
        put_names(ctl, json_object_get(row, "after"), out);
        buf_printf(out, SAY(ctl, ": %zu alerts", "：%zu 条告警"), json_array_size(alerts));
        if (json_array_size(anew) > 0) {
            buf_put_text(
                out, SAY(ctl, "; told AGAIN, in another group: ", "；分组改变，会再次通知："));
            put_names(ctl, anew, out);
        }
        buf_put_char(out, '\n');
        put_examples(ctl, alerts, out);
    }
}

static void put_ways(const struct ctl *ctl, const char *sign, const json_t *ways,
                     struct buf *out)
{
    size_t i;
    json_t *way;
    json_array_foreach(ways, i, way)
    {
        const json_int_t owed = json_integer_value(json_object_get(way, "owed"));
        const json_int_t index = json_integer_value(json_object_get(way, "index"));
        buf_printf(out, "  %s ", sign);
        put_member(way, "receiver", out);
        if (*member(way, "channel") != '\0') {
            buf_put_char(out, ' ');
            put_member(way, "channel", out);
            if (index > 0)
                buf_printf(out, " %d", (int)index + 1);
        } else {
            buf_put_text(out, SAY(ctl, " (no channel)", "（没有渠道）"));
        }
        if (owed > 0)
            buf_printf(out,
                       SAY(ctl, ": %d messages still owed to it are GIVEN UP",
                           "：还有 %d 条未送达的通知，会被放弃"),
                       (int)owed);
        buf_put_char(out, '\n');
    }
}

static void put_receivers(const struct ctl *ctl, const json_t *receivers, struct buf *out)
{
    const json_t *added = json_object_get(receivers, "added");
    const json_t *removed = json_object_get(receivers, "removed");
    if (json_array_size(added) + json_array_size(removed) == 0)
        return;
    begin(ctl, "Receivers", "接收人", out);
    put_ways(ctl, "+", added, out);
    put_ways(ctl, "-", removed, out);
}

static void put_silences(const struct ctl *ctl, const json_t *silences, struct buf *out)
{
    size_t i, j;
    json_t *silence, *matcher;
    if (json_array_size(silences) > 0)
        begin(ctl, "Silences that no rule can meet any more", "不会再匹配任何规则的静默", out);
    json_array_foreach(silences, i, silence)
    {
        buf_put_text(out, "  - ");
        put_member(silence, "id", out);
        json_array_foreach(json_object_get(silence, "matchers"), j, matcher)
        {
            buf_put_char(out, ' ');
            explain_put_foreign(json_string_value(matcher), out);
        }
        buf_put_text(out, "  ");
        put_member(silence, "createdBy", out);
        buf_put_text(out, SAY(ctl, ": ", "："));
        put_member(silence, "comment", out);
        buf_put_char(out, '\n');
    }
}

void check_put_consequences(const struct ctl *ctl, const json_t *consequences, struct buf *out)
{
    put_rules(ctl, json_object_get(consequences, "rules"), out);
    put_routes(ctl, json_object_get(consequences, "routes"), out);
    put_receivers(ctl, json_object_get(consequences, "receivers"), out);
    put_silences(ctl, json_object_get(consequences, "silences"), out);
    if (out->size == 0)
        buf_printf(out, "%s\n",
                   SAY(ctl, "no consequences for rules, alerts, routes, receivers and silences",
                       "对规则、告警、路由、接收人和静默没有影响"));
}
