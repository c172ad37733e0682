/*
 * recording_emitter.h - an emitter for tests of sources: it keeps what it is given.
 *
 * Implements probe/emitter.h without a probe.  Values are those of the current tick; a series
 * that was not emitted since recorder_tick() has none.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "probe/emitter.h"
#include "probe/source/source.h"
#include "proto/base/buf.h"

struct emitter *recorder_new(void);
void recorder_free(struct emitter *out);

/* A new tick: forgets values, ends and records, keeps series. */
void recorder_tick(struct emitter *out);

/* The value of `name{a="b",c="d"}`, labels as in the text format, ascending.  NAN if there is
 * none in this tick. */
double recorder_value(const struct emitter *out, const char *series);
bool recorder_has(const struct emitter *out, const char *series);
/* Ended in this tick? */
bool recorder_ended(const struct emitter *out, const char *series);
/* Values emitted in this tick. */
size_t recorder_count(const struct emitter *out);
/* Series ever registered. */
size_t recorder_series(const struct emitter *out);
/* The last record of this tick; empty if none. */
struct bytes recorder_record(const struct emitter *out, uint32_t *ret_kind);

/* The tick in Prometheus text format. */
void recorder_print(const struct emitter *out, FILE *file);

/* A source with its state, for as long as a test needs it. */
struct running_source {
    const struct source *source;
    void *state;
    struct source_env env;
};

/* Configures (YAML text of the source's map, or NULL) and starts.  Returns start()'s or
 * configure()'s error; the state is kept for running_source_stop() either way. */
int running_source_start(struct running_source *running, const struct source *source,
                         const char *root, const char *yaml, struct emitter *out,
                         struct diagnosis *why);
/* One tick: gather() if blocking, then collect(). */
int running_source_tick(struct running_source *running, int64_t now_ms, struct emitter *out);
void running_source_stop(struct running_source *running);
