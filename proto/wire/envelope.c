/*
 * envelope.c - one message: limits, then conversion, then bytes; and the same way back.
 *
 * The order is the point.  A length is checked before anything is parsed, parsing allocates
 * from an arena that has a ceiling, and what was parsed passes the very function that the
 * sender's values passed.
 */
#include "proto/wire/envelope.h"

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/envelope_parts.h"

/* Compressed lines are opened while reading; what they were before is bounded by the same
 * total. */
_Static_assert(2 * BATCH_PLAIN_BYTES_MAX <= ENVELOPE_BYTES_MAX, "any batch fits an envelope");

static void *allocate(void *context, size_t size)
{
    struct arena_allocator *allocator = context;
    void *memory = arena_alloc(allocator->arena, size, 1);
    if (memory == NULL)
        allocator->failed = true;
    return memory;
}

static void release(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

void arena_allocator_init(struct arena_allocator *allocator, struct arena *arena)
{
    *allocator = (struct arena_allocator){
        .pb = {.alloc = allocate, .free = release, .allocator_data = allocator},
        .arena = arena,
    };
}

int envelope_encode(const struct envelope *envelope, struct arena *arena, struct buf *out)
{
    Wire__Envelope wire = WIRE__ENVELOPE__INIT;

    int error = envelope_fit(envelope);
    if (error == 0)
        error = envelope_to_wire(envelope, arena, &wire);
    if (error != 0)
        return error;
    size_t size = wire__envelope__get_packed_size(&wire);
    if (size > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    if (size == 0) /* a message from the future, with nothing in it */
        return 0;
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL)
        return ERR_NOMEM;
    must(wire__envelope__pack(&wire, to) == size);
    out->size += size;
    return 0;
}

int envelope_decode(struct bytes message, struct arena *arena, struct envelope *ret_envelope)
{
    struct arena_allocator allocator;
    struct envelope envelope = {.kind = ENVELOPE_UNKNOWN};

    if (message.size > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    arena_allocator_init(&allocator, arena);
    const Wire__Envelope *wire =
        wire__envelope__unpack(&allocator.pb, message.size, message.data);
    if (wire == NULL)
        return allocator.failed ? ERR_NOMEM : ERR_MALFORMED;
    int error = envelope_from_wire(wire, arena, &envelope);
    if (error == 0)
        error = envelope_fit(&envelope);
    if (error != 0)
        return error;
    *ret_envelope = envelope;
    return 0;
}
