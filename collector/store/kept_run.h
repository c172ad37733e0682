/*
 * kept_run.h - what some files have of the series that some matchers select, decoded and joined,
 * kept for the next question.
 *
 * A month is thirty files, and the boards on a wall ask them for the same series at each refresh.
 * What is found there never changes, so it is kept as a question wants it: a series is one run of
 * times and one of values over all files.  Answers point into it instead of copying it.  Series of
 * the same times, as all of a host are, share them.
 *
 *     matchers, generations of files ---> run: series in the order of labels
 *                                          |  labels
 *                                          |  times_ms  -----> [ file | file | file ] <-- others
 *                                          +- values    -----> [ file | file | file ]
 *
 * Samples as they were written, no results: an interval is cut out of them, and what was deleted
 * or came since is not in them (gather_run.c sees to that).
 *
 * Bounded: the least recently used goes, and lives on for whoever holds it.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct kept_runs;

struct run_series {
    const struct labels *labels;
    const int64_t *times_ms; /* ascending */
    const double *values;
    size_t count;
    int64_t interval_ms; /* so far apart lie all times; 0: nobody knows */
    uint32_t chunks; /* that they were decoded from */
    bool plain;      /* no value is a stale marker; false: some may be */
};

/* All of it lies in its memory, and is not changed once it is shared. */
struct kept_run {
    struct arena memory;
    struct bytes key;
    struct run_series *series;
    size_t count;
    _Atomic unsigned holders;
    uint64_t hash; /* of the key; kept_run.c's, with what follows */
    size_t bytes;  /* fixed by kept_runs_put() */
    struct kept_run *next, *older, *newer;
};

int kept_runs_new(size_t limit_bytes, struct kept_runs **ret_runs);
void kept_runs_free(struct kept_runs *runs); /* NULL is allowed */

/* A run that needs more is too large. */
size_t kept_runs_most_bytes(const struct kept_runs *runs);
/* The run, held until it is released; NULL: it is not there. */
struct kept_run *kept_runs_find(struct kept_runs *runs, struct bytes key);
/* Was a run that was not found asked for before?  Then make it, or have it refused. */
bool kept_runs_wants(struct kept_runs *runs, struct bytes key);
/* It cannot be made, or is too large: it is not wanted any more. */
void kept_runs_refuse(struct kept_runs *runs, struct bytes key);
/* Takes it in, unless another was sooner; it stays its holder's as well. */
void kept_runs_put(struct kept_runs *runs, struct kept_run *run);

/* Runs, and their bytes. */
void kept_runs_sum(struct kept_runs *runs, size_t *ret_count, size_t *ret_bytes);

/* An empty run with room for so many series, held by the caller.  NULL: no memory, or they are too
 * many to be kept. */
struct kept_run *kept_run_new(struct kept_runs *runs, struct bytes key, size_t series);
/* Of a struct kept_run *; as arena_lease() wants it. */
void kept_run_release(void *run);
