/*
 * command_export.c - stored samples out of the collector, as text that import reads.
 *
 * A file appears under its name only when all of it is there: until then it is NAME.part.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ctl/client_parts.h"
#include "collector/ctl/progress.h"
#include "collector/ctl/transfer.h"
#include "collector/ctl/values.h"
#include "proto/base/error.h"

struct export
{
    struct ctl *ctl;
    FILE *file;
    bool is_packed;
    bool is_in_line; /* the last byte was not a newline */
    bool is_comment; /* of the line at hand */
    uint64_t bytes, samples;
    struct progress progress;
    int write_error;
};

static void count_samples(struct export *export, struct bytes piece)
{
    for (size_t i = 0; i < piece.size; i++) {
        uint8_t c = piece.data[i];
        if (!export->is_in_line)
            export->is_comment = c == '#';
        export->is_in_line = c != '\n';
        export->samples += c == '\n' && !export->is_comment;
    }
}

static int take_piece(void *context, struct bytes piece)
{
    struct export *export = context;
    if (fwrite(piece.data, 1, piece.size, export->file) != piece.size) {
        export->write_error = errno;
        return ERR_IO;
    }
    export->bytes += piece.size;
    if (!export->is_packed)
        count_samples(export, piece);
    progress_show(&export->progress, export->bytes, export->samples);
    return 0;
}

static bool ends_in_gz(const char *path)
{
    size_t size = strlen(path);
    return size > 3 && strcmp(path + size - 3, ".gz") == 0;
}

/* All of it to the disk, then under its name. */
static int keep_file(struct export *export, const char *part, const char *path)
{
    int error = fflush(export->file) != 0 || fsync(fileno(export->file)) != 0 ? errno : 0;
    if (fclose(export->file) != 0 && error == 0)
        error = errno;
    export->file = NULL;
    if (error == 0 && rename(part, path) != 0)
        error = errno;
    if (error == 0)
        return EXIT_FINE;
    fprintf(stderr, "fengsuictl: %s: %s\n", path, strerror(error));
    return EXIT_FAILED;
}

static int fetch(struct export *export, const struct parameter *parameters, size_t count)
{
    struct diagnosis why = {0};
    struct transfer *transfer = transfer_open(export->ctl);
    if (transfer == NULL)
        return EXIT_FAILED;
    enum transfer_result result =
        transfer_get(transfer, "/api/v1/export/prometheus", parameters, count,
                     export->is_packed, take_piece, export, &why);
    transfer_close(transfer);
    progress_clear(&export->progress);
    if (result == TRANSFER_DONE)
        return EXIT_FINE;
    client_complain(export->write_error != 0 ? strerror(export->write_error) : why.text);
    return EXIT_FAILED;
}

static int export_to(struct export *export, const char *path,
                     const struct parameter *parameters, size_t count)
{
    char *part = NULL;
    if (asprintf(&part, "%s.part", path) < 0)
        return EXIT_FAILED;
    export->file = fopen(part, "wb");
    int code = EXIT_FAILED;
    if (export->file == NULL)
        fprintf(stderr, "fengsuictl: %s: %s\n", part, strerror(errno));
    else
        code = fetch(export, parameters, count);
    if (code == EXIT_FINE)
        code = keep_file(export, part, path);
    if (export->file != NULL)
        fclose(export->file);
    if (code != EXIT_FINE)
        (void)unlink(part);
    free(part);
    return code;
}

static int export_to_stdout(struct export *export, const struct parameter *parameters,
                            size_t count)
{
    export->file = stdout;
    int code = fetch(export, parameters, count);
    if (fflush(stdout) == 0)
        return code;
    fprintf(stderr, "fengsuictl: %s\n", strerror(errno));
    return EXIT_FAILED;
}

static void print_summary(const struct export *export, const char *path)
{
    struct values values = {.next = 0};
    const char *bytes = value_bytes(&values, (double)export->bytes);
    double seconds = progress_seconds(&export->progress);
    const struct ctl *ctl = export->ctl;
    if (export->is_packed)
        fprintf(stderr, SAY(ctl, "%s: %s in %.1f s\n", "%s：%s，用时 %.1f 秒\n"), path, bytes,
                seconds);
    else
        fprintf(stderr,
                SAY(ctl, "%s: %" PRIu64 " samples, %s in %.1f s\n",
                    "%s：%" PRIu64 " 个样本，%s，用时 %.1f 秒\n"),
                path, export->samples, bytes, seconds);
}

