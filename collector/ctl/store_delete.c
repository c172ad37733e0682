/*
 * store_delete.c - see store_delete.h.
 *
 * Nothing that is deleted comes back, so what goes is shown before it goes, and without a
 * terminal to ask at, or --yes, nothing is done.
 */
#include "collector/ctl/store_delete.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ctl/care_show.h"
#include "collector/ctl/client_parts.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

#define DELETE_PATH  "/api/v1/admin/tsdb/delete_series"
#define CLEAN_PATH   "/api/v1/admin/tsdb/clean_tombstones"
#define PREVIEW_PATH "/api/fengsui/v1/store/delete/preview"
#define LIST_PATH    "/api/fengsui/v1/store/delete"

/* The parameters of both requests: the same selectors and the same instants. */
struct delete_request {
    struct parameter parameters[FLAG_LIST_MAX + 2];
    size_t count;
    char *from, *to;
};

static void request_of(const struct delete_options *options, struct delete_request *request)
{
    const int64_t now_ms = clock_unix_ms(&clock_system);
    *request = (struct delete_request){.count = 0};
    request->from = options->from != NULL ? args_time(options->from, now_ms) : NULL;
    request->to = options->to != NULL ? args_time(options->to, now_ms) : NULL;
    for (size_t i = 0; i < options->matches.count; i++)
        request->parameters[request->count++] =
            (struct parameter){"match[]", options->matches.items[i]};
    request->parameters[request->count++] = (struct parameter){"start", request->from};
    request->parameters[request->count++] = (struct parameter){"end", request->to};
}

static const char *second_of(struct values *values, const json_t *row, const char *key)
{
    const json_t *seconds = json_object_get(row, key);
    if (!json_is_number(seconds))
        return "-";
    return value_time(values, (int64_t)(json_number_value(seconds) * 1000));
}

/* ---- what it would be -------------------------------------------------------------------- */

static int64_t print_preview(const struct ctl *ctl, const json_t *data)
{
    struct table table;
    struct values values = {.next = 0};
    int64_t series = 0;
    size_t index;
    json_t *row;
    table_init(&table, 5);
    table_row(&table, (const char *[]){SAY(ctl, "SELECTOR", "选择器"), SAY(ctl, "SERIES", "序列"),
                                       SAY(ctl, "SAMPLES, ABOUT", "样本（约）"),
                                       SAY(ctl, "FIRST", "最早"), SAY(ctl, "LAST", "最晚")});
    json_array_foreach(json_object_get(data, "selectors"), index, row)
    {
        series += value_integer(row, "series");
        table_row(&table, (const char *[]){value_text(&values, row, "match"),
                                           value_text(&values, row, "series"),
                                           value_text(&values, row, "samples"),
                                           second_of(&values, row, "first"),
                                           second_of(&values, row, "last")});
    }
    table_print(&table);
    return series;
}

/* "yes", and nothing less: a y comes too easily. */
static bool is_confirmed(const struct ctl *ctl)
{
    char answer[16] = "";
    if (isatty(STDIN_FILENO) != 1) {
        client_complain(SAY(ctl, "nothing deleted: there is no terminal to ask at; use --yes",
                            "没有删除：没有终端可供确认，请使用 --yes"));
        return false;
    }
    fprintf(stderr, "%s", SAY(ctl, "Deleted samples do not come back.  Type yes to delete: ",
                              "删除后无法恢复。输入 yes 确认删除："));
    if (fgets(answer, sizeof answer, stdin) == NULL || strcmp(answer, "yes\n") != 0) {
        client_complain(SAY(ctl, "nothing deleted", "没有删除"));
        return false;
    }
    return true;
}

static int do_delete(const struct ctl *ctl, const struct delete_request *request)
{
    json_t *answer = NULL;
    struct ctl quiet = *ctl;
    quiet.json = false; /* the answer is empty */
    int code = client_bare(&quiet, "POST", DELETE_PATH, request->parameters, request->count,
                           NULL, &answer);
    json_decref(answer);
    if (code == EXIT_FINE && !ctl->json)
        printf("%s\n", SAY(ctl, "deleted; the room comes back as files are rewritten",
                           "已删除；文件重写后空间会释放"));
    return code;
}

int store_delete_run(const struct ctl *ctl, const struct delete_options *options)
{
    struct delete_request request;
    struct ctl quiet = *ctl;
    json_t *data = NULL;
    if (options->matches.count == 0) {
        client_complain(SAY(ctl, "say what to delete with --match SELECTOR",
                            "请用 --match 选择器 说明要删除什么"));
        return EXIT_USAGE;
    }
    request_of(options, &request);
    quiet.json = false;
    int code = client_get(&quiet, PREVIEW_PATH, request.parameters, request.count, &data);
    if (code == EXIT_FINE) {
        int64_t series = 0;
        if (ctl->json)
            care_print_json(data);
        else
            series = print_preview(ctl, data);
        if (!ctl->json && series == 0)
            printf("%s\n", SAY(ctl, "nothing to delete", "没有可删除的样本"));
        else if (options->yes || is_confirmed(ctl))
            code = do_delete(ctl, &request);
        else
            code = EXIT_FAILED;
    }
    json_decref(data);
    free(request.from);
    free(request.to);
    return code;
}

/* ---- those that wait ------------------------------------------------------------------------ */

/* job="x", name=~"a.*"; on the heap. */
static char *matchers_text(const json_t *matchers)
{
    char *text = strdup("");
    size_t index;
    json_t *matcher;
    json_array_foreach(matchers, index, matcher)
    {
        char *longer = NULL;
        if (text == NULL ||
            asprintf(&longer, "%s%s%s%s\"%s\"", text, index > 0 ? ", " : "",
                     json_string_value(json_object_get(matcher, "name")),
                     json_string_value(json_object_get(matcher, "type")),
                     json_string_value(json_object_get(matcher, "value"))) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static void print_deletes(const struct ctl *ctl, const json_t *data)
{
    struct table table;
    struct values values = {.next = 0};
    const json_t *deletes = json_object_get(data, "deletes");
    size_t index;
    json_t *row;
    if (json_array_size(deletes) == 0) {
        printf("%s\n", SAY(ctl, "all deletes are carried out", "所有删除都已完成"));
        return;
    }
    table_init(&table, 4);
    table_row(&table, (const char *[]){SAY(ctl, "DELETED", "删除时间"), SAY(ctl, "FROM", "起"),
                                       SAY(ctl, "TO", "止"), SAY(ctl, "MATCHERS", "匹配条件")});
    json_array_foreach(deletes, index, row)
    {
        char *matchers = matchers_text(json_object_get(row, "matchers"));
        table_row(&table, (const char *[]){value_instant(&values, row, "made"),
                                           second_of(&values, row, "start"),
                                           second_of(&values, row, "end"),
                                           matchers != NULL ? matchers : ""});
        free(matchers);
    }
    table_print(&table);
}

int store_deletes_list(const struct ctl *ctl)
{
    json_t *data = NULL;
    int code = client_get(ctl, LIST_PATH, NULL, 0, &data);
    if (data != NULL)
        print_deletes(ctl, data);
    json_decref(data);
    return code;
}

int store_clean_run(const struct ctl *ctl)
{
    json_t *answer = NULL;
    struct ctl quiet = *ctl;
    quiet.json = false;
    int code = client_bare(&quiet, "POST", CLEAN_PATH, NULL, 0, NULL, &answer);
    json_decref(answer);
    if (code == EXIT_FINE && !ctl->json)
        printf("%s\n", SAY(ctl, "history holds nothing that was deleted any more",
                           "历史文件中已不含被删除的样本"));
    return code;
}
