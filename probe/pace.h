/*
 * pace.h - how much may be under way so that what is newest never waits long behind the rest.
 *
 * The collector's window says what it can take, not what the way to it can carry: on a line of
 * 64 kbit/s a window of 1 MiB is two minutes of queue before a live batch.  What fills such a
 * queue shows as time between sending and Ack, over the least that this connection has had:
 *
 *     below PACE_QUEUE_NS    the budget grows by what has landed (doubles in a round trip)
 *     above it               it is halved, once for what took off since the last time
 *
 * so that a fast line soon has the whole window and a thin one keeps a message or two under
 * way. One message may always be: this is about how many.  A budget of which never half was under
 * way has not been tried, and does not grow: hours of small live batches on a thin line
 * say nothing about a burst of log lines.
 *
 * Pure; a new connection begins anew, no faster than the last one has ended.
 */
#pragma once

#include <stdint.h>

#include "proto/base/clock.h"

#define PACE_FIRST_BYTES ((uint64_t)8 << 10)
#define PACE_LEAST_BYTES ((uint64_t)4 << 10)
#define PACE_MOST_BYTES  ((uint64_t)64 << 20)
#define PACE_QUEUE_NS    ((mono_ns)1000 * 1000 * 1000)

struct pace {
    uint64_t bytes; /* the budget; 0: of a pace that is not begun */
    uint64_t tried; /* the most that was under way since it began, or was halved */
    mono_ns least;  /* from sending to Ack; 0: none yet */
    mono_ns slowed; /* what took off before says nothing about the budget of now */
};

void pace_begin(struct pace *pace);

/* So many bytes have landed of those under way; the last of them took off at `sent`. */
void pace_landed(struct pace *pace, uint64_t bytes, uint64_t under_way, mono_ns sent,
                 mono_ns now);
