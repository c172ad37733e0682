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

/* A table in pieces that grow by themselves, by a quarter: then none is half empty, and what is
 * copied meanwhile is there twice for one piece only. */
#define SEGMENTS       64u
#define FIRST_SLOTS    ((size_t)16)
#define PREFETCH_AHEAD 12

struct entry {
    uint64_t low, high;
    struct series *series; /* NULL: free */
};

struct segment {
    struct entry *entries;
    uint8_t *turns; /* last turn of use, by slot; readers of the lock may set it */
    size_t slots, count;
};

struct remote_cache {
    /* fixed after open */
    struct store *store;
    const struct clock *clock;
    uint64_t seed;
    /* under lock */
    pthread_rwlock_t lock;
    struct segment segments[SEGMENTS];
    size_t count;
    uint8_t turn;
    /* under ticket_lock */
    pthread_mutex_t ticket_lock;
    mono_ns turn_end;
    unsigned phase;
    uint64_t tickets[2];
    struct series **limbo; /* removed in the other phase, still held */
    size_t limbo_count;
};

static void segment_done(struct segment *segment)
{
    free(segment->entries);
    free(segment->turns);
}

static int make_segment(struct segment *segment, size_t slots)
{
    *segment = (struct segment){
        .entries = calloc(slots, sizeof *segment->entries),
        .turns = calloc(slots, 1),
        .slots = slots,
    };
    if (segment->entries != NULL && segment->turns != NULL)
        return 0;
    segment_done(segment);
    *segment = (struct segment){0};
    return ERR_NOMEM;
}

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
    must(pthread_rwlock_init(&cache->lock, NULL) == 0);
    must(pthread_mutex_init(&cache->ticket_lock, NULL) == 0);
    int error = 0;
    for (size_t i = 0; i < SEGMENTS && error == 0; i++)
        error = make_segment(&cache->segments[i], FIRST_SLOTS);
    if (error != 0) {
        remote_cache_close(cache);
        return error;
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
    for (size_t k = 0; k < SEGMENTS; k++) {
        for (size_t i = 0; i < cache->segments[k].slots; i++)
            if (cache->segments[k].entries[i].series != NULL)
                store_series_release(cache->store, cache->segments[k].entries[i].series);
        segment_done(&cache->segments[k]);
    }
    pthread_rwlock_destroy(&cache->lock);
    pthread_mutex_destroy(&cache->ticket_lock);
    free(cache);
}

struct remote_key remote_cache_key(const struct remote_cache *cache, struct bytes labels)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(labels.data, labels.size, cache->seed);
    return (struct remote_key){hash.low64, hash.high64};
}

static size_t segment_of(struct remote_key key)
{
    return (size_t)key.low % SEGMENTS;
}

/* Where the key belongs. */
static size_t home_of(const struct segment *segment, struct remote_key key)
{
    return (size_t)(((key.low >> 32) * segment->slots) >> 32);
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct segment *segment, struct remote_key key)
{
    const struct entry *entries = segment->entries;
    size_t at = home_of(segment, key);
    while (entries[at].series != NULL &&
           (entries[at].low != key.low || entries[at].high != key.high))
        at = at + 1 == segment->slots ? 0 : at + 1;
    return at;
}

void remote_cache_find(struct remote_cache *cache, const struct remote_key *keys, size_t count,
                       struct series **ret_series)
{
    must(pthread_rwlock_rdlock(&cache->lock) == 0);
    uint8_t turn = cache->turn;
    for (size_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count) {
            const struct remote_key ahead = keys[i + PREFETCH_AHEAD];
            const struct segment *far = &cache->segments[segment_of(ahead)];
            __builtin_prefetch(&far->entries[home_of(far, ahead)]);
        }
        struct segment *segment = &cache->segments[segment_of(keys[i])];
        size_t at = slot_of(segment, keys[i]);
        ret_series[i] = segment->entries[at].series;
        if (ret_series[i] != NULL &&
            __atomic_load_n(&segment->turns[at], __ATOMIC_RELAXED) != turn)
            __atomic_store_n(&segment->turns[at], turn, __ATOMIC_RELAXED);
    }
    must(pthread_rwlock_unlock(&cache->lock) == 0);
}

