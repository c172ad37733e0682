/*
 * codec_ints.c - a block: one width for all, and the few that do not fit repaired afterwards.
 *
 *   block of n values, n <= 64
 *     u8   width w (0..62) + 63 * mode; mode bit 0: patched, bit 1: referenced
 *     z    referenced: the reference r; each value is stored as (value - r) modulo 2^64
 *          else: each value is stored as zigzag(value)
 *     u8   patched: number of patches p, 1..n
 *     bits the low w bits of the n stored values, first value in the lowest bits of the first
 *          byte; ceil(n * w / 8) bytes, spare bits 0
 *     p x  { u8 position, ascending; v the stored value >> w, not 0 }
 *   or, where nothing is small
 *     u8   252
 *     n x  8 bytes, the values
 *
 * This is frame of reference with patches (PFOR: Zukowski et al., ICDE 2006).  The width is the
 * cheapest one, found on a histogram of bit lengths.
 */
#include "collector/store/codec/codec_ints.h"

#include <endian.h>

#define WIDTH_MAX  62
#define WIDTHS     (WIDTH_MAX + 1)
#define PATCHED    1u
#define REFERENCED 2u
#define WHOLE      (4 * WIDTHS) /* the header of a block of whole values */
/* Packed bits of a block, and eight bytes more, so that whole words can be loaded. */
#define BITS_BYTES ((size_t)CHUNK_BLOCK * WIDTH_MAX / 8 + 16)

static unsigned bit_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static size_t varint_size(uint64_t value)
{
    return value == 0 ? 1 : (bit_length(value) + 6) / 7;
}

/* ---- writing --------------------------------------------------------------------------- */

struct plan {
    uint64_t stored[CHUNK_BLOCK];
    size_t cost; /* bytes */
    unsigned width;
    unsigned patches;
};

/* The cheapest width for the stored values. */
static void choose_width(struct plan *plan, size_t count)
{
    uint8_t lengths[65] = {0};
    unsigned longest = 0;
    unsigned patches = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned length = bit_length(plan->stored[i]);
        lengths[length]++;
        longest = length > longest ? length : longest;
    }
    plan->cost = SIZE_MAX;
    for (unsigned width = longest;; width--) {
        if (width <= WIDTH_MAX) {
            size_t cost = (count * width + 7) / 8 + (patches > 0);
            for (unsigned length = width + 1; length <= longest; length++)
                cost += lengths[length] * (size_t)(1 + (length - width + 6) / 7);
            if (cost < plan->cost) {
                plan->cost = cost;
                plan->width = width;
                plan->patches = patches;
            }
        }
        patches += lengths[width];
        if (width == 0 || (width <= WIDTH_MAX && patches > count / 4))
            return;
    }
}

static void pack(uint8_t *to, const uint64_t *stored, size_t count, unsigned width)
{
    const uint64_t mask = (UINT64_C(1) << width) - 1;
    uint64_t word = 0;
    unsigned used = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t low = stored[i] & mask;
        word |= low << used;
        used += width;
        if (used >= 64) {
            uint64_t full = htole64(word);
            memcpy(to, &full, sizeof full);
            to += sizeof full;
            used -= 64;
            word = used == 0 ? 0 : low >> (width - used);
        }
    }
    for (; used > 0; used = used > 8 ? used - 8 : 0) {
        *to++ = (uint8_t)word;
        word >>= 8;
    }
}

static void put_plan(struct buf *out, const struct plan *plan, size_t count,
                     const uint64_t *reference)
{
    unsigned mode = (plan->patches > 0 ? PATCHED : 0) | (reference != NULL ? REFERENCED : 0);
    size_t bits_bytes = (count * plan->width + 7) / 8;

    buf_put_u8(out, (uint8_t)(plan->width + WIDTHS * mode));
    if (reference != NULL)
        buf_put_zigzag(out, (int64_t)*reference);
    if (plan->patches > 0)
        buf_put_u8(out, (uint8_t)plan->patches);
    uint8_t *to = buf_reserve(out, bits_bytes);
    if (to == NULL)
        return;
    if (bits_bytes > 0)
        pack(to, plan->stored, count, plan->width);
    out->size += bits_bytes;
    for (size_t i = 0; i < count && plan->patches > 0; i++) {
        if (plan->stored[i] >> plan->width != 0) {
            buf_put_u8(out, (uint8_t)i);
            buf_put_varint(out, plan->stored[i] >> plan->width);
        }
    }
}

