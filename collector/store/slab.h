/*
 * slab.h - very many objects of a few sizes, without a word of the allocator's beside each.
 *
 *     block, aligned to its size
 *    +----------------------+--------+--------+--------+------------+
 *    | owner, size, used    | object | (free) | object | never used |
 *    +----------------------+--------+--------+--------+------------+
 *
 * A block holds objects of one size and goes back to the system when the last of them is freed.
 * What is never used of it takes no memory.  From an object its owner is found.
 *
 * Not thread-safe but for slab_owner().
 */
#pragma once

#include <stddef.h>

#define SLAB_STEP_BYTES 8u
#define SLAB_SIZE_MAX   ((size_t)2048)

struct slab_block;

struct slab {
    void *owner;
    struct slab_block *partial[SLAB_SIZE_MAX / SLAB_STEP_BYTES + 1]; /* with room, by size */
};

void slab_init(struct slab *slab, void *owner);
/* Zeroed, for anything aligned to 8 bytes; up to SLAB_SIZE_MAX.  NULL: no memory. */
void *slab_alloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, void *object); /* NULL is allowed */
/* What all slabs have from the system, other than by malloc(); any thread. */
size_t slab_held_bytes(void);
/* Of the slab an object is of; any thread. */
void *slab_owner(const void *object);
