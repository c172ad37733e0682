/* command_policy.c - what probes are asked to do, and what holds on a host, and why. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/base/units.h"

#define PATH "/api/fengsui/v1/policy"

/* An array of texts, joined. */
static const char *joined(struct buf *out, const json_t *array, const char *separator)
{
    size_t index;
    json_t *text;
    buf_clear(out);
    json_array_foreach(array, index, text)
    {
        buf_printf(out, "%s%s", index == 0 ? "" : separator, json_string_value(text));
    }
    return buf_text(out);
}

/* Prints what came from elsewhere so that nothing of it steers the terminal. */
static void print_visible(const char *text)
{
    char *visible = text_visible(text);
    (void)fputs(visible != NULL ? visible : "", stdout);
    free(visible);
}

/* ---- show -------------------------------------------------------------------------------- */

static const char *holds(const struct ctl *ctl, const json_t *row)
{
    return json_is_true(json_object_get(row, "inForce")) ? SAY(ctl, "in force", "生效")
                                                         : SAY(ctl, "not now", "未到时段");
}

static void print_periods(const struct ctl *ctl, const json_t *periods)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;
    if (json_array_size(periods) == 0)
        return;
    table_init(&table, 4);
    table_row(&table,
              (const char *[]){SAY(ctl, "PERIOD", "时段"), SAY(ctl, "STATE", "状态"),
                               SAY(ctl, "CHANGES", "下次变化"), SAY(ctl, "LINE", "行")});
    json_array_foreach(periods, index, row)
    {
        table_row(&table, (const char *[]){value_text(&values, row, "name"), holds(ctl, row),
                                           value_time(&values, value_integer(row, "changesMs")),
                                           value_text(&values, row, "line")});
    }
    table_print(&table);
    printf("\n");
}

static void print_rules(const struct ctl *ctl, const json_t *data)
{
    struct table table;
    struct values values = {.next = 0};
    struct buf asks = {0}, during = {0};
    size_t index;
    json_t *row;
    const char *file = json_string_value(json_object_get(data, "file"));
    if (file == NULL) {
        printf("%s\n", SAY(ctl, "the collector has no policy (policy: FILE in collector.yml)",
                           "采集器没有配置策略（collector.yml 的 policy: 文件）"));
        return;
    }
    print_visible(file);
    printf(SAY(ctl, ", at %s, time zone %s\n\n", "，%s，时区 %s\n\n"),
           value_time(&values, value_integer(data, "timeMs")),
           value_text(&values, data, "timeZone"));
    print_periods(ctl, json_object_get(data, "periods"));
    table_init(&table, 7);
    table_row(&table, (const char *[]){SAY(ctl, "RULE", "规则"), SAY(ctl, "LINE", "行"),
                                       SAY(ctl, "MATCH", "匹配"), SAY(ctl, "HOSTS", "主机数"),
                                       SAY(ctl, "DURING", "时段"), SAY(ctl, "STATE", "状态"),
                                       SAY(ctl, "ASKS FOR", "要求")});
    json_array_foreach(json_object_get(data, "rules"), index, row)
    {
        table_row(&table,
                  (const char *[]){
                      value_text(&values, row, "name"), value_text(&values, row, "line"),
                      value_text(&values, row, "match"), value_text(&values, row, "hosts"),
                      joined(&during, json_object_get(row, "during"), ", "), holds(ctl, row),
                      joined(&asks, json_object_get(row, "asks"), " ")});
    }
    table_print(&table);
    buf_done(&asks);
    buf_done(&during);
}

/* ---- explain ----------------------------------------------------------------------------- */

/* What the probe of a host says of itself at the time. */
struct said {
    json_t *intervals, *refused; /* results of queries; NULL: not asked */
};

static void put_promql_text(struct buf *out, const char *text)
{
    buf_put_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_put_char(out, '\\');
        if (*text == '\n')
            buf_put_text(out, "\\n");
        else
            buf_put_char(out, *text);
    }
    buf_put_char(out, '"');
}

static json_t *ask(const struct ctl *ctl, const char *metric, const json_t *data)
{
    struct buf query = {0};
    char time[32];
    json_t *answer = NULL;
    int64_t at_ms = value_integer(data, "timeMs");
    buf_printf(&query, "%s{job=", metric);
    put_promql_text(&query, json_string_value(json_object_get(data, "job")));
    buf_put_text(&query, ",instance=");
    put_promql_text(&query, json_string_value(json_object_get(data, "instance")));
    buf_put_char(&query, '}');
    (void)snprintf(time, sizeof time, "%" PRId64 ".%03d", at_ms / 1000, (int)(at_ms % 1000));
    const struct parameter parameters[] = {{"query", buf_text(&query)}, {"time", time}};
    if (client_get(ctl, "/api/v1/query", parameters, 2, &answer) != EXIT_FINE)
        answer = NULL;
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    buf_done(&query);
    return result;
}

static const char *label_of(const json_t *series, const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(series, "metric"), name));
    return text != NULL ? text : "";
}

