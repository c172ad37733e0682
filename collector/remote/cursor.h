/*
 * cursor.h - what a receiver has acknowledged, as it is kept in the store.
 *
 *     state row "remote/NAME":
 *     u8      version: 1 or 2
 *     varint  commit, index      the first sample that is not acknowledged ...
 *     varint  commit, index      ... and the first behind the window that is under way
 *     varint  shards             into which the window is divided; 0: there is no window
 *     u64     one bit a shard: acknowledged already
 *     zigzag  Unix ms: everything that was committed by then is acknowledged
 *     ... of a window of which shards went in parts, because the receiver found one too large,
 *     version 2 goes on with
 *     varint  their number; of each
 *     varint  shard, place in it: what comes before is acknowledged
 *
 * A window and its shards follow from this row alone (window.h), so that after a crash exactly the
 * requests are made again whose acknowledgement is not in it.
 */
#pragma once

#include "proto/base/buf.h"

#define CURSOR_SHARDS_MAX 64

struct remote_place {
    uint64_t commit;
    uint64_t index; /* of a sample in it */
};

static inline bool remote_place_before(struct remote_place a, struct remote_place b)
{
    return a.commit != b.commit ? a.commit < b.commit : a.index < b.index;
}

struct cursor {
    struct remote_place begin, end;
    uint32_t shards;
    uint64_t acknowledged;
    int64_t level_ms;
    uint32_t next[CURSOR_SHARDS_MAX]; /* places before it are acknowledged; of shards under way */
};

#define CURSOR_KEY_PREFIX "remote/"

void cursor_write(const struct cursor *cursor, struct buf *out);
/* Any bytes are safe.  ERR_MALFORMED. */
int cursor_read(struct bytes row, struct cursor *ret_cursor);
