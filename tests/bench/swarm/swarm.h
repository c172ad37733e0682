/*
 * swarm.h - many probes in one process, each with its own key, connection and numbers.
 *
 *     all connect, are enrolled, define their series  |  the gate  |  batches until all are
 *     (set-up, measured apart)                        |            |  acknowledged
 *
 * One libuv loop, one ZeroMQ context, a DEALER a probe.  zmq_watch asks each socket on each
 * turn of the loop; hundreds of sockets want to be asked only when they have something to say,
 * so player.c reads a socket dry whenever its descriptor fires and after everything it sent.
 *
 * Keys are derived from the instances, so that the same probes come back in the next run; they
 * keep nothing secret.  Epochs are random: a run is a new spool.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"
#include "proto/wire/curve.h"
#include "tests/bench/swarm/load.h"

struct swarm_options {
    const char *collector; /* endpoint */
    char collector_key[CURVE_TEXT_BYTES];
    const char *token;
    const struct load *load;
    size_t first_tick, tick_end; /* which ticks of the load are sent */
    uint64_t depth;              /* messages in flight a probe, 1..SCRIPT_DEPTH_MAX */
    bool is_backlog;             /* groups, as after an outage */
    uint32_t interval_ms;
    double speed; /* of replay, 1 as it would have happened; 0: as fast as the window allows */
    int64_t give_up_ms; /* without any progress */
};

struct swarm_result {
    size_t probes;
    uint64_t samples, batches; /* acknowledged */
    uint64_t samples_planned;
    double setup_seconds;      /* connecting, enrolling, defining */
    double wall_seconds;       /* from the first batch to the last Ack */
    double cpu_seconds;        /* our own, in that time */
    double coding_cpu_seconds; /* our own, before it */
    uint64_t batch_bytes;      /* batch messages sent, with what CURVE and ZMTP put around */
    uint64_t definition_bytes;
    double ack_p50_ms, ack_p99_ms, ack_max_ms;
    uint64_t resumes; /* after the first of each probe */
    uint64_t keys_needed, refusals;
    bool complete;
    char trouble[DIAGNOSIS_BYTES]; /* why it is not complete, or the last refusal */
};

/* Runs until everything is acknowledged, a signal comes, or nothing moves for give_up_ms; the
 * result is filled in each case.  Error only if it could not start. */
int swarm_run(const struct swarm_options *options, struct swarm_result *ret_result,
              struct diagnosis *why);
