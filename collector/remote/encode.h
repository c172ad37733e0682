/*
 * encode.h - samples as the bytes of a remote write request, before and after snappy.
 *
 * Schemas: collector/http/schema/remote.proto and remote_v2.proto.  A series stands once in a
 * request, its samples ascend; of two at one time the later written is sent, as it is the one that
 * holds here.
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/remote/metadata.h"
#include "proto/base/buf.h"

struct encode_sample {
    struct bytes labels; /* as labels_write() has them; one pointer a series */
    int64_t ts_ms;
    double value;
    uint32_t order; /* of writing */
};

struct encoder {
    struct buf raw, series, part;
    /* 2.0: texts and their numbers */
    struct bytes *symbols;
    uint32_t *slots; /* number + 1; 0: free */
    size_t symbol_count, symbol_capacity, slot_capacity;
};

void encoder_done(struct encoder *encoder); /* of a zeroed one, too */

/* Sorts the samples, and appends the request to `out`, snappy's block format.  `metadata` is 2.0's,
 * and may be NULL.  ERR_NOMEM. */
int encode_samples(struct encoder *encoder, struct encode_sample *samples, size_t count,
                   bool is_v2, const struct metadata_copy *metadata, struct buf *out);
/* The metadata of the entries from `first` on, at most `limit`, as 1.0 has them; *ret_next: where
 * to go on. */
int encode_metadata(struct encoder *encoder, const struct metadata_copy *metadata, size_t first,
                    size_t limit, size_t *ret_next, struct buf *out);
