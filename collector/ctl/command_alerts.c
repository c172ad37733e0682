/* command_alerts.c - alerts that fire or are about to; who has seen them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

#define FINGERPRINT_CHARS 16

struct alerts_options {
    const char *comment, *by, *instance, *config, *duty, *expect;
    bool all;
};

/* "silenced" (or why else nobody is told), "acknowledged by NAME", or both; the text is the
 * caller's to free. */
static char *handling(const struct ctl *ctl, const json_t *alert)
{
    const json_t *acknowledged = json_object_get(alert, "acknowledged");
    const char *by = json_string_value(json_object_get(acknowledged, "by"));
    const json_t *status = json_object_get(alert, "status");
    const char *quiet = "", *gap;
    char *text = NULL;

    if (json_array_size(json_object_get(status, "silencedBy")) > 0)
        quiet = SAY(ctl, "silenced", "已静默");
    else if (json_array_size(json_object_get(status, "inhibitedBy")) > 0)
        quiet = SAY(ctl, "inhibited", "被抑制");
    else if (json_array_size(json_object_get(status, "mutedBy")) > 0)
        quiet = SAY(ctl, "muted at this time", "此时段不通知");
    gap = *quiet != '\0' && by != NULL ? SAY(ctl, ", ", "，") : "";
    if (by == NULL)
        return strdup(quiet);
    if (*by == '\0')
        by = "?";
    if (asprintf(&text, SAY(ctl, "%s%sacknowledged by %s", "%s%s%s 已确认"), quiet, gap, by) <
        0)
        return NULL;
    return text;
}

static const char *standing(const struct ctl *ctl, const json_t *alert, const char *state)
{
    if (json_is_string(json_object_get(alert, "flappingSince")))
        return SAY(ctl, "flapping", "抖动");
    if (json_is_string(json_object_get(alert, "staleSince")))
        return SAY(ctl, "stale", "数据中断");
    if (!ctl->chinese)
        return state;
    return strcmp(state, "firing") == 0 ? "触发" : "待定";
}

void alerts_print(const struct ctl *ctl, const json_t *alerts)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *alert;
    if (json_array_size(alerts) == 0) {
        printf("%s\n", SAY(ctl, "no alerts", "没有告警"));
        return;
    }
    table_init(&table, 7);
    table_row(&table,
              (const char *[]){SAY(ctl, "STATE", "状态"), SAY(ctl, "ALERT", "告警"),
                               SAY(ctl, "INSTANCE", "主机"), SAY(ctl, "SINCE", "开始"),
                               SAY(ctl, "HANDLING", "处理"), SAY(ctl, "SUMMARY", "摘要"),
                               SAY(ctl, "FINGERPRINT", "指纹")});
    json_array_foreach(alerts, index, alert)
    {
        const json_t *labels = json_object_get(alert, "labels");
        const json_t *notes = json_object_get(alert, "annotations");
        const char *state = value_text(&values, alert, "state");
        char *note = handling(ctl, alert);
        state = standing(ctl, alert, state);
        table_row(&table, (const char *[]){state, value_text(&values, labels, "alertname"),
                                           value_text(&values, labels, "instance"),
                                           value_text(&values, alert, "activeAt"),
                                           note != NULL ? note : "",
                                           value_text(&values, notes, "summary"),
                                           value_text(&values, alert, "fingerprint")});
        free(note);
    }
    table_print(&table);
}

static int list(const struct ctl *ctl)
{
    json_t *data = NULL;
    int code = client_get(ctl, ALERTS_PATH, NULL, 0, &data);
    if (data != NULL)
        alerts_print(ctl, json_object_get(data, "alerts"));
    json_decref(data);
    return code;
}

/* What began and ended while the collector was down: nobody is paged. */
static int list_past(const struct ctl *ctl)
{
    struct values values = {0};
    struct table table;
    json_t *data = NULL, *alert;
    size_t index;
    int code = client_get(ctl, ALERTS_PATH "/past", NULL, 0, &data);

    if (data == NULL)
        return code;
    table_init(&table, 5);
    table_row(&table,
              (const char *[]){SAY(ctl, "ALERT", "告警"), SAY(ctl, "INSTANCE", "主机"),
                               SAY(ctl, "BEGAN", "开始"), SAY(ctl, "ENDED", "结束"),
                               SAY(ctl, "SUMMARY", "摘要")});
    json_array_foreach(json_object_get(data, "alerts"), index, alert)
    {
        const json_t *labels = json_object_get(alert, "labels");
        table_row(&table, (const char *[]){
                              value_text(&values, labels, "alertname"),
                              value_text(&values, labels, "instance"),
                              value_text(&values, alert, "startsAt"),
                              value_text(&values, alert, "endsAt"),
                              value_text(&values, json_object_get(alert, "annotations"),
                                         "summary")});
    }
    table_print(&table);
    json_decref(data);
    return code;
}

/* ---- acknowledging ----------------------------------------------------------------------- */

