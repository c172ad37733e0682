/*
 * backup_manifest.h - what a backup holds: the file MANIFEST, written last.
 *
 *     fengsui-backup 1
 *     taken 1764357600123             the moment it shows, Unix ms
 *     keys yes                        or no
 *     file 9f86d081884c7d65 40960 live/data.mdb        XXH3, bytes, path in the folder
 *     file 11d5c6c5a1b3f001 812345 history/...mdb
 *     damaged history/...mdb          of these files: was damaged in the store already
 *     missing history/...mdb          registered, but no longer there to be taken
 *     end 60303ae22b998861            XXH3 of all before this line
 *
 * One thread.  Reading: any bytes are safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define BACKUP_MANIFEST        "MANIFEST"
#define BACKUP_UNFINISHED      "UNFINISHED" /* in a folder that is being filled */
#define BACKUP_MANIFEST_BYTES  ((size_t)64 << 20)
#define BACKUP_PATH_BYTES      200
#define BACKUP_FOLDERS         5

/* Of a backup; folders stand before what is in them. */
extern const char *const backup_folders[BACKUP_FOLDERS];

struct backup_file {
    char path[BACKUP_PATH_BYTES]; /* below live/, history/, keys/ or remote/spill/ */
    uint64_t bytes, hash;
    bool is_damaged, is_missing; /* missing: no bytes, no hash */
};

struct backup_manifest {
    int64_t taken_ms;
    bool has_keys;
    struct backup_file *files;
    size_t count, capacity;
};

void backup_manifest_done(struct backup_manifest *manifest);
/* ERR_NOMEM; ERR_INVALID for a path no manifest may hold. */
int backup_manifest_add(struct backup_manifest *manifest, const char *path, uint64_t bytes,
                        uint64_t hash, bool is_damaged, bool is_missing);
void backup_manifest_write(const struct backup_manifest *manifest, struct buf *out);
/* ERR_MALFORMED with the line, ERR_CORRUPT if its own hash does not fit, ERR_NOMEM. */
int backup_manifest_read(struct bytes text, struct backup_manifest *ret_manifest,
                         struct diagnosis *why);
