/*
 * pace.c - see pace.h.
 */
#include "collector/notify/pace.h"

#define MINUTE_NS ((mono_ns)60000 * NS_PER_MS)

static mono_ns burst(const struct pace *pace)
{
    return pace->per_minute < 10 ? 1 : pace->per_minute / 5;
}

static mono_ns interval(const struct pace *pace)
{
    mono_ns evenly = pace->per_minute - burst(pace);
    return evenly == 0 ? MINUTE_NS : MINUTE_NS / evenly;
}

static mono_ns tolerance(const struct pace *pace)
{
    return (burst(pace) - 1) * interval(pace);
}

void pace_start(struct pace *pace, unsigned per_minute, mono_ns now)
{
    *pace = (struct pace){.per_minute = per_minute};
    if (per_minute != 0)
        pace->arrival = now + tolerance(pace);
}

mono_ns pace_next(const struct pace *pace)
{
    mono_ns next = 0;
    if (pace->per_minute != 0 && pace->arrival > tolerance(pace))
        next = pace->arrival - tolerance(pace);
    return next > pace->pause_until ? next : pace->pause_until;
}

size_t pace_left(const struct pace *pace, mono_ns now, size_t most)
{
    mono_ns left;
    if (pace_next(pace) > now)
        return 0;
    if (pace->per_minute == 0)
        return most;
    left = pace->arrival > now ? (now + tolerance(pace) - pace->arrival) / interval(pace) + 1
                               : burst(pace);
    return left < most ? (size_t)left : most;
}

void pace_take(struct pace *pace, mono_ns now)
{
    if (pace->per_minute != 0)
        pace->arrival = (pace->arrival > now ? pace->arrival : now) + interval(pace);
}
