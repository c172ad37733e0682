/*
 * transport.h - takes batches out of the spool to the collector, until each is acknowledged.
 *
 *             up                     Resume(approved)
 *     DOWN ────────► GREETED ─────────────────────────► FLOWING
 *      ▲    send Hello   │ Resume(pending)                 │
 *      │                 ▼                                 │
 *      │              PENDING ──── Resume(approved) ───────┤
 *      └─────────────── down, from anywhere ◄──────────────┘
 *
 * Nothing that was sent counts as delivered until an Ack covers it; with a connection all that
 * was in flight goes too, and the next Resume says what has to be sent again.
 *
 * Order: the newest batch first, alone, coded against a base batch where that is smaller; then
 * the backlog, oldest first, in groups whose first member stands alone and whose others are
 * coded against the one before them.  A base is a batch the collector has acknowledged, or an
 * earlier member of the same group.  Missing numbers go as Gap.  Definitions go before the
 * batch that needs them.
 *
 * Bytes in flight stay below the collector's window, a quarter of it reserved for live batches,
 * and below what the line carries in a second or so (pace.h); one message may always be in
 * flight, so that no batch is too large for a small window.
 *
 * Memory: one base batch in columns; a message while it is being coded.
 * Thread: the loop's.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "probe/link.h"
#include "probe/spool.h"
#include "proto/base/clock.h"
#include "proto/wire/envelope.h"

struct transport;

struct transport_options {
    const char *endpoint;
    const char *collector_key; /* Z85 */
    const struct curve_pair *key;
    struct bytes boot_id;
    const char *job, *instance, *token; /* token may be "" */
    const struct label *labels;         /* live as long as the transport */
    size_t label_count;
    uint32_t interval_ms;
    uint64_t policy_version; /* in force */
    struct spool *spool;
    const struct clock *clock;
    /* Something for the duty desk: told in an Event record of the next batch. */
    void (*event)(void *context, const char *kind, const char *text);
    /* A policy came. */
    void (*policy)(void *context, const struct policy_push *policy);
    void *context;
};

struct transport_counts {
    bool is_connected; /* greeted by the collector */
    bool is_approved;
    uint64_t connections;
    uint64_t messages_sent;
    uint64_t bytes_sent;
    uint64_t batches_sent; /* again included */
    uint64_t batches_acknowledged;
    uint64_t gaps_sent;
    uint64_t keys_needed;
    uint64_t refusals;
    uint64_t malformed;
    uint64_t window_bytes;
    uint64_t in_flight_bytes;
    double clock_offset_seconds; /* collector - probe; NAN until known */
    double round_trip_seconds;   /* NAN until known */
};

int transport_open(uv_loop_t *loop, const struct transport_options *options,
                   struct transport **ret_transport, struct diagnosis *why);

/* A batch was appended to the spool's current epoch. */
void transport_batch(struct transport *transport, uint64_t number);

/* Another policy is in force, with this fastest interval: the collector is told. */
void transport_policy(struct transport *transport, uint64_t version, uint32_t interval_ms);

const struct transport_counts *transport_counts(const struct transport *transport);

/* Would more batches go out soon?  No more than half of what the collector takes, and of what
 * the line carries (pace.h), is under way. */
bool transport_has_room(const struct transport *transport);

/* No callback comes any more; the memory goes with the loop's close callbacks. */
void transport_close(struct transport *transport);
