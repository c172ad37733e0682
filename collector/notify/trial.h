/*
 * trial.h - a message that says it is a test, sent to a receiver at once and not kept.
 *
 * It goes past routes, groups, pace and outbox: what is tried is the way out of the house, and
 * each integration's verdict is kept for who asked, in memory, until TRIALS_MAX later ones.
 *
 *     any thread: trials_order() -> number      loop: trials_run()      any thread:
 * trials_print()
 */
#pragma once

#include "collector/notify/notify_parts.h"

#define TRIALS_MAX 16

/* NULL-safe life; notify owns it.  ERR_NOMEM. */
int trials_open(struct trials **ret_trials);
/* After delivery_close(): no verdict comes any more. */
void trials_close(struct trials *trials);

/* Starts what was ordered.  The loop's thread. */
void trials_run(struct notify *notify);
/* Transfers of trials are under way: configurations they point into must stay.  The loop's. */
bool trials_are_under_way(const struct notify *notify);
