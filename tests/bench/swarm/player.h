/*
 * player.h - one probe of the swarm: what its connection is at, and what may go next.
 *
 *     DOWN ── handshake ──► GREETED ── Resume ──► FLOWING ── all acknowledged ──► DONE
 *       ▲                                            │
 *       └──────────────── disconnected ◄─────────────┘
 *
 * Numbers go in order, so the low-water mark says what is acknowledged; after a Resume
 * everything above it is sent again, the first `depth` of it alone, because bases die with a
 * session.
 */
#pragma once

#include <uv.h>

#include "proto/wire/envelope.h"
#include "tests/bench/swarm/script.h"
#include "tests/bench/swarm/swarm.h"

enum player_state { PLAYER_DOWN, PLAYER_GREETED, PLAYER_FLOWING, PLAYER_DONE };

#define PLAYER_FLIGHTS_MAX 16

struct player_flight {
    uint64_t number; /* the last of its message */
    uint64_t bytes;
    uint64_t sent_ns;
};

/* What all players share; owned by swarm.c. */
struct stage {
    const struct swarm_options *options;
    uv_loop_t loop;
    void *context;
    struct script_desk desk;
    struct buf out;
    struct arena arena; /* of incoming messages */
    size_t player_count, defined_count, done_count;
    bool is_open; /* the gate */
    uint64_t opened_ns;
    int64_t first_tick_ms; /* of all players */
    uint64_t progress_ns;
    float *latencies_ms;
    size_t latency_count, latency_capacity;
    struct swarm_result result;
};

struct player {
    struct stage *stage;
    struct script script;
    struct curve_pair key;
    void *socket, *monitor;
    uv_poll_t socket_poll, monitor_poll;
    uv_timer_t timer; /* until the next tick is due */
    enum player_state state;
    bool is_defined; /* all refs acknowledged, once */
    bool is_known;   /* has had a Resume before */
    uint64_t window_bytes;
    uint64_t definitions_sent;
    uint64_t low_water;   /* acknowledged */
    uint64_t next_number; /* to send */
    uint64_t alone_until; /* numbers up to here are sent alone */
    struct player_flight flights[PLAYER_FLIGHTS_MAX];
    size_t flight_count;
};

/* The script must be there.  ERR_NOMEM, ERR_IO. */
int player_open(struct player *player, struct stage *stage, size_t index,
                struct diagnosis *why);
/* Sends what may be sent, reads what has come. */
void player_pump(struct player *player);
/* Says Hello again if it still waits for an answer, or for an Ack.  Once a second. */
void player_nudge(struct player *player);
/* The handles close with the loop's next turn. */
void player_close(struct player *player);
