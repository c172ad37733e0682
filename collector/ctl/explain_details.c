/*
 * explain_details.c - the sections below the verdict; see explain_text.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/explain_text.h"
#include "collector/ctl/table.h"
#include "proto/base/units.h"

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void put_member(const json_t *object, const char *key, struct buf *out)
{
    explain_put_foreign(member(object, key), out);
}

static void put_time_of(const json_t *object, const char *key, int64_t now_ms, struct buf *out)
{
    explain_put_time(explain_instant_ms(json_object_get(object, key)), now_ms, out);
}

static void put_duration(const json_t *object, const char *key, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    buf_put_text(out, duration_format(json_integer_value(json_object_get(object, key)), text));
}

static bool is_set(const json_t *object, const char *key)
{
    return explain_instant_ms(json_object_get(object, key)) != 0;
}

static void put_heading(const struct ctl *ctl, const char *english, const char *chinese,
                        struct buf *out)
{
    buf_printf(out, "\n%s\n", SAY(ctl, english, chinese));
}

/* ---- rule -------------------------------------------------------------------------------- */

/* When it is looked at next, and what that can change. */
static void put_evaluation(const struct ctl *ctl, const json_t *rule, int64_t now_ms,
                           struct buf *out)
{
    buf_put_text(out, SAY(ctl, "  evaluated ", "  求值于 "));
    put_time_of(rule, "lastEvaluation", now_ms, out);
    buf_put_text(out, strcmp(member(rule, "onArrival"), "at once") == 0
                          ? SAY(ctl, ", at once when a sample arrives, else at ",
                                "；样本一到就再求值，至迟 ")
                          : SAY(ctl, ", at most once a second when samples arrive, else at ",
                                "；样本到达时每秒至多一次，至迟 "));
    put_time_of(rule, "nextEvaluation", now_ms, out);
    buf_put_char(out, '\n');
    if (strcmp(member(rule, "health"), "err") == 0) {
        buf_put_text(out, SAY(ctl, "  LAST EVALUATION FAILED: ", "  最近一次求值失败："));
        put_member(rule, "lastError", out);
        buf_put_char(out, '\n');
    }
    if (json_is_true(json_object_get(rule, "waitsForSamples")))
        buf_put_text(out, SAY(ctl, "  known from before the restart; waits for its samples\n",
                              "  重启前就在告警；在等它的样本到达\n"));
}

static void put_rule(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                     struct buf *out)
{
    const json_t *rule = json_object_get(alert, "rule");
    if (!json_is_object(rule)) {
        if (json_is_true(json_object_get(alert, "external"))) {
            put_heading(ctl, "Rule", "规则", out);
            buf_put_text(out, SAY(ctl, "  posted from outside; over at ",
                                  "  由外部推送；不再推送则视为结束于 "));
            put_time_of(alert, "endsAt", now_ms, out);
            buf_put_char(out, '\n');
        }
        return;
    }
    put_heading(ctl, "Rule", "规则", out);
    buf_put_text(out, "  ");
    put_member(rule, "name", out);
    buf_put_text(out, SAY(ctl, "  group ", "  规则组 "));
    put_member(rule, "group", out);
    buf_put_text(out, "  ");
    put_member(rule, "file", out);
    buf_printf(out, ":%d\n  ", (int)json_integer_value(json_object_get(rule, "line")));
    put_member(rule, "query", out);
    buf_printf(out, SAY(ctl, "\n  value %g, holds since ", "\n  当前值 %g，自 "),
               strtod(member(rule, "value"), NULL));
    put_time_of(rule, "activeAt", now_ms, out);
    buf_put_text(out, SAY(ctl, "", " 起成立"));
    if (is_set(rule, "firedAt")) {
        buf_put_text(out, SAY(ctl, ", fires since ", "，自 "));
        put_time_of(rule, "firedAt", now_ms, out);
        buf_put_text(out, SAY(ctl, "", " 起告警"));
    }
    if (json_integer_value(json_object_get(rule, "for")) > 0) {
        buf_put_text(out, SAY(ctl, ", for ", "，for "));
        put_duration(rule, "for", out);
    }
    if (json_integer_value(json_object_get(rule, "keepFiringFor")) > 0) {
        buf_put_text(out, SAY(ctl, ", keep_firing_for ", "，keep_firing_for "));
        put_duration(rule, "keepFiringFor", out);
    }
    buf_put_char(out, '\n');
    if (is_set(rule, "keepFiringSince")) {
        buf_put_text(out, SAY(ctl, "  no longer holds since ", "  条件自 "));
        put_time_of(rule, "keepFiringSince", now_ms, out);
        buf_put_text(out, SAY(ctl, ", kept firing until ", " 起已不成立，保持告警到 "));
        put_time_of(rule, "keptUntil", now_ms, out);
        buf_put_char(out, '\n');
    }
    put_evaluation(ctl, rule, now_ms, out);
}

