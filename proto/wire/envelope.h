/*
 * envelope.h - messages of the wire as C values (proto/schema/wire.proto has the numbers).
 *
 * envelope_encode() and envelope_decode() are total: sizes first, then parse, then every limit,
 * the same limits in both directions.  Decoding allocates from the caller's arena only, so a
 * hostile message costs at most the arena's ceiling.  No threads, no sockets here.
 *
 * Batches are carried in their wire coding (struct coded_batch) and become plain through
 * columns.h, because that needs the base batch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/wire/plain.h"

#define WIRE_PROTOCOL         1
#define ENVELOPE_BYTES_MAX    ((size_t)4 << 20)
#define NAME_BYTES_MAX        ((size_t)1024) /* metric or label name */
#define LABEL_VALUE_BYTES_MAX ((size_t)4096)
#define SERIES_LABELS_MAX     ((size_t)64)
#define HELP_BYTES_MAX        ((size_t)4096)
#define TOKEN_BYTES_MAX       ((size_t)256)
#define STREAMS_OFFERED_MAX   ((size_t)64)
#define STREAM_RANGES_MAX     ((size_t)1024)
#define DEFINITIONS_MAX       ((size_t)8192) /* a message */
#define REFS_MAX              ((uint64_t)1 << 24)
#define GROUP_BATCHES_MAX     ((size_t)256)
/* A probe ends a group of its backlog at this many plain bytes, or batches. */
#define BACKLOG_GROUP_PLAIN_BYTES ((size_t)96 << 10)
#define BACKLOG_GROUP_BATCHES     ((size_t)32)
#define POLICY_BYTES_MAX      ((size_t)1 << 20)
/* What a collector may say it understands in Resume; one that says nothing has neither. */
#define ACCEPTS_PACKED_DEFINITIONS ((uint64_t)1)
#define ACCEPTS_PART_BASES         ((uint64_t)2) /* plain.h: keeps bases of each part by itself */

struct label {
    struct bytes name;
    struct bytes value;
};

enum metric_type { /* numbers are the wire's */
                   METRIC_UNKNOWN,
                   METRIC_COUNTER,
                   METRIC_GAUGE,
                   METRIC_HISTOGRAM,
                   METRIC_SUMMARY,
                   METRIC_INFO,
                   METRIC_UNTYPED
};

struct definition {
    struct bytes name;
    const struct label *labels; /* ascending by name, unique, without __name__ */
    size_t label_count;
    enum metric_type type;
    struct bytes unit;
    struct bytes help;
};

struct stream_offer {
    uint64_t epoch, first_number, next_number, definition_count;
};

struct number_range {
    uint64_t first, last; /* inclusive */
};

struct stream_state {
    uint64_t epoch;
    uint64_t low_water;
    const struct number_range *ranges; /* above low_water, ascending, disjoint, not touching */
    size_t range_count;
    uint64_t definition_count;
    bool renew;
};

enum standing { STANDING_UNKNOWN, STANDING_PENDING, STANDING_APPROVED };

enum refusal_reason {
    REFUSAL_UNSPECIFIED,
    REFUSAL_DUPLICATE_CONNECTION,
    REFUSAL_PROTOCOL,
    REFUSAL_TOKEN,
    REFUSAL_INSTANCE_TAKEN,
    REFUSAL_REVOKED,
    REFUSAL_MALFORMED
};

enum columns_coding { COLUMNS_PLAIN, COLUMNS_BASED };

/* Sample columns as they travel; columns.h turns them into struct sample_columns and back. */
struct coded_columns {
    enum columns_coding coding;
    uint64_t count;
    uint64_t base_number;
    uint32_t compression; /* 0 none, 1 zstd */
    struct bytes data;
};

struct coded_late {
    int64_t offset_ms;
    struct coded_columns samples;
};

struct coded_batch {
    uint64_t number;
    uint64_t definition_count;
    int64_t tick_ms;
    uint64_t content_hash;
    struct coded_columns samples;
    const struct coded_late *late;
    size_t late_count;
    const struct log_chunk *logs;
    size_t log_count;
    const struct record *records;
    size_t record_count;
    const uint64_t *ended;
    size_t ended_count;
};

struct hello {
    uint32_t protocol;
    struct bytes software, boot_id, job, instance, token;
    const struct label *labels;
    size_t label_count;
    int64_t sent_ms;
    uint32_t interval_ms;
    const struct stream_offer *streams;
    size_t stream_count;
    uint64_t policy_version; /* in force; 0: none */
};

struct resume {
    enum standing standing;
    int64_t collector_ms;
    uint64_t window_bytes;
    const struct stream_state *streams;
    size_t stream_count;
    struct bytes job, instance;
    const struct label *labels;
    size_t label_count;
    uint64_t accepts; /* ACCEPTS_... */
};

struct definitions {
    uint64_t epoch, first_ref;
    const struct definition *items;
    size_t count;
    bool packed; /* they travel compressed, where that is smaller */
};

struct batch_group {
    uint64_t epoch;
    const struct coded_batch *items;
    size_t count;
};

struct gap {
    uint64_t epoch;
    struct number_range numbers;
    int64_t first_tick_ms, last_tick_ms;
    struct bytes reason;
};

struct ack {
    struct stream_state stream;
    uint64_t window_bytes;
};

struct policy_push {
    uint64_t version;
    struct bytes document;
};

struct ping {
    uint64_t nonce;
    int64_t sent_ms;
};

struct pong {
    uint64_t nonce;
    int64_t ping_sent_ms, received_ms, sent_ms;
};

struct need_key {
    uint64_t epoch, number, definition_count;
};

struct refusal {
    enum refusal_reason reason;
    struct bytes text;
};

enum envelope_kind {
    ENVELOPE_UNKNOWN, /* from the future: skip it */
    ENVELOPE_HELLO,
    ENVELOPE_RESUME,
    ENVELOPE_DEFINITIONS,
    ENVELOPE_BATCHES,
    ENVELOPE_GAP,
    ENVELOPE_ACK,
    ENVELOPE_POLICY,
    ENVELOPE_PING,
    ENVELOPE_PONG,
    ENVELOPE_NEED_KEY,
    ENVELOPE_REFUSAL
};

struct envelope {
    enum envelope_kind kind;
    union {
        struct hello hello;
        struct resume resume;
        struct definitions definitions;
        struct batch_group batches;
        struct gap gap;
        struct ack ack;
        struct policy_push policy;
        struct ping ping;
        struct pong pong;
        struct need_key need_key;
        struct refusal refusal;
    };
};

/* Appends the message to `out`; scratch memory comes from `arena`.  ERR_LIMIT, ERR_NOMEM. */
int envelope_encode(const struct envelope *envelope, struct arena *arena, struct buf *out);

/* Decodes bytes that may come from anybody.  Everything ret_envelope points to lives in
 * `arena`; `message` may be reused at once.  ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
int envelope_decode(struct bytes message, struct arena *arena, struct envelope *ret_envelope);
