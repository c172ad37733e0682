/*
 * envelope_read.c - protobuf-c's structures into C values.
 *
 * The structures lie in the caller's arena, so texts are pointed at, not copied.  Numbers from
 * the future (a standing, a reason, a type that we do not know) become "unknown", never an
 * error.
 */
#include "proto/base/error.h"
#include "proto/wire/envelope_parts.h"
#include "proto/wire/packed.h"

int labels_from_wire(Wire__Label *const *wire, size_t count, struct arena *arena,
                     const struct label **ret_labels)
{
    struct label *labels = arena_alloc(arena, count, sizeof *labels);
    if (labels == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        labels[i] = (struct label){bytes_from(wire[i]->name), bytes_from(wire[i]->value)};
    *ret_labels = labels;
    return 0;
}

static int state_from_wire(const Wire__StreamState *wire, struct arena *arena,
                           struct stream_state *state)
{
    if (wire == NULL)
        return ERR_MALFORMED;
    struct number_range *ranges = arena_alloc(arena, wire->n_ranges, sizeof *ranges);
    if (ranges == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_ranges; i++)
        ranges[i] = (struct number_range){wire->ranges[i]->first, wire->ranges[i]->last};
    *state = (struct stream_state){
        .epoch = wire->epoch,
        .low_water = wire->low_water,
        .ranges = ranges,
        .range_count = wire->n_ranges,
        .definition_count = wire->definition_count,
        .renew = wire->renew,
    };
    return 0;
}

static int hello_from_wire(const Wire__Envelope *from, struct arena *arena,
                           struct envelope *envelope)
{
    const Wire__Hello *wire = from->hello;
    struct hello *hello = &envelope->hello;
    struct stream_offer *streams = arena_alloc(arena, wire->n_streams, sizeof *streams);
    if (streams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_streams; i++) {
        streams[i] = (struct stream_offer){
            .epoch = wire->streams[i]->epoch,
            .first_number = wire->streams[i]->first_number,
            .next_number = wire->streams[i]->next_number,
            .definition_count = wire->streams[i]->definition_count,
        };
    }
    *hello = (struct hello){
        .protocol = wire->protocol,
        .software = bytes_from(wire->software),
        .boot_id = bytes_from(wire->boot_id),
        .job = bytes_from(wire->job),
        .instance = bytes_from(wire->instance),
        .token = bytes_from(wire->token),
        .label_count = wire->n_labels,
        .sent_ms = wire->sent_ms,
        .interval_ms = wire->interval_ms,
        .streams = streams,
        .stream_count = wire->n_streams,
        .policy_version = wire->policy_version,
    };
    return labels_from_wire(wire->labels, wire->n_labels, arena, &hello->labels);
}

static enum standing standing_of(Wire__Resume__Standing standing)
{
    switch (standing) {
    case WIRE__RESUME__STANDING__PENDING:
        return STANDING_PENDING;
    case WIRE__RESUME__STANDING__APPROVED:
        return STANDING_APPROVED;
    default:
        return STANDING_UNKNOWN;
    }
}

static int resume_from_wire(const Wire__Envelope *from, struct arena *arena,
                            struct envelope *envelope)
{
    const Wire__Resume *wire = from->resume;
    struct resume *resume = &envelope->resume;
    struct stream_state *streams = arena_alloc(arena, wire->n_streams, sizeof *streams);
    if (streams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wire->n_streams; i++) {
        int error = state_from_wire(wire->streams[i], arena, &streams[i]);
        if (error != 0)
            return error;
    }
    *resume = (struct resume){
        .standing = standing_of(wire->standing),
        .collector_ms = wire->collector_ms,
        .window_bytes = wire->window_bytes,
        .streams = streams,
        .stream_count = wire->n_streams,
        .job = bytes_from(wire->job),
        .instance = bytes_from(wire->instance),
        .label_count = wire->n_labels,
        .accepts = wire->accepts,
    };
    return labels_from_wire(wire->labels, wire->n_labels, arena, &resume->labels);
}

static enum metric_type type_of(Wire__MetricType type)
{
    return (int)type < 0 || (int)type > METRIC_UNTYPED ? METRIC_UNKNOWN
                                                       : (enum metric_type)type;
}

static int items_from_wire(Wire__Definition *const *wire, size_t count, struct arena *arena,
                           struct definitions *definitions)
{
    if (count > DEFINITIONS_MAX)
        return ERR_LIMIT;
    struct definition *items = arena_alloc(arena, count, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const Wire__Definition *item = wire[i];
        items[i] = (struct definition){
            .name = bytes_from(item->name),
            .label_count = item->n_labels,
            .type = type_of(item->type),
            .unit = bytes_from(item->unit),
            .help = bytes_from(item->help),
        };
        int error = labels_from_wire(item->labels, item->n_labels, arena, &items[i].labels);
        if (error != 0)
            return error;
    }
    definitions->items = items;
    definitions->count = count;
    return 0;
}

/* Definitions that travelled compressed. */
static int packed_definitions(const Wire__Definitions *wire, struct arena *arena,
                              struct definitions *definitions)
{
    struct arena_allocator allocator;
    struct bytes raw;

    if (wire->n_items > 0)
        return ERR_MALFORMED; /* one or the other */
    if (wire->packed_size > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    int error =
        packed_open(bytes_from(wire->packed), (size_t)wire->packed_size, arena, &raw);
    if (error != 0)
        return error;
    if (raw.size != wire->packed_size)
        return ERR_MALFORMED;
    arena_allocator_init(&allocator, arena);
    const Wire__DefinitionItems *items =
        wire__definition_items__unpack(&allocator.pb, raw.size, raw.data);
    if (items == NULL)
        return allocator.failed ? ERR_NOMEM : ERR_MALFORMED;
    return items_from_wire(items->items, items->n_items, arena, definitions);
}

static int definitions_from_wire(const Wire__Envelope *from, struct arena *arena,
                                 struct envelope *envelope)
{
    const Wire__Definitions *wire = from->definitions;
    struct definitions *definitions = &envelope->definitions;

    *definitions = (struct definitions){
        .epoch = wire->epoch, .first_ref = wire->first_ref, .packed = wire->packed.len > 0};
    return definitions->packed
               ? packed_definitions(wire, arena, definitions)
               : items_from_wire(wire->items, wire->n_items, arena, definitions);
}

static int batches_from_wire(const Wire__Envelope *from, struct arena *arena,
                             struct envelope *envelope)
{
    return batch_group_from_wire(from->batches, arena, &envelope->batches);
}

static int gap_from_wire(const Wire__Envelope *from, struct arena *arena,
                         struct envelope *envelope)
{
    const Wire__Gap *wire = from->gap;
    (void)arena;
    if (wire->numbers == NULL)
        return ERR_MALFORMED;
    envelope->gap = (struct gap){
        .epoch = wire->epoch,
        .numbers = {wire->numbers->first, wire->numbers->last},
        .first_tick_ms = wire->first_tick_ms,
        .last_tick_ms = wire->last_tick_ms,
        .reason = bytes_from(wire->reason),
    };
    return 0;
}

static int ack_from_wire(const Wire__Envelope *from, struct arena *arena,
                         struct envelope *envelope)
{
    envelope->ack.window_bytes = from->ack->window_bytes;
    return state_from_wire(from->ack->stream, arena, &envelope->ack.stream);
}

static int policy_from_wire(const Wire__Envelope *from, struct arena *arena,
                            struct envelope *envelope)
{
    (void)arena;
    envelope->policy = (struct policy_push){
        .version = from->policy->version,
        .document = bytes_from(from->policy->document),
    };
    return 0;
}

static int ping_from_wire(const Wire__Envelope *from, struct arena *arena,
                          struct envelope *envelope)
{
    (void)arena;
    envelope->ping = (struct ping){.nonce = from->ping->nonce, .sent_ms = from->ping->sent_ms};
    return 0;
}

static int pong_from_wire(const Wire__Envelope *from, struct arena *arena,
                          struct envelope *envelope)
{
    (void)arena;
    envelope->pong = (struct pong){
        .nonce = from->pong->nonce,
        .ping_sent_ms = from->pong->ping_sent_ms,
        .received_ms = from->pong->received_ms,
        .sent_ms = from->pong->sent_ms,
    };
    return 0;
}

static int need_key_from_wire(const Wire__Envelope *from, struct arena *arena,
                              struct envelope *envelope)
{
    (void)arena;
    envelope->need_key = (struct need_key){
        .epoch = from->need_key->epoch,
        .number = from->need_key->number,
        .definition_count = from->need_key->definition_count,
    };
    return 0;
}

static int refusal_from_wire(const Wire__Envelope *from, struct arena *arena,
                             struct envelope *envelope)
{
    int reason = (int)from->refusal->reason;
    (void)arena;
    envelope->refusal = (struct refusal){
        .reason = reason < 0 || reason > REFUSAL_MALFORMED ? REFUSAL_UNSPECIFIED
                                                           : (enum refusal_reason)reason,
        .text = bytes_from(from->refusal->text),
    };
    return 0;
}

int envelope_from_wire(const Wire__Envelope *wire, struct arena *arena,
                       struct envelope *envelope)
{
    const struct {
        const void *message;
        enum envelope_kind kind;
        int (*read)(const Wire__Envelope *, struct arena *, struct envelope *);
    } kinds[] = {
        {wire->hello, ENVELOPE_HELLO, hello_from_wire},
        {wire->resume, ENVELOPE_RESUME, resume_from_wire},
        {wire->definitions, ENVELOPE_DEFINITIONS, definitions_from_wire},
        {wire->batches, ENVELOPE_BATCHES, batches_from_wire},
        {wire->gap, ENVELOPE_GAP, gap_from_wire},
        {wire->ack, ENVELOPE_ACK, ack_from_wire},
        {wire->policy, ENVELOPE_POLICY, policy_from_wire},
        {wire->ping, ENVELOPE_PING, ping_from_wire},
        {wire->pong, ENVELOPE_PONG, pong_from_wire},
        {wire->need_key, ENVELOPE_NEED_KEY, need_key_from_wire},
        {wire->refusal, ENVELOPE_REFUSAL, refusal_from_wire},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].message == NULL)
            continue;
        if (envelope->kind != ENVELOPE_UNKNOWN)
            return ERR_MALFORMED;
        envelope->kind = kinds[i].kind;
        int error = kinds[i].read(wire, arena, envelope);
        if (error != 0)
            return error;
    }
    return 0;
}
