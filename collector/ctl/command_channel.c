/* command_channel.c - does a receiver of alerting.yml hear us, and what became of what it was sent? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

#define PATH      "/api/fengsui/v1/channels/test"
#define LOG_PATH  "/api/fengsui/v1/notifications"
#define PAUSE_NS  200000000L
#define TURNS_MAX 450 /* a minute and a half: longer than any channel's own limit by default   \
                       */

static const char *state_text(const struct ctl *ctl, const char *state)
{
    if (strcmp(state, "accepted") == 0)
        return SAY(ctl, "accepted", "已接受");
    if (strcmp(state, "failed") == 0)
        return SAY(ctl, "failed", "失败");
    return SAY(ctl, "no answer yet", "尚无应答");
}

static int print_results(const struct ctl *ctl, const json_t *trial)
{
    struct table table;
    struct values values = {.next = 0};
    const json_t *rows = json_object_get(trial, "integrations");
    size_t index;
    json_t *row;
    int code = EXIT_FINE;

    table_init(&table, 4);
    table_row(&table, (const char *[]){SAY(ctl, "CHANNEL", "通道"), SAY(ctl, "RESULT", "结果"),
                                       SAY(ctl, "SECONDS", "秒"), SAY(ctl, "REASON", "原因")});
    json_array_foreach(rows, index, row)
    {
        char name[64];
        const char *state = value_text(&values, row, "state");
        (void)snprintf(name, sizeof name, "%s %" PRId64, value_text(&values, row, "channel"),
                       value_integer(row, "index"));
        table_row(&table, (const char *[]){name, state_text(ctl, state),
                                           value_text(&values, row, "seconds"),
                                           value_text(&values, row, "error")});
        if (strcmp(state, "accepted") != 0)
            code = EXIT_FAILED;
    }
    table_print(&table);
    return code;
}

/* Asks until every integration has answered.  With --json the last answer is printed whole. */
static int wait_for_results(const struct ctl *ctl, const char *number, json_t **ret_trial)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct ctl quiet = *ctl;
    const struct parameter parameters[] = {{"number", number}};

    quiet.json = false;
    for (int turn = 0;; turn++) {
        int code = client_get(&quiet, PATH, parameters, 1, ret_trial);
        if (code != EXIT_FINE || turn == TURNS_MAX ||
            json_is_true(json_object_get(*ret_trial, "done")))
            return code;
        json_decref(*ret_trial);
        *ret_trial = NULL;
        (void)nanosleep(&pause, NULL);
    }
}

static int test(const struct ctl *ctl, const char *receiver)
{
    struct ctl quiet = *ctl;
    json_t *body = json_pack("{s:s}", "receiver", receiver), *data = NULL, *trial = NULL;
    char number[32];
    int code;

    quiet.json = false;
    code = client_post(&quiet, PATH, body, &data);
    json_decref(body);
    if (code != EXIT_FINE)
        return code;
    (void)snprintf(number, sizeof number, "%" PRId64, value_integer(data, "number"));
    json_decref(data);
    code = wait_for_results(ctl, number, &trial);
    if (code == EXIT_FINE && ctl->json) {
        json_t *answer = json_pack("{s:s,s:O}", "status", "success", "data", trial);
        (void)json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
    } else if (code == EXIT_FINE && json_is_false(json_object_get(trial, "known"))) {
        fprintf(stderr, "fengsuictl: %s: %s\n", receiver,
                SAY(ctl, "alerting.yml has no receiver of that name",
                    "alerting.yml 里没有这个接收者"));
        code = EXIT_FAILED;
    } else if (code == EXIT_FINE &&
               json_array_size(json_object_get(trial, "integrations")) == 0) {
        fprintf(stderr, "fengsuictl: %s: %s\n", receiver,
                SAY(ctl, "this receiver has no channel: nobody is told",
                    "这个接收者没有任何通道：不会通知任何人"));
        code = EXIT_FAILED;
    } else if (code == EXIT_FINE) {
        code = print_results(ctl, trial);
    }
    json_decref(trial);
    return code;
}

/* ---- what was sent ----------------------------------------------------------------------- */

static const char *ledger_state(const struct ctl *ctl, const json_t *row)
{
    static const struct {
        const char *state, *chinese;
    } words[] = {{"queued", "待发"}, {"accepted", "已接受"}, {"delivered", "已送达"},
                 {"failed", "失败"}, {"fallback", "已换途径"}};
    const char *state = json_string_value(json_object_get(row, "state"));
    if (state == NULL)
        return "";
    for (size_t i = 0; ctl->chinese && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].state, state) == 0)
            return words[i].chinese;
    return state;
}

