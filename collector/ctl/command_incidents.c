/* command_incidents.c - incidents: whom they told, whom they tell next; acknowledging them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/persons.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

#define INCIDENTS_PATH "/api/fengsui/v1/incidents"

struct incidents_options {
    const char *comment, *by, *limit;
    bool all;
};

struct word {
    const char *name, *english, *chinese;
};

static const char *say_word(const struct ctl *ctl, const struct word *words, size_t count,
                            const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i].name, name) == 0)
            return SAY(ctl, words[i].english, words[i].chinese);
    return name;
}

static const char *state_text(const struct ctl *ctl, const json_t *incident)
{
    static const struct word states[] = {{"open", "open", "无人认领"},
                                         {"acknowledged", "acknowledged", "已认领"},
                                         {"closed", "closed", "已结束"}};
    const char *state = json_string_value(json_object_get(incident, "state"));
    if (json_is_true(json_object_get(incident, "muted")))
        return SAY(ctl, "muted", "静音中");
    return say_word(ctl, states, 3, state == NULL ? "" : state);
}

/* ---- the list ---------------------------------------------------------------------------- */

static void print_incidents(const struct ctl *ctl, const json_t *incidents)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *incident;

    if (json_array_size(incidents) == 0) {
        printf("%s\n", SAY(ctl, "no incidents", "没有事件"));
        return;
    }
    table_init(&table, 6);
    table_row(&table,
              (const char *[]){SAY(ctl, "NUMBER", "编号"), SAY(ctl, "STATE", "状态"),
                               SAY(ctl, "SINCE", "开始"), SAY(ctl, "WHAT", "内容"),
                               SAY(ctl, "TOLD", "已通知"), SAY(ctl, "NEXT STEP", "下一步")});
    json_array_foreach(incidents, index, incident)
    {
        char *told = persons_text(json_object_get(incident, "told"));
        table_row(&table, (const char *[]){value_text(&values, incident, "number"),
                                           state_text(ctl, incident),
                                           value_instant(&values, incident, "openedAt"),
                                           value_text(&values, incident, "title"),
                                           told == NULL ? "" : told,
                                           value_instant(&values, incident, "nextStepAt")});
        free(told);
    }
    table_print(&table);
}

static int list(const struct ctl *ctl, const struct incidents_options *options)
{
    const struct parameter parameters[] = {{"state", options->all ? "all" : "active"},
                                           {"limit", options->limit}};
    json_t *data = NULL;
    int code = client_get(ctl, INCIDENTS_PATH, parameters, 2, &data);
    if (data != NULL)
        print_incidents(ctl, json_object_get(data, "incidents"));
    json_decref(data);
    return code;
}

/* ---- one --------------------------------------------------------------------------------- */

static void print_events(const struct ctl *ctl, const json_t *events)
{
    static const struct word kinds[] = {
        {"opened", "opened", "开始"},
        {"step", "step", "执行步骤"},
        {"told", "told", "通知"},
        {"nobody", "reached nobody", "无人可通知"},
        {"acknowledged", "acknowledged", "认领"},
        {"reopened", "begins again", "重新开始"},
        {"fallback", "way failed", "通道失败"},
        {"news", "news", "有变化"},
        {"closed", "closed", "结束"},
        {"muted", "muted", "静音"},
        {"unmuted", "no longer muted", "静音结束"}};
    static const struct word states[] = {{"queued", "queued", "等待发送"},
                                         {"accepted", "accepted", "已接受"},
                                         {"delivered", "delivered", "已送达"},
                                         {"failed", "failed", "失败"},
                                         {"fallback", "another way taken", "已改走其他方式"}};
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *event;

    table_init(&table, 5);
    table_row(&table, (const char *[]){SAY(ctl, "TIME", "时间"), SAY(ctl, "WHAT", "发生"),
                                       SAY(ctl, "WHO", "人员"), SAY(ctl, "BY", "方式"),
                                       SAY(ctl, "DETAIL", "详情")});
    json_array_foreach(events, index, event)
    {
        const char *kind = value_text(&values, event, "kind");
        const char *state = json_string_value(json_object_get(event, "messageState"));
        char *who = person_text(json_object_get(event, "person"));
        table_row(&table, (const char *[]){
                              value_instant(&values, event, "at"),
                              say_word(ctl, kinds, sizeof kinds / sizeof *kinds, kind),
                              who == NULL ? "" : who, value_text(&values, event, "channel"),
                              state != NULL ? say_word(ctl, states, 5, state)
                                            : value_text(&values, event, "text")});
        free(who);
    }
    table_print(&table);
}

