/*
 * watch_series.c - see watch_series.h.
 *
 * All series of a path are registered at once and begin at 0, so that increase() sees the first
 * match of a pattern.
 */
#include "probe/log/watch_series.h"

#include <stdlib.h>

#include "probe/source/series.h"
#include "proto/wire/record.h"

#define EVENT_BYTES_MAX ((size_t)64 << 10)

enum plain_series { TRUNCATIONS, ROTATIONS, LOST, DECODE_ERRORS, CUT, LAG, PLAIN_COUNT };

static const struct metric plain[PLAIN_COUNT] = {
    [TRUNCATIONS] = {"logwatch_truncations_total", METRIC_COUNTER,
                     "Times a log file was truncated in place.", NULL},
    [ROTATIONS] = {"logwatch_rotations_total", METRIC_COUNTER,
                   "Times a log file's name passed to another file.", NULL},
    [LOST] = {"logwatch_lost_files_total", METRIC_COUNTER,
              "Rotated log files that were gone before they were read to their end.", NULL},
    [DECODE_ERRORS] = {"logwatch_decode_errors_total", METRIC_COUNTER,
                       "Lines with bytes that are not text in the file's encoding.", NULL},
    [CUT] = {"logwatch_cut_lines_total", METRIC_COUNTER,
             "Lines or multi-line events that were too long and were cut.", NULL},
    [LAG] = {"logwatch_read_lag_bytes", METRIC_GAUGE,
             "Bytes of a log file that are not read yet.", NULL},
};

static const struct metric lines_total = {"logwatch_lines_total", METRIC_COUNTER,
                                          "Log lines read, by severity.", NULL};
static const struct metric matches_total = {"logwatch_pattern_matches_total", METRIC_COUNTER,
                                            "Log lines that match a pattern.", NULL};
static const struct metric dropped_total = {"logwatch_dropped_lines_total", METRIC_COUNTER,
                                            "Log lines that were not sent, by reason.", NULL};
static const struct metric redacted_total = {
    "logwatch_redacted_total", METRIC_COUNTER,
    "What was masked in log lines before they were sent, by kind.", NULL};
static const struct metric last_line = {"logwatch_last_line_timestamp_seconds", METRIC_GAUGE,
                                        "When the last line was read, Unix time.", NULL};
static const struct metric max_silence = {"logwatch_expected_max_silence_seconds", METRIC_GAUGE,
                                          "How long the file may be silent, as configured.",
                                          NULL};

/* A series and the value it had when it was last told. */
struct told {
    series_handle handle;
    double value;
};

struct watch_series {
    struct told plain[PLAIN_COUNT];
    struct told lines[SEVERITY_COUNT];
    struct told dropped_rate;
    struct told redacted[REDACT_KIND_COUNT];
    struct told last_line;
    struct told max_silence; /* SERIES_NONE without a limit */
    struct told matches[];   /* one for each pattern */
};

static struct told untold(series_handle handle)
{
    return (struct told){.handle = handle, .value = -1};
}

struct watch_series *watch_series_new(const struct watch *watch, struct emitter *out)
{
    const struct log_settings *settings = watch->account.settings;
    struct bytes file = bytes_of(watch->label);
    struct watch_series *series =
        malloc(sizeof *series + settings->pattern_count * sizeof(struct told));
    if (series == NULL)
        return NULL;
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        series->plain[i] = untold(series_one(out, &plain[i], "file", file));
    for (uint32_t i = 0; i < SEVERITY_COUNT; i++)
        series->lines[i] = untold(series_two(out, &lines_total, "file", file, "severity",
                                             bytes_of(severity_name(i))));
    for (size_t i = 0; i < settings->pattern_count; i++)
        series->matches[i] = untold(series_two(out, &matches_total, "file", file, "pattern",
                                               bytes_of(settings->patterns[i].name)));
    series->dropped_rate =
        untold(series_two(out, &dropped_total, "file", file, "reason", bytes_of("rate_limit")));
    for (enum redact_kind i = 0; i < REDACT_KIND_COUNT; i++)
        series->redacted[i] = untold(series_two(out, &redacted_total, "file", file, "kind",
                                                bytes_of(redact_kind_name(i))));
    series->last_line = untold(series_one(out, &last_line, "file", file));
    series->max_silence =
        untold(settings->max_silence_ms > 0 ? series_one(out, &max_silence, "file", file)
                                            : SERIES_NONE);
    return series;
}

void watch_series_free(struct watch_series *series)
{
    free(series);
}

static void tell(struct told *told, double value, bool all, struct emitter *out)
{
    /* A counter that moves is told at once; exact, because both are whole numbers. */
    if (!all && value <= told->value && value >= told->value)
        return;
    emit(out, told->handle, value);
    told->value = value;
}

void watch_series_emit(struct watch_series *series, const struct watch *watch, bool all,
                       struct emitter *out)
{
    const struct log_tally *tally = &watch->account.tally;
    const struct log_settings *settings = watch->account.settings;
    tell(&series->plain[TRUNCATIONS], (double)watch->truncations, all, out);
    tell(&series->plain[ROTATIONS], (double)watch->rotations, all, out);
    tell(&series->plain[LOST], (double)watch->lost, all, out);
    tell(&series->plain[DECODE_ERRORS], (double)tally->decode_errors, all, out);
    tell(&series->plain[CUT], (double)tally->cut, all, out);
    for (size_t i = 0; i < SEVERITY_COUNT; i++)
        tell(&series->lines[i], (double)tally->lines[i], all, out);
    for (size_t i = 0; i < settings->pattern_count; i++)
        tell(&series->matches[i], (double)tally->matches[i], all, out);
    tell(&series->dropped_rate, (double)tally->dropped_rate, all, out);
    for (size_t i = 0; i < REDACT_KIND_COUNT; i++)
        tell(&series->redacted[i], (double)tally->redacted[i], all, out);
    if (!all)
        return; /* the gauges below move with every line; nobody needs them at once */
    tell(&series->plain[LAG], (double)watch_lag(watch), all, out);
    if (watch->account.last_line_ms > 0)
        tell(&series->last_line, (double)watch->account.last_line_ms / 1000, all, out);
    if (series->max_silence.handle != SERIES_NONE)
        tell(&series->max_silence, (double)settings->max_silence_ms / 1000, all, out);
}

static void end(const struct told *told, size_t count, struct emitter *out)
{
    for (size_t i = 0; i < count; i++)
        series_end(out, &told[i].handle, 1);
}

void watch_series_end(const struct watch_series *series, const struct watch *watch,
                      struct emitter *out)
{
    end(series->plain, PLAIN_COUNT, out);
    end(series->lines, SEVERITY_COUNT, out);
    end(series->matches, watch->account.settings->pattern_count, out);
    end(&series->dropped_rate, 1, out);
    end(series->redacted, REDACT_KIND_COUNT, out);
    end(&series->last_line, 1, out);
    end(&series->max_silence, 1, out);
}

void watch_event(const struct watch *watch, struct emitter *out, const char *kind,
                 const char *text)
{
    struct label file = {bytes_of("file"), bytes_of(watch->label)};
    struct wire_event event = {
        .kind = bytes_of(kind), .text = bytes_of(text), .labels = &file, .label_count = 1};
    struct arena arena;
    struct buf data = {0};
    arena_init(&arena, EVENT_BYTES_MAX);
    /* An event that cannot be told is still in the counters. */
    if (record_encode_event(&event, &arena, &data) == 0)
        (void)emitter_record(out, RECORD_EVENT, buf_bytes(&data));
    buf_done(&data);
    arena_reset(&arena);
}
