/*
 * smpp_pdu.c - see smpp_pdu.h.
 */
#include "collector/notify/smpp_pdu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define INTERFACE_VERSION 0x34
#define ESM_HEADER        0x40 /* the text begins with a user data header */
#define ESM_TYPE          0x3C /* what kind of message this is; 0: an ordinary one */
#define ESM_RECEIPT       0x04
#define CODING_UCS2       8
#define TAG_RECEIPTED_ID  0x001E
#define TAG_PAYLOAD       0x0424
#define TAG_STATE         0x0427

/* ---- writing ----------------------------------------------------------------------------- */

static void put_u32(struct buf *out, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 8), (uint8_t)value};
    buf_put(out, bytes, sizeof bytes);
}

/* A C string of at most `most` characters. */
static void put_string(struct buf *out, const char *text, size_t most)
{
    buf_put(out, text, strnlen(text, most));
    buf_put_u8(out, 0);
}

static size_t begin(struct buf *out, uint32_t command, uint32_t status, uint32_t sequence)
{
    size_t start = out->size;
    put_u32(out, 0); /* the length, by end() */
    put_u32(out, command);
    put_u32(out, status);
    put_u32(out, sequence);
    return start;
}

static void end(struct buf *out, size_t start)
{
    uint32_t length = (uint32_t)(out->size - start);
    if (!buf_ok(out))
        return;
    for (size_t i = 0; i < 4; i++)
        out->data[start + i] = (uint8_t)(length >> (24 - 8 * i));
}

void smpp_put_plain(struct buf *out, uint32_t command, uint32_t status, uint32_t sequence)
{
    end(out, begin(out, command, status, sequence));
}

void smpp_put_deliver_answer(struct buf *out, uint32_t sequence)
{
    size_t start = begin(out, SMPP_DELIVER | SMPP_ANSWER, SMPP_OK, sequence);
    put_string(out, "", 0); /* a message id, which has no meaning here */
    end(out, start);
}

void smpp_put_bind(struct buf *out, uint32_t sequence, const struct smpp_bind *bind)
{
    size_t start = begin(out, SMPP_BIND_TRANSCEIVER, 0, sequence);
    put_string(out, bind->system_id, 15);
    put_string(out, bind->password, 64); /* the specification's 8 is seldom kept to */
    put_string(out, bind->system_type, 12);
    buf_put_u8(out, INTERFACE_VERSION);
    buf_put_u8(out, 0); /* type and plan of our addresses, and which they are: */
    buf_put_u8(out, 0); /* all that the service gives us */
    put_string(out, "", 0);
    end(out, start);
}

static void put_address(struct buf *out, const struct smpp_address *address)
{
    buf_put_u8(out, address->ton);
    buf_put_u8(out, address->npi);
    put_string(out, address->number, 20);
}

void smpp_put_submit(struct buf *out, uint32_t sequence, const struct smpp_submit *submit)
{
    size_t start = begin(out, SMPP_SUBMIT, 0, sequence);
    must(submit->text.size <= SMPP_TEXT_BYTES);
    put_string(out, "", 0); /* service type: the default */
    put_address(out, &submit->source);
    put_address(out, &submit->destination);
    buf_put_u8(out, submit->has_header ? ESM_HEADER : 0);
    buf_put_u8(out, 0);     /* protocol */
    buf_put_u8(out, 0);     /* priority */
    put_string(out, "", 0); /* at once, */
    put_string(out, "", 0); /* and for as long as the service tries by default */
    buf_put_u8(out, submit->wants_receipt);
    buf_put_u8(out, 0); /* replaces no other */
    buf_put_u8(out, CODING_UCS2);
    buf_put_u8(out, 0); /* no message that the service keeps */
    buf_put_u8(out, (uint8_t)submit->text.size);
    buf_put(out, submit->text.data, submit->text.size);
    end(out, start);
}

/* ---- reading ----------------------------------------------------------------------------- */

static uint32_t read_u16(struct reader *reader)
{
    uint32_t high = reader_u8(reader);
    return high << 8 | reader_u8(reader);
}

static uint32_t read_u32(struct reader *reader)
{
    uint32_t high = read_u16(reader);
    return high << 16 | read_u16(reader);
}

/* A C string up to its NUL; what does not end fails. */
static struct bytes read_string(struct reader *reader)
{
    const uint8_t *nul =
        reader_left(reader) == 0 ? NULL : memchr(reader->at, 0, reader_left(reader));
    struct bytes text = {reader->at, nul == NULL ? 0 : (size_t)(nul - reader->at)};
    if (nul == NULL)
        reader->failed = true;
    else
        reader->at = nul + 1;
    return text;
}