static int show(const struct ctl *ctl, const char *number)
{
    struct values values = {.next = 0};
    char path[sizeof INCIDENTS_PATH + 32];
    json_t *data = NULL;
    int code;

    (void)snprintf(path, sizeof path, INCIDENTS_PATH "/%.20s", number);
    code = client_get(ctl, path, NULL, 0, &data);
    if (data == NULL)
        return code;
    printf(SAY(ctl, "incident %s: %s, %s\n\n", "事件 %s：%s，%s\n\n"),
           value_text(&values, data, "number"), value_text(&values, data, "title"),
           state_text(ctl, data));
    print_events(ctl, json_object_get(data, "events"));
    if (json_array_size(json_object_get(data, "next")) > 0) {
        printf("\n%s\n", SAY(ctl, "if nobody acknowledges:", "若一直无人认领："));
        steps_print(ctl, json_object_get(data, "next"));
    }
    json_decref(data);
    return code;
}

/* ---- acknowledging ----------------------------------------------------------------------- */

static int change(const struct ctl *ctl, const char *number,
                  const struct incidents_options *options, bool takes_back)
{
    const char *by = options->by != NULL ? options->by : getenv("USER");
    json_t *body, *data = NULL;
    char *end;
    const long long value = strtoll(number, &end, 10);
    int code;

    if (*end != '\0' || value <= 0) {
        fprintf(stderr, SAY(ctl, "fengsuictl: an incident is named by its number\n",
                            "fengsuictl：请用编号指明事件\n"));
        return EXIT_USAGE;
    }
    body = json_pack("{s:I, s:s, s:s}", "incident", (json_int_t)value, "comment",
                     options->comment == NULL ? "" : options->comment, "by",
                     by == NULL ? "" : by);
    code = client_post(ctl,
                       takes_back ? INCIDENTS_PATH "/unacknowledge"
                                  : INCIDENTS_PATH "/acknowledge",
                       body, &data);
    if (data != NULL)
        printf("%s %lld\n",
               takes_back ? SAY(ctl, "no longer acknowledged", "已取消认领")
                          : SAY(ctl, "acknowledged", "已认领"),
               value);
    json_decref(data);
    json_decref(body);
    return code;
}

static int run_incidents(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"list", "show", "ack", "unack"};
    struct incidents_options options = {0};
    int left = 0;
    const struct flag flags[] = {{"--comment", FLAG_TEXT, &options.comment},
                                 {"--by", FLAG_TEXT, &options.by},
                                 {"--limit", FLAG_TEXT, &options.limit},
                                 {"--all", FLAG_BOOL, &options.all}};
    int code = args_parse(ctl, &command_incidents, count, arguments, flags, 4, &left);
    const char *verb;

    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    verb = left > 0 ? arguments[0] : "list";
    if (strcmp(verb, "list") == 0 && left <= 1)
        return list(ctl, &options);
    if (left == 2 && strcmp(verb, "show") == 0)
        return show(ctl, arguments[1]);
    if (left == 2 && strcmp(verb, "ack") == 0)
        return change(ctl, arguments[1], &options, false);
    if (left == 2 && strcmp(verb, "unack") == 0)
        return change(ctl, arguments[1], &options, true);
    for (size_t i = 1; i < 4; i++)
        if (strcmp(verb, verbs[i]) == 0) {
            fprintf(stderr,
                    SAY(ctl, "fengsuictl: incidents %s takes one number\n",
                        "fengsuictl：incidents %s 需要一个编号\n"),
                    verb);
            return EXIT_USAGE;
        }
    return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs, 4);
}

const struct command command_incidents = {
    .name = "incidents",
    .run = run_incidents,
    .summary_english = "troubles that people are told of; acknowledge them",
    .summary_chinese = "需要人处理的事件；认领事件",
    .help_english =
        "fengsuictl incidents: what people are told of, whom it told, and whom it tells next.\n\n"
        "  fengsuictl incidents\n"
        "  fengsuictl incidents show 17            time line, and the steps that would follow\n"
        "  fengsuictl incidents ack 17 --comment 'on my way'\n"
        "  fengsuictl incidents unack 17\n"
        "  fengsuictl incidents --all --limit 20   closed ones, too\n\n"
        "An acknowledged incident wakes nobody else; whoever was told is told its end.  New\n"
        "alerts in it begin its steps again.\n"
        "  --comment TEXT   what is being done\n"
        "  --by NAME        who (where the collector has users, the user)\n"
        "  --all            those that are over, too\n"
        "  --limit N        at most so many, the newest first (100)",
    .help_chinese =
        "fengsuictl incidents：正在通知谁、已经通知了谁、接下来通知谁。\n\n"
        "  fengsuictl incidents\n"
        "  fengsuictl incidents show 17            时间线，以及接下来的步骤\n"
        "  fengsuictl incidents ack 17 --comment '已在路上'\n"
        "  fengsuictl incidents unack 17\n"
        "  fengsuictl incidents --all --limit 20   包括已结束的\n\n"
        "认领后不再叫醒其他人；通知过的人都会收到恢复通知。事件中出现新告警时重新开始逐级通知。\n"
        "  --comment 文字   正在做什么\n"
        "  --by 姓名        谁认领（采集器有用户时为登录用户）\n"
        "  --all            也列出已结束的\n"
        "  --limit N        最多列出多少个，新的在前（默认 100）",
};
