/*
 * wal.h - what a commit stored, in the form it is replayed from.
 *
 * Key     commit number u64 BE, part u16 BE
 * Value   seal (XXH3 over key and payload) | u32 size of the whole record | piece of the record
 *
 * A record is cut into parts that fill whole pages, so that the pages a checkpoint frees serve
 * the next commits without searching for long runs.  A record, integers little-endian or
 * varint:
 *
 *     u8      version: 2
 *     varint  sample count n
 *     runs    until n series ids are named, each: zigzag step from id to id, varint length - 1
 *     runs    likewise of times in ms
 *     ⌈n/2⌉   a nibble a sample, the first one low; how its word is written (wal_values.h)
 *     bytes   of the words
 *     varint  log chunk count, then for each
 *             varint stream, varint file, sized path, varint line count, then for each line
 *             varint offset difference, zigzag time difference, varint severity, varint flags,
 *             sized text
 *
 * A word is the value's bits; where the sample before is of the same series, those XOR the value
 * before.  Version 1, which is still read, has for each sample, column by column: zigzag step of
 * the id, zigzag step of the time, f64.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/store/live.h"
#include "collector/store/store.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

#define WAL_RECORD_BYTES_MAX ((size_t)256 << 20)

/* Gathers the columns of one record; buffers are kept between commits. */
struct wal_encoder {
    struct buf ids, times, nibbles, words, logs, record;
    uint64_t sample_count, log_count;
    struct wal_run { /* open at the end of `ids`, `times` */
        uint64_t last, step, length;
    } id_run, time_run;
    uint64_t last_bits;
};

void wal_encoder_init(struct wal_encoder *encoder);
void wal_encoder_done(struct wal_encoder *encoder);
void wal_encoder_clear(struct wal_encoder *encoder);
void wal_encoder_add(struct wal_encoder *encoder, const struct store_write *write);
/* The record, valid until the next clear.  ERR_NOMEM, ERR_LIMIT. */
int wal_encoder_finish(struct wal_encoder *encoder, struct bytes *ret_record);

/* Writes the parts; an LMDB code. */
int wal_put(const struct live *live, MDB_txn *txn, uint64_t commit, struct bytes record);
/* Deletes at most `limit` parts of commits up to `through`; *ret_more: there are others. */
int wal_delete(const struct live *live, MDB_txn *txn, uint64_t through, size_t limit,
               bool *ret_more);

struct wal_record {
    const uint64_t *ids;
    const int64_t *times_ms;
    const double *values;
    size_t sample_count;
    const struct store_log_chunk *logs;
    size_t log_count;
};

/* Reads a record; arrays live in `arena`, texts in `record`.  Any bytes are safe.
 * ERR_MALFORMED, ERR_NOMEM. */
int wal_decode(struct bytes record, struct arena *arena, struct wal_record *ret_record);
/* The samples alone; what follows them is not looked at. */
int wal_decode_samples(struct bytes record, struct arena *arena, struct wal_record *ret_record);

/* Calls `each` for every whole record in commit order.  A record whose parts fail their seal or
 * are not all there is passed by and counted in *ret_bad.  Stops at a non-zero return. */
int wal_replay(struct live *live, uint64_t after_commit,
               int (*each)(void *context, uint64_t commit, struct bytes record), void *context,
               uint64_t *ret_last_commit, uint64_t *ret_bad);
