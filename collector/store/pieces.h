/*
 * pieces.h - one series out of many chunks: decode, settle overlaps, cut to the interval.
 *
 * A piece is a chunk (compressed) or a tail (plain columns).  Each has a rank: where two pieces
 * have a sample at the same time, the higher rank wins.
 *
 *     rank   history generations ascending < head chunks of tails < the open tail
 *            < head chunks of late tails < the open late tail; among equals, later sealed is
 * higher
 *
 * A hole is a time of which something was deleted.  The rank of a piece tells whether it was
 * there at that moment: what was written into the hole afterwards has a higher one and counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct piece {
    int64_t first_ms, last_ms;
    uint64_t rank;
    size_t count;
    struct bytes chunk;      /* or, when chunk.data is NULL: */
    const int64_t *times_ms; /* `count` samples */
    const double *values;
    bool plain;              /* of these: no value is a stale marker; false: some may be */
    int64_t interval_ms;     /* so far apart lie all of times_ms; 0: nobody knows */
    uint32_t chunks; /* a run's (kept_run.h), which stay as long as the arena of whoever selects: of so
                      * many chunks; else 0 */
};

/* The classes of rank, in the top bits; generation or seal number below. */
#define RANK_HISTORY(generation) ((uint64_t)(generation))
#define RANK_SEALED(sequence)    (UINT64_C(1) << 60 | (sequence))
#define RANK_LATE(sequence)      (UINT64_C(2) << 60 | (sequence))
#define RANK_TAIL                ((UINT64_C(2) << 60) - 1)
#define RANK_LATE_TAIL           (UINT64_C(3) << 60)

/* What a delete covers of one series. */
struct hole {
    int64_t from_ms, until_ms; /* closed */
    uint64_t generation;       /* history files below this one */
    uint64_t seal;             /* chunks of the head up to this seal number */
    uint32_t fence;            /* of the delete (deletes.h) */
    bool tails;                /* the open tails: they have not been cut yet */
};
struct holes {
    struct hole *items;
    size_t count;
};
/* Are all samples that a piece of this rank can have between the two times deleted? */
bool holes_cover(const struct holes *holes, uint64_t rank, int64_t first_ms, int64_t last_ms);

/* Is any sample deleted that a piece of this rank can have between the two times? */
bool holes_touch(const struct holes *holes, uint64_t rank, int64_t first_ms, int64_t last_ms);

/* Buffers that are kept from series to series. */
struct pieces_scratch {
    struct arena_share share; /* its total is the owner's to set, after pieces_scratch_init() */
    int64_t *times_ms[4]; /* the first is what was merged; the others are for what overlaps */
    double *values[4];
    size_t capacity[4];
    bool times_only; /* of values only stale markers are looked at (chunk_decode_told()) */
    bool plain;      /* what was merged last has no stale marker; false: it may have */
    int64_t interval_ms; /* and its times lie so far apart; 0: not all of them, or nobody knows */
};
void pieces_scratch_init(struct pieces_scratch *scratch);
void pieces_scratch_done(struct pieces_scratch *scratch);

/* Adds a sample behind those that pieces_merge() gave, of which no other part is wanted. */
void pieces_append(struct pieces_scratch *scratch, const int64_t *times_ms, size_t *count,
                   int64_t time_ms, uint64_t value_bits);

/* Leaves of the samples that pieces_merge() gave only the newest at or before each of the times
 * at_ms + n * step_ms, n < times, and the last of all; how many that are. */
size_t pieces_thin(struct pieces_scratch *scratch, const int64_t *times_ms, size_t count,
                   int64_t at_ms, int64_t step_ms, size_t times);

/* Do the pieces (reordered by time) follow each other, none beside another, without holes in them?
 * Then pieces_line_up() decodes one behind the other into columns of the caller's, which have
 * room for all of their counts; *ret_count: how many there are.  ERR_CORRUPT. */
bool pieces_follow(struct piece *pieces, size_t count, const struct holes *holes);
int pieces_line_up(const struct piece *pieces, size_t count, struct pieces_scratch *scratch,
                   int64_t *times_ms, double *values, size_t *ret_count);

/* The part of ascending times that lies in the closed interval. */
void pieces_trim(const int64_t *times_ms, size_t count, int64_t from_ms, int64_t until_ms,
                 size_t *ret_first, size_t *ret_count);

/* The merged samples of the pieces (reordered, and narrowed) inside the closed interval, but for those in
 * holes (NULL: there are none); the columns live in the scratch until the next call.
 * ERR_CORRUPT when a chunk does not decode, ERR_LIMIT of the scratch's total, ERR_NOMEM. */
int pieces_merge(struct piece *pieces, size_t count, const struct holes *holes, int64_t from_ms,
                 int64_t until_ms, struct pieces_scratch *scratch, const int64_t **ret_times_ms,
                 const double **ret_values, size_t *ret_count);
