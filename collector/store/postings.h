/*
 * postings.h - from label pairs to series, and the one way matchers are answered.
 *
 * A posting is a label pair and the bitmap of the ids that carry it.  The head keeps them in
 * memory (this file), a history span keeps them in its `index` table (span_read.c); both answer
 * matchers through the same struct postings_source:
 *
 *     equality        one posting
 *     a finite set    the union of its postings (literal alternations of a regex)
 *     anything else   each distinct value of the label is tried once, never each series
 *
 * A matcher that the empty string satisfies also means series without the label; it is answered
 * by taking away the postings of the values that do not satisfy it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/matcher.h"
#include "collector/store/select_watch.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

/* CRoaring's bitmap, by name: its header costs half a second a file that includes it. */
typedef struct roaring_bitmap_s roaring_bitmap_t;

/* Where postings come from.  `token` names the posting being visited, for merge/intersects. */
struct postings_source {
    void *context;
    int (*all)(void *context, roaring_bitmap_t *into);
    /* ORs the posting of a pair into `into`; a pair that is not there changes nothing. */
    int (*equal)(void *context, struct bytes name, struct bytes value, roaring_bitmap_t *into);
    /* Visits the pairs of a label, or of every label when name.size is 0, those of one label
     * together; with a prefix at least those whose values begin with it.  Stops at a non-zero
     * return and returns it. */
    int (*each)(void *context, struct bytes name, struct bytes prefix,
                int (*visit)(void *visitor, struct bytes name, struct bytes value,
                             const void *token),
                void *visitor);
    int (*merge)(void *context, const void *token, roaring_bitmap_t *into);
    int (*intersects)(void *context, const void *token, const roaring_bitmap_t *with,
                      bool *ret_yes);
    /* From here on ids outside of first..last need not be told.  NULL: all are. */
    void (*bound)(void *context, uint32_t first, uint32_t last);
};

/* The ids that satisfy every matcher; the caller frees *ret_ids.  A watch (NULL: one of its
 * own) is shared by all sources that one question asks.  ERR_LIMIT: a pattern takes too long;
 * ERR_CANCELLED. */
int postings_select(const struct postings_source *source, struct matcher *const *matchers,
                    size_t count, struct select_watch *watch, roaring_bitmap_t **ret_ids);

/* ---- in memory --------------------------------------------------------------------------
 * Not thread-safe: the series table's lock covers it. */

struct postings;

int postings_new(struct postings **ret_postings);
void postings_free(struct postings *postings); /* NULL is allowed */

/* Adds an id under all its labels.  `pairs` has room for one number a label and gets those of
 * its pairs, in the order of the labels.  They stay the same until the id is removed; what
 * posting_label() tells of them until then needs no lock. */
int postings_add(struct postings *postings, const struct labels *labels, uint32_t id,
                 uint32_t *pairs);
void postings_remove(struct postings *postings, const uint32_t *pairs, size_t count,
                     uint32_t id);

/* Up to `limit` values of a label, as buf_put_sized() writes them, from place *from on, which is moved
 * behind them (0: those were all).  Values that go meanwhile move others to other places: one may
 * be told twice, or not. */
void postings_values(const struct postings *postings, struct bytes name, size_t limit,
                     size_t *from, struct buf *values);

/* A label pair; its texts end with a NUL and live as long as an id has it. */
struct label posting_label(const struct postings *postings, uint32_t pair);
/* Label sets as numbers: as labels_compare(), which most pairs are not looked at for. */
int posting_lists_compare(const struct postings *postings, const uint32_t *a, size_t a_count,
                          const uint32_t *b, size_t b_count);

/* Every pair and how many series bear it, the pairs of a label together, until `visit` says that it
 * is enough. */
void postings_each(const struct postings *postings,
                   bool (*visit)(void *context, struct bytes name, struct bytes value,
                                 uint64_t series),
                   void *context);

struct postings_source postings_source_of(struct postings *postings);
size_t postings_bytes(const struct postings *postings);
size_t postings_pairs(const struct postings *postings); /* how many label pairs there are */
