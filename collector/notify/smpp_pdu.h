/*
 * smpp_pdu.h - the bytes of SMPP 3.4, as far as somebody who sends text messages speaks it.
 *
 *     offset size  every PDU, all integers big-endian
 *        0     4   length of the whole, 16..SMPP_PDU_BYTES_MAX
 *        4     4   command; an answer has the top bit set
 *        8     4   status of an answer; 0: fine
 *       12     4   sequence number; an answer has its request's
 *       16     n   body: integers of one byte and C strings, in an order of the command's own,
 *                  then optional parameters: u16 tag, u16 length, value
 *
 * Source: Short Message Peer to Peer Protocol Specification v3.4, 12-Oct-1999, sections 4 and
 * 5; receipts: its appendix B.
 *
 * Pure; any thread.  Nothing here trusts a length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define SMPP_HEADER_BYTES  ((size_t)16)
#define SMPP_PDU_BYTES_MAX ((size_t)70000) /* a message_payload of 64 KiB, and the rest */
#define SMPP_ID_BYTES      66 /* 64 characters by the specification, a NUL, one more */
#define SMPP_TEXT_BYTES    ((size_t)140) /* of one part, its header included */

enum smpp_command {
    SMPP_SUBMIT = 0x04,
    SMPP_DELIVER = 0x05,
    SMPP_UNBIND = 0x06,
    SMPP_BIND_TRANSCEIVER = 0x09,
    SMPP_ENQUIRE_LINK = 0x15,
    SMPP_ALERT_NOTIFICATION = 0x102,
};
#define SMPP_ANSWER       UINT32_C(0x80000000)
#define SMPP_GENERIC_NACK UINT32_C(0x80000000)

enum smpp_status {
    SMPP_OK = 0,
    SMPP_BAD_COMMAND = 0x03,
    SMPP_ALREADY_BOUND = 0x05,
    SMPP_QUEUE_FULL = 0x14,
    SMPP_THROTTLED = 0x58,
};

struct smpp_bind {
    const char *system_id, *password, *system_type; /* cut at 15, 64 and 12 characters */
};

struct smpp_address {
    uint8_t ton, npi;
    const char *number; /* cut at 20 characters */
};

struct smpp_submit {
    struct smpp_address source, destination;
    bool wants_receipt;
    bool has_header;   /* `text` begins with a user data header */
    struct bytes text; /* UCS-2, big-endian; at most SMPP_TEXT_BYTES */
};

/* Each appends one PDU. */
void smpp_put_bind(struct buf *out, uint32_t sequence, const struct smpp_bind *bind);
void smpp_put_submit(struct buf *out, uint32_t sequence, const struct smpp_submit *submit);
/* One without a body: enquire_link, unbind and their answers, generic_nack. */
void smpp_put_plain(struct buf *out, uint32_t command, uint32_t status, uint32_t sequence);
void smpp_put_deliver_answer(struct buf *out, uint32_t sequence);

struct smpp_pdu {
    uint32_t command, status, sequence;
    struct bytes body; /* into the bytes given */
};

/* The PDU at the front of `bytes`.  Returns its size; 0: more bytes are needed; SIZE_MAX: these
 * are no SMPP, and nothing that follows can be told apart. */
size_t smpp_next(struct bytes bytes, struct smpp_pdu *ret_pdu);

/* The message id of a submit_sm_resp; empty if the body has none.  ERR_MALFORMED. */
int smpp_read_id(struct bytes body, char ret_id[SMPP_ID_BYTES]);

enum smpp_receipt_state { SMPP_ON_ITS_WAY, SMPP_DELIVERED, SMPP_FAILED };

/* What became of a message. */
struct smpp_receipt {
    char id[SMPP_ID_BYTES];
    enum smpp_receipt_state state;
    char words[32]; /* "UNDELIV, error 027": as the service says it */
};

/* Reads a deliver_sm.  *ret_is_receipt: it is one (and has an id), rather than a message that
 * somebody sent us.  ERR_MALFORMED. */
int smpp_read_deliver(struct bytes body, bool *ret_is_receipt,
                      struct smpp_receipt *ret_receipt);

/* Do these name the same message?  Exactly: letter by letter, but for case and zeros in front.
 * Loosely: also if one is the other's number written in hexadecimal, as many a service answers
 * a submit in one and sends receipts in the other. */
bool smpp_same_id(const char *a, const char *b, bool loosely);

/* "throttled" for 0x58; "" for one that has no words. */
const char *smpp_status_text(uint32_t status);
/* Another try may well succeed: the service is busy, not unwilling. */
bool smpp_status_passes(uint32_t status);
