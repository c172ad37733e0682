/* remote_cache.c - see remote_cache.h. */
#include "collector/http/remote_cache.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define FIRST_SLOTS   ((size_t)1024)
#define PREFETCH_AHEAD 12

struct entry {
    uint64_t low, high;
    struct series *series; /* NULL: free */
};

struct remote_cache {
    /* fixed after open */
    struct store *store;
    const struct clock *clock;
    uint64_t seed;
    /* under lock */
    pthread_rwlock_t lock;
    struct entry *entries;
    uint8_t *turns; /* last turn of use, by slot; readers of the lock may set it */
    size_t slots, count;
    uint8_t turn;
    /* under ticket_lock */
    pthread_mutex_t ticket_lock;
    mono_ns turn_end;
    unsigned phase;
    uint64_t tickets[2];
    struct series **limbo; /* removed in the other phase, still held */
    size_t limbo_count;
};

int remote_cache_open(struct store *store, const struct clock *clock,
                      struct remote_cache **ret_cache)
{
    if (sodium_init() < 0)
        return ERR_IO;
    struct remote_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return ERR_NOMEM;
    cache->store = store;
    cache->clock = clock;
    cache->turn_end = clock_mono(clock) + (mono_ns)CACHE_TURN_MS * NS_PER_MS;
    randombytes_buf(&cache->seed, sizeof cache->seed);
    cache->entries = calloc(FIRST_SLOTS, sizeof *cache->entries);
    cache->turns = calloc(FIRST_SLOTS, 1);
    cache->slots = FIRST_SLOTS;
    must(pthread_rwlock_init(&cache->lock, NULL) == 0);
    must(pthread_mutex_init(&cache->ticket_lock, NULL) == 0);
    if (cache->entries == NULL || cache->turns == NULL) {
        remote_cache_close(cache);
        return ERR_NOMEM;
    }
    *ret_cache = cache;
    return 0;
}

static void release_all(struct store *store, struct series **series, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_series_release(store, series[i]);
    free(series);
}

void remote_cache_close(struct remote_cache *cache)
{
    if (cache == NULL)
        return;
    must(cache->tickets[0] + cache->tickets[1] == 0);
    release_all(cache->store, cache->limbo, cache->limbo_count);
    for (size_t i = 0; cache->entries != NULL && i < cache->slots; i++) {
        if (cache->entries[i].series != NULL)
            store_series_release(cache->store, cache->entries[i].series);
    }
    free(cache->entries);
    free(cache->turns);
    pthread_rwlock_destroy(&cache->lock);
    pthread_mutex_destroy(&cache->ticket_lock);
    free(cache);
}

struct remote_key remote_cache_key(const struct remote_cache *cache, struct bytes labels)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(labels.data, labels.size, cache->seed);
    return (struct remote_key){hash.low64, hash.high64};
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct entry *entries, size_t slots, struct remote_key key)
{
    size_t at = (size_t)key.low & (slots - 1);
    while (entries[at].series != NULL &&
           (entries[at].low != key.low || entries[at].high != key.high))
        at = (at + 1) & (slots - 1);
    return at;
}

void remote_cache_find(struct remote_cache *cache, const struct remote_key *keys, size_t count,
                       struct series **ret_series)
{
    must(pthread_rwlock_rdlock(&cache->lock) == 0);
    uint8_t turn = cache->turn;
    for (size_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count)
            __builtin_prefetch(
                &cache->entries[keys[i + PREFETCH_AHEAD].low & (cache->slots - 1)]);
        size_t at = slot_of(cache->entries, cache->slots, keys[i]);
        ret_series[i] = cache->entries[at].series;
        if (ret_series[i] != NULL && __atomic_load_n(&cache->turns[at], __ATOMIC_RELAXED) != turn)
            __atomic_store_n(&cache->turns[at], turn, __ATOMIC_RELAXED);
    }
    must(pthread_rwlock_unlock(&cache->lock) == 0);
}

static unsigned patience_of(const struct remote_cache *cache)
{
    size_t used = 0;
    if (cache->count < CACHE_HASTE_MIN)
        return CACHE_IDLE_TURNS;
    for (size_t i = 0; i < cache->slots; i++)
        used += cache->entries[i].series != NULL &&
                (uint8_t)(cache->turn - cache->turns[i]) < CACHE_HASTE_TURNS;
    return used * 2 < cache->count ? CACHE_HASTE_TURNS : CACHE_IDLE_TURNS;
}

