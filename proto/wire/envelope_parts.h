/*
 * envelope_parts.h - what envelope*.c share.  Internal: the only header that sees protobuf
 * types.
 *
 *     struct envelope --fit--> --write--> Wire__Envelope --pack--> bytes
 *     struct envelope <--fit-- <--read--- Wire__Envelope <-unpack- bytes
 *
 * All memory is the arena's.  Each function returns 0 or an error of error.h.
 */
#pragma once

#include "proto/wire/envelope.h"
#include "wire.pb-c.h"

/* envelope_fit.c: every limit, the same in both directions.  ERR_LIMIT for what is too much,
 * ERR_MALFORMED for what is wrong (text that is no UTF-8, an order that is none). */
int envelope_fit(const struct envelope *envelope);
int labels_fit(const struct label *labels, size_t count, size_t limit);

/* envelope_write.c, envelope_write_batch.c */
int envelope_to_wire(const struct envelope *envelope, struct arena *arena,
                     Wire__Envelope *wire);
int batch_group_to_wire(const struct batch_group *group, struct arena *arena,
                        Wire__BatchGroup **ret_wire);

/* envelope_read.c, envelope_read_batch.c */
int envelope_from_wire(const Wire__Envelope *wire, struct arena *arena,
                       struct envelope *envelope);
int batch_group_from_wire(const Wire__BatchGroup *wire, struct arena *arena,
                          struct batch_group *group);

/* A message with its defaults set, or NULL. */
static inline void *message_new(struct arena *arena,
                                const ProtobufCMessageDescriptor *descriptor)
{
    void *message = arena_alloc(arena, 1, descriptor->sizeof_message);
    if (message != NULL)
        protobuf_c_message_init(descriptor, message);
    return message;
}

static inline ProtobufCBinaryData binary_of(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)bytes.data};
}

static inline struct bytes bytes_from(ProtobufCBinaryData binary)
{
    return (struct bytes){binary.data, binary.len};
}

int labels_to_wire(const struct label *labels, size_t count, struct arena *arena,
                   Wire__Label ***ret_wire);
int labels_from_wire(Wire__Label *const *wire, size_t count, struct arena *arena,
                     const struct label **ret_labels);

/* A ProtobufCAllocator over an arena: frees nothing, and remembers that it ran dry, because
 * protobuf-c cannot tell "malformed" from "out of memory". */
struct arena_allocator {
    ProtobufCAllocator pb;
    struct arena *arena;
    bool failed;
};
void arena_allocator_init(struct arena_allocator *allocator, struct arena *arena);
