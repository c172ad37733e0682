#include "probe/flights.h"

#include <string.h>

#include "proto/base/must.h"

void flights_clear(struct flights *flights)
{
    flights->count = 0;
    flights->bytes = 0;
}

void flights_add(struct flights *flights, struct flight flight)
{
    must(flights->count < FLIGHTS_MAX);
    flights->items[flights->count++] = flight;
    flights->bytes += flight.bytes;
}

const struct flight *flights_find(const struct flights *flights, uint64_t epoch,
                                  uint64_t number)
{
    for (size_t i = 0; i < flights->count; i++) {
        const struct flight *flight = &flights->items[i];
        if (flight->epoch == epoch && number >= flight->numbers.first &&
            number <= flight->numbers.last)
            return flight;
    }
    return NULL;
}

static void take_out(struct flights *flights, size_t index)
{
    struct flight *flight = &flights->items[index];
    flights->bytes -= flight->bytes;
    flights->count--;
    memmove(flight, flight + 1, (flights->count - index) * sizeof *flight);
}

bool flights_cancel(struct flights *flights, uint64_t epoch, uint64_t number,
                    struct flight *ret_flight)
{
    const struct flight *flight = flights_find(flights, epoch, number);
    if (flight == NULL)
        return false;
    *ret_flight = *flight;
    take_out(flights, (size_t)(flight - flights->items));
    return true;
}

/* Ranges do not touch, so a run of numbers is covered by one of them or not at all. */
static bool is_covered(const struct stream_state *state, struct number_range numbers)
{
    if (numbers.last <= state->low_water)
        return true;
    if (numbers.first <= state->low_water)
        numbers.first = state->low_water + 1;
    for (size_t i = 0; i < state->range_count; i++)
        if (numbers.first >= state->ranges[i].first && numbers.last <= state->ranges[i].last)
            return true;
    return false;
}

struct landing flights_land(struct flights *flights, const struct stream_state *state)
{
    struct landing landing = {0};
    for (size_t i = flights->count; i-- > 0;) {
        const struct flight *flight = &flights->items[i];
        if (flight->epoch != state->epoch || !is_covered(state, flight->numbers))
            continue;
        if (!flight->is_gap)
            landing.batches += flight->numbers.last - flight->numbers.first + 1;
        /* Live ones were sent in the order of their numbers. */
        if (flight->is_live && landing.live_count < BATCH_PARTS_MAX)
            landing.live[landing.live_count++] = flight->numbers.last;
        landing.bytes += flight->bytes;
        if (flight->sent > landing.sent)
            landing.sent = flight->sent;
        take_out(flights, i);
    }
    return landing;
}
