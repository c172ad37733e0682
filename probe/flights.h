/*
 * flights.h - messages of batches and gaps that were sent and not yet acknowledged.
 *
 * In the order of sending; a fixed number of them, because the byte window is the true limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/wire/envelope.h"

#define FLIGHTS_MAX 128

struct flight {
    uint64_t epoch;
    struct number_range numbers;
    uint64_t bytes;
    mono_ns sent;
    bool is_live;
    bool is_gap;
};

struct flights {
    struct flight items[FLIGHTS_MAX];
    size_t count;
    uint64_t bytes;
};

static inline bool flights_is_full(const struct flights *flights)
{
    return flights->count == FLIGHTS_MAX;
}

void flights_clear(struct flights *flights);
void flights_add(struct flights *flights, struct flight flight);

/* The flight that carries a number, or NULL. */
const struct flight *flights_find(const struct flights *flights, uint64_t epoch,
                                  uint64_t number);

/* Takes out the flight that carries a number: it will be sent again.  False if there is none.
 */
bool flights_cancel(struct flights *flights, uint64_t epoch, uint64_t number,
                    struct flight *ret_flight);

/* What an Ack has brought home. */
struct landing {
    uint64_t batches;
    uint64_t live[BATCH_PARTS_MAX]; /* the highest live ones, the highest first */
    size_t live_count;
    uint64_t bytes; /* of batches and gaps */
    mono_ns sent;   /* when the last of them took off */
};

/* Takes out what `state` covers. */
struct landing flights_land(struct flights *flights, const struct stream_state *state);
