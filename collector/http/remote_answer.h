/*
 * remote_answer.h - what remote read answers, as bytes.
 *
 * Schema: schema/remote_read.proto.  A failure is the buffer's.  One owner; no thread.
 */
#pragma once

#include "collector/series/labels.h"
#include "proto/base/buf.h"

#define REMOTE_FRAME_BYTES ((size_t)1 << 20) /* a frame ends with the chunk that reaches it */

struct remote_samples {
    const struct labels *labels;
    const int64_t *times_ms;
    const double *values;
    size_t count;
};

/* Space that the calls below use again and again; a zeroed one is empty. */
struct remote_scratch {
    struct buf whole, part, chunk;
};
void remote_scratch_done(struct remote_scratch *scratch);

/* SAMPLES: appends a TimeSeries as a field of a QueryResult. */
void remote_put_series(struct buf *out, const struct remote_samples *samples,
                       struct remote_scratch *scratch);
/* Appends a message as field 1 of another. */
void remote_put_message(struct buf *out, struct bytes message);
/* STREAMED_XOR_CHUNKS: appends a frame with the first of the samples, and returns how many; of no
 * samples at all, nothing. */
size_t remote_put_frame(struct buf *out, const struct remote_samples *samples, size_t query,
                        struct remote_scratch *scratch);
