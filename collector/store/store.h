/*
 * store.h - everything the collector keeps, behind one writer.
 *
 * The unit of writing is a struct store_write: samples, log lines, a stream's numbers and
 * key-value changes that become durable and visible together, or not at all.
 *
 *   any thread                      writer thread                              any thread
 *   store_write_submit() --queue--> group commit: one LMDB transaction
 *                                   (WAL record + streams + state + new series)
 *                                   fsync'd; then the head takes the samples,  --> querier
 *                                   then write->done(write, 0)
 *
 * The head (recent samples, in memory) is changed by the writer thread only, after the commit;
 * so what a query sees is always committed, and a failed commit leaves nothing to take back.
 * Commits run back to back: the next takes everything queued while the last one synced.
 *
 * Durability  done(write, 0) means fsync'd and visible to any querier opened from then on.
 *             done(write, error) means none of it is stored and none will appear.
 * Full disk   past STORE_FULL_PERCENT of disk or quota, writes fail with ERR_FULL until space
 *             returns (looked at every second), essential ones only past
 *             STORE_EXHAUSTED_PERCENT; queries go on.  After a failed commit, too,
 *             until one of those tried every second succeeds.
 * Restart     the head is rebuilt from checkpoint and WAL before store_open() returns.
 * On disk     DATA/live/ and DATA/history/ (layout: collector/store/README.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/queryable.h"
#include "proto/base/bytes.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"
#include "proto/wire/plain.h"

struct store;
struct series; /* interned; lives as long as the store holds it in the head */

/* Times a sample can have: the years -3966 to 9999. */
#define STORE_TIME_MS_MAX INT64_C(253402300799999)
#define STORE_TIME_MS_MIN (-STORE_TIME_MS_MAX)

#define STORE_FULL_PERCENT      85
#define STORE_EXHAUSTED_PERCENT 95 /* past it not even alerts are written */

/* Series by matchers that all hold; at least one. */
struct store_selection {
    struct matcher *const *matchers;
    size_t count;
};

/* Series of which something is kept for longer or less long than of the others: samples, roll-ups, or
 * both.  0: as long as the others'; a tier that is never kept, or would not outlive the samples, is
 * not made.  Of several that mean a series the shortest holds, for each apart. */
#define STORE_FOREVER INT64_MAX
#define STORE_NEVER   (-1)
struct store_retention {
    struct store_selection selection;
    int64_t raw_ms;
    int64_t rollup_5m_ms, rollup_1h_ms;
};

/* Where release() puts what it keeps of the log, if it does: files that never change and are gone
 * when they are done with.  A backup takes them along. */
#define STORE_RELEASED_FOLDER "remote/spill"

struct store_options {
    const char *directory;     /* made if missing */
    int64_t retention_raw_ms;  /* 0: for ever */
    int64_t retention_logs_ms; /* 0: for ever */
    bool rolls_up;             /* samples before they expire; the roll-ups are kept */
    int64_t retention_5m_ms;   /* so long, those of 5 minutes, */
    int64_t retention_1h_ms;   /* and those of an hour; 0: for ever */
    /* Copied; at most 63 (ages.h). */
    const struct store_retention *ages;
    size_t age_count;
    uint64_t quota_bytes;      /* 0: the file system's size */
    int64_t span_ms;           /* length of a fresh history span; 0: 2 h */
    uint64_t series_limit;     /* active series; 0: 10 million */
    uint64_t live_bytes_max;   /* what live may grow to; 0: 1 TiB, or as much as can be mapped */
    const struct clock *clock; /* NULL: the system's */
    /* Asked before the write-ahead log is cut, with the last commit that may go by the store;
     * answers with the last that may go at all, at most `through` (0: none).  What stays is cut
     * another time.  For whoever reads what was committed (changes.h).  On the keeper's thread,
     * and on the one that closes the store.  NULL: all of it. */
    uint64_t (*release)(void *context, uint64_t through);
    void *release_context;
    /* While a backup copies live nothing may be released: it would be neither in the copy nor among
     * what release() had put in STORE_RELEASED_FOLDER before.  Called with true, which waits for a
     * release under way, then with false.  On the thread of care.  NULL: there is no such folder. */
    void (*hold)(void *context, bool is_held);
    /* NULL in service.  A fault test is told of each step of a commit, checkpoint, flush or
     * merge ("commit.durable", ...), on the thread that takes it, and may end the process. */
    void (*step)(void *context, const char *point);
    void *step_context;
};

