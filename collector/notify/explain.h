/*
 * explain.h - why somebody was told of an alert, or nobody: all the notifier knows of it, as
 * JSON.
 *
 *     ledger = explain_read_ledger(fingerprint)      the store's rows; no lock
 *     view_begin();  explain_print();  view_end();   alerts, groups, mutes; into memory and go
 *
 * The answer is an object:
 *
 *     fingerprint labels annotations state activeAt startsAt external generatorURL
 *     verdict     {code (outlook.h), told, undelivered, toldEnd, mutedUntil, next}
 *     routes      [{depth key receiver matchers continue outcome missed ...}]     route_trace.h
 *     groups      [{key receiver labels alerts firing dueAt dueFor groupWait groupInterval
 *                   repeatInterval mutedBy integrations: [{channel index sendResolved saidAt
 * told next nextAt}]}] silences    [{id state createdBy comment startsAt endsAt matchers}];
 * pending ones, too inhibitedBy [{fingerprint labels startsAt}] acknowledged {by at comment} or
 * null messages    [{id receiver channel index group tells state createdAt settledAt attempts
 *                   reason}], oldest first; messagesLeftOut: how many older ones there are
 *     incidents   [{number state muted escalation told: [{who channel tells state at}],
 *                   will: [{who channel at step}]}]; told is of this alert, will if nobody
 *                   acknowledges
 *
 * Instants are RFC 3339, lengths of time milliseconds, what does not apply is null.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/notify/notify.h"
#include "proto/base/buf.h"

#define EXPLAIN_MESSAGES_MAX ((size_t)100) /* the newest; older ones are only counted */

struct parcel;

/* What the outbox and its ledger say of one alert, oldest first. */
struct explain_ledger {
    struct parcel **items; /* owned; without their bodies */
    size_t count, left_out;
};

/* Reads all rows; any thread, no lock held.  ERR_NOMEM, or the store's error. */
int explain_read_ledger(struct notify *notify, uint64_t fingerprint,
                        struct explain_ledger *ret_ledger);
void explain_ledger_done(struct explain_ledger *ledger);

/* How many messages are owed: queued rows of the outbox by integration. */
struct explain_owed {
    char *receiver, *channel; /* owned */
    unsigned index;
    size_t count;
};
/* From malloc; explain_owed_free().  Any thread, no lock held. */
int explain_read_owed(struct notify *notify, struct explain_owed **ret_owed, size_t *ret_count);
void explain_owed_free(struct explain_owed *owed, size_t count);

/* What the rules know of it; all zero for an alert somebody posted, or one that is over. */
struct explain_subject {
    uint64_t fingerprint;
    const struct labels *labels, *annotations; /* NULL: not known to the rules */
    bool is_pending;
    int64_t active_ms;
};

/* Appends the members of the object, without its braces.  Under the view (view.h).
 * ERR_NOTFOUND: neither rules nor notifier know of it, and no message of the last days speaks
 * of it. */
int explain_print(struct notify *notify, const struct explain_subject *subject,
                  const struct explain_ledger *ledger, int64_t now_ms, struct buf *out);
/* Appends [{"name","integrations":[{"channel","index","sendResolved","owed": how many
 * messages}]}].  Under the view. */
void explain_print_receivers(struct notify *notify, const struct explain_owed *owed,
                             size_t owed_count, struct buf *out);
