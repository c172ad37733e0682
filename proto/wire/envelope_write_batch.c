/*
 * envelope_write_batch.c - batches into protobuf-c's structures.
 *
 * Log lines are compressed as one block a chunk where that saves an eighth; else they travel as
 * they are.
 */
#include "proto/base/error.h"
#include "proto/wire/envelope_parts.h"
#include "proto/wire/packed.h"

static size_t varint_put(uint8_t *to, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        to[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[size++] = (uint8_t)value;
    return size;
}

static int columns_to_wire(const struct coded_columns *columns, struct arena *arena,
                           Wire__SampleColumns **ret_wire)
{
    Wire__SampleColumns *wire = message_new(arena, &wire__sample_columns__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->coding = (Wire__SampleColumns__Coding)columns->coding;
    wire->count = columns->count;
    wire->base_number = columns->base_number;
    wire->data = binary_of(columns->data);
    wire->compression = columns->compression;
    *ret_wire = wire;
    return 0;
}

static int late_to_wire(const struct coded_batch *batch, struct arena *arena, Wire__Batch *wire)
{
    Wire__Late **late = arena_alloc(arena, batch->late_count, sizeof *late);
    if (late == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < batch->late_count; i++) {
        late[i] = message_new(arena, &wire__late__descriptor);
        if (late[i] == NULL)
            return ERR_NOMEM;
        late[i]->offset_ms = batch->late[i].offset_ms;
        int error = columns_to_wire(&batch->late[i].samples, arena, &late[i]->samples);
        if (error != 0)
            return error;
    }
    wire->late = late;
    wire->n_late = batch->late_count;
    return 0;
}

/* One line as the field `lines` of LogLines, written by hand: a structure for each of some ten
 * thousand lines would take more memory than the lines. */
static void put_line(struct buf *out, const struct log_line *line)
{
    uint8_t head[64];
    size_t size = 0;

    head[size++] = 1 << 3; /* offset */
    size += varint_put(head + size, line->offset);
    head[size++] = 2 << 3; /* ts_ms */
    size +=
        varint_put(head + size, ((uint64_t)line->ts_ms << 1) ^ (uint64_t)(line->ts_ms >> 63));
    head[size++] = 3 << 3; /* severity */
    size += varint_put(head + size, line->severity);
    head[size++] = 5 << 3; /* flags */
    size += varint_put(head + size, line->flags);
    head[size++] = 4 << 3 | 2; /* text */
    size += varint_put(head + size, line->text.size);
    buf_put_u8(out, 1 << 3 | 2);
    buf_put_varint(out, size + line->text.size);
    buf_put(out, head, size);
    buf_put(out, line->text.data, line->text.size);
}

/* The lines as a compressed LogLines.  ERR_LIMIT if that would not be smaller. */
static int pack_lines(const struct log_chunk *chunk, struct arena *arena, Wire__LogChunk *wire)
{
    struct buf raw;
    struct bytes packed;

    buf_init(&raw, 2 * ENVELOPE_BYTES_MAX);
    for (size_t i = 0; i < chunk->count; i++)
        put_line(&raw, &chunk->lines[i]);
    int error = buf_ok(&raw) ? packed_make(buf_bytes(&raw), arena, &packed) : ERR_NOMEM;
    if (error == 0) {
        wire->data = binary_of(packed);
        wire->data_size = raw.size;
    }
    buf_done(&raw);
    return error;
}

static int lines_to_wire(const struct log_chunk *chunk, struct arena *arena,
                         Wire__LogChunk *chunk_wire)
{
    Wire__LogLine **wire = arena_alloc(arena, chunk->count, sizeof *wire);
    if (wire == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < chunk->count; i++) {
        wire[i] = message_new(arena, &wire__log_line__descriptor);
        if (wire[i] == NULL)
            return ERR_NOMEM;
        wire[i]->offset = chunk->lines[i].offset;
        wire[i]->ts_ms = chunk->lines[i].ts_ms;
        wire[i]->severity = chunk->lines[i].severity;
        wire[i]->text = binary_of(chunk->lines[i].text);
        wire[i]->flags = chunk->lines[i].flags;
    }
    chunk_wire->lines = wire;
    chunk_wire->n_lines = chunk->count;
    return 0;
}

static int logs_to_wire(const struct coded_batch *batch, struct arena *arena, Wire__Batch *wire)
{
    Wire__LogChunk **logs = arena_alloc(arena, batch->log_count, sizeof *logs);
    if (logs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < batch->log_count; i++) {
        logs[i] = message_new(arena, &wire__log_chunk__descriptor);
        if (logs[i] == NULL)
            return ERR_NOMEM;
        logs[i]->file_id = batch->logs[i].file_id;
        logs[i]->path = binary_of(batch->logs[i].path);
        int error = pack_lines(&batch->logs[i], arena, logs[i]);
        if (error == ERR_LIMIT)
            error = lines_to_wire(&batch->logs[i], arena, logs[i]);
        if (error != 0)
            return error;
    }
    wire->logs = logs;
    wire->n_logs = batch->log_count;
    return 0;
}

static int records_to_wire(const struct coded_batch *batch, struct arena *arena,
                           Wire__Batch *wire)
{
    Wire__Record **records = arena_alloc(arena, batch->record_count, sizeof *records);
    if (records == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < batch->record_count; i++) {
        records[i] = message_new(arena, &wire__record__descriptor);
        if (records[i] == NULL)
            return ERR_NOMEM;
        records[i]->kind = batch->records[i].kind;
        records[i]->ts_ms = batch->records[i].ts_ms;
        struct bytes packed;
        int error = packed_make(batch->records[i].data, arena, &packed);
        if (error == 0)
            records[i]->packed = binary_of(packed);
        else if (error == ERR_LIMIT)
            records[i]->data = binary_of(batch->records[i].data);
        else
            return error;
    }
    wire->records = records;
    wire->n_records = batch->record_count;
    return 0;
}

/* The first ref, then deltas, each at most four bytes because REFS_MAX has 24 bits. */
static int ended_to_wire(const struct coded_batch *batch, struct arena *arena,
                         Wire__Batch *wire)
{
    uint8_t *data = arena_alloc(arena, batch->ended_count, 4);
    size_t size = 0;
    if (data == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < batch->ended_count; i++)
        size += varint_put(data + size,
                           i == 0 ? batch->ended[0] : batch->ended[i] - batch->ended[i - 1]);
    wire->ended = binary_of((struct bytes){data, size});
    return 0;
}

static int batch_to_wire(const struct coded_batch *batch, struct arena *arena,
                         Wire__Batch **ret_wire)
{
    Wire__Batch *wire = message_new(arena, &wire__batch__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->number = batch->number;
    wire->definition_count = batch->definition_count;
    wire->tick_ms = batch->tick_ms;
    wire->content_hash = batch->content_hash;
    int error = columns_to_wire(&batch->samples, arena, &wire->samples);
    if (error == 0)
        error = late_to_wire(batch, arena, wire);
    if (error == 0)
        error = logs_to_wire(batch, arena, wire);
    if (error == 0)
        error = records_to_wire(batch, arena, wire);
    if (error == 0)
        error = ended_to_wire(batch, arena, wire);
    *ret_wire = wire;
    return error;
}

int batch_group_to_wire(const struct batch_group *group, struct arena *arena,
                        Wire__BatchGroup **ret_wire)
{
    Wire__BatchGroup *wire = message_new(arena, &wire__batch_group__descriptor);
    Wire__Batch **items = arena_alloc(arena, group->count, sizeof *items);
    if (wire == NULL || items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < group->count; i++) {
        int error = batch_to_wire(&group->items[i], arena, &items[i]);
        if (error != 0)
            return error;
    }
    wire->epoch = group->epoch;
    wire->items = items;
    wire->n_items = group->count;
    *ret_wire = wire;
    return 0;
}
