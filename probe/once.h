/*
 * once.h - one look at everything, in Prometheus's text format 0.0.4.
 *
 *     # HELP node_load1 1m load average.
 *     # TYPE node_load1 gauge
 *     node_load1 0.42
 *
 * Families by name, series by labels.  Log lines and records are not shown.
 */
#pragma once

#include "probe/emitter_tick.h"
#include "proto/base/buf.h"

/* Prints what a fresh emitter holds: all its series are new.  ERR_NOMEM. */
int once_print(struct emitter *emitter, struct buf *out);
