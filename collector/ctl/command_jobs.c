/* command_jobs.c - jobs that report when they have run: how they are, and running one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/job_run.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/units.h"

#define PATH            "/api/fengsui/v1/jobs"
#define PATH_BYTES      256
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

/* ---- showing ----------------------------------------------------------------------------- */

static const char *state_text(const struct ctl *ctl, const char *state)
{
    static const struct {
        const char *state, *chinese;
    } words[] = {{"new", "未报告过"},   {"up", "正常"},     {"late", "已到点"},
                 {"running", "执行中"}, {"down", "未完成"}, {"failed", "失败"},
                 {"paused", "暂停"}};
    for (size_t i = 0; ctl->chinese && i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].state, state) == 0)
            return words[i].chinese;
    return state;
}

/* Local time of the server's RFC 3339 in UTC; "-" for none. */
static const char *time_text(struct values *values, const json_t *object, const char *key)
{
    struct tm tm = {0};
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
        return "-";
    return value_time(values, (int64_t)timegm(&tm) * 1000);
}

static const char *schedule_text(struct values *values, const json_t *job)
{
    const char *cron = value_text(values, job, "cron");
    const char *every = value_text(values, job, "every");
    return *cron != '\0' ? cron : *every != '\0' ? every : "-";
}

static const char *seconds_text(struct values *values, const json_t *run, char *text)
{
    const json_t *seconds = json_object_get(run, "seconds");
    (void)values;
    if (!json_is_number(seconds))
        return "-";
    (void)duration_format((int64_t)(json_number_value(seconds) * 1000), text);
    return text;
}

static const char *size_text(struct values *values, const json_t *run)
{
    const json_t *size = json_object_get(run, "size");
    return json_is_number(size) ? value_bytes(values, json_number_value(size)) : "-";
}

static const char *problem_text(struct values *values, const json_t *job)
{
    const json_t *problems = json_object_get(job, "problems");
    return json_array_size(problems) == 0
               ? "-"
               : value_text(values, json_array_get(problems, 0), "alertname");
}

static int list(const struct ctl *ctl)
{
    struct table table;
    struct values values = {.next = 0};
    json_t *data, *job;
    size_t index;
    int code = client_get(ctl, PATH, NULL, 0, &data);
    if (code != EXIT_FINE || data == NULL)
        return code;
    if (json_array_size(json_object_get(data, "jobs")) == 0) {
        printf("%s\n", SAY(ctl, "the collector has no jobs (jobs: FILE in collector.yml)",
                           "采集器没有配置任务（collector.yml 的 jobs: 文件）"));
        json_decref(data);
        return code;
    }
    table_init(&table, 8);
    table_row(&table,
              (const char *[]){SAY(ctl, "JOB", "任务"), SAY(ctl, "STATE", "状态"),
                               SAY(ctl, "PROBLEM", "问题"), SAY(ctl, "SCHEDULE", "计划"),
                               SAY(ctl, "NEXT", "下次"), SAY(ctl, "LAST OK", "上次成功"),
                               SAY(ctl, "TOOK", "用时"), SAY(ctl, "SIZE", "大小")});
    json_array_foreach(json_object_get(data, "jobs"), index, job)
    {
        const json_t *run = json_object_get(job, "lastRun");
        char took[DURATION_TEXT_BYTES];
        table_row(&table, (const char *[]){
                              value_text(&values, job, "name"),
                              state_text(ctl, value_text(&values, job, "state")),
                              problem_text(&values, job), schedule_text(&values, job),
                              time_text(&values, job, "due"), time_text(&values, job, "lastOk"),
                              seconds_text(&values, run, took), size_text(&values, run)});
    }
    table_print(&table);
    json_decref(data);
    return code;
}

static void print_visible(const char *before, const char *text)
{
    char *visible = text_visible(text);
    printf("%s%s\n", before, visible != NULL ? visible : "");
    free(visible);
}

