/*
 * span_group.c - many small entries as one run of bytes.
 *
 *   group     u8 coding | varint raw size | raw, or raw in zstd (codings 1 and 3)
 *   raw, codings 0 and 1:   varint n | n x varint entry size | entries
 *   raw, codings 2 and 3:   varint n
 *                           u8 planes p, 1..4 | p x n bytes: the lowest bytes of the n shapes,
 *                           then the next ones...
 *                           the first byte of every entry that has one, the second ones, ...
 *                           up to HEAD_BYTES
 *                           what is left of the entries, one after the other
 *   shape     2 * size + 1: an entry of one chunk whose count and size are left out: they follow
 *             2 * size:     any other entry
 *
 * Entries of chunks begin much alike: format, count, first time, interval, coding.  Side by side
 * those bytes are runs; the bodies behind them are entropy-coded already, and zstd passes them
 * by at the speed of a copy.  Label sets are left as they are, because what they share stands at
 * other places.
 */
#include <string.h>
#include <zstd.h>

#include "collector/store/span_file.h"
#include "proto/base/error.h"

/* Finds the columns that repeat others, a fifth of the time a level higher would take. */
#define CHUNKS_ZSTD_LEVEL 6
#define LABELS_ZSTD_LEVEL 9
#define HEAD_BYTES        24
#define PLANES_MAX        4
/* Saving less than this share is not worth unpacking it on every read. */
#define WORTH_SHARE 64

enum group_coding { GROUP_PLAIN, GROUP_ZSTD, GROUP_COLUMNS, GROUP_COLUMNS_ZSTD };

/* ---- packing --------------------------------------------------------------------------- */

/* Is it one chunk, of the size that is left?  Then what follows the size. */
static bool take_single(struct bytes entry, struct bytes *ret_chunk)
{
    struct reader reader = reader_of(entry);
    bool single = reader_varint(&reader) == 1;
    uint64_t size = reader_varint(&reader);
    if (!single || reader.failed || size != reader_left(&reader))
        return false;
    /* Only the shortest form of a varint can be put back. */
    uint8_t minimal = size < 128 ? 1 : size < 16384 ? 2 : size < 2097152 ? 3 : 4;
    if (entry.size - size != 1u + minimal || size >= UINT64_C(1) << 28)
        return false;
    *ret_chunk = (struct bytes){reader.at, (size_t)size};
    return true;
}

struct part {
    struct bytes bytes;
    uint32_t shape;
};

static size_t head_of(struct bytes bytes)
{
    return bytes.size < HEAD_BYTES ? bytes.size : HEAD_BYTES;
}

