/*
 * passed.h - alerts that began and ended while nobody looked: one line in the next message.
 *
 *     rules (past.h) --inbox--> routes --> owed to every integration of their receivers
 *                                              |
 *            the integration's next message, of whatever group, has the line; its row in the
 *            outbox and the end of the debt are one write
 *
 * They never make a message of their own.  Where people are told by an incident (an escalation),
 * the messages of the incident's next turn have it.  What a silence held all the time it lasted is
 * not owed.
 *
 *     row   notify/passed/<hash of the target>/<ended, 16 hex>/<fingerprint>
 *               u8 version (1) | sized receiver, channel | varint index
 *               | zigzag starts, ends (Unix ms) | u64 fingerprint | sized name, instance, severity
 *
 * Thread: the notify loop's.
 */
#pragma once

#include "collector/notify/channel.h"
#include "collector/notify/puts.h"
#include "collector/notify/route.h"
#include "collector/notify/silence.h"

#define PASSED_PREFIX  "notify/passed/"
#define PASSED_MAX     ((size_t)10000) /* owed to one integration; the oldest are given up */
#define PASSED_KEPT_MS ((int64_t)30 * 24 * 3600 * 1000) /* to whom nothing is said for so long */

struct passed_alert {
    int64_t starts_ms, ends_ms;
    uint64_t fingerprint;
    char *name, *instance, *severity; /* owned; "" where the alert has none */
};

/* What one integration is owed, oldest end first. */
struct passed_line {
    char *receiver, *channel; /* owned */
    unsigned index;
    struct passed_alert *alerts; /* owned */
    size_t count, capacity;
    const void *claimed_by; /* within a turn: whose messages have it */
    size_t told;            /* the first so many go when the turn's write is done */
    struct passed_line *next;
};

struct passed {
    struct passed_line *lines;
};

/* Owes it to the receivers its routes name; the rows go to `puts`.  One that is owed already stays
 * as it is.  ERR_NOMEM: the turn is made again. */
int passed_take(struct passed *passed, const struct route *root, const struct silences *silences,
                const struct alert *alert, struct puts *puts);
/* A stored row.  ERR_CORRUPT, ERR_NOMEM. */
int passed_remember(struct passed *passed, struct bytes row);
/* What a message to this integration has to say besides; NULL: nothing, or the messages of
 * somebody else have it.  `by` (a group) may ask again for the next of its messages. */
struct integration;
const struct passed_line *passed_claim(struct passed *passed, const char *receiver,
                                       const struct integration *integration, const void *by);
/* A message with the line is in the turn's write: its rows go with that. */
void passed_told(struct passed *passed, const char *receiver,
                 const struct integration *integration, const void *by, struct puts *puts);
/* The write is done: what was told is over; or it is not, and all is as it was. */
void passed_apply(struct passed *passed);
void passed_forget(struct passed *passed);
/* Gives up what is owed since PASSED_KEPT_MS, by puts and as passed_told(). */
void passed_cut(struct passed *passed, struct puts *puts, int64_t now_ms);
void passed_free(struct passed *passed);