static const char *seconds_of(struct values *values, const json_t *series)
{
    char *text = values->ring[values->next++ % 16];
    const char *value = json_string_value(json_array_get(json_object_get(series, "value"), 1));
    double ms = value == NULL ? 0 : strtod(value, NULL) * 1000;
    return duration_format((int64_t)(ms + 0.5), text);
}

static const json_t *find(const json_t *result, const char *label, const char *value)
{
    size_t index;
    json_t *series;
    json_array_foreach(result, index, series)
    {
        if (strcmp(label_of(series, label), value) == 0)
            return series;
    }
    return NULL;
}

/* What became of an item on the host. */
static const char *outcome(const struct ctl *ctl, struct values *values,
                           const struct said *said, const json_t *item)
{
    const char *part = value_text(values, item, "part");
    const json_t *refused = find(said->refused, "part", part);
    if (said->intervals == NULL)
        return "";
    if (refused != NULL)
        return SAY(ctl, "refused", "被拒绝");
    if (strncmp(part, "sources.", 8) != 0)
        return strcmp(part, "interval") == 0 ? "" : SAY(ctl, "tailed", "已跟踪");
    const json_t *series = find(said->intervals, "source", part + 8);
    return series == NULL ? SAY(ctl, "does not run", "未运行") : seconds_of(values, series);
}

static void print_items(const struct ctl *ctl, const json_t *data, const struct said *said)
{
    struct table table;
    struct values values = {.next = 0};
    struct buf during = {0};
    size_t index;
    json_t *item;
    table_init(&table, 6);
    table_row(&table,
              (const char *[]){SAY(ctl, "PART", "项目"), SAY(ctl, "ASKED", "要求"),
                               SAY(ctl, "ON THE HOST", "主机实际"), SAY(ctl, "RULE", "规则"),
                               SAY(ctl, "LINE", "行"), SAY(ctl, "DURING", "时段")});
    json_array_foreach(json_object_get(data, "items"), index, item)
    {
        table_row(&table,
                  (const char *[]){
                      value_text(&values, item, "part"), value_text(&values, item, "value"),
                      outcome(ctl, &values, said, item), value_text(&values, item, "rule"),
                      value_text(&values, item, "line"),
                      joined(&during, json_object_get(item, "during"), ", ")});
    }
    if (json_array_size(json_object_get(data, "items")) == 0)
        printf("%s\n", SAY(ctl, "no rule has a word for this host: its probe.yml alone holds",
                           "没有规则涉及这台主机：只按它自己的 probe.yml 运行"));
    else
        table_print(&table);
    buf_done(&during);
}

/* A probe's reasons are English, as its log; these are all it has but errors of YAML. */
static const char *reason_text(const struct ctl *ctl, const char *reason)
{
    static const char *const texts[][2] = {
        {"policy.allow.files", "不在本机允许的范围内（probe.yml 的 policy.allow.files）"},
        {"policy.allow.sources", "本机不允许（probe.yml 的 policy.allow.sources）"},
        {"policy.allow.intervals.min",
         "短于本机允许的最短间隔，按最短间隔运行（probe.yml 的 policy.allow.intervals.min）"},
        {"it tells what holds", "它报告实际生效的内容，不能关闭"},
        {"taken away one by one", "不能整体关闭，请逐个去掉日志文件"},
    };
    for (size_t i = 0; ctl->chinese && i < sizeof texts / sizeof *texts; i++)
        if (strstr(reason, texts[i][0]) != NULL)
            return texts[i][1];
    return reason;
}

static void print_said(const struct ctl *ctl, const struct said *said)
{
    struct values values = {.next = 0};
    size_t index;
    json_t *series;
    if (said->intervals == NULL)
        return;
    printf("\n%s", SAY(ctl, "the probe says it runs:", "探针报告的采集间隔："));
    json_array_foreach(said->intervals, index, series)
    {
        printf("%s ", index == 0 ? "" : ",");
        print_visible(label_of(series, "source"));
        printf(" %s", seconds_of(&values, series));
    }
    printf("%s\n", json_array_size(said->intervals) == 0 ? SAY(ctl, " nothing", "无") : "");
    json_array_foreach(said->refused, index, series)
    {
        printf("%s ", SAY(ctl, "refused by the host:", "主机拒绝："));
        print_visible(label_of(series, "part"));
        printf(": ");
        print_visible(reason_text(ctl, label_of(series, "reason")));
        printf("\n");
    }
}

/* "is in force", or what stands in its way. */
static const char *standing(const struct ctl *ctl, const json_t *data)
{
    int64_t version = value_integer(data, "version");
    if (version == 0)
        return SAY(ctl, "it has never had a policy", "从未下发过策略");
    if (version == value_integer(data, "inForce"))
        return SAY(ctl, "in force", "已生效");
    return json_is_true(json_object_get(data, "connected"))
               ? SAY(ctl, "NOT in force yet, although the probe is connected",
                     "尚未生效（探针在线）")
               : SAY(ctl, "in force when the probe connects", "探针离线，连上后生效");
}

