#include "probe/pending.h"

#include <stdlib.h>

#include "probe/emitter.h"
#include "proto/base/error.h"

/* All records of a tick together; with lines and samples a batch stays below its limit. */
#define RECORDS_BYTES_MAX ((size_t)512 << 10)
/* What a line costs in a batch besides its text: offset, time, severity, flags, sizes. */
#define LINE_COST_BYTES 32
/* Buffers larger than this are given back after the tick. */
#define KEPT_BYTES ((size_t)32 << 10)

_Static_assert(RECORDS_BYTES_MAX + EMITTER_LOG_CHUNK_BYTES + EMITTER_LOG_BYTES <
                   BATCH_PLAIN_BYTES_MAX,
               "lines and records of a tick fit a batch");

void pending_init(struct pending *pending)
{
    *pending = (struct pending){0};
}

void pending_done(struct pending *pending)
{
    free(pending->records);
    free(pending->chunks);
    free(pending->lines);
    buf_done(&pending->record_bytes);
    buf_done(&pending->paths);
    buf_done(&pending->texts);
    pending_init(pending);
}

/* Makes an array hold `need` items of `size`.  False if out of memory. */
static bool make_room(void **items, size_t *room, size_t need, size_t size)
{
    size_t wanted = *room == 0 ? 8 : *room;
    if (need <= *room)
        return true;
    while (wanted < need)
        wanted *= 2;
    void *grown = reallocarray(*items, wanted, size);
    if (grown == NULL)
        return false;
    *items = grown;
    *room = wanted;
    return true;
}

int pending_add_record(struct pending *pending, uint32_t kind, int64_t ts_ms, struct bytes data)
{
    void *records = pending->records;
    if (pending->record_count == BATCH_RECORDS_MAX ||
        pending->record_bytes.size + data.size > RECORDS_BYTES_MAX)
        return ERR_LIMIT;
    bool has_room = make_room(&records, &pending->record_room, pending->record_count + 1,
                              sizeof *pending->records);
    pending->records = records;
    if (!has_room ||
        (data.size > 0 && buf_reserve(&pending->record_bytes, data.size) == NULL)) {
        pending->record_bytes.failed = false;
        return ERR_NOMEM;
    }
    buf_put(&pending->record_bytes, data.data, data.size);
    pending->records[pending->record_count++] =
        (struct record){.kind = kind, .ts_ms = ts_ms, .data = {NULL, data.size}};
    return 0;
}

/* Room for the chunk in every array and buffer, so that adding it cannot fail half-way. */
static bool make_room_for_chunk(struct pending *pending, const struct log_chunk *chunk,
                                size_t text_bytes)
{
    void *chunks = pending->chunks;
    void *lines = pending->lines;
    bool has_room = make_room(&chunks, &pending->chunk_room, pending->chunk_count + 1,
                              sizeof *pending->chunks) &&
                    make_room(&lines, &pending->line_room, pending->line_count + chunk->count,
                              sizeof *pending->lines);
    pending->chunks = chunks;
    pending->lines = lines;
    if (!has_room)
        return false;
    bool ok = (text_bytes == 0 || buf_reserve(&pending->texts, text_bytes) != NULL) &&
              (chunk->path.size == 0 || buf_reserve(&pending->paths, chunk->path.size) != NULL);
    pending->texts.failed = false;
    pending->paths.failed = false;
    return ok;
}

int pending_add_chunk(struct pending *pending, const struct log_chunk *chunk)
{
    size_t text_bytes = 0;
    size_t cost = 0;

    if (chunk->count == 0)
        return 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->lines[i].text.size > LOG_LINE_BYTES_MAX)
            return ERR_LIMIT;
        text_bytes += chunk->lines[i].text.size;
        cost += chunk->lines[i].text.size + LINE_COST_BYTES;
    }
    if (chunk->count > BATCH_LOG_LINES_MAX || cost > EMITTER_LOG_CHUNK_BYTES ||
        chunk->path.size > LOG_PATH_BYTES_MAX)
        return ERR_LIMIT;
    size_t held = pending->texts.size + pending->line_count * LINE_COST_BYTES;
    if (pending->chunk_count == BATCH_LOG_CHUNKS_MAX ||
        pending->line_count + chunk->count > BATCH_LOG_LINES_MAX ||
        (pending->line_count > 0 && held + cost > EMITTER_LOG_BYTES))
        return ERR_AGAIN;
    if (!make_room_for_chunk(pending, chunk, text_bytes))
        return ERR_NOMEM;

    for (size_t i = 0; i < chunk->count; i++) {
        struct log_line *line = &pending->lines[pending->line_count + i];
        *line = chunk->lines[i];
        buf_put(&pending->texts, line->text.data, line->text.size);
        line->text.data = NULL;
    }
    buf_put(&pending->paths, chunk->path.data, chunk->path.size);
    pending->chunks[pending->chunk_count++] = (struct log_chunk){
        .file_id = chunk->file_id, .path = {NULL, chunk->path.size}, .count = chunk->count};
    pending->line_count += chunk->count;
    return 0;
}

void pending_view(struct pending *pending, struct plain_batch *batch)
{
    const uint8_t *data = pending->record_bytes.data;
    for (size_t i = 0; i < pending->record_count; i++) {
        pending->records[i].data.data = data;
        data += pending->records[i].data.size;
    }
    const uint8_t *text = pending->texts.data;
    for (size_t i = 0; i < pending->line_count; i++) {
        pending->lines[i].text.data = text;
        text += pending->lines[i].text.size;
    }
    const uint8_t *path = pending->paths.data;
    const struct log_line *line = pending->lines;
    for (size_t i = 0; i < pending->chunk_count; i++) {
        pending->chunks[i].path.data = path;
        path += pending->chunks[i].path.size;
        pending->chunks[i].lines = line;
        line += pending->chunks[i].count;
    }
    batch->records = pending->records;
    batch->record_count = pending->record_count;
    batch->logs = pending->chunks;
    batch->log_count = pending->chunk_count;
}

static void shrink(struct buf *buf)
{
    if (buf->capacity > KEPT_BYTES)
        buf_done(buf);
    else
        buf_clear(buf);
}

void pending_clear(struct pending *pending)
{
    pending->record_count = 0;
    pending->chunk_count = 0;
    pending->line_count = 0;
    shrink(&pending->record_bytes);
    shrink(&pending->paths);
    shrink(&pending->texts);
    if (pending->line_room * sizeof *pending->lines > KEPT_BYTES) {
        free(pending->lines);
        pending->lines = NULL;
        pending->line_room = 0;
    }
}
