/*
 * deliver.h - from what was gathered of a series to its samples.
 *
 * Any thread, each with a delivery and (but for what is only read) a copy of the gathering of its
 * own: samples go to gather->arena and are counted in gather->budget, which may be NULL.  Records
 * of roll-ups are joined in the gathering's scratch, which is one thread's.
 */
#pragma once

#include "collector/store/gather.h"
#include "collector/store/pieces.h"

/* What one series comes to, and where its parts are until they are copied; kept from series to
 * series. */
struct delivery {
    struct pieces_scratch pieces;
    struct rolled_join join;
    const int64_t *times_ms; /* samples */
    const double *values;
    size_t count, rolled; /* of samples, of records before them */
};

/* What it holds counts in the total (NULL: in none) until it is done. */
void delivery_init(struct delivery *delivery, struct arena_total *total);
void delivery_done(struct delivery *delivery);
/* Had the outermost total no room for it? */
bool delivery_is_refused(const struct delivery *delivery);

/* Is all that is wanted of a series a part of a run (kept_run.h)?  It is not copied then: samples stay
 * where they are, as long as gather->arena. */
bool deliver_is_part_of_run(const struct gather *gather, const struct found *found);
/* The samples of a series; none if there are none, or if it is damaged, which is counted.
 * ERR_LIMIT, ERR_NOMEM. */
int deliver(struct gather *gather, struct found *found, struct delivery *delivery,
            struct series_samples *ret_samples);
/* The same of a series without records, for a look: samples stay in the delivery, until it is used
 * again, or in their run. */
int deliver_view(struct gather *gather, struct found *found, struct delivery *delivery,
                 struct series_samples *ret_samples);
