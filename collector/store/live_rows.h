/*
 * live_rows.h - rows of the live environment that are small, few and looked up by key: `state`,
 * `metadata`, `meta`, `series`, and of `spans` those that say how far a checkpoint is flushed.
 *
 * All bear seals.  What a lookup does not find nobody misses, so these are tried all at once
 * when the store opens: what fails is named in the log, kept in quarantine/, and taken out, as
 * if it had never been written (but for `series`, whose numbers must not be given again).
 *
 * A folder that was written without seals in these tables (a number in `meta` is 8 bytes there,
 * and 16 with its seal) gets them here, in one transaction.
 */
#pragma once

#include <stdint.h>

#include "collector/store/live.h"

/* Before the first read; no other thread.  *ret_damaged: rows taken out. */
int live_rows_settle(const struct live *live, const char *directory, uint64_t *ret_damaged,
                     struct diagnosis *why);
