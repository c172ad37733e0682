/*
 * drain.c - see drain.h.
 */
#include "probe/log/drain.h"

#include <stdlib.h>
#include <string.h>

#include "probe/log/multiline.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/plain.h"

#define RAW_BYTES   LOG_LINE_BYTES_MAX
#define TEXT_BYTES  (2 * LOG_LINE_BYTES_MAX)
#define CHUNK_LINES ((size_t)256)

/* A bucket holds this much of its rate, so that a slow tick does not drop what a fast one
 * would have let through. */
#define BUCKET_SECONDS 10.0

_Static_assert(TEXT_BYTES <= EMITTER_LOG_CHUNK_BYTES, "any chunk fits a tick of its own");
_Static_assert(CHUNK_LINES <= BATCH_LOG_LINES_MAX, "any chunk fits a batch");

struct drain {
    uint8_t *raw;
    uint8_t *text;
    size_t text_size;
    struct log_line lines[CHUNK_LINES];
    size_t line_count;
    struct redact_key key;
    struct log_account next; /* the account once the chunk is handed over */
};

int drain_new(const struct redact_key *key, struct drain **ret_drain)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL)
        return ERR_NOMEM;
    drain->key = *key;
    drain->raw = malloc(RAW_BYTES);
    drain->text = malloc(TEXT_BYTES);
    if (drain->raw == NULL || drain->text == NULL) {
        drain_free(drain);
        return ERR_NOMEM;
    }
    *ret_drain = drain;
    return 0;
}

void drain_free(struct drain *drain)
{
    if (drain == NULL)
        return;
    free(drain->raw);
    free(drain->text);
    free(drain);
}

static void chunk_begin(struct drain *drain, const struct log_account *account)
{
    drain->line_count = 0;
    drain->text_size = 0;
    drain->next = *account;
}

/* Hands the chunk over and, with it, moves position and account. */
static int chunk_end(struct drain *drain, struct tail *tail, struct log_account *account,
                     uint64_t offset, bool skipping, struct emitter *out)
{
    struct tail_position *position = &tail->position;
    if (drain->line_count > 0) {
        struct log_chunk chunk = {.file_id = position->id,
                                  .path = account->path,
                                  .lines = drain->lines,
                                  .count = drain->line_count};
        must(position->id != 0);
        int error = emitter_log(out, &chunk);
        if (error != 0)
            return ERR_AGAIN; /* no room or no memory: all of it stays in the file */
    }
    if (position->offset != offset || position->skipping != skipping)
        tail->is_changed = true;
    position->offset = offset;
    position->skipping = skipping;
    *account = drain->next;
    chunk_begin(drain, account);
    return 0;
}

/* May a line pass the rate limit?  Errors always may; they too take from the bucket. */
static bool may_pass(struct log_account *account, uint32_t severity)
{
    if (account->settings->rate_limit <= 0)
        return true;
    bool is_error = severity >= 1 && severity <= 4;
    bool may = account->tokens >= 1 || is_error;
    if (may && account->tokens >= 1)
        account->tokens -= 1;
    return may;
}

static void refill(struct log_account *account, int64_t now_ms)
{
    double rate = account->settings->rate_limit;
    double most = rate * BUCKET_SECONDS < 1 ? 1 : rate * BUCKET_SECONDS;
    if (account->refilled_ms == 0)
        account->tokens = most;
    else if (now_ms > account->refilled_ms)
        account->tokens += rate * (double)(now_ms - account->refilled_ms) / 1000;
    if (account->tokens > most)
        account->tokens = most;
    account->refilled_ms = now_ms;
}

/* Counts an event, and takes it into the chunk unless the rate limit forbids. */
static void take_event(struct drain *drain, const struct log_event *event, uint64_t offset,
                       int64_t now_ms)
{
    struct log_account *account = &drain->next;
    const struct log_settings *settings = account->settings;
    struct bytes text = {drain->text + drain->text_size, event->text_bytes};
    uint32_t severity = severity_of(text);
    account->tally.lines[severity]++;
    account->tally.decode_errors += (event->flags & LOG_LINE_REPLACED) != 0;
    account->tally.cut += (event->flags & LOG_LINE_CUT) != 0;
    account->last_line_ms = now_ms;
    for (size_t i = 0; i < settings->pattern_count; i++)
        account->tally.matches[i] += pattern_matches(settings->patterns[i].pattern, text);
    if (!may_pass(account, severity)) {
        account->tally.dropped_rate++;
        return;
    }
    redact(&settings->redaction, &drain->key, drain->text + drain->text_size, event->text_bytes,
           account->tally.redacted);
    drain->lines[drain->line_count++] = (struct log_line){.offset = offset,
                                                          .ts_ms = now_ms,
                                                          .severity = severity,
                                                          .flags = event->flags,
                                                          .text = text};
    drain->text_size += event->text_bytes;
}

/* Cuts one run into chunks; the position is then at the first byte not taken. */
static int drain_run(struct drain *drain, struct tail *tail, struct log_account *account,
                     struct cutter *cutter, int64_t now_ms, struct emitter *out)
{
    uint64_t base = tail->position.offset;
    struct log_event event;
    chunk_begin(drain, account);
    while (cutter_next(cutter, drain->text + drain->text_size, LOG_LINE_BYTES_MAX, &event)) {
        if (tail->position.id == 0) {
            int error = tail_identify(tail, now_ms);
            if (error != 0)
                return error;
        }
        take_event(drain, &event, base + event.start, now_ms);
        if (drain->line_count == CHUNK_LINES ||
            TEXT_BYTES - drain->text_size < LOG_LINE_BYTES_MAX) {
            int error =
                chunk_end(drain, tail, account, base + cutter->at, cutter->skipping, out);
            if (error != 0)
                return error;
        }
    }
    return chunk_end(drain, tail, account, base + cutter->at, cutter->skipping, out);
}

int drain_tail(struct drain *drain, struct tail *tail, struct log_account *account,
               bool is_last, int64_t now_ms, struct emitter *out, bool *ret_is_empty)
{
    size_t taken = 0;
    *ret_is_empty = false;
    refill(account, now_ms);
    while (taken < LOG_TURN_BYTES) {
        size_t size;
        int error = tail_read(tail, drain->raw, RAW_BYTES, &size);
        if (error != 0)
            return error;
        bool is_full = size == RAW_BYTES;
        struct cutter cutter = {.encoding = tail->encoding,
                                .first_line = account->settings->first_line,
                                .run = {drain->raw, size},
                                .is_full = is_full,
                                .is_idle = now_ms - tail->grown_ms >= LOG_EVENT_IDLE_MS,
                                .is_last = is_last && !is_full,
                                .skipping = tail->position.skipping};
        cutter.is_idle = cutter.is_idle && !is_full;
        error = drain_run(drain, tail, account, &cutter, now_ms, out);
        if (error != 0)
            return error;
        taken += cutter.at;
        if (!is_full) {
            *ret_is_empty = true;
            return 0;
        }
        must(cutter.at > 0); /* a full run always yields something */
    }
    return 0;
}
