/*
 * spool_parts.h - the spool's own structures, shared by its files and nobody else:
 *
 *     spool.c              opening, appending, confirming
 *     spool_files.c        names, one segment, one definitions file, the folder's scan
 *     spool_epoch.c        epochs: numbers acknowledged and dropped, beginning and ending one
 *     spool_read.c         what is to be sent: batches, gaps, definitions
 */
#pragma once

#include <limits.h>

#include "probe/frame.h"
#include "probe/spool.h"

enum segment_frame {
    SEGMENT_HEADER = 1,
    SEGMENT_BATCH = 2,
    SEGMENT_CONFIRMED = 3,
    SEGMENT_UNCONFIRMED = 4,
};

enum definitions_frame {
    DEFINITIONS_EPOCH = 1,
    DEFINITIONS_ITEMS = 2,
    DEFINITIONS_DROP = 3,
};

/* A definitions frame is cut at this many bytes, so that reading one stays small. */
#define DEFINITIONS_FRAME_BYTES ((size_t)16 << 10)

struct spool_segment {
    uint64_t epoch;
    uint64_t first;
    uint64_t count;
    uint64_t bytes;
    int64_t first_tick_ms; /* at least; exact in those of this process, and each epoch's last */
    int64_t last_tick_ms;
};

struct spool_drop {
    struct number_range numbers;
    int64_t first_tick_ms, last_tick_ms;
    char reason[SPOOL_REASON_BYTES];
};

struct spool_epoch {
    uint64_t epoch;
    uint64_t sequence; /* later epochs of the folder have larger ones */
    uint8_t boot_id[SPOOL_BOOT_ID_BYTES];
    uint64_t taken_epoch; /* 0: none; else its batches from taken_from on were taken over */
    uint64_t taken_from;
    uint64_t definition_count;
    uint64_t next_number;
    bool is_damaged; /* the definitions file ends in something that is no frame */
    uint64_t low_water;
    struct number_range *ranges;
    size_t range_count;
    struct spool_drop *drops; /* ascending, disjoint */
    size_t drop_count;
};

/* Where the last read ended: batches are read in order. */
struct spool_cursor {
    struct frame_file file;
    uint64_t epoch, segment_first, number;
    uint64_t offset;
};

struct spool_definitions_cursor {
    uint64_t epoch, first_ref;
    uint64_t offset;
};

struct spool {
    char *directory;
    const struct file_io *io;
    uint64_t limit_bytes;
    int64_t age_limit_ms;
    uint64_t segment_bytes;
    uint8_t boot_id[SPOOL_BOOT_ID_BYTES];

    struct spool_epoch *epochs; /* by sequence; the last is current */
    size_t epoch_count;
    struct spool_segment *segments; /* by epoch order, then number; the last is active */
    size_t segment_count, segment_room;
    struct frame_file active;      /* the current epoch's last segment */
    struct frame_file definitions; /* the current epoch's */
    uint64_t unconfirmed_from;     /* 0: confirmed */
    bool owes_sync;                /* the definitions file is not on the disk yet */
    const char *epoch_reason;
    int64_t last_tick_ms;
    struct notes notes;
    struct buf frame;
    struct spool_cursor cursor;
    struct spool_definitions_cursor definitions_cursor;
    struct spool_counts counts;
};

static inline struct spool_epoch *spool_current(const struct spool *spool)
{
    return &spool->epochs[spool->epoch_count - 1];
}

/* spool_files.c */
void spool_segment_path(const struct spool *spool, uint64_t epoch, uint64_t first,
                        char path[PATH_MAX]);
void spool_definitions_path(const struct spool *spool, uint64_t epoch, char path[PATH_MAX]);
/* Finds the epochs and segments in the folder, finishes renaming that a crash interrupted, and
 * reads the last segment of each epoch.  *ret_unconfirmed is the last segment's. */
int spool_scan(struct spool *spool, uint64_t *ret_unconfirmed, struct diagnosis *why);
/* A new active segment at the current epoch's next number. */
int spool_segment_begin(struct spool *spool);
/* Takes segment `index` off the list and the disk. */
void spool_segment_remove(struct spool *spool, size_t index);
/* Renames the segments of `from` at or past `from_number` to the current epoch. */
void spool_segments_take(struct spool *spool, uint64_t from, uint64_t from_number);

/* spool_epoch.c */
struct spool_epoch *spool_epoch_find(const struct spool *spool, uint64_t epoch);
bool spool_epoch_has_stored(const struct spool_epoch *epoch, uint64_t number);
/* Numbers of first..last that are not acknowledged. */
uint64_t spool_epoch_count_open(const struct spool_epoch *epoch, uint64_t first, uint64_t last);
/* Remembers a drop, in memory and in the epoch's file; the file may fail. */
void spool_epoch_drop(struct spool *spool, struct spool_epoch *epoch,
                      const struct spool_drop *drop);
int spool_epoch_add_drop(struct spool_epoch *epoch, const struct spool_drop *drop);
/* Writes to the disk what spool_epoch_begin() left in the page cache.  ERR_IO: try again. */
int spool_epoch_settle(struct spool *spool);

/* Begins a new epoch; with `taken` (may be 0) it takes over that epoch's definitions, and its
 * batches from `taken_from` on. */
int spool_epoch_begin(struct spool *spool, uint64_t taken, uint64_t taken_from);
/* Forgets epochs that have nothing left to tell, other than the current one. */
void spool_epochs_finish(struct spool *spool);
void spool_epoch_done(struct spool_epoch *epoch);