static void print_runs(const struct ctl *ctl, const json_t *job)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *run;
    if (json_array_size(json_object_get(job, "lastRuns")) == 0)
        return;
    printf("\n");
    table_init(&table, 8);
    table_row(&table, (const char *[]){SAY(ctl, "FOR", "计划时间"), SAY(ctl, "STARTED", "开始"),
                                       SAY(ctl, "ENDED", "结束"), SAY(ctl, "RESULT", "结果"),
                                       SAY(ctl, "TOOK", "用时"), SAY(ctl, "EXIT", "退出码"),
                                       SAY(ctl, "SIZE", "大小"), SAY(ctl, "MESSAGE", "输出")});
    json_array_foreach(json_object_get(job, "lastRuns"), index, run)
    {
        char took[DURATION_TEXT_BYTES];
        table_row(&table,
                  (const char *[]){
                      time_text(&values, run, "due"), time_text(&values, run, "started"),
                      time_text(&values, run, "ended"), value_text(&values, run, "outcome"),
                      seconds_text(&values, run, took), value_text(&values, run, "exit"),
                      size_text(&values, run), value_text(&values, run, "message")});
    }
    table_print(&table);
}

static int show(const struct ctl *ctl, const char *path)
{
    struct values values = {.next = 0};
    json_t *job, *problem;
    size_t index;
    int code = client_get(ctl, path, NULL, 0, &job);
    if (code != EXIT_FINE || job == NULL)
        return code;
    printf("%s  ", value_text(&values, job, "name"));
    print_visible("", value_text(&values, job, "title"));
    printf("%s  %s  %s\n", state_text(ctl, value_text(&values, job, "state")),
           schedule_text(&values, job), value_text(&values, job, "calendar"));
    printf(SAY(ctl, "next %s, last ok %s; %s runs, %s failed, %s missed\n",
               "下次 %s，上次成功 %s；执行 %s 次，失败 %s 次，未执行 %s 次\n"),
           time_text(&values, job, "due"), time_text(&values, job, "lastOk"),
           value_text(&values, job, "runs"), value_text(&values, job, "failures"),
           value_text(&values, job, "missed"));
    json_array_foreach(json_object_get(job, "problems"), index, problem)
    {
        printf("%s %s ", value_text(&values, problem, "alertname"),
               time_text(&values, problem, "since"));
        print_visible("", value_text(&values, problem, "summary"));
    }
    print_runs(ctl, job);
    json_decref(job);
    return code;
}

/* ---- changing ---------------------------------------------------------------------------- */

static int change(const struct ctl *ctl, const char *path, const char *period)
{
    json_t *body = json_object(), *data = NULL;
    char full[PATH_BYTES + 64];
    int64_t ms;
    int code;
    if (period != NULL && (duration_parse(period, &ms) != 0 || ms <= 0)) {
        json_decref(body);
        fprintf(stderr,
                SAY(ctl, "fengsuictl: --for takes a duration such as 2h, not \"%s\"\n",
                    "fengsuictl：--for 后面是时长，如 2h，而不是“%s”\n"),
                period);
        return EXIT_USAGE;
    }
    (void)snprintf(full, sizeof full, "%s%s%.40s", path, period != NULL ? "?for=" : "",
                   period != NULL ? period : "");
    code = client_post(ctl, full, body, &data);
    json_decref(body);
    json_decref(data);
    return code;
}

static int run_command(const struct ctl *ctl, const char *name, const char *size_of,
                       const char *patience, int count, char **arguments)
{
    struct job_run_options options = {name, size_of, 15000};
    char **command;
    int code;
    if (count == 0 ||
        (patience != NULL && duration_parse(patience, &options.patience_ms) != 0)) {
        fprintf(stderr, "fengsuictl jobs run: %s\n",
                SAY(ctl, "give a command behind --, and --patience as 15s",
                    "请在 -- 后面给出命令；--patience 写作 15s"));
        return EXIT_USAGE;
    }
    command = calloc((size_t)count + 1, sizeof(char *));
    if (command == NULL)
        return EXIT_FAILED;
    memcpy(command, arguments, (size_t)count * sizeof(char *));
    code = job_run(ctl, &options, command);
    free(command);
    return code;
}

