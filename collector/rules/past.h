/*
 * past.h - the steps that nobody evaluated, because the collector was down.
 *
 *     row   rules/step/<hash of file and group>   zigzag time of the group's last timed step
 *           rules/note/<ended, 16 hex>/<fingerprint>   alert_write(): it began and ended in there
 *
 * At the start what fires is judged by the samples that come, as ever: nobody waits for a backlog
 * to be paged.  When every stream that is alive has delivered what it kept (rules_set_delivered(),
 * or PAST_WAIT_MS after the start) each rule of a group that missed steps is run once over them,
 * in order, between arrivals (and over the steps since the start, at which the backlog was missing):
 *
 *     recording rules     their samples are written at those steps
 *     true to the end     the alert gets its true start, and what has lasted for `for` fires now
 *     began and ended     a note: kept, shown, one line in the log; nobody is paged: those whom
 *                         its route names find a line of it in their next message (passed.h)
 *     ALERTS              as at any timed step
 *
 * What was alive before goes on (restore.c).  More than PAST_STEPS_MAX steps are thinned out; what
 * is older than PAST_MS_MAX is left out.
 *
 * Thread: the rules thread, but for past_load() (before it runs).
 */
#pragma once

#include "collector/rules/rules_parts.h"

#define PAST_STEP_PREFIX "rules/step/"
#define PAST_NOTE_PREFIX "rules/note/"
#define PAST_NOTES_MAX   1000 /* kept; the oldest go */
#define PAST_WAIT_MS     ((int64_t)5 * 60 * 1000)
#define PAST_MARK_MS     60000
#define PAST_MS_MAX      ((int64_t)24 * 3600 * 1000)
#define PAST_STEPS_MAX   1440

/* Finds what each group has missed.  After generation_restore(). */
int past_load(struct generation *generation, struct rules *rules);
/* What is still to be done goes on with the same groups of another generation. */
void past_move(struct generation *from, struct generation *to);
/* When there is something to do; UINT64_MAX: never.  Under touch_lock. */
mono_ns past_due(const struct rules *rules);
/* One rule of one group. */
void past_run(struct rules *rules);
/* Adds to a turn's write that the group's step at round->ts_ms is done.  Not while its past is yet
 * to be looked at; and a turn that would write nothing else is written down once in PAST_MARK_MS,
 * for such steps can be evaluated again. */
void past_mark(struct group_state *group, struct round *round, mono_ns now);
