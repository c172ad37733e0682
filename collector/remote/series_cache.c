/*
 * series_cache.c - see series_cache.h.
 */
#include "collector/remote/series_cache.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

#define ARENA_BYTES_MAX ((size_t)1 << 30) /* of one window beyond the cache's own limit */
#define FIRST_SLOTS     1024

void series_cache_init(struct series_cache *cache, struct store *store,
                       const struct relabel *relabel)
{
    *cache = (struct series_cache){.store = store, .relabel = relabel};
    relabel_scratch_init(&cache->scratch);
    arena_init(&cache->arena, ARENA_BYTES_MAX);
}

void series_cache_done(struct series_cache *cache)
{
    relabel_scratch_done(&cache->scratch);
    arena_reset(&cache->arena);
    buf_done(&cache->text);
    free(cache->slots);
    cache->slots = NULL;
}

void series_cache_trim(struct series_cache *cache)
{
    if (cache->arena.held_bytes + cache->capacity * sizeof *cache->slots <=
        SERIES_CACHE_BYTES_MAX)
        return;
    arena_reset(&cache->arena);
    free(cache->slots);
    cache->slots = NULL;
    cache->count = 0;
    cache->capacity = 0;
}

/* Ids are given one after the other: multiplied, they spread over all bits. */
static struct series_cached *slot_of(const struct series_cache *cache, uint64_t id)
{
    size_t at = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (cache->capacity - 1);
    while (cache->slots[at].id != 0 && cache->slots[at].id != id)
        at = (at + 1) & (cache->capacity - 1);
    return &cache->slots[at];
}

static int grow(struct series_cache *cache)
{
    if (cache->capacity > 0 && cache->count < cache->capacity / 4 * 3)
        return 0;
    struct series_cache grown = {.capacity =
                                     cache->capacity == 0 ? FIRST_SLOTS : cache->capacity * 2};
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (grown.slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < cache->capacity; i++)
        if (cache->slots[i].id != 0)
            *slot_of(&grown, cache->slots[i].id) = cache->slots[i];
    free(cache->slots);
    cache->slots = grown.slots;
    cache->capacity = grown.capacity;
    return 0;
}

/* What becomes of the series.  Labels that relabelling spoils are as good as dropped. */
static int make(struct series_cache *cache, uint64_t id, struct series_cached *made)
{
    struct series *series = NULL;
    const struct labels *labels = NULL;
    struct labels_room room;
    *made = (struct series_cached){.id = id};
    int error = store_series_by_id(cache->store, id, &series);
    if (error == ERR_NOTFOUND || error == ERR_CORRUPT) {
        made->is_unknown = true;
        return 0;
    }
    if (error != 0)
        return error;
    error = relabel_apply(cache->relabel, store_series_labels(series, &room),
                          &cache->scratch, &labels);
    buf_clear(&cache->text);
    if (error == 0 && labels != NULL)
        labels_write(labels, &cache->text);
    store_series_release(cache->store, series);
    if (error == ERR_NOMEM || !buf_ok(&cache->text))
        return ERR_NOMEM;
    if (cache->text.size == 0)
        return 0;
    uint8_t *copy = arena_alloc(&cache->arena, cache->text.size, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, cache->text.data, cache->text.size);
    made->labels = (struct bytes){copy, cache->text.size};
    return 0;
}

int series_cache_find(struct series_cache *cache, uint64_t id, struct series_cached *ret_series)
{
    int error = grow(cache);
    if (error != 0)
        return error;
    struct series_cached *slot = slot_of(cache, id);
    if (slot->id != id) {
        error = make(cache, id, slot);
        if (error != 0) {
            *slot = (struct series_cached){0};
            return error;
        }
        cache->count++;
    }
    *ret_series = *slot;
    return 0;
}
