/*
 * envelope_write.c - C values into protobuf-c's structures, for packing.
 *
 * Texts are not copied: the structures point at the caller's bytes until they are packed.
 */
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/envelope_parts.h"
#include "proto/wire/packed.h"

int labels_to_wire(const struct label *labels, size_t count, struct arena *arena,
                   Wire__Label ***ret_wire)
{
    Wire__Label **wire = arena_alloc(arena, count, sizeof *wire);
    if (wire == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        wire[i] = message_new(arena, &wire__label__descriptor);
        if (wire[i] == NULL)
            return ERR_NOMEM;
        wire[i]->name = binary_of(labels[i].name);
        wire[i]->value = binary_of(labels[i].value);
    }
    *ret_wire = wire;
    return 0;
}

static int state_to_wire(const struct stream_state *state, struct arena *arena,
                         Wire__StreamState **ret_wire)
{
    Wire__StreamState *wire = message_new(arena, &wire__stream_state__descriptor);
    Wire__Range **ranges = arena_alloc(arena, state->range_count, sizeof *ranges);
    if (wire == NULL || ranges == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < state->range_count; i++) {
        ranges[i] = message_new(arena, &wire__range__descriptor);
        if (ranges[i] == NULL)
            return ERR_NOMEM;
        ranges[i]->first = state->ranges[i].first;
        ranges[i]->last = state->ranges[i].last;
    }
    wire->epoch = state->epoch;
    wire->low_water = state->low_water;
    wire->ranges = ranges;
    wire->n_ranges = state->range_count;
    wire->definition_count = state->definition_count;
    wire->renew = state->renew;
    *ret_wire = wire;
    return 0;
}

static int hello_to_wire(const struct envelope *envelope, struct arena *arena,
                         Wire__Envelope *out)
{
    const struct hello *hello = &envelope->hello;
    Wire__Hello *wire = message_new(arena, &wire__hello__descriptor);
    Wire__StreamOffer **streams = arena_alloc(arena, hello->stream_count, sizeof *streams);
    if (wire == NULL || streams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < hello->stream_count; i++) {
        streams[i] = message_new(arena, &wire__stream_offer__descriptor);
        if (streams[i] == NULL)
            return ERR_NOMEM;
        streams[i]->epoch = hello->streams[i].epoch;
        streams[i]->first_number = hello->streams[i].first_number;
        streams[i]->next_number = hello->streams[i].next_number;
        streams[i]->definition_count = hello->streams[i].definition_count;
    }
    wire->streams = streams;
    wire->n_streams = hello->stream_count;
    wire->protocol = hello->protocol;
    wire->software = binary_of(hello->software);
    wire->boot_id = binary_of(hello->boot_id);
    wire->job = binary_of(hello->job);
    wire->instance = binary_of(hello->instance);
    wire->token = binary_of(hello->token);
    wire->sent_ms = hello->sent_ms;
    wire->interval_ms = hello->interval_ms;
    wire->policy_version = hello->policy_version;
    wire->n_labels = hello->label_count;
    out->hello = wire;
    return labels_to_wire(hello->labels, hello->label_count, arena, &wire->labels);
}

static int resume_to_wire(const struct envelope *envelope, struct arena *arena,
                          Wire__Envelope *out)
{
    const struct resume *resume = &envelope->resume;
    Wire__Resume *wire = message_new(arena, &wire__resume__descriptor);
    Wire__StreamState **streams = arena_alloc(arena, resume->stream_count, sizeof *streams);
    if (wire == NULL || streams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < resume->stream_count; i++) {
        int error = state_to_wire(&resume->streams[i], arena, &streams[i]);
        if (error != 0)
            return error;
    }
    wire->streams = streams;
    wire->n_streams = resume->stream_count;
    wire->standing = (Wire__Resume__Standing)resume->standing;
    wire->collector_ms = resume->collector_ms;
    wire->window_bytes = resume->window_bytes;
    wire->job = binary_of(resume->job);
    wire->instance = binary_of(resume->instance);
    wire->n_labels = resume->label_count;
    wire->accepts = resume->accepts;
    out->resume = wire;
    return labels_to_wire(resume->labels, resume->label_count, arena, &wire->labels);
}

