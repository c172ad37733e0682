/*
 * salvage.h - every row that can still be reached in a damaged live environment, in a new one.
 *
 * The walk that looks for damage (page_walk.h) hands on each value it meets and passes by the
 * pages that are damaged: what they held is lost, the rest is not.  The new environment is
 * written beside the old one, which is kept as quarantine/live-N.mdb, and takes its place in
 * one step; a death before that leaves all as it was.
 *
 * One thread; nothing has the environment open.
 */
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

/* `file` is DATA/live/data.mdb, `meta` the meta page to begin with, `reason` what is wrong.
 * ERR_CORRUPT: not a row is left; ERR_FULL, ERR_IO, ERR_NOMEM. */
int salvage_live(const char *directory, struct bytes file, const uint8_t *meta,
                 const char *reason, struct diagnosis *why);
