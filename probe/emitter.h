/*
 * emitter.h - where sources put what they read: series handles, then one value each a tick.
 *
 *     start/collect:  handle = emitter_series(out, &metric, labels, n);   once for each series
 *     every tick:     emit(out, handle, value);                           allocates nothing
 *     gone:           emitter_end(out, handle);                           a stale marker
 *
 * A handle is the series' ref in the stream's definitions log: dense from 0, never reused within
 * an epoch; the same metric and labels always give the same handle.
 * Registering may allocate; emitting never does.  What cannot be registered (limits, memory)
 * yields SERIES_NONE, is counted, and emitting to SERIES_NONE does nothing: sources need no error
 * paths for it.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/wire/envelope.h"
#include "proto/wire/plain.h"

typedef uint32_t series_handle;
#define SERIES_NONE UINT32_MAX

/* A metric's constant part; a static table in the source's file. */
struct metric {
    const char *name;
    enum metric_type type;
    const char *help;
    const char *unit; /* NULL: none */
};

struct emitter;

/* Registers, or finds, a series.  `labels` ascending by name, without __name__ (the emitter sorts
 * if they are not); bytes are copied.  `metric` must outlive the emitter. */
series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count);

/* The value of this tick.  A second value for one handle in a tick replaces the first. */
void emit(struct emitter *out, series_handle handle, double value);

/* The series has ended: a stale marker goes out with this tick.  emit() revives it. */
void emitter_end(struct emitter *out, series_handle handle);

/* A record of this tick (record.h); the data are copied.  ERR_LIMIT, ERR_NOMEM. */
int emitter_record(struct emitter *out, uint32_t kind, struct bytes data);

/* Lines of this tick; copied.  ERR_AGAIN when the tick's room is used up: keep them. */
int emitter_log(struct emitter *out, const struct log_chunk *chunk);
