/*
 * watch_series.h - what is told about a path: logwatch_* series.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/log/watch.h"

/* Registers the series of a path; NULL if out of memory (nothing is told then). */
struct watch_series *watch_series_new(const struct watch *watch, struct emitter *out);
void watch_series_free(struct watch_series *series); /* NULL is allowed */

/* Emits what changed since it was last told; `all`: everything. */
void watch_series_emit(struct watch_series *series, const struct watch *watch, bool all,
                       struct emitter *out);
void watch_series_end(const struct watch_series *series, const struct watch *watch,
                      struct emitter *out);

/* An event about a path, as a record of this tick. */
void watch_event(const struct watch *watch, struct emitter *out, const char *kind,
                 const char *text);

/* Counts and tells that a compressed file could not be read to its end: what follows the damage
 * is lost, and somebody may want to look at the file. */
void watch_tell_damage(struct watch *watch, const struct tail *tail, struct emitter *out);
