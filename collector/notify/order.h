/*
 * order.h - what people change, from any thread into a turn of the notifier and back.
 *
 *     order_run() -> queue -> order_take() -> order_plan(): rows into the turn's write
 *                                                  | committed
 *     the caller's thread goes on <- order_finish() <- order_apply(): true in memory
 *
 * The caller waits until what it ordered is durable and visible, or has failed.  The functions
 * of notify.h (notify_silence_set() ...) are orders; nothing else includes this.
 */
#pragma once

#include <pthread.h>

#include "collector/notify/acknowledge.h"
#include "collector/notify/notify.h"
#include "collector/notify/puts.h"
#include "collector/notify/silence.h"

enum order_kind {
    ORDER_PASS, /* changes nothing: what was in the inbox before it has been taken */
    ORDER_SILENCE_SET,
    ORDER_SILENCE_EXPIRE,
    ORDER_ACKNOWLEDGE,
    ORDER_UNACKNOWLEDGE,
    ORDER_ACKNOWLEDGE_INCIDENT,
    ORDER_UNACKNOWLEDGE_INCIDENT,
};

/* One alert that an order acknowledges, or not any more (NULL). */
struct order_answer {
    uint64_t fingerprint;
    struct acknowledgement *acknowledgement; /* owned until applied */
};

struct order {
    enum order_kind kind;
    /* what is asked for */
    struct silence *silence; /* owned until it is applied */
    const char *id;          /* of a silence */
    uint64_t fingerprint;
    uint64_t incident; /* its number */
    const char *by, *comment;
    /* planned, owned until applied */
    int64_t replaced_ends_ms, replaced_starts_ms; /* of the silence that ends */
    char replaced_id[SILENCE_ID_BYTES];           /* "": none */
    struct order_answer *answers;
    size_t answer_count;
    /* the outcome */
    char made_id[SILENCE_ID_BYTES];
    struct diagnosis *why;
    int result;
    /* under the notifier's lock */
    bool done;
    pthread_cond_t finished;
    struct order *next;
};

/* Queues the order and waits for it.  Any thread but the loop's.  ERR_CANCELLED once the
 * collector is stopping. */
int order_run(struct notify *notify, struct order *order);

/* The rest: the loop. */
struct order *order_take(struct notify *notify); /* NULL if none waits */
/* Adds the rows; a refusal is in order->result. */
void order_plan(struct notify *notify, struct order *order, struct puts *puts, int64_t now_ms);
/* Is it one of those that say, or take back, "I am on it"? */
bool order_acknowledges(const struct order *order);
/* Puts what it acknowledges in the place of what is so, and the other way round: what an incident
 * becomes by it is in the same write.  Under the view lock; twice is never. */
void order_exchange(struct notify *notify, struct order *order);
/* After the commit, under the view lock. */
void order_apply(struct notify *notify, struct order *order);
/* Lets the caller go on; `error` counts if the order itself had none. */
void order_finish(struct notify *notify, struct order *order, int error);
