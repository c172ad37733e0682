/* command_duty.c - who is on duty, swaps, and what duty.yml is fed with. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ctl/duty_parts.h"
#include "collector/ctl/duty_simulate.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

#define SWAP_PATH  "/api/fengsui/v1/duty/swap"
#define SWAPS_PATH "/api/fengsui/v1/duty/swaps"

struct duty_flags {
    const char *at, *alert, *from, *to, *reason, *instead_of, *by, *file, *handover;
    bool write;
};

/* ---- swaps ------------------------------------------------------------------------------- */

static int list_swaps(const struct ctl *ctl)
{
    struct table table;
    struct values values = {.next = 0};
    json_t *data = NULL, *swap;
    size_t index;
    int code = client_get(ctl, SWAPS_PATH, NULL, 0, &data);

    if (data == NULL)
        return code;
    table_init(&table, 7);
    table_row(&table, (const char *[]){SAY(ctl, "NUMBER", "编号"), SAY(ctl, "ROSTER", "值班表"),
                                       SAY(ctl, "FROM", "从"), SAY(ctl, "TO", "至"),
                                       SAY(ctl, "PERSON", "替班人"), SAY(ctl, "BY", "登记人"),
                                       SAY(ctl, "REASON", "原因")});
    json_array_foreach(data, index, swap)
    {
        char from[CIVIL_TEXT_BYTES], to[CIVIL_TEXT_BYTES];
        table_row(&table,
                  (const char *[]){
                      value_text(&values, swap, "number"), value_text(&values, swap, "roster"),
                      duty_time(swap, "fromMs", from), duty_time(swap, "toMs", to),
                      value_text(&values, swap, "person"), value_text(&values, swap, "by"),
                      value_text(&values, swap, "reason")});
    }
    table_print(&table);
    json_decref(data);
    return code;
}

static int make_swap(const struct ctl *ctl, char **words, const struct duty_flags *flags)
{
    json_t *data = NULL;
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "roster", words[0], "from",
                             words[1], "to", words[2], "person", words[3], "reason",
                             flags->reason != NULL ? flags->reason : "", "instead_of",
                             flags->instead_of != NULL ? flags->instead_of : "", "by",
                             flags->by != NULL ? flags->by : "");
    int code = body == NULL ? EXIT_FAILED : client_post(ctl, SWAP_PATH, body, &data);
    if (data != NULL)
        printf(SAY(ctl,
                   "swap %" PRId64 " holds; `fengsuictl duty cancel %" PRId64
                   "` takes it back\n",
                   "替班 %" PRId64 " 已生效；fengsuictl duty cancel %" PRId64 " 可撤销\n"),
               value_integer(data, "number"), value_integer(data, "number"));
    json_decref(body);
    json_decref(data);
    return code;
}

static int cancel(const struct ctl *ctl, const char *number)
{
    char path[128];
    json_t *data = NULL;
    if (*number == '\0' || strspn(number, "0123456789") != strlen(number) ||
        strlen(number) > 18) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "duty cancel takes a swap's number (fengsuictl duty swaps)",
                    "duty cancel 需要替班编号（fengsuictl duty swaps 可查）"));
        return EXIT_USAGE;
    }
    (void)snprintf(path, sizeof path, SWAP_PATH "/%s", number);
    int code = client_delete(ctl, path, &data);
    if (code == EXIT_FINE && !ctl->json)
        printf(SAY(ctl, "swap %s is taken back\n", "替班 %s 已撤销\n"), number);
    json_decref(data);
    return code;
}

/* ---- the command ------------------------------------------------------------------------- */

static int wrong(const struct ctl *ctl)
{
    fprintf(stderr, "fengsuictl: %s\n",
            SAY(ctl, "wrong arguments; see fengsuictl duty --help",
                "参数不对，请看 fengsuictl duty --help"));
    return EXIT_USAGE;
}

static int run_verb(const struct ctl *ctl, const char *verb, char **words, int count,
                    const struct duty_flags *flags)
{
    static const char *const verbs[] = {"now",    "show",   "swap",  "swaps",
                                        "cancel", "import", "check", "simulate"};
    const char *file = flags->file != NULL ? flags->file : DUTY_FILE;
    if (strcmp(verb, "now") == 0 && count == 0) {
        char *at =
            flags->at == NULL ? NULL : args_time(flags->at, clock_unix_ms(&clock_system));
        int code = duty_now(ctl, at);
        free(at);
        return code;
    }
    if (strcmp(verb, "show") == 0 && count <= 1)
        return duty_show(
            ctl, &(struct duty_show){count == 1 ? words[0] : NULL, flags->from, flags->to});
    if (strcmp(verb, "swap") == 0 && count == 4)
        return make_swap(ctl, words, flags);
    if (strcmp(verb, "swaps") == 0 && count == 0)
        return list_swaps(ctl);
    if (strcmp(verb, "cancel") == 0 && count == 1)
        return cancel(ctl, words[0]);
    if (strcmp(verb, "import") == 0 && count == 1)
        return duty_import(ctl, words[0],
                           &(struct duty_import){file, flags->handover, flags->write});
    if (strcmp(verb, "check") == 0 && count <= 1)
        return duty_check(ctl, count == 1 ? words[0] : file);
    if (strcmp(verb, "simulate") == 0)
        return duty_simulate(ctl, flags->alert, flags->at, words, count);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i]) == 0)
            return wrong(ctl);
    return args_unknown(ctl, SAY(ctl, "action", "操作"), verb, verbs,
                        sizeof verbs / sizeof *verbs);
}

