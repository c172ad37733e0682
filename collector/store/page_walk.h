/*
 * page_walk.h - an LMDB file, read as bytes: are its trees whole, and what do they take?
 *
 * LMDB trusts its files: a pointer that a bad sector has turned leads it astray, out of its map
 * if need be.  This walk trusts nothing.  It looks at both meta pages, goes from the newest (or
 * from that of a snapshot) down every tree, and notices: a page number outside the file, a page
 * met twice or free and in use, a page that says it is another, nodes outside their page or
 * over one another, keys out of order, counts, depths and flags that differ from what is there,
 * meta pages that are not those of two successive commits.  Each value is handed on, so that its
 * seal can be tried.
 *
 * The file is that of a 64-bit little-endian machine; LMDB's own format is no more portable.
 * Source of the format: lmdb 0.9.24, mdb.c, structs MDB_page, MDB_node, MDB_meta, MDB_db.
 *
 * Any bytes are safe.  One thread; the file must not shrink meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

#define PAGE_TREES_MAX 32 /* named tables of an environment; ours have a dozen */
#define PAGE_NAME_MAX  32
#define PAGE_META_BYTES 512 /* of a meta page, what a snapshot needs */

/* What one table takes. */
struct page_tree {
    char name[PAGE_NAME_MAX]; /* "" for the tables' own, "free list" for free pages */
    uint64_t depth, entries;
    uint64_t branch_pages, leaf_pages, overflow_pages;
    uint64_t used_bytes;  /* of branch and leaf pages, their headers and pointers included */
    uint64_t large_bytes; /* of values in overflow pages, without headers */
};

struct page_walk {
    /* what to do; set by the caller, the rest zero */
    struct bytes file;
    /* NULL: the newest of both meta pages.  Else the copy of a meta page whose snapshot is held
     * open by the caller: then the file may be written to meanwhile. */
    const uint8_t *snapshot;
    /* Every value of every named table; NULL: values are not touched, nor large ones read.  For
     * a table of duplicates, every item.  Non-zero stops the walk. */
    int (*value)(void *context, const char *table, struct bytes key, struct bytes value);
    /* Whether values of a table are wanted; the others stay untouched.  NULL: all are. */
    bool (*wants)(const char *table);
    /* Every fault, one line without the file's name. */
    void (*fault)(void *context, const char *text);
    void *context;
    const volatile bool *cancelled; /* NULL is allowed */

    /* what was found */
    uint64_t page_bytes, pages; /* as far as the newest meta page says they go */
    uint64_t free_pages;
    uint64_t lost_pages; /* neither free nor in a tree; harmless, but gone */
    uint64_t faults;
    uint64_t last_freed; /* the newest commit that has freed a page; 0: none has */
    struct page_tree trees[PAGE_TREES_MAX];
    size_t tree_count;

    /* the walk's own */
    uint8_t *met;          /* a bit for every page of the file */
    uint64_t file_pages, met_count;
};

/* 0 when the walk came to its end, however many faults there were; ERR_CANCELLED, ERR_NOMEM, or
 * what `value` returned. */
int page_walk_run(struct page_walk *walk);

/* The two meta pages as they are; NULL for one that is torn.  Their commits' numbers. */
void page_walk_metas(struct bytes file, const uint8_t *ret_metas[2], uint64_t ret_txns[2],
                     uint64_t *ret_page_bytes);
/* A meta page that says the same of commit `txn`, into a page of `page_bytes`. */
void page_walk_meta_as(const uint8_t *meta, uint64_t txn, uint8_t *page, uint64_t page_bytes);

/* Is it a file to which nothing was ever committed?  LMDB makes it, writes both meta pages at
 * once, and syncs them with the first commit. */
bool page_walk_never_written(struct bytes file);

/* Copies the meta page of a snapshot that an open transaction holds; false: it has been
 * overwritten already, begin another transaction. */
bool page_walk_snapshot(struct bytes file, uint64_t txn, uint8_t meta[PAGE_META_BYTES]);

/* Pages of a tree, of all kinds. */
static inline uint64_t page_tree_pages(const struct page_tree *tree)
{
    return tree->branch_pages + tree->leaf_pages + tree->overflow_pages;
}
