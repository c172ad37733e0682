/*
 * tracked.h - what comes and goes: devices, mounts, process groups, by name.
 *
 * A source marks what it meets in a tick and sweeps the rest:
 *
 *     tracked_begin(&disks);
 *     for each line:  struct disk *disk = tracked_touch(&disks, name, &is_new);
 *     tracked_sweep(&disks, disk_gone, out);      calls disk_gone() for each not met, frees it
 *
 * A value is zeroed when new and keeps its address until swept.  Kernel files list their
 * devices in the same order at every read, so a lookup tries the one after the last first; it
 * costs one comparison, and allocates only for what is new.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

/* Network interfaces that each source that lists them watches: more than any host has. */
#define INTERFACES_MAX ((size_t)16384)

struct tracked_entry;

struct tracked {
    /* set before first use */
    size_t value_bytes;
    size_t limit; /* entries; past it tracked_touch() yields NULL */
    /* private */
    struct tracked_entry **entries;
    size_t count;
    size_t capacity;
    size_t next; /* where the next lookup starts */
    uint32_t round;
};

/* Starts a round: nothing is met yet. */
void tracked_begin(struct tracked *set);

/* The value of `key` (at most 64 KiB), made if there is none.  NULL: the limit or memory. */
void *tracked_touch(struct tracked *set, struct bytes key, bool *ret_new);

/* The value of `key`, not met by this, or NULL. */
void *tracked_find(const struct tracked *set, struct bytes key);

/* Marks a value as met without looking it up. */
void tracked_meet(const struct tracked *set, void *value);

/* Frees what was not met since tracked_begin(), after telling `gone` (may be NULL). */
void tracked_sweep(struct tracked *set, void (*gone)(void *value, void *context),
                   void *context);

/* The i-th value in order of first appearance, i < count. */
void *tracked_at(const struct tracked *set, size_t i);

/* Key of a value; valid as long as the value. */
struct bytes tracked_key(const void *value);

/* Was this value met since tracked_begin()? */
bool tracked_is_met(const struct tracked *set, const void *value);

/* Frees everything after telling `gone` (may be NULL). */
void tracked_done(struct tracked *set, void (*gone)(void *value, void *context), void *context);
