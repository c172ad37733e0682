/*
 * command_store.c - what the store's room goes into, and whether all in it is still what was
 * written: of the collector, or of a folder of this host.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ctl/care_show.h"
#include "collector/ctl/client_parts.h"
#include "collector/ctl/ctl.h"
#include "collector/ctl/progress.h"
#include "collector/ctl/store_delete.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "collector/store/restore.h"
#include "collector/store/space.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"

#define STAT_PATH   "/api/fengsui/v1/store/stat"
#define VERIFY_PATH "/api/fengsui/v1/store/verify"

/* ---- stat -------------------------------------------------------------------------------- */

static const char *percent(struct values *values, const json_t *object, const char *key)
{
    char *text = values->ring[values->next++ % 16];
    const json_t *value = json_object_get(object, key);
    (void)snprintf(text, VALUE_TEXT_BYTES, json_is_number(value) ? "%.1f %%" : "-",
                   json_number_value(value) * 100);
    return text;
}

static const char *bytes_of_key(struct values *values, const json_t *object, const char *key)
{
    return value_bytes(values, (double)value_integer(object, key));
}

static void print_environments(const struct ctl *ctl, const json_t *data)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;
    table_init(&table, 7);
    table_row(&table, (const char *[]){SAY(ctl, "ENVIRONMENT", "环境"), SAY(ctl, "FILES", "文件"),
                                       SAY(ctl, "BYTES", "字节"), SAY(ctl, "ON DISK", "占用磁盘"),
                                       SAY(ctl, "FREE PAGES", "空闲页"),
                                       SAY(ctl, "LOST PAGES", "丢失页"),
                                       SAY(ctl, "DAMAGED", "损坏")});
    json_array_foreach(json_object_get(data, "environments"), index, row)
    {
        table_row(&table, (const char *[]){value_text(&values, row, "name"),
                                           value_text(&values, row, "files"),
                                           bytes_of_key(&values, row, "bytes"),
                                           bytes_of_key(&values, row, "diskBytes"),
                                           value_text(&values, row, "freePages"),
                                           value_text(&values, row, "lostPages"),
                                           value_text(&values, row, "damagedFiles")});
    }
    table_print(&table);
}

static void print_tables(const struct ctl *ctl, const json_t *environment)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *row;
    printf("\n%s\n", value_text(&values, environment, "name"));
    table_init(&table, 6);
    table_row(&table, (const char *[]){SAY(ctl, "TABLE", "表"), SAY(ctl, "ENTRIES", "条目"),
                                       SAY(ctl, "BYTES", "字节"), SAY(ctl, "DEPTH", "深度"),
                                       SAY(ctl, "PAGE FILL", "页填充率"),
                                       SAY(ctl, "OVERFLOW WASTE", "溢出页浪费")});
    json_array_foreach(json_object_get(environment, "tables"), index, row)
    {
        table_row(&table, (const char *[]){value_text(&values, row, "name"),
                                           value_text(&values, row, "entries"),
                                           bytes_of_key(&values, row, "bytes"),
                                           value_text(&values, row, "depth"),
                                           percent(&values, row, "fill"),
                                           bytes_of_key(&values, row, "overflowWasteBytes")});
    }
    table_print(&table);
}

static void print_stat(const struct ctl *ctl, const json_t *data)
{
    size_t index;
    json_t *row;
    const json_t *ratio = json_object_get(data, "bytesPerSample");
    print_environments(ctl, data);
    json_array_foreach(json_object_get(data, "environments"), index, row)
    {
        print_tables(ctl, row);
    }
    json_array_foreach(json_object_get(data, "quarantine"), index, row)
    {
        struct values values = {.next = 0};
        printf(SAY(ctl, "%squarantine/%s: %s\n", "%s已隔离 quarantine/%s：%s\n"),
               index == 0 ? "\n" : "", value_text(&values, row, "name"),
               value_text(&values, row, "reason"));
    }
    if (json_is_number(ratio))
        printf(SAY(ctl, "\n%" PRId64 " samples in history, %.3f bytes a sample\n",
                   "\n历史中有 %" PRId64 " 个样本，每个样本 %.3f 字节\n"),
               value_integer(data, "samples"), json_number_value(ratio));
}

