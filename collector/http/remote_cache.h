/*
 * remote_cache.h - from the bytes of a sender's labels to the store's series.
 *
 * A sender writes the same label bytes with every sample.  The cache maps XXH3-128 of those
 * bytes (with a secret seed, so that nobody can aim at a collision) to the series, and holds
 * one reference to each.  A series unused for CACHE_IDLE_TURNS turns of CACHE_TURN_MS is let
 * go, so that what left the store's head leaves memory; sooner where most are unused, as after
 * an import of a year.
 *
 * Letting go is safe although writes under way still use pointers they looked up: every write
 * holds a ticket of one of two phases, and what a sweep removed is released only when the last
 * ticket of the phase it happened in has been given back.
 *
 *     open addressing, linear probing, at most 4/5 full, in pieces; an entry is 24 bytes and a turn byte
 *
 * Threads: any; lookups share a read lock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/store/store.h"
#include "proto/base/clock.h"

#define CACHE_TURN_MS     (60 * 1000)
#define CACHE_IDLE_TURNS  60
#define CACHE_HASTE_TURNS 2     /* instead, when most were not used in that time, */
#define CACHE_HASTE_MIN   65536 /* and there are so many: names that will not come again */

struct remote_cache;

struct remote_key {
    uint64_t low, high;
};

int remote_cache_open(struct store *store, const struct clock *clock,
                      struct remote_cache **ret_cache);
void remote_cache_close(struct remote_cache *cache); /* no ticket may be out; NULL is allowed */

/* Taken before the first lookup of a write, given back when the store is done with it. */
unsigned remote_cache_enter(struct remote_cache *cache);
void remote_cache_leave(struct remote_cache *cache, unsigned ticket);

struct remote_key remote_cache_key(const struct remote_cache *cache, struct bytes labels);
/* NULL where a key is not there. */
void remote_cache_find(struct remote_cache *cache, const struct remote_key *keys, size_t count,
                       struct series **ret_series);
/* Takes over the caller's reference.  ERR_NOMEM: it was given back, and the series must not be
 * used. */
int remote_cache_add(struct remote_cache *cache, struct remote_key key, struct series *series);

size_t remote_cache_count(struct remote_cache *cache);
