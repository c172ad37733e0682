/*
 * explain_text.c - the verdict and what texts share; see explain_text.h.
 */
#include "collector/ctl/explain_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/table.h"
#include "proto/base/units.h"

/* ---- pieces ------------------------------------------------------------------------------ */

void explain_put_foreign(const char *text, struct buf *out)
{
    char *visible = text_visible(text != NULL ? text : "");
    buf_put_text(out, visible != NULL ? visible : "");
    free(visible);
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void put_member(const json_t *object, const char *key, struct buf *out)
{
    explain_put_foreign(member(object, key), out);
}

int64_t explain_instant_ms(const json_t *text)
{
    const char *at = json_string_value(text);
    struct tm tm = {0};
    double fraction = 0;
    const char *rest = at != NULL ? strptime(at, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest == NULL)
        return 0;
    if (*rest == '.')
        fraction = strtod(rest, NULL);
    return (int64_t)timegm(&tm) * 1000 + (int64_t)(fraction * 1000 + 0.5);
}

void explain_put_time(int64_t ts_ms, int64_t now_ms, struct buf *out)
{
    const time_t at = (time_t)(ts_ms / 1000), now = (time_t)(now_ms / 1000);
    struct tm then = {0}, today = {0};
    char text[64];
    if (ts_ms == 0) {
        buf_put_char(out, '-');
        return;
    }
    (void)localtime_r(&at, &then);
    (void)localtime_r(&now, &today);
    if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
        (void)strftime(text, sizeof text, "%H:%M:%S", &then);
    else if (then.tm_year == today.tm_year)
        (void)strftime(text, sizeof text, "%m-%d %H:%M:%S", &then);
    else
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &then);
    buf_put_text(out, text);
}

static void put_time_of(const json_t *object, const char *key, int64_t now_ms, struct buf *out)
{
    explain_put_time(explain_instant_ms(json_object_get(object, key)), now_ms, out);
}

void explain_put_labels(const json_t *labels, struct buf *out)
{
    const char *name;
    json_t *value;
    put_member(labels, "alertname", out);
    json_object_foreach((json_t *)(uintptr_t)labels, name, value)
    {
        if (strcmp(name, "alertname") == 0)
            continue;
        buf_put_char(out, ' ');
        explain_put_foreign(name, out);
        buf_put_char(out, '=');
        explain_put_foreign(json_string_value(value), out);
    }
}

/* desk (webhook); a second webhook of the receiver is webhook 2. */
static void put_way(const struct ctl *ctl, const json_t *way, struct buf *out)
{
    const json_int_t index = json_integer_value(json_object_get(way, "index"));
    put_member(way, *member(way, "person") != '\0' ? "person" : "receiver", out);
    buf_put_text(out, SAY(ctl, " (", "（"));
    put_member(way, "channel", out);
    if (index > 0)
        buf_printf(out, " %d", (int)index + 1);
    buf_put_text(out, SAY(ctl, ")", "）"));
}

static void put_ways(const struct ctl *ctl, const json_t *ways, struct buf *out)
{
    size_t index;
    json_t *way;
    json_array_foreach(ways, index, way)
    {
        if (index > 0)
            buf_put_text(out, SAY(ctl, ", ", "、"));
        put_way(ctl, way, out);
    }
}

/* The earliest (or latest) instant of a list's members. */
static int64_t edge_of(const json_t *list, const char *key, bool latest)
{
    int64_t edge_ms = 0;
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const int64_t at_ms = explain_instant_ms(json_object_get(item, key));
        if (edge_ms == 0 || (latest ? at_ms > edge_ms : at_ms < edge_ms))
            edge_ms = at_ms;
    }
    return edge_ms;
}

/* ---- why nobody is told ------------------------------------------------------------------ */

static const json_t *active_silence(const json_t *alert)
{
    size_t index;
    json_t *silence;
    json_array_foreach(json_object_get(alert, "silences"), index, silence)
    {
        if (strcmp(member(silence, "state"), "active") == 0)
            return silence;
    }
    return NULL;
}