static int stat_folder(const char *directory, json_t **ret_data)
{
    struct diagnosis why = {0};
    struct buf printed = {0};
    struct space *space = malloc(sizeof *space);
    int error = space == NULL ? ERR_NOMEM : space_of_folder(directory, space, &why);
    if (error == 0)
        space_print_json(space, &printed);
    else
        client_complain(*why.text != '\0' ? why.text : error_text(error));
    if (error == 0)
        *ret_data = json_loadb((const char *)printed.data, printed.size, 0, NULL);
    buf_done(&printed);
    free(space);
    return *ret_data != NULL ? EXIT_FINE : EXIT_FAILED;
}

static int run_stat(const struct ctl *ctl, const char *directory)
{
    json_t *data = NULL;
    int code = directory != NULL ? stat_folder(directory, &data)
                                 : client_get(ctl, STAT_PATH, NULL, 0, &data);
    if (data != NULL && ctl->json)
        care_print_json(data);
    else if (data != NULL)
        print_stat(ctl, data);
    json_decref(data);
    return code;
}

/* ---- verify ------------------------------------------------------------------------------ */

struct verifying {
    const struct ctl *ctl;
    struct progress progress;
};

static void take_fault(void *context, const char *file, const char *what)
{
    struct verifying *verifying = context;
    progress_clear(&verifying->progress);
    care_tell_fault(verifying->ctl, file, what);
}

static void take_counts(void *context, const struct verify_counts *counts)
{
    struct verifying *verifying = context;
    verifying->progress.total_bytes = counts->total_bytes;
    progress_show(&verifying->progress, counts->bytes, 0);
}

static void take_restore_counts(void *context, const struct restore_counts *counts)
{
    struct verifying *verifying = context;
    verifying->progress.total_bytes = counts->total_bytes;
    progress_show(&verifying->progress, counts->bytes, 0);
}

static int tell_verdict(const struct ctl *ctl, int64_t files, double bytes, int64_t values,
                        int64_t samples, int64_t faults)
{
    struct values texts = {.next = 0};
    printf(SAY(ctl, "%" PRId64 " files, %s, %" PRId64 " values, %" PRId64
                    " samples of history: %s\n",
               "%" PRId64 " 个文件，%s，%" PRId64 " 个值，历史样本 %" PRId64 " 个：%s\n"),
           files, value_bytes(&texts, bytes), values, samples,
           faults == 0 ? SAY(ctl, "all is what was written", "全部与写入时一致")
                       : SAY(ctl, "DAMAGED, see above", "有损坏，见上"));
    return faults == 0 ? EXIT_FINE : EXIT_FAILED;
}

/* A backup, which has more to compare with. */
static int verify_backup(struct verifying *verifying, const char *directory)
{
    const struct ctl *ctl = verifying->ctl;
    struct diagnosis why = {0};
    struct values values = {.next = 0};
    struct restore restore = {
        .fault = take_fault, .progress = take_restore_counts, .context = verifying};
    int error = restore_check(&restore, directory, &why);
    progress_clear(&verifying->progress);
    if (error != 0) {
        client_complain(*why.text != '\0' ? why.text : error_text(error));
        return EXIT_FAILED;
    }
    printf(SAY(ctl, "a whole backup as of %s: %" PRIu64 " files, %" PRIu64
                    " samples of history\n",
               "完整的备份，时刻 %s：%" PRIu64 " 个文件，历史样本 %" PRIu64 " 个\n"),
           value_time(&values, restore.taken_ms), restore.counts.files, restore.counts.samples);
    return EXIT_FINE;
}