static void put_block(struct buf *out, const uint64_t *values, size_t count)
{
    struct plan zigzag, referenced;
    uint64_t least = values[0];

    for (size_t i = 0; i < count; i++) {
        zigzag.stored[i] = ints_zigzag(values[i]);
        least = (int64_t)values[i] < (int64_t)least ? values[i] : least;
    }
    for (size_t i = 0; i < count; i++)
        referenced.stored[i] = values[i] - least;
    choose_width(&zigzag, count);
    choose_width(&referenced, count);
    if (zigzag.cost > count * sizeof *values && referenced.cost > count * sizeof *values) {
        buf_put_u8(out, WHOLE);
        for (size_t i = 0; i < count; i++)
            buf_put_u64(out, values[i]);
    } else if (referenced.cost + varint_size(ints_zigzag(least)) < zigzag.cost) {
        put_plan(out, &referenced, count, &least);
    } else {
        put_plan(out, &zigzag, count, NULL);
    }
}

void ints_put(struct buf *out, const uint64_t *values, size_t count)
{
    for (size_t at = 0; at < count; at += CHUNK_BLOCK)
        put_block(out, values + at, count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK);
}

/* ---- reading --------------------------------------------------------------------------- */

static uint64_t load(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return le64toh(word);
}

/* `bits` has eight readable bytes past its end.  Up to 56 bits and an offset in a byte fit a
 * word; the few wider ones take a second look. */
static void unpack(const uint8_t *bits, unsigned width, uint64_t *values, size_t count)
{
    const uint64_t mask = (UINT64_C(1) << width) - 1;

    if (width <= 56) {
        for (size_t i = 0; i < count; i++)
            values[i] = load(bits + i * width / 8) >> (i * width % 8) & mask;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i * width / 8, shift = i * width % 8;
        uint64_t word = load(bits + at) >> shift;
        if (shift + width > 64)
            word |= (uint64_t)bits[at + 8] << (64 - shift);
        values[i] = word & mask;
    }
}

static bool get_patches(struct reader *reader, unsigned width, size_t patches, uint64_t *values,
                        size_t count)
{
    size_t least = 0;

    for (size_t i = 0; i < patches; i++) {
        size_t position = reader_u8(reader);
        uint64_t high = reader_varint(reader);
        if (reader->failed || position < least || position >= count || high == 0 ||
            (width > 0 && high >> (64 - width) != 0))
            return false;
        values[position] |= high << width;
        least = position + 1;
    }
    return true;
}

static bool get_whole(struct reader *reader, uint64_t *values, size_t count)
{
    struct bytes bytes = reader_bytes(reader, count * sizeof *values);
    if (reader->failed)
        return false;
    for (size_t i = 0; i < count; i++)
        values[i] = load(bytes.data + i * sizeof *values);
    return true;
}

bool ints_get(struct reader *reader, uint64_t values[CHUNK_BLOCK], size_t count)
{
    uint8_t bits[BITS_BYTES];
    unsigned header = reader_u8(reader);
    unsigned width = header % WIDTHS, mode = header / WIDTHS;
    uint64_t reference = 0;
    size_t patches = 0;

    if (header >= WHOLE)
        return header == WHOLE && get_whole(reader, values, count);
    if ((mode & REFERENCED) != 0)
        reference = (uint64_t)reader_zigzag(reader);
    if ((mode & PATCHED) != 0)
        patches = reader_u8(reader);
    struct bytes packed = reader_bytes(reader, (count * width + 7) / 8);
    if (reader->failed || ((mode & PATCHED) != 0 && patches == 0))
        return false;
    if (packed.size > 0)
        memcpy(bits, packed.data, packed.size);
    memset(bits + packed.size, 0, sizeof(uint64_t) + 1);
    unpack(bits, width, values, count);
    if (!get_patches(reader, width, patches, values, count))
        return false;
    if ((mode & REFERENCED) != 0) {
        for (size_t i = 0; i < count; i++)
            values[i] += reference;
    } else {
        for (size_t i = 0; i < count; i++)
            values[i] = ints_unzigzag(values[i]);
    }
    return true;
}
