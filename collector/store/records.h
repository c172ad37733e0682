/*
 * records.h - what a roll-up keeps of samples: one record for those in a bucket of time.
 *
 * Buckets are (end - width, end], end a multiple of the width: as windows of PromQL lie, so
 * that a window of whole buckets has the very samples of its records.  A file of a day ends
 * inside a bucket; its last record and the first of the next day share one, and that is all
 * right: what counts is that records ascend and do not overlap.
 *
 *   entry of a roll-up file (span_file.h), in place of chunks of samples:
 *   runs of up to RECORDS_RUN records, each RECORD_CHUNKS chunks (codec.h) of as many values:
 *     last values, at their times | first values, at theirs
 *     | number of samples, sum, min, max, fallen, resets, changes, at times that only count up
 *
 * One thread.  What was allocated is kept from series to series.  ERR_NOMEM is ERR_LIMIT where the
 * total that it counts in has no room.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define RECORDS_RUN   1024
#define RECORD_CHUNKS (1 + ROLLED_COLUMNS)

struct records {
    struct arena_share share; /* its total is the owner's to set, after records_init() */
    size_t count, capacity;
    int64_t *lasts_ms, *firsts_ms;
    double *lasts;
    double *columns[ROLLED_COLUMNS];
};

void records_init(struct records *records);
void records_done(struct records *records);

/* The end of the bucket a time lies in. */
static inline int64_t bucket_end(int64_t ms, int64_t width_ms)
{
    int64_t past = ms % width_ms;
    return past > 0 ? ms - past + width_ms : ms - past;
}

/* Adds the records of samples (ascending times, behind those there are).  ERR_NOMEM. */
int records_roll(struct records *records, int64_t width_ms, const int64_t *times_ms,
                 const double *values, size_t count);
/* One sample as it is.  ERR_NOMEM. */
int records_add_sample(struct records *records, int64_t time_ms, double value);
/* Copies record `i` behind those of `to`.  ERR_NOMEM. */
int records_add(struct records *to, const struct records *from, size_t i);
/* The records of `base`, and those of `late` whose buckets `base` has nothing in: samples that
 * come when the others of their bucket are gone cannot be told from those that were counted.
 * *dropped grows by the samples left out. */
int records_fill(struct records *to, int64_t width_ms, const struct records *base,
                 const struct records *late, uint64_t *dropped);

/* How many samples of `all` are not in `base`, bucket by bucket: one at least where a bucket has as
 * many and yet others. */
uint64_t records_missing(int64_t width_ms, const struct records *base,
                         const struct records *all);

/* Writes all as an entry's chunks: their sizes (varints) and their bytes.  ERR_NOMEM. */
int records_write(const struct records *records, struct buf *sizes, struct buf *chunks,
                  size_t *ret_chunks);
/* Adds the records of an entry.  Any bytes are safe.  ERR_CORRUPT, ERR_NOMEM. */
int records_read(struct records *records, struct bytes entry);
/* Does the entry have records that end in the closed interval?  By their outermost times.
 * ERR_CORRUPT. */
int records_touch(struct bytes entry, int64_t from_ms, int64_t until_ms, bool *ret_touch);