static bool is_backup(const char *directory)
{
    char *path = NULL;
    char *unfinished = NULL;
    bool found = asprintf(&path, "%s/" BACKUP_MANIFEST, directory) >= 0 &&
                 asprintf(&unfinished, "%s/" BACKUP_UNFINISHED, directory) >= 0 &&
                 (access(path, F_OK) == 0 || access(unfinished, F_OK) == 0);
    free(path);
    free(unfinished);
    return found;
}

static int verify_here(const struct ctl *ctl, const char *directory)
{
    struct verifying verifying = {.ctl = ctl};
    struct diagnosis why = {0};
    progress_begin(&verifying.progress, ctl, directory, 0);
    if (is_backup(directory))
        return verify_backup(&verifying, directory);
    struct verify verify = {
        .fault = take_fault, .progress = take_counts, .context = &verifying};
    int error = verify_folder(&verify, directory, &why);
    progress_clear(&verifying.progress);
    if (error != 0) {
        client_complain(*why.text != '\0' ? why.text : error_text(error));
        return EXIT_FAILED;
    }
    if (verify.is_unborn) {
        printf("%s\n",
               SAY(ctl,
                   "no store yet: its creation was not completed, so nothing in it was ever "
                   "acknowledged; the next start of the collector creates it anew",
                   "还没有存储：创建中途中断，其中没有任何已确认的数据；采集器下次启动时会重新创建"));
        return EXIT_FINE;
    }
    const struct verify_counts *counts = &verify.counts;
    if (counts->strays > 0)
        printf(SAY(ctl,
                   "%" PRIu64 " files without a registration, what a crash left: the next start "
                   "removes them\n",
                   "有 %" PRIu64 " 个未登记的文件，是崩溃留下的，下次启动时清除\n"),
               counts->strays);
    return tell_verdict(ctl, (int64_t)counts->files, (double)counts->bytes,
                        (int64_t)counts->values, (int64_t)counts->samples,
                        (int64_t)counts->faults);
}

static int verify_there(const struct ctl *ctl)
{
    struct values values = {.next = 0};
    json_t *data = NULL;
    json_t *body = json_object();
    int code = care_watch(ctl, VERIFY_PATH, body, "verify", &data);
    json_decref(body);
    if (data == NULL)
        return code;
    if (ctl->json)
        care_print_json(data);
    care_tell_found(ctl, data);
    if (strcmp(value_text(&values, data, "state"), "done") != 0) {
        client_complain(value_text(&values, data, "error"));
        code = EXIT_FAILED;
    } else if (ctl->json) {
        code = value_integer(data, "faults") == 0 ? EXIT_FINE : EXIT_FAILED;
    } else {
        code = tell_verdict(ctl, value_integer(data, "files"),
                            (double)value_integer(data, "bytes"), value_integer(data, "values"),
                            value_integer(data, "samples"), value_integer(data, "faults"));
    }
    json_decref(data);
    return code;
}

/* ---- the command ------------------------------------------------------------------------- */

