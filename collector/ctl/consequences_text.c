/*
 * consequences_text.c - the answer of `check consequences`, as people read it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/check.h"
#include "collector/ctl/explain_text.h"
#include "proto/base/civil.h"

#define EXAMPLES_MAX  5  /* alerts named on a line; the rest are counted */
#define STRETCHES_MAX 20 /* of one roster */

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

/* Whether the i-th is told; instead of the first too many comes how many there are. */
static bool begin_example(const struct ctl *ctl, const json_t *alerts, size_t i, struct buf *out)
{
    buf_put_text(out, "      ");
    if (i < EXAMPLES_MAX)
        return true;
    buf_printf(out, SAY(ctl, "and %zu more\n", "等共 %zu 条\n"),
               ctl->chinese ? json_array_size(alerts) : json_array_size(alerts) - EXAMPLES_MAX);
    return false;
}

static void put_examples(const struct ctl *ctl, const json_t *alerts, struct buf *out)
{
    size_t i;
    json_t *alert;
    json_array_foreach(alerts, i, alert)
    {
        if (!begin_example(ctl, alerts, i, out))
            return;
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

/* ---- who is told when -------------------------------------------------------------------- */

static const char *local(int64_t ms, int64_t offset_ms, char text[CIVIL_TEXT_BYTES])
{
    return civil_print_moment(ms + offset_ms, text);
}

/* "11-27 02:07" of here, or a stretch of such. */
static void put_stretch(const json_t *alert, struct buf *out)
{
    const int64_t times[] = {json_integer_value(json_object_get(alert, "firstMs")),
                             json_integer_value(json_object_get(alert, "lastMs"))};
    for (int i = 0; i < (times[0] == times[1] ? 1 : 2); i++) {
        char text[32];
        const time_t seconds = (time_t)(times[i] / 1000);
        struct tm tm;
        if (localtime_r(&seconds, &tm) == NULL ||
            strftime(text, sizeof text, "%m-%d %H:%M", &tm) == 0)
            text[0] = '\0';
        buf_printf(out, "%s%s", i > 0 ? " – " : "", text);
    }
}

static void put_muted_alerts(const struct ctl *ctl, const json_t *alerts, struct buf *out)
{
    size_t i;
    json_t *alert;
    json_array_foreach(alerts, i, alert)
    {
        if (!begin_example(ctl, alerts, i, out))
            return;
        explain_put_labels(json_object_get(alert, "labels"), out);
        buf_put_text(out, "  ");
        put_stretch(alert, out);
        if (strcmp(member(alert, "state"), "firing") == 0)
            buf_put_text(out, SAY(ctl, " (firing now)", "（正在触发）"));
        buf_put_char(out, '\n');
    }
}

static const char *becomes(const struct ctl *ctl, const json_t *row)
{
    const bool told = strcmp(member(row, "becomes"), "told") == 0;
    if (strcmp(member(row, "by"), "inhibition") == 0)
        return told ? SAY(ctl, "no longer inhibited", "不再被抑制")
                    : SAY(ctl, "INHIBITED", "会被抑制，不再通知");
    return told ? SAY(ctl, "no longer muted by the time", "时段上不再静音")
                : SAY(ctl, "MUTED by the time", "时段上会静音，不再通知");
}

static void put_muting(const struct ctl *ctl, const json_t *muting, struct buf *out)
{
    size_t i;
    json_t *row;
    if (json_array_size(muting) > 0)
        begin(ctl, "Alerts of now and of the last 7 days that would be told, or not",
              "现在和最近 7 天的告警中，通知与否会改变的", out);
    json_array_foreach(muting, i, row)
    {
        const json_t *alerts = json_object_get(row, "alerts");
        buf_put_text(out, "  ~ ");
        put_member(row, "receiver", out);
        buf_printf(out, SAY(ctl, ": %zu alerts %s\n", "：%zu 条告警%s\n"),
                   json_array_size(alerts), becomes(ctl, row));
        put_muted_alerts(ctl, alerts, out);
    }
}

static void put_duration(int64_t ms, struct buf *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    const size_t before = out->size;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms >= units[i].ms)
            buf_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
        ms %= units[i].ms;
    }
    if (out->size == before)
        buf_put_text(out, "0s");
}

/* "30s/5m/4h", of each route. */
static void put_timer_list(const json_t *list, struct buf *out)
{
    static const char *const keys[] = {"groupWaitMs", "groupIntervalMs", "repeatIntervalMs"};
    size_t i;
    json_t *timers;
    json_array_foreach(list, i, timers)
    {
        buf_put_text(out, i > 0 ? ", " : "");
        for (int k = 0; k < 3; k++) {
            buf_put_text(out, k > 0 ? "/" : "");
            put_duration(json_integer_value(json_object_get(timers, keys[k])), out);
        }
    }
}

