/*
 * recover.h - from what is on disk to the head in memory; on the opening thread, alone.
 */
#pragma once

#include "collector/store/parts.h"
#include "collector/store/series_rows.h"

struct recovery {
    struct store *store;
    struct series_reader reader;
    struct arena arena;
    int64_t floor_ms;
    uint64_t lost_samples, lost_records;
    struct recalled *deleted; /* what is known of the deletes, in their order; NULL: nothing yet */
};

void recovery_init(struct recovery *recovery, struct store *store);
void recovery_done(struct recovery *recovery);
/* The series in the head, brought from disk if need be; valid while the store is being opened.
 * ERR_NOTFOUND, ERR_CORRUPT. */
int recovery_series(struct recovery *recovery, uint64_t id, struct series **ret_series);
/* Has a sample been deleted that a commit up to this one wrote? */
bool recovery_is_deleted(struct recovery *recovery, const struct series *series,
                         uint64_t commit, int64_t ts_ms);
/* Replays the WAL behind a commit; the number of the last commit there is. */
int recovery_replay(struct recovery *recovery, uint64_t after_commit, uint64_t *ret_last);
