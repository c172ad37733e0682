/*
 * pending.h - log lines and records that wait to be part of a batch.
 *
 * Texts are copied into one buffer; while it grows, arrays hold sizes only, and pending_view()
 * sets the pointers when the tick is sealed.  What is here stays until pending_clear(), so a
 * tick that the spool could not take loses none of it.
 *
 * Not thread-safe.
 */
#pragma once

#include "proto/base/buf.h"
#include "proto/wire/plain.h"

struct pending {
    struct record *records;
    struct log_chunk *chunks;
    struct log_line *lines;
    size_t record_count, record_room;
    size_t chunk_count, chunk_room;
    size_t line_count, line_room;
    struct buf record_bytes;
    struct buf paths;
    struct buf texts;
};

void pending_init(struct pending *pending);
void pending_done(struct pending *pending);

/* ERR_LIMIT, ERR_NOMEM. */
int pending_add_record(struct pending *pending, uint32_t kind, int64_t ts_ms,
                       struct bytes data);

/* ERR_AGAIN when there is no more room before the next clear, ERR_LIMIT when there never is. */
int pending_add_chunk(struct pending *pending, const struct log_chunk *chunk);

/* Sets the batch's logs and records; they point here until the next change. */
void pending_view(struct pending *pending, struct plain_batch *batch);

static inline bool pending_is_empty(const struct pending *pending)
{
    return pending->record_count == 0 && pending->chunk_count == 0;
}

/* Forgets everything, and gives back the memory of a burst. */
void pending_clear(struct pending *pending);
