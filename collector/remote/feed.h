/*
 * feed.h - everything committed from a place on, in the order of the commits.
 *
 *     place ──> the store's log (changes.h), while it has the commit
 *           ──> else a spill file (spill.h)
 *           ──> else it is gone: the feed says how many commits, and goes on behind them
 *
 * The log is asked first: what is not in it any more was spilled before it was cut, so that looking
 * in this order misses nothing.  What was read is kept until the next reading, so that a large
 * commit is not decoded anew for each request that it fills.
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/remote/cursor.h"
#include "collector/remote/spill.h"

struct feed {
    struct store *store;
    struct spill *spill;
    struct spill_reader reader;
    struct batch batch;
    uint64_t lost_commits; /* counts up */
};

struct feed_sample {
    uint64_t id;
    int64_t ts_ms;
    double value;
};

void feed_init(struct feed *feed, struct store *store, struct spill *spill);
void feed_done(struct feed *feed);

/* Calls `each` for the samples from *place on, until it returns non-zero (that sample is not
 * taken), `limit` commits are through, or there are no more; *place is the first that was not
 * taken.  `end` NULL: as far as there is anything; else no further than there.  ERR_IO, ERR_NOMEM:
 * *place is as far as it came. */
int feed_each(struct feed *feed, struct remote_place *place, const struct remote_place *end,
              int (*each)(void *context, const struct feed_sample *sample), void *context);