/* ---- routes ------------------------------------------------------------------------------ */

static void put_matchers(const struct ctl *ctl, const json_t *route, struct buf *out)
{
    const json_t *matchers = json_object_get(route, "matchers");
    size_t index;
    json_t *matcher;
    if (json_array_size(matchers) == 0)
        buf_put_text(out, SAY(ctl, "(all)", "（全部）"));
    json_array_foreach(matchers, index, matcher)
    {
        buf_put_text(out, index > 0 ? " " : "");
        explain_put_foreign(json_string_value(matcher), out);
    }
}

static void put_outcome(const struct ctl *ctl, const json_t *route, struct buf *out)
{
    const char *outcome = member(route, "outcome");
    if (strcmp(outcome, "missed") == 0) {
        buf_put_text(out, SAY(ctl, "  does not hold: ", "  不匹配："));
        put_member(route, "missed", out);
    } else if (strcmp(outcome, "passed") == 0) {
        buf_put_text(out, SAY(ctl, "  a route below took it", "  由下级路由处理"));
    } else if (strcmp(outcome, "unasked") == 0) {
        buf_put_text(out, SAY(ctl, "  not asked", "  没有问到"));
    } else if (json_is_true(json_object_get(route, "continue"))) {
        buf_put_text(out, "  continue");
    }
}

void explain_put_routes(const struct ctl *ctl, const json_t *routes, struct buf *out)
{
    size_t index;
    json_t *route;
    json_array_foreach(routes, index, route)
    {
        const char *outcome = member(route, "outcome");
        const int depth = (int)json_integer_value(json_object_get(route, "depth"));
        buf_printf(out, "  %*s%s ", 3 * depth, "",
                   strcmp(outcome, "taken") == 0    ? "●"
                   : strcmp(outcome, "passed") == 0 ? "○"
                   : strcmp(outcome, "missed") == 0 ? "✗"
                                                    : "·");
        put_matchers(ctl, route, out);
        buf_put_text(out, " → ");
        put_member(route, "receiver", out);
        put_outcome(ctl, route, out);
        buf_put_char(out, '\n');
    }
}

/* ---- groups ------------------------------------------------------------------------------ */

static void put_lane(const struct ctl *ctl, const json_t *lane, int64_t now_ms, struct buf *out)
{
    const char *next = member(lane, "next");
    const bool is_told = json_is_true(json_object_get(lane, "told"));

    buf_put_text(out, "    ");
    put_member(lane, "channel", out);
    buf_put_text(out,
                 is_told ? SAY(ctl, ": told", "：已通知") : SAY(ctl, ": not told", "：未通知"));
    if (is_set(lane, "saidAt")) {
        buf_put_text(out, SAY(ctl, ", last message ", "，最近一条 "));
        put_time_of(lane, "saidAt", now_ms, out);
    }
    if (strcmp(next, "first") == 0)
        buf_put_text(out, SAY(ctl, "; will be told at ", "；将通知于 "));
    else if (strcmp(next, "repeat") == 0)
        buf_put_text(out, SAY(ctl, "; repeated at ", "；重复通知于 "));
    else if (strcmp(next, "after_mute") == 0)
        buf_put_text(out, SAY(ctl, "; muted, told at ", "；不通知期过后通知于 "));
    else if (strcmp(next, "end") == 0)
        buf_put_text(out, SAY(ctl, "; its end will be told at ", "；恢复将通知于 "));
    else if (strcmp(next, "step") == 0)
        buf_put_text(out, SAY(ctl, "; if nobody acknowledges, next step at ",
                              "；若无人确认，下一步于 "));
    else if (strcmp(next, "muted") == 0)
        buf_put_text(out, SAY(ctl, "; muted, nobody knows how long", "；不通知，何时结束未知"));
    else if (strcmp(next, "acknowledged") == 0)
        buf_put_text(out, SAY(ctl, "; acknowledged, not repeated", "；已确认，不再重复"));
    if (is_set(lane, "nextAt"))
        put_time_of(lane, "nextAt", now_ms, out);
    buf_put_char(out, '\n');
}

