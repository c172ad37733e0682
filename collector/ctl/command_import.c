/*
 * command_import.c - files of samples into the collector, piece by piece, in order.
 *
 * What a request holds is stored before the next is sent; if the collector is away or busy, the
 * same request is sent again.  Stopped half-way, the command is simply run again: samples that
 * are there already change nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/client_parts.h"
#include "collector/ctl/import_cut.h"
#include "collector/ctl/input.h"
#include "collector/ctl/progress.h"
#include "collector/ctl/transfer.h"
#include "collector/ctl/values.h"
#include "proto/base/error.h"

#define READ_BYTES       ((size_t)256 << 10)
#define ATTEMPTS_MAX     10
#define WAIT_SECONDS_MAX 30
#define REASONS_MAX      8

struct reason {
    char name[32];
    struct diagnosis first; /* FILE:LINE: why */
    uint64_t samples;
};

struct import {
    struct ctl *ctl;
    struct transfer *transfer;
    bool only_check;
    struct parameter parameters[FLAG_LIST_MAX + 1];
    size_t parameter_count;
    const char *content_type;
    const char *path;
    struct progress progress;
    struct input *input;
    uint64_t stored, refused, stored_before; /* samples; the last: of files before this one */
    uint64_t stored_to;                      /* line of the file at hand */
    struct reason reasons[REASONS_MAX];
    size_t reason_count;
    struct diagnosis why;
};

/* ---- what the collector answers ---------------------------------------------------------- */

/* "line 7: ..." of a request as FILE:LINE of ours. */
static void place_reason(const struct import *import, const struct cut_request *request,
                         const char *text, struct diagnosis *out)
{
    uint64_t line = 0;
    int used = 0;
    if (sscanf(text, "line %" SCNu64 ": %n", &line, &used) == 1 && used > 0 &&
        line > request->header_lines)
        diagnose(out, 0, "%s:%" PRIu64 ": %s", import->path,
                 request->first_line + line - request->header_lines - 1, text + used);
    else
        diagnose(out, 0, "%s: %s", import->path, text);
}

static void note_refused(struct import *import, const struct cut_request *request,
                         const json_t *item)
{
    struct values values = {.next = 0};
    const char *name = value_text(&values, item, "reason");
    size_t at = 0;
    while (at < import->reason_count && strcmp(import->reasons[at].name, name) != 0)
        at++;
    if (at == REASONS_MAX)
        return;
    struct reason *reason = &import->reasons[at];
    if (at == import->reason_count) {
        import->reason_count++;
        (void)snprintf(reason->name, sizeof reason->name, "%s", name);
        place_reason(import, request, value_text(&values, item, "first"), &reason->first);
    }
    reason->samples += (uint64_t)value_integer(item, "samples");
}

static void take_answer(struct import *import, const struct cut_request *request, json_t *data)
{
    size_t index;
    json_t *item;
    import->stored += (uint64_t)value_integer(data, "samplesStored");
    import->refused += (uint64_t)value_integer(data, "samplesRefused");
    json_array_foreach(json_object_get(data, "refused"), index, item)
    {
        note_refused(import, request, item);
    }
}

/* ---- sending ----------------------------------------------------------------------------- */

static void say_waiting(struct import *import, const char *why, unsigned seconds)
{
    char text[DIAGNOSIS_BYTES + 64];
    (void)snprintf(text, sizeof text, SAY(import->ctl, "%s; again in %u s", "%s；%u 秒后重试"),
                   why, seconds);
    progress_clear(&import->progress);
    client_complain(text);
}

static int send_request(void *context, const struct cut_request *request)
{
    struct import *import = context;
    unsigned seconds = 1;
    enum transfer_result result = TRANSFER_DONE;
    for (int attempt = 1; !import->only_check; attempt++) {
        struct diagnosis why = {0};
        json_t *data = NULL;
        result = transfer_post(import->transfer, "/api/v1/import/prometheus",
                               import->parameters, import->parameter_count,
                               import->content_type, request->text, &data, &why);
        if (result == TRANSFER_DONE)
            take_answer(import, request, data);
        json_decref(data);
        if (result == TRANSFER_DONE)
            break;
        if (result == TRANSFER_FAILED || attempt == ATTEMPTS_MAX) {
            place_reason(import, request, why.text, &import->why);
            return ERR_IO;
        }
        say_waiting(import, why.text, seconds);
        nanosleep(&(struct timespec){.tv_sec = (time_t)seconds}, NULL);
        seconds = seconds * 2 < WAIT_SECONDS_MAX ? seconds * 2 : WAIT_SECONDS_MAX;
    }
    if (import->only_check)
        import->stored += request->samples;
    import->stored_to = request->last_line;
    progress_show(&import->progress, input_taken(import->input),
                  import->stored + import->refused - import->stored_before);
    return 0;
}

