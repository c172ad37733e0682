/*
 * packed.h - zstd on short runs of bytes, with little memory.
 *
 * One setting for the whole wire: level 1, a window of 16 KiB and a hash table of 4,096
 * entries, so that a probe compresses in a few dozen kilobytes.  The frame carries its content
 * size.
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

/* `raw` compressed, in `arena`.  ERR_LIMIT if that would save less than an eighth (or raw is
 * too short to try): keep it as it is.  ERR_NOMEM. */
int packed_make(struct bytes raw, struct arena *arena, struct bytes *ret_packed);

/* The bytes again, in `arena`; their size is read from the frame and must be at most
 * `limit_bytes` before anything is allocated.  The bytes may come from anybody: ERR_MALFORMED,
 * ERR_LIMIT, ERR_NOMEM. */
int packed_open(struct bytes packed, size_t limit_bytes, struct arena *arena,
                struct bytes *ret_raw);
