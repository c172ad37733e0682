/*
 * smpp_message.c - see smpp_message.h.
 */
#include "collector/notify/smpp_message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

#define PROGRESS_VERSION 1
#define HASH_START       UINT64_C(14695981039346656037)

static uint64_t hash_bytes(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
    return (hash ^ 0xFF) * UINT64_C(1099511628211);
}

uint64_t smpp_session_key(const char *server, const char *system_id)
{
    return hash_bytes(hash_bytes(HASH_START, bytes_of(server)), bytes_of(system_id));
}

void smpp_progress_write(const struct smpp_progress *progress, struct buf *out)
{
    buf_put_u8(out, PROGRESS_VERSION);
    buf_put_u64(out, progress->session);
    buf_put_u64(out, progress->text);
    buf_put_u8(out, progress->reference);
    buf_put_varint(out, progress->count);
    for (size_t i = 0; i < progress->count; i++) {
        const struct smpp_part *part = &progress->parts[i];
        /* Whether the other side has it is not known: as if it had not. */
        buf_put_u8(out,
                   part->state == SMPP_PART_SENT ? SMPP_PART_WAITING : (uint8_t)part->state);
        buf_put_sized(out, bytes_of(part->id));
    }
}

int smpp_progress_read(struct bytes bytes, struct smpp_progress *ret_progress)
{
    struct reader reader = reader_of(bytes);
    struct smpp_progress progress = {0};
    uint8_t version = reader_u8(&reader);

    progress.session = reader_u64(&reader);
    progress.text = reader_u64(&reader);
    progress.reference = reader_u8(&reader);
    progress.count = reader_varint(&reader);
    if (reader.failed || version != PROGRESS_VERSION || progress.count > SMPP_PARTS_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < progress.count; i++) {
        uint8_t state = reader_u8(&reader);
        struct bytes id = reader_sized(&reader);
        if (state > SMPP_PART_LOST || state == SMPP_PART_SENT || id.size >= SMPP_ID_BYTES)
            return ERR_CORRUPT;
        progress.parts[i].state = (enum smpp_part_state)state;
        if (id.size > 0)
            memcpy(progress.parts[i].id, id.data, id.size);
    }
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_CORRUPT;
    *ret_progress = progress;
    return 0;
}

static size_t count_parts(const struct smpp_progress *progress, enum smpp_part_state state)
{
    size_t found = 0;
    for (size_t i = 0; i < progress->count; i++)
        found += progress->parts[i].state == state;
    return found;
}

enum smpp_match smpp_progress_take(struct smpp_progress *progress, uint64_t session,
                                   const struct smpp_receipt *receipt, bool loosely)
{
    struct smpp_part *part = NULL;

    for (size_t i = 0; i < progress->count && part == NULL; i++)
        if (progress->session == session && progress->parts[i].state >= SMPP_PART_TAKEN &&
            smpp_same_id(progress->parts[i].id, receipt->id, loosely))
            part = &progress->parts[i];
    if (part == NULL)
        return SMPP_MATCH_NONE;
    if (receipt->state == SMPP_ON_ITS_WAY || part->state != SMPP_PART_TAKEN)
        return SMPP_MATCH_PART; /* or said before */
    part->state = receipt->state == SMPP_DELIVERED ? SMPP_PART_DELIVERED : SMPP_PART_LOST;
    if (part->state == SMPP_PART_LOST) /* half a message is none */
        return SMPP_MATCH_FAILED;
    return count_parts(progress, SMPP_PART_DELIVERED) == progress->count ? SMPP_MATCH_DELIVERED
                                                                         : SMPP_MATCH_PART;
}

int smpp_message_new(const struct smpp_settings *settings, struct bytes text,
                     struct bytes progress, uint8_t reference,
                     struct smpp_message **ret_message)
{
    struct smpp_message *message = calloc(1, sizeof *message);
    struct smpp_progress *now, earlier;

    if (message == NULL)
        return ERR_NOMEM;
    if (smpp_text_split(text, &message->text) != 0) {
        smpp_message_free(message);
        return ERR_NOMEM;
    }
    message->settings = settings;
    now = &message->progress;
    now->session = smpp_session_key(settings->server, settings->system_id);
    now->text = hash_bytes(hash_bytes(HASH_START, bytes_of(settings->phone)), text);
    now->reference = reference;
    now->count = message->text.count;
    if (smpp_progress_read(progress, &earlier) == 0 && earlier.session == now->session &&
        earlier.text == now->text && earlier.count == now->count)
        *now = earlier;
    *ret_message = message;
    return 0;
}

void smpp_message_free(struct smpp_message *message)
{
    if (message == NULL)
        return;
    smpp_text_done(&message->text);
    free(message);
}

void smpp_message_fail(struct smpp_message *message, bool recoverable, int error,
                       const char *why)
{
    message->has_failed = true;
    message->verdict.recoverable = recoverable;
    (void)diagnose(&message->verdict.why, error, "%s", why);
}

struct smpp_part *smpp_message_find(struct smpp_message *message, enum smpp_part_state state)
{
    for (size_t i = 0; i < message->progress.count; i++)
        if (message->progress.parts[i].state == state)
            return &message->progress.parts[i];
    return NULL;
}

bool smpp_message_is_taken(const struct smpp_message *message)
{
    return message->sent == 0 && count_parts(&message->progress, SMPP_PART_WAITING) == 0;
}

void smpp_message_put_submit(const struct smpp_message *message, const struct smpp_part *part,
                             struct buf *out)
{
    const struct smpp_settings *settings = message->settings;
    const size_t number = (size_t)(part - message->progress.parts);
    struct buf text = {0};

    smpp_text_put_part(&message->text, number, message->progress.reference, &text);
    if (buf_ok(&text)) {
        const struct smpp_submit submit = {
            .source = {(uint8_t)settings->source_ton, (uint8_t)settings->source_npi,
                       settings->source},
            .destination = {(uint8_t)settings->phone_ton, (uint8_t)settings->phone_npi,
                            settings->phone},
            .wants_receipt = settings->wants_receipts,
            .has_header = message->text.count > 1,
            .text = buf_bytes(&text)};
        smpp_put_submit(out, part->sequence, &submit);
    } else {
        out->failed = true;
    }
    buf_done(&text);
}
