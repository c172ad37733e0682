/*
 * probe.h - the parts put together: one start, one stop.
 *
 * Starting and stopping come in pairs and may be repeated on one loop: that is how a changed
 * configuration is taken over.
 */
#pragma once

#include <uv.h>

#include "probe/options.h"
#include "proto/base/diagnosis.h"

struct probe;

/* Opens keys and spool, starts sources and transport.  `ticks_missed` passed before it could be
 * started, and are counted as lost.  Which sources run and how often is settled in the options
 * (a policy changes it while running).  The loop is stopped when the same options want another
 * start (a new epoch).  ERR_FULL: no room for a spool, now. */
int probe_start(uv_loop_t *loop, struct options *options, uint64_t ticks_missed,
                struct probe **ret_probe, struct diagnosis *why);

/* Stops everything; memory of handles goes when the loop has run. */
void probe_stop(struct probe *probe);

/* --once, --check: results on stdout.  0 or an error with its reason. */
int probe_once(struct options *options, struct diagnosis *why);
int probe_check(struct options *options, struct diagnosis *why);
