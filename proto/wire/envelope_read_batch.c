/*
 * envelope_read_batch.c - batches out of protobuf-c's structures.
 */
#include "proto/base/error.h"
#include "proto/wire/envelope_parts.h"
#include "proto/wire/packed.h"

static int columns_from_wire(const Wire__SampleColumns *wire, struct coded_columns *columns)
{
    if (wire == NULL)
        return ERR_MALFORMED;
    *columns = (struct coded_columns){
        .coding = (enum columns_coding)wire->coding,
        .count = wire->count,
        .base_number = wire->base_number,
        .compression = wire->compression,
        .data = bytes_from(wire->data),
    };
    return 0;
}

static int late_from_wire(const Wire__Batch *wire, struct arena *arena,
                          struct coded_batch *batch)
{
    struct coded_late *late = arena_alloc(arena, wire->n_late, sizeof *late);
    if (late == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_late; i++) {
        late[i].offset_ms = wire->late[i]->offset_ms;
        int error = columns_from_wire(wire->late[i]->samples, &late[i].samples);
        if (error != 0)
            return error;
    }
    batch->late = late;
    batch->late_count = wire->n_late;
    return 0;
}

static int lines_from_wire(Wire__LogLine *const *wire, size_t count, struct arena *arena,
                           struct log_chunk *chunk)
{
    struct log_line *lines = arena_alloc(arena, count, sizeof *lines);
    if (lines == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        lines[i] = (struct log_line){
            .offset = wire[i]->offset,
            .ts_ms = wire[i]->ts_ms,
            .severity = wire[i]->severity,
            .flags = wire[i]->flags,
            .text = bytes_from(wire[i]->text),
        };
    }
    chunk->lines = lines;
    chunk->count = count;
    return 0;
}

/* Lines that travelled compressed. */
static int packed_lines(const Wire__LogChunk *wire, struct arena *arena,
                        struct log_chunk *chunk)
{
    struct arena_allocator allocator;
    struct bytes raw;

    if (wire->n_lines > 0)
        return ERR_MALFORMED;
    if (wire->data_size > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    int error = packed_open(bytes_from(wire->data), (size_t)wire->data_size, arena, &raw);
    if (error != 0)
        return error;
    if (raw.size != wire->data_size)
        return ERR_MALFORMED;
    arena_allocator_init(&allocator, arena);
    const Wire__LogLines *lines = wire__log_lines__unpack(&allocator.pb, raw.size, raw.data);
    if (lines == NULL)
        return allocator.failed ? ERR_NOMEM : ERR_MALFORMED;
    return lines_from_wire(lines->lines, lines->n_lines, arena, chunk);
}

static int logs_from_wire(const Wire__Batch *wire, struct arena *arena,
                          struct coded_batch *batch)
{
    struct log_chunk *logs = arena_alloc(arena, wire->n_logs, sizeof *logs);
    if (logs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_logs; i++) {
        const Wire__LogChunk *chunk = wire->logs[i];
        logs[i].file_id = chunk->file_id;
        logs[i].path = bytes_from(chunk->path);
        int error = chunk->data.len > 0
                        ? packed_lines(chunk, arena, &logs[i])
                        : lines_from_wire(chunk->lines, chunk->n_lines, arena, &logs[i]);
        if (error != 0)
            return error;
    }
    batch->logs = logs;
    batch->log_count = wire->n_logs;
    return 0;
}

static int records_from_wire(const Wire__Batch *wire, struct arena *arena,
                             struct coded_batch *batch)
{
    struct record *records = arena_alloc(arena, wire->n_records, sizeof *records);
    if (records == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_records; i++) {
        records[i] = (struct record){
            .kind = wire->records[i]->kind,
            .ts_ms = wire->records[i]->ts_ms,
            .data = bytes_from(wire->records[i]->data),
        };
        if (wire->records[i]->packed.len > 0) {
            if (records[i].data.size > 0)
                return ERR_MALFORMED; /* one or the other */
            int error = packed_open(bytes_from(wire->records[i]->packed), RECORD_BYTES_MAX,
                                    arena, &records[i].data);
            if (error != 0)
                return error;
        }
    }
    batch->records = records;
    batch->record_count = wire->n_records;
    return 0;
}

/* Every entry takes at least a byte, so the bytes bound the allocation. */
static int ended_from_wire(const Wire__Batch *wire, struct arena *arena,
                           struct coded_batch *batch)
{
    struct reader reader = reader_of(bytes_from(wire->ended));
    size_t count = 0;

    uint64_t *ended = arena_alloc(arena, wire->ended.len, sizeof *ended);
    if (ended == NULL)
        return ERR_NOMEM;
    while (reader_left(&reader) > 0) {
        uint64_t delta = reader_varint(&reader);
        if (reader.failed || delta >= REFS_MAX)
            return ERR_MALFORMED;
        ended[count] = count == 0 ? delta : ended[count - 1] + delta;
        count++;
    }
    batch->ended = ended;
    batch->ended_count = count;
    return 0;
}

static int batch_from_wire(const Wire__Batch *wire, struct arena *arena,
                           struct coded_batch *batch)
{
    batch->number = wire->number;
    batch->definition_count = wire->definition_count;
    batch->tick_ms = wire->tick_ms;
    batch->content_hash = wire->content_hash;
    int error = columns_from_wire(wire->samples, &batch->samples);
    if (error == 0)
        error = late_from_wire(wire, arena, batch);
    if (error == 0)
        error = logs_from_wire(wire, arena, batch);
    if (error == 0)
        error = records_from_wire(wire, arena, batch);
    if (error == 0)
        error = ended_from_wire(wire, arena, batch);
    return error;
}

int batch_group_from_wire(const Wire__BatchGroup *wire, struct arena *arena,
                          struct batch_group *group)
{
    struct coded_batch *items = arena_alloc(arena, wire->n_items, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_items; i++) {
        int error = batch_from_wire(wire->items[i], arena, &items[i]);
        if (error != 0)
            return error;
    }
    *group = (struct batch_group){.epoch = wire->epoch, .items = items, .count = wire->n_items};
    return 0;
}
