/*
 * flush.h - from the head into history.
 *
 *   1  checkpoint pass that seals the tails of the spans in question
 *   2  span file from the sealed chunks, merged, re-encoded, in label order   (no lock, no txn)
 *   3  one commit: the file is registered, and "chunks up to seal number S are in it"
 *   4  the file joins the set; the chunks leave the head
 *   5  their checkpoint rows go, slice by slice
 *
 * A crash before 3 leaves a stray file, removed at opening; after 3, rows that opening passes
 * by. A span that has a file already gets another with a higher generation: that is how late
 * samples come into history.
 *
 * Log blocks go the same way from live `logs` into a file of the span in which they are
 * flushed; the small blocks of one file are joined.
 *
 * What is late by days, such as an import of a year, goes by days and not by spans: that is what
 * merging would make of it.
 *
 * Keeper thread.
 */
#pragma once

#include "collector/store/parts.h"

/* Flushes every span that ends at or before until_ms (INT64_MAX: all there is). */
int flush_samples(struct store *store, int64_t until_ms);
int flush_logs(struct store *store);
