/*
 * head.h - the recent past in memory: every active series with its chunks and tails.
 *
 *   series ── tail       newest samples, in order
 *          ── late       samples at or before the newest time (out of order, corrections)
 *          ── chunks     sealed tails, newest seal first
 *
 * What overlaps is settled on reading: at one time, the later seal wins over the earlier,
 * chunks sealed from `late` win over those sealed from `tail`, and the open late tail wins over
 * all. (A sample goes to `late` only when its time is not after the newest, so whatever it
 * overlaps was written before it.)
 *
 * Threads     Only the writer thread changes samples; the keeper removes chunks that history
 *             holds, by way of the writer.  Any thread resolves series and reads.
 * Locks       table lock (interning, postings) before a shard lock (samples); neither is held
 *             over I/O or a decode.  A series is in shard (id / 64) mod HEAD_SHARDS, so the
 *             consecutive ids of one probe's batch share a lock.
 * Lifetime    A series lives while it is referenced, waits to become durable, or holds samples;
 *             after that until head_sweep() finds it idle.
 */
#pragma once

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/queryable.h"
#include "collector/store/postings.h"
#include "collector/store/slab.h"
#include "collector/store/store.h"
#include "collector/store/tail.h"

#define HEAD_SHARDS      64u
#define HEAD_TIME_MS_MAX STORE_TIME_MS_MAX
#define SERIES_ID_MAX    UINT32_MAX

/* A sealed tail. */
struct sealed {
    struct sealed *next; /* sealed before this one */
    uint64_t sequence;   /* counts seals of the whole store; never reused */
    int64_t first_ms;
    uint32_t length_ms; /* last - first */
    uint16_t count;
    uint16_t bytes;
    bool late;
    bool saved; /* in the checkpoint table */
    uint8_t data[];
};

struct deletes;

struct series {
    /* fixed once made */
    uint32_t id;
    /* any thread */
    _Atomic uint32_t references;
    _Atomic uint64_t source;
    /* fixed once made: of the labels, which are at the end */
    uint64_t hash;
    /* under the shard lock, written by the writer */
    struct tail tail;
    struct tail *late;
    struct sealed *chunks;
    int64_t last_ms;   /* newest sample ever seen; INT64_MIN: none since it is in memory */
    uint32_t touched;  /* clock time of the last append: seconds, rounded up */
    uint32_t fence;    /* deletes up to this one have been cut out of the tails */
    bool is_ended;     /* the value at last_ms is known, and a stale marker */
    bool in_tail_pass; /* the last checkpoint pass wrote open tails of it */
    /* under the table lock */
    bool pending; /* not in the live `series` table yet */
    /* fixed once made: numbers of label pairs, which are in memory once for all series */
    uint8_t pair_count;
    uint32_t next; /* under the table lock: the id of the next in its hash bucket, or 0 */
    uint32_t pairs[];
};
static_assert(SERIES_LABELS_MAX <= UINT8_MAX, "pair_count is a byte");

struct head_stats {
    _Atomic uint64_t series_active, series_created, stored, duplicate, late, chunks, bytes;
    _Atomic uint64_t refused;       /* time outside what can be kept */
    _Atomic uint64_t overdue_bytes; /* sealed since the last flush for spans it had passed */
    _Atomic int64_t min_ms, max_ms; /* no sample is older, or younger (head_bounds.c) */
};

struct head {
    /* fixed after head_open() */
    int64_t span_ms;
    uint64_t series_limit;
    pthread_rwlock_t shards[HEAD_SHARDS];
    struct head_stats stats;
    /* any thread: what ends by then has been flushed once; the keeper moves it */
    _Atomic int64_t flushed_until_ms;

    /* what the keeper finds out and the writer takes over (head_bounds.c) */
    _Atomic int64_t oldest_found_ms, oldest_since_ms;
    _Atomic bool is_oldest_found;

    /* under the table lock */
    pthread_rwlock_t table;
    uint32_t *buckets; /* ids; 0: none */
    struct slab slab;  /* of series; its owner is the head */
    size_t bucket_count, series_count;
    struct series ***pages; /* id -> series */
    size_t page_count;
    struct postings *postings;
    uint64_t next_id;
    struct series **pending;
    _Atomic size_t pending_count; /* changed under the lock; whether there are any is read without */
    size_t pending_capacity;

    /* owned by the writer thread */
    uint64_t sequence; /* of the last seal */
    struct buf scratch;
    uint32_t fence; /* of the last delete since the opening */
    struct deletes *deletes;
};

int head_open(int64_t span_ms, uint64_t series_limit, struct head **ret_head);
void head_close(struct head *head); /* NULL is allowed */

/* ---- series (head_series.c) ------------------------------------------------------------- */

/* Finds by labels or id in memory and takes a reference; NULL if it is not there. */
struct series *head_find(struct head *head, const struct labels *labels);
struct series *head_find_id(struct head *head, uint64_t id);
/* The series with these labels: found, or made.  id 0: a new id, pending until the writer has
 * stored it; else one that is stored already.  Takes a reference.  ERR_LIMIT, ERR_NOMEM. */
int head_intern(struct head *head, const struct labels *labels, uint64_t id,
                struct series **ret_series);
void head_release(struct series *series);

/* The time of the oldest sample; INT64_MAX: there is none.  Shard lock. */
int64_t series_first_ms(const struct series *series);
/* The value of the newest sample, as long as it is in an open tail. */
bool series_last_value(const struct series *series, double *ret_value);

/* The labels of a series that is referenced: the set in `room`, its texts the head's. */
const struct labels *series_labels(const struct series *series, struct labels_room *room);
/* A copy of all of it; NULL when the arena is full. */
const struct labels *series_labels_copy(const struct series *series, struct arena *arena);
bool series_bears(const struct series *series, const struct labels *labels);
int series_compare(const struct series *a, const struct series *b); /* by labels */