size_t smpp_next(struct bytes bytes, struct smpp_pdu *ret_pdu)
{
    struct reader reader = reader_of(bytes);
    uint32_t length;

    if (bytes.size < 4)
        return 0;
    length = read_u32(&reader);
    if (length < SMPP_HEADER_BYTES || length > SMPP_PDU_BYTES_MAX)
        return SIZE_MAX;
    if (bytes.size < length)
        return 0;
    ret_pdu->command = read_u32(&reader);
    ret_pdu->status = read_u32(&reader);
    ret_pdu->sequence = read_u32(&reader);
    ret_pdu->body = (struct bytes){reader.at, length - SMPP_HEADER_BYTES};
    return length;
}

static int keep_id(struct bytes text, char ret_id[SMPP_ID_BYTES])
{
    if (text.size >= SMPP_ID_BYTES)
        return ERR_MALFORMED;
    if (text.size > 0)
        memcpy(ret_id, text.data, text.size);
    ret_id[text.size] = '\0';
    return 0;
}

int smpp_read_id(struct bytes body, char ret_id[SMPP_ID_BYTES])
{
    struct reader reader = reader_of(body);
    struct bytes text = {0};
    if (body.size > 0)
        text = read_string(&reader);
    return reader.failed ? ERR_MALFORMED : keep_id(text, ret_id);
}

/* What of a deliver_sm may tell of a receipt. */
struct delivered {
    uint8_t esm_class, coding;
    struct bytes text, id;
    uint8_t state; /* message_state; 0: not said */
};

static void read_parameters(struct reader *reader, struct delivered *ret_delivered)
{
    while (!reader->failed && reader_left(reader) > 0) {
        uint32_t tag = read_u16(reader), size = read_u16(reader);
        struct bytes value = reader_bytes(reader, size);
        if (tag == TAG_RECEIPTED_ID) { /* a C string */
            const uint8_t *nul = value.size > 0 ? memchr(value.data, 0, value.size) : NULL;
            ret_delivered->id = value;
            if (nul != NULL)
                ret_delivered->id.size = (size_t)(nul - value.data);
        } else if (tag == TAG_PAYLOAD) {
            ret_delivered->text = value;
        } else if (tag == TAG_STATE && value.size == 1) {
            ret_delivered->state = value.data[0];
        }
    }
}

static int read_body(struct bytes body, struct delivered *ret_delivered)
{
    struct reader reader = reader_of(body);

    (void)read_string(&reader);   /* service type */
    for (int i = 0; i < 2; i++) { /* source and destination */
        (void)read_u16(&reader);
        (void)read_string(&reader);
    }
    ret_delivered->esm_class = reader_u8(&reader);
    (void)read_u16(&reader);    /* protocol, priority */
    (void)read_string(&reader); /* schedule and validity, empty in a delivery */
    (void)read_string(&reader);
    (void)read_u16(&reader); /* registered, replaces */
    ret_delivered->coding = reader_u8(&reader);
    (void)reader_u8(&reader);
    ret_delivered->text = reader_bytes(&reader, reader_u8(&reader));
    read_parameters(&reader, ret_delivered);
    return reader.failed ? ERR_MALFORMED : 0;
}

/* The text as ASCII: UCS-2 by its lower halves, all else as it is. */
static void flatten(const struct delivered *delivered, char *text, size_t room)
{
    const size_t step = delivered->coding == CODING_UCS2 ? 2 : 1;
    size_t used = 0;
    for (size_t i = step - 1; i < delivered->text.size && used + 1 < room; i += step)
        text[used++] = (char)delivered->text.data[i];
    text[used] = '\0';
}

/* The word behind `name` ("stat:"), up to a blank; "" if it is not there. */
static void find_field(const char *text, const char *name, char *word, size_t room)
{
    size_t size = strlen(name), used = 0;
    const char *at = text;
    word[0] = '\0';
    while (*at != '\0' && strncasecmp(at, name, size) != 0)
        at++;
    if (*at == '\0')
        return;
    for (at += size; *at > ' ' && *at < 0x7f && used + 1 < room; at++)
        word[used++] = *at;
    word[used] = '\0';
}

