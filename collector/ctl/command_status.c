/* command_status.c - is everything well. */
#include <stdio.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

static void line(const char *name, const char *value)
{
    printf("%s%*s%s\n", name, (int)(text_width(name) < 18 ? 18 - text_width(name) : 1), "",
           value);
}

/* A line a receiver of remote write. */
static void print_remotes(const struct ctl *ctl, const json_t *remotes)
{
    const json_t *remote;
    size_t i;
    json_array_foreach(remotes, i, remote)
    {
        struct values values = {.next = 0};
        char name[128], text[1024], bad[256] = "";
        const bool is_failing = json_is_true(json_object_get(remote, "failing"));
        snprintf(name, sizeof name, SAY(ctl, "Remote write %s", "远程写出 %s"),
                 value_text(&values, remote, "name"));
        if (value_integer(remote, "refused") + value_integer(remote, "lost") > 0)
            snprintf(bad, sizeof bad, SAY(ctl, "; %s refused, %s lost", "；被拒 %s，丢失 %s"),
                     value_text(&values, remote, "refused"), value_text(&values, remote, "lost"));
        snprintf(text, sizeof text,
                 SAY(ctl, "%s samples sent, %s wait, %s s behind%s%s%s",
                     "已发 %s 个样本，待发 %s，落后 %s 秒%s%s%s"),
                 value_text(&values, remote, "sent"), value_text(&values, remote, "pending"),
                 value_text(&values, remote, "lagSeconds"), bad,
                 is_failing ? SAY(ctl, "; not taken: ", "；对方不收：") : "",
                 is_failing ? value_text(&values, remote, "error") : "");
        line(name, text);
    }
}

static const char *tier_name(const struct ctl *ctl, const char *tier)
{
    return strcmp(tier, "raw") == 0         ? SAY(ctl, "samples", "样本")
           : strcmp(tier, "rollup_5m") == 0 ? SAY(ctl, "5 m", "5 分钟")
                                            : SAY(ctl, "1 h", "1 小时");
}

static const char *age_text(const struct ctl *ctl, const char *age)
{
    return strcmp(age, "forever") == 0 ? SAY(ctl, "for ever", "永久")
           : strcmp(age, "none") == 0  ? SAY(ctl, "none", "不做")
                                       : age;
}

/* A line for all series, one for each rule of retention.per_series. */
static void print_retention(const struct ctl *ctl, const json_t *rows)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        struct values values = {.next = 0};
        char text[512] = "";
        size_t at = 0;
        size_t t;
        const json_t *tier;
        json_array_foreach(json_object_get(row, "tiers"), t, tier)
        {
            const bool is_held = json_is_string(json_object_get(tier, "oldest"));
            at += (size_t)snprintf(
                text + at, sizeof text - at, "%s%s %s%s%s",
                t > 0 ? SAY(ctl, "; ", "；") : "",
                tier_name(ctl, value_text(&values, tier, "tier")),
                age_text(ctl, value_text(&values, tier, "age")),
                is_held ? SAY(ctl, " since ", "，最早 ") : "",
                is_held ? value_instant(&values, tier, "oldest") : "");
            if (at >= sizeof text)
                break;
        }
        line(i == 0 ? SAY(ctl, "Kept", "保留") : value_text(&values, row, "match"), text);
    }
}

static void print_status(const struct ctl *ctl, const json_t *data)
{
    struct values values = {.next = 0};
    const json_t *probes = json_object_get(data, "probes");
    const json_t *store = json_object_get(data, "store");
    const json_t *alerts = json_object_get(data, "alerts");
    const json_t *notices = json_object_get(data, "notifications");
    char text[256];
    bool is_ready = json_is_true(json_object_get(data, "ready"));
    line(SAY(ctl, "Collector", "采集器"), value_text(&values, data, "version"));
    line(SAY(ctl, "State", "状态"),
         is_ready ? SAY(ctl, "ready", "就绪")
                  : json_is_true(json_object_get(store, "full"))
                        ? value_text(&values, store, "fullReason")
                        : SAY(ctl, "not ready", "未就绪"));
    line(SAY(ctl, "Started", "启动于"), value_text(&values, data, "startTime"));
    snprintf(text, sizeof text,
             SAY(ctl, "%s up, %s silent, %s waiting, %s pending",
                 "正常 %s，失联 %s，等待 %s，待批准 %s"),
             value_text(&values, probes, "up"), value_text(&values, probes, "silent"),
             value_text(&values, probes, "waiting"), value_text(&values, probes, "pending"));
    line(SAY(ctl, "Probes", "探针"), text);
    line(SAY(ctl, "Series", "序列"), value_text(&values, store, "series"));
    line(SAY(ctl, "Disk", "磁盘占用"),
         value_bytes(&values, (double)value_integer(store, "diskBytes")));
    snprintf(text, sizeof text,
             SAY(ctl, "%s firing, %s pending (%s rules)", "触发 %s，待定 %s（规则 %s 条）"),
             value_text(&values, alerts, "firing"), value_text(&values, alerts, "pending"),
             value_text(&values, alerts, "rules"));
    line(SAY(ctl, "Alerts", "告警"), text);
    snprintf(text, sizeof text,
             SAY(ctl, "%s silenced, %s acknowledged (%s silences in force)",
                 "已静默 %s，已确认 %s（生效中的静默 %s 条）"),
             value_text(&values, alerts, "silenced"),
             value_text(&values, alerts, "acknowledged"),
             value_text(&values, alerts, "silences"));
    line(SAY(ctl, "Of these", "其中"), text);
    snprintf(text, sizeof text,
             SAY(ctl, "%s sent, %s waiting, %s failed", "已发 %s，待发 %s，失败 %s"),
             value_text(&values, notices, "sent"), value_text(&values, notices, "waiting"),
             value_text(&values, notices, "failed"));
    line(SAY(ctl, "Notifications", "通知"), text);
    print_remotes(ctl, json_object_get(data, "remoteWrite"));
    print_retention(ctl, json_object_get(data, "retention"));
}

static int run_status(struct ctl *ctl, int count, char **arguments)
{
    int left = 0;
    int code = args_parse(ctl, &command_status, count, arguments, NULL, 0, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    json_t *data = NULL;
    code = client_get(ctl, "/api/fengsui/v1/status", NULL, 0, &data);
    bool is_ready = data == NULL || json_is_true(json_object_get(data, "ready"));
    if (data != NULL)
        print_status(ctl, data);
    json_decref(data);
    return code != EXIT_FINE ? code : is_ready ? EXIT_FINE : EXIT_FAILED;
}

const struct command command_status = {
    .name = "status",
    .run = run_status,
    .summary_english = "is everything well",
    .summary_chinese = "整体状况",
    .help_english = "fengsuictl status: the collector, its probes, its store, its alerts, the "
                    "receivers of remote_write,\nand for how long series are kept (by rule of "
                    "retention.per_series), since when there are any.\n"
                    "Fails (exit code 1) while the collector is not ready.\n\n"
                    "  fengsuictl status\n  fengsuictl status --json | jq .data.probes",
    .help_chinese = "fengsuictl status：采集器、探针、存储、告警与远程写出的概况，\n"
                    "以及序列的保留时间（按 retention.per_series 的规则）和实际最早的时刻。\n"
                    "采集器未就绪时退出码为 1。\n\n"
                    "  fengsuictl status\n  fengsuictl status --json | jq .data.probes",
};
