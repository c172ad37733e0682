/*
 * remote_parse.h - a remote write message, read without an allocation a series.
 *
 * 1.0, prometheus.WriteRequest, in one pass:
 *
 *     TimeSeries:  0a len label | 0a len label | ... | 12 len sample | ...
 *                  \_______ label run ________/
 *
 * Senders put a series' labels first and in a row; that run of bytes is the series' name for the
 * cache (remote_cache.h), so the steady state neither splits nor copies a label.  Labels that do
 * not stand in a row are legal and read the slow way.
 *
 * 2.0, io.prometheus.write.v2.Request: labels are numbers of a table of texts that comes with the
 * message (remote_parse_v2.c).  They are written out as the label run that 1.0 would have sent, so
 * that all that follows, and the cache's names, are the same for both.
 *
 * Schemas: collector/http/schema/remote.proto, remote_v2.proto.  Unknown fields are skipped, as
 * protobuf demands.  Everything points into the message or the buffers here.  One owner; no
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define REMOTE_BODY_BYTES_MAX    ((size_t)32 << 20) /* snappy */
#define REMOTE_MESSAGE_BYTES_MAX ((size_t)64 << 20) /* after it */
#define REMOTE_SERIES_MAX        ((size_t)500000)
#define REMOTE_SAMPLES_MAX       ((size_t)2000000)
#define REMOTE_METADATA_MAX      ((size_t)50000)
#define REMOTE_SYMBOLS_MAX       ((size_t)2000000)
/* Label runs of a 2.0 message: a small one could mean gigabytes of them. */
#define REMOTE_LABEL_RUNS_BYTES_MAX ((size_t)256 << 20)

struct remote_series {
    struct bytes message;   /* the TimeSeries */
    struct bytes label_run; /* empty if the labels do not stand in a row (or there are none) */
    uint32_t first_sample, sample_count; /* in remote_message.samples */
    bool is_unfit; /* labels past the wire's limits, not kept */
};

struct remote_metadata {
    struct bytes name;
    struct metadata metadata;
};

/* Kept and reused from message to message; arrays only grow. */
struct remote_message {
    struct remote_series *series;
    size_t series_count, series_capacity;
    struct store_sample *samples; /* .series not set yet */
    size_t sample_count, sample_capacity;
    struct remote_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    uint64_t exemplars, histograms; /* seen, not kept */
    /* 2.0 */
    struct bytes *symbols;
    uint8_t *is_told; /* by symbol: the metadata of the name it is are in `metadata` */
    size_t symbol_count, symbol_capacity, told_capacity;
    struct buf label_runs;
};

/* Forgets what it holds, keeps the memory. */
void remote_message_clear(struct remote_message *message);

/* A zeroed message is empty.  ERR_MALFORMED, ERR_LIMIT (a limit above), ERR_NOMEM. */
int remote_parse(struct bytes bytes, struct remote_message *message);
/* The same for 2.0; ERR_MALFORMED also for a reference that leads nowhere, half a label, or a
 * table that does not begin with the empty text. */
int remote_parse_v2(struct bytes bytes, struct remote_message *message);
void remote_message_done(struct remote_message *message);

/* The labels of one series, at most `capacity`.  ERR_MALFORMED, ERR_LIMIT. */
int remote_labels(const struct remote_series *series, struct label *pairs, size_t capacity,
                  size_t *ret_count);

/* Undoes snappy's block format into `out`, emptied first.  ERR_MALFORMED; ERR_LIMIT: more than
 * `limit` bytes; ERR_NOMEM. */
int remote_unpack(struct bytes body, size_t limit, struct buf *out);
