/*
 * batch.h - some commits in a row: in memory as columns, in a spill file as a block.
 *
 *     varint  commit count c, then for each
 *             varint commit number minus the one before, varint sample count
 *     n x     series id, zigzag difference to the one before
 *     n x     time in ms, zigzag difference to the one before
 *     n x 8   values: all first bytes, then all second bytes ... (f64, little-endian), so that
 *             what is alike lies together for zstd
 *
 * Kept and reused; arrays only grow.  One owner; no thread.
 */
#pragma once

#include "collector/store/changes.h"
#include "proto/base/buf.h"

#define BATCH_SAMPLES_WANTED ((size_t)65536) /* then it is enough: a commit is never cut */

struct batch_commit {
    uint64_t commit;
    size_t first, count; /* samples */
};

struct batch {
    struct batch_commit *commits;
    size_t commit_count, commit_capacity;
    uint64_t *ids;
    int64_t *times_ms;
    double *values;
    size_t count, capacity;
};

void batch_done(struct batch *batch);
void batch_clear(struct batch *batch);
/* Commit numbers ascend.  ERR_NOMEM. */
int batch_add(struct batch *batch, const struct store_change *change);
/* The commit of that number, or NULL. */
const struct batch_commit *batch_find(const struct batch *batch, uint64_t commit);

void batch_encode(const struct batch *batch, struct buf *out);
/* Any bytes are safe.  ERR_MALFORMED, ERR_NOMEM. */
int batch_decode(struct bytes bytes, struct batch *batch);
