/* kept_chunk.c - see kept_chunk.h. */
#include "collector/store/kept_chunk.h"

#include "proto/base/buf.h"

static struct group_key key_of(uint64_t generation, uint32_t ordinal)
{
    return (struct group_key){.generation = generation, .first = ordinal, .letter = 'd'};
}

struct cached_group *kept_chunk_find(struct group_cache *cache, uint64_t generation,
                                     uint32_t ordinal, struct kept_chunk *ret_chunk)
{
    struct group_view view;
    struct cached_group *cached = group_cache_find(cache, key_of(generation, ordinal), &view);
    if (cached == NULL)
        return NULL;
    struct bytes times = group_entry(&view, 0);
    *ret_chunk = (struct kept_chunk){
        .times_ms = (const int64_t *)(const void *)times.data,
        .values = (const double *)(const void *)group_entry(&view, 1).data,
        .count = times.size / sizeof *ret_chunk->times_ms,
        .plain = group_entry(&view, 2).data[0] != 0,
    };
    return cached;
}

void kept_chunk_offer(struct group_cache *cache, uint64_t generation, uint32_t ordinal,
                      const struct kept_chunk *chunk)
{
    const struct group_key key = key_of(generation, ordinal);
    const uint32_t size = (uint32_t)(chunk->count * sizeof(double));
    const uint32_t offsets[] = {0, size, 2 * size, 2 * size + 1};
    struct buf entries = {0};
    if (!group_cache_wants(cache, key, offsets[3]))
        return;
    buf_put(&entries, chunk->times_ms, size);
    buf_put(&entries, chunk->values, size);
    buf_put_u8(&entries, chunk->plain);
    if (buf_ok(&entries))
        group_cache_put(cache, key, &(struct group_view){entries.data, offsets, 3});
    buf_done(&entries);
}
