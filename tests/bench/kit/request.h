/*
 * request.h - Prometheus remote write 1.0 bodies: one sample a series, as Prometheus sends
 * them.
 *
 * https://prometheus.io/docs/specs/prw/remote_write_spec/ (protobuf WriteRequest in a snappy
 * block).  The part of a series that never changes, its labels, is coded once and copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/wire/envelope.h"

/* Appends the labels in the order given, which must be ascending by name, __name__ included. */
void request_put_labels(struct buf *out, const struct label *labels, size_t count);

/* Appends one TimeSeries: labels made by request_put_labels() and one sample. */
void request_put_sample(struct buf *out, struct bytes labels, double value, int64_t ts_ms);

/* The body to send; `out` is cleared first.  ERR_NOMEM. */
int request_compress(struct bytes raw, struct buf *out);

/* The other way; `out` is cleared first.  ERR_MALFORMED, ERR_NOMEM. */
int request_uncompress(struct bytes body, struct buf *out);

struct request_sample {
    struct bytes labels; /* as request_put_labels() wrote them */
    double value;
    int64_t ts_ms;
};

/* The next TimeSeries of an uncompressed body made as above; false at the end.  What was not
 * made as above sets reader->failed. */
bool request_next(struct reader *reader, struct request_sample *ret_sample);

/* The next label of a run of labels; false at the end. */
bool request_next_label(struct reader *labels, struct label *ret_label);