/* silence 9f12ab34 by NAME, "COMMENT" */
static void put_silence_name(const struct ctl *ctl, const json_t *silence, struct buf *out)
{
    buf_printf(out, SAY(ctl, "silence %.8s by ", "静默 %.8s（"), member(silence, "id"));
    put_member(silence, "createdBy", out);
    buf_put_text(out, SAY(ctl, ": ", "："));
    put_member(silence, "comment", out);
    buf_put_text(out, SAY(ctl, "", "）"));
}

static void put_interval_names(const json_t *alert, struct buf *out)
{
    const json_t *groups = json_object_get(alert, "groups");
    size_t i, j;
    json_t *group, *name;
    json_array_foreach(groups, i, group)
    {
        const json_t *names = json_object_get(group, "mutedBy");
        json_array_foreach(names, j, name)
        {
            if (j > 0)
                buf_put_text(out, ", ");
            explain_put_foreign(json_string_value(name), out);
        }
        if (json_array_size(names) > 0)
            return; /* one reason is enough */
    }
}

static void put_mute_end(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out)
{
    const json_t *verdict = json_object_get(alert, "verdict");
    const json_t *next = json_object_get(verdict, "next");
    const int64_t until_ms = explain_instant_ms(json_object_get(verdict, "mutedUntil"));
    if (until_ms != 0) {
        buf_put_text(out, SAY(ctl, " until ", "，到 "));
        explain_put_time(until_ms, now_ms, out);
    }
    if (strcmp(member(next, "why"), "after_mute") != 0)
        return;
    buf_put_text(out, SAY(ctl, "; if it still fires, told at ", "；届时仍在告警则 "));
    put_time_of(next, "at", now_ms, out);
    buf_put_text(out, SAY(ctl, "", " 通知"));
}

/* Returns whether anything mutes it. */
static bool put_mute(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                     struct buf *out)
{
    const json_t *silence = active_silence(alert);
    const json_t *source = json_array_get(json_object_get(alert, "inhibitedBy"), 0);
    struct buf names = {0};
    bool out_of_time;

    put_interval_names(alert, &names);
    out_of_time = names.size > 0;
    if (silence != NULL) {
        put_silence_name(ctl, silence, out);
    } else if (source != NULL) {
        buf_put_text(out, SAY(ctl, "inhibited by ", "被告警 "));
        explain_put_labels(json_object_get(source, "labels"), out);
        buf_put_text(out, SAY(ctl, ", firing since ", " 抑制，它自 "));
        put_time_of(source, "startsAt", now_ms, out);
        buf_put_text(out, SAY(ctl, "", " 起在告警"));
    } else if (out_of_time) {
        buf_put_text(out, SAY(ctl, "time interval ", "时段 "));
        buf_put(out, names.data, names.size);
    }
    buf_done(&names);
    if (silence == NULL && source == NULL && !out_of_time)
        return false;
    put_mute_end(ctl, alert, now_ms, out);
    return true;
}

/* ---- the verdict ------------------------------------------------------------------------- */

static void put_undelivered(const struct ctl *ctl, const json_t *undelivered, struct buf *out)
{
    size_t index;
    json_t *message;
    json_array_foreach(undelivered, index, message)
    {
        const int attempts = (int)json_integer_value(json_object_get(message, "attempts"));
        if (index > 0)
            buf_put_text(out, SAY(ctl, ", ", "、"));
        put_way(ctl, message, out);
        if (attempts == 0)
            continue;
        buf_printf(out, SAY(ctl, ", %d tries, last: ", "已试 %d 次，最近："), attempts);
        put_member(message, "reason", out);
    }
}

/* The persons of an incident's next step, else the way. */
static void put_next_who(const struct ctl *ctl, const json_t *next, struct buf *out)
{
    const json_t *persons = json_object_get(next, "persons");
    size_t index;
    json_t *name;
    if (json_array_size(persons) == 0)
        put_way(ctl, next, out);
    json_array_foreach(persons, index, name)
    {
        buf_put_text(out, index > 0 ? SAY(ctl, ", ", "、") : "");
        explain_put_foreign(json_string_value(name), out);
    }
}

