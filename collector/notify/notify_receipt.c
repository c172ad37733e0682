/*
 * notify_receipt.c - sessions, and what their services say later of what they accepted.
 *
 * An id may be written otherwise in a receipt than in the answer it belongs to (smpp_pdu.h), so
 * it is looked for letter by letter first, and loosely only if nothing else has it.
 */
#include <string.h>

#include "collector/notify/notify_parts.h"
#include "collector/notify/smpp_pool.h"
#include "proto/base/log.h"

static bool awaits_receipt(const struct parcel *parcel)
{
    return parcel->state == PARCEL_ACCEPTED && parcel->awaits &&
           strcmp(parcel->channel, channel_smpp.name) == 0;
}

/* Told by a receipt that it failed: no other try is made, for the service had its own. */
static void settle(struct notify *notify, struct parcel *parcel, enum smpp_match match,
                   const struct smpp_progress *progress, const struct smpp_receipt *receipt)
{
    enum parcel_state state = match == SMPP_MATCH_DELIVERED ? PARCEL_DELIVERED
                              : match == SMPP_MATCH_FAILED  ? PARCEL_FAILED
                                                            : PARCEL_ACCEPTED;
    char reason[64];
    struct buf row = {0};

    (void)snprintf(reason, sizeof reason, "the receipt says %s", receipt->words);
    smpp_progress_write(progress, &row);
    if (buf_ok(&row) && outbox_receive(&notify->outbox, parcel, state, buf_bytes(&row),
                                       match == SMPP_MATCH_FAILED ? reason : "",
                                       clock_unix_ms(notify->clock)) == 0) {
        if (match == SMPP_MATCH_FAILED)
            log_error("notify", "message %s to %s (%s %u) was accepted, but %s", parcel->id,
                      parcel->receiver, parcel->channel, parcel->index, reason);
        (void)pthread_mutex_lock(&notify->lock);
        notify->stats.notifications_delivered += match == SMPP_MATCH_DELIVERED;
        notify->stats.notifications_failed += match == SMPP_MATCH_FAILED;
        (void)pthread_mutex_unlock(&notify->lock);
    }
    buf_done(&row);
}

/* A digest's parcels share their parts, so one receipt may speak of several. */
static bool take_in(struct notify *notify, struct parcel *first, uint64_t session,
                    const struct smpp_receipt *receipt, bool loosely)
{
    struct parcel *next;
    bool found = false;

    for (struct parcel *at = first; at != NULL; at = next) {
        struct smpp_progress progress;
        enum smpp_match match = SMPP_MATCH_NONE;
        next = at->next; /* it may change lists */
        if (awaits_receipt(at) &&
            smpp_progress_read((struct bytes){at->progress, at->progress_size}, &progress) == 0)
            match = smpp_progress_take(&progress, session, receipt, loosely);
        if (match == SMPP_MATCH_NONE)
            continue;
        found = true;
        settle(notify, at, match, &progress, receipt);
    }
    return found;
}

bool notify_receipt(void *context, uint64_t session, const struct smpp_receipt *receipt)
{
    struct notify *notify = context;

    for (int loosely = 0; loosely <= 1; loosely++) {
        /* The awaiting first: what is found there moves among the others. */
        bool found = take_in(notify, notify->outbox.awaiting, session, receipt, loosely == 1);
        if (!found)
            found = take_in(notify, notify->outbox.first, session, receipt, loosely == 1);
        if (found) {
            notify_wake(notify);
            return true;
        }
    }
    return false;
}

static int keep(struct smpp_pool *pool, const struct receiver *receivers, size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; error == 0 && j < receivers[i].integration_count; j++)
            if (receivers[i].integrations[j].channel->is_session)
                error = smpp_pool_keep(pool, receivers[i].integrations[j].settings);
    return error;
}

int notify_keep_sessions(struct notify *notify)
{
    struct smpp_pool *pool = delivery_smpp(notify->delivery);
    size_t count;
    const struct receiver *receivers = alerting_receivers(notify->alerting, &count);
    int error;

    smpp_pool_begin_keep(pool);
    error = keep(pool, receivers, count);
    receivers = alerting_persons(notify->alerting, &count);
    if (error == 0)
        error = keep(pool, receivers, count);
    smpp_pool_end_keep(pool);
    return error;
}