static const struct {
    const char *word; /* in a receipt's text */
    uint8_t number;   /* as message_state */
    enum smpp_receipt_state state;
} states[] = {
    {"ENROUTE", 1, SMPP_ON_ITS_WAY}, {"DELIVRD", 2, SMPP_DELIVERED},
    {"EXPIRED", 3, SMPP_FAILED},     {"DELETED", 4, SMPP_FAILED},
    {"UNDELIV", 5, SMPP_FAILED},     {"ACCEPTD", 6, SMPP_ON_ITS_WAY},
    {"UNKNOWN", 7, SMPP_ON_ITS_WAY}, {"REJECTD", 8, SMPP_FAILED},
};

static enum smpp_receipt_state state_of(const char *word, uint8_t number, const char **ret_word)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (word[0] != '\0' ? strcasecmp(states[i].word, word) == 0
                            : states[i].number == number) {
            *ret_word = states[i].word;
            return states[i].state;
        }
    *ret_word = word[0] != '\0' ? word : "UNKNOWN";
    return SMPP_ON_ITS_WAY;
}

int smpp_read_deliver(struct bytes body, bool *ret_is_receipt, struct smpp_receipt *ret_receipt)
{
    struct delivered delivered = {0};
    struct smpp_receipt receipt = {0};
    char text[512], stat[12], error[8];
    const char *word;
    int code = read_body(body, &delivered);

    if (code != 0)
        return code;
    flatten(&delivered, text, sizeof text);
    if (delivered.id.size > 0)
        code = keep_id(delivered.id, receipt.id);
    else
        find_field(text, "id:", receipt.id, sizeof receipt.id);
    if (code != 0)
        return code;
    find_field(text, "stat:", stat, sizeof stat);
    find_field(text, "err:", error, sizeof error);
    receipt.state = state_of(stat, delivered.state, &word);
    (void)snprintf(receipt.words, sizeof receipt.words, "%.11s%s%.7s", word,
                   error[0] != '\0' ? ", error " : "", error);
    /* Some services do not set the type; an id with a state speaks for itself. */
    *ret_is_receipt = receipt.id[0] != '\0' &&
                      ((delivered.esm_class & ESM_TYPE) == ESM_RECEIPT ||
                       ((delivered.esm_class & ESM_TYPE) == 0 && delivered.id.size > 0));
    *ret_receipt = receipt;
    return 0;
}

/* ---- message ids ------------------------------------------------------------------------- */

static const char *past_zeros(const char *id)
{
    while (*id == '0' && id[1] != '\0')
        id++;
    return id;
}

/* The whole id as a number of that base. */
static bool number_of(const char *id, int base, unsigned long long *ret_number)
{
    char *end;
    if (!isxdigit((unsigned char)id[0]) || strlen(id) > 16)
        return false;
    if (id[0] == '0' && (id[1] == 'x' || id[1] == 'X'))
        return false;
    *ret_number = strtoull(id, &end, base);
    return *end == '\0';
}

bool smpp_same_id(const char *a, const char *b, bool loosely)
{
    unsigned long long x, y;

    a = past_zeros(a);
    b = past_zeros(b);
    if (*a == '\0' || *b == '\0')
        return false;
    if (strcasecmp(a, b) == 0)
        return true;
    if (!loosely)
        return false;
    return (number_of(a, 16, &x) && number_of(b, 10, &y) && x == y) ||
           (number_of(a, 10, &x) && number_of(b, 16, &y) && x == y);
}

/* ---- status ------------------------------------------------------------------------------ */

static const struct {
    uint32_t status;
    bool passes;
    const char *text;
} statuses[] = {
    {0x01, false, "message too long"},
    {0x02, false, "command too long"},
    {SMPP_BAD_COMMAND, false, "command unknown"},
    {0x04, true, "wrong state for this command"},
    {SMPP_ALREADY_BOUND, true, "already bound"},
    {0x08, true, "system error"},
    {0x0A, false, "source address not allowed"},
    {0x0B, false, "destination number not allowed"},
    {0x0D, true, "bind failed"},
    {0x0E, false, "wrong password"},
    {0x0F, false, "system_id unknown"},
    {SMPP_QUEUE_FULL, true, "queue full"},
    {0x45, true, "submit failed"},
    {0x48, false, "source type of number not allowed"},
    {0x50, false, "destination type of number not allowed"},
    {SMPP_THROTTLED, true, "throttled"},
    {0x61, false, "scheduled time not allowed"},
    {0x64, true, "transient error of the other side"},
    {0x65, false, "permanent error of the other side"},
    {0x66, false, "rejected"},
    {0xFF, true, "unknown error"},
};

const char *smpp_status_text(uint32_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "";
}

bool smpp_status_passes(uint32_t status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return statuses[i].passes;
    return false;
}
