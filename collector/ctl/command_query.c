/* command_query.c - a PromQL expression: a table for one time, a plot for a range. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/plot.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

#define PLOT_HEIGHT   14
#define DEFAULT_WIDTH 100

struct range_times {
    char *start, *end, *step;
};

static void print_one(const char *name, const json_t *point)
{
    const char *value = json_string_value(json_array_get(point, 1));
    char *visible = text_visible(value != NULL ? value : "");
    printf("%s%s%s\n", name, *name != '\0' ? "  " : "", visible != NULL ? visible : "");
    free(visible);
}

static void print_instant(const struct ctl *ctl, const json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    if (type == NULL || strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0) {
        print_one("", result);
        return;
    }
    if (json_array_size(result) == 0) {
        printf("%s\n", SAY(ctl, "no series", "没有序列"));
        return;
    }
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *series;
    table_init(&table, 3);
    table_row(&table, (const char *[]){SAY(ctl, "SERIES", "序列"), SAY(ctl, "VALUE", "值"),
                                       SAY(ctl, "TIME", "时间")});
    json_array_foreach(result, index, series)
    {
        const json_t *one = json_object_get(series, "value");
        const json_t *many = json_object_get(series, "values");
        size_t rows = one != NULL ? 1 : json_array_size(many);
        for (size_t i = 0; i < rows; i++) {
            const json_t *point = one != NULL ? one : json_array_get(many, i);
            double seconds = json_number_value(json_array_get(point, 0));
            table_row(&table,
                      (const char *[]){value_metric(&values, json_object_get(series, "metric")),
                                       json_string_value(json_array_get(point, 1)),
                                       value_time(&values, (int64_t)llround(seconds * 1000))});
        }
    }
    table_print(&table);
}

/* ---- plots ----------------------------------------------------------------------------- */

static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return DEFAULT_WIDTH;
}

static bool read_series(const json_t *from, struct plot_series *to)
{
    const json_t *values = json_object_get(from, "values");
    size_t count = json_array_size(values);
    int64_t *times = calloc(count + 1, sizeof *times);
    double *numbers = calloc(count + 1, sizeof *numbers);
    struct values texts = {.next = 0};
    to->name = strdup(value_metric(&texts, json_object_get(from, "metric")));
    to->times_ms = times;
    to->values = numbers;
    to->count = count;
    if (times == NULL || numbers == NULL || to->name == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *point = json_array_get(values, i);
        times[i] = llround(json_number_value(json_array_get(point, 0)) * 1000);
        numbers[i] = strtod(json_string_value(json_array_get(point, 1)), NULL);
    }
    return true;
}

static int64_t edge_ms(const char *text, int64_t fallback_ms)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    return *end == '\0' ? llround(seconds * 1000) : fallback_ms;
}

static void print_range(const struct ctl *ctl, const json_t *data,
                        const struct range_times *times)
{
    const json_t *result = json_object_get(data, "result");
    struct plot_series series[PLOT_SERIES_MAX] = {0};
    size_t total = json_array_size(result);
    size_t count = total < PLOT_SERIES_MAX ? total : PLOT_SERIES_MAX;
    if (total == 0) {
        printf("%s\n", SAY(ctl, "no series", "没有序列"));
        return;
    }
    bool is_fit = true;
    int64_t first_ms = INT64_MAX;
    int64_t last_ms = INT64_MIN;
    for (size_t i = 0; i < count && is_fit; i++) {
        is_fit = read_series(json_array_get(result, i), &series[i]);
        if (is_fit && series[i].count > 0) {
            first_ms = series[i].times_ms[0] < first_ms ? series[i].times_ms[0] : first_ms;
            int64_t last = series[i].times_ms[series[i].count - 1];
            last_ms = last > last_ms ? last : last_ms;
        }
    }
    if (is_fit)
        plot_print(series, count, edge_ms(times->start, first_ms), edge_ms(times->end, last_ms),
                   terminal_width(), PLOT_HEIGHT,
                   isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
    if (total > count)
        printf(SAY(ctl, "  ... and %zu more series; narrow the query to see them\n",
                   "  …… 另有 %zu 条序列未画出，请缩小查询范围\n"),
               total - count);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)series[i].name);
        free((void *)(uintptr_t)series[i].times_ms);
        free((void *)(uintptr_t)series[i].values);
    }
}

/* ---- what it cost ---------------------------------------------------------------------- */

static const char *in_ms(char text[32], const json_t *part, const char *key)
{
    snprintf(text, 32, "%.3f ms", json_number_value(json_object_get(part, key)) * 1e3);
    return text;
}

static void print_explained(const struct ctl *ctl, const json_t *data)
{
    struct values values = {.next = 0};
    struct table table;
    size_t index;
    json_t *part;
    table_init(&table, 7);
    table_row(&table, (const char *[]){SAY(ctl, "PART", "部分"), SAY(ctl, "STEPS", "步数"),
                                       SAY(ctl, "SERIES", "序列"), SAY(ctl, "SAMPLES", "样本"),
                                       SAY(ctl, "CHUNKS", "数据块"), SAY(ctl, "TIME", "用时"),
                                       SAY(ctl, "OF IT ITS OWN", "其中自身")});
    json_array_foreach(json_object_get(data, "explain"), index, part)
    {
        char all[32];
        char own[32];
        char *indented = NULL;
        const char *text = json_string_value(json_object_get(part, "expression"));
        if (asprintf(&indented, "%*s%s", 2 * (int)value_integer(part, "depth"), "",
                     text != NULL ? text : "") < 0)
            indented = NULL;
        table_row(&table, (const char *[]){indented != NULL ? indented : "",
                                           value_text(&values, part, "steps"),
                                           value_text(&values, part, "series"),
                                           value_text(&values, part, "samples"),
                                           value_text(&values, part, "chunks"),
                                           in_ms(all, part, "seconds"),
                                           in_ms(own, part, "ownSeconds")});
        free(indented);
    }
    table_print(&table);
}

