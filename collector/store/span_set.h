/*
 * span_set.h - the history files there are, and reading one.
 *
 * A span is in the set from the moment its registration is durable until it is merged away or
 * expired.  Whoever reads holds a reference, so a file that is taken out meanwhile stays
 * readable; it is unlinked when the last reader is through (or, after a crash, at the next
 * opening).
 *
 * A file that fails its checks is moved to DATA/quarantine, named there and in the log, counted,
 * and read no more; it stays registered (quarantine.h).  Its trees are walked before it is
 * mapped first.
 *
 * Any thread.  A reader belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/parts.h"
#include "collector/store/postings.h"
#include "collector/store/span_file.h"
#include "collector/store/span_write.h"

struct span;
struct span_reader;
struct value_lists;
struct group_cache;
struct kept_runs;

int span_set_new(struct store *store, struct span_set **ret_set);
void span_set_free(struct span_set *set); /* NULL is allowed */
/* What labels have been asked for; those of files that are gone or damaged are not in it. */
struct value_lists *span_set_lists(const struct span_set *set);
/* What was decoded of several of them. */
struct kept_runs *span_set_runs(const struct span_set *set);
/* What was unpacked of any of them. */
struct group_cache *span_set_groups(const struct span_set *set);
/* `DATA/history`. */
const char *span_set_directory(const struct span_set *set);

/* Reads the registrations, removes files that have none; at opening.  `verify`: check each
 * file's hash before it is used first. */
int span_set_load(struct span_set *set, bool verify, struct diagnosis *why);

/* Registration rows, in a transaction (LMDB codes) ... */
int span_row_put(const struct live *live, MDB_txn *txn, const struct span_info *info);
int span_row_delete(const struct live *live, MDB_txn *txn, const struct span_info *info);
/* MDB_NOTFOUND: it is not registered. */
int span_row_find(const struct live *live, MDB_txn *txn, const struct span_info *info);
/* Any bytes are safe.  ERR_CORRUPT; ERR_INVALID: of a version that comes after this one. */
#define SPAN_ROW_KEY_BYTES 25
int span_row_read(struct bytes key, struct bytes value, struct span_info *ret_info);
/* ... and in memory, once that is durable: `added` (may be NULL) in, `removed` out and
 * unlinked, in one step. */
int span_set_change(struct span_set *set, const struct span_info *added,
                    struct span *const *removed, size_t removed_count);
/* In memory, too: samples expire.  The roll-ups made of them become all there is of their time,
 * in one step: whoever looks at the files of samples first and at roll-ups afterwards sees one
 * or both. */
void span_set_retire(struct span_set *set, struct span *const *soles, size_t sole_count,
                     struct span *const *removed, size_t removed_count);
/* Is the roll-up all there is of its time? */
bool span_is_sole(const struct span *span);
/* Unlinks a written file whose registration failed: tries that pile up would fill the disk.  It
 * stays if it is registered after all, or nobody can tell. */
void span_set_discard(struct span_set *set, const struct span_info *info);
/* A number above those of all files there have been. */
uint64_t span_set_next_generation(struct span_set *set);
/* Those up to this one have been given out; at opening. */
void span_set_skip_generations(struct span_set *set, uint64_t through);

/* Referenced spans of samples whose samples touch the closed interval, by generation. */
int span_set_acquire(struct span_set *set, int64_t from_ms, int64_t until_ms,
                     struct span ***ret_spans, size_t *ret_count);
/* The same for any kind. */
int span_set_acquire_kind(struct span_set *set, enum span_kind kind, int64_t from_ms,
                          int64_t until_ms, struct span ***ret_spans, size_t *ret_count);
