/*
 * emitter.h - where sources put what they read: series handles, then one value each a tick.
 *
 *     start/collect:  handle = emitter_series(out, &metric, labels, n);   once for each series
 *     every tick:     emit(out, handle, value);                           allocates nothing
 *     gone:           emitter_end(out, handle);                           a stale marker
 *
 * A handle is the series' ref in the stream's definitions log: dense from 0, never reused
 * within an epoch; the same metric and labels always give the same handle. Registering may
 * allocate; emitting never does.  What cannot be registered (limits, memory) yields
 * SERIES_NONE, is counted, and emitting to SERIES_NONE does nothing: sources need no error
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

/* A metric's constant part; mostly a static table in the source's file. */
struct metric {
    const char *name;
    enum metric_type type;
    const char *help;
    const char *unit; /* NULL: none */
};

struct emitter;

/* Registers, or finds, a series.  `labels` ascending by name, without __name__ (the emitter
 * sorts if they are not); all bytes, the metric's too, are copied. */
series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count);

/* The value of this tick.  A second value for one handle in a tick replaces the first. */
void emit(struct emitter *out, series_handle handle, double value);

/* Values of this tick with a time of their own; handles ascending, each once (SERIES_NONE is
 * passed over).  Half of a batch's BATCH_LATE_MAX times may go so, the others are for sources
 * that come late: ERR_LIMIT; ERR_NOMEM. */
int emitter_at(struct emitter *out, int64_t ts_ms, const series_handle *handles,
               const double *values, size_t count);

/* The series has ended: a stale marker goes out with this tick.  emit() revives it. */
void emitter_end(struct emitter *out, series_handle handle);

/* A record of this tick (record.h); the data are copied.  ERR_LIMIT, ERR_NOMEM. */
int emitter_record(struct emitter *out, uint32_t kind, struct bytes data);

/* Lines a tick has room for, in bytes of text and 32 more a line; a first chunk larger than
 * this is still taken while it stays below EMITTER_LOG_CHUNK_BYTES. */
#define EMITTER_LOG_BYTES       ((size_t)256 << 10)
#define EMITTER_LOG_CHUNK_BYTES ((size_t)512 << 10)

/* Lines of this tick; copied, all of the chunk or nothing.  ERR_AGAIN when the tick's room is
 * used up: keep them for the next tick.  ERR_LIMIT for a chunk that can never fit. */
int emitter_log(struct emitter *out, const struct log_chunk *chunk);

/* Notes: what a source must remember together with what it emitted, such as how far a file is
 * read.  A note given in a tick is kept by the spool in the same record as the tick's batch:
 * after a crash there are both or neither.  (When the spool cannot take a batch, its lines,
 * records and notes wait for the next tick; samples are dropped.) Keys are unique in the probe:
 * begin them with the source's name and a slash.  An empty value forgets the key.  ERR_LIMIT
 * (key 1..NOTE_KEY_BYTES_MAX, value NOTE_VALUE_BYTES_MAX), ERR_NOMEM. */
#define NOTE_KEY_BYTES_MAX   ((size_t)255)
#define NOTE_VALUE_BYTES_MAX ((size_t)4096)

int emitter_note(struct emitter *out, struct bytes key, struct bytes value);

/* The notes that are in the spool, by index from 0 in no particular order; false past the last.
 * For start(): valid until the next tick. */
bool emitter_noted(const struct emitter *out, size_t index, struct bytes *ret_key,
                   struct bytes *ret_value);