/* ---- one file ---------------------------------------------------------------------------- */

static int read_all(struct import *import, struct import_cut *cut)
{
    uint8_t *bytes = malloc(READ_BYTES);
    int error = bytes == NULL ? ERR_NOMEM : 0;
    while (error == 0) {
        size_t size = 0;
        error = input_read(import->input, bytes, READ_BYTES, &size, &import->why);
        if (error != 0 || size == 0)
            break;
        error = import_cut_feed(cut, (struct bytes){bytes, size}, &import->why);
    }
    free(bytes);
    return error == 0 ? import_cut_end(cut, &import->why) : error;
}

static enum exposition_format format_of(const struct import *import, const char *wanted)
{
    if (wanted != NULL)
        return strcmp(wanted, "openmetrics") == 0 ? EXPOSITION_OPENMETRICS
                                                  : EXPOSITION_PROMETHEUS;
    return input_ends_in_eof(import->input) ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS;
}

static int import_file(struct import *import, const char *path, const char *wanted)
{
    struct import_cut cut = {0};
    import->path = strcmp(path, "-") == 0 ? "stdin" : path;
    import->stored_to = 0;
    import->stored_before = import->stored + import->refused;
    int error = input_open(path, &import->input, &import->why);
    if (error == 0) {
        enum exposition_format format = format_of(import, wanted);
        import->content_type = format == EXPOSITION_OPENMETRICS
                                   ? "application/openmetrics-text; version=1.0.0"
                                   : "text/plain; version=0.0.4";
        progress_begin(&import->progress, import->ctl, import->path, input_size(import->input));
        error =
            import_cut_open(&cut, format, wanted != NULL, import->path, send_request, import);
    }
    if (error == 0)
        error = read_all(import, &cut);
    progress_clear(&import->progress);
    import_cut_close(&cut);
    input_close(import->input);
    import->input = NULL;
    if (error == 0)
        return EXIT_FINE;
    client_complain(import->why.text[0] != '\0' ? import->why.text : error_text(error));
    if (import->stored_to > 0 && !import->only_check)
        fprintf(stderr,
                SAY(import->ctl,
                    "fengsuictl: %s is stored up to line %" PRIu64
                    "; when it is put right, import it again: nothing is stored twice\n",
                    "fengsuictl：%s 已存到第 %" PRIu64
                    " 行；改正后重新导入即可，不会重复存储\n"),
                import->path, import->stored_to);
    return EXIT_FAILED;
}

/* ---- the command ------------------------------------------------------------------------- */

static void print_summary(const struct import *import, double seconds)
{
    const struct ctl *ctl = import->ctl;
    if (import->only_check) {
        printf(SAY(ctl, "%" PRIu64 " samples read, nothing sent\n",
                   "读到 %" PRIu64 " 个样本，没有发送\n"),
               import->stored);
        return;
    }
    printf(SAY(ctl, "%" PRIu64 " samples stored, %" PRIu64 " refused, in %.1f s\n",
               "存储 %" PRIu64 " 个样本，拒绝 %" PRIu64 " 个，用时 %.1f 秒\n"),
           import->stored, import->refused, seconds);
    for (size_t i = 0; i < import->reason_count; i++) {
        char text[DIAGNOSIS_BYTES + 128];
        const struct reason *reason = &import->reasons[i];
        (void)snprintf(text, sizeof text,
                       SAY(ctl, "%" PRIu64 " samples refused (%s), the first at %s",
                           "拒绝 %" PRIu64 " 个样本（%s），首个在 %s"),
                       reason->samples, reason->name, reason->first.text);
        client_complain(text);
    }
}

static void print_json(const struct import *import, double seconds)
{
    json_t *refused = json_array();
    for (size_t i = 0; i < import->reason_count; i++) {
        const struct reason *reason = &import->reasons[i];
        json_array_append_new(refused, json_pack("{s:s, s:I, s:s}", "reason", reason->name,
                                                 "samples", (json_int_t)reason->samples,
                                                 "first", reason->first.text));
    }
    json_t *root = json_pack(
        "{s:I, s:I, s:f, s:o}", "samplesStored", (json_int_t)import->stored, "samplesRefused",
        (json_int_t)import->refused, "seconds", seconds, "refused", refused);
    char *text = json_dumps(root, JSON_COMPACT);
    printf("%s\n", text != NULL ? text : "{}");
    free(text);
    json_decref(root);
}

