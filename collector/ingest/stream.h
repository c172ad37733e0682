/*
 * stream.h - one (key, epoch): which numbers are stored, which refs are defined.
 *
 * Lives in memory while its probe is connected, and in the store's state table, changed in the
 * same write as the batches it speaks of:
 *
 *     stream/ KEY(32) EPOCH(8 BE) n            numbers: version, last tick, range_set
 *     stream/ KEY(32) EPOCH(8 BE) g BLOCK(8)   content hashes of stored batches (recent ones), of
 *                                              STREAM_HASH_BLOCK numbers from BLOCK times that on:
 *                                              u32 which of them | u64 hash of each
 *     stream/ KEY(32) EPOCH(8 BE) h NUMBER(8)  one content hash: written by 0.1.0 before blocks
 *                                              were, still read, goes with its number
 *     stream/ KEY(32) EPOCH(8 BE) d REF(8 BE)  definitions from REF on, n of them:
 *                                              v 0 | v n | u64 joint hash | n x (v 0: refused, or
 *                                              v 1 + zigzag(series id minus the one before))
 *                                              or, as 0.1.0 wrote first: v n | n x (v id, u64 hash
 *                                              of its labels unless id is 0)
 *
 * The joint hash is XXH3 over the hashes of the labels.  It is there because a series becomes
 * durable only with its first sample: after a crash an id may be unknown, or belong to another
 * series; then the refs of that row and all that follow count as undefined and the probe sends
 * them again.
 *
 * Owner: the ingest thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/ingest/bases.h"
#include "collector/ingest/range_set.h"
#include "collector/store/store.h"
#include "proto/wire/columns.h"
#include "proto/wire/curve.h"

#define STREAM_HASHES_KEPT 4096 /* below the low-water mark */
#define STREAM_HASH_BLOCK  32   /* a key of 56 bytes for each hash of 8 would be a waste */
#define STREAM_HASH_BLOCKS 2    /* kept in memory: of live batches, of a backlog */

struct intake_write;

/* A row of hashes as it is, or soon will be. */
struct stream_hashes {
    uint64_t block;
    uint32_t present; /* 0: an unused slot */
    uint64_t hashes[STREAM_HASH_BLOCK];
};
#define STREAM_HASHES_BYTES (4 + 8 * STREAM_HASH_BLOCK)

struct stream {
    uint8_t key[CURVE_KEY_BYTES];
    uint64_t epoch;
    struct range_set stored;    /* committed */
    int64_t last_tick_ms;       /* of what is committed */
    struct series **series;     /* by ref; NULL: refused by a limit */
    uint64_t definition_count;  /* refs known (committed or in the pending write) */
    uint64_t definition_capacity;
    uint64_t definitions_committed;
    struct bases bases;
    struct stream_hashes hashes[STREAM_HASH_BLOCKS];
    size_t next_hashes;
    uint64_t single_hashes; /* the highest number with a row of its own; 0: none */
    bool renew;                 /* given up: its probe must begin a new epoch */
    struct intake_write *flying;    /* submitted, not yet landed; at most one */
    struct intake_write *gathering; /* what has come since; goes when that one lands */
    struct stream *next;
};

enum stream_row {
    STREAM_NUMBERS = 'n',
    STREAM_HASHES = 'g',
    STREAM_SINGLE_HASH = 'h',
    STREAM_DEFINITIONS = 'd',
};

#define STREAM_KEY_BYTES (7 + CURVE_KEY_BYTES + 8 + 1 + 8)
/* Writes the state key of a row; `number` is used by all but 'n' rows.  Returns its size. */
size_t stream_row_key(const struct stream *stream, enum stream_row row, uint64_t number,
                      uint8_t key[STREAM_KEY_BYTES]);

/* Loads what the store has of (key, epoch), or makes an empty stream.  ERR_CORRUPT, ERR_NOMEM. */
int stream_load(struct store *store, const uint8_t key[CURVE_KEY_BYTES], uint64_t epoch,
                struct stream **ret_stream);
/* Releases its series.  NULL is allowed. */
void stream_free(struct store *store, struct stream *stream);

/* Makes room for so many more definitions at once, or for an eighth of what there is room for
 * if that is more; failing does no harm.  ERR_LIMIT past REFS_MAX, ERR_NOMEM. */
int stream_expect(struct stream *stream, uint64_t more);
/* Remembers the series of the next ref (NULL: refused).  ERR_LIMIT past REFS_MAX, ERR_NOMEM. */
int stream_define(struct stream *stream, struct series *series);

/* The value of the row of all definitions from `first` on. */
void stream_write_definitions(const struct stream *stream, uint64_t first, struct buf *out);

/* Was this number stored with this content?  0: not stored; 1: stored, same content (or too long
 * ago to know); ERR_CONFLICT: stored with other content. */
int stream_check_number(struct store *store, const struct stream *stream, uint64_t number,
                        uint64_t content_hash);

/* Remembers the hash of a batch that is about to be stored, and writes the row it belongs to.
 * Returns the row's size.  If the write fails the hash stays: its number is asked for only when
 * it is stored. */
size_t stream_write_hash(struct store *store, struct stream *stream, uint64_t number,
                         uint64_t content_hash, uint8_t row[STREAM_HASHES_BYTES]);

/* The numbers row's value. */
void stream_write_numbers(const struct range_set *stored, int64_t last_tick_ms,
                          struct buf *out);

/* What Resume and Ack say; points into the stream. */
struct stream_state stream_state_of(const struct stream *stream);
