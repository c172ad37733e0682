/*
 * range_set.h - which numbers of a stream are stored: a low-water mark and ranges above it.
 *
 *     1 .. low_water   |  gap  | ranges[0] | gap | ranges[1] ...
 *
 * Ranges are ascending, disjoint, never touching, all above low_water + 1.  At most
 * STREAM_RANGES_MAX of them; adding one more is ERR_LIMIT, and the batch waits until earlier
 * ones have arrived.  Pure; one owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/wire/envelope.h"

struct range_set {
    uint64_t low_water;
    struct number_range *ranges; /* malloc'd */
    size_t count, capacity;
};

void range_set_done(struct range_set *set);
bool range_set_has(const struct range_set *set, uint64_t number);
/* Are all of first..last there? */
bool range_set_covers(const struct range_set *set, uint64_t first, uint64_t last);
/* Largest number stored; 0 if none. */
uint64_t range_set_highest(const struct range_set *set);
/* Adds first..last (1 <= first <= last); what is there already stays.  ERR_LIMIT, ERR_NOMEM. */
int range_set_add(struct range_set *set, uint64_t first, uint64_t last);
/* ret_copy must be empty.  ERR_NOMEM. */
int range_set_copy(const struct range_set *set, struct range_set *ret_copy);

/* Stored form: varint low_water, varint count, then varint deltas first, last ... */
void range_set_write(const struct range_set *set, struct buf *out);
/* ERR_MALFORMED if the bytes break the invariants above. */
int range_set_read(struct reader *reader, struct range_set *ret_set);
