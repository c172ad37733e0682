/*
 * outbox_lane.h - who is next: parcels by lane, and lanes by the time of their next try.
 *
 *     lane     a chain of parcels that are owed, oldest first; only its first may go
 *     target   an integration: a pairing heap of the first parcels of its lanes that are not
 *              under way, least (next_try, id) on top
 *
 * All is linked through the parcels themselves, so nothing here can fail.  Enter, leave, wait
 * and go take a constant number of steps on the whole (the heap's take the logarithm), however
 * many parcels wait; a parcel that leaves the middle of its lane is looked for in it.
 *
 * For outbox.c and outbox_target.c; nobody else.
 */
#pragma once

#include "collector/notify/outbox.h"

/* Becomes the last of its lane, or as its id commands; box and target are set.  One that yields
 * (most have it already) stands beside its lane: nobody waits for it, and it for nobody. */
void lane_enter(struct parcel *parcel);
/* Is no longer owed. */
void lane_leave(struct parcel *parcel);
/* It is under way: not among those that wait. */
void lane_go(struct parcel *parcel);
/* It is not under way any more, and is tried again at `next_try`. */
void lane_wait(struct parcel *parcel);
/* The first of a lane; NULL: nothing is owed there. */
struct parcel *lane_first(const struct outbox *outbox, uint64_t lane);
