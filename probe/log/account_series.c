/*
 * account_series.c - see account_series.h.
 */
#include "probe/log/account_series.h"

#include <stdlib.h>

#include "probe/log/access_series.h"
#include "probe/log/templates_series.h"
#include "probe/log/told.h"
#include "proto/wire/record.h"

#define EVENT_BYTES_MAX ((size_t)64 << 10)

static const struct metric lines_total = {"logwatch_lines_total", METRIC_COUNTER,
                                          "Log lines read, by severity.", NULL};
static const struct metric matches_total = {"logwatch_pattern_matches_total", METRIC_COUNTER,
                                            "Log lines that match a pattern.", NULL};
static const struct metric dropped_total = {"logwatch_dropped_lines_total", METRIC_COUNTER,
                                            "Log lines that were not sent, by reason.", NULL};
static const struct metric redacted_total = {
    "logwatch_redacted_total", METRIC_COUNTER,
    "What was masked in log lines before they were sent, by kind.", NULL};
static const struct metric decode_errors_total = {
    "logwatch_decode_errors_total", METRIC_COUNTER,
    "Lines with bytes that are not text in the file's encoding.", NULL};
static const struct metric cut_total = {
    "logwatch_cut_lines_total", METRIC_COUNTER,
    "Lines or multi-line events that were too long and were cut.", NULL};
static const struct metric last_line = {"logwatch_last_line_timestamp_seconds", METRIC_GAUGE,
                                        "When the last line was read, Unix time.", NULL};
static const struct metric max_silence = {"logwatch_expected_max_silence_seconds", METRIC_GAUGE,
                                          "How long the file may be silent, as configured.",
                                          NULL};

struct account_series {
    struct told lines[SEVERITY_COUNT];
    struct told redacted[REDACT_KIND_COUNT];
    struct told dropped_rate;
    struct told decode_errors;
    struct told cut;
    struct told last_line;
    struct told max_silence;      /* SERIES_NONE without a limit */
    struct access_series *access; /* NULL: no access log */
    struct templates_series *templates;
    struct told matches[]; /* one for each pattern */
};

struct account_series *account_series_new(const struct log_account *account,
                                          struct emitter *out)
{
    const struct log_settings *settings = account->settings;
    struct bytes file = account->path;
    struct account_series *series =
        malloc(sizeof *series + settings->pattern_count * sizeof(struct told));
    if (series == NULL)
        return NULL;
    for (uint32_t i = 0; i < SEVERITY_COUNT; i++)
        series->lines[i] = told_never(series_two(out, &lines_total, "file", file, "severity",
                                                 bytes_of(severity_name(i))));
    for (size_t i = 0; i < settings->pattern_count; i++)
        series->matches[i] = told_never(series_two(out, &matches_total, "file", file, "pattern",
                                                   bytes_of(settings->patterns[i].name)));
    for (enum redact_kind i = 0; i < REDACT_KIND_COUNT; i++)
        series->redacted[i] = told_never(series_two(out, &redacted_total, "file", file, "kind",
                                                    bytes_of(redact_kind_name(i))));
    series->templates = account->templates == NULL ? NULL : templates_series_new(file);
    series->access = account->access == NULL ? NULL : access_series_new(file);
    series->dropped_rate = told_never(
        series_two(out, &dropped_total, "file", file, "reason", bytes_of("rate_limit")));
    series->decode_errors = told_never(series_one(out, &decode_errors_total, "file", file));
    series->cut = told_never(series_one(out, &cut_total, "file", file));
    series->last_line = told_never(series_one(out, &last_line, "file", file));
    series->max_silence =
        told_never(settings->max_silence_ms > 0 ? series_one(out, &max_silence, "file", file)
                                                : SERIES_NONE);
    return series;
}

void account_series_free(struct account_series *series)
{
    if (series == NULL)
        return;
    access_series_free(series->access);
    templates_series_free(series->templates);
    free(series);
}

void account_series_emit(struct account_series *series, const struct log_account *account,
                         bool all, struct emitter *out)
{
    const struct log_tally *tally = &account->tally;
    const struct log_settings *settings = account->settings;
    told_emit(&series->decode_errors, (double)tally->decode_errors, all, out);
    told_emit(&series->cut, (double)tally->cut, all, out);
    for (size_t i = 0; i < SEVERITY_COUNT; i++)
        told_emit(&series->lines[i], (double)tally->lines[i], all, out);
    for (size_t i = 0; i < settings->pattern_count; i++)
        told_emit(&series->matches[i], (double)tally->matches[i], all, out);
    told_emit(&series->dropped_rate, (double)tally->dropped_rate, all, out);
    for (size_t i = 0; i < REDACT_KIND_COUNT; i++)
        told_emit(&series->redacted[i], (double)tally->redacted[i], all, out);
    if (series->access != NULL)
        access_series_emit(series->access, account->access, all, out);
    if (series->templates != NULL)
        templates_series_emit(series->templates, account->templates, all, out);
    if (!all)
        return; /* the gauges below move with every line; nobody needs them at once */
    if (account->last_line_ms > 0)
        told_emit(&series->last_line, (double)account->last_line_ms / 1000, all, out);
    if (series->max_silence.handle != SERIES_NONE)
        told_emit(&series->max_silence, (double)settings->max_silence_ms / 1000, all, out);
}

void account_series_end(const struct account_series *series, const struct log_account *account,
                        struct emitter *out)
{
    told_end(series->lines, SEVERITY_COUNT, out);
    told_end(series->matches, account->settings->pattern_count, out);
    told_end(series->redacted, REDACT_KIND_COUNT, out);
    told_end(&series->dropped_rate, 1, out);
    told_end(&series->decode_errors, 1, out);
    told_end(&series->cut, 1, out);
    told_end(&series->last_line, 1, out);
    told_end(&series->max_silence, 1, out);
    if (series->access != NULL)
        access_series_end(series->access, out);
    if (series->templates != NULL)
        templates_series_end(series->templates, out);
}

void account_event(struct emitter *out, const char *kind, const char *text,
                   struct label *labels, size_t count)
{
    struct wire_event event = {
        .kind = bytes_of(kind), .text = bytes_of(text), .labels = labels, .label_count = count};
    struct arena arena;
    struct buf data = {0};
    arena_init(&arena, EVENT_BYTES_MAX);
    if (record_encode_event(&event, &arena, &data) == 0)
        (void)emitter_record(out, RECORD_EVENT, buf_bytes(&data));
    buf_done(&data);
    arena_reset(&arena);
}
