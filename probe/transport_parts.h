/*
 * transport_parts.h - the transport's own structures, shared by its files:
 *
 *     transport.c        the connection's states, and what the collector says
 *     transport_send.c   what goes out, in which order, within the window
 *     flights.c          what is in flight
 *     pace.c             how much of it there may be on this line
 */
#pragma once

#include "probe/flights.h"
#include "probe/pace.h"
#include "probe/transport.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum transport_state {
    TRANSPORT_DOWN,
    TRANSPORT_GREETED,
    TRANSPORT_PENDING,
    TRANSPORT_FLOWING
};

/* An epoch that Hello offered and Resume answered. */
struct transport_stream {
    uint64_t epoch;
    uint64_t definitions_known; /* refs the collector has, or will have before the next batch */
    uint64_t cursor;            /* backlog: every number before is acknowledged or in flight */
};

/* The batch that live ones of its part are coded against. */
struct transport_base {
    uint64_t epoch;
    uint64_t number;               /* 0: none */
    struct sample_columns columns; /* in arena */
    struct arena arena;
};

struct transport {
    struct transport_options options;
    struct link *link;
    enum transport_state state;
    struct transport_counts counts;
    struct transport_stream streams[STREAMS_OFFERED_MAX];
    size_t stream_count;
    uint64_t accepts; /* the collector, by its last Resume: ACCEPTS_... of envelope.h */
    struct flights flights;
    struct pace pace;
    uint64_t live_number; /* of the current epoch, not yet sent; 0: none */
    struct transport_base bases[BATCH_PARTS_MAX]; /* by part (plain.h) */
    struct arena arena; /* one message */
    struct buf plain;   /* one batch from the spool */
    struct buf message;
    uv_timer_t timer; /* once a second */
    uint64_t ticks;   /* of the timer */
    mono_ns progress; /* last Resume or Ack, or when the first of the flights took off */
    mono_ns pinged;
    uint64_t nonce;
    uint64_t last_needed; /* number of the last NeedKey, to damp repetition */
    bool is_closing;
};

/* transport_send.c */
void transport_pump(struct transport *transport);
int transport_send_hello(struct transport *transport);
int transport_send_envelope(struct transport *transport, const struct envelope *envelope);
/* Takes the batch as base of its part, if it is a better one.  It must be in the spool. */
void transport_adopt_base(struct transport *transport, uint64_t epoch, uint64_t number);
void transport_forget_bases(struct transport *transport);
struct transport_stream *transport_stream_find(struct transport *transport, uint64_t epoch);