/* It is told as firing, but nobody sees it; or it comes and goes. */
static void put_doubt(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                      struct buf *out)
{
    const json_t *rule = json_object_get(alert, "rule");
    if (explain_instant_ms(json_object_get(rule, "staleSince")) != 0) {
        buf_put_text(out, SAY(ctl, "; NO DATA since ", "；数据自 "));
        put_time_of(rule, "staleSince", now_ms, out);
        buf_put_text(out, SAY(ctl, ", which is no recovery", " 起中断（不等于恢复）"));
    }
    if (explain_instant_ms(json_object_get(rule, "flappingSince")) != 0) {
        buf_put_text(out, SAY(ctl, "; flapping since ", "；自 "));
        put_time_of(rule, "flappingSince", now_ms, out);
        buf_put_text(out, SAY(ctl, ", told once until it settles", " 起抖动，稳定前不重复报"));
    }
}

static void put_acknowledged(const struct ctl *ctl, const json_t *alert, struct buf *out)
{
    const json_t *acknowledged = json_object_get(alert, "acknowledged");
    if (!json_is_object(acknowledged))
        return;
    buf_put_text(out, SAY(ctl, "; acknowledged by ", "；"));
    put_member(acknowledged, "by", out);
    buf_put_text(out, SAY(ctl, "", " 已确认"));
}

/* What comes after "told": in hand, muted, or repeated. */
static void put_sequel(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                       struct buf *out)
{
    const json_t *next = json_object_get(json_object_get(alert, "verdict"), "next");
    struct buf mute = {0};

    put_doubt(ctl, alert, now_ms, out);
    put_acknowledged(ctl, alert, out);
    if (put_mute(ctl, alert, now_ms, &mute)) {
        buf_put_text(out, SAY(ctl, "; not told now: ", "；现在不通知："));
        buf_put(out, mute.data, mute.size);
    } else if (strcmp(member(next, "why"), "repeat") == 0) {
        buf_put_text(out, SAY(ctl, "; again at ", "；若仍在告警，"));
        put_time_of(next, "at", now_ms, out);
        buf_put_text(out, SAY(ctl, "", " 再次通知"));
    } else if (strcmp(member(next, "why"), "step") == 0) {
        buf_put_text(out, SAY(ctl, "; if nobody acknowledges, at ", "；若无人确认，"));
        put_time_of(next, "at", now_ms, out);
        buf_put_text(out, SAY(ctl, " tells ", " 通知 "));
        put_next_who(ctl, next, out);
    }
    buf_done(&mute);
}

static void put_told(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                     struct buf *out)
{
    const json_t *verdict = json_object_get(alert, "verdict");
    const json_t *told = json_object_get(verdict, "told");
    const json_t *undelivered = json_object_get(verdict, "undelivered");
    const int64_t first_ms = edge_of(told, "at", false),
                  last_ms = edge_of(told, "lastAt", true);

    buf_put_text(out, SAY(ctl, "Firing; at ", "正在告警，已于 "));
    explain_put_time(first_ms, now_ms, out);
    buf_put_text(out, SAY(ctl, " told ", " 通知 "));
    put_ways(ctl, told, out);
    if (last_ms / 1000 > first_ms / 1000) {
        buf_put_text(out, SAY(ctl, ", last at ", "，最近一次 "));
        explain_put_time(last_ms, now_ms, out);
    }
    if (json_array_size(undelivered) > 0) {
        buf_put_text(out, SAY(ctl, "; NOT delivered: ", "；尚未送达："));
        put_undelivered(ctl, undelivered, out);
    }
    put_sequel(ctl, alert, now_ms, out);
}

static void put_waiting(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                        struct buf *out)
{
    const json_t *next = json_object_get(json_object_get(alert, "verdict"), "next");
    if (!json_is_object(next)) {
        buf_put_text(out, SAY(ctl, "Firing; nobody told yet", "正在告警，尚未通知"));
        put_acknowledged(ctl, alert, out);
        return;
    }
    buf_put_text(out, SAY(ctl, "Firing; nobody told yet: at ", "正在告警，尚未通知：将于 "));
    put_time_of(next, "at", now_ms, out);
    buf_put_text(out, SAY(ctl, " tells ", " 通知 "));
    put_next_who(ctl, next, out);
}