/* By id, without a reference: under the table lock, or while opening, when no other thread knows the
 * head. */
struct series *head_peek_id(const struct head *head, uint64_t id);
/* Takes the list of pending series from the head (malloc'd, each referenced by the list) ... */
int head_take_pending(struct head *head, struct series ***ret_series, size_t *ret_count);
/* ... and tells what became of it; frees the list. */
void head_settle_pending(struct head *head, struct series **series, size_t count, bool stored);
/* What head_sweep() takes for over; times of the clock. */
struct sweep_bounds {
    int64_t touched_ms; /* not appended to since */
    int64_t last_ms;    /* or without samples of that time or later ... */
    int64_t rested_ms;  /* ... and not appended to since: what came with old times */
};
/* Drops series that are over, unreferenced and empty; at most `limit` ids from *resume on,
 * which is moved (0 when through).  *waiting is raised by those that only history does not hold
 * yet. */
void head_sweep(struct head *head, const struct sweep_bounds *bounds, size_t limit,
                uint64_t *resume, size_t *waiting);

/* Referenced series with ids from *from on, at most `limit`; moves *from behind them (0: that
 * were all).  `series` has room for `limit`. */
size_t head_collect(struct head *head, uint64_t *from, size_t limit, struct series **series);
/* Calls `each` for every series, under its shard lock for reading, until it fails.  Any thread. */
int head_each_series(struct head *head, int (*each)(void *context, struct series *series),
                     void *context);

/* Referenced series that satisfy the matchers (malloc'd list; release each, free the list); the watch
 * as for postings_select(). */
int head_select(struct head *head, struct matcher *const *matchers, size_t count,
                struct select_watch *watch, struct series ***ret_series, size_t *ret_count);

/* Asks the head's postings, under the lock that new series wait for.  Patterns that are slow are
 * tried without it, on values that were copied: `ask` then gives ERR_AGAIN, as select_watch_match()
 * does, and is called again from its beginning.  Any thread; what `ask` returned. (head_ask.c) */
int head_ask(struct head *head, struct select_watch *watch,
             int (*ask)(void *context, const struct postings_source *source), void *context);

/* The same for a thread that must not wait: ERR_AGAIN where the lock is taken, or there are more than
 * `most` label pairs. */
int head_ask_at_once(struct head *head, size_t most,
                     int (*ask)(void *context, const struct postings_source *source),
                     void *context);

/* The label pairs, until they are unlocked; no new series meanwhile, so not for long. */
struct postings *head_lock_postings(struct head *head);
void head_unlock_postings(struct head *head);

/* ---- samples (head.c); the writer thread ------------------------------------------------ */

static inline uint32_t head_shard_of(uint64_t id)
{
    return (uint32_t)(id / 64) % HEAD_SHARDS;
}
void head_lock_shard(struct head *head, uint32_t shard);
void head_unlock_shard(struct head *head, uint32_t shard);

/* The head holds a sample of this time: for its stats, and for who asks by time.  Under the lock of
 * its shard, where it is already. (head_bounds.c) */
void head_widen(struct head *head, int64_t ts_ms);
/* May the head hold samples of these times?  Any thread.  Where it says no, what it had of them is in
 * files that are registered. */
bool head_touches(const struct head *head, int64_t from_ms, int64_t until_ms);
/* The keeper, after a flush: looks for the oldest sample that is left ... */
int head_find_oldest(struct head *head);
/* ... and the writer takes it for the head's lower bound, before it appends. */
void head_take_oldest(struct head *head);

/* One sample, under the series's shard lock.  ERR_NOMEM. */
int head_append(struct head *head, struct series *series, int64_t ts_ms, double value,
                int64_t now_ms);
/* Samples of one series that follow each other, likewise; ERR_NOMEM leaves out the last ones.
 */
int head_append_run(struct head *head, struct series *series,
                    const struct store_sample *samples, size_t count, int64_t now_ms);
/* Samples of any series, which takes the locks of their shards by itself; those before
 * `floor_ms` are counted as refused and left out.  ERR_NOMEM leaves out the last ones.
 * (head_apply.c) */
int head_append_all(struct head *head, const struct store_sample *samples, size_t count,
                    int64_t floor_ms, int64_t now_ms, uint64_t *ret_kept);
/* Cuts out of the tails what deletes since the last time cover; before anything is done with
 * them.  Shard lock.  ERR_NOMEM. (head_fence.c) */
int head_fence_slow(struct head *head, struct series *series);
static inline int head_fence(struct head *head, struct series *series)
{
    return series->fence == head->fence ? 0 : head_fence_slow(head, series);
}
/* Seals tail and late tail, if their span ends at or before `until_ms`.  Shard lock. */
int head_seal(struct head *head, struct series *series, int64_t until_ms);
/* Puts a chunk read from the checkpoint table back; while opening. */
int head_restore_chunk(struct head *head, struct series *series, uint64_t sequence, bool late,
                       struct bytes chunk);
/* Puts the chunks that are saved (they follow those that are not) in the order of their times,
 * so that a flush of many spans finds each at the front.  Shard lock. */
void head_sort_saved(struct series *series);
/* Removes chunks of the span [start, end) with a sequence up to `through`; sorted since the
 * last checkpoint.  Shard lock. */
void head_remove_chunks(struct head *head, struct series *series, int64_t start_ms,
                        int64_t end_ms, uint64_t through);

static inline int64_t span_start_of(int64_t span_ms, int64_t ts_ms)
{
    int64_t rest = ts_ms % span_ms;
    return ts_ms - (rest < 0 ? rest + span_ms : rest);
}
