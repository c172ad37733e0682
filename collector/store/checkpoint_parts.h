/*
 * checkpoint_parts.h - between the files of a checkpoint.
 */
#pragma once

#include "collector/store/parts.h"

#define SLICE_SERIES 2048
#define CHUNK_SPANS  8192 /* two years of spans of two hours */

/* Chunks of one span, gathered for a row of the checkpoint table. */
struct chunk_row {
    int64_t start_ms;
    uint64_t sequence; /* the largest of theirs */
    struct buf payload;
};

/* Rows that are gathered, and those that are ready to be put. */
struct chunk_rows {
    int64_t span_ms;
    struct chunk_row open[CHUNK_SPANS]; /* the place of a span: its number, modulo */
    uint16_t used[CHUNK_SPANS];         /* places that have been used */
    bool is_used[CHUNK_SPANS];
    size_t used_count;
    struct chunk_row *ready;
    size_t ready_count, ready_capacity;
    size_t bytes; /* of chunks */
    bool failed;  /* out of memory: said by chunk_rows_put() */
};
void chunk_rows_clear(struct chunk_rows *rows);
void chunk_rows_done(struct chunk_rows *rows);
/* The chunks of a series that are not saved yet.  Under its shard's lock. */
void chunk_rows_add_unsaved(struct chunk_rows *rows, const struct series *series);
/* All of them are ready. */
void chunk_rows_end(struct chunk_rows *rows);
/* Puts ready ones from *next on, up to so many bytes of them or for some milliseconds; one at least.
 * SIZE_MAX: all of them, whatever time it takes.  Moves *next behind them.  An LMDB code. */
int chunk_rows_put(const struct chunk_rows *rows, const struct live *live, MDB_txn *txn,
                   size_t bytes_max, size_t *next);

/* Some series on their way into the checkpoint. */
struct slice {
    struct store *store;
    int64_t seal_until_ms;
    uint64_t pass;
    struct series *series[SLICE_SERIES];
    bool has_tail[SLICE_SERIES];
    uint64_t gathered[SLICE_SERIES]; /* the newest chunk that was, ahead of the slice; 0: none */
    size_t count;
    size_t first, end; /* what this turn takes of them */
    uint64_t sequence;
    struct chunk_rows rows;
    struct buf tails, chunk;
    int code;
};

/* Those up to this seal number are saved from now on.  Under the shard's lock for writing. */
void chunks_mark_saved(struct series *series, uint64_t through);

/* Saves the chunks that the series of a slice have by now, in small commits.  Keeper thread.  The
 * commit's error. */
int checkpoint_chunks(struct slice *slice);
