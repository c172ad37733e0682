/*
 * smpp_message.h - one text message on its way: its parts, and what has become of each.
 *
 *     WAITING --submit--> SENT --answer 0--> TAKEN --receipt--> DELIVERED or LOST
 *        ^                  |
 *        +-- throttled, or the session broke before the answer
 *
 * What a try achieved is written down as progress, which the outbox keeps beside the message:
 * the next try submits only what was not taken, and receipts find their message, also after a
 * restart.  What was submitted but not answered before the session broke is submitted again,
 * for nobody can know: at least once, and twice only then.
 *
 *     progress   u8 version (1) | u64 session | u64 hash of the text | u8 reference
 *                | varint n | n times: u8 state, sized message id
 *
 * Thread: pure but for its owner's lists; the loop's.
 */
#pragma once

#include "collector/notify/channel.h"
#include "collector/notify/smpp.h"
#include "collector/notify/smpp_pdu.h"
#include "collector/notify/smpp_text.h"
#include "proto/base/clock.h"

enum smpp_part_state {
    SMPP_PART_WAITING = 0,
    SMPP_PART_SENT = 1, /* never in a progress */
    SMPP_PART_TAKEN = 2,
    SMPP_PART_DELIVERED = 3,
    SMPP_PART_LOST = 4,
};

struct smpp_part {
    enum smpp_part_state state;
    uint32_t sequence;      /* while SENT */
    mono_ns answer_by;      /* while SENT */
    char id[SMPP_ID_BYTES]; /* the service's name for it, once TAKEN; may be empty */
};

/* What a try has achieved so far. */
struct smpp_progress {
    uint64_t session, text;
    uint8_t reference;
    size_t count;
    struct smpp_part parts[SMPP_PARTS_MAX];
};

void smpp_progress_write(const struct smpp_progress *progress, struct buf *out);
/* ERR_CORRUPT. */
int smpp_progress_read(struct bytes bytes, struct smpp_progress *ret_progress);

enum smpp_match {
    SMPP_MATCH_NONE,
    SMPP_MATCH_PART, /* one of its parts, or nothing final: others are still out */
    SMPP_MATCH_DELIVERED,
    SMPP_MATCH_FAILED,
};
/* Does the receipt speak of one of these parts?  Notes it there. */
enum smpp_match smpp_progress_take(struct smpp_progress *progress, uint64_t session,
                                   const struct smpp_receipt *receipt, bool loosely);

struct smpp_session;

struct smpp_message {
    struct smpp_session *session;
    struct smpp_message *next;
    const struct smpp_settings *settings; /* outlive it */
    struct smpp_text text;
    struct smpp_progress progress;
    size_t sent; /* parts that wait for an answer */
    mono_ns deadline;
    bool has_failed; /* no part is submitted any more; over when `sent` is 0 */
    struct client_verdict verdict;
    void (*done)(void *context, const struct client_verdict *verdict);
    void *context;
};

/* Splits the text and takes up what `progress` says of an earlier try of the same text, else
 * begins anew with `reference`.  ERR_NOMEM. */
int smpp_message_new(const struct smpp_settings *settings, struct bytes text,
                     struct bytes progress, uint8_t reference,
                     struct smpp_message **ret_message);
void smpp_message_free(struct smpp_message *message);
/* No part of it is to be submitted any more; the first reason stays. */
void smpp_message_fail(struct smpp_message *message, bool recoverable, int error,
                       const char *why);
/* The first part in that state; NULL if there is none. */
struct smpp_part *smpp_message_find(struct smpp_message *message, enum smpp_part_state state);
/* All its parts are with the service. */
bool smpp_message_is_taken(const struct smpp_message *message);
/* Appends the submit_sm of one of its parts. */
void smpp_message_put_submit(const struct smpp_message *message, const struct smpp_part *part,
                             struct buf *out);
