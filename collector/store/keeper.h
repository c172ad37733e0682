/*
 * keeper.h - the thread that keeps house beside the commits.
 *
 *   every second     full log blocks out of the head
 *   every 5 min, or 48 MiB of WAL    a checkpoint pass, so that a restart replays no more
 *   span closed      flush it (a while after its end, so that most late samples are in)
 *   after a flush    merge, expire, forget idle series, give free pages back
 *   then, a day at a time    roll samples up that are about to expire
 *   after deletes    rewrite the files that hold what they cover
 *   every minute     sweep readers of dead processes, unmap idle files
 *
 * All it changes in the live environment goes through the writer as short tasks; what fails is
 * logged and tried again next time.
 */
#pragma once

#include "collector/store/parts.h"

struct keeper;

int keeper_start(struct store *store, struct keeper **ret_keeper);
/* Ends the thread after what it is at.  NULL is allowed. */
void keeper_stop(struct keeper *keeper);
/* Flushes and merges everything; waits.  `days`: of a day that goes on, too, what there is becomes
 * one file (merge_early()).  Its error. */
int keeper_settle(struct keeper *keeper, bool days);
/* Carries out what has been deleted, in history; waits.  Its error. */
int keeper_clean(struct keeper *keeper);
