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
    uint64_t *covered; /* by id: commits up to this are in its tails; 0: none */
    size_t covered_count;
    struct recalled *deleted; /* what is known of the deletes, in their order; NULL: nothing yet */
};

void recovery_init(struct recovery *recovery, struct store *store);
void recovery_done(struct recovery *recovery);
/* The series in the head, brought from disk if need be; valid while the store is being opened.
 * ERR_NOTFOUND, ERR_CORRUPT. */
int recovery_series(struct recovery *recovery, uint64_t id, struct series **ret_series);
/* What the checkpoint says of a series: commits up to this one are in it already.  ERR_NOMEM. */
int recovery_cover(struct recovery *recovery, uint32_t id, uint64_t commit);
/* Has a sample been deleted that a commit up to this one wrote? */
bool recovery_is_deleted(struct recovery *recovery, const struct series *series,
                         uint64_t commit, int64_t ts_ms);
/* Replays the WAL behind a commit; the number of the last commit there is. */
int recovery_replay(struct recovery *recovery, uint64_t after_commit, uint64_t *ret_last);