static int query_range(const struct ctl *ctl, const char *expression,
                       const struct range_times *times, bool explains)
{
    json_t *data = NULL;
    const struct parameter parameters[] = {{"query", expression},
                                           {"start", times->start},
                                           {"end", times->end},
                                           {"step", times->step},
                                           {"explain", explains ? "1" : NULL}};
    int code = client_get(ctl, "/api/v1/query_range", parameters, 5, &data);
    if (data != NULL && explains)
        print_explained(ctl, data);
    else if (data != NULL)
        print_range(ctl, data, times);
    json_decref(data);
    return code;
}

/* A step that gives the plot about two points a cell. */
static char *default_step(const char *start, const char *end, int64_t now_ms)
{
    char *step = NULL;
    double seconds = (double)(edge_ms(end, now_ms) - edge_ms(start, now_ms - 3600000)) / 1000;
    double wanted = seconds / (double)(2 * terminal_width());
    if (asprintf(&step, "%.0f", wanted < 1 ? 1 : ceil(wanted)) < 0)
        return NULL;
    return step;
}

static int query_instant(const struct ctl *ctl, const char *expression, const char *time,
                         int64_t now_ms, bool explains)
{
    char *at = time != NULL ? args_time(time, now_ms) : NULL;
    json_t *data = NULL;
    const struct parameter parameters[] = {
        {"query", expression}, {"time", at}, {"explain", explains ? "1" : NULL}};
    int code = client_get(ctl, "/api/v1/query", parameters, 3, &data);
    if (data != NULL && explains)
        print_explained(ctl, data);
    else if (data != NULL)
        print_instant(ctl, data);
    json_decref(data);
    free(at);
    return code;
}

static int run_query(struct ctl *ctl, int count, char **arguments)
{
    const char *start = NULL;
    const char *end = NULL;
    const char *step = NULL;
    const char *range = NULL;
    const char *time = NULL;
    bool explains = false;
    int left = 0;
    const struct flag flags[] = {{"--start", FLAG_TEXT, &start}, {"--end", FLAG_TEXT, &end},
                                 {"--step", FLAG_TEXT, &step},   {"--range", FLAG_TEXT, &range},
                                 {"--time", FLAG_TEXT, &time},   {"--explain", FLAG_BOOL, &explains}};
    int code = args_parse(ctl, &command_query, count, arguments, flags, 6, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left != 1) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "query takes one expression (quote it for the shell)",
                    "query 需要一个表达式（请加引号）"));
        return EXIT_USAGE;
    }
    int64_t now_ms = clock_unix_ms(&clock_system);
    if (start == NULL && range == NULL)
        return query_instant(ctl, arguments[0], time, now_ms, explains);
    char now[32];
    snprintf(now, sizeof now, "%" PRId64 ".%03d", now_ms / 1000, (int)(now_ms % 1000));
    struct range_times times = {
        .start = args_time(start != NULL ? start : range, now_ms),
        .end = end != NULL ? args_time(end, now_ms) : strdup(now),
    };
    times.step = step != NULL ? strdup(step) : default_step(times.start, times.end, now_ms);
    code = query_range(ctl, arguments[0], &times, explains);
    free(times.start);
    free(times.end);
    free(times.step);
    return code;
}

const struct command command_query = {
    .name = "query",
    .run = run_query,
    .summary_english = "a PromQL expression, as a table or a plot",
    .summary_chinese = "执行 PromQL，表格或曲线",
    .help_english =
        "fengsuictl query EXPRESSION: its value now, or over a range as a plot.\n\n"
        "  fengsuictl query 'up'\n"
        "  fengsuictl query 'node_load1' --time 1h            one hour ago\n"
        "  fengsuictl query 'sum(rate(node_cpu_seconds_total{mode!=\"idle\"}[1m]))' --range 6h\n"
        "  fengsuictl query 'node_load1' --start 2h --end 1h --step 30s --json\n\n"
        "  --time T       instant: Unix seconds, RFC 3339, or a duration ago\n"
        "  --range D      from that long ago until now\n"
        "  --start T --end T --step D\n"
        "  --explain      instead of the value: what each part of the expression read and took",
    .help_chinese =
        "fengsuictl query 表达式：当前值，或一段时间的曲线。\n\n"
        "  fengsuictl query 'up'\n"
        "  fengsuictl query 'node_load1' --time 1h            一小时前\n"
        "  fengsuictl query 'sum(rate(node_cpu_seconds_total{mode!=\"idle\"}[1m]))' --range 6h\n"
        "  fengsuictl query 'node_load1' --start 2h --end 1h --step 30s --json\n\n"
        "  --time T       时刻：Unix 秒、RFC 3339，或“多久以前”\n"
        "  --range D      从多久以前到现在\n"
        "  --start T --end T --step D\n"
        "  --explain      不显示值，而是表达式各部分读了多少数据、用了多少时间",
};