/* The entries of a segment that were used in the last so many turns. */
static size_t count_used(const struct remote_cache *cache, const struct segment *segment,
                         unsigned turns)
{
    size_t used = 0;
    for (size_t i = 0; i < segment->slots; i++)
        used += segment->entries[i].series != NULL &&
                (uint8_t)(cache->turn - segment->turns[i]) < turns;
    return used;
}

static unsigned patience_of(const struct remote_cache *cache)
{
    size_t used = 0;
    if (cache->count < CACHE_HASTE_MIN)
        return CACHE_IDLE_TURNS;
    for (size_t k = 0; k < SEGMENTS; k++)
        used += count_used(cache, &cache->segments[k], CACHE_HASTE_TURNS);
    return used * 2 < cache->count ? CACHE_HASTE_TURNS : CACHE_IDLE_TURNS;
}

/* Full at four fifths: then a search takes some three steps. */
static bool is_full(size_t count, size_t slots)
{
    return count * 5 > slots * 4;
}

static void move_entry(struct segment *to, const struct segment *from, size_t i)
{
    const struct entry *entry = &from->entries[i];
    const size_t at = slot_of(to, (struct remote_key){entry->low, entry->high});
    to->entries[at] = *entry;
    to->turns[at] = from->turns[i];
    to->count++;
}

static int grow(struct segment *segment)
{
    struct segment larger;
    if (make_segment(&larger, segment->slots + segment->slots / 4) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < segment->slots; i++)
        if (segment->entries[i].series != NULL)
            move_entry(&larger, segment, i);
    segment_done(segment);
    *segment = larger;
    return 0;
}

int remote_cache_add(struct remote_cache *cache, struct remote_key key, struct series *series)
{
    struct segment *segment = &cache->segments[segment_of(key)];
    must(pthread_rwlock_wrlock(&cache->lock) == 0);
    int error = is_full(segment->count + 1, segment->slots) ? grow(segment) : 0;
    size_t at = slot_of(segment, key);
    bool is_new = segment->entries[at].series == NULL;
    if (is_new && error == 0) {
        segment->entries[at] = (struct entry){key.low, key.high, series};
        segment->turns[at] = cache->turn;
        segment->count++;
        cache->count++;
    }
    must(pthread_rwlock_unlock(&cache->lock) == 0);
    if (!is_new || error != 0) /* another thread was first: its reference serves us both */
        store_series_release(cache->store, series);
    return is_new ? error : 0;
}

/* Leaves out of a segment what was not used for long: that goes to `old`. */
static int sweep_segment(struct remote_cache *cache, struct segment *segment, unsigned patience,
                         struct series **old, size_t *old_count)
{
    struct segment kept;
    const size_t used = count_used(cache, segment, patience);
    size_t slots = segment->slots;
    if (used == segment->count)
        return 0;
    while (slots / 2 >= FIRST_SLOTS && !is_full(used + used / 4, slots / 2))
        slots /= 2;
    if (make_segment(&kept, slots) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < segment->slots; i++) {
        if (segment->entries[i].series == NULL)
            continue;
        if ((uint8_t)(cache->turn - segment->turns[i]) < patience)
            move_entry(&kept, segment, i);
        else
            old[(*old_count)++] = segment->entries[i].series;
    }
    segment_done(segment);
    *segment = kept;
    return 0;
}

/* Ends a turn: what was not used for long goes to limbo, and the phase changes.  Under both
 * locks, and only when limbo is empty, so the phase to come has no ticket out. */
static void sweep(struct remote_cache *cache)
{
    cache->turn++;
    const unsigned patience = patience_of(cache);
    size_t old_count = 0;
    for (size_t k = 0; k < SEGMENTS; k++)
        old_count +=
            cache->segments[k].count - count_used(cache, &cache->segments[k], patience);
    if (old_count == 0)
        return;
    struct series **old = malloc(old_count * sizeof *old);
    if (old == NULL)
        return; /* the next turn tries again */
    old_count = 0;
    for (size_t k = 0; k < SEGMENTS; k++) /* what has no room now waits for the next turn */
        (void)sweep_segment(cache, &cache->segments[k], patience, old, &old_count);
    if (old_count == 0) {
        free(old);
        return;
    }
    cache->count -= old_count;
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
