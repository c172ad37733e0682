/* kept_run.c - see kept_run.h. */
#include "collector/store/kept_run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BUCKETS  1024U
#define OFFERED  256U /* sets of places for hashes: */
#define PLACES   4U   /* so that two that take turns do not take each other's away */
#define REFUSED  256U
#define PART_MAX 2 /* one run takes at most this part of the room */

struct kept_runs {
    size_t limit_bytes; /* fixed */
    pthread_mutex_t lock;
    /* under lock */
    struct kept_run *buckets[BUCKETS];
    struct kept_run *newest, *oldest; /* by use */
    size_t count, bytes;
    uint64_t offered[OFFERED][PLACES]; /* hashes of keys, each in its set, the last come first */
    uint64_t refused[REFUSED];
};

int kept_runs_new(size_t limit_bytes, struct kept_runs **ret_runs)
{
    struct kept_runs *runs = calloc(1, sizeof *runs);
    if (runs == NULL)
        return ERR_NOMEM;
    runs->limit_bytes = limit_bytes;
    must(pthread_mutex_init(&runs->lock, NULL) == 0);
    *ret_runs = runs;
    return 0;
}

size_t kept_runs_most_bytes(const struct kept_runs *runs)
{
    return runs->limit_bytes / PART_MAX;
}

static uint64_t hash_of(struct bytes key)
{
    return XXH3_64bits(key.data, key.size);
}

static struct kept_run **place_of(struct kept_runs *runs, uint64_t hash, struct bytes key)
{
    struct kept_run **at = &runs->buckets[hash % BUCKETS];
    while (*at != NULL && ((*at)->hash != hash || !bytes_equal((*at)->key, key)))
        at = &(*at)->next;
    return at;
}

static void link_newest(struct kept_runs *runs, struct kept_run *run)
{
    run->newer = NULL;
    run->older = runs->newest;
    *(runs->newest != NULL ? &runs->newest->newer : &runs->oldest) = run;
    runs->newest = run;
}

static void unlink_use(struct kept_runs *runs, struct kept_run *run)
{
    *(run->newer != NULL ? &run->newer->older : &runs->newest) = run->older;
    *(run->older != NULL ? &run->older->newer : &runs->oldest) = run->newer;
}

/* Who holds it keeps it. */
static void put_out(struct kept_runs *runs, struct kept_run *run)
{
    *place_of(runs, run->hash, run->key) = run->next;
    unlink_use(runs, run);
    runs->bytes -= run->bytes;
    runs->count--;
    kept_run_release(run);
}

void kept_runs_free(struct kept_runs *runs)
{
    if (runs == NULL)
        return;
    while (runs->oldest != NULL)
        put_out(runs, runs->oldest);
    (void)pthread_mutex_destroy(&runs->lock);
    free(runs);
}

struct kept_run *kept_runs_find(struct kept_runs *runs, struct bytes key)
{
    const uint64_t hash = hash_of(key);
    must(pthread_mutex_lock(&runs->lock) == 0);
    struct kept_run *run = *place_of(runs, hash, key);
    if (run != NULL) {
        atomic_fetch_add_explicit(&run->holders, 1, memory_order_relaxed);
        unlink_use(runs, run);
        link_newest(runs, run);
    }
    must(pthread_mutex_unlock(&runs->lock) == 0);
    return run;
}

bool kept_runs_wants(struct kept_runs *runs, struct bytes key)
{
    const uint64_t hash = hash_of(key);
    must(pthread_mutex_lock(&runs->lock) == 0);
    uint64_t *set = runs->offered[hash % OFFERED];
    size_t at = 0;
    while (at + 1 < PLACES && set[at] != hash)
        at++;
    const bool was = set[at] == hash;
    memmove(set + 1, set, at * sizeof *set); /* over it, or the one that came first */
    set[0] = hash;
    const bool is_refused = runs->refused[hash % REFUSED] == hash;
    must(pthread_mutex_unlock(&runs->lock) == 0);
    return was && !is_refused;
}

void kept_runs_refuse(struct kept_runs *runs, struct bytes key)
{
    const uint64_t hash = hash_of(key);
    must(pthread_mutex_lock(&runs->lock) == 0);
    runs->refused[hash % REFUSED] = hash;
    must(pthread_mutex_unlock(&runs->lock) == 0);
}

void kept_runs_put(struct kept_runs *runs, struct kept_run *run)
{
    run->bytes = run->memory.held_bytes + sizeof *run;
    must(pthread_mutex_lock(&runs->lock) == 0);
    struct kept_run **place = place_of(runs, run->hash, run->key);
    if (*place == NULL) {
        atomic_fetch_add_explicit(&run->holders, 1, memory_order_relaxed);
        *place = run;
        link_newest(runs, run);
        runs->bytes += run->bytes;
        runs->count++;
        while (runs->bytes > runs->limit_bytes)
            put_out(runs, runs->oldest);
    }
    must(pthread_mutex_unlock(&runs->lock) == 0);
}

void kept_runs_sum(struct kept_runs *runs, size_t *ret_count, size_t *ret_bytes)
{
    must(pthread_mutex_lock(&runs->lock) == 0);
    *ret_count = runs->count;
    *ret_bytes = runs->bytes;
    must(pthread_mutex_unlock(&runs->lock) == 0);
}

struct kept_run *kept_run_new(struct kept_runs *runs, struct bytes key, size_t series)
{
    struct kept_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return NULL;
    arena_init(&run->memory, kept_runs_most_bytes(runs));
    atomic_init(&run->holders, 1);
    run->hash = hash_of(key);
    uint8_t *copy = arena_alloc_raw(&run->memory, key.size + 1, 1);
    run->series = arena_alloc(&run->memory, series + 1, sizeof *run->series);
    if (copy == NULL || run->series == NULL) {
        kept_run_release(run);
        return NULL;
    }
    memcpy(copy, key.data, key.size);
    run->key = (struct bytes){copy, key.size};
    return run;
}

void kept_run_release(void *held)
{
    struct kept_run *run = held;
    if (run == NULL || atomic_fetch_sub_explicit(&run->holders, 1, memory_order_acq_rel) > 1)
        return;
    arena_reset(&run->memory);
    free(run);
}