static void put_groups(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                       struct buf *out)
{
    size_t i, j;
    json_t *group, *lane;
    json_array_foreach(json_object_get(alert, "groups"), i, group)
    {
        const bool first = strcmp(member(group, "dueFor"), "group_wait") == 0;
        if (i == 0)
            put_heading(ctl, "Groups", "分组", out);
        buf_put_text(out, "  ");
        put_member(group, "receiver", out);
        buf_put_text(out, "  ");
        put_member(group, "key", out);
        buf_printf(out, SAY(ctl, "  %d alerts, next flush ", "  %d 条告警，下次发送时刻 "),
                   (int)json_integer_value(json_object_get(group, "alerts")));
        put_time_of(group, "dueAt", now_ms, out);
        buf_printf(out, SAY(ctl, " (%s ", "（%s "), member(group, "dueFor"));
        put_duration(group, first ? "groupWait" : "groupInterval", out);
        buf_put_text(out, ", repeat_interval ");
        put_duration(group, "repeatInterval", out);
        buf_put_text(out, SAY(ctl, ")\n", "）\n"));
        json_array_foreach(json_object_get(group, "integrations"), j, lane)
        {
            put_lane(ctl, lane, now_ms, out);
        }
    }
}

/* ---- mutes ------------------------------------------------------------------------------- */

static void put_silences(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out)
{
    size_t i, j;
    json_t *silence, *matcher;
    json_array_foreach(json_object_get(alert, "silences"), i, silence)
    {
        const bool active = strcmp(member(silence, "state"), "active") == 0;
        if (i == 0)
            put_heading(ctl, "Silences", "静默", out);
        buf_put_text(out, "  ");
        put_member(silence, "id", out);
        buf_put_text(out, active ? SAY(ctl, "  in force until ", "  生效中，到 ")
                                 : SAY(ctl, "  not before ", "  尚未开始，自 "));
        put_time_of(silence, active ? "endsAt" : "startsAt", now_ms, out);
        buf_put_text(out, "  ");
        put_member(silence, "createdBy", out);
        buf_put_text(out, SAY(ctl, ": ", "："));
        put_member(silence, "comment", out);
        buf_put_text(out, "\n    ");
        json_array_foreach(json_object_get(silence, "matchers"), j, matcher)
        {
            buf_put_text(out, j > 0 ? " " : "");
            explain_put_foreign(json_string_value(matcher), out);
        }
        buf_put_char(out, '\n');
    }
}

static void put_other_mutes(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                            struct buf *out)
{
    const json_t *acknowledged = json_object_get(alert, "acknowledged");
    size_t i;
    json_t *source;
    json_array_foreach(json_object_get(alert, "inhibitedBy"), i, source)
    {
        put_heading(ctl, "Inhibited by", "被抑制", out);
        buf_put_text(out, "  ");
        explain_put_labels(json_object_get(source, "labels"), out);
        buf_put_text(out, SAY(ctl, "  since ", "  自 "));
        put_time_of(source, "startsAt", now_ms, out);
        buf_put_text(out, "  ");
        put_member(source, "fingerprint", out);
        buf_put_char(out, '\n');
    }
    if (!json_is_object(acknowledged))
        return;
    put_heading(ctl, "Acknowledged", "确认", out);
    buf_put_text(out, "  ");
    put_time_of(acknowledged, "at", now_ms, out);
    buf_put_text(out, "  ");
    put_member(acknowledged, "by", out);
    buf_put_text(out, "  ");
    put_member(acknowledged, "comment", out);
    buf_put_char(out, '\n');
}

/* ---- what was said ----------------------------------------------------------------------- */

static const char *state_word(const struct ctl *ctl, const json_t *message)
{
    const char *state = member(message, "state");
    if (strcmp(state, "queued") == 0)
        return json_integer_value(json_object_get(message, "attempts")) > 0
                   ? SAY(ctl, "trying again", "重试中")
                   : SAY(ctl, "on its way", "发送中");
    if (strcmp(state, "accepted") == 0)
        return SAY(ctl, "accepted", "已接收");
    if (strcmp(state, "delivered") == 0)
        return SAY(ctl, "delivered", "已送达");
    if (strcmp(state, "fallback") == 0)
        return SAY(ctl, "another way taken", "已改走其他方式");
    return strcmp(state, "failed") == 0 ? SAY(ctl, "given up", "已放弃") : state;
}

