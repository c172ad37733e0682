/*
 * queryable.h - what the query engine asks of a store.
 *
 * PromQL, rules and the HTTP API read samples only through this interface; the store implements
 * it (collector/store/querier.c), tests implement it over arrays.
 *
 * Threads    A querier belongs to the thread that opened it.  Many may be open at once.
 * Snapshot   A querier sees everything that was committed (acknowledged, answered 2xx) before
 * it was opened, and nothing that was not committed.
 * Lifetime   What select() and the name calls yield lives as long as what the arena holds that the
 * caller passes: in it, or where it has a lease (arena_lease()).  Samples are decoded, and only read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/matcher.h"
#include "proto/base/arena.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"
#include "proto/base/error.h"

/* Bits of the stale marker: a NaN with this payload ends a series.  Compare bits, never
 * isnan(). (Prometheus model/value/value.go) */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)

static inline bool is_stale_nan(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == STALE_NAN_BITS;
}

/* What a roll-up keeps of the samples of one series in one bucket of time, (end - width, end].
 * Stale markers are left out of all of it; the one a bucket ends with is a record of its own,
 * without samples. */
enum rolled_column {
    ROLLED_FIRST,   /* the first value */
    ROLLED_SAMPLES, /* how many there were */
    ROLLED_SUM,     /* compensated while it was added up */
    ROLLED_MIN,     /* as min_over_time() and */
    ROLLED_MAX,     /* max_over_time() give them, NaN included */
    ROLLED_FALLEN,  /* what a counter lost: the values before each fall, added up */
    ROLLED_RESETS,  /* how often a value was below the one before */
    ROLLED_CHANGES, /* how often it was another */
    ROLLED_COLUMNS
};

/* Records in place of samples whose own time has expired; ascending, they do not overlap. */
struct rolled {
    size_t count;             /* the first so many samples of the series are records */
    const int64_t *widths_ms; /* of the buckets; 0: one sample as it was written */
    const int64_t *firsts_ms; /* times of the first samples */
    const double *columns[ROLLED_COLUMNS];
};

/* One series of a result: samples ascending by time, times unique.  In the place of a record
 * stand the time and value of the last sample it speaks of. */
struct series_samples {
    const struct labels *labels;
    const int64_t *times_ms;
    const double *values;
    size_t count;
    int64_t interval_ms; /* between all neighbours; 0: they differ, or nobody has looked */
    bool no_markers;             /* no value is a stale marker; false: some may be */
    const struct rolled *rolled; /* NULL: all are as they were written */
};

struct select_hints {
    int64_t from_ms, until_ms; /* closed interval of sample times wanted */
    /* How far the interval's start lies before the first time that is looked at, + 1.  Where
     * roll-ups serve it is stretched to two of their buckets: what is nearer may lie between
     * the last samples of two. */
    int64_t reach_ms;
    /* Times newest_at_ms + n * newest_step_ms, so many: of each series only the newest sample at
     * or before each of them is looked at, and others may be left out.  0: all are wanted. */
    size_t newest_count;
    int64_t newest_at_ms, newest_step_ms;
    bool no_samples;           /* labels only: counts are 0 */
    bool no_labels;            /* samples only: labels may be empty, series in any order */
    bool no_values; /* times only: values may be any number, stale markers are told */
    bool stored_only;          /* without markers that stand for a silent source */
    bool in_passing; /* one of many on a way through everything: nothing is kept for the next */
    size_t series_limit;       /* 0: none */
};

struct crew;

/* Accounting shared by everything one query does; select() and the evaluator check it. */
struct query_budget {
    struct crew *crew;                               /* who may help; NULL: nobody */
    uint64_t samples_left;                           /* decoded samples still allowed */
    volatile bool *cancelled;                        /* set from another thread; may be NULL */
    int64_t deadline_mono_ns;                        /* struct clock's mono; 0: none */
    /* Names and values: nothing that is not in memory, that a lock may keep waiting, or that is more than
     * what a thread that others wait for may do in between: there ERR_AGAIN. */
    bool at_hand;
    uint64_t series_seen, chunks_seen, samples_seen; /* for --explain and stats */
};

/* 0, ERR_CANCELLED or ERR_TIMEOUT, now: for loops over what the store has given already. */
static inline int query_budget_look(const struct query_budget *budget)
{
    if (budget->cancelled != NULL && __atomic_load_n(budget->cancelled, __ATOMIC_RELAXED))
        return ERR_CANCELLED;
    bool is_late = budget->deadline_mono_ns != 0 &&
                   (int64_t)clock_mono(&clock_system) >= budget->deadline_mono_ns;
    return is_late ? ERR_TIMEOUT : 0;
}

struct metadata {
    enum metric_type type;
    struct bytes unit, help;
};

struct queryable;
struct querier;

/* Series that were found and have not been decoded. */
struct unread {
    size_t count;     /* of them; some may turn out to have no sample */
    uint64_t samples; /* about how many are decoded for all of them */
};
struct unread_place; /* what a thread decodes them in */

struct queryable_calls {
    int (*open)(struct queryable *store, int64_t from_ms, int64_t until_ms,
                struct querier **ret_querier, struct diagnosis *why);
    /* All series that satisfy every matcher and have a sample in the hinted interval, sorted by
     * labels.  ERR_LIMIT past the budget or the arena, or by a pattern that takes too long, which
     * `why` names; ERR_CANCELLED, ERR_TIMEOUT, ERR_NOMEM. */
    int (*select)(struct querier *querier, struct matcher *const *matchers,
                  size_t matcher_count, const struct select_hints *hints,
                  struct query_budget *budget, struct arena *arena,
                  struct series_samples **ret_series, size_t *ret_count, struct diagnosis *why);
    /* The same for who looks at each series once, so that its samples need not be kept; NULL: only
     * select() is there, and none of the four.  *ret_unread stays NULL where the series have been
     * decoded all the same: then the other two are those of select(). */
    int (*find)(struct querier *querier, struct matcher *const *matchers, size_t matcher_count,
                const struct select_hints *hints, struct query_budget *budget, struct arena *arena,
                struct unread **ret_unread, struct series_samples **ret_series, size_t *ret_count,
                struct diagnosis *why);
    /* The i-th of them, of `count` 0 if it has nothing; several threads at once, each with a place
     * (NULL at first) and, as long as it has that, one budget of its own.  Samples are valid until the
     * place's next.  ERR_LIMIT, ERR_NOMEM, which end() explains. */
    int (*read)(struct unread *unread, size_t i, struct unread_place **place,
                struct query_budget *budget, struct series_samples *ret_samples);
    void (*leave)(struct unread_place *place); /* NULL is allowed */
    /* Before find()'s arena goes; `error` is one of read()'s, or 0, and what comes back. */
    int (*end)(struct unread *unread, int error, struct diagnosis *why);
    /* Sorted label names / values of a label among the series the matchers select; of the budget
     * (NULL: none) who hangs up and the deadline count.  Errors as of select(). */
    int (*label_names)(struct querier *querier, struct matcher *const *matchers,
                       size_t matcher_count, const struct query_budget *budget,
                       struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                       struct diagnosis *why);
    int (*label_values)(struct querier *querier, struct bytes name,
                        struct matcher *const *matchers, size_t matcher_count,
                        const struct query_budget *budget, struct arena *arena,
                        struct bytes **ret_values, size_t *ret_count, struct diagnosis *why);
    void (*close)(struct querier *querier); /* NULL is allowed */
};

struct queryable {
    const struct queryable_calls *calls;
};
