/*
 * command_restore.c - a data folder out of a backup, on this host; no collector is asked.
 */
#include <inttypes.h>
#include <stdio.h>

#include "collector/ctl/care_show.h"
#include "collector/ctl/client_parts.h"
#include "collector/ctl/ctl.h"
#include "collector/ctl/progress.h"
#include "collector/ctl/values.h"
#include "collector/store/restore.h"
#include "proto/base/error.h"

struct restoring {
    const struct ctl *ctl;
    struct progress progress;
};

static void take_fault(void *context, const char *file, const char *what)
{
    struct restoring *restoring = context;
    progress_clear(&restoring->progress);
    care_tell_fault(restoring->ctl, file, what);
}

static void take_progress(void *context, const struct restore_counts *counts)
{
    struct restoring *restoring = context;
    restoring->progress.total_bytes = counts->total_bytes;
    progress_show(&restoring->progress, counts->bytes, 0);
}

static void tell_restored(const struct restoring *restoring, const struct restore *restore,
                          const char *directory)
{
    const struct ctl *ctl = restoring->ctl;
    struct values values = {.next = 0};
    printf(SAY(ctl, "%s: as of %s, %" PRIu64 " files, %" PRIu64 " samples of history, in %.1f s\n",
               "%s：时刻 %s，%" PRIu64 " 个文件，历史样本 %" PRIu64 " 个，用时 %.1f 秒\n"),
           directory, value_time(&values, restore->taken_ms), restore->counts.files,
           restore->counts.samples, progress_seconds(&restoring->progress));
    if (restore->counts.unsent_files > 0)
        printf(SAY(ctl,
                   "%" PRIu64 " files hold what remote write had yet to send: it goes on with "
                   "them, and sends once more what it sent after the backup\n",
                   "%" PRIu64 " 个文件是远程写尚未发出的样本：从这里继续，备份之后已发出的会再发一次\n"),
               restore->counts.unsent_files);
    if (!restore->has_keys)
        printf("%s\n", SAY(ctl,
                           "it has no keys: put the collector's keys/ there, or every probe "
                           "needs another public key",
                           "其中没有密钥：请放入采集器原来的 keys/，否则每个探针都要换公钥"));
}

static int run_restore(struct ctl *ctl, int count, char **arguments)
{
    int left = 0;
    struct diagnosis why = {0};
    int code = args_parse(ctl, &command_restore, count, arguments, NULL, 0, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left != 2) {
        args_help(ctl, &command_restore);
        return EXIT_USAGE;
    }
    struct restoring restoring = {.ctl = ctl};
    struct restore restore = {
        .fault = take_fault, .progress = take_progress, .context = &restoring};
    progress_begin(&restoring.progress, ctl, arguments[0], 0);
    int error = restore_run(&restore, arguments[0], arguments[1], &why);
    progress_clear(&restoring.progress);
    if (error != 0) {
        client_complain(*why.text != '\0' ? why.text : error_text(error));
        return EXIT_FAILED;
    }
    tell_restored(&restoring, &restore, arguments[1]);
    return EXIT_FINE;
}

const struct command command_restore = {
    .name = "restore",
    .run = run_restore,
    .summary_english = "a data folder out of a backup",
    .summary_chinese = "用备份恢复出数据目录",
    .help_english =
        "fengsuictl restore BACKUP DIR\n\n"
        "Makes DIR, a new or empty folder, a collector's data folder as of the backup's "
        "moment.\n"
        "Every byte, tree and seal of the backup is checked first, and of the new folder "
        "afterwards.\n"
        "It works on files of this host, and asks no collector.\n\n"
        "A backup that was never finished, lacks a file or has a flipped bit is refused by "
        "name.\n"
        "Probes send again what they still hold of the time since; the rest they tell as "
        "gaps.\n"
        "Remote write goes on where it was: nothing that waited is lost, and what was sent\n"
        "since is sent once more.\n\n"
        "Examples:\n"
        "  fengsuictl restore /srv/backup/2026-11-28 /var/lib/fengsui",
    .help_chinese =
        "fengsuictl restore 备份 目录\n\n"
        "把新目录或空目录变成采集器的数据目录，内容是备份的那一时刻。\n"
        "先检查备份的每个字节、每棵树和每个校验值，完成后再检查新目录。\n"
        "只处理本机的文件，不询问采集器。\n\n"
        "没有做完、缺文件或有一位翻转的备份会被拒绝，并指出是哪个文件。\n"
        "备份之后的数据，探针会重发仍保留的部分，其余报告为缺口。\n"
        "远程写从备份的那一刻继续：等待发送的一个不丢，之后已发出的会再发一次。\n\n"
        "例子：\n"
        "  fengsuictl restore /srv/backup/2026-11-28 /var/lib/fengsui",
};
