/*
 * text_set.h - texts, each once: what the answers about names and values are gathered in.
 *
 * Many files hold the same values, so a text is copied only when it is new, and what is sorted at
 * the end is no longer than the answer.
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct text_set {
    struct arena *arena; /* of the texts, the caller's; the rest begins as zeros */
    struct bytes *items; /* in the order in which they came */
    size_t count, capacity;
    uint32_t *slots; /* 1 + index, by hash; 0: free */
    size_t slot_count;
};

bool text_set_has(const struct text_set *set, struct bytes text);
/* Copies a text that is not there yet.  ERR_LIMIT: the arena is full; ERR_NOMEM. */
int text_set_add(struct text_set *set, struct bytes text);
/* All of them, sorted, in the arena.  ERR_LIMIT. */
int text_set_sorted(const struct text_set *set, struct bytes **ret_items, size_t *ret_count);
/* Frees all but what lies in the arena. */
void text_set_done(struct text_set *set);