void span_set_release(struct span_set *set, struct span **spans, size_t count);
/* The span of a registration; NULL: it has been merged away or has expired. */
struct span *span_set_acquire_one(struct span_set *set, const struct span_info *info);
void span_set_release_one(struct span_set *set, struct span *span);
const struct span_info *span_info_of(const struct span *span);
size_t span_set_count(struct span_set *set);
/* Files of a kind, and their bytes. */
void span_set_sum(struct span_set *set, enum span_kind kind, uint64_t *ret_files,
                  uint64_t *ret_bytes);
/* From a pin to its unpin no file leaves the folder: what is merged away or expires meanwhile is
 * unlinked at the end.  So every file that a snapshot of the live environment, taken under the
 * pin, speaks of is there. */
void span_set_pin(struct span_set *set);
void span_set_unpin(struct span_set *set);
/* Unmaps files that nobody reads. */
void span_set_close_idle(struct span_set *set);

/* ---- reading one (span_read.c) ----------------------------------------------------------- */

/* Opens (and if due, verifies) the file and begins a snapshot.  ERR_CORRUPT: it is quarantined;
 * counted and logged already. */
int span_reader_open(struct span *span, struct span_reader **ret_reader);
void span_reader_close(struct span_reader *reader); /* NULL is allowed */
struct postings_source span_postings(struct span_reader *reader);
/* For who may not need to look into the file: as span_reader_open(), but it is opened by the first
 * call that cannot do without. */
int span_reader_begin(struct span *span, struct span_reader **ret_reader);
/* Opens it, if it has not been.  Errors as span_reader_open(), and the same ones each time. */
int span_reader_map(struct span_reader *reader);
/* It had to be opened and is damaged: named and counted, and nothing more of it is to be read. */
bool span_reader_is_lost(const struct span_reader *reader);
uint64_t span_reader_generation(const struct span_reader *reader);
/* A series of a file, and the first ordinals of the group and the block it lies in. */
struct selected {
    uint32_t ordinal, group, block;
};
/* Of an opened file.  ERR_CORRUPT. */
int span_reader_place(struct span_reader *reader, uint32_t ordinal, struct selected *ret_place);
/* Where the series lies that is read next. */
void span_reader_expect(struct span_reader *reader, const struct selected *place);
/* The label set of a series as the file has it, valid until the next call.  ERR_CORRUPT. */
int span_reader_label_bytes(struct span_reader *reader, uint32_t ordinal,
                            struct bytes *ret_bytes);
/* The same, read, in `arena`.  ERR_CORRUPT, ERR_LIMIT. */
int span_reader_labels(struct span_reader *reader, uint32_t ordinal, struct arena *arena,
                       const struct labels **ret_labels);
/* Its entry (span_file.h), valid until the next call; ascending ordinals are cheap.
 * ERR_CORRUPT. */
int span_reader_entry(struct span_reader *reader, uint32_t ordinal, struct bytes *ret_entry);
/* Calls `each` for every chunk of an entry.  ERR_MALFORMED, or what `each` returned. */
int span_entry_chunks(struct bytes entry, int (*each)(void *context, struct bytes chunk),
                      void *context);
/* Log blocks by time (of one stream, or with stream_id 0 of all), or in key order; valid during the
 * call.  Stops at a non-zero return. */
typedef int span_log_visit(void *context, struct log_key key, struct bytes block);
int span_reader_logs(struct span_reader *reader, uint64_t stream_id, int64_t from_ms,
                     int64_t until_ms, span_log_visit *visit, void *context);
int span_reader_logs_in_order(struct span_reader *reader, span_log_visit *visit, void *context);
/* Names the damage in the log, once per reader, and counts it. */
void span_reader_complain(struct span_reader *reader, const char *what);

/* Used by span_read.c only (span_open.c). */
int span_env_open(struct span *span, MDB_env **ret_env, const MDB_dbi **ret_tables);
void span_env_done(struct span *span);
bool span_is_quarantined(struct span *span);
void span_quarantine(struct span *span, const char *reason);
const char *span_name(const struct span *span);
struct store *span_store(struct span *span);
