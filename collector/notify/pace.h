/*
 * pace.h - how often a service may be spoken to.
 *
 * A leaky bucket (the generic cell rate algorithm, ITU-T I.371) that keeps every minute,
 * wherever it begins, within what the service allows: a fifth of it may go at once, the rest
 * evenly.
 *
 *     20 a minute: 4 at once, then one every 3.75 s
 *
 * One owner; no thread.
 */
#pragma once

#include <stddef.h>

#include "proto/base/clock.h"

struct pace {
    unsigned per_minute; /* 0: no limit */
    mono_ns arrival;     /* when the next would be due if all came evenly */
    mono_ns pause_until; /* the service asked for silence */
};

/* Begins without a burst: what was said before a restart is not known any more. */
void pace_start(struct pace *pace, unsigned per_minute, mono_ns now);
/* When the next may go; at most `now` if it may go now. */
mono_ns pace_next(const struct pace *pace);
/* How many may go now, one after the other; `most` if there is no limit. */
size_t pace_left(const struct pace *pace, mono_ns now, size_t most);
/* One goes. */
void pace_take(struct pace *pace, mono_ns now);
