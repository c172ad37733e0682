/*
 * restore.h - a backup becomes a data folder again.
 *
 *   1 the backup is finished, its manifest is whole, each file is there with its size and hash,
 *     and its trees and values verify                                  (nothing is written yet)
 *   2 the files are copied, hashed on the way, and synced; DIR/UNFINISHED stands there meanwhile,
 *     and no collector starts on such a folder
 *   3 the new folder verifies; DIR/restored says from when it is; UNFINISHED goes
 *
 * A collector that starts on it knows that it is a restored state: it says so in its log and in
 * fengsui_collector_store_restored_timestamp_seconds.  Nothing more is needed for exactness:
 * each probe compares what it has sent with what this state has stored (Resume), sends again
 * what it still holds, and tells the rest as a numbered gap.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/store/backup_manifest.h"
#include "proto/base/diagnosis.h"

#define RESTORED_FILE "restored" /* DATA/restored: "taken MS\n", Unix ms */

struct restore_counts {
    uint64_t files, bytes, total_bytes; /* bytes: work, as in backup.h */
    uint64_t samples, log_blocks;       /* of history */
    uint64_t unsent_files;              /* of these: what receivers of remote write wait for */
    uint64_t damaged_files;             /* were so in the backup, and are known to be */
};

struct restore {
    /* set by the caller, the rest zero */
    void (*fault)(void *context, const char *file, const char *text);
    void (*progress)(void *context, const struct restore_counts *counts); /* NULL is allowed */
    void *context;

    struct restore_counts counts;
    int64_t taken_ms;
    bool has_keys;
};

/* Is the backup whole?  ERR_CORRUPT: faults were told; ERR_REFUSED: it was never finished;
 * ERR_NOTFOUND: it is no backup; ERR_MALFORMED, ERR_IO, ERR_NOMEM. */
int restore_check(struct restore *restore, const char *backup, struct diagnosis *why);

/* ERR_EXISTS: `directory` is not empty; else as restore_check(), ERR_FULL.  After a failure the
 * new folder is as it was: missing or empty. */
int restore_run(struct restore *restore, const char *backup, const char *directory,
                struct diagnosis *why);

/* What DATA/restored says; 0: it is no restored state. */
int64_t restored_at_ms(const char *directory);
/* May a store be opened in this folder?  ERR_REFUSED with the reason: it is a backup, or a
 * restore or backup was broken off there. */
int restore_may_open(const char *directory, struct diagnosis *why);
