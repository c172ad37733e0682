/*
 * changes.h - what was committed, commit by commit, for whoever passes it on.
 *
 * Commits with samples or log lines are numbered 1, 2, 3 ... for the life of a data folder.  They
 * are read from the write-ahead log, which a checkpoint cuts every few minutes: a reader that
 * falls behind keeps what it needs when store_options.release asks it.
 *
 * A commit can be read as soon as it is durable, which is a moment before queries see it.
 * Threads: any.
 */
#pragma once

#include "collector/store/store.h"

struct store_change {
    uint64_t commit;
    /* Columns, in the order in which they were written. */
    const uint64_t *ids; /* store_series_by_id() */
    const int64_t *times_ms;
    const double *values;
    size_t count; /* 0: it holds log lines alone */
};

/* The last commit whose samples queries see. */
uint64_t store_last_commit(struct store *store);

/* Calls `each` for the commits from `first` on that the log still has, in their order; arrays are
 * valid during the call.  A damaged one is passed by.  A non-zero return stops and is returned:
 * positive numbers for the caller's own reasons.  A snapshot of the live environment is held
 * meanwhile: be brief.  ERR_IO, ERR_NOMEM. */
int store_each_change(struct store *store, uint64_t first,
                      int (*each)(void *context, const struct store_change *change),
                      void *context);
