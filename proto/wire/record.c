/*
 * record.c - process tables, events and inventories, as protobuf messages of wire.proto.
 */
#include "proto/wire/record.h"

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"
#include "proto/wire/envelope_parts.h"

/* ---- limits, shared by both directions ------------------------------------------------- */

static int rows_fit(const struct process_table *table)
{
    if (table->count > PROCESS_ROWS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < table->count; i++) {
        const struct process_row *row = &table->rows[i];
        if (row->user.size > NAME_BYTES_MAX || row->name.size > NAME_BYTES_MAX ||
            row->group.size > NAME_BYTES_MAX || row->command_line.size > HELP_BYTES_MAX ||
            row->ports.size > NAME_BYTES_MAX || row->start_ms < 0)
            return ERR_LIMIT;
    }
    return 0;
}

static int event_fit(const struct wire_event *event)
{
    if (event->kind.size == 0 || event->kind.size > NAME_BYTES_MAX ||
        event->text.size > HELP_BYTES_MAX)
        return ERR_LIMIT;
    if (!utf8_is_valid(event->kind) || !utf8_is_valid(event->text))
        return ERR_MALFORMED;
    return labels_fit(event->labels, event->label_count, SERIES_LABELS_MAX);
}

/* ---- both directions, for any message -------------------------------------------------- */

static int pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > RECORD_BYTES_MAX)
        return ERR_LIMIT;
    if (size == 0)
        return 0;
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL)
        return ERR_NOMEM;
    must(protobuf_c_message_pack(message, to) == size);
    out->size += size;
    return 0;
}

static int unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes data,
                  struct arena *arena, const void **ret_message)
{
    struct arena_allocator allocator;

    if (data.size > RECORD_BYTES_MAX)
        return ERR_LIMIT;
    arena_allocator_init(&allocator, arena);
    const void *message =
        protobuf_c_message_unpack(descriptor, &allocator.pb, data.size, data.data);
    if (message == NULL)
        return allocator.failed ? ERR_NOMEM : ERR_MALFORMED;
    *ret_message = message;
    return 0;
}

/* ---- process tables -------------------------------------------------------------------- */

int record_encode_processes(const struct process_table *table, struct arena *arena,
                            struct buf *out)
{
    Wire__ProcessTable wire = WIRE__PROCESS_TABLE__INIT;

    int error = rows_fit(table);
    if (error != 0)
        return error;
    wire.rows = arena_alloc(arena, table->count, sizeof *wire.rows);
    if (wire.rows == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < table->count; i++) {
        const struct process_row *row = &table->rows[i];
        Wire__ProcessRow *to = message_new(arena, &wire__process_row__descriptor);
        if (to == NULL)
            return ERR_NOMEM;
        to->pid = row->pid;
        to->user = binary_of(row->user);
        to->name = binary_of(row->name);
        to->command_line = binary_of(row->command_line);
        to->group = binary_of(row->group);
        to->cpu_seconds_per_second = row->cpu_seconds_per_second;
        to->resident_bytes = row->resident_bytes;
        to->read_bytes_per_second = row->read_bytes_per_second;
        to->write_bytes_per_second = row->write_bytes_per_second;
        to->start_ms = (uint64_t)row->start_ms;
        to->ports = binary_of(row->ports);
        wire.rows[i] = to;
    }
    wire.n_rows = table->count;
    wire.process_count = table->process_count;
    return pack(&wire.base, out);
}

static struct process_row row_from_wire(const Wire__ProcessRow *wire)
{
    return (struct process_row){
        .pid = wire->pid,
        .user = bytes_from(wire->user),
        .name = bytes_from(wire->name),
        .command_line = bytes_from(wire->command_line),
        .group = bytes_from(wire->group),
        .cpu_seconds_per_second = wire->cpu_seconds_per_second,
        .resident_bytes = wire->resident_bytes,
        .read_bytes_per_second = wire->read_bytes_per_second,
        .write_bytes_per_second = wire->write_bytes_per_second,
        .start_ms = (int64_t)wire->start_ms,
        .ports = bytes_from(wire->ports),
    };
}

int record_decode_processes(struct bytes data, struct arena *arena,
                            struct process_table *ret_table)
{
    const void *message;

    int error = unpack(&wire__process_table__descriptor, data, arena, &message);
    if (error != 0)
        return error;
    const Wire__ProcessTable *wire = message;
    struct process_row *rows = arena_alloc(arena, wire->n_rows, sizeof *rows);
    if (rows == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_rows; i++)
        rows[i] = row_from_wire(wire->rows[i]);
    struct process_table table = {rows, wire->n_rows, wire->process_count};
    error = rows_fit(&table);
    if (error == 0)
        *ret_table = table;
    return error;
}

/* ---- events ---------------------------------------------------------------------------- */

int record_encode_event(const struct wire_event *event, struct arena *arena, struct buf *out)
{
    Wire__Event wire = WIRE__EVENT__INIT;

    int error = event_fit(event);
    if (error == 0)
        error = labels_to_wire(event->labels, event->label_count, arena, &wire.labels);
    if (error != 0)
        return error;
    wire.n_labels = event->label_count;
    wire.kind = binary_of(event->kind);
    wire.text = binary_of(event->text);
    return pack(&wire.base, out);
}

int record_decode_event(struct bytes data, struct arena *arena, struct wire_event *ret_event)
{
    const void *message;
    struct wire_event event = {0};

    int error = unpack(&wire__event__descriptor, data, arena, &message);
    if (error != 0)
        return error;
    const Wire__Event *wire = message;
    error = labels_from_wire(wire->labels, wire->n_labels, arena, &event.labels);
    event.label_count = wire->n_labels;
    event.kind = bytes_from(wire->kind);
    event.text = bytes_from(wire->text);
    if (error == 0)
        error = event_fit(&event);
    if (error == 0)
        *ret_event = event;
    return error;
}

/* ---- inventory ------------------------------------------------------------------------- */

int record_encode_inventory(const struct label *facts, size_t count, struct arena *arena,
                            struct buf *out)
{
    Wire__Inventory wire = WIRE__INVENTORY__INIT;

    int error = labels_fit(facts, count, INVENTORY_FACTS_MAX);
    if (error == 0)
        error = labels_to_wire(facts, count, arena, &wire.facts);
    if (error != 0)
        return error;
    wire.n_facts = count;
    return pack(&wire.base, out);
}

int record_decode_inventory(struct bytes data, struct arena *arena,
                            const struct label **ret_facts, size_t *ret_count)
{
    const void *message;
    const struct label *facts;

    int error = unpack(&wire__inventory__descriptor, data, arena, &message);
    if (error != 0)
        return error;
    const Wire__Inventory *wire = message;
    error = labels_from_wire(wire->facts, wire->n_facts, arena, &facts);
    if (error == 0)
        error = labels_fit(facts, wire->n_facts, INVENTORY_FACTS_MAX);
    if (error != 0)
        return error;
    *ret_facts = facts;
    *ret_count = wire->n_facts;
    return 0;
}
