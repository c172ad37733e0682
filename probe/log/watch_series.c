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
static const struct metric last_line = {"logwatch_last_line_timestamp_seconds", METRIC_GAUGE,
                                        "When the last line was read, Unix time.", NULL};
static const struct metric max_silence = {"logwatch_expected_max_silence_seconds", METRIC_GAUGE,
                                          "How long the file may be silent, as configured.",
                                          NULL};

struct watch_series {
    series_handle plain[PLAIN_COUNT];
    series_handle lines[SEVERITY_COUNT];
    series_handle dropped_rate;
    series_handle last_line;
    series_handle max_silence; /* SERIES_NONE without a limit */
    series_handle matches[LOG_PATTERNS_MAX];
};

struct watch_series *watch_series_new(const struct watch *watch, struct emitter *out)
{
    struct watch_series *series = malloc(sizeof *series);
    const struct log_settings *settings = watch->account.settings;
    struct bytes file = bytes_of(watch->label);
    if (series == NULL)
        return NULL;
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        series->plain[i] = series_one(out, &plain[i], "file", file);
    for (uint32_t i = 0; i < SEVERITY_COUNT; i++)
        series->lines[i] =
            series_two(out, &lines_total, "file", file, "severity", bytes_of(severity_name(i)));
    for (size_t i = 0; i < settings->pattern_count; i++)
        series->matches[i] = series_two(out, &matches_total, "file", file, "pattern",
                                        bytes_of(settings->patterns[i].name));
    series->dropped_rate =
        series_two(out, &dropped_total, "file", file, "reason", bytes_of("rate_limit"));
    series->last_line = series_one(out, &last_line, "file", file);
    series->max_silence = settings->max_silence_ms > 0
                              ? series_one(out, &max_silence, "file", file)
                              : SERIES_NONE;
    return series;
}

void watch_series_free(struct watch_series *series)
{
    free(series);
}

void watch_series_emit(const struct watch_series *series, const struct watch *watch,
                       struct emitter *out)
{
    const struct log_tally *tally = &watch->account.tally;
    const struct log_settings *settings = watch->account.settings;
    emit(out, series->plain[TRUNCATIONS], (double)watch->truncations);
    emit(out, series->plain[ROTATIONS], (double)watch->rotations);
    emit(out, series->plain[LOST], (double)watch->lost);
    emit(out, series->plain[DECODE_ERRORS], (double)tally->decode_errors);
    emit(out, series->plain[CUT], (double)tally->cut);
    emit(out, series->plain[LAG], (double)watch_lag(watch));
    for (size_t i = 0; i < SEVERITY_COUNT; i++)
        emit(out, series->lines[i], (double)tally->lines[i]);
    for (size_t i = 0; i < settings->pattern_count; i++)
        emit(out, series->matches[i], (double)tally->matches[i]);
    emit(out, series->dropped_rate, (double)tally->dropped_rate);
    if (watch->account.last_line_ms > 0)
        emit(out, series->last_line, (double)watch->account.last_line_ms / 1000);
    if (series->max_silence != SERIES_NONE)
        emit(out, series->max_silence, (double)settings->max_silence_ms / 1000);
}

void watch_series_end(const struct watch_series *series, const struct watch *watch,
                      struct emitter *out)
{
    series_end(out, series->plain, PLAIN_COUNT);
    series_end(out, series->lines, SEVERITY_COUNT);
    series_end(out, series->matches, watch->account.settings->pattern_count);
    series_end(out, &series->dropped_rate, 1);
    series_end(out, &series->last_line, 1);
    series_end(out, &series->max_silence, 1);
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
