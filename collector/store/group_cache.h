/*
 * group_cache.h - groups of history files as they are unpacked, kept for the next question.
 *
 * A question about one series unpacks the group of series it lies in, and the boards on a wall
 * ask the same every few seconds.  Files never change and their generations are never used
 * again, so what is here is never wrong; it was checked against its seal when it came in.
 *
 * Bounded: the least recently used goes.  A group is taken in when it is wanted a second time,
 * so that a walk over everything leaves the cache as it is.
 *
 * Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/store/span_file.h"

struct group_cache;
struct cached_group;

struct group_key {
    uint64_t generation; /* of the file */
    uint32_t first;      /* ordinal */
    char letter;         /* of the table */
};

int group_cache_new(size_t limit_bytes, struct group_cache **ret_cache);
/* Nobody holds a group any more.  NULL is allowed. */
void group_cache_free(struct group_cache *cache);

/* The group, held until it is released, and its view; NULL if it is not there. */
struct cached_group *group_cache_find(struct group_cache *cache, struct group_key key,
                                      struct group_view *ret_view);
/* Offers a group that was not found: copied, if it was offered before and there is memory. */
void group_cache_offer(struct group_cache *cache, struct group_key key,
                       const struct group_view *view);
void group_cache_release(struct group_cache *cache,
                         struct cached_group *group); /* NULL allowed */
