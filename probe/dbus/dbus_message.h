/*
 * dbus_message.h - D-Bus messages as bytes: method calls out, replies in.
 *
 * After the D-Bus specification 0.38, "Message Protocol".  Little-endian only: a message bus
 * passes on what its clients write, and both ends of ours run on the same machine.
 *
 *  offset size   message, integers at multiples of their size from the message's start
 *       0    1   'l'
 *       1    1   1 method call, 2 its reply, 3 an error in its place, 4 signal
 *       2    1   flags
 *       3    1   1, the protocol's version
 *       4    4   size of the body
 *       8    4   serial number, not 0
 *      12    4   n, size of the header fields
 *      16    n   fields, each at a multiple of 8: one byte says which, then a variant
 *    16+n        zeroes up to a multiple of 8, then the body
 *
 * Values: u 4 bytes, t 8 bytes, s and o a u for the size, the text and a NUL, g the same with
 * one byte for the size, v a g and the value, a (array) a u for its bytes and the items, r
 * (struct) at a multiple of 8.
 *
 * Nothing here waits or allocates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define DBUS_HEADER_BYTES 16

/* The longest message taken: some 30,000 units in one list.  (The specification allows 128
 * MiB.) */
#define DBUS_MESSAGE_BYTES_MAX ((size_t)8 << 20)

enum dbus_kind { DBUS_CALL = 1, DBUS_REPLY = 2, DBUS_ERROR = 3, DBUS_SIGNAL = 4 };

/* A method call with nothing but texts as arguments. */
struct dbus_call {
    const char *destination; /* NULL: whoever is at the other end */
    struct bytes path;
    const char *interface;
    const char *member;
    const char *arguments[2]; /* the first NULL ends them */
};

/* Appends the call to `out`, which must be empty.  A failed allocation stays in `out`. */
void dbus_write_call(const struct dbus_call *call, uint32_t serial, struct buf *out);

/* How many bytes the message has that begins with these DBUS_HEADER_BYTES.  ERR_MALFORMED,
 * ERR_LIMIT. */
int dbus_message_size(const uint8_t *header, size_t *ret_size);

/* What a message says; points into its bytes. */
struct dbus_message {
    enum dbus_kind kind;
    uint32_t reply_serial; /* 0: answers nothing */
    struct bytes error;    /* name of an error */
    struct bytes signature;
    struct bytes body;
};

/* Takes a whole message apart.  ERR_MALFORMED. */
int dbus_message_read(struct bytes message, struct dbus_message *ret_message);

/* Reads a body value by value.  After the first value that is not there, nothing is: reads
 * yield 0 or no bytes, and `failed` is set. */
struct dbus_reader {
    const uint8_t *start;
    size_t size;
    size_t at;
    bool failed;
};

struct dbus_reader dbus_reader_of(struct bytes body);
uint32_t dbus_u32(struct dbus_reader *reader);
uint64_t dbus_u64(struct dbus_reader *reader);
/* s or o, without its NUL. */
struct bytes dbus_text(struct dbus_reader *reader);
/* g */
struct bytes dbus_signature(struct dbus_reader *reader);
/* Begins an array of structs; what is yielded is the offset at which it ends. */
size_t dbus_array(struct dbus_reader *reader);
/* Is there another struct before `end`?  Then the reader stands at its first member. */
bool dbus_array_next(struct dbus_reader *reader, size_t end);