static bool is_fingerprint(const char *text)
{
    return strlen(text) == FINGERPRINT_CHARS &&
           strspn(text, "0123456789abcdefABCDEF") == FINGERPRINT_CHARS;
}

/* The firing alerts that a name (and --instance) means. */
static json_t *select_alerts(const json_t *alerts, const char *name, const char *instance)
{
    json_t *chosen = json_array();
    size_t index;
    json_t *alert;
    json_array_foreach(alerts, index, alert)
    {
        const json_t *labels = json_object_get(alert, "labels");
        const char *state = json_string_value(json_object_get(alert, "state"));
        const char *alertname = json_string_value(json_object_get(labels, "alertname"));
        const char *host = json_string_value(json_object_get(labels, "instance"));
        if (state != NULL && strcmp(state, "firing") == 0 && alertname != NULL &&
            strcmp(alertname, name) == 0 &&
            (instance == NULL || (host != NULL && strcmp(host, instance) == 0)))
            json_array_append(chosen, alert);
    }
    return chosen;
}

static int change_one(const struct ctl *ctl, const char *fingerprint,
                      const struct alerts_options *options, bool takes_back)
{
    json_t *body = json_pack("{s:s}", "fingerprint", fingerprint);
    json_t *data = NULL;
    const char *by = options->by != NULL ? options->by : getenv("USER");
    if (!takes_back && options->comment != NULL)
        json_object_set_new(body, "comment", json_string(options->comment));
    if (!takes_back && by != NULL)
        json_object_set_new(body, "by", json_string(by));
    int code =
        client_post(ctl, takes_back ? ALERTS_PATH "/unacknowledge" : ALERTS_PATH "/acknowledge",
                    body, &data);
    if (data != NULL)
        printf("%s %s\n",
               takes_back ? SAY(ctl, "no longer acknowledged", "已取消确认")
                          : SAY(ctl, "acknowledged", "已确认"),
               fingerprint);
    json_decref(data);
    json_decref(body);
    return code;
}

static int complain_of_choice(const struct ctl *ctl, const char *name, const json_t *chosen)
{
    if (json_array_size(chosen) == 0) {
        char *visible = text_visible(name);
        fprintf(stderr,
                SAY(ctl, "fengsuictl: no firing alert is named \"%s\"\n",
                    "fengsuictl：没有触发中的告警叫“%s”\n"),
                visible);
        free(visible);
        return EXIT_FAILED;
    }
    fprintf(stderr, SAY(ctl,
                        "fengsuictl: several alerts have this name; give a fingerprint, "
                        "--instance or --all:\n",
                        "fengsuictl：有多条同名告警；请给出指纹、--instance 或 --all：\n"));
    alerts_print(ctl, chosen);
    return EXIT_FAILED;
}

static int change(const struct ctl *ctl, const char *what, const struct alerts_options *options,
                  bool takes_back)
{
    struct ctl quiet = *ctl; /* of the list only the fingerprints are wanted */
    json_t *data = NULL;
    if (is_fingerprint(what))
        return change_one(ctl, what, options, takes_back);
    quiet.json = false;
    int code = client_get(&quiet, ALERTS_PATH, NULL, 0, &data);
    if (data == NULL)
        return code;
    json_t *chosen = select_alerts(json_object_get(data, "alerts"), what, options->instance);
    const size_t count = json_array_size(chosen);
    if (count == 0 || (count > 1 && !options->all))
        code = complain_of_choice(ctl, what, chosen);
    for (size_t i = 0; code == EXIT_FINE && i < count; i++)
        code = change_one(
            ctl, json_string_value(json_object_get(json_array_get(chosen, i), "fingerprint")),
            options, takes_back);
    json_decref(chosen);
    json_decref(data);
    return code;
}

static int run_alerts(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"list", "explain", "route", "ack", "unack", "past"};
    struct alerts_options options = {0};
    int left = 0;
    const struct flag flags[] = {{"--comment", FLAG_TEXT, &options.comment},
                                 {"--by", FLAG_TEXT, &options.by},
                                 {"--instance", FLAG_TEXT, &options.instance},
                                 {"--config", FLAG_TEXT, &options.config},
                                 {"--duty", FLAG_TEXT, &options.duty},
                                 {"--expect", FLAG_TEXT, &options.expect},
                                 {"--all", FLAG_BOOL, &options.all}};
    int code = args_parse(ctl, &command_alerts, count, arguments, flags, 7, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left > 0 ? arguments[0] : "list";
    if (strcmp(verb, "list") == 0 && left <= 1)
        return list(ctl);
    if (strcmp(verb, "past") == 0 && left == 1)
        return list_past(ctl);
    if (strcmp(verb, "route") == 0)
        return alerts_route(ctl, arguments + 1, left - 1, options.config, options.duty,
                            options.expect);
    if (left >= 2 && strcmp(verb, "explain") == 0)
        return alerts_explain(ctl, arguments + 1, left - 1, options.instance);
    if (left == 2 && strcmp(verb, "ack") == 0)
        return change(ctl, arguments[1], &options, false);
    if (left == 2 && strcmp(verb, "unack") == 0)
        return change(ctl, arguments[1], &options, true);
    if (strcmp(verb, "explain") == 0 || strcmp(verb, "ack") == 0 ||
        strcmp(verb, "unack") == 0) {
        fprintf(stderr,
                SAY(ctl, "fengsuictl: alerts %s takes one fingerprint or name\n",
                    "fengsuictl：alerts %s 需要一个指纹或告警名\n"),
                verb);
        return EXIT_USAGE;
    }
    return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs, 6);
}

