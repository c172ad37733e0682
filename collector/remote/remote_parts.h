/*
 * remote_parts.h - between remote.c and remote_report.c.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "collector/remote/remote.h"

struct remote {
    /* fixed after remote_new() */
    char *directory; /* DATA/remote */
    struct spill spill;
    struct store *store; /* after remote_open() */

    /* under the lock */
    pthread_mutex_t lock;
    bool is_open;
    struct sender *senders[REMOTE_TARGETS_MAX];
    size_t count;

    /* under the releasing lock: of the thread that releases, and of a backup */
    pthread_mutex_t releasing;
    bool is_held;
    unsigned failures; /* in a row */

    _Atomic uint64_t spilled_files, spill_failures, dropped_samples;
};
