/*
 * rollup_make.h - the roll-ups of one day: writing them, and letting its samples go.
 *
 *     copy    made ahead of samples, of all series that have some; nobody reads it
 *     sole    all there is of the series in it, read; its day may have samples of others
 *
 * A copy holds what the soles hold, too: it is what there will be when the day's last samples
 * are gone, and takes their place then.
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

/* More than one only if there was no room to make them one. */
#define ROLLUP_SOLES 4

/* What may become one file: the files of samples of a day, and the roll-ups there are of it. */
struct rollup_day {
    struct store *store;
    int64_t start_ms, end_ms;
    struct span **samples; /* referenced, as those below */
    size_t count;
    uint64_t generation;                            /* the highest of theirs */
    int64_t newest_ms;                              /* of theirs */
    struct span *made[ROLLUP_TIERS];                /* the copy; NULL: there is none */
    struct span *soles[ROLLUP_TIERS][ROLLUP_SOLES]; /* whose word counts first, first */
    size_t sole_count[ROLLUP_TIERS];
    bool is_due[ROLLUP_TIERS]; /* is to be made (anew) */
};

/* Of two roll-ups of a day that have a series, does the first answer for it? */
bool rollup_is_before(const struct span_info *a, const struct span_info *b);
/* Does a copy know all that there is of the day? */
bool rollup_is_fresh(const struct rollup_day *day, size_t tier);

/* Writes and registers the copies that are due, in one commit; day->made is what there is then.
 * ERR_FULL, ERR_NOMEM, ERR_IO: nothing has changed. */
int rollup_make(struct rollup_day *day);
/* The samples that are over for their series go into soles, those of the others into one file,
 * and these take the place of the day's samples and soles in one commit.  `day` is of no use
 * after that.  ERR_FULL, ERR_NOMEM, ERR_IO; ERR_CORRUPT: what is damaged is not rewritten:
 * nothing has changed. */
int rollup_make_part(struct rollup_day *day);
/* How many samples the roll-ups that are there do not know of those that are about to go. */
int rollup_count_missing(struct rollup_day *day, uint64_t *ret_missing);
/* Writes a roll-up anew, without the records of which something has been deleted, or that are
 * over; where none is left it goes. */
int rollup_rewrite(struct store *store, struct span *span);
/* All samples of the day go, copies become sole, in one commit; a fresh one takes the place of
 * the soles there were. */
int rollup_retire(struct rollup_day *day);
