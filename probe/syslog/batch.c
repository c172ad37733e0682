/*
 * batch.c - see batch.h.
 */
#include "probe/syslog/batch.h"

#include <stdlib.h>
#include <string.h>

#include "probe/log/decode.h"
#include "probe/syslog/address.h"
#include "probe/syslog/framing.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define MESSAGES   ((size_t)256)
#define TEXT_BYTES ((size_t)128 << 10)
/* GB 18030 to UTF-8 grows by half, a byte that does not decode to three; and an address. */
#define ONE_BYTES (3 * SYSLOG_MESSAGE_BYTES_MAX + 64)

_Static_assert(TEXT_BYTES <= EMITTER_LOG_CHUNK_BYTES, "any chunk fits a tick of its own");
_Static_assert(MESSAGES <= BATCH_LOG_LINES_MAX, "any chunk fits a batch");
_Static_assert(ONE_BYTES <= LOG_LINE_BYTES_MAX, "any message is a line");

struct syslog_batch {
    struct redact_key key;
    struct syslog_sender *senders[MESSAGES]; /* NULL: handed over */
    struct log_line lines[MESSAGES];
    size_t count;
    size_t left; /* not handed over */
    size_t text_size;
    struct log_line chunk[MESSAGES]; /* one sender's lines, while they are handed over */
    uint8_t text[TEXT_BYTES];
};

int syslog_batch_new(const struct redact_key *key, struct syslog_batch **ret_batch)
{
    struct syslog_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return ERR_NOMEM;
    batch->key = *key;
    *ret_batch = batch;
    return 0;
}

void syslog_batch_free(struct syslog_batch *batch)
{
    free(batch);
}

bool syslog_batch_has_room(const struct syslog_batch *batch)
{
    return batch->count < MESSAGES && TEXT_BYTES - batch->text_size >= ONE_BYTES;
}

/* Decodes one part of the text behind what is there. */
static void append(struct log_line *line, enum log_encoding encoding, struct bytes raw,
                   uint8_t *text)
{
    size_t room = ONE_BYTES - line->text.size;
    struct decoded part = decode_line(encoding, raw, text + line->text.size, room);
    line->text.size += part.size;
    line->flags |= part.replaced ? LOG_LINE_REPLACED : 0;
    line->flags |= part.cut ? LOG_LINE_CUT : 0;
}

void syslog_batch_add(struct syslog_batch *batch, struct syslog_sender *sender,
                      const uint8_t address[16], const struct syslog_message *message,
                      bool is_cut, int64_t now_ms)
{
    uint8_t *text = batch->text + batch->text_size;
    enum log_encoding encoding = sender->account.settings->encoding;
    struct log_line line = {.offset = sender->offset,
                            .ts_ms = now_ms,
                            .severity = message->severity,
                            .flags = is_cut ? LOG_LINE_CUT : 0,
                            .text = {text, 0}};
    must(syslog_batch_has_room(batch));
    if (sender->is_other) {
        char name[SYSLOG_ADDRESS_TEXT_BYTES + 1];
        syslog_address_text(address, name);
        (void)strcat(name, " ");
        append(&line, LOG_ENCODING_UTF8, bytes_of(name), text);
    }
    append(&line, encoding, message->text, text);
    if (message->rest.size > 0)
        append(&line, LOG_ENCODING_UTF8, message->rest, text);
    if (line.severity == 0)
        line.severity = severity_of(line.text);
    sender->offset += message->text.size + message->rest.size + 1;
    log_account_refill(&sender->account, now_ms);
    bool may_leave = log_account_take(&sender->account, &batch->key, &line, text);
    log_account_commit(&sender->account); /* it will not be read again */
    if (!may_leave)
        return;
    batch->senders[batch->count] = sender;
    batch->lines[batch->count++] = line;
    batch->left++;
    batch->text_size += line.text.size;
}

/* The lines of the sender whose first is at `first`: all of them, or as many as the tick takes.
 */
static int hand_over_one(struct syslog_batch *batch, size_t first, struct emitter *out)
{
    struct syslog_sender *sender = batch->senders[first];
    size_t count = 0;
    for (size_t i = first; i < batch->count; i++)
        if (batch->senders[i] == sender)
            batch->chunk[count++] = batch->lines[i];
    struct log_chunk chunk = {.file_id = sender->file_id,
                              .path = sender->account.path,
                              .lines = batch->chunk,
                              .count = count};
    while (chunk.count > 0 && emitter_log(out, &chunk) != 0)
        chunk.count /= 2;
    size_t taken = 0;
    for (size_t i = first; i < batch->count && taken < chunk.count; i++) {
        if (batch->senders[i] != sender)
            continue;
        batch->senders[i] = NULL;
        taken++;
    }
    batch->left -= taken;
    return taken < count ? ERR_AGAIN : 0; /* no room or no memory: the rest stays */
}

int syslog_batch_hand_over(struct syslog_batch *batch, struct emitter *out)
{
    for (size_t i = 0; i < batch->count && batch->left > 0; i++) {
        int error = batch->senders[i] == NULL ? 0 : hand_over_one(batch, i, out);
        if (error != 0)
            return error;
    }
    batch->count = batch->text_size = 0;
    return 0;
}
