#include "proto/base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 256

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = (struct buf){.limit = limit_bytes};
}

void buf_done(struct buf *buf)
{
    if (buf == NULL)
        return;
    free(buf->data);
    arena_total_release(buf->total, buf->capacity);
    *buf = (struct buf){.limit = buf->limit, .total = buf->total};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->total_refused = false;
}

/* Counts what `capacity` is more than there is; false: that cannot be had. */
static bool count(struct buf *buf, size_t capacity)
{
    struct arena_total *full = arena_total_take(buf->total, capacity - buf->capacity);
    buf->total_refused = full != NULL && full->parent == NULL;
    return full == NULL;
}

static bool grow(struct buf *buf, size_t need)
{
    size_t capacity = buf->capacity == 0 ? FIRST_BYTES : buf->capacity;

    if (need > SIZE_MAX / 2 || (buf->limit != 0 && need > buf->limit))
        return false;
    while (capacity < need)
        capacity *= 2;
    if (buf->limit != 0 && capacity > buf->limit)
        capacity = buf->limit;
    if (!count(buf, capacity)) { /* doubled may be too much where what is needed is not */
        capacity = buf->limit != 0 && need + need / 8 > buf->limit ? buf->limit : need + need / 8;
        if (!count(buf, capacity))
            return false;
    }
    uint8_t *data = realloc(buf->data, capacity);
    if (data == NULL) {
        arena_total_release(buf->total, capacity - buf->capacity);
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t size)
{
    if (buf->failed)
        return NULL;
    size_t need;
    if (__builtin_add_overflow(buf->size, size, &need) ||
        (need > buf->capacity && !grow(buf, need)) ||
        (buf->limit != 0 && need > buf->limit)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data == NULL ? NULL : buf->data + buf->size;
}

void buf_put(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *to = buf_reserve(buf, size);
    if (to == NULL)
        return;
    memcpy(to, data, size);
    buf->size += size;
}

void buf_put_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_put_char(struct buf *buf, char c)
{
    buf_put(buf, &c, 1);
}

void buf_put_u8(struct buf *buf, uint8_t value)
{
    buf_put(buf, &value, 1);
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
    value = htole32(value);
    buf_put(buf, &value, sizeof value);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    value = htole64(value);
    buf_put(buf, &value, sizeof value);
}

void buf_put_varint(struct buf *buf, uint64_t value)
{
    uint8_t *to = buf_reserve(buf, 10);
    if (to == NULL)
        return;
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (uint8_t)value;
    buf->size += n;
}

void buf_put_zigzag(struct buf *buf, int64_t value)
{
    buf_put_varint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void buf_put_sized(struct buf *buf, struct bytes bytes)
{
    buf_put_varint(buf, bytes.size);
    buf_put(buf, bytes.data, bytes.size);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        uint8_t *to = buf_reserve(buf, (size_t)length + 1);
        if (to != NULL) {
            (void)vsnprintf((char *)to, (size_t)length + 1, format, again);
            buf->size += (size_t)length;
        }
    } else {
        buf->failed = true;
    }
    va_end(again);
}

const char *buf_text(struct buf *buf)
{
    uint8_t *to = buf_reserve(buf, 1);
    if (to == NULL)
        return "";
    *to = '\0';
    return (const char *)buf->data;
}

uint8_t reader_u8(struct reader *reader)
{
    if (reader->at == reader->end) {
        reader->failed = true;
        return 0;
    }
    return *reader->at++;
}

struct bytes reader_bytes(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader_left(reader)) {
        reader->failed = true;
        reader->at = reader->end;
        return (struct bytes){NULL, 0};
    }
    struct bytes bytes = {reader->at, size};
    if (size > 0)
        reader->at += size;
    return bytes;
}

uint32_t reader_u32(struct reader *reader)
{
    uint32_t value = 0;
    struct bytes bytes = reader_bytes(reader, sizeof value);
    if (bytes.size != sizeof value)
        return 0;
    memcpy(&value, bytes.data, sizeof value);
    return le32toh(value);
}

uint64_t reader_u64(struct reader *reader)
{
    uint64_t value = 0;
    struct bytes bytes = reader_bytes(reader, sizeof value);
    if (bytes.size != sizeof value)
        return 0;
    memcpy(&value, bytes.data, sizeof value);
    return le64toh(value);
}

uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(reader);
        if (reader->failed)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

int64_t reader_zigzag(struct reader *reader)
{
    uint64_t value = reader_varint(reader);
    return (int64_t)((value >> 1) ^ (~(value & 1) + 1));
}

struct bytes reader_sized(struct reader *reader)
{
    uint64_t size = reader_varint(reader);
    if (reader->failed || size > reader_left(reader)) {
        reader->failed = true;
        return (struct bytes){NULL, 0};
    }
    return reader_bytes(reader, (size_t)size);
}