int store_open(const struct store_options *options, struct store **ret_store,
               struct diagnosis *why);
/* Waits for queued writes, checkpoints, closes.  NULL is allowed. */
void store_close(struct store *store);

/* ---- series ---------------------------------------------------------------------------- */

/* The series with these labels, made if new (durable with the first write that uses it).  Any
 * thread.  ERR_LIMIT when series_limit is reached.  The pointer stays valid until
 * store_series_release(); each resolve takes one reference. */
int store_series_resolve(struct store *store, const struct labels *labels,
                         const struct metadata *metadata, struct series **ret_series);
void store_series_release(struct store *store, struct series *series);
/* Series of a batch lie far apart: whoever walks one asks this many ahead. */
#define STORE_SERIES_AHEAD 8
static inline void store_series_prefetch(const struct series *series)
{
    __builtin_prefetch(series);
}
uint64_t store_series_id(const struct series *series);
uint64_t store_series_hash(const struct series *series); /* of its labels */
/* Its labels, in `room`; their texts are the store's and live as long as the reference. */
const struct labels *store_series_labels(const struct series *series, struct labels_room *room);
/* By persistent id (streams keep ids); ERR_NOTFOUND. */
int store_series_by_id(struct store *store, uint64_t id, struct series **ret_series);

/* ---- writing --------------------------------------------------------------------------- */

struct store_sample {
    struct series *series;
    int64_t ts_ms;
    double value;
};

/* Where sample i begins a run of another series: asks for one some runs ahead, taking them to be
 * as long as the last was.  *run_start is 0 before, and the walk's. */
static inline void store_run_begin(const struct store_sample *samples, size_t count, size_t i,
                                   size_t *run_start)
{
    size_t ahead = (i > 0 ? i - *run_start : 1) * STORE_SERIES_AHEAD;
    if (ahead < count - i)
        store_series_prefetch(samples[i + ahead].series);
    *run_start = i;
}

/* Lines of one file generation of one instance. */
struct store_log_chunk {
    uint64_t stream_id; /* identifies the probe's instance in the log tables */
    struct log_chunk chunk;
};

/* Key-value changes in the live environment's `state` table.  value.data NULL deletes. */
struct store_put {
    struct bytes key;
    struct bytes value;
};

struct store_write {
    const struct store_sample *samples;
    size_t sample_count;
    const struct store_log_chunk *logs;
    size_t log_count;
    const struct store_put *puts;
    size_t put_count;
    /* Taken up to STORE_EXHAUSTED_PERCENT, so that a full disk silences no alert.  A write of
     * puts alone is essential anyway. */
    bool is_essential;
    /* It can wait a little for those that are not: what comes by HTTP, such as an import of a year,
     * beside probes.  It rides in their commits, within bounds, and has some of its own; so it goes
     * on whatever else comes.  Those that are bulk keep their order, and so do the others. */
    bool is_bulk;
    /* Called once, on the writer thread, in submission order; must not block.  Until then the
     * write and everything it points to belongs to the store; afterwards to the caller. */
    void (*done)(struct store_write *write, int error);
    void *context;
    struct store_write *next; /* the queue's */
    size_t approximate_bytes; /* the queue's */
};

/* Hands over a write.  Any thread.  ERR_AGAIN if the queue is full (nothing was taken). */
int store_write_submit(struct store *store, struct store_write *write);
/* The same, waiting for the result; not on the writer thread nor an event loop. */
int store_write_wait(struct store *store, struct store_write *write);

/* ---- deleting -------------------------------------------------------------------------- */