static int run_duty(struct ctl *ctl, int count, char **arguments)
{
    struct duty_flags in = {0};
    const struct flag flags[] = {
        {"--at", FLAG_TEXT, &in.at},       {"--from", FLAG_TEXT, &in.from},
        {"--to", FLAG_TEXT, &in.to},       {"--reason", FLAG_TEXT, &in.reason},
        {"--by", FLAG_TEXT, &in.by},       {"--instead-of", FLAG_TEXT, &in.instead_of},
        {"--file", FLAG_TEXT, &in.file},   {"--handover", FLAG_TEXT, &in.handover},
        {"--write", FLAG_BOOL, &in.write}, {"--alert", FLAG_TEXT, &in.alert},
    };
    int left = 0;
    int code = args_parse(ctl, &command_duty, count, arguments, flags,
                          sizeof flags / sizeof *flags, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    return run_verb(ctl, left > 0 ? arguments[0] : "now", arguments + 1,
                    left > 0 ? left - 1 : 0, &in);
}

const struct command command_duty = {
    .name = "duty",
    .run = run_duty,
    .summary_english = "who is on duty, when; swaps, holidays, rosters out of tables",
    .summary_chinese = "查值班、排班表、替班，导入节假日和值班表",
    .help_english =
        "fengsuictl duty: who is on duty.\n\n"
        "  fengsuictl duty now                            on duty now, until when, who is "
        "next\n"
        "  fengsuictl duty now --at '2027-02-06 03:00'    at another time\n"
        "  fengsuictl duty show primary --from 2026-12-28 --to 2027-01-04\n"
        "                                                 day by day (default: 7 days from "
        "now)\n"
        "  fengsuictl duty swap primary '2026-12-31 08:30' '2027-01-01 08:30' 1002 --reason "
        "leave\n"
        "                                                 1002 stands in; --instead-of ID: for "
        "one\n"
        "                                                 of several; --by NAME without users\n"
        "  fengsuictl duty swaps                          list them\n"
        "  fengsuictl duty cancel 3                       take one back\n"
        "  fengsuictl duty simulate --alert TooHot --at '2027-02-06 03:00' severity=critical\n"
        "                                                 who would be told of it, and when\n"
        "  fengsuictl duty check duty.yml                 is it fit, are 60 days covered?\n"
        "  fengsuictl duty import 2027.json --write       install a year's holidays\n"
        "  fengsuictl duty import table.csv --handover 08:30\n"
        "                                                 print a table as a layer or as "
        "overrides\n\n"
        "--file FILE is the duty.yml that import and check read (/etc/fengsui/duty.yml).",
    .help_chinese =
        "fengsuictl duty：谁在值班。\n\n"
        "  fengsuictl duty now                            现在谁在岗、到何时、下一班是谁\n"
        "  fengsuictl duty now --at '2027-02-06 03:00'    另一时刻\n"
        "  fengsuictl duty show primary --from 2026-12-28 --to 2027-01-04\n"
        "                                                 逐日显示（默认从现在起 7 天）\n"
        "  fengsuictl duty swap primary '2026-12-31 08:30' '2027-01-01 08:30' 1002 --reason "
        "请假\n"
        "                                                 由 1002 替班；多人同岗时用\n"
        "                                                 --instead-of 工号 指明替谁；\n"
        "                                                 没有用户时用 --by 姓名 登记\n"
        "  fengsuictl duty swaps                          列出替班\n"
        "  fengsuictl duty cancel 3                       撤销替班\n"
        "  fengsuictl duty simulate --alert TooHot --at '2027-02-06 03:00' severity=critical\n"
        "                                                 届时这条告警会在何时通知谁\n"
        "  fengsuictl duty check duty.yml                 检查文件，今后 60 天是否有空档\n"
        "  fengsuictl duty import 2027.json --write       安装某年的节假日文件\n"
        "  fengsuictl duty import table.csv --handover 08:30\n"
        "                                                 把值班表转成 YAML 的层或替班\n\n"
        "--file 文件：import 和 check 读取的 duty.yml（默认 /etc/fengsui/duty.yml）。",
};