static int run(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"list", "show", "pause", "resume", "run"};
    const char *period = NULL, *size_of = NULL, *patience = NULL;
    const struct flag flags[] = {{"--for", FLAG_TEXT, &period},
                                 {"--size-of", FLAG_TEXT, &size_of},
                                 {"--patience", FLAG_TEXT, &patience}};
    char path[PATH_BYTES];
    int left = 0, code = args_parse(ctl, &command_jobs, count, arguments, flags, 3, &left);
    if (code != 0)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left < 1 ? "list" : arguments[0];
    if (strcmp(verb, "list") == 0 && left <= 1)
        return list(ctl);
    bool is_known = false;
    for (size_t i = 1; i < sizeof verbs / sizeof *verbs; i++)
        is_known = is_known || strcmp(verb, verbs[i]) == 0;
    if (!is_known)
        return args_unknown(ctl, SAY(ctl, "verb", "动词"), verb, verbs, 5);
    const char *name = left < 2 ? "" : arguments[1];
    if (*name == '\0' || strlen(name) > 64 || name[strspn(name, NAME_CHARACTERS)] != '\0' ||
        (left > 2 && strcmp(verb, "run") != 0)) {
        fprintf(stderr, "fengsuictl jobs %s: %s\n", verb,
                SAY(ctl, "name one job of jobs.yml", "请给出 jobs.yml 中的一个任务"));
        return EXIT_USAGE;
    }
    if (strcmp(verb, "run") == 0)
        return run_command(ctl, name, size_of, patience, left - 2, arguments + 2);
    (void)snprintf(path, sizeof path, PATH "/%s%s%s", name,
                   strcmp(verb, "show") == 0 ? "" : "/", strcmp(verb, "show") == 0 ? "" : verb);
    return strcmp(verb, "show") == 0
               ? show(ctl, path)
               : change(ctl, path, strcmp(verb, "pause") == 0 ? period : NULL);
}

const struct command command_jobs = {
    .name = "jobs",
    .run = run,
    .summary_english = "jobs that report when they have run, and running one",
    .summary_chinese = "会报告执行情况的任务；执行一个任务",
    .help_english =
        "fengsuictl jobs [list|show|pause|resume|run]: did the jobs of jobs.yml run?\n\n"
        "  list                     all of them, the default\n"
        "  show JOB                 one, with its last runs\n"
        "  pause JOB, resume JOB    nothing is wrong with a job while it is paused\n"
        "  run JOB -- COMMAND...    runs the command and tells start, ok or fail for it, with\n"
        "                           exit code and duration; returns the command's own code, "
        "and\n"
        "                           runs it even if the collector does not answer\n\n"
        "  --for DURATION       pause: until then; without it until resumed\n"
        "  --size-of FILE       run: tell this file's size of a success\n"
        "  --patience DURATION  run: how long to try to tell the end (default 15s)\n\n"
        "  fengsuictl jobs show db-backup\n"
        "  fengsuictl jobs pause db-backup --for 2h\n"
        "  fengsuictl jobs resume db-backup\n"
        "  fengsuictl jobs run db-backup --size-of /backup/full.dmp -- /opt/backup.sh full",
    .help_chinese =
        "fengsuictl jobs [list|show|pause|resume|run]：jobs.yml 里的任务执行了吗？\n\n"
        "  list                     全部任务（默认）\n"
        "  show 任务                一个任务及最近几次执行\n"
        "  pause 任务、resume 任务  暂停与恢复；暂停期间不告警\n"
        "  run 任务 -- 命令……       执行命令，并替它报告开始、成功或失败，附退出码和用时；\n"
        "                           退出码就是命令的退出码；采集器没有应答时命令照样执行\n\n"
        "  --for 时长           pause：到时自动恢复；不给则一直暂停\n"
        "  --size-of 文件       run：成功时报告这个文件的大小\n"
        "  --patience 时长      run：结束时最多用多久把结果报上去（默认 15s）\n\n"
        "  fengsuictl jobs show db-backup\n"
        "  fengsuictl jobs pause db-backup --for 2h\n"
        "  fengsuictl jobs resume db-backup\n"
        "  fengsuictl jobs run db-backup --size-of /backup/full.dmp -- /opt/backup.sh full",
};
