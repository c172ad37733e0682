/* xor_chunk.c - see xor_chunk.h. */
#include "collector/http/xor_chunk.h"

#include <string.h>

#include "proto/base/must.h"

#define NO_WINDOW 0xff

struct bits {
    struct buf *out;
    unsigned held; /* bits in `byte`, 0..7 */
    uint8_t byte;
};

struct window {
    unsigned leading, trailing; /* zeros around the bits kept; leading NO_WINDOW: none yet */
};

/* The lowest `count` bits, 0..64. */
static void put_bits(struct bits *bits, uint64_t value, unsigned count)
{
    while (count > 0) {
        unsigned taken = 8 - bits->held < count ? 8 - bits->held : count;
        uint8_t part = (uint8_t)((value >> (count - taken)) & ((1U << taken) - 1));
        bits->byte = (uint8_t)(bits->byte | part << (8 - bits->held - taken));
        bits->held += taken;
        count -= taken;
        if (bits->held == 8) {
            buf_put_u8(bits->out, bits->byte);
            bits->byte = 0;
            bits->held = 0;
        }
    }
}

static bool fits(int64_t difference, unsigned bits)
{
    return -((INT64_C(1) << (bits - 1)) - 1) <= difference &&
           difference <= INT64_C(1) << (bits - 1);
}

static void put_difference(struct bits *bits, int64_t difference)
{
    static const struct {
        unsigned size, prefix, prefix_size;
    } classes[] = {{14, 2, 2}, {17, 6, 3}, {20, 14, 4}};
    if (difference == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (fits(difference, classes[i].size)) {
            put_bits(bits, classes[i].prefix, classes[i].prefix_size);
            put_bits(bits, (uint64_t)difference, classes[i].size);
            return;
        }
    }
    put_bits(bits, 15, 4);
    put_bits(bits, (uint64_t)difference, 64);
}

static void put_xor(struct bits *bits, uint64_t xor, struct window *window)
{
    if (xor == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(xor);
    unsigned trailing = (unsigned)__builtin_ctzll(xor);
    if (leading > 31)
        leading = 31;
    bool keeps = window->leading != NO_WINDOW && leading >= window->leading &&
                 trailing >= window->trailing;
    put_bits(bits, keeps ? 2 : 3, 2);
    if (!keeps) {
        *window = (struct window){leading, trailing};
        put_bits(bits, leading, 5);
        put_bits(bits, (64 - leading - trailing) & 63, 6);
    }
    put_bits(bits, xor >> window->trailing, 64 - window->leading - window->trailing);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void xor_chunk_put(struct buf *out, const int64_t *times_ms, const double *values, size_t count)
{
    struct bits bits = {.out = out};
    struct window window = {NO_WINDOW, 0};
    uint64_t step = 0;
    must(count > 0 && count <= UINT16_MAX);
    put_bits(&bits, count, 16);
    buf_put_zigzag(out, times_ms[0]);
    put_bits(&bits, bits_of(values[0]), 64);
    for (size_t i = 1; i < count; i++) {
        /* Unsigned, as any two times may lie apart. */
        uint64_t difference = (uint64_t)times_ms[i] - (uint64_t)times_ms[i - 1];
        if (i == 1)
            buf_put_varint(out, difference); /* all before it ended with a byte */
        else
            put_difference(&bits, (int64_t)(difference - step));
        step = difference;
        put_xor(&bits, bits_of(values[i]) ^ bits_of(values[i - 1]), &window);
    }
    if (bits.held > 0)
        buf_put_u8(out, bits.byte);
}
