/*
 * full.h - is there room on the disk?
 *
 * The writer asks at most once a second: past STORE_FULL_PERCENT of the file system (as df
 * counts it for an unprivileged user), of the quota, or of the map of live it takes essential writes only (alerts,
 * the outbox, own metrics), past STORE_EXHAUSTED_PERCENT none, and all again as soon as there
 * is room.  A commit that fails, for whatever reason, closes the gate too: every second one
 * more is tried, and the first that succeeds opens it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"

struct live;

struct full {
    /* fixed */
    const char *directory;
    uint64_t quota_bytes;
    const struct clock *clock;
    struct live *live; /* set when it is open, before there are other threads; NULL is allowed */
    /* under the lock */
    pthread_mutex_t lock;
    bool is_full;      /* past STORE_FULL_PERCENT */
    bool is_exhausted; /* past STORE_EXHAUSTED_PERCENT */
    bool fails;        /* the last commit failed */
    char reason[160], failure[160];
    mono_ns next_look, next_try;
    uint64_t unseen_bytes; /* written since the last look */
    uint64_t disk_bytes; /* allocated to our files, at the last look */
    uint64_t percent;    /* used of the quota or of the disk, whichever is more, then */
};

void full_init(struct full *full, const char *directory, uint64_t quota_bytes,
               const struct clock *clock);
void full_done(struct full *full);
enum full_level {
    FULL_NOT,
    FULL_BUT_ESSENTIAL, /* essential writes are taken */
    FULL_ALL,           /* nothing is */
};
/* How full is it now?  Looks at the disk if it has not for a second, or if since then so much has
 * come that it would show in the map. */
enum full_level full_level(struct full *full, uint64_t coming_bytes);
/* What became of a commit. */
void full_note_failure(struct full *full, const char *what);
void full_note_success(struct full *full);
/* Makes the next full_is() look. */
void full_look_soon(struct full *full);
/* Copies the state. */
bool full_get(struct full *full, char reason[160], uint64_t *ret_disk_bytes,
              uint64_t *ret_percent);