static void put_timers(const struct ctl *ctl, const json_t *timers, struct buf *out)
{
    size_t i;
    json_t *row;
    if (json_array_size(timers) > 0)
        begin(ctl, "Told at other times (group_wait/group_interval/repeat_interval)",
              "通知时间改变（group_wait/group_interval/repeat_interval）", out);
    json_array_foreach(timers, i, row)
    {
        const json_t *alerts = json_object_get(row, "alerts");
        buf_put_text(out, "  ~ ");
        put_member(row, "receiver", out);
        buf_put_text(out, SAY(ctl, ": ", "："));
        put_timer_list(json_object_get(row, "before"), out);
        buf_put_text(out, " → ");
        put_timer_list(json_object_get(row, "after"), out);
        buf_printf(out,
                   SAY(ctl, "; %zu alerts of now and of the last 7 days\n",
                       "；涉及现在和最近 7 天的告警 %zu 条\n"),
                   json_array_size(alerts));
        put_examples(ctl, alerts, out);
    }
}

static void put_texts(const char *sign, const json_t *texts, struct buf *out)
{
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text)
    {
        buf_printf(out, "  %s ", sign);
        explain_put_foreign(json_string_value(text), out);
        buf_put_char(out, '\n');
    }
}

static void put_set(const struct ctl *ctl, const char *english, const char *chinese,
                    const json_t *set, struct buf *out)
{
    const json_t *added = json_object_get(set, "added");
    const json_t *removed = json_object_get(set, "removed");
    const json_t *changed = json_object_get(set, "changed");
    if (json_array_size(added) + json_array_size(removed) + json_array_size(changed) == 0)
        return;
    begin(ctl, english, chinese, out);
    put_texts("+", added, out);
    put_texts("-", removed, out);
    put_texts("~", changed, out);
}

static void put_persons(const struct ctl *ctl, const json_t *persons, struct buf *out)
{
    size_t i;
    json_t *person;
    if (json_array_size(persons) == 0)
        buf_put_text(out, SAY(ctl, "nobody", "无人"));
    json_array_foreach(persons, i, person)
    {
        buf_put_text(out, i > 0 ? SAY(ctl, ", ", "、") : "");
        put_member(person, "name", out);
        buf_put_text(out, SAY(ctl, " (", "（"));
        put_member(person, "id", out);
        buf_put_text(out, SAY(ctl, ")", "）"));
    }
}

static void put_duty(const struct ctl *ctl, const json_t *duty, struct buf *out)
{
    size_t i, told = 0;
    json_t *row;
    const char *roster = "";
    if (json_array_size(duty) > 0)
        begin(ctl, "On duty in the next 30 days", "未来 30 天的值班", out);
    json_array_foreach(duty, i, row)
    {
        const int64_t offset_ms = json_integer_value(json_object_get(row, "offsetMs"));
        char from[CIVIL_TEXT_BYTES], to[CIVIL_TEXT_BYTES];
        if (strcmp(roster, member(row, "roster")) != 0) {
            roster = member(row, "roster");
            told = 0;
            buf_put_text(out, strcmp(member(row, "becomes"), "added") == 0     ? "  + "
                              : strcmp(member(row, "becomes"), "removed") == 0 ? "  - "
                                                                               : "  ~ ");
            put_member(row, "title", out);
            buf_put_char(out, '\n');
        }
        if (told++ >= STRETCHES_MAX)
            continue;
        buf_printf(out, "      %s – %s  ",
                   local(json_integer_value(json_object_get(row, "fromMs")), offset_ms, from),
                   local(json_integer_value(json_object_get(row, "toMs")), offset_ms, to));
        put_persons(ctl, json_object_get(row, "before"), out);
        buf_put_text(out, " → ");
        put_persons(ctl, json_object_get(row, "after"), out);
        buf_put_text(out, told == STRETCHES_MAX ? SAY(ctl, "; and so on\n", "；以下从略\n")
                                                : "\n");
    }
}

void check_put_consequences(const struct ctl *ctl, const json_t *consequences, struct buf *out)
{
    put_rules(ctl, json_object_get(consequences, "rules"), out);
    put_routes(ctl, json_object_get(consequences, "routes"), out);
    put_receivers(ctl, json_object_get(consequences, "receivers"), out);
    put_silences(ctl, json_object_get(consequences, "silences"), out);
    put_muting(ctl, json_object_get(consequences, "muting"), out);
    put_timers(ctl, json_object_get(consequences, "timers"), out);
    put_set(ctl, "Inhibition rules", "抑制规则", json_object_get(consequences, "inhibit_rules"),
            out);
    put_set(ctl, "Time intervals", "时间段", json_object_get(consequences, "intervals"), out);
    put_duty(ctl, json_object_get(consequences, "duty"), out);
    if (out->size == 0)
        buf_printf(out, "%s\n",
                   SAY(ctl,
                       "no consequences for rules, alerts, routes, receivers, silences and duty",
                       "对规则、告警、路由、接收人、静默和值班没有影响"));
}
