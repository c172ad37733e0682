/* command_test.c - unit tests of rule files, before they wake anybody. */
#include <stdio.h>
#include <string.h>

#include "collector/ctl/ctl.h"
#include "collector/ruletest/run.h"

struct totals {
    size_t tests, failed, unreadable;
};

static void print_json(const char *path, const struct rule_test_counts *counts,
                       const char *report)
{
    json_t *row =
        json_pack("{s:s,s:I,s:I,s:s}", "file", path, "tests", (json_int_t)counts->tests,
                  "failed", (json_int_t)counts->failed, "report", report);
    (void)json_dumpf(row, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(row);
}

static void test_file(const struct ctl *ctl, const char *path, struct totals *totals)
{
    struct buf report = {0};
    struct rule_test_counts counts;
    struct diagnosis why = {0};

    if (rule_test_run(path, &report, &counts, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        totals->unreadable++;
    } else if (ctl->json) {
        print_json(path, &counts, buf_text(&report));
    } else {
        if (report.size > 0)
            fputs(buf_text(&report), stdout);
        printf(SAY(ctl, "%s: %zu tests, %zu failed\n", "%s：%zu 个测试，%zu 个失败\n"), path,
               counts.tests, counts.failed);
    }
    totals->tests += counts.tests;
    totals->failed += counts.failed;
    buf_done(&report);
}

static int run(struct ctl *ctl, int count, char **arguments)
{
    static const char *const kinds[] = {"rules"};
    struct totals totals = {0};
    int left = 0, code = args_parse(ctl, &command_test, count, arguments, NULL, 0, &left);

    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left < 1 || strcmp(arguments[0], "rules") != 0)
        return args_unknown(ctl, SAY(ctl, "kind of test", "测试种类"),
                            left < 1 ? "" : arguments[0], kinds, 1);
    if (left < 2) {
        fprintf(stderr, "fengsuictl test rules: %s\n",
                SAY(ctl, "name at least one file of tests", "请给出至少一个测试文件"));
        return EXIT_USAGE;
    }
    for (int i = 1; i < left; i++)
        test_file(ctl, arguments[i], &totals);
    if (totals.unreadable > 0)
        return EXIT_USAGE;
    return totals.failed > 0 ? EXIT_FAILED : EXIT_FINE;
}

const struct command command_test = {
    .name = "test",
    .run = run,
    .summary_english = "run unit tests of rule files",
    .summary_chinese = "运行规则文件的单元测试",
    .help_english =
        "fengsuictl test rules FILE...: unit tests of rules, in promtool's format.\n\n"
        "A test gives samples and says which alerts fire when, with which labels and texts,\n"
        "and what expressions yield.  The collector's own evaluation runs them; no collector\n"
        "is asked, nobody is notified.  Exit code 1 if a test fails, 2 if a file is unfit.\n\n"
        "  fengsuictl test rules tests/host_test.yml\n"
        "  fengsuictl test rules /etc/fengsui/rules/tests/*.yml --json",
    .help_chinese = "fengsuictl test rules 文件…：规则的单元测试，格式与 promtool 相同。\n\n"
                    "测试给出样本，说明何时触发哪些告警、标签和文字是什么、表达式得到什么。\n"
                    "由采集器自己的求值代码运行，不连接采集器，也不通知任何人。\n"
                    "有测试失败时退出码为 1，文件有错时为 2。\n\n"
                    "  fengsuictl test rules tests/host_test.yml\n"
                    "  fengsuictl test rules /etc/fengsui/rules/tests/*.yml --json",
};
