/*
 * series_rows.h - label sets on disk: id -> labels, labels -> id, metric name -> metadata.
 *
 *   series          first id u32 BE -> seal | u8 coding (0 plain, 1 zstd) | varint raw size |
 * raw raw: varint count, then for each series: varint id difference, labels series_by_hash  "h"
 * -> items of 8 bytes: top 32 bits of labels->hash BE, id u32 BE metadata        metric name ->
 * u8 type | sized unit | sized help
 *
 * Series arrive in swarms (a probe's definitions), and those of a swarm resemble each other, so
 * they are stored a block at a time: about 16 bytes a series where a row each takes 200.
 */
#pragma once

#include "collector/series/labels.h"
#include "collector/series/queryable.h"
#include "collector/store/live.h"
#include "proto/base/arena.h"

#define SERIES_BLOCK_MAX 128

struct series_row {
    uint32_t id;
    const struct labels *labels;
};

/* Stores rows (ascending ids) in blocks, and their hashes.  An LMDB code. */
int series_rows_put(const struct live *live, MDB_txn *txn, const struct series_row *rows,
                    size_t count);

/* Reads by id, keeping the last block unpacked: cheap for ascending ids. */
struct series_reader {
    struct live *live;
    struct arena arena;
    struct series_row rows[SERIES_BLOCK_MAX];
    size_t count;
};
void series_reader_init(struct series_reader *reader, struct live *live);
void series_reader_done(struct series_reader *reader);
/* Labels live until the next call.  ERR_NOTFOUND, ERR_CORRUPT, ERR_NOMEM. */
int series_reader_find(struct series_reader *reader, uint64_t id,
                       const struct labels **ret_labels);

/* The stored id of a label set.  ERR_NOTFOUND. */
int series_rows_id_of(struct live *live, const struct labels *labels, uint64_t *ret_id);
/* The largest id stored; 0 if none. */
int series_rows_last_id(struct live *live, uint64_t *ret_id);

/* Any bytes are safe; for fuzzing too.  ERR_MALFORMED, ERR_NOMEM. */
int series_block_decode(uint32_t first_id, struct bytes payload, struct arena *arena,
                        struct series_row rows[SERIES_BLOCK_MAX], size_t *ret_count);
