/*
 * parts.h - the store's parts, as they see each other.  Not for the world outside this folder.
 *
 *   store ── live      LMDB: WAL, checkpoint, series, state          (live.h)
 *         ── head      recent samples in memory                      (head.h)
 *         ── logs      recent log lines in memory                    (collector/log/head.h)
 *         ── spans     history files, registered in live             (span_set.h)
 *         ── writer    the thread that commits                       (writer.h)
 *         ── keeper    the thread that checkpoints, flushes, merges, expires (keeper.h)
 *         ── care      the thread that backs up or verifies, when asked      (care.h)
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "collector/log/head.h"
#include "collector/store/absent.h"
#include "collector/store/deletes.h"
#include "collector/store/full.h"
#include "collector/store/head.h"
#include "collector/store/live.h"
#include "collector/store/metadata.h"
#include "collector/store/store.h"
#include "proto/base/clock.h"

struct care;
struct keeper;
struct span_set;
struct writer;

/* A roll-up's tier that had no record of a day, as the day's files were then. */
struct rollup_nothing {
    int64_t start_ms;
    uint64_t generation;
    size_t tier;
};

#define ROLLUP_NOTHING_MAX 64

struct store {
    struct queryable queryable; /* first: a struct queryable * is the store */

    /* fixed after store_open() */
    struct store_options options;
    char *directory;
    const struct clock *clock;
    struct live live;
    struct head *head;
    struct log_head *logs;
    struct span_set *spans;
    struct writer *writer;
    struct keeper *keeper;
    struct care *care;

    /* each with a lock of its own */
    struct absent absent;
    struct metadata_table metadata;
    struct full full;
    struct deletes deletes;

    /* days of which a tier had nothing to keep, not walked again; the keeper's */
    struct rollup_nothing rollup_nothing[ROLLUP_NOTHING_MAX];
    size_t rollup_nothing_next;

    /* counters */
    _Atomic uint64_t commits, commit_failures, commit_ns, wal_bytes, wal_records;
    bool is_salvaged;             /* live was damaged when it was opened; fixed from then on */
    _Atomic bool broken;          /* LMDB's MDB_PANIC was met */
    _Atomic bool logs_due;        /* the log head has a full block; the writer's word */
    _Atomic size_t lines_waiting; /* in the log head */
    _Atomic uint64_t log_lines, flushes, checkpoints, quarantined;
    _Atomic uint64_t rollups, rollup_left_out, rollup_days_lost;
};

/* A named point on the way of a commit, checkpoint, flush or merge.  In service it does
 * nothing; a fault test dies there. */
static inline void store_step(const struct store *store, const char *point)
{
    if (store->options.step != NULL)
        store->options.step(store->options.step_context, point);
}
