/*
 * kept_chunk.h - short chunks as they are decoded, kept for the next question.
 *
 * A month at a coarse interval is a chunk of some hundred samples a day, and each has tables of
 * its own that take longer to make than its samples take to read.  Only chunks that are alone
 * in their file are kept, so a file and an ordinal say which.
 *
 *     entry 0 times, entry 1 values, entry 2 one byte: is it plain (chunk_decode_told())
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/group_cache.h"

#define KEPT_SAMPLES_MAX 512 /* in longer ones the tables do not count */

struct kept_chunk {
    const int64_t *times_ms;
    const double *values;
    size_t count;
    bool plain;
};

/* The chunk of a series, held until group_cache_release(); NULL if it is not there. */
struct cached_group *kept_chunk_find(struct group_cache *cache, uint64_t generation,
                                     uint32_t ordinal, struct kept_chunk *ret_chunk);
/* Takes in a copy, if it is asked for again. */
void kept_chunk_offer(struct group_cache *cache, uint64_t generation, uint32_t ordinal,
                      const struct kept_chunk *chunk);