static int definition_to_wire(const struct definition *definition, struct arena *arena,
                              Wire__Definition **ret_wire)
{
    Wire__Definition *wire = message_new(arena, &wire__definition__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->name = binary_of(definition->name);
    wire->type = (Wire__MetricType)definition->type;
    wire->unit = binary_of(definition->unit);
    wire->help = binary_of(definition->help);
    wire->n_labels = definition->label_count;
    *ret_wire = wire;
    return labels_to_wire(definition->labels, definition->label_count, arena, &wire->labels);
}

/* The items as a compressed DefinitionItems.  ERR_LIMIT if that would not be smaller. */
static int pack_definitions(Wire__Definition **items, size_t count, struct arena *arena,
                            Wire__Definitions *wire)
{
    Wire__DefinitionItems all = WIRE__DEFINITION_ITEMS__INIT;
    struct bytes packed;

    all.items = items;
    all.n_items = count;
    size_t size = wire__definition_items__get_packed_size(&all);
    if (size > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    uint8_t *raw = arena_alloc(arena, size + 1, 1);
    if (raw == NULL)
        return ERR_NOMEM;
    must(wire__definition_items__pack(&all, raw) == size);
    int error = packed_make((struct bytes){raw, size}, arena, &packed);
    if (error == 0) {
        wire->packed = binary_of(packed);
        wire->packed_size = size;
    }
    return error;
}

static int definitions_to_wire(const struct envelope *envelope, struct arena *arena,
                               Wire__Envelope *out)
{
    const struct definitions *definitions = &envelope->definitions;
    Wire__Definitions *wire = message_new(arena, &wire__definitions__descriptor);
    Wire__Definition **items = arena_alloc(arena, definitions->count, sizeof *items);
    if (wire == NULL || items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < definitions->count; i++) {
        int error = definition_to_wire(&definitions->items[i], arena, &items[i]);
        if (error != 0)
            return error;
    }
    wire->epoch = definitions->epoch;
    wire->first_ref = definitions->first_ref;
    out->definitions = wire;
    int error = definitions->packed
                    ? pack_definitions(items, definitions->count, arena, wire)
                    : ERR_LIMIT;
    if (error == ERR_LIMIT) {
        wire->items = items;
        wire->n_items = definitions->count;
        error = 0;
    }
    return error;
}

static int batches_to_wire(const struct envelope *envelope, struct arena *arena,
                           Wire__Envelope *out)
{
    return batch_group_to_wire(&envelope->batches, arena, &out->batches);
}

static int gap_to_wire(const struct envelope *envelope, struct arena *arena,
                       Wire__Envelope *out)
{
    Wire__Gap *wire = message_new(arena, &wire__gap__descriptor);
    Wire__Range *numbers = message_new(arena, &wire__range__descriptor);
    if (wire == NULL || numbers == NULL)
        return ERR_NOMEM;
    numbers->first = envelope->gap.numbers.first;
    numbers->last = envelope->gap.numbers.last;
    wire->epoch = envelope->gap.epoch;
    wire->numbers = numbers;
    wire->first_tick_ms = envelope->gap.first_tick_ms;
    wire->last_tick_ms = envelope->gap.last_tick_ms;
    wire->reason = binary_of(envelope->gap.reason);
    out->gap = wire;
    return 0;
}

static int ack_to_wire(const struct envelope *envelope, struct arena *arena,
                       Wire__Envelope *out)
{
    Wire__Ack *wire = message_new(arena, &wire__ack__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->window_bytes = envelope->ack.window_bytes;
    out->ack = wire;
    return state_to_wire(&envelope->ack.stream, arena, &wire->stream);
}

static int policy_to_wire(const struct envelope *envelope, struct arena *arena,
                          Wire__Envelope *out)
{
    Wire__Policy *wire = message_new(arena, &wire__policy__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->version = envelope->policy.version;
    wire->document = binary_of(envelope->policy.document);
    out->policy = wire;
    return 0;
}

static int ping_to_wire(const struct envelope *envelope, struct arena *arena,
                        Wire__Envelope *out)
{
    Wire__Ping *wire = message_new(arena, &wire__ping__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->nonce = envelope->ping.nonce;
    wire->sent_ms = envelope->ping.sent_ms;
    out->ping = wire;
    return 0;
}

static int pong_to_wire(const struct envelope *envelope, struct arena *arena,
                        Wire__Envelope *out)
{
    Wire__Pong *wire = message_new(arena, &wire__pong__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->nonce = envelope->pong.nonce;
    wire->ping_sent_ms = envelope->pong.ping_sent_ms;
    wire->received_ms = envelope->pong.received_ms;
    wire->sent_ms = envelope->pong.sent_ms;
    out->pong = wire;
    return 0;
}

static int need_key_to_wire(const struct envelope *envelope, struct arena *arena,
                            Wire__Envelope *out)
{
    Wire__NeedKey *wire = message_new(arena, &wire__need_key__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->epoch = envelope->need_key.epoch;
    wire->number = envelope->need_key.number;
    wire->definition_count = envelope->need_key.definition_count;
    out->need_key = wire;
    return 0;
}

static int refusal_to_wire(const struct envelope *envelope, struct arena *arena,
                           Wire__Envelope *out)
{
    Wire__Refusal *wire = message_new(arena, &wire__refusal__descriptor);
    if (wire == NULL)
        return ERR_NOMEM;
    wire->reason = (Wire__Refusal__Reason)envelope->refusal.reason;
    wire->text = binary_of(envelope->refusal.text);
    out->refusal = wire;
    return 0;
}

int envelope_to_wire(const struct envelope *envelope, struct arena *arena, Wire__Envelope *wire)
{
    static int (*const writers[])(const struct envelope *, struct arena *, Wire__Envelope *) = {
        [ENVELOPE_HELLO] = hello_to_wire,
        [ENVELOPE_RESUME] = resume_to_wire,
        [ENVELOPE_DEFINITIONS] = definitions_to_wire,
        [ENVELOPE_BATCHES] = batches_to_wire,
        [ENVELOPE_GAP] = gap_to_wire,
        [ENVELOPE_ACK] = ack_to_wire,
        [ENVELOPE_POLICY] = policy_to_wire,
        [ENVELOPE_PING] = ping_to_wire,
        [ENVELOPE_PONG] = pong_to_wire,
        [ENVELOPE_NEED_KEY] = need_key_to_wire,
        [ENVELOPE_REFUSAL] = refusal_to_wire,
    };
    if (writers[envelope->kind] == NULL)
        return 0;
    return writers[envelope->kind](envelope, arena, wire);
}
