/*
 * remote_parse.h - a remote write 1.0 message, read in one pass without an allocation a series.
 *
 *     TimeSeries:  0a len label | 0a len label | ... | 12 len sample | ...
 *                  \_______ label run ________/
 *
 * Senders put a series' labels first and in a row; that run of bytes is the series' name for the
 * cache (remote_cache.h), so the steady state neither splits nor copies a label.  Labels that do
 * not stand in a row are legal and read the slow way.
 *
 * Schema: collector/http/schema/remote.proto.  Unknown fields are skipped, as protobuf demands.
 * Everything points into the message.  One owner; no thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "collector/store/store.h"
#include "proto/base/bytes.h"

#define REMOTE_BODY_BYTES_MAX    ((size_t)32 << 20) /* snappy */
#define REMOTE_MESSAGE_BYTES_MAX ((size_t)64 << 20) /* after it */
#define REMOTE_SERIES_MAX        ((size_t)500000)
#define REMOTE_SAMPLES_MAX       ((size_t)2000000)
#define REMOTE_METADATA_MAX      ((size_t)50000)

struct remote_series {
    struct bytes message;   /* the TimeSeries */
    struct bytes label_run; /* empty if the labels do not stand in a row (or there are none) */
    uint32_t first_sample, sample_count; /* in remote_message.samples */
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
};

/* A zeroed message is empty.  ERR_MALFORMED, ERR_LIMIT (a limit above), ERR_NOMEM. */
int remote_parse(struct bytes bytes, struct remote_message *message);
void remote_message_done(struct remote_message *message);

/* The labels of one series, at most `capacity`.  ERR_MALFORMED, ERR_LIMIT. */
int remote_labels(const struct remote_series *series, struct label *pairs, size_t capacity,
                  size_t *ret_count);
