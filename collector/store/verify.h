/*
 * verify.h - is everything the store keeps still what was written?
 *
 *   live/data.mdb    both meta pages, every tree (page_walk.h); the seal of each value that has
 *                    one; what a restart would read: WAL records, checkpoint rows, tails, label
 *                    sets, registrations
 *   history/FILE     there for each registration, of its size and with its hash; meta pages and
 *                    trees; the seal of each piece, group, block and posting; and as many series,
 *                    chunks, samples, groups, pairs and log blocks as its manifest says
 *
 * verify_folder() is for a folder no collector has open (a data folder, or a backup), and changes
 * nothing in it.  verify_store() is the same beside the commits: of the live environment as of
 * one snapshot, of each history file that is still there when its turn comes.
 *
 * Each fault is named: the file below the folder, and what is wrong in it.  A damaged file ends
 * nothing; only what keeps the verification itself from going on is an error.
 *
 * Any thread, one a call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/store/care_file.h"
#include "collector/store/span_write.h"
#include "proto/base/diagnosis.h"

struct store;

#define VERIFY_FAULTS_TOLD 16 /* of one file; more are only counted */

struct verify_counts {
    uint64_t files, bytes;           /* looked at */
    uint64_t total_bytes;            /* to be looked at, as far as is known by now */
    uint64_t values;                 /* whose seals were tried */
    uint64_t samples, log_blocks;    /* of history */
    uint64_t wal_samples;            /* in the write-ahead log */
    uint64_t faults;
    uint64_t strays; /* history files without a registration, what a crash left of one */
};

struct verify {
    /* set by the caller, the rest zero */
    void (*fault)(void *context, const char *file, const char *text);
    /* After each file and each slice; NULL is allowed. */
    void (*progress)(void *context, const struct verify_counts *counts);
    void *context;
    bool is_gentle;
    const volatile bool *cancelled; /* NULL is allowed */

    struct verify_counts counts;
    /* Of a folder: the creation of the store was not completed (inspect.h).  No fault: a start makes
     * it anew. */
    bool is_unborn;

    /* its own */
    struct care_pace pace;
    const char *file; /* being looked at */
    uint64_t file_faults;
    struct span_info *spans; /* the registrations met */
    size_t span_count, span_capacity;
};

/* ERR_CANCELLED, ERR_NOMEM, ERR_NOTFOUND (no data folder), ERR_REFUSED, ERR_IO. */
int verify_folder(struct verify *verify, const char *directory, struct diagnosis *why);
int verify_store(struct verify *verify, struct store *store, struct diagnosis *why);

/* Only the live environment; its registrations stay in `verify` until verify_done(). */
int verify_live(struct verify *verify, const char *directory, struct diagnosis *why);
void verify_done(struct verify *verify);

/* One history file against its registration (verify_span.c). */
int verify_span(struct verify *verify, const char *directory, const struct span_info *info,
                struct diagnosis *why);

/* Hands on the live environment as of one snapshot, held open during the call: its bytes, and
 * the copy of the snapshot's meta page.  Others must not write to either.  What `look`
 * returned; ERR_AGAIN: the commits were too fast, try again. */
int verify_store_live(struct store *store,
                      int (*look)(void *context, struct bytes file, const uint8_t *snapshot),
                      void *context, struct diagnosis *why);

/* Used by verify_span.c. */
void verify_fault(struct verify *verify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int verify_begin_file(struct verify *verify, const char *file);
