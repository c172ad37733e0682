/*
 * sample_walk.h - every sample of many series, a window at a time.
 *
 *     sample_walk_init(&walk, store, total, &request->cancelled, from_ms, until_ms);
 *     walk.deadline_mono_ns = ...;
 *     sample_walk_list(&walk, selectors, count, order, &why);
 *     for (; walk.at < walk.count; sample_walk_next(&walk))
 *         while (!sample_walk_ended(&walk)) {
 *             sample_walk_read(&walk);      walk.times_ms, walk.values, walk.samples
 *         }
 *     sample_walk_done(&walk);
 *
 * The list of series is made first; then series after series is read in windows of at most
 * WALK_WINDOW_SAMPLES samples, each with a snapshot of its own, so that a year costs no more memory
 * than a day and a slow reader holds no snapshot.  What is committed meanwhile may be seen or not.
 * Samples are those with from <= time <= until, as they are stored.
 *
 * One owner; no thread.  What a walk yields lives until its next call.
 */
#pragma once

#include "collector/series/queryable.h"

#define NAMES_ARENA_BYTES ((size_t)512 << 20) /* of label sets and names of an answer */
#define WALK_WINDOW_SAMPLES ((uint64_t)200000)

struct selector {
    struct matcher **matchers;
    size_t count;
};

/* The series of one metric name that stand beside each other. */
struct walk_group {
    struct bytes name;
    size_t first, end;    /* in walk.series */
    struct bytes *labels; /* every label name among them, ascending */
    size_t label_count;
};

enum walk_order { WALK_BY_NAME, WALK_BY_LABELS };

struct sample_walk {
    /* set by init; `stored_only` may be changed before the list is made */
    struct queryable *store;
    volatile bool *cancelled;
    int64_t from_ms, until_ms;
    int64_t deadline_mono_ns; /* of the next call; 0: none.  May be changed before any */
    bool stored_only; /* without markers that stand for a silent source */
    /* the list */
    struct arena names; /* what lives as long as the walk; callers may use it, too */
    const struct labels **series;
    struct walk_group *groups;
    size_t count, group_count;
    size_t at, group_at; /* the series being read, and its group */
    /* the window */
    struct arena arena;
    const int64_t *times_ms;
    const double *values;
    size_t samples;
    /* where the next one begins */
    int64_t next_ms;
    uint64_t width_ms;
    bool is_read; /* up to until_ms */
};

/* What it holds counts in `total` (NULL: in none). */
void sample_walk_init(struct sample_walk *walk, struct queryable *store, struct arena_total *total,
                      volatile bool *cancelled, int64_t from_ms, int64_t until_ms);
void sample_walk_done(struct sample_walk *walk);

/* The series that one of the selectors finds, each once.  ERR_LIMIT (of walk.names: whose, it
 * knows), ERR_CANCELLED, ERR_TIMEOUT, ERR_NOMEM. */
int sample_walk_list(struct sample_walk *walk, const struct selector *selectors, size_t count,
                     enum walk_order order, struct diagnosis *why);

/* The next window of the series at `at`; it may be empty.  ERR_CANCELLED, ERR_TIMEOUT, ERR_NOMEM
 * (the total has nothing left, too). */
int sample_walk_read(struct sample_walk *walk);
/* Is nothing left to be read of this series? */
bool sample_walk_ended(const struct sample_walk *walk);
/* To the next series. */
void sample_walk_next(struct sample_walk *walk);
