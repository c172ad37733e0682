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

/* All of the chunk stays in the file. */
static int chunk_undo(struct log_account *account, int error)
{
    log_account_rollback(account);
    return error;
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
        if (error != 0) /* no room or no memory: all of it stays in the file */
            return chunk_undo(account, ERR_AGAIN);
    }
    if (position->offset != offset || position->skipping != skipping)
        tail->is_changed = true;
    position->offset = offset;
    position->skipping = skipping;
    *account = drain->next;
    log_account_commit(account);
    if (account->access != NULL)
        account->access->columns_offset = offset;
    chunk_begin(drain, account);
    return 0;
}

/* Counts an event, and takes it into the chunk if it may leave. */
static void take_event(struct drain *drain, const struct log_event *event, uint64_t offset,
                       int64_t now_ms)
{
    uint8_t *text = drain->text + drain->text_size;
    struct log_line line = {.offset = offset,
                            .ts_ms = now_ms,
                            .flags = event->flags,
                            .text = {text, event->text_bytes}};
    line.severity = severity_of(line.text);
    if (!log_account_take(&drain->next, &drain->key, &line, text))
        return;
    drain->lines[drain->line_count++] = line;
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
                return chunk_undo(account, error);
        }
        take_event(drain, &event, base + event.start, now_ms);
        if (drain->line_count == CHUNK_LINES ||
            TEXT_BYTES - drain->text_size < LOG_LINE_BYTES_MAX ||
            !log_account_has_room(account)) {
            int error =
                chunk_end(drain, tail, account, base + cutter->at, cutter->skipping, out);
            if (error != 0)
                return error;
        }
    }
    return chunk_end(drain, tail, account, base + cutter->at, cutter->skipping, out);
}

/* Whole lines of a run, read where they lie: nobody needs their text.  *at: the first byte not
 * taken. */
static int count_run(struct drain *drain, struct tail *tail, struct log_account *account,
                     struct cutter *cutter, int64_t now_ms, struct emitter *out)
{
    uint64_t base = tail->position.offset;
    chunk_begin(drain, account);
    while (!cutter->skipping && cutter->at < cutter->run.size) {
        struct bytes rest = {cutter->run.data + cutter->at, cutter->run.size - cutter->at};
        size_t size = log_newline_find(tail->encoding, rest);
        if (size == rest.size)
            break;
        log_account_count(&drain->next, &drain->key, (struct bytes){rest.data, size}, now_ms);
        cutter->at += size + 1;
        if (!log_account_has_room(account)) {
            int error = chunk_end(drain, tail, account, base + cutter->at, false, out);
            if (error != 0)
                return error;
        }
    }
    return chunk_end(drain, tail, account, base + cutter->at, cutter->skipping, out);
}

/* One run; *ret_taken bytes of it.  What is left of a run that was counted (a line that is not
 * whole, or too long) is cut as any other. */
static int take_run(struct drain *drain, struct tail *tail, struct log_account *account,
                    struct cutter *cutter, int64_t now_ms, struct emitter *out)
{
    size_t counted = 0;
    if (log_account_only_counts(account) && log_newline_size(tail->encoding) == 1) {
        int error = count_run(drain, tail, account, cutter, now_ms, out);
        if (error != 0)
            return error;
        counted = cutter->at;
        cutter->run.data += counted;
        cutter->run.size -= counted;
        cutter->is_full = cutter->is_full && counted == 0;
        cutter->at = 0;
    }
    int error = drain_run(drain, tail, account, cutter, now_ms, out);
    cutter->at += counted;
    return error;
}

int drain_tail(struct drain *drain, struct tail *tail, struct log_account *account,
               bool is_last, int64_t now_ms, struct emitter *out, bool *ret_is_empty)
{
    size_t taken = 0;
    *ret_is_empty = false;
    log_account_refill(account, now_ms);
    if (account->access != NULL)
        access_look_back(account->access, tail->fd, tail->position.is_gzip,
                         tail->position.order, tail->position.offset);
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
        error = take_run(drain, tail, account, &cutter, now_ms, out);
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
