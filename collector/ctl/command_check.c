/*
 * command_check.c - is a file fit, before anything is restarted.
 *
 * The collector's own --check reads the files, so that there is one judge: for rules and alerting
 * it is given a temporary configuration that names just them.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/ctl/check.h"
#include "collector/ctl/ctl.h"
#include "proto/base/buf.h"

#define COLLECTOR "fengsui-collector"

/* The collector beside us, else the one in PATH. */
static void collector_path(char path[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL && (size_t)(slash - path) + sizeof COLLECTOR + 1 < PATH_MAX)
        strcpy(slash + 1, COLLECTOR);
    if (slash == NULL || access(path, X_OK) != 0)
        strcpy(path, COLLECTOR);
}

int check_config(const char *config, bool quiet)
{
    char path[PATH_MAX];
    collector_path(path);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (quiet && freopen("/dev/null", "w", stdout) == NULL)
            _exit(EXIT_FAILED);
        execlp(path, COLLECTOR, "--check", "--config", config, (char *)NULL);
        fprintf(stderr, "fengsuictl: %s: %s\n", path, strerror(errno));
        _exit(EXIT_FAILED);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static void put_yaml_text(struct buf *out, const char *text)
{
    buf_put_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_put_char(out, '\\');
        buf_put_char(out, *text);
    }
    buf_put_char(out, '"');
}

/* A configuration of nothing but these files. */
static int write_config(const struct ctl *ctl, const char *kind, char *const *files, int count,
                        struct buf *out)
{
    bool is_rules = strcmp(kind, "rules") == 0;
    buf_printf(out, is_rules ? "%s:\n  files:\n" : "%s: ", kind);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        if (realpath(files[i], path) == NULL) {
            fprintf(stderr, SAY(ctl, "fengsuictl: %s: %s\n", "fengsuictl：%s：%s\n"), files[i],
                    strerror(errno));
            return EXIT_USAGE;
        }
        if (is_rules)
            buf_put_text(out, "    - ");
        put_yaml_text(out, path);
        buf_put_char(out, '\n');
    }
    return buf_ok(out) ? EXIT_FINE : EXIT_FAILED;
}

static int check_files(const struct ctl *ctl, const char *kind, char *const *files, int count)
{
    struct buf text = {0};
    int code = write_config(ctl, kind, files, count, &text);
    char path[] = "/tmp/fengsuictl-check.XXXXXX";
    int fd = code == EXIT_FINE ? mkstemp(path) : -1;
    if (code == EXIT_FINE && fd < 0)
        code = EXIT_FAILED;
    if (code == EXIT_FINE && write(fd, text.data, text.size) != (ssize_t)text.size)
        code = EXIT_FAILED;
    if (code == EXIT_FINE)
        code = check_config(path, false);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    buf_done(&text);
    return code;
}

static int say_fine(const struct ctl *ctl, int code)
{
    if (code == EXIT_FINE)
        printf("%s\n", SAY(ctl, "fine", "没有问题"));
    return code;
}

int check_policy(const struct ctl *ctl, char *file)
{
    return say_fine(ctl, check_files(ctl, "policy", &file, 1));
}

static int run_check(struct ctl *ctl, int count, char **arguments)
{
    static const char *const kinds[] = {"config", "rules", "alerting", "policy",
                                        "consequences"};
    bool exit_code = false;
    const struct flag flags[] = {{"--exit-code", FLAG_BOOL, &exit_code}};
    int left = 0;
    int code = args_parse(ctl, &command_check, count, arguments, flags, 1, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *kind = left > 0 ? arguments[0] : "";
    bool is_rules = strcmp(kind, "rules") == 0;
    bool is_known = false;
    for (size_t i = 0; i < 5; i++)
        is_known |= strcmp(kind, kinds[i]) == 0;
    if (!is_known)
        return args_unknown(ctl, SAY(ctl, "kind of file", "文件种类"), kind, kinds, 5);
    if (left < 2 || (!is_rules && left > 2)) {
        fprintf(stderr, SAY(ctl, "fengsuictl: check %s: name %s\n", "fengsuictl：check %s 需要%s\n"),
                kind,
                is_rules ? SAY(ctl, "at least one file", "至少一个文件")
                         : SAY(ctl, "one file", "一个文件"));
        return EXIT_USAGE;
    }
    if (strcmp(kind, "consequences") == 0)
        return check_consequences(ctl, arguments[1], exit_code);
    if (strcmp(kind, "config") == 0)
        code = check_config(arguments[1], false);
    else
        code = check_files(ctl, kind, arguments + 1, left - 1);
    return say_fine(ctl, code);
}

const struct command command_check = {
    .name = "check",
    .run = run_check,
    .summary_english = "are files fit, and what would they change",
    .summary_chinese = "检查配置、规则、告警路由、策略文件，及其后果",
    .help_english = "fengsuictl check config|alerting|policy FILE, check rules FILE...: reads the "
                    "files as the\ncollector would, and names file, line and reason of the first error.  "
                    "Exit code 2\nif one is unfit.  Nothing is sent anywhere.\n\n"
                    "  fengsuictl check config /etc/fengsui/collector.yml\n"
                    "  fengsuictl check rules /etc/fengsui/rules/*.yml\n"
                    "  fengsuictl check alerting alerting.yml\n"
                    "  fengsuictl check consequences /etc/fengsui/collector.yml\n\n"
                    "consequences compares a collector.yml and the files it names with what the collector\n"
                    "has in force: rules that come, go or change and the alerts that would end or begin\n"
                    "anew; alerts that would be told to others, or again; channels that go, and messages\n"
                    "still owed to them; silences that no rule could meet; alerts of now and of the last\n"
                    "7 days that would be inhibited, muted by the time, or told at other times; who else\n"
                    "would be on duty in the next 30 days.  Nothing is changed.\n"
                    "  --exit-code      exit code 1 if there are any",
    .help_chinese = "fengsuictl check config|alerting|policy 文件，check rules 文件…：按采集器的规则读取文件，\n"
                    "指出第一个错误的文件、行、原因；有错时退出码为 2。\n\n"
                    "  fengsuictl check config /etc/fengsui/collector.yml\n"
                    "  fengsuictl check rules /etc/fengsui/rules/*.yml\n"
                    "  fengsuictl check alerting alerting.yml\n"
                    "  fengsuictl check consequences /etc/fengsui/collector.yml\n\n"
                    "consequences 把 collector.yml 及其引用的文件与采集器正在使用的配置比较：增加、删除、修改的\n"
                    "规则，会结束或重新计时的告警；改为通知别人、或再次通知的告警；取消的渠道及其尚未送达的通知；\n"
                    "不会再匹配任何规则的静默；现在和最近 7 天的告警中会被抑制、会因时段静音、或通知时间改变的；\n"
                    "未来 30 天值班人的变化。不做任何改动。\n"
                    "  --exit-code      有影响时退出码为 1",
};
