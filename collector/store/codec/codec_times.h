/*
 * codec_times.h - the times of a chunk.  Internal to the codec.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/codec/codec.h"

struct times_head {
    bool regular;
    int64_t first_ms, last_ms;
};

/* Times must strictly ascend. */
void times_put(struct buf *out, const int64_t *times_ms, size_t count);

/* What stands in front of the times, checked against the count.  False for rubbish. */
bool times_head_get(struct reader *reader, size_t count, struct times_head *ret_head);
/* The rest, after the head. */
bool times_get(struct reader *reader, const struct times_head *head, int64_t *times_ms,
               size_t count);
