/*
 * spill.h - commits that receivers have not taken when the store cuts its log: files of them.
 *
 *     DATA/remote/spill/FIRST-LAST.spill      commit numbers, 16 hex digits each
 *
 * A file is written once, synced, renamed, and then only read; what every receiver is past is
 * unlinked.  One set of files serves all receivers.  Little-endian throughout:
 *
 *     offset size  file
 *          0    8  "FSSPILL1"
 *          8    8  samples in it
 *         16    8  XXH3 of the 16 bytes before, seeded with FIRST
 *         24       blocks
 *
 *     offset size  block
 *          0    4  size of what follows the header   4    4  the same unpacked
 *          8    8  first commit                     16    8  last commit
 *         24    8  XXH3 of the 24 bytes before and of what follows
 *         32    n  zstd of a batch (batch.h)
 *
 * A block that fails its seal is passed by, by name in the log, and what it held counts as lost.
 *
 * Threads: any, under the set's own lock; a reader has a struct spill_reader of its own.
 */
#pragma once

#include <pthread.h>

#include "collector/remote/batch.h"
#include "proto/base/diagnosis.h"

struct spill_file {
    uint64_t first, last; /* commits */
    uint64_t samples, bytes;
};

struct spill {
    char *directory;
    uint64_t limit_bytes;
    pthread_mutex_t lock;
    /* under the lock: ascending, without overlap */
    struct spill_file *files;
    size_t count, capacity;
    uint64_t bytes;
};

/* Takes in the files that are there; the folder need not be. */
int spill_open(const char *directory, uint64_t limit_bytes, struct spill *spill,
               struct diagnosis *why);
void spill_close(struct spill *spill); /* an opened or a zeroed one */

/* The last commit that any file holds; 0: there is none. */
uint64_t spill_last(struct spill *spill);
uint64_t spill_bytes(struct spill *spill);
/* Samples of the files that hold a commit from `commit` on. */
uint64_t spill_samples_from(struct spill *spill, uint64_t commit);
/* Is there a file with that commit?  *ret_next: the first commit of the next file, if not (0:
 * there is none). */
bool spill_has(struct spill *spill, uint64_t commit, uint64_t *ret_next);

/* Writes the commits first..last of the store's log into a file of their own.  ERR_FULL, ERR_IO,
 * ERR_NOMEM. */
int spill_write(struct spill *spill, struct store *store, uint64_t first, uint64_t last);
/* Unlinks what holds nothing behind `through`. */
void spill_prune(struct spill *spill, uint64_t through);
/* How many bytes the files may take now: what the set was opened with, and less where the disk
 * would be fuller than SPILL_DISK_PERCENT: a receiver that is away must not stop ingest. */
uint64_t spill_limit(struct spill *spill);
#define SPILL_DISK_PERCENT 80
/* Unlinks the oldest file if there are more bytes than that; false: there are not.  *ret_file is
 * what went. */
bool spill_drop_oldest(struct spill *spill, uint64_t limit_bytes, struct spill_file *ret_file);

struct spill_reader {
    int fd;              /* -1: none */
    uint64_t first, last; /* of the open file */
    uint64_t offset;     /* of the next block */
    struct buf packed, raw;
};
void spill_reader_init(struct spill_reader *reader);
void spill_reader_done(struct spill_reader *reader);
/* The block that holds the commit.  ERR_NOTFOUND: no file has it; ERR_CORRUPT: it is damaged, and
 * *ret_resume is the first commit behind the damage; ERR_IO, ERR_NOMEM. */
int spill_read(struct spill *spill, struct spill_reader *reader, uint64_t commit,
               struct batch *batch, uint64_t *ret_resume);
/* One block out of its bytes, for spill_read() and for whoever tries any bytes. */
int spill_block_decode(struct bytes block, struct buf *raw, struct batch *batch);
