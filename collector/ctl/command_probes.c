/* command_probes.c - probes and their keys: list, approve, revoke, tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

struct keys_options {
    const char *job, *instance, *expires, *uses;
    struct flag_list labels;
};

static const char *state_text(const struct ctl *ctl, const char *state)
{
    static const char *const names[][2] = {{"up", "正常"},      {"silent", "失联"},
                                           {"waiting", "等待"}, {"pending", "待批准"},
                                           {"revoked", "已吊销"}, {"approved", "已批准"}};
    for (size_t i = 0; ctl->chinese && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], state) == 0)
            return names[i][1];
    }
    return state;
}

static void print_keys(const struct ctl *ctl, const json_t *rows)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;
    if (json_array_size(rows) == 0) {
        printf("%s\n", SAY(ctl, "none yet; a probe shows up here when it first connects",
                           "还没有；探针首次连接后会出现在这里"));
        return;
    }
    table_init(&table, 8);
    table_row(&table,
              (const char *[]){SAY(ctl, "STATE", "状态"), SAY(ctl, "INSTANCE", "主机"),
                               SAY(ctl, "JOB", "任务"), SAY(ctl, "LABELS", "标签"),
                               SAY(ctl, "SERIES", "序列"), SAY(ctl, "LATEST", "最新数据"),
                               SAY(ctl, "KEY", "公钥"), SAY(ctl, "NOTE", "备注")});
    json_array_foreach(rows, index, row)
    {
        table_row(&table,
                  (const char *[]){state_text(ctl, value_text(&values, row, "state")),
                                   value_text(&values, row, "instance"),
                                   value_text(&values, row, "job"),
                                   value_labels(&values, json_object_get(row, "labels")),
                                   value_text(&values, row, "series"),
                                   value_time(&values, value_integer(row, "lastTickMs")),
                                   value_text(&values, row, "key"),
                                   value_text(&values, row, "note")});
    }
    table_print(&table);
}

static int list(const struct ctl *ctl, const char *path)
{
    json_t *data = NULL;
    int code = client_get(ctl, path, NULL, 0, &data);
    if (data != NULL)
        print_keys(ctl, data);
    json_decref(data);
    return code;
}

static void set_text(json_t *body, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_new(body, name, json_string(text));
}

static int change(const struct ctl *ctl, const char *path, const char *key,
                  const struct keys_options *options, const char *done)
{
    json_t *labels = args_labels(ctl, &options->labels);
    if (labels == NULL)
        return EXIT_USAGE;
    json_t *body = json_object();
    set_text(body, "key", key);
    set_text(body, "job", options->job);
    set_text(body, "instance", options->instance);
    json_object_set_new(body, "labels", labels);
    json_t *data = NULL;
    int code = client_post(ctl, path, body, &data);
    if (data != NULL)
        printf("%s %s\n", done, key);
    json_decref(data);
    json_decref(body);
    return code;
}

static int new_token(const struct ctl *ctl, const struct keys_options *options)
{
    json_t *labels = args_labels(ctl, &options->labels);
    if (labels == NULL)
        return EXIT_USAGE;
    json_t *body = json_object();
    set_text(body, "expires", options->expires);
    if (options->uses != NULL)
        json_object_set_new(body, "uses", json_integer(strtoll(options->uses, NULL, 10)));
    json_object_set_new(body, "labels", labels);
    json_t *data = NULL;
    int code = client_post(ctl, "/api/fengsui/v1/keys/token", body, &data);
    if (data != NULL) {
        struct values values = {.next = 0};
        printf("%s\n", value_text(&values, data, "token"));
        fprintf(stderr, "%s %s\n", SAY(ctl, "valid until", "有效期至"),
                value_text(&values, data, "expires"));
    }
    json_decref(data);
    json_decref(body);
    return code;
}

static int dispatch(struct ctl *ctl, const struct command *command, const char *list_path,
                    int count, char **arguments)
{
    static const char *const verbs[] = {"list", "approve", "revoke", "token"};
    struct keys_options options = {0};
    int left = 0;
    const struct flag flags[] = {{"--job", FLAG_TEXT, &options.job},
                                 {"--instance", FLAG_TEXT, &options.instance},
                                 {"--label", FLAG_LIST, &options.labels},
                                 {"--expires", FLAG_TEXT, &options.expires},
                                 {"--uses", FLAG_TEXT, &options.uses}};
    int code = args_parse(ctl, command, count, arguments, flags, 5, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left > 0 ? arguments[0] : "list";
    if (strcmp(verb, "list") == 0 && left <= 1)
        return list(ctl, list_path);
    if (strcmp(verb, "approve") == 0 && left == 2)
        return change(ctl, "/api/fengsui/v1/keys/approve", arguments[1], &options,
                      SAY(ctl, "approved", "已批准"));
    if (strcmp(verb, "revoke") == 0 && left == 2)
        return change(ctl, "/api/fengsui/v1/keys/revoke", arguments[1], &options,
                      SAY(ctl, "revoked", "已吊销"));
    if (strcmp(verb, "token") == 0 && left == 2 && strcmp(arguments[1], "new") == 0)
        return new_token(ctl, &options);
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(verb, verbs[i]) == 0) {
            fprintf(stderr,
                    SAY(ctl, "fengsuictl: %s: wrong arguments; see fengsuictl %s --help\n",
                        "fengsuictl：%s 的参数不对，请看 fengsuictl %s --help\n"),
                    verb, command->name);
            return EXIT_USAGE;
        }
    }
    return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs, 4);
}

static int run_probes(struct ctl *ctl, int count, char **arguments)
{
    return dispatch(ctl, &command_probes, "/api/fengsui/v1/probes", count, arguments);
}

static int run_keys(struct ctl *ctl, int count, char **arguments)
{
    return dispatch(ctl, &command_keys, "/api/fengsui/v1/keys", count, arguments);
}

#define KEY_OPTIONS_ENGLISH                                                                    \
    "\n\n  --job NAME, --instance NAME   what approve calls the host, whatever it asks for\n"      \
    "  --label NAME=VALUE   of all its series, or what a token allows; may be given again\n"     \
    "  --expires D          how long a token is good\n"                                         \
    "  --uses N             how many probes a token lets in"
#define KEY_OPTIONS_CHINESE                                                                    \
    "\n\n  --job 名, --instance 名   批准时给主机定的名字，不管它请求什么\n"                          \
    "  --label 名=值   主机全部序列的标签，或令牌允许的标签；可多次给出\n"                             \
    "  --expires D     令牌的有效期\n"                                                            \
    "  --uses N        令牌能用于多少个探针"

const struct command command_probes = {
    .name = "probes",
    .run = run_probes,
    .summary_english = "hosts that report; let one in, shut one out",
    .summary_chinese = "列出、批准、吊销探针",
    .help_english =
        "fengsuictl probes: the hosts that report.\n\n"
        "  fengsuictl probes\n"
        "  fengsuictl probes approve KEY --instance web-01 --label site=unicom --label zone=gov\n"
        "  fengsuictl probes revoke KEY\n"
        "  fengsuictl probes token new --expires 24h --uses 10 --label site=zhongta\n\n"
        "KEY is what `fengsuictl keys` shows and the probe's probe.pub holds.  A token lets that\n"
        "many probes in without approval, with no labels but those it names (name= allows any\n"
        "value); it is printed once and kept by nobody." KEY_OPTIONS_ENGLISH,
    .help_chinese =
        "fengsuictl probes：上报数据的主机。\n\n"
        "  fengsuictl probes\n"
        "  fengsuictl probes approve KEY --instance web-01 --label site=unicom --label zone=gov\n"
        "  fengsuictl probes revoke KEY\n"
        "  fengsuictl probes token new --expires 24h --uses 10 --label site=zhongta\n\n"
        "KEY 见 fengsuictl keys，也在探针的 probe.pub 里。令牌可让相应数量的探针免批准接入，\n"
        "探针只能使用令牌列出的标签（名= 表示值不限）；令牌只显示这一次。" KEY_OPTIONS_CHINESE,
};

const struct command command_keys = {
    .name = "keys",
    .run = run_keys,
    .summary_english = "every key that ever knocked, pending ones too",
    .summary_chinese = "所有公钥，含待批准的",
    .help_english = "fengsuictl keys: every key that has connected: approved, pending, revoked.\n\n"
                    "  fengsuictl keys\n"
                    "  fengsuictl keys approve KEY --instance db-02\n"
                    "  fengsuictl keys revoke KEY" KEY_OPTIONS_ENGLISH,
    .help_chinese = "fengsuictl keys：所有连接过的公钥：已批准、待批准、已吊销。\n\n"
                    "  fengsuictl keys\n"
                    "  fengsuictl keys approve KEY --instance db-02\n"
                    "  fengsuictl keys revoke KEY" KEY_OPTIONS_CHINESE,
};