static void put_over(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                     struct buf *out)
{
    const json_t *verdict = json_object_get(alert, "verdict");
    const json_t *told = json_object_get(verdict, "told");
    const json_t *ended = json_object_get(verdict, "toldEnd");
    const json_t *next = json_object_get(verdict, "next");

    buf_put_text(out, SAY(ctl, "Over", "已经恢复"));
    if (json_array_size(told) > 0) {
        buf_put_text(out, SAY(ctl, "; that it fired was told at ", "；告警通知于 "));
        explain_put_time(edge_of(told, "lastAt", true), now_ms, out);
        buf_put_text(out, SAY(ctl, " to ", " 送达 "));
        put_ways(ctl, told, out);
    }
    if (json_array_size(ended) > 0) {
        buf_put_text(out, SAY(ctl, "; its end at ", "；恢复通知于 "));
        explain_put_time(edge_of(ended, "lastAt", true), now_ms, out);
        buf_put_text(out, SAY(ctl, " to ", " 送达 "));
        put_ways(ctl, ended, out);
    } else if (json_is_object(next)) {
        buf_put_text(out, SAY(ctl, "; its end will be told at ", "；恢复通知将于 "));
        put_time_of(next, "at", now_ms, out);
        buf_put_text(out, SAY(ctl, " to ", " 发给 "));
        put_way(ctl, next, out);
    } else {
        buf_put_text(out, SAY(ctl, "; its end was told to nobody", "；没有发过恢复通知"));
    }
}

static void put_pending(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                        struct buf *out)
{
    const json_t *rule = json_object_get(alert, "rule");
    char text[DURATION_TEXT_BYTES];

    buf_put_text(out, SAY(ctl, "Not firing yet: holds since ", "尚未触发：条件自 "));
    put_time_of(rule, "activeAt", now_ms, out);
    buf_printf(out, SAY(ctl, ", must hold for %s, fires at ", " 起成立，需持续 %s，"),
               duration_format(json_integer_value(json_object_get(rule, "for")), text));
    put_time_of(rule, "firesAt", now_ms, out);
    buf_put_text(out, SAY(ctl, "", " 触发"));
}

static void put_nobody(const struct ctl *ctl, const json_t *alert, struct buf *out)
{
    const json_t *routes = json_object_get(alert, "routes");
    bool first = true;
    size_t index;
    json_t *route;
    buf_put_text(out, SAY(ctl, "Firing, and NOBODY will be told: no channel in receiver ",
                          "正在告警，但无人会被通知：没有配置任何渠道的接收人 "));
    json_array_foreach(routes, index, route)
    {
        if (strcmp(member(route, "outcome"), "taken") != 0)
            continue;
        buf_put_text(out, first ? "" : SAY(ctl, ", ", "、"));
        put_member(route, "receiver", out);
        first = false;
    }
}

void explain_put_verdict(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out)
{
    const json_t *verdict = json_object_get(alert, "verdict");
    const char *code = member(verdict, "code");

    if (strcmp(code, "told") == 0) {
        put_told(ctl, alert, now_ms, out);
    } else if (strcmp(code, "pending") == 0) {
        put_pending(ctl, alert, now_ms, out);
    } else if (strcmp(code, "over") == 0) {
        put_over(ctl, alert, now_ms, out);
    } else if (strcmp(code, "nobody") == 0) {
        put_nobody(ctl, alert, out);
    } else if (strcmp(code, "new") == 0) {
        buf_put_text(out, SAY(ctl, "Just begun to fire; being handed to the notifier",
                              "刚刚触发，正在交给通知模块"));
    } else if (strcmp(code, "failing") == 0 || strcmp(code, "sending") == 0) {
        buf_put_text(out, *code == 'f'
                              ? SAY(ctl, "Firing, NOT delivered to anybody yet: ",
                                    "正在告警，还没有送达任何人：")
                              : SAY(ctl, "Firing; being sent to ", "正在告警，正在发送给 "));
        put_undelivered(ctl, json_object_get(verdict, "undelivered"), out);
        if (*code == 'f')
            buf_put_text(out, SAY(ctl, "; still trying", "；仍在重试"));
    } else if (strcmp(code, "waiting") == 0) {
        put_waiting(ctl, alert, now_ms, out);
    } else {
        buf_put_text(out, SAY(ctl, "Firing, not told: ", "正在告警，未通知：因为"));
        (void)put_mute(ctl, alert, now_ms, out);
    }
    buf_put_char(out, '\n');
}
