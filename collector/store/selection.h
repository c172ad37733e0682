/*
 * selection.h - which series of a history file some matchers select, kept for the next
 * question.
 *
 * A board asks the same thirty files with the same matchers at each refresh.  What a file
 * answers never changes, so it is kept in the cache of groups, with the places where the series
 * lie: then a file of which all that is wanted is in the cache is not looked into at all.
 *
 *     entry 0   struct selected, ascending ordinals
 *     entry 1   the matchers (selection_question())
 *
 * Any thread.
 */
#pragma once

#include <roaring/roaring.h>
#include <stdbool.h>
#include <stddef.h>

#include "collector/series/matcher.h"
#include "collector/store/group_cache.h"
#include "collector/store/span_set.h"

struct selection {
    struct cached_group *cached; /* holds it */
    const struct selected *items;
    size_t count;
};

/* The matchers as bytes; other matchers, other bytes. */
void selection_question(struct matcher *const *matchers, size_t count, struct buf *out);
struct group_key selection_key(uint64_t generation, struct bytes question);
/* What they select in the file, if it is known; until selection_release(). */
bool selection_find(struct group_cache *cache, uint64_t generation, struct bytes question,
                    struct selection *ret_selection);
/* What was found, to be kept if it is asked for again and not too much. */
void selection_offer(struct group_cache *cache, struct span_reader *reader,
                     struct bytes question, const roaring_bitmap_t *ordinals);
void selection_release(struct group_cache *cache, struct selection *selection);
