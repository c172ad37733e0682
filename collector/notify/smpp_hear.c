/*
 * smpp_hear.c - what an SMPP server says, and what becomes of a session and its messages by it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/smpp_session.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

static void on_bind_answer(struct smpp_session *session, uint32_t status)
{
    char why[128];

    if (status != SMPP_OK) {
        (void)snprintf(why, sizeof why, "the server refused the bind: 0x%02X, %s",
                       (unsigned)status, smpp_status_text(status));
        smpp_session_break(session, !smpp_status_passes(status), why);
        return;
    }
    session->state = SMPP_BOUND;
    session->enquired = 0;
    if (session->complained)
        log_info("notify", "SMPP session %s at %s: bound", session->system_id, session->server);
    session->complained = session->is_refused = false;
    session->reason[0] = '\0';
}

static struct smpp_part *find_sent(struct smpp_session *session, uint32_t sequence,
                                   struct smpp_message **ret_message)
{
    for (struct smpp_message *at = session->first; at != NULL; at = at->next)
        for (size_t i = 0; i < at->progress.count && at->sent > 0; i++)
            if (at->progress.parts[i].state == SMPP_PART_SENT &&
                at->progress.parts[i].sequence == sequence) {
                *ret_message = at;
                return &at->progress.parts[i];
            }
    return NULL;
}

static void on_submit_answer(struct smpp_session *session, const struct smpp_pdu *pdu)
{
    struct smpp_message *message;
    struct smpp_part *part = find_sent(session, pdu->sequence, &message);
    char why[128];

    if (part == NULL)
        return; /* too late: it was given up */
    message->sent--;
    part->state = SMPP_PART_WAITING;
    if (pdu->status == SMPP_OK) {
        part->state = SMPP_PART_TAKEN;
        session->throttles = 0;
        if (smpp_read_id(pdu->body, part->id) != 0)
            part->id[0] = '\0'; /* taken all the same; no receipt will find it */
    } else if (pdu->status == SMPP_THROTTLED || pdu->status == SMPP_QUEUE_FULL) {
        if (session->throttled_until <=
            clock_mono(&clock_system)) /* once for all of a window */
            session->throttled_until = smpp_session_later(smpp_session_pause_ms(
                ++session->throttles, SMPP_THROTTLE_MIN_MS, SMPP_PAUSE_MAX_MS));
    } else {
        (void)snprintf(why, sizeof why, "the server answered 0x%02X, %s", (unsigned)pdu->status,
                       smpp_status_text(pdu->status));
        smpp_message_fail(message, smpp_status_passes(pdu->status), ERR_REFUSED, why);
    }
    smpp_session_finish(session);
}

void smpp_hear_answer_deliver(struct smpp_session *session, uint32_t sequence)
{
    struct buf out = {0};
    smpp_put_deliver_answer(&out, sequence);
    smpp_session_send(session, &out);
}

/* Remembers to answer it later; without memory it is not answered, and will come again. */
static void put_off(struct smpp_session *session, uint32_t sequence, uint64_t number)
{
    struct smpp_unanswered *more;
    if (session->unanswered_count >= SMPP_UNANSWERED_MAX)
        return;
    more = realloc(session->unanswered, (session->unanswered_count + 1) * sizeof *more);
    if (more == NULL)
        return;
    session->unanswered = more;
    more[session->unanswered_count++] = (struct smpp_unanswered){sequence, number};
}

static void on_deliver(struct smpp_session *session, const struct smpp_pdu *pdu)
{
    struct smpp_receipt receipt;
    bool is_receipt = false;
    uint64_t number;

    if (smpp_read_deliver(pdu->body, &is_receipt, &receipt) == 0 && is_receipt) {
        if (smpp_pool_receipt(session->pool, session->key, &receipt, &number)) {
            put_off(session, pdu->sequence, number);
            return;
        }
        session->early[session->early_next] = receipt;
        session->early_next = (session->early_next + 1) % SMPP_EARLY_MAX;
        if (session->early_count < SMPP_EARLY_MAX)
            session->early_count++;
    }
    smpp_hear_answer_deliver(session,
                             pdu->sequence); /* a person's text message is not for us */
}

void smpp_hear(struct smpp_session *session, const struct smpp_pdu *pdu)
{
    session->enquired = 0; /* it speaks, so it lives */
    if (session->state == SMPP_BOUND)
        session->failures = 0;
    switch (pdu->command) {
    case SMPP_BIND_TRANSCEIVER | SMPP_ANSWER:
    case SMPP_GENERIC_NACK:
        if (session->state == SMPP_BINDING)
            on_bind_answer(session, pdu->command == SMPP_GENERIC_NACK && pdu->status == SMPP_OK
                                        ? SMPP_BAD_COMMAND
                                        : pdu->status);
        else if (pdu->command == SMPP_GENERIC_NACK && pdu->status != SMPP_OK)
            on_submit_answer(session, pdu);
        break;
    case SMPP_SUBMIT | SMPP_ANSWER:
        on_submit_answer(session, pdu);
        break;
    case SMPP_DELIVER:
        on_deliver(session, pdu);
        break;
    case SMPP_ENQUIRE_LINK:
        smpp_session_send_plain(session, SMPP_ENQUIRE_LINK | SMPP_ANSWER, SMPP_OK,
                                pdu->sequence);
        break;
    case SMPP_UNBIND:
        smpp_session_send_plain(session, SMPP_UNBIND | SMPP_ANSWER, SMPP_OK, pdu->sequence);
        smpp_session_break(session, false, "the server has ended the session");
        break;
    case SMPP_ALERT_NOTIFICATION:
        break;
    default:
        if ((pdu->command & SMPP_ANSWER) == 0)
            smpp_session_send_plain(session, SMPP_GENERIC_NACK, SMPP_BAD_COMMAND,
                                    pdu->sequence);
    }
}
