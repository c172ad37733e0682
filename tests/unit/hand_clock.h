/*
 * hand_clock.h - a clock that a test moves: struct clock{hand_unix, hand_mono, &hand}.
 */
#pragma once

#include "proto/base/clock.h"

struct hand_clock {
    int64_t unix_ms;
    mono_ns mono;
};

static inline int64_t hand_unix(void *context)
{
    return ((struct hand_clock *)context)->unix_ms;
}

static inline mono_ns hand_mono(void *context)
{
    return ((struct hand_clock *)context)->mono;
}

static inline void hand_pass(struct hand_clock *hand, int64_t ms)
{
    hand->unix_ms += ms;
    hand->mono += (mono_ns)ms * NS_PER_MS;
}