/* A table of `slots` with every entry that is young enough; the others go to `old`, if given. */
static int rebuild(struct remote_cache *cache, size_t slots, struct series **old,
                   size_t *old_count)
{
    struct entry *entries = calloc(slots, sizeof *entries);
    uint8_t *turns = calloc(slots, 1);
    if (entries == NULL || turns == NULL) {
        free(entries);
        free(turns);
        return ERR_NOMEM;
    }
    const unsigned patience = patience_of(cache);
    size_t count = 0;
    for (size_t i = 0; i < cache->slots; i++) {
        const struct entry *entry = &cache->entries[i];
        if (entry->series == NULL)
            continue;
        if (old != NULL && (uint8_t)(cache->turn - cache->turns[i]) >= patience) {
            old[(*old_count)++] = entry->series;
            continue;
        }
        size_t at = slot_of(entries, slots, (struct remote_key){entry->low, entry->high});
        entries[at] = *entry;
        turns[at] = cache->turns[i];
        count++;
    }
    free(cache->entries);
    free(cache->turns);
    cache->entries = entries;
    cache->turns = turns;
    cache->slots = slots;
    cache->count = count;
    return 0;
}

int remote_cache_add(struct remote_cache *cache, struct remote_key key, struct series *series)
{
    must(pthread_rwlock_wrlock(&cache->lock) == 0);
    int error = 0;
    if ((cache->count + 1) * 4 > cache->slots * 3)
        error = rebuild(cache, cache->slots * 2, NULL, NULL);
    size_t at = slot_of(cache->entries, cache->slots, key);
    bool is_new = cache->entries[at].series == NULL;
    if (is_new && error == 0) {
        cache->entries[at] = (struct entry){key.low, key.high, series};
        cache->turns[at] = cache->turn;
        cache->count++;
    }
    must(pthread_rwlock_unlock(&cache->lock) == 0);
    if (!is_new || error != 0) /* another thread was first: its reference serves us both */
        store_series_release(cache->store, series);
    return is_new ? error : 0;
}

/* Ends a turn: what was not used for long goes to limbo, and the phase changes.  Under both
 * locks, and only when limbo is empty, so the phase to come has no ticket out. */
static void sweep(struct remote_cache *cache)
{
    cache->turn++;
    struct series **old = malloc((cache->count + 1) * sizeof *old);
    size_t old_count = 0;
    if (old == NULL || rebuild(cache, cache->slots, old, &old_count) != 0) {
        free(old);
        return; /* the next turn tries again */
    }
    if (old_count == 0) {
        free(old);
        return;
    }
    cache->limbo = old;
    cache->limbo_count = old_count;
    cache->phase ^= 1;
}

static struct series **take_limbo(struct remote_cache *cache, size_t *ret_count)
{
    if (cache->limbo == NULL || cache->tickets[cache->phase ^ 1] != 0)
        return NULL;
    struct series **limbo = cache->limbo;
    *ret_count = cache->limbo_count;
    cache->limbo = NULL;
    cache->limbo_count = 0;
    return limbo;
}

unsigned remote_cache_enter(struct remote_cache *cache)
{
    mono_ns now = clock_mono(cache->clock);
    must(pthread_mutex_lock(&cache->ticket_lock) == 0);
    if (now >= cache->turn_end && cache->limbo == NULL &&
        cache->tickets[cache->phase ^ 1] == 0) {
        must(pthread_rwlock_wrlock(&cache->lock) == 0);
        cache->turn_end = now + (mono_ns)CACHE_TURN_MS * NS_PER_MS;
        sweep(cache);
        must(pthread_rwlock_unlock(&cache->lock) == 0);
    }
    size_t count = 0;
    struct series **limbo = take_limbo(cache, &count);
    unsigned ticket = cache->phase;
    cache->tickets[ticket]++;
    must(pthread_mutex_unlock(&cache->ticket_lock) == 0);
    release_all(cache->store, limbo, count);
    return ticket;
}

void remote_cache_leave(struct remote_cache *cache, unsigned ticket)
{
    must(pthread_mutex_lock(&cache->ticket_lock) == 0);
    must(cache->tickets[ticket] > 0);
    cache->tickets[ticket]--;
    must(pthread_mutex_unlock(&cache->ticket_lock) == 0);
}

size_t remote_cache_count(struct remote_cache *cache)
{
    must(pthread_rwlock_rdlock(&cache->lock) == 0);
    size_t count = cache->count;
    must(pthread_rwlock_unlock(&cache->lock) == 0);
    return count;
}
