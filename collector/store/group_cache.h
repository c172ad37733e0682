/*
 * group_cache.h - what is unpacked of history files, kept for the next question.
 *
 * A question about one series unpacks the group of series it lies in, and the boards on a wall
 * ask the same every few seconds.  Files never change and their generations are never used
 * again, so what is here is never wrong; it was checked against its seal when it came in.
 *
 *   letter   first                    entries of the view
 *   c        first ordinal            a group: what history has of each series in it
 *   s        first ordinal            a block of label sets
 *   m        a hash of the matchers   the series they select (selection.h)
 *
 * Bounded: the least recently used goes.  An entry is taken in when it is wanted a second time,
 * so that a walk over everything leaves the cache as it is.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/span_file.h"

struct group_cache;
struct cached_group;

struct group_key {
    uint64_t generation; /* of the file */
    uint32_t first;
    char letter;
};

int group_cache_new(size_t limit_bytes, struct group_cache **ret_cache);
/* Nobody holds a group any more.  NULL is allowed. */
void group_cache_free(struct group_cache *cache);

/* The group, held until it is released, and its view; NULL if it is not there. */
struct cached_group *group_cache_find(struct group_cache *cache, struct group_key key,
                                      struct group_view *ret_view);
/* Was a group of so many bytes that was not found asked for before?  Then put it in. */
bool group_cache_wants(struct group_cache *cache, struct group_key key, size_t bytes);
/* Copies it, if there is memory; the copy's first entry begins where any number may. */
void group_cache_put(struct group_cache *cache, struct group_key key,
                     const struct group_view *view);
/* Both: puts in what is wanted. */
void group_cache_offer(struct group_cache *cache, struct group_key key,
                       const struct group_view *view);
void group_cache_release(struct group_cache *cache,
                         struct cached_group *group); /* NULL allowed */
