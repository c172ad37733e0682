/*
 * eval_match.h - signatures: what two series must share to find each other.
 */
#pragma once

#include "collector/promql/eval.h"

/* Series of both sides by signature: members[side][offsets[side][n] .. offsets[side][n+1]) are
 * the columns of signature n. */
struct signatures {
    struct label_index index;
    size_t *members[2];
    size_t *offsets[2];
};

int signatures_make(struct evaluation *ev, const struct matching *matching,
                    const struct value *left, const struct value *right,
                    struct signatures *ret_signatures);

/* Adds to both sides (0 left, 1 right) the columns their fills make, and to the groups these
 * columns; one_side is the side that must be unique. */
int match_fill(struct evaluation *ev, const struct matching *matching, const struct grid *grid,
               size_t one_side, struct value sides[2], struct signatures *signatures);

/* Which steps have any value on this side? */
int side_presence(struct evaluation *ev, const struct grid *grid, const struct value *side,
                  uint64_t **ret_present);