static bool add_parameters(struct import *import, const struct flag_list *labels,
                           char *now_text, size_t size)
{
    (void)snprintf(now_text, size, "%" PRId64, clock_unix_ms(&clock_system));
    import->parameters[import->parameter_count++] = (struct parameter){"timestamp", now_text};
    for (size_t i = 0; i < labels->count; i++) {
        const char *equals = strchr(labels->items[i], '=');
        if (equals == NULL || equals == labels->items[i]) {
            fprintf(stderr,
                    SAY(import->ctl, "fengsuictl: a label is written name=value, not \"%s\"\n",
                        "fengsuictl：标签应写作 名=值，而不是“%s”\n"),
                    labels->items[i]);
            return false;
        }
        import->parameters[import->parameter_count++] =
            (struct parameter){"extra_label", labels->items[i]};
    }
    return true;
}

static int import_files(struct import *import, int count, char **paths, const char *format)
{
    int code = EXIT_FINE;
    mono_ns start = clock_mono(&clock_system);
    for (int i = 0; i < count && code == EXIT_FINE; i++)
        code = import_file(import, paths[i], format);
    double seconds = (double)(clock_mono(&clock_system) - start) / 1e9;
    if (import->ctl->json)
        print_json(import, seconds);
    else
        print_summary(import, seconds);
    return code == EXIT_FINE && import->refused > 0 ? EXIT_FAILED : code;
}

static int run_import(struct ctl *ctl, int count, char **arguments)
{
    static const char *const formats[] = {"prometheus", "openmetrics"};
    struct import import = {.ctl = ctl};
    struct flag_list labels = {.count = 0};
    const char *format = NULL;
    char now_text[32];
    int left = 0;
    const struct flag flags[] = {{"--format", FLAG_TEXT, &format},
                                 {"--label", FLAG_LIST, &labels},
                                 {"--check", FLAG_BOOL, &import.only_check}};
    int code = args_parse(ctl, &command_import, count, arguments, flags, 3, &left);
    if (code != EXIT_FINE)
        return code < 0 ? EXIT_FINE : code;
    if (left == 0) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "name the files to import (- is standard input)",
                    "请给出要导入的文件（- 为标准输入）"));
        return EXIT_USAGE;
    }
    if (format != NULL && strcmp(format, formats[0]) != 0 && strcmp(format, formats[1]) != 0)
        return args_unknown(ctl, SAY(ctl, "format", "格式"), format, formats, 2);
    if (!add_parameters(&import, &labels, now_text, sizeof now_text))
        return EXIT_USAGE;
    import.transfer = transfer_open(ctl);
    code =
        import.transfer != NULL ? import_files(&import, left, arguments, format) : EXIT_FAILED;
    transfer_close(import.transfer);
    return code;
}

const struct command command_import = {
    .name = "import",
    .run = run_import,
    .summary_english = "samples from text files into the collector",
    .summary_chinese = "把文本文件中的样本导入采集器",
    .help_english =
        "fengsuictl import FILE... | -\n\n"
        "Stores the samples of text files: Prometheus text or OpenMetrics, with or without\n"
        "timestamps (without: now), plain, gzip or zstd; - is standard input.\n"
        "The files are sent in pieces, each stored before the next.  Interrupted, or some of "
        "it\n"
        "there already? Run it again: the same samples once more change nothing.\n"
        "What the collector may not keep (older than its retention, in the future) is counted "
        "and\n"
        "told; the exit code is then 1.\n\n"
        "  --format prometheus|openmetrics   by default OpenMetrics if a plain file ends in\n"
        "                                    \"# EOF\", else Prometheus text\n"
        "  --label NAME=VALUE                a label every series gets; repeatable\n"
        "  --check                           read the files, send nothing\n\n"
        "Examples:\n"
        "  fengsuictl import history-2023.txt.gz\n"
        "  fengsuictl import --label site=unicom a.txt b.txt\n"
        "  fengsuictl export --url http://old:9470 | fengsuictl import -",
    .help_chinese =
        "fengsuictl import 文件... | -\n\n"
        "存储文本文件里的样本：Prometheus 文本或 OpenMetrics，可带时间戳（不带则为现在），\n"
        "未压缩、gzip 或 zstd 均可；- 为标准输入。\n"
        "文件分段发送，每段存好才发下一段。中断了，或者其中一部分已经有了？再运行一次即可：\n"
        "相同的样本不会改变任何东西。\n"
        "采集器不能保留的样本（早于保留期、在未来）会计数并说明，此时退出码为 1。\n\n"
        "  --format prometheus|openmetrics   默认：未压缩文件以“# EOF”结尾则为 OpenMetrics，\n"
        "                                    否则为 Prometheus 文本\n"
        "  --label 名=值                     给每个序列加的标签；可重复\n"
        "  --check                           只检查文件，不发送\n\n"
        "例子：\n"
        "  fengsuictl import history-2023.txt.gz\n"
        "  fengsuictl import --label site=unicom a.txt b.txt\n"
        "  fengsuictl export --url http://old:9470 | fengsuictl import -",
};