/* Deletes every sample in the closed interval of every series that a selection means, of what is
 * acknowledged by now; samples written later count.  Returning 0 it is durable and visible to any
 * querier opened from then on; the room comes back when the files have been rewritten.
 * Waits for a commit: not on the writer thread nor an event loop.  ERR_INVALID: no selection, or
 * the interval is empty; ERR_LIMIT: too many deletes wait to be carried out, or too many
 * matchers. */
int store_delete(struct store *store, const struct store_selection *selections, size_t count,
                 int64_t from_ms, int64_t until_ms);
/* What it would cover, about: nothing is decoded for it.  ERR_CANCELLED, ERR_LIMIT. */
struct store_delete_preview {
    uint64_t series, samples;
    int64_t first_ms, last_ms; /* INT64_MAX and INT64_MIN: nothing */
};
int store_delete_preview(struct store *store, const struct store_selection *selection,
                         int64_t from_ms, int64_t until_ms, volatile bool *cancelled,
                         struct store_delete_preview *ret_preview);
/* Calls `each` for every delete that is not carried out everywhere yet, oldest first. */
struct store_deletion {
    struct store_selection selection; /* valid during the call */
    uint64_t number;
    int64_t from_ms, until_ms, made_ms;
};
int store_each_delete(struct store *store,
                      void (*each)(void *context, const struct store_deletion *deletion),
                      void *context);
/* Carries out every delete in history files, and waits for it. */
int store_clean_deletes(struct store *store);

/* How old samples may be: what is older is left out of a write (samples_refused).  0: for ever.
 * What is too old to be kept as it is, is rolled up: up to the age of the longest tier, but no more
 * than STORE_LATE_MS_MAX, because a time of 1970 is one in a wrong unit. */
#define STORE_LATE_MS_MAX (INT64_C(10) * 365 * 86400 * 1000)
int64_t store_retention_ms(const struct store *store);

/* ---- key-value state --------------------------------------------------------------------
 * Namespaces by key prefix, listed in collector/store/README.md ("stream/", "key/", "alert/",
 * "outbox/" ...).  Only committed values are seen. */
int store_state_get(struct store *store, struct bytes key, struct buf *out); /* ERR_NOTFOUND */
/* Calls `each` for every key with the prefix in key order; a non-zero return stops and is
 * returned.  key and value are valid during the call only. */
int store_state_scan(struct store *store, struct bytes prefix,
                     int (*each)(void *context, struct bytes key, struct bytes value),
                     void *context);

/* ---- reading samples ------------------------------------------------------------------- */

struct queryable *store_queryable(struct store *store);

/* Silence: marks (since_ms > 0) or unmarks (0) every head series whose samples came from
 * `source`; a querier shows a stale marker right after the last sample of a marked series
 * unless it has samples after since_ms.  Any thread; not durable (the caller keeps it in
 * state). */
void store_set_absent(struct store *store, uint64_t source, int64_t since_ms);
#define STORE_RETIRED_MS INT64_MAX /* since_ms of a source that will not come back */
/* Which source feeds a series; set when the series is resolved for a stream. */
void store_series_set_source(struct series *series, uint64_t source);

/* How a series in memory ends. */
struct store_ending {
    const struct labels *labels; /* valid during the call */
    int64_t last_ms;             /* newest sample; INT64_MIN: none since the start */
    bool is_ended;               /* that one is a stale marker: it ended by itself */
    int64_t absent_since_ms;     /* its source is silent; 0: it is not, or nobody knows it */
};
/* Calls `each` for every series in memory that satisfies the matchers; a non-zero return stops
 * and is returned.  Decodes nothing.  Any thread.  ERR_NOMEM. */
int store_each_ending(struct store *store, struct matcher *const *matchers, size_t count,
                      int (*each)(void *context, const struct store_ending *ending),
                      void *context);

/* Metadata by metric name, for /api/v1/metadata.  Commits wait for `each` no longer than it takes for
 * a few hundred of a million names; what is noted meanwhile may be among them or not. */