static void put_messages(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out)
{
    const json_int_t left_out = json_integer_value(json_object_get(alert, "messagesLeftOut"));
    size_t i;
    json_t *message;
    json_array_foreach(json_object_get(alert, "messages"), i, message)
    {
        const bool settled = is_set(message, "settledAt");
        if (i == 0)
            put_heading(ctl, "Messages", "通知", out);
        if (i == 0 && left_out > 0)
            buf_printf(out, SAY(ctl, "  (%d older ones)\n", "  （另有更早的 %d 条）\n"),
                       (int)left_out);
        buf_put_text(out, "  ");
        put_time_of(message, settled ? "settledAt" : "createdAt", now_ms, out);
        buf_printf(out, "  %s  ",
                   strcmp(member(message, "tells"), "firing") == 0 ? SAY(ctl, "firing", "告警")
                                                                   : SAY(ctl, "ended", "恢复"));
        put_member(message, *member(message, "person") != '\0' ? "person" : "receiver", out);
        buf_put_char(out, ' ');
        put_member(message, "channel", out);
        buf_printf(out, SAY(ctl, "  %s, %d tries  ", "  %s，%d 次  "), state_word(ctl, message),
                   (int)json_integer_value(json_object_get(message, "attempts")));
        put_member(message, "id", out);
        if (*member(message, "reason") != '\0') {
            buf_put_text(out, "  ");
            put_member(message, "reason", out);
        }
        buf_put_char(out, '\n');
    }
}

static void put_person(const struct ctl *ctl, const json_t *one, int64_t now_ms,
                       struct buf *out)
{
    const json_int_t step = json_integer_value(json_object_get(one, "step"));
    buf_put_text(out, "    ");
    put_time_of(one, "at", now_ms, out);
    buf_put_text(out, step == 0 ? SAY(ctl, "  told ", "  已通知 ")
                                : SAY(ctl, "  will tell ", "  将通知 "));
    put_member(one, "who", out);
    buf_put_text(out, "  ");
    put_member(one, "channel", out);
    if (step > 0)
        buf_printf(out,
                   SAY(ctl, "  step %d, unless acknowledged\n", "  第 %d 步，若无人确认\n"),
                   (int)step);
    else
        buf_printf(out, "  %s  %s\n",
                   strcmp(member(one, "tells"), "firing") == 0 ? SAY(ctl, "firing", "告警")
                                                               : SAY(ctl, "ended", "恢复"),
                   state_word(ctl, one));
}

static void put_incidents(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                          struct buf *out)
{
    size_t i, j;
    json_t *incident, *one;
    json_array_foreach(json_object_get(alert, "incidents"), i, incident)
    {
        const char *state = member(incident, "state");
        if (i == 0)
            put_heading(ctl, "Incidents", "事件", out);
        buf_printf(out, SAY(ctl, "  incident %d  ", "  事件 %d  "),
                   (int)json_integer_value(json_object_get(incident, "number")));
        buf_put_text(out, strcmp(state, "open") == 0 ? SAY(ctl, "nobody on it", "无人认领")
                          : strcmp(state, "closed") == 0 ? SAY(ctl, "closed", "已结束")
                                                         : SAY(ctl, "acknowledged", "已认领"));
        if (json_is_true(json_object_get(incident, "muted")))
            buf_put_text(out, SAY(ctl, ", muted", "，静音中"));
        buf_put_char(out, '\n');
        json_array_foreach(json_object_get(incident, "told"), j, one)
        {
            put_person(ctl, one, now_ms, out);
        }
        json_array_foreach(json_object_get(incident, "will"), j, one)
        {
            put_person(ctl, one, now_ms, out);
        }
    }
}

void explain_put_details(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out)
{
    const json_t *annotations = json_object_get(alert, "annotations");
    const json_t *labels = json_object_get(alert, "labels");
    buf_put_char(out, '\n');
    if (json_object_size(labels) > 0)
        explain_put_labels(labels, out);
    else /* nobody remembers them; the group of its messages tells enough */
        put_member(json_array_get(json_object_get(alert, "messages"), 0), "group", out);
    buf_put_text(out, "  ");
    put_member(alert, "fingerprint", out);
    buf_put_char(out, '\n');
    if (*member(annotations, "summary") != '\0') {
        put_member(annotations, "summary", out);
        buf_put_char(out, '\n');
    }
    put_incidents(ctl, alert, now_ms, out);
    put_messages(ctl, alert, now_ms, out);
    put_other_mutes(ctl, alert, now_ms, out);
    put_silences(ctl, alert, now_ms, out);
    put_groups(ctl, alert, now_ms, out);
    if (json_array_size(json_object_get(alert, "routes")) > 0) {
        put_heading(ctl, "Routes", "路由", out);
        explain_put_routes(ctl, json_object_get(alert, "routes"), out);
    }
    put_rule(ctl, alert, now_ms, out);
}
