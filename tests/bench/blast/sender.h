/*
 * sender.h - frame files to HTTP requests: a thread, a connection, one request at a time each.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"
#include "tests/bench/kit/frames.h"

struct sending;

struct sender {
    struct sending *sending;
    struct frames frames;
    pthread_t thread;
    /* under the lock of sending: */
    uint32_t step;
    bool done;
    /* the thread's, until it has ended: */
    uint64_t samples, requests, bytes, refused, samples_under_way;
    bool lost;
    int last_code;
    char trouble[256];
    float *latencies_ms;
    size_t latency_count, latency_capacity;
};

struct sending {
    /* fixed before sending_run() */
    char host[64], path[1024];
    uint16_t port;
    const char *mode; /* rw, text or json */
    uint32_t first_step, end_step, steps_ahead;
    double samples_per_second; /* of all files together; 0: as fast as it goes */

    double started;
    struct sender *senders;
    size_t sender_count;
    pthread_mutex_t lock;
    pthread_cond_t moved;
};

/* Seconds on the monotonic clock. */
double sender_clock(void);

/* Sends all files and waits for the end.  Error only if it could not start. */
int sending_run(struct sending *sending, char *const *paths, size_t count,
                struct diagnosis *why);
void sending_done(struct sending *sending);
