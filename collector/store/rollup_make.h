/*
 * rollup_make.h - the roll-ups of one day: writing them, and letting its samples go.
 *
 * Keeper thread.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/rollup.h"
#include "collector/store/span_set.h"

struct rollup_tier {
    enum span_kind kind;
    int64_t width_ms;
};
extern const struct rollup_tier rollup_tiers[ROLLUP_TIERS];

/* What may become one file: the files of samples of a day, and the roll-ups there are of it. */
struct rollup_day {
    struct store *store;
    int64_t start_ms, end_ms;
    struct span **samples; /* referenced, as those below */
    size_t count;
    uint64_t generation;             /* the highest of theirs */
    struct span *made[ROLLUP_TIERS]; /* NULL: there is none */
    bool is_due[ROLLUP_TIERS];       /* is to be made (anew) */
};

/* Writes and registers those that are due, in one commit; day->made is what there is then.
 * ERR_FULL, ERR_NOMEM, ERR_IO: nothing has changed. */
int rollup_make(struct rollup_day *day);
/* How many samples the roll-ups that are there do not know of those that are about to go. */
int rollup_count_missing(struct rollup_day *day, uint64_t *ret_missing);
/* Writes a roll-up anew, without the records of which something has been deleted; where
 * none is left it goes. */
int rollup_rewrite(struct store *store, struct span *span);
/* Samples go, roll-ups become sole, in one commit. */
int rollup_retire(struct rollup_day *day);
