/*
 * remote_wire.h - protobuf's bytes, as the parsers of remote write read them: bounded, in place,
 * and without an allocation.
 *
 * Every call moves *at behind what it read, and never past `end`; false: the bytes do not parse.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/http/remote_parse.h"
#include "proto/base/bytes.h"

/* A field's key byte: number << 3 | wire type.  All of this schema's fit one byte. */
#define FIELD(number, type) (((number) << 3) | (type))
enum wire_type { WIRE_VARINT, WIRE_FIXED64, WIRE_SIZED, WIRE_FIXED32 = 5 };

static inline bool remote_read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    const uint8_t *p = *at;
    if (p < end && *p < 0x80) {
        *ret_value = *p;
        *at = p + 1;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            *at = p;
            return true;
        }
    }
    return false;
}

static inline bool remote_read_sized(const uint8_t **at, const uint8_t *end,
                                     struct bytes *ret_bytes)
{
    uint64_t size = 0;
    if (!remote_read_varint(at, end, &size) || size > (uint64_t)(end - *at))
        return false;
    *ret_bytes = (struct bytes){*at, (size_t)size};
    *at += size;
    return true;
}

static inline bool remote_skip_field(const uint8_t **at, const uint8_t *end, uint64_t key)
{
    uint64_t ignored = 0;
    struct bytes bytes;
    if (key >> 3 == 0)
        return false;
    switch (key & 7) {
    case WIRE_VARINT:
        return remote_read_varint(at, end, &ignored);
    case WIRE_FIXED64:
        if (end - *at < 8)
            return false;
        *at += 8;
        return true;
    case WIRE_SIZED:
        return remote_read_sized(at, end, &bytes);
    case WIRE_FIXED32:
        if (end - *at < 4)
            return false;
        *at += 4;
        return true;
    default: /* groups: nothing of this schema's age has them */
        return false;
    }
}

/* What both messages have alike (remote_parse.c). */
int remote_add_sample(struct remote_message *message, struct bytes bytes);
int remote_add_series(struct remote_message *message, struct bytes bytes);
int remote_add_metadata(struct remote_message *message, const struct remote_metadata *item);
enum metric_type remote_metric_type(uint64_t number);
/* Room for one more item in an array that doubles.  ERR_LIMIT, ERR_NOMEM. */
int remote_make_room(void **items, size_t count, size_t *capacity, size_t size, size_t limit);