static void print_host(const struct ctl *ctl, const json_t *data)
{
    struct values values = {.next = 0};
    struct said said = {NULL, NULL};
    int64_t at_ms = value_integer(data, "timeMs");
    bool is_ahead = at_ms > clock_unix_ms(&clock_system) + 1000;
    if (!is_ahead) {
        said.intervals = ask(ctl, "fengsui_probe_source_interval_seconds", data);
        said.refused = ask(ctl, "fengsui_probe_policy_refused", data);
    }
    print_visible(value_text(&values, data, "instance"));
    printf(" (job=");
    print_visible(value_text(&values, data, "job"));
    printf("%s", json_object_size(json_object_get(data, "labels")) == 0 ? "" : " ");
    print_visible(value_labels(&values, json_object_get(data, "labels")));
    printf(SAY(ctl, "), at %s\n", ")，%s\n"), value_time(&values, at_ms));
    if (!is_ahead && value_integer(data, "version") != 0)
        printf(SAY(ctl, "policy %s (%s): %s\n\n", "策略 %s（%s）：%s\n\n"),
               value_text(&values, data, "version"),
               value_time(&values, value_integer(data, "version")), standing(ctl, data));
    else
        printf("%s\n\n", is_ahead ? SAY(ctl, "what it will get then", "届时将得到")
                                  : standing(ctl, data));
    print_items(ctl, data, &said);
    print_said(ctl, &said);
    json_decref(said.intervals);
    json_decref(said.refused);
}

/* ---- the command ------------------------------------------------------------------------- */

static int ask_policy(const struct ctl *ctl, const char *host, const char *job, const char *at)
{
    char *time = at != NULL ? args_time(at, clock_unix_ms(&clock_system)) : NULL;
    const struct parameter parameters[] = {{"instance", host}, {"job", job}, {"time", time}};
    json_t *data = NULL;
    int code = client_get(ctl, PATH, parameters, 3, &data);
    if (data != NULL && host != NULL)
        print_host(ctl, data);
    else if (data != NULL)
        print_rules(ctl, data);
    json_decref(data);
    free(time);
    return code;
}

static int run_policy(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"show", "explain", "check"};
    const char *at = NULL, *job = NULL;
    int left = 0;
    const struct flag flags[] = {{"--at", FLAG_TEXT, &at}, {"--job", FLAG_TEXT, &job}};
    int code = args_parse(ctl, &command_policy, count, arguments, flags, 2, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left > 0 ? arguments[0] : "show";
    if (strcmp(verb, "show") == 0 && left <= 1)
        return ask_policy(ctl, NULL, NULL, at);
    if (strcmp(verb, "explain") == 0 && left == 2)
        return ask_policy(ctl, arguments[1], job, at);
    if (strcmp(verb, "check") == 0 && left == 2)
        return check_policy(ctl, arguments[1]);
    if (strcmp(verb, "explain") != 0 && strcmp(verb, "check") != 0 && strcmp(verb, "show") != 0)
        return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs, 3);
    fprintf(stderr, "fengsuictl: %s\n",
            strcmp(verb, "explain") == 0
                ? SAY(ctl, "policy explain takes the name of one host",
                      "policy explain 需要一台主机的名字")
                : SAY(ctl, "wrong arguments; see fengsuictl policy --help",
                      "参数不对，请看 fengsuictl policy --help"));
    return EXIT_USAGE;
}

const struct command command_policy = {
    .name = "policy",
    .run = run_policy,
    .summary_english = "what probes are asked to do, and what holds on a host, and why",
    .summary_chinese = "下发给探针的策略；某主机实际生效的内容和原因",
    .help_english =
        "fengsuictl policy: intervals, sources and log files that the collector pushes.\n\n"
        "  fengsuictl policy show                 the rules, and how many hosts each means\n"
        "  fengsuictl policy explain web-01       what the host gets, by which rule and line, "
        "and\n"
        "                                         what it says is in force or refuses\n"
        "  fengsuictl policy explain web-01 --at 2026-10-12T09:00:00+08:00\n"
        "  fengsuictl policy check policy.yml     is the file fit?\n\n"
        "--at shows another time: 2h is that long ago.  --job tells hosts of one name apart.",
    .help_chinese =
        "fengsuictl policy：采集器下发的采集间隔、采集源和日志文件。\n\n"
        "  fengsuictl policy show                 列出规则及各规则匹配的主机数\n"
        "  fengsuictl policy explain web-01       该主机得到什么、由哪条规则哪一行决定、\n"
        "                                         探针实际生效或拒绝了什么\n"
        "  fengsuictl policy explain web-01 --at 2026-10-12T09:00:00+08:00\n"
        "  fengsuictl policy check policy.yml     检查文件\n\n"
        "--at 查看另一时刻：2h 表示两小时前。--job 区分同名主机。",
};
