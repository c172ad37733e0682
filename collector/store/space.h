/*
 * space.h - what takes the room: by environment and table, down to what is wasted in pages.
 *
 *   fill    used bytes of branch and leaf pages / what those pages can hold
 *   waste   of overflow pages: what their values leave unused in the last page of each
 *   free    pages an environment holds and does not use (of the live one given back as holes)
 *   lost    pages that are neither free nor in use: none, unless LMDB was wronged
 *
 * Every branch and leaf page is looked at, no value: history costs a leaf page for 13 MB.
 *
 * Any thread; reads only.
 */
#pragma once

#include <stdint.h>

#include "collector/store/page_walk.h"
#include "collector/store/quarantine.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

struct store;

#define SPACE_ASIDE_TOLD 16

enum space_kind {
    SPACE_LIVE,
    SPACE_SAMPLES,
    SPACE_LOGS,
    SPACE_ROLLUP_5M,
    SPACE_ROLLUP_1H,
    SPACE_KINDS
};

struct space_environment {
    uint64_t files, damaged_files; /* damaged: their trees were not walked to the end */
    uint64_t bytes, disk_bytes;    /* size; allocated, holes left out */
    uint64_t page_bytes, pages, free_pages, lost_pages;
    struct page_tree trees[PAGE_TREES_MAX]; /* of all files together, by name */
    size_t tree_count;
};

struct space {
    struct space_environment environments[SPACE_KINDS];
    uint64_t samples, series_of_spans, log_blocks; /* in history, as registered */
    struct {
        char name[QUARANTINE_NAME_BYTES], reason[QUARANTINE_REASON_BYTES];
    } aside[SPACE_ASIDE_TOLD]; /* what was found damaged (quarantine.h) */
    size_t aside_count;        /* of all that there is */
};

int space_of_store(struct store *store, struct space *ret_space, struct diagnosis *why);
/* A folder no collector has open: data or a backup.  ERR_NOTFOUND, ERR_NOMEM, ERR_IO. */
int space_of_folder(const char *directory, struct space *ret_space, struct diagnosis *why);

/* As JSON:
 *   {"samples", "logBlocks", "bytes", "diskBytes", "bytesPerSample" (null without samples),
 *    "environments": [{"name", "files", "damagedFiles", "bytes", "diskBytes", "pageBytes",
 *      "pages", "freePages", "lostPages",
 *      "tables": [{"name", "entries", "depth", "branchPages", "leafPages", "overflowPages",
 *                  "bytes", "fill" (null without pages), "overflowWasteBytes"}]}],
 *    "quarantined", "quarantine": [{"name", "reason"}]} */
void space_print_json(const struct space *space, struct buf *out);
