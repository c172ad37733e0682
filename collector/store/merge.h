/*
 * merge.h - several history files into one; and expiry.
 *
 * Two reasons to merge: a span has several generations (late samples), or the spans of a day
 * that has passed are due to become one file, whose longer chunks and single index take less
 * room. The merged file takes the place of its inputs in one commit.
 *
 * Keeper thread.
 */
#pragma once

#include "collector/store/parts.h"
#include "collector/store/span_write.h"

/* The bucket whose files become one: the day of the span that begins at start_ms, once that day
 * has passed, else the span.  Where less than 16 days are kept it is a half, a third, a sixth of
 * a day, or no more than the span: at most a sixteenth of retention (0: of no matter). */
void merge_bucket(int64_t span_ms, int64_t retention_ms, int64_t start_ms, int64_t now_ms,
                  int64_t *ret_start_ms, int64_t *ret_end_ms);

/* The retention that bounds a bucket of files of a kind (enum span_kind): 0 for samples that are
 * rolled up, which is done by the day. */
int64_t merge_retention_ms(const struct store *store, uint8_t kind);

/* The bucket of a file, by its manifest. */
struct span_manifest;
void merge_bucket_of(const struct store *store, const struct span_manifest *manifest,
                     int64_t now_ms, int64_t *start_ms, int64_t *end_ms);

/* Is a bucket a day that has passed, and not a span that waits for it? */
bool merge_is_day(const struct store *store, int64_t start_ms, int64_t end_ms, int64_t now_ms);

/* Merges what is due.  A span or a past day with at least `least` files is; 2 merges all that
 * can be. */
int merge_due(struct store *store, size_t least);
/* Does not wait until days have passed: what there is of one becomes one file, to which the rest
 * comes when it has. */
int merge_early(struct store *store);
/* Writes the files of the bucket that a file of samples belongs to anew, without what has been
 * deleted; the bucket and not the file alone, because what is written last wins.  Has the file
 * gone already, it is done.  ERR_CORRUPT: one of them is damaged; ERR_AGAIN: a file of another
 * bucket lies above it (the clock has gone back). */
int merge_rewrite(struct store *store, const struct span_info *info);
/* Takes out files whose newest sample or line is older than retention.  Where samples are rolled
 * up before they go, theirs are rollup_run()'s. */
int merge_expire(struct store *store);
