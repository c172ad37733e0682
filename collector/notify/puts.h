/*
 * puts.h - the rows one write of the notifier changes, collected one after the other.
 *
 * Keys and values are copied into the arena, so both live until the write is done.  A failure
 * is kept in `failed` and looked at once, by whoever submits.
 *
 * Thread: the notify loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/store.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

struct puts {
    struct arena *arena;     /* of keys and values */
    struct store_put *items; /* malloc'd; the turn's once it is submitted */
    size_t count, capacity;
    bool failed; /* out of memory: the turn is made again */
};

/* value.data NULL deletes. */
void puts_add(struct puts *puts, struct bytes key, struct bytes value);
/* Key: prefix and 16 hex digits.  `row` NULL deletes. */
void puts_add_numbered(struct puts *puts, const char *prefix, uint64_t number,
                       const struct buf *row);
/* Key: prefix and name.  `row` NULL deletes. */
void puts_add_named(struct puts *puts, const char *prefix, const char *name,
                    const struct buf *row);