static void put_columns(struct buf *raw, const struct part *parts, size_t count)
{
    uint32_t all = 0;
    uint8_t planes = 1;

    for (size_t i = 0; i < count; i++)
        all |= parts[i].shape;
    while (planes < PLANES_MAX && all >> (8 * planes) != 0)
        planes++;
    buf_put_u8(raw, planes);
    for (unsigned plane = 0; plane < planes; plane++) {
        for (size_t i = 0; i < count; i++)
            buf_put_u8(raw, (uint8_t)(parts[i].shape >> (8 * plane)));
    }
    for (size_t at = 0; at < HEAD_BYTES; at++) {
        for (size_t i = 0; i < count; i++) {
            if (at < parts[i].bytes.size)
                buf_put_u8(raw, parts[i].bytes.data[at]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t head = head_of(parts[i].bytes);
        buf_put(raw, parts[i].bytes.data + head, parts[i].bytes.size - head);
    }
}

static int turn_to_columns(const struct buf *sizes, size_t count, const struct buf *entries,
                           struct buf *raw)
{
    struct reader reader = reader_of(buf_bytes(sizes));
    struct reader rest = reader_of(buf_bytes(entries));
    struct buf memory = {0};
    struct part *parts = (void *)buf_reserve(&memory, (count + 1) * sizeof *parts);

    if (parts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct bytes entry = reader_bytes(&rest, (size_t)reader_varint(&reader));
        struct bytes chunk;
        bool single = take_single(entry, &chunk);
        parts[i].bytes = single ? chunk : entry;
        parts[i].shape = (uint32_t)(2 * parts[i].bytes.size + single);
    }
    put_columns(raw, parts, count);
    buf_done(&memory);
    return 0;
}

static bool compress(const struct buf *raw, enum group_coding plain, size_t at, int level,
                     struct buf *out)
{
    size_t bound = ZSTD_compressBound(raw->size);
    uint8_t *to = buf_reserve(out, bound);
    if (to == NULL)
        return false;
    size_t packed = ZSTD_compress(to, bound, raw->data, raw->size, level);
    if (ZSTD_isError(packed) || packed + packed / WORTH_SHARE >= raw->size) {
        out->data[at] = (uint8_t)plain;
        buf_put(out, raw->data, raw->size);
        return buf_ok(out);
    }
    out->size += packed;
    return true;
}

int group_pack(enum group_of of, const struct buf *sizes, size_t count,
               const struct buf *entries, struct buf *out)
{
    struct buf raw = {0};
    size_t at = out->size;
    int error = buf_ok(sizes) && buf_ok(entries) ? 0 : ERR_NOMEM;

    buf_put_varint(&raw, count);
    if (of == GROUP_OF_CHUNKS && error == 0) {
        error = turn_to_columns(sizes, count, entries, &raw);
    } else if (error == 0) {
        buf_put(&raw, sizes->data, sizes->size);
        buf_put(&raw, entries->data, entries->size);
    }
    enum group_coding plain = of == GROUP_OF_CHUNKS ? GROUP_COLUMNS : GROUP_PLAIN;
    buf_put_u8(out, (uint8_t)(plain + 1));
    buf_put_varint(out, raw.size);
    if (error == 0 && (!buf_ok(&raw) || !buf_ok(out)))
        error = ERR_NOMEM;
    int level = of == GROUP_OF_CHUNKS ? CHUNKS_ZSTD_LEVEL : LABELS_ZSTD_LEVEL;
    if (error == 0 && !compress(&raw, plain, at, level, out))
        error = ERR_NOMEM;
    buf_done(&raw);
    return error;
}

/* ---- unpacking ------------------------------------------------------------------------- */

static int unpack_raw(struct bytes bytes, struct buf *raw, struct bytes *ret_raw,
                      bool *ret_columns)
{
    struct reader reader = reader_of(bytes);
    uint8_t coding = reader_u8(&reader);
    uint64_t size = reader_varint(&reader);
    struct bytes rest = {reader.at, reader_left(&reader)};

    if (reader.failed || size > GROUP_RAW_MAX || coding > GROUP_COLUMNS_ZSTD)
        return ERR_MALFORMED;
    *ret_columns = coding >= GROUP_COLUMNS;
    if (coding == GROUP_PLAIN || coding == GROUP_COLUMNS) {
        *ret_raw = rest;
        return rest.size == size ? 0 : ERR_MALFORMED;
    }
    if (ZSTD_getFrameContentSize(rest.data, rest.size) != size)
        return ERR_MALFORMED;
    uint8_t *to = buf_reserve(raw, size == 0 ? 1 : size);
    if (to == NULL)
        return ERR_NOMEM;
    if (ZSTD_decompress(to, size, rest.data, rest.size) != size)
        return ERR_MALFORMED;
    *ret_raw = (struct bytes){to, size};
    return 0;
}

static size_t put_varint(uint8_t *to, uint32_t value)
{
    size_t size = 0;
    for (; value >= 128; value >>= 7)
        to[size++] = (uint8_t)(value | 128);
    to[size++] = (uint8_t)value;
    return size;
}

/* Where the entries will be, and their own bytes in them, from their shapes; offsets[count] is
 * their whole size.  False if they do not take `left` bytes. */
static bool place_entries(const uint8_t *shapes, unsigned planes, size_t count, size_t left,
                          uint32_t *offsets, uint32_t *starts)
{
    uint64_t offset = 0, stored = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t shape = 0;
        uint8_t size[5];
        for (unsigned plane = 0; plane < planes; plane++)
            shape |= (uint32_t)shapes[plane * count + i] << (8 * plane);
        offsets[i] = (uint32_t)offset;
        offset += shape % 2 == 1 ? 1 + put_varint(size, shape / 2) : 0;
        starts[i] = (uint32_t)offset;
        offset += shape / 2;
        stored += shape / 2;
        if (stored > left)
            return false;
    }
    offsets[count] = (uint32_t)offset;
    return stored == left;
}

/* Puts back the counts and sizes that were left out. */
static void begin_entries(size_t count, const uint32_t *offsets, const uint32_t *starts,
                          uint8_t *to)
{
    for (size_t i = 0; i < count; i++) {
        if (starts[i] == offsets[i])
            continue;
        to[offsets[i]] = 1;
        (void)put_varint(to + offsets[i] + 1, offsets[i + 1] - starts[i]);
    }
}

static void fill_entries(const uint8_t *from, size_t count, const uint32_t *offsets,
                         const uint32_t *starts, uint8_t *to)
{
    for (uint32_t at = 0; at < HEAD_BYTES; at++) {
        for (size_t i = 0; i < count; i++) {
            if (starts[i] + at < offsets[i + 1])
                to[starts[i] + at] = *from++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t begin = starts[i] + HEAD_BYTES;
        if (begin >= offsets[i + 1])
            continue;
        memcpy(to + begin, from, offsets[i + 1] - begin);
        from += offsets[i + 1] - begin;
    }
}

/* Entries out of columns, in `table`, behind their offsets. */
static int from_columns(struct reader *reader, size_t count, struct buf *table,
                        struct group_view *ret_view)
{
    unsigned planes = reader_u8(reader);
    if (reader->failed || planes == 0 || planes > PLANES_MAX ||
        count > reader_left(reader) / planes)
        return ERR_MALFORMED;
    struct bytes shapes = reader_bytes(reader, planes * count);
    size_t left = reader_left(reader);
    /* Five bytes stand before an entry's own at most. */
    size_t room = 2 * (count + 1) * sizeof(uint32_t) + left + 5 * count;
    uint32_t *offsets = (uint32_t *)(void *)buf_reserve(table, room);
    if (offsets == NULL)
        return ERR_NOMEM;
    uint32_t *starts = offsets + count + 1;
    uint8_t *entries = (uint8_t *)(starts + count + 1);
    if (!place_entries(shapes.data, planes, count, left, offsets, starts))
        return ERR_MALFORMED;
    begin_entries(count, offsets, starts, entries);
    fill_entries(reader->at, count, offsets, starts, entries);
    *ret_view = (struct group_view){entries, offsets, count};
    return 0;
}

/* Entries as they stand, and their offsets in `table`. */
static int from_run(struct reader *reader, size_t count, struct buf *table,
                    struct group_view *ret_view)
{
    uint32_t *offsets =
        (uint32_t *)(void *)buf_reserve(table, (count + 1) * sizeof *offsets);
    uint64_t offset = 0;

    if (offsets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)offset;
        offset += reader_varint(reader);
        if (offset > GROUP_RAW_MAX)
            return ERR_MALFORMED;
    }
    offsets[count] = (uint32_t)offset;
    if (reader->failed || offset != reader_left(reader))
        return ERR_MALFORMED;
    *ret_view = (struct group_view){reader->at, offsets, count};
    return 0;
}

int group_unpack(struct bytes bytes, struct buf *raw, struct buf *table,
                 struct group_view *ret_view)
{
    struct bytes content;
    bool columns;
    buf_clear(raw);
    int error = unpack_raw(bytes, raw, &content, &columns);
    if (error != 0)
        return error;
    struct reader reader = reader_of(content);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || count > reader_left(&reader))
        return ERR_MALFORMED;
    buf_clear(table);
    return columns ? from_columns(&reader, (size_t)count, table, ret_view)
                   : from_run(&reader, (size_t)count, table, ret_view);
}
