/*
 * spool_world.h - a spool in a folder of its own, and what ought to be in it.
 *
 * Batches are told apart by a serial number that is their content.  The world counts the
 * spool's writes, renames and unlinks, and can let the n-th fail, be cut in half, or be the
 * last thing this process ever did to its disk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/spool.h"

#define WORLD_BATCHES_MAX 4096

enum fault { FAULT_NONE, FAULT_FAIL, FAULT_CUT, FAULT_KILL };

struct world {
    char directory[64];
    struct file_io io;
    enum fault fault;
    unsigned fault_at; /* the call that meets it, from 1 */
    unsigned calls;
    unsigned syncs;
    bool wants_epoch; /* of the next world_open() */
    bool is_dead;

    struct spool *spool;
    uint8_t boot;
    uint64_t limit_bytes;
    uint64_t segment_bytes;

    /* the model, by serial */
    uint64_t serial;                 /* the last one given */
    bool is_kept[WORLD_BATCHES_MAX]; /* append said so */
    bool is_acked[WORLD_BATCHES_MAX];
    uint64_t epoch_of[WORLD_BATCHES_MAX]; /* as appended */
    uint64_t number_of[WORLD_BATCHES_MAX];
    uint64_t definitions; /* of the current epoch */
};

/* A folder of its own under /tmp. */
void world_init(struct world *world);
void world_done(struct world *world);

int world_open(struct world *world);
void world_close(struct world *world);
/* The process is gone and another one opens the folder, on a disk that works again. */
void world_reopen(struct world *world);

/* Appends one batch of `size` bytes and a note that names its serial. */
int world_append(struct world *world, size_t size);
int world_define(struct world *world, unsigned count);
/* Acknowledges numbers up to `low` of the current epoch, and first..last (0: none). */
void world_acknowledge(struct world *world, uint64_t low, uint64_t first, uint64_t last);
/* A Resume that knows nothing past what the model has acknowledged. */
int world_confirm(struct world *world);

/* Serial of a batch, 0 if it cannot be read. */
uint64_t world_serial_of(struct world *world, uint64_t epoch, uint64_t number);

/* Checks what must always hold: every batch that was kept and not acknowledged is in the spool
 * exactly once, byte for byte, or, with `may_drop`, its number is told as a gap; numbers of a
 * stream have no holes that nobody tells; notes agree with the last batch. */
void world_check(struct world *world, bool may_drop);
