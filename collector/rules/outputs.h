/*
 * outputs.h - the series a rule writes, and those it has stopped writing.
 *
 * A recording rule writes its results, an alerting rule ALERTS and ALERTS_FOR_STATE, at timed
 * steps.  What was written last time and is not this time gets a stale marker.
 *
 *     outputs_begin(); outputs_add() ...; outputs_end();  each appends store samples
 *
 * Thread: the rules thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/store/store.h"

struct outputs; /* of one rule */

/* Samples of one write, with the references they hold until it is done. */
struct output_samples {
    struct store_sample *items; /* malloc'd */
    size_t count, capacity;
};

int outputs_new(struct store *store, struct outputs **ret_outputs);
void outputs_free(struct outputs *outputs); /* NULL is allowed */

void outputs_begin(struct outputs *outputs);
/* ERR_LIMIT from the store's series limit; ERR_NOMEM. */
int outputs_add(struct outputs *outputs, const struct labels *labels, int64_t ts_ms,
                double value, struct output_samples *samples);
int outputs_end(struct outputs *outputs, int64_t ts_ms, struct output_samples *samples);
/* After the write: forgets (and releases) the series that got a stale marker. */
void outputs_committed(struct outputs *outputs);
