/*
 * clock.h - the two clocks, never mixed.
 *
 * `int64_t ts_ms` is Unix time in milliseconds: what samples are stamped with; it may jump.
 * `mono_ns` is nanoseconds on CLOCK_MONOTONIC: what timers and durations use; it never goes
 * back. Code that keeps time takes a `struct clock`, so that a test can move it.
 */
#pragma once

#include <stdint.h>

typedef uint64_t mono_ns;

#define NS_PER_MS  1000000u
#define MS_PER_SEC 1000

struct clock {
    int64_t (*unix_ms)(void *context);
    mono_ns (*mono)(void *context);
    void *context;
};

/* The machine's clocks.  Any thread. */
extern const struct clock clock_system;

/* Processor time of the calling thread; 0 where the system does not tell. */
mono_ns clock_thread_cpu(void);

static inline int64_t clock_unix_ms(const struct clock *clock)
{
    return clock->unix_ms(clock->context);
}

static inline mono_ns clock_mono(const struct clock *clock)
{
    return clock->mono(clock->context);
}