static int run_store(struct ctl *ctl, int count, char **arguments)
{
    static const char *const verbs[] = {"stat", "verify", "delete", "deletes", "clean"};
    struct delete_options options = {.yes = false};
    const struct flag flags[] = {
        {"--match", FLAG_LIST, &options.matches},
        {"--from", FLAG_TEXT, &options.from},
        {"--to", FLAG_TEXT, &options.to},
        {"--yes", FLAG_BOOL, &options.yes},
    };
    int left = 0;
    int code = args_parse(ctl, &command_store, count, arguments, flags,
                          sizeof flags / sizeof *flags, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    const char *verb = left > 0 ? arguments[0] : "";
    const char *directory = left > 1 ? arguments[1] : NULL;
    if (left > 2 || *verb == '\0') {
        args_help(ctl, &command_store);
        return EXIT_USAGE;
    }
    if (directory == NULL && strcmp(verb, "delete") == 0)
        return store_delete_run(ctl, &options);
    if (directory == NULL && strcmp(verb, "deletes") == 0)
        return store_deletes_list(ctl);
    if (directory == NULL && strcmp(verb, "clean") == 0)
        return store_clean_run(ctl);
    if (strcmp(verb, "stat") == 0)
        return run_stat(ctl, directory);
    if (strcmp(verb, "verify") == 0)
        return directory != NULL ? verify_here(ctl, directory) : verify_there(ctl);
    return args_unknown(ctl, SAY(ctl, "action", "动作"), verb, verbs,
                        sizeof verbs / sizeof *verbs);
}

const struct command command_store = {
    .name = "store",
    .run = run_store,
    .summary_english = "what the data's room goes into; is all of it whole; deleting samples",
    .summary_chinese = "数据占用的空间、是否完好，以及删除样本",
    .help_english =
        "fengsuictl store stat [DIR]\n"
        "fengsuictl store verify [DIR]\n"
        "fengsuictl store delete --match SELECTOR [--match SELECTOR] [--from T] [--to T] "
        "[--yes]\n"
        "fengsuictl store deletes\n"
        "fengsuictl store clean\n\n"
        "stat: bytes by environment and table, how full pages are, what large values waste, "
        "free\n"
        "pages, bytes a sample.  verify: meta pages, trees, the seal of every value, the counts "
        "of\n"
        "every manifest; what is damaged is named, and the exit code is 1.\n\n"
        "Without DIR the collector is asked, and goes on beside it.  With DIR it is a data "
        "folder\n"
        "whose collector is stopped, or a backup, on this host; nothing is changed in it.\n\n"
        "delete: shows what it would delete, asks, and deletes every sample of the series that\n"
        "a selector means and that lies in the interval; without --from and --to, all of them.\n"
        "What is written afterwards counts.  The room comes back as files are rewritten.\n"
        "deletes: those that are not carried out everywhere yet.  clean: rewrites history now.\n\n"
        "  --match SELECTOR  which series, as in a query\n"
        "  --from T, --to T  2026-11-28T08:30:00Z, Unix seconds, or 2h ago as 2h; both included\n"
        "  --yes             do not ask\n\n"
        "Examples:\n"
        "  fengsuictl store stat\n"
        "  fengsuictl store delete --match '{instance=\"db-9\"}' --from 7d --to 6d\n"
        "  fengsuictl store verify /srv/backup/2026-11-28",
    .help_chinese =
        "fengsuictl store stat [目录]\n"
        "fengsuictl store verify [目录]\n"
        "fengsuictl store delete --match 选择器 [--match 选择器] [--from 时间] [--to 时间] [--yes]\n"
        "fengsuictl store deletes\n"
        "fengsuictl store clean\n\n"
        "stat：按环境和表列出字节数、页填充率、大值的浪费、空闲页、每个样本的字节数。\n"
        "verify：检查元页、树、每个值的校验和、每个清单的计数；损坏的部分会列出来，退出码为 1。\n\n"
        "不带目录时由采集器在线进行，不影响写入。带目录时处理本机上的一个目录：采集器已停止的\n"
        "数据目录，或一份备份；不会改动其中任何内容。\n\n"
        "delete：先显示将要删除的内容，确认后删除选择器所指序列在这段时间内的全部样本；不给 --from\n"
        "和 --to 则不限时间。之后写入的样本照常保留。文件重写后空间才会释放。\n"
        "deletes：尚未处处完成的删除。clean：立即重写历史文件。\n\n"
        "  --match 选择器       哪些序列，写法与查询相同\n"
        "  --from 时间、--to 时间  2026-11-28T08:30:00Z、Unix 秒，或 2h 表示两小时前；两端都包含\n"
        "  --yes                不再询问\n\n"
        "例子：\n"
        "  fengsuictl store stat\n"
        "  fengsuictl store delete --match '{instance=\"db-9\"}' --from 7d --to 6d\n"
        "  fengsuictl store verify /srv/backup/2026-11-28",
};
