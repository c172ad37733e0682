/* group_cache.c - see group_cache.h. */
#include "collector/store/group_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BUCKETS  4096U
#define OFFERED  1024U /* sets of places for hashes: */
#define PLACES   4U    /* so that two that take turns do not take each other's away */
#define PART_MAX 8 /* one group takes at most this part of the room */

struct cached_group {
    struct group_key key;
    struct group_view view; /* into this allocation: entries behind the struct, then offsets */
    size_t bytes;
    unsigned holders;
    bool is_out;               /* of the cache: freed by the last holder */
    struct cached_group *next; /* in its bucket */
    TAILQ_ENTRY(cached_group) use;
};

struct group_cache {
    size_t limit_bytes; /* fixed */
    pthread_mutex_t lock;
    /* under lock */
    struct cached_group *buckets[BUCKETS];
    TAILQ_HEAD(uses, cached_group) uses; /* the last used first */
    size_t bytes;
    uint64_t offered[OFFERED][PLACES]; /* hashes of keys, each in its set, the last come first */
};

int group_cache_new(size_t limit_bytes, struct group_cache **ret_cache)
{
    struct group_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return ERR_NOMEM;
    cache->limit_bytes = limit_bytes;
    TAILQ_INIT(&cache->uses);
    must(pthread_mutex_init(&cache->lock, NULL) == 0);
    *ret_cache = cache;
    return 0;
}

/* splitmix64's last steps. */
static uint64_t hash_of(struct group_key key)
{
    uint64_t hash = key.generation * UINT64_C(0x9e3779b97f4a7c15) +
                    ((uint64_t)(uint8_t)key.letter << 32 | key.first);
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

static bool is_key(const struct cached_group *group, struct group_key key)
{
    return group->key.generation == key.generation && group->key.first == key.first &&
           group->key.letter == key.letter;
}

static struct cached_group **place_of(struct group_cache *cache, struct group_key key)
{
    struct cached_group **at = &cache->buckets[hash_of(key) % BUCKETS];
    while (*at != NULL && !is_key(*at, key))
        at = &(*at)->next;
    return at;
}

static void put_out(struct group_cache *cache, struct cached_group *group)
{
    *place_of(cache, group->key) = group->next;
    TAILQ_REMOVE(&cache->uses, group, use);
    cache->bytes -= group->bytes;
    group->is_out = true;
    if (group->holders == 0)
        free(group);
}

void group_cache_free(struct group_cache *cache)
{
    if (cache == NULL)
        return;
    while (!TAILQ_EMPTY(&cache->uses)) {
        must(TAILQ_FIRST(&cache->uses)->holders == 0);
        put_out(cache, TAILQ_FIRST(&cache->uses));
    }
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct cached_group *group_cache_find(struct group_cache *cache, struct group_key key,
                                      struct group_view *ret_view)
{
    must(pthread_mutex_lock(&cache->lock) == 0);
    struct cached_group *group = *place_of(cache, key);
    if (group != NULL) {
        group->holders++;
        TAILQ_REMOVE(&cache->uses, group, use);
        TAILQ_INSERT_HEAD(&cache->uses, group, use);
        *ret_view = group->view;
    }
    must(pthread_mutex_unlock(&cache->lock) == 0);
    return group;
}

static struct cached_group *copy_of(struct group_key key, const struct group_view *view)
{
    const size_t align = sizeof *view->offsets;
    size_t offsets_bytes = (view->count + 1) * sizeof *view->offsets;
    size_t entries_bytes = view->offsets[view->count];
    size_t offsets_at = (entries_bytes + align - 1) / align * align;
    size_t bytes = sizeof(struct cached_group) + offsets_at + offsets_bytes;
    struct cached_group *group = malloc(bytes);
    if (group == NULL)
        return NULL;
    uint8_t *entries = (uint8_t *)(group + 1);
    uint32_t *offsets = (uint32_t *)(void *)(entries + offsets_at);
    memcpy(offsets, view->offsets, offsets_bytes);
    if (entries_bytes > 0)
        memcpy(entries, view->entries, entries_bytes);
    *group = (struct cached_group){
        .key = key, .view = {entries, offsets, view->count}, .bytes = bytes};
    return group;
}

static bool was_offered(struct group_cache *cache, struct group_key key)
{
    uint64_t hash = hash_of(key);
    must(pthread_mutex_lock(&cache->lock) == 0);
    uint64_t *set = cache->offered[hash % OFFERED];
    size_t at = 0;
    while (at + 1 < PLACES && set[at] != hash)
        at++;
    bool was = set[at] == hash;
    memmove(set + 1, set, at * sizeof *set); /* over it, or the one that came first */
    set[0] = hash;
    must(pthread_mutex_unlock(&cache->lock) == 0);
    return was;
}

bool group_cache_wants(struct group_cache *cache, struct group_key key, size_t bytes)
{
    return bytes <= cache->limit_bytes / PART_MAX && was_offered(cache, key);
}

void group_cache_offer(struct group_cache *cache, struct group_key key,
                       const struct group_view *view)
{
    if (group_cache_wants(cache, key, view->offsets[view->count]))
        group_cache_put(cache, key, view);
}

void group_cache_put(struct group_cache *cache, struct group_key key,
                     const struct group_view *view)
{
    struct cached_group *group = copy_of(key, view);
    if (group == NULL)
        return;
    must(pthread_mutex_lock(&cache->lock) == 0);
    struct cached_group **place = place_of(cache, key);
    if (*place != NULL) { /* another reader was sooner */
        free(group);
    } else {
        *place = group;
        TAILQ_INSERT_HEAD(&cache->uses, group, use);
        cache->bytes += group->bytes;
        while (cache->bytes > cache->limit_bytes)
            put_out(cache, TAILQ_LAST(&cache->uses, uses));
    }
    must(pthread_mutex_unlock(&cache->lock) == 0);
}

void group_cache_release(struct group_cache *cache, struct cached_group *group)
{
    if (group == NULL)
        return;
    must(pthread_mutex_lock(&cache->lock) == 0);
    bool is_last = --group->holders == 0 && group->is_out;
    must(pthread_mutex_unlock(&cache->lock) == 0);
    if (is_last)
        free(group);
}