static int run_export(struct ctl *ctl, int count, char **arguments)
{
    struct export export = {.ctl = ctl};
    struct flag_list matches = {.count = 0};
    struct parameter parameters[FLAG_LIST_MAX + 2];
    const char *start = NULL;
    const char *end = NULL;
    const char *path = NULL;
    size_t total = 0;
    int left = 0;
    const struct flag flags[] = {{"--match", FLAG_LIST, &matches},
                                 {"--start", FLAG_TEXT, &start},
                                 {"--end", FLAG_TEXT, &end},
                                 {"-o", FLAG_TEXT, &path},
                                 {"--output", FLAG_TEXT, &path}};
    int code = args_parse(ctl, &command_export, count, arguments, flags, 5, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left > 0) {
        fprintf(stderr,
                SAY(ctl, "fengsuictl: \"%s\"? Give selectors with --match\n",
                    "fengsuictl：“%s”？请用 --match 给出选择器\n"),
                arguments[0]);
        return EXIT_USAGE;
    }
    int64_t now_ms = clock_unix_ms(&clock_system);
    char *from = start != NULL ? args_time(start, now_ms) : NULL;
    char *until = end != NULL ? args_time(end, now_ms) : NULL;
    if (matches.count == 0)
        parameters[total++] = (struct parameter){"match[]", "{__name__!=\"\"}"};
    for (size_t i = 0; i < matches.count; i++)
        parameters[total++] = (struct parameter){"match[]", matches.items[i]};
    parameters[total++] = (struct parameter){"start", from};
    parameters[total++] = (struct parameter){"end", until};
    bool is_file = path != NULL && strcmp(path, "-") != 0;
    export.is_packed = is_file && ends_in_gz(path);
    progress_begin(&export.progress, ctl, is_file ? path : "export", 0);
    code = is_file ? export_to(&export, path, parameters, total)
                   : export_to_stdout(&export, parameters, total);
    if (code == EXIT_FINE && is_file)
        print_summary(&export, path);
    free(from);
    free(until);
    return code;
}

const struct command command_export = {
    .name = "export",
    .run = run_export,
    .summary_english = "stored samples as text, for import elsewhere",
    .summary_chinese = "把存储的样本导出为文本，可再导入",
    .help_english =
        "fengsuictl export [--match SELECTOR]... [--start T] [--end T] [-o FILE[.gz]]\n\n"
        "Writes every stored sample as Prometheus text with timestamps, bit for bit: series "
        "by\n"
        "name and labels, each by time.  Stale markers are comments (# STALE ...) that\n"
        "fengsuictl import reads and others pass over.  A file gets its name when it is "
        "whole.\n\n"
        "  --match SELECTOR  which series; repeatable (default: all)\n"
        "  --start, --end    a time, or a duration: that long ago (default: all there is)\n"
        "  -o, --output FILE to a file; compressed if it ends in .gz (default: standard "
        "output)\n\n"
        "Examples:\n"
        "  fengsuictl export --match '{instance=\"db1\"}' --start 365d -o db1.txt.gz\n"
        "  fengsuictl export --match up --start 1h",
    .help_chinese =
        "fengsuictl export [--match 选择器]... [--start 时间] [--end 时间] [-o 文件[.gz]]\n\n"
        "把存储的每个样本写成带时间戳的 Prometheus 文本，逐位不变：序列按名称和标签排序，\n"
        "序列内按时间。过期标记写成注释（# STALE ...），fengsuictl import "
        "认得，别的程序会跳过。\n"
        "文件写完整之后才有正式的名字。\n\n"
        "  --match 选择器    哪些序列；可重复（默认：全部）\n"
        "  --start、--end    时间，或时长：多久以前（默认：全部）\n"
        "  -o, --output 文件 写到文件；以 .gz 结尾则压缩（默认：标准输出）\n\n"
        "例子：\n"
        "  fengsuictl export --match '{instance=\"db1\"}' --start 365d -o db1.txt.gz\n"
        "  fengsuictl export --match up --start 1h",
};
