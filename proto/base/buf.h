/*
 * buf.h - a growing run of bytes one owner writes to, and the integers of our formats.
 *
 * A failed allocation is remembered, not returned by every put: the writer checks buf_ok() once,
 * at the end.  After a failure all further puts do nothing.
 *
 * What it has room for may count in a total (arena.h), set by the owner while the buffer is empty;
 * where that has nothing left, growing is a failure.
 *
 * Integers: fixed ones are little-endian; varints are LEB128 (protobuf's), signed ones zigzag.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit; /* 0: none; otherwise growing past it is a failure */
    struct arena_total *total; /* that `capacity` counts in; NULL: none */
    bool failed;
    bool total_refused; /* it failed because of the outermost total */
};

/* An empty buffer holds no memory: `struct buf b = {0};` is the same. */
void buf_init(struct buf *buf, size_t limit_bytes);

/* Frees the memory and leaves an empty buffer with the same limit and total.  NULL is allowed. */
void buf_done(struct buf *buf);

/* Forgets the content and a failure, keeps the memory. */
void buf_clear(struct buf *buf);

static inline bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){buf->data, buf->size};
}

/* Room for `size` more bytes at data+size, not yet counted in size; NULL on failure. */
uint8_t *buf_reserve(struct buf *buf, size_t size);

void buf_put(struct buf *buf, const void *data, size_t size);
void buf_put_text(struct buf *buf, const char *text);
void buf_put_char(struct buf *buf, char c);
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_varint(struct buf *buf, uint64_t value);
void buf_put_zigzag(struct buf *buf, int64_t value);
/* A varint length, then the bytes. */
void buf_put_sized(struct buf *buf, struct bytes bytes);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the content with a NUL that is not counted in size, and returns it as a string; "" after
 * a failure.  Valid until the next put. */
const char *buf_text(struct buf *buf);

/* Reads from the front of a run of bytes.  Past the end every read yields 0 and sets failed, so
 * a decoder checks once, at the end; it must still bound its loops by counts it has checked. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    /* NULL + 0 is undefined in C. */
    const uint8_t *end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
    return (struct reader){bytes.data, end, false};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

uint8_t reader_u8(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
/* More than ten bytes, or bits past the 64th, fail. */
uint64_t reader_varint(struct reader *reader);
int64_t reader_zigzag(struct reader *reader);
/* `size` bytes in place; an empty run on failure. */
struct bytes reader_bytes(struct reader *reader, size_t size);
/* What buf_put_sized() wrote. */
struct bytes reader_sized(struct reader *reader);
