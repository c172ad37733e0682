/*
 * slab.c - see slab.h.
 */
#include "collector/store/slab.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#define CHECKS_ADDRESSES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKS_ADDRESSES
#endif
#endif
#ifdef CHECKS_ADDRESSES
#include <sanitizer/asan_interface.h>
#endif

#include "proto/base/must.h"

#define BLOCK_BYTES ((size_t)256 << 10)

static _Atomic size_t mapped_bytes;

struct slab_block {
    void *owner;
    struct slab_block *next, *before; /* with room, of this size */
    struct free_object *free;
    size_t object_bytes, used, capacity;
    size_t begun; /* objects that have ever been used */
    uint64_t objects[];
};

struct free_object {
    struct free_object *next;
};

/* -- blocks ---------------------------------------------------------------------------------
 */

#ifdef CHECKS_ADDRESSES
/* Where leaks are looked for, what objects point to must be found. */
static void *map_block(void)
{
    return aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
}

static void unmap_block(void *block)
{
    free(block);
}

/* Whoever touches what is free is to be found out, as with malloc(). */
static void hide(const void *object, size_t bytes)
{
    __asan_poison_memory_region(object, bytes);
}

static void show(const void *object, size_t bytes)
{
    __asan_unpoison_memory_region(object, bytes);
}
#else
static void hide(const void *object, size_t bytes)
{
    (void)object;
    (void)bytes;
}

static void show(const void *object, size_t bytes)
{
    (void)object;
    (void)bytes;
}

static void *map(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Maps that follow each other are aligned once one is: then the first attempt succeeds. */
static void *map_block(void)
{
    uint8_t *block = map(BLOCK_BYTES);
    if (block == NULL)
        return NULL;
    atomic_fetch_add_explicit(&mapped_bytes, BLOCK_BYTES, memory_order_relaxed);
    if ((uintptr_t)block % BLOCK_BYTES == 0)
        return block;
    (void)munmap(block, BLOCK_BYTES);
    uint8_t *wide = map(2 * BLOCK_BYTES);
    if (wide == NULL) {
        atomic_fetch_sub_explicit(&mapped_bytes, BLOCK_BYTES, memory_order_relaxed);
        return NULL;
    }
    const size_t skip = (BLOCK_BYTES - (uintptr_t)wide % BLOCK_BYTES) % BLOCK_BYTES;
    if (skip > 0)
        (void)munmap(wide, skip);
    (void)munmap(wide + skip + BLOCK_BYTES, BLOCK_BYTES - skip);
    return wide + skip;
}

static void unmap_block(void *block)
{
    (void)munmap(block, BLOCK_BYTES);
    atomic_fetch_sub_explicit(&mapped_bytes, BLOCK_BYTES, memory_order_relaxed);
}
#endif

static struct slab_block *block_of(const void *object)
{
    return (struct slab_block *)((uintptr_t)object / BLOCK_BYTES * BLOCK_BYTES);
}

static struct slab_block **list_of(struct slab *slab, size_t object_bytes)
{
    return &slab->partial[object_bytes / SLAB_STEP_BYTES];
}

static void enlist(struct slab *slab, struct slab_block *block)
{
    struct slab_block **list = list_of(slab, block->object_bytes);
    block->before = NULL;
    block->next = *list;
    if (block->next != NULL)
        block->next->before = block;
    *list = block;
}

static void delist(struct slab *slab, struct slab_block *block)
{
    if (block->before != NULL)
        block->before->next = block->next;
    else
        *list_of(slab, block->object_bytes) = block->next;
    if (block->next != NULL)
        block->next->before = block->before;
}

static struct slab_block *make_block(struct slab *slab, size_t object_bytes)
{
    struct slab_block *block = map_block();
    if (block == NULL)
        return NULL;
    *block = (struct slab_block){
        .owner = slab->owner,
        .object_bytes = object_bytes,
        .capacity = (BLOCK_BYTES - sizeof *block) / object_bytes,
    };
    enlist(slab, block);
    return block;
}

/* -- objects --------------------------------------------------------------------------------
 */

void slab_init(struct slab *slab, void *owner)
{
    *slab = (struct slab){.owner = owner};
}

void *slab_alloc(struct slab *slab, size_t size)
{
    must(size > 0 && size <= SLAB_SIZE_MAX);
    size = (size + SLAB_STEP_BYTES - 1) / SLAB_STEP_BYTES * SLAB_STEP_BYTES;
    struct slab_block *block = *list_of(slab, size);
    if (block == NULL)
        block = make_block(slab, size);
    if (block == NULL)
        return NULL;
    struct free_object *freed = block->free;
    void *object = freed;
    if (freed != NULL) {
        show(freed, size);
        block->free = freed->next;
    } else {
        object = (uint8_t *)block->objects + block->begun++ * size;
    }
    if (++block->used == block->capacity)
        delist(slab, block);
    return memset(object, 0, size);
}

void slab_free(struct slab *slab, void *object)
{
    if (object == NULL)
        return;
    struct slab_block *block = block_of(object);
    must(block->owner == slab->owner && block->used > 0);
    if (block->used-- == block->capacity)
        enlist(slab, block);
    if (block->used == 0) {
        delist(slab, block);
        unmap_block(block);
        return;
    }
    struct free_object *freed = object;
    freed->next = block->free;
    block->free = freed;
    hide(freed, block->object_bytes);
}

size_t slab_held_bytes(void)
{
    return atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

void *slab_owner(const void *object)
{
    return block_of(object)->owner;
}
