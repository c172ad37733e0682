/*
 * timeline.h - what time it is for rules when somebody sets this host's clock.
 *
 *     time = monotonic clock + offset; the offset follows the wall clock while that moves by no
 *     more than TIMELINE_JUMP_MS at once
 *
 * After a jump either the clock was wrong before, or it is now.  The hosts that report are the
 * witnesses: each of their writes votes for the time, old or new, that its newest sample is nearer
 * to.  The old time goes on while it has no fewer votes, and for TIMELINE_WAIT_MS while there are
 * none.  So a step of an hour here ends no alert and fires none.
 *
 * Owner: whoever holds it locked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"

#define TIMELINE_JUMP_MS 2000
#define TIMELINE_WAIT_MS 60000

struct timeline {
    int64_t offset_ms; /* Unix time - monotonic time */
    bool jumped;       /* the wall clock says something else: */
    int64_t wall_offset_ms;
    mono_ns jumped_at;
    unsigned old_votes, new_votes;
};

void timeline_init(struct timeline *timeline, int64_t wall_ms, mono_ns now);
/* A host's write has come whose newest sample has this time. */
void timeline_witness(struct timeline *timeline, int64_t ts_ms, int64_t wall_ms, mono_ns now);
/* Unix ms. */
int64_t timeline_now(struct timeline *timeline, int64_t wall_ms, mono_ns now);
