/*
 * care.h - long work on a running store, beside the commits: a backup, a verification.
 *
 *     begin() ──> a thread of its own, of low priority ──> what came of it, until the next one
 *
 * One piece of work at a time; each kind keeps what became of its last.  All calls: any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

struct store;
struct care;

enum care_kind { CARE_BACKUP, CARE_VERIFY, CARE_KINDS };

#define CARE_FAULTS_KEPT 64 /* of one piece of work, by name; all are counted */

/* Before the store's other threads end, so that what runs is broken off in time. */
int care_open(struct store *store, struct care **ret_care);
void care_close(struct care *care); /* NULL is allowed */

/* ERR_AGAIN: a backup or a verification is running.  `directory` is copied. */
int store_backup_begin(struct store *store, const char *directory, bool without_keys,
                       bool copies_all, struct diagnosis *why);
int store_verify_begin(struct store *store, struct diagnosis *why);
/* Breaks it off if it is running; soon afterwards it has ended.  ERR_NOTFOUND: it is not. */
int store_care_cancel(struct store *store, enum care_kind kind);

/* How far it is, or what came of the last, as JSON:
 *   {"state": "idle" | "running" | "done" | "failed" | "cancelled",
 *    "startedAt", "endedAt" (Unix ms, 0: not yet), "error": TEXT,
 *    "bytes", "totalBytes", "files", "faults",
 *    "found": [{"file", "what"}]          the first CARE_FAULTS_KEPT of the faults
 *    backup: "directory", "linkedFiles", "sizeBytes", "takenAt"
 *    verify: "values", "samples", "walSamples", "logBlocks"} */
/* Text as a JSON string. */
void care_put_text(struct buf *out, const char *text);
void store_care_print_json(struct store *store, enum care_kind kind, struct buf *out);

struct care_stats {
    uint64_t backups, backup_failures;
    int64_t backup_ms; /* moment of the last that succeeded, restarts included; 0: none */
    uint64_t verifications;
    int64_t verified_ms;    /* end of the last that came to its end; 0: none since the start */
    uint64_t verify_faults; /* it found */
    int64_t restored_ms;    /* moment of the backup this state was restored from; 0: it was not */
};
void store_care_stats(struct store *store, struct care_stats *ret_stats);