const struct command command_alerts = {
    .name = "alerts",
    .run = run_alerts,
    .summary_english = "alerts that fire or are about to; why they were told; acknowledge",
    .summary_chinese = "正在触发和待定的告警；为什么（没）通知；确认",
    .help_english =
        "fengsuictl alerts: every alert that fires or waits for its \"for\", and who has it in "
        "hand.\n\n"
        "  fengsuictl alerts\n"
        "  fengsuictl alerts explain 6cdb57\n"
        "  fengsuictl alerts explain DiskFull 'instance=~\"db.*\"' mount=/data\n"
        "  fengsuictl alerts route alertname=DiskFull severity=critical --config alerting.yml\n"
        "  fengsuictl alerts ack 6cdb577f6a5f0a23 --comment 'disk ordered'\n"
        "  fengsuictl alerts ack DiskFull --instance db-01\n"
        "  fengsuictl alerts unack 6cdb577f6a5f0a23\n"
        "  fengsuictl alerts past\n"
        "  fengsuictl alerts --json | jq '.data.alerts[].labels'\n\n"
        "explain says in its first line who was told and when, or why nobody was; then what was\n"
        "sent, what mutes it, its groups and their timers, the routes tried, its rule.  An alert is\n"
        "named by its fingerprint or the beginning of it, by name, by matchers.  One that is over is\n"
        "explained for 7 days, by its whole fingerprint.\n"
        "route shows who would be told of an alert with these labels, and the way through the\n"
        "routes, in the collector's configuration or in a file.\n"
        "\"stale\" is an alert without data: it fires on, for no data is no recovery. "
        "\"flapping\" is one that comes and goes: told once, and when it has settled. \"past\" "
        "shows what began and ended while the collector was down: a line of the next message.\n\n"
        "An acknowledged alert is not repeated; its end is told.  It ends with the alert.\n"
        "  --comment TEXT   what is being done\n"
        "  --by NAME        who (where the collector has users, the user)\n"
        "  --instance HOST  of several alerts of one name, this host's\n"
        "  --all            all alerts of the name\n"
        "  --config FILE    route: this alerting.yml instead of the collector's\n"
        "  --duty FILE      route: the duty.yml of that file's escalations\n"
        "  --expect NAMES   route: fail unless these receivers are told (a,b)",
    .help_chinese =
        "fengsuictl alerts：所有触发中的、以及等待 for 时长的告警，以及谁在处理。\n\n"
        "  fengsuictl alerts\n"
        "  fengsuictl alerts explain 6cdb57\n"
        "  fengsuictl alerts explain 磁盘将满 'instance=~\"db.*\"' mount=/data\n"
        "  fengsuictl alerts route alertname=磁盘将满 severity=critical --config alerting.yml\n"
        "  fengsuictl alerts ack 6cdb577f6a5f0a23 --comment '硬盘已订'\n"
        "  fengsuictl alerts ack 磁盘将满 --instance db-01\n"
        "  fengsuictl alerts unack 6cdb577f6a5f0a23\n"
        "  fengsuictl alerts past\n"
        "  fengsuictl alerts --json | jq '.data.alerts[].labels'\n\n"
        "explain 第一行说明何时通知了谁，或为什么没有通知；其后是发出的通知、静默与抑制、分组与\n"
        "定时、试过的路由、规则。告警可用指纹或其开头、告警名、匹配条件指定；已结束的告警 7 天内可用\n"
        "完整指纹查询。\n"
        "route 显示带这些标签的告警会通知谁、经过哪些路由；用采集器的配置，或 --config 的文件。\n"
        "“数据中断”的告警没有新数据，仍算触发：没有数据不等于恢复。“抖动”的告警反复触发与恢复，"
        "只通知一次，平静后再通知。past 列出采集器停机期间出现又消失的告警，在下一条消息里补记一行。\n\n"
        "已确认的告警不再重复通知，恢复时照常通知；告警结束后确认随之失效。\n"
        "  --comment 文字   正在做什么\n"
        "  --by 姓名        谁确认（采集器有用户时为登录用户）\n"
        "  --instance 主机  同名告警中指定主机的那一条\n"
        "  --all            该名称的所有告警\n"
        "  --config 文件    route：用这个 alerting.yml，而不是采集器的配置\n"
        "  --duty 文件      route：该文件所用升级方案的 duty.yml\n"
        "  --expect 名单    route：接收人不是这些（a,b）则失败",
};
