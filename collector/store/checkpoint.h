/*
 * checkpoint.h - writing the head down, so that the WAL can be short.
 *
 * A pass walks all series in slices, short ones where much is new.  A slice is a task of the
 * writer: it runs between two commits, so what it writes of a series is exactly commits 1..C; C is
 * written with it.  Chunks sealed by then are saved before it, in small commits of their own
 * (checkpoint_chunks.c); a slice adds those sealed meanwhile.
 *
 *   checkpoint  span start i64 BE, largest seal number u64 BE
 *               -> seal | n x (varint id, u8 late, varint seal number, sized chunk)
 *   tails       pass u64 BE, first id u32 BE
 *               -> seal | varint C | n x (varint id, u8 bits, [sized chunk], [sized chunk])
 *               bit 0: the open tail follows, bit 1: the open late tail
 *   spans       'T', span start i64 BE -> seal | u64 BE: chunks of the span with a seal number up to
 *               this are in history; here while checkpoint rows of them are left to delete
 *   meta        tail_pass: the last whole pass   wal_through: the commits it covers
 *
 * Sealed chunks are written once and stay until history has them; open tails are written anew
 * by every pass.  When a pass is through, the WAL up to the commit it began with goes.  After a
 * crash in the middle of a pass the rows of the last whole pass count, and over them those of
 * the one begun: each series is as of the C of its row, and replay gives it what came after C.
 */
#pragma once

#include "collector/store/parts.h"
#include "collector/store/recover.h"

/* One pass.  Tails whose span ends at or before seal_until_ms are sealed on the way (INT64_MIN:
 * none).  *ret_sequence (may be NULL): every chunk sealed by then has a number up to it.
 * Keeper thread. */
int checkpoint_pass(struct store *store, int64_t seal_until_ms, uint64_t *ret_sequence);

/* Moves full (or all) log lines of the head into blocks of the live environment. */
int checkpoint_logs(struct store *store, bool all);

/* Deletes the rows of the spans from start to end, whose chunks are in history, and then their
 * 'T' rows. */
int checkpoint_forget_spans(struct store *store, int64_t start_ms, int64_t end_ms,
                            uint64_t through);
/* The 'T' row; an LMDB code. */
int checkpoint_put_through(struct live *live, MDB_txn *txn, int64_t start_ms, uint64_t through);

/* What it says; 0: its seal does not fit.  Then the span is flushed once more, no harm. */
uint64_t checkpoint_through_of(struct bytes key, struct bytes value);

/* Rebuilds chunks and tails; *ret_through: the commits that all of it covers. */
int checkpoint_load(struct recovery *recovery, uint64_t *ret_through);

/* Any bytes are safe: calls `each` for every chunk of a row.  ERR_MALFORMED. */
struct checkpoint_entry {
    uint64_t id, sequence;
    bool late;
    struct bytes chunk;
};
int checkpoint_row_decode(struct bytes payload,
                          int (*each)(void *context, const struct checkpoint_entry *entry),
                          void *context);
struct tails_entry {
    uint64_t id, commit;
    struct bytes tail, late; /* data NULL: empty */
};
int tails_row_decode(struct bytes payload,
                     int (*each)(void *context, const struct tails_entry *entry),
                     void *context);
