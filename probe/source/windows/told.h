/*
 * told.h - the readings of a Windows source, and what this system would not tell.
 *
 * A call that this system (an older one, or Wine) lacks costs its own series and nothing else: it
 * is counted in fengsui_probe_windows_calls_failed_total{call}, and the source's complaint names the
 * first of them, which the scheduler logs once (source.h).
 */
#pragma once

#include "probe/source/readings.h"

#define TOLD_CALLS_MAX 8

struct told {
    struct readings list;
    struct {
        const char *name;
        uint64_t failures;
        unsigned long code;
    } calls[TOLD_CALLS_MAX];
    size_t call_count;
    char complaint[160];
};

/* Begins a tick's list. */
void told_begin(struct told *told);

/* `call` is a constant; `code` is what GetLastError() or the call itself said. */
void told_failed(struct told *told, const char *call, unsigned long code);

void told_plain(struct told *told, const struct metric *metric, double value);
void told_one(struct told *told, const struct metric *metric, double value, const char *name,
              struct bytes label);
void told_two(struct told *told, const struct metric *metric, double value, const char *name_a,
              struct bytes label_a, const char *name_b, struct bytes label_b);

/* Adds the counter above and emits all. */
int told_emit(struct told *told, struct emitter *out);

/* For source.complaint. */
const char *told_complaint(const struct told *told);

void told_done(struct told *told);

/* UTF-16 as bytes in `room`. */
#define TOLD_TEXT_BYTES 512
struct bytes told_text(const wchar_t *text, char room[TOLD_TEXT_BYTES]);

/* GAUGE and COUNTER rows of a metric table. */
#define TOLD_GAUGE(name, help)   {name, METRIC_GAUGE, help, NULL}
#define TOLD_COUNTER(name, help) {name, METRIC_COUNTER, help, NULL}
