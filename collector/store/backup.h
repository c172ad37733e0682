/*
 * backup.h - a copy of a running store, as of one moment.
 *
 *     DIR/UNFINISHED              while it is being made; restore refuses the folder
 *     DIR/live/data.mdb           LMDB's own compacting copy of one snapshot
 *     DIR/history/...             each file the snapshot speaks of: a hard link where that can
 *                                 be (they never change), else a copy
 *     DIR/remote/spill/...        what was cut from the log and is still to be sent: likewise
 *     DIR/keys/...                the collector's keys, unless left out
 *     DIR/MANIFEST                sizes and hashes of all of it, written last
 *
 * Consistent: the snapshot is one committed state, nothing is cut from the log until it is copied
 * and what was cut before is linked, and from before it until every file of
 * history is linked or copied no such file leaves the store (span_set_pin).  Verified: the
 * copied trees are walked and the seals of their values tried, and every history file is read
 * and compared with the hash it was registered with.  Beside the commits: everything in slices
 * with rests (care_file.h).  LMDB keeps what the snapshot holds until it is copied, so the live
 * file grows by what is committed in that time: the live part is copied first, in seconds.
 *
 * What was damaged in the store already is taken as it is, named, and marked in the manifest.
 *
 * Any thread but the writer's and the keeper's; one backup at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"

struct store;

struct backup_counts {
    uint64_t files, linked_files, damaged_files;
    uint64_t bytes, total_bytes; /* work done and to do: bytes read or written */
    uint64_t size_bytes;         /* of the finished backup, linked files included */
};

struct backup {
    /* set by the caller, the rest zero */
    const char *directory; /* absolute; missing or empty */
    bool without_keys;
    bool copies_all; /* no hard links, so that the backup shares no block with the store */
    void (*fault)(void *context, const char *file, const char *text);
    void (*progress)(void *context, const struct backup_counts *counts); /* NULL is allowed */
    void *context;
    const volatile bool *cancelled; /* NULL is allowed */

    struct backup_counts counts;
    int64_t taken_ms;
};

/* Makes it, or leaves nothing behind.  ERR_EXISTS: the folder is not empty; ERR_INVALID: it is
 * no place for one; ERR_FULL: there would be no room, or the store's disk would pass
 * STORE_FULL_PERCENT; ERR_CORRUPT: the copy of live fails its checks at once; ERR_CANCELLED,
 * ERR_REFUSED, ERR_IO, ERR_NOMEM. */
int backup_make(struct backup *backup, struct store *store, struct diagnosis *why);