int store_metadata_scan(struct store *store,
                        int (*each)(void *context, struct bytes name,
                                    const struct metadata *metadata),
                        void *context);

/* ---- reading logs ---------------------------------------------------------------------- */

struct log_query {
    uint64_t stream_id;        /* 0: all */
    struct bytes path_pattern; /* glob; empty: all */
    int64_t from_ms, until_ms; /* closed interval of line times */
    uint32_t severity_at_most; /* 0: all, else lines with 1..this */
    struct regex *contains;    /* NULL: all */
    size_t limit;
    bool newest_first;
    const struct query_budget *budget; /* who hangs up and the deadline; NULL: none */
};
struct log_hit {
    uint64_t stream_id;
    uint64_t file_id;
    struct bytes path;
    struct log_line line;
};
/* Hits in (time, file, offset) order; memory from the arena.  ERR_CANCELLED, ERR_TIMEOUT. */
int store_log_search(struct store *store, const struct log_query *query, struct arena *arena,
                     struct log_hit **ret_hits, size_t *ret_count, struct diagnosis *why);

/* ---- care ------------------------------------------------------------------------------ */

/* Returns when everything accepted is in history and due merging is done (for measuring). */
int store_settle(struct store *store);
/* The same, and the files of a day that goes on become one, as they would when it has passed. */
int store_settle_days(struct store *store);

struct store_stats {
    uint64_t series_active, series_created, samples_stored, samples_duplicate, samples_late;
    uint64_t commits, commit_failures, wal_bytes, wal_records, queue_depth, log_lines_stored;
    uint64_t samples_refused; /* older than retention, or a time no calendar has */
    uint64_t flushes, checkpoints, spans, quarantined;
    uint64_t deletes, deletes_pending; /* committed since the start; not carried out everywhere */
    uint64_t head_chunks; /* sealed */
    uint64_t head_bytes, disk_bytes;
    uint64_t rollups_made;      /* files, those made anew included */
    uint64_t rollup_files[2], rollup_bytes[2]; /* of 5 minutes, of an hour */
    uint64_t rollup_left_out;   /* samples that came after the roll-up of their bucket */
    uint64_t rollup_days_lost;  /* expired without one, for want of room */
    uint64_t used_percent; /* of the quota or of the disk, whichever is more; full at
                              STORE_FULL_PERCENT */
    double commit_seconds_sum;
    int64_t head_min_ms, head_max_ms;
    bool full;             /* not accepting */
    char full_reason[160]; /* why, for /-/ready */
    bool broken;           /* LMDB has given up after a failed write: only reopening helps */
};
void store_get_stats(struct store *store, struct store_stats *ret_stats);
/* Chunks in memory, the open ones that samples are being added to included; walks all series. */
uint64_t store_count_head_chunks(struct store *store);

/* What is kept of series: samples, records of 5 minutes, of an hour. */
#define STORE_TIERS    3
#define STORE_HELD_MAX 64
struct store_held {
    struct store_selection selection; /* the store's; no matchers: of all whom no rule means */
    int64_t age_ms[STORE_TIERS];      /* STORE_FOREVER; STORE_NEVER: there are none */
    int64_t oldest_ms[STORE_TIERS];   /* INT64_MAX: nothing is held */
};
/* For how long what is kept, and since when there is any of it: of all whom no rule means, then of
 * those whom each of `ages` means, in their order.  A time is that of the oldest file with such a
 * series, so it can be too early by what one file spans; where none has any that of some thousands of
 * them in memory; what readers leave out for its age is not held.  Any thread.  ERR_NOMEM, ERR_IO. */
int store_held(struct store *store, struct store_held rows[STORE_HELD_MAX], size_t *ret_count);

/* A file of samples in history. */
struct store_span {
    int64_t start_ms, end_ms; /* [start, end) it may hold */
    uint64_t generation;      /* counts files; never reused */
    uint64_t series, chunks, samples, bytes;
};
/* Calls `each` for every one, oldest first.  ERR_NOMEM. */
int store_each_span(struct store *store,
                    void (*each)(void *context, const struct store_span *span), void *context);
