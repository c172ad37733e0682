/*
 * tick_clock.h - when ticks are, and a time that never goes back.
 *
 * Ticks lie on a grid: k * interval + phase, with phase = hash(public key) mod interval.  The
 * grid is the same after a restart, and ten thousand probes do not send at the same instant.
 * Grids of intervals that divide each other share their points, so sources of 5 s and 15 s meet
 * in one batch.
 *
 * The time is the wall clock's, until that steps back; then it goes on by the monotonic clock
 * from where it was, until the wall clock has caught up.  So ticks strictly increase.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"

#define TICK_STEP_REPORTED_MS ((int64_t)3600 * 1000)

struct tick_clock {
    const struct clock *clock;
    uint64_t key_hash;
    int64_t last_ms; /* what was answered last */
    mono_ns last_mono;
    bool is_held;    /* the wall clock is behind */
    int64_t step_ms; /* of the backward step that began the holding */
};

/* Never answers a time at or before `last_tick_ms` (0: there was no tick). */
void tick_clock_init(struct tick_clock *ticks, const struct clock *clock, uint64_t key_hash,
                     int64_t last_tick_ms);

/* Unix time in milliseconds, as above. */
int64_t tick_clock_now(struct tick_clock *ticks);

/* The last grid point at or before `ms`, and the first one after. */
int64_t tick_at_or_before(const struct tick_clock *ticks, int64_t ms, int64_t interval_ms);
int64_t tick_after(const struct tick_clock *ticks, int64_t ms, int64_t interval_ms);
