/*
 * command_logs.c - lines of log files, and --follow.
 *
 * Following asks again every second, from a little before the newest line seen (backlog arrives
 * late), and leaves out lines already shown: a line is (instance, file, offset).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

#define OVERLAP_MS     15000
#define FOLLOW_LIMIT   "10000"

struct logs_options {
    const char *instance, *path, *contains, *severity, *since, *until, *limit;
    bool follow;
};

static void print_line(const json_t *line)
{
    struct values values = {.next = 0};
    char *text = text_visible(value_text(&values, line, "text"));
    const char *severity = value_text(&values, line, "severity");
    int64_t ms = value_integer(line, "timeMs");
    printf("%s.%03d %s %s%s%s %s\n", value_time(&values, ms), (int)(ms % 1000),
           value_text(&values, line, "instance"), value_text(&values, line, "path"),
           *severity != '\0' ? " " : "", severity, text != NULL ? text : "");
    free(text);
}

static int ask(const struct ctl *ctl, const struct logs_options *options, const char *start,
               const char *end, const char *limit, const char *direction, json_t **ret_data)
{
    const struct parameter parameters[] = {
        {"instance", options->instance}, {"path", options->path},
        {"contains", options->contains}, {"severity", options->severity},
        {"start", start},                {"end", end},
        {"limit", limit},                {"direction", direction}};
    return client_get(ctl, "/api/fengsui/v1/logs", parameters, 8, ret_data);
}

/* The newest `limit` lines, oldest of them first, as one reads. */
static int show(const struct ctl *ctl, const struct logs_options *options, const char *start,
                const char *end)
{
    json_t *data = NULL;
    int code = ask(ctl, options, start, end, options->limit, "backward", &data);
    const json_t *lines = json_object_get(data, "lines");
    for (size_t i = json_array_size(lines); i-- > 0;)
        print_line(json_array_get(lines, i));
    json_decref(data);
    return code;
}

/* Prints what `seen` does not hold, and remembers it.  Returns the newest time. */
static int64_t show_new(const json_t *lines, json_t *seen, int64_t newest_ms)
{
    size_t index;
    json_t *line;
    json_array_foreach(lines, index, line)
    {
        char name[512];
        struct values values = {.next = 0};
        int64_t ms = value_integer(line, "timeMs");
        snprintf(name, sizeof name, "%s/%s/%" PRId64, value_text(&values, line, "instance"),
                 value_text(&values, line, "file"), value_integer(line, "offset"));
        if (json_object_get(seen, name) != NULL)
            continue;
        json_object_set_new(seen, name, json_integer(ms));
        print_line(line);
        newest_ms = ms > newest_ms ? ms : newest_ms;
    }
    fflush(stdout);
    return newest_ms;
}

static void forget_old(json_t *seen, int64_t before_ms)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(seen, next, name, value)
    {
        if (json_integer_value(value) < before_ms)
            json_object_del(seen, name);
    }
}

static int follow(const struct ctl *ctl, const struct logs_options *options, int64_t now_ms)
{
    json_t *seen = json_object();
    int64_t newest_ms = now_ms;
    int code = EXIT_FINE;
    while (code == EXIT_FINE) {
        char start[32];
        json_t *data = NULL;
        int64_t from_ms = newest_ms - OVERLAP_MS;
        snprintf(start, sizeof start, "%" PRId64 ".%03d", from_ms / 1000,
                 (int)(from_ms % 1000));
        code = ask(ctl, options, start, NULL, FOLLOW_LIMIT, "forward", &data);
        newest_ms = show_new(json_object_get(data, "lines"), seen, newest_ms);
        forget_old(seen, newest_ms - 2 * OVERLAP_MS);
        json_decref(data);
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    json_decref(seen);
    return code;
}

static int run_logs(struct ctl *ctl, int count, char **arguments)
{
    struct logs_options options = {.since = "1h", .limit = "100"};
    int left = 0;
    const struct flag flags[] = {
        {"--instance", FLAG_TEXT, &options.instance}, {"--path", FLAG_TEXT, &options.path},
        {"--grep", FLAG_TEXT, &options.contains},     {"--severity", FLAG_TEXT, &options.severity},
        {"--since", FLAG_TEXT, &options.since},       {"--until", FLAG_TEXT, &options.until},
        {"--limit", FLAG_TEXT, &options.limit},       {"--follow", FLAG_BOOL, &options.follow},
        {"-f", FLAG_BOOL, &options.follow}};
    int code = args_parse(ctl, &command_logs, count, arguments, flags, 9, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left > 1) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "logs takes one host at most", "logs 最多指定一台主机"));
        return EXIT_USAGE;
    }
    if (left == 1)
        options.instance = arguments[0];
    int64_t now_ms = clock_unix_ms(&clock_system);
    if (options.follow)
        return follow(ctl, &options, now_ms);
    char *start = args_time(options.since, now_ms);
    char *end = options.until != NULL ? args_time(options.until, now_ms) : NULL;
    code = show(ctl, &options, start, end);
    free(start);
    free(end);
    return code;
}

const struct command command_logs = {
    .name = "logs",
    .run = run_logs,
    .summary_english = "lines of log files, searched or followed",
    .summary_chinese = "检索或跟踪日志",
    .help_english =
        "fengsuictl logs [HOST]: lines of tailed log files, oldest first.\n\n"
        "  fengsuictl logs web-01 --since 10m\n"
        "  fengsuictl logs --grep 'ORA-[0-9]+' --severity err --since 1d --limit 500\n"
        "  fengsuictl logs db-02 --path '/u01/*alert*.log' --follow\n\n"
        "  --instance HOST  the same as HOST\n"
        "  --path GLOB      files by name\n"
        "  --grep REGEX     lines that hold a match\n"
        "  --severity S     this or worse: emerg alert crit err warning notice info debug\n"
        "  --since T --until T   Unix seconds, RFC 3339, or a duration ago (default 1h)\n"
        "  --limit N        newest N lines (default 100)\n"
        "  --follow, -f     go on until interrupted",
    .help_chinese =
        "fengsuictl logs [主机]：采集到的日志行，旧的在前。\n\n"
        "  fengsuictl logs web-01 --since 10m\n"
        "  fengsuictl logs --grep 'ORA-[0-9]+' --severity err --since 1d --limit 500\n"
        "  fengsuictl logs db-02 --path '/u01/*alert*.log' --follow\n\n"
        "  --instance HOST  与直接写主机名相同\n"
        "  --path GLOB      按文件名\n"
        "  --grep REGEX     含有匹配的行\n"
        "  --severity S     此级别及更严重：emerg alert crit err warning notice info debug\n"
        "  --since T --until T   Unix 秒、RFC 3339，或“多久以前”（默认 1h）\n"
        "  --limit N        最新 N 行（默认 100）\n"
        "  --follow, -f     持续跟踪，直到中断",
};
