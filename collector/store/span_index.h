/*
 * span_index.h - the postings of a history file: writing them, and answering from them.
 *
 * Format: span_file.h.
 */
#pragma once

#include <lmdb.h>

#include "collector/store/postings.h"
#include "collector/store/span_file.h"

/* Hands out every pair as key and payload, in key order.  Stops at a non-zero return. */
int span_index_write(struct postings *postings,
                     int (*each)(void *context, struct bytes key, struct bytes payload),
                     void *context);

/* One reader's view of the `index` table. */
struct span_index {
    MDB_cursor *cursor;
    uint32_t series;      /* ordinals are below this */
    uint32_t first, last; /* others than these are not asked for */
};
struct postings_source span_index_source(struct span_index *index);

/* ORs a posting's ids into a bitmap.  Any bytes are safe; ids at or past `series` and bad bytes
 * are ERR_CORRUPT. */
int posting_decode(struct bytes posting, uint32_t series, roaring_bitmap_t *into);
