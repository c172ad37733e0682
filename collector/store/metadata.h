/*
 * metadata.h - type, unit and help of each metric name.
 *
 * One entry a name; what a source says last holds.  Kept in memory and in live `metadata`.
 * Any thread.
 */
#pragma once

#include <pthread.h>

#include "collector/series/queryable.h"
#include "collector/store/live.h"

struct metadata_entry;

struct metadata_table {
    pthread_mutex_t lock;
    struct metadata_entry **buckets;
    size_t count, unsaved, being_saved;
};

int metadata_init(struct metadata_table *table);
void metadata_done(struct metadata_table *table);

/* Takes note of a metric's metadata; the writer stores what is new with its next commit.
 * Nothing known (no type, unit or help) changes nothing. */
int metadata_note(struct metadata_table *table, struct bytes name,
                  const struct metadata *metadata);
/* Puts unsaved entries into the transaction (an LMDB code) ... */
int metadata_put(struct metadata_table *table, const struct live *live, MDB_txn *txn);
/* ... and tells how it ended. */
void metadata_settle(struct metadata_table *table, bool stored);

int metadata_load(struct metadata_table *table, struct live *live);
/* Until `each` returns no 0, which is returned then.  The lock is given back again and again, so that
 * nobody waits until a large table is through. */
int metadata_scan(struct metadata_table *table,
                  int (*each)(void *context, struct bytes name,
                              const struct metadata *metadata),
                  void *context);
