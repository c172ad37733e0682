#include "proto/base/clock.h"

#include <time.h>

#include "proto/base/must.h"

static int64_t system_unix_ms(void *context)
{
    struct timespec now;
    (void)context;
    must(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * MS_PER_SEC + now.tv_nsec / (int64_t)NS_PER_MS;
}

static mono_ns system_mono(void *context)
{
    struct timespec now;
    (void)context;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (mono_ns)now.tv_sec * 1000000000u + (mono_ns)now.tv_nsec;
}

mono_ns clock_thread_cpu(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
        return 0;
    return (mono_ns)now.tv_sec * 1000000000u + (mono_ns)now.tv_nsec;
}

const struct clock clock_system = {system_unix_ms, system_mono, 0};
