#include "probe/tick_clock.h"

#include "proto/base/must.h"

void tick_clock_init(struct tick_clock *ticks, const struct clock *clock, uint64_t key_hash,
                     int64_t last_tick_ms)
{
    *ticks = (struct tick_clock){.clock = clock,
                                 .key_hash = key_hash,
                                 .last_ms = last_tick_ms == 0 ? INT64_MIN : last_tick_ms + 1,
                                 .last_mono = clock_mono(clock)};
}

int64_t tick_clock_now(struct tick_clock *ticks)
{
    int64_t wall_ms = clock_unix_ms(ticks->clock);
    mono_ns mono = clock_mono(ticks->clock);

    if (wall_ms >= ticks->last_ms && !ticks->is_held) {
        ticks->last_ms = wall_ms;
        ticks->last_mono = mono;
        return wall_ms;
    }
    int64_t elapsed_ms = (int64_t)((mono - ticks->last_mono) / NS_PER_MS);
    int64_t held_ms = ticks->last_ms + elapsed_ms;
    if (wall_ms >= held_ms) {
        ticks->is_held = false;
        ticks->last_ms = wall_ms;
        ticks->last_mono = mono;
        return wall_ms;
    }
    if (!ticks->is_held) {
        ticks->is_held = true;
        ticks->step_ms = held_ms - wall_ms;
    }
    ticks->last_ms = held_ms;
    /* What is left of a millisecond is kept for the next time. */
    ticks->last_mono += (mono_ns)elapsed_ms * NS_PER_MS;
    return held_ms;
}

int64_t tick_at_or_before(const struct tick_clock *ticks, int64_t ms, int64_t interval_ms)
{
    must(interval_ms > 0);
    int64_t phase_ms = (int64_t)(ticks->key_hash % (uint64_t)interval_ms);
    int64_t past = (ms - phase_ms) % interval_ms;
    if (past < 0)
        past += interval_ms;
    return ms - past;
}

int64_t tick_after(const struct tick_clock *ticks, int64_t ms, int64_t interval_ms)
{
    return tick_at_or_before(ticks, ms, interval_ms) + interval_ms;
}
