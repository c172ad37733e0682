/* command_backup.c - a backup of the collector's data, made by it while it runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ctl/care_show.h"
#include "collector/ctl/client_parts.h"
#include "collector/ctl/ctl.h"
#include "collector/ctl/values.h"

#define PATH "/api/fengsui/v1/store/backup"

/* ---- backup ------------------------------------------------------------------------------ */

/* The collector has a working folder of its own: it is given the whole path. */
static char *absolute(const char *directory)
{
    char *path = NULL;
    char *here = *directory == '/' ? NULL : getcwd(NULL, 0);
    if (*directory == '/')
        path = strdup(directory);
    else if (here == NULL || asprintf(&path, "%s/%s", here, directory) < 0)
        path = NULL;
    free(here);
    return path;
}

static int tell_backup(const struct ctl *ctl, const json_t *data)
{
    struct values values = {.next = 0};
    const char *state = value_text(&values, data, "state");
    care_tell_found(ctl, data);
    if (strcmp(state, "done") != 0) {
        const char *error = value_text(&values, data, "error");
        client_complain(strcmp(state, "cancelled") == 0
                            ? SAY(ctl, "it was broken off; nothing is left of it",
                                  "备份已中止，没有留下任何文件")
                            : error);
        return EXIT_FAILED;
    }
    double seconds =
        (double)(value_integer(data, "endedAt") - value_integer(data, "startedAt")) / 1000;
    fprintf(stderr,
            SAY(ctl, "%s: %s files (%s linked), %s, as of %s, in %.1f s\n",
                "%s：%s 个文件（硬链接 %s 个），%s，时刻 %s，用时 %.1f 秒\n"),
            value_text(&values, data, "directory"), value_text(&values, data, "files"),
            value_text(&values, data, "linkedFiles"),
            value_bytes(&values, (double)value_integer(data, "sizeBytes")),
            value_time(&values, value_integer(data, "takenAt")), seconds);
    if (value_integer(data, "faults") == 0)
        return EXIT_FINE;
    fprintf(stderr, "%s\n",
            SAY(ctl, "the backup is whole, but what is named above was damaged before it was made",
                "备份本身完整，但上面列出的部分在备份之前就已损坏"));
    return EXIT_FAILED;
}

static int cancel_backup(const struct ctl *ctl)
{
    json_t *data = NULL;
    int code = client_delete(ctl, PATH, &data);
    json_decref(data);
    return code;
}

static int run_backup(struct ctl *ctl, int count, char **arguments)
{
    bool no_keys = false;
    bool copy = false;
    bool cancel = false;
    int left = 0;
    const struct flag flags[] = {{"--no-keys", FLAG_BOOL, &no_keys},
                                 {"--copy", FLAG_BOOL, &copy},
                                 {"--cancel", FLAG_BOOL, &cancel}};
    int code = args_parse(ctl, &command_backup, count, arguments, flags, 3, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (cancel && left == 0)
        return cancel_backup(ctl);
    if (left != 1 || cancel) {
        args_help(ctl, &command_backup);
        return EXIT_USAGE;
    }
    char *directory = absolute(arguments[0]);
    json_t *data = NULL;
    json_t *body = json_pack("{s:s, s:b, s:b}", "directory", directory != NULL ? directory : "",
                             "keys", !no_keys, "copy", copy);
    code = care_watch(ctl, PATH, body, arguments[0], &data);
    json_decref(body);
    if (data != NULL && ctl->json)
        care_print_json(data);
    if (data != NULL)
        code = tell_backup(ctl, data);
    json_decref(data);
    free(directory);
    return code;
}

const struct command command_backup = {
    .name = "backup",
    .run = run_backup,
    .summary_english = "a backup of a running collector's data",
    .summary_chinese = "在线备份采集器的数据",
    .help_english =
        "fengsuictl backup DIR [--no-keys] [--copy]\n"
        "fengsuictl backup --cancel\n\n"
        "The collector backs itself up into DIR, a new or empty folder of its host, while it "
        "goes\n"
        "on: samples, log lines, alerts, silences, incidents and keys as of one moment, "
        "verified.\n"
        "History is linked where DIR lies on the same file system, else copied.  Until it is "
        "whole\n"
        "there is DIR/UNFINISHED, and restore refuses the folder.  Ending this command does "
        "not end\n"
        "the backup.  What was damaged already is named, and the exit code is 1.\n\n"
        "  --no-keys  leave out the collector's keys (else they are in DIR/keys, as private "
        "as before)\n"
        "  --copy     no hard links: the backup shares no block with the data\n"
        "  --cancel   break off the backup that runs; nothing is left of it\n\n"
        "Examples:\n"
        "  fengsuictl backup /srv/backup/$(date +%F)\n"
        "  fengsuictl restore /srv/backup/2026-11-28 /var/lib/fengsui",
    .help_chinese =
        "fengsuictl backup 目录 [--no-keys] [--copy]\n"
        "fengsuictl backup --cancel\n\n"
        "采集器不停机，把自己备份到所在主机的目录（新目录或空目录）：某一时刻的样本、日志、\n"
        "告警、静默、事件和密钥，并逐一校验。目录在同一文件系统时历史文件用硬链接，否则复制。\n"
        "完成之前目录里有 UNFINISHED，restore 会拒绝。结束本命令不会结束备份。\n"
        "原来就已损坏的部分会列出来，退出码为 1。\n\n"
        "  --no-keys  不备份采集器的密钥（否则放在目录的 keys 里，权限不变）\n"
        "  --copy     不用硬链接：备份与数据不共用任何磁盘块\n"
        "  --cancel   中止正在进行的备份，不留下任何文件\n\n"
        "例子：\n"
        "  fengsuictl backup /srv/backup/$(date +%F)\n"
        "  fengsuictl restore /srv/backup/2026-11-28 /var/lib/fengsui",
};