static void print_log(const struct ctl *ctl, const json_t *rows)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;

    if (json_array_size(rows) == 0) {
        printf("%s\n", SAY(ctl, "nothing was sent", "没有发送过消息"));
        return;
    }
    table_init(&table, 7);
    table_row(&table,
              (const char *[]){SAY(ctl, "MADE", "产生"), SAY(ctl, "RECEIVER", "接收者"),
                               SAY(ctl, "CHANNEL", "通道"), SAY(ctl, "STATE", "状态"),
                               SAY(ctl, "TRIES", "次数"), SAY(ctl, "SETTLED", "了结"),
                               SAY(ctl, "REASON", "原因")});
    json_array_foreach(rows, index, row)
    {
        char name[64];
        (void)snprintf(name, sizeof name, "%.40s %" PRId64, value_text(&values, row, "channel"),
                       value_integer(row, "index"));
        table_row(&table, (const char *[]){value_time(&values, value_integer(row, "createdMs")),
                                           value_text(&values, row, "receiver"), name,
                                           ledger_state(ctl, row),
                                           value_text(&values, row, "attempts"),
                                           value_time(&values, value_integer(row, "settledMs")),
                                           value_text(&values, row, "reason")});
    }
    table_print(&table);
}

static int show_log(const struct ctl *ctl, const char *receiver)
{
    const struct parameter parameters[] = {{"receiver", receiver}};
    json_t *data = NULL;
    int code = client_get(ctl, LOG_PATH, parameters, receiver != NULL ? 1 : 0, &data);
    if (data != NULL)
        print_log(ctl, json_object_get(data, "notifications"));
    json_decref(data);
    return code;
}

static int run(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"test", "log"};
    int left = 0, code = args_parse(ctl, &command_channel, count, arguments, NULL, 0, &left);
    if (code != 0)
        return code < 0 ? EXIT_FINE : code;
    if (left >= 1 && left <= 2 && strcmp(arguments[0], "log") == 0)
        return show_log(ctl, left == 2 ? arguments[1] : NULL);
    if (left < 1 || strcmp(arguments[0], "test") != 0)
        return args_unknown(ctl, SAY(ctl, "verb", "动词"), left < 1 ? "" : arguments[0], verbs,
                            2);
    if (left != 2) {
        fprintf(stderr, "fengsuictl channel test: %s\n",
                SAY(ctl, "name one receiver", "请给出一个接收者的名字"));
        return EXIT_USAGE;
    }
    return test(ctl, arguments[1]);
}

const struct command command_channel = {
    .name = "channel",
    .run = run,
    .summary_english = "try a receiver's channels, see what became of messages",
    .summary_chinese = "测试接收者的通道，查看消息的去向",
    .help_english =
        "fengsuictl channel test RECEIVER: does it hear us?\n"
        "fengsuictl channel log [RECEIVER]: what became of what was sent?\n\n"
        "test sends a message that says it is a test to every channel of a receiver of\n"
        "alerting.yml, at once and past all routes and silences, and waits for each\n"
        "channel's answer.  Exit code 1 if any of them failed.\n\n"
        "log shows the last hundred messages, the newest first: queued (owed), accepted\n"
        "by the service, delivered (its receipt says so), failed, or fallback: told another\n"
        "way; and why.\n\n"
        "  fengsuictl channel test duty\n"
        "  fengsuictl channel test duty --json\n"
        "  fengsuictl channel log duty",
    .help_chinese = "fengsuictl channel test 接收者：通道是否畅通？\n"
                    "fengsuictl channel log [接收者]：发出的消息怎么样了？\n\n"
                    "test 向 alerting.yml 中某个接收者的每个通道立即发送一条标明“测试”的消息，\n"
                    "不经过路由和静默，并等待每个通道的应答。任何一个失败则退出码为 1。\n\n"
                    "log 列出最近一百条消息，新的在前：待发、已接受（服务方收下）、已送达\n"
                    "（回执为证）、失败或已换途径，以及原因。\n\n"
                    "  fengsuictl channel test duty\n"
                    "  fengsuictl channel test duty --json\n"
                    "  fengsuictl channel log duty",
};
