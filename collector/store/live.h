/*
 * live.h - the environment DATA/live: what is new, and all state.
 *
 * Tables (the layout of their keys and values is drawn in README.md):
 *     wal             commit number, part  -> what the commit stored
 *     checkpoint      span, seal number    -> chunks of the head
 *     tails           pass, first id       -> open tails of the head
 *     series          first id             -> a block of label sets
 *     series_by_hash  one key, fixed items -> (hash, id)
 *     metadata        metric name          -> type, unit, help
 *     spans           start, end, gen      -> a registered history file
 *     logs            stream, file, offset, commit -> a log block not yet in history
 *     state           key                  -> value, the other parts' own
 *     meta            name                 -> the store's own few numbers
 *     deletes         number               -> a delete that is not carried out everywhere yet
 *
 * All writing is done by the writer thread.  Readers use short transactions of their own.
 * LMDB gives values no alignment; they are valid until the transaction ends.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

enum live_table {
    LIVE_WAL,
    LIVE_CHECKPOINT,
    LIVE_TAILS,
    LIVE_SERIES,
    LIVE_SERIES_BY_HASH,
    LIVE_METADATA,
    LIVE_SPANS,
    LIVE_LOGS,
    LIVE_STATE,
    LIVE_META,
    LIVE_DELETES,
    LIVE_TABLES
};

/* LMDB's limit on keys, as compiled everywhere. */
#define LIVE_KEY_BYTES_MAX 511

/* In the folder: the environment; and one that is being made, in which nothing is ever acknowledged. */
#define LIVE_FILE   "data.mdb"
#define LIVE_MAKING "data.mdb.new"

struct live {
    MDB_env *env;
    MDB_dbi tables[LIVE_TABLES];
};

/* `directory` and the environment are made if missing, the latter as a whole: what a death in the
 * midst of that has left is made anew.  When it returns, the file is durable under its name.
 * `map_bytes_max` 0: as large as it gets. */
int live_open(const char *directory, uint64_t map_bytes_max, struct live *ret_live,
              struct diagnosis *why);
void live_close(struct live *live);

/* Which of the tables bears a name; -1: none. */
int live_table_of(const char *name);

/* ERR_FULL for a full disk or map, ERR_CORRUPT, ERR_NOTFOUND, ERR_NOMEM, else ERR_IO. */
int error_from_lmdb(int code);

static inline MDB_val val_of(struct bytes bytes)
{
    return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

static inline struct bytes bytes_of_val(MDB_val val)
{
    return (struct bytes){val.mv_data, val.mv_size};
}

/* Values that carry a checksum: XXH3-64 over key and payload, little-endian, then the payload.
 * A value that fails is ERR_CORRUPT. */
#define SEAL_BYTES 8
uint64_t seal_of(struct bytes key, struct bytes payload);
/* LMDB makes room and the payload is written in place. */
int sealed_put(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes payload,
               unsigned flags);
int sealed_open(struct bytes key, struct bytes value, struct bytes *ret_payload);

/* One of the store's own numbers; 0 if never set.  ERR_CORRUPT: its seal does not fit. */
int live_meta_get(struct live *live, const char *name, uint64_t *ret_value);
int live_meta_put(const struct live *live, MDB_txn *txn, const char *name, uint64_t value);

/* Big-endian numbers in keys sort as numbers; signed ones are shifted first. */
void key_put_u64(uint8_t *to, uint64_t value);
void key_put_i64(uint8_t *to, int64_t value);
void key_put_u32(uint8_t *to, uint32_t value);
uint64_t key_get_u64(const uint8_t *from);
int64_t key_get_i64(const uint8_t *from);
uint32_t key_get_u32(const uint8_t *from);

/* Gives the disk space of pages that no snapshot can need back to the file system; on the
 * writer thread, no transaction open.  Not all file systems can: then nothing happens. */
void live_punch_free_pages(struct live *live);
/* How much of the map is in use: past 100 nothing can be committed, not even a deletion. */
uint64_t live_map_percent(struct live *live);
uint64_t live_map_bytes(struct live *live);
/* Bytes in pages that hold something. */
uint64_t live_used_bytes(struct live *live);
/* Bytes that the file system could have back.  Any thread. */
uint64_t live_spare_bytes(struct live *live);
