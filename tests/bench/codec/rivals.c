/*
 * rivals.c - XOR after Gorilla, zstd, entropy.
 */
#include "tests/bench/codec/rivals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "collector/store/codec/codec.h"
#include "proto/base/must.h"

#define ZSTD_LEVEL 3

/* ---- Gorilla --------------------------------------------------------------------------- */

struct bits {
    struct buf *out;
    uint8_t byte;
    unsigned used;
};

static void put_bits(struct bits *bits, uint64_t value, unsigned count)
{
    while (count-- > 0) {
        bits->byte = (uint8_t)((unsigned)bits->byte << 1 | (value >> count & 1));
        if (++bits->used == 8) {
            buf_put_u8(bits->out, bits->byte);
            bits->used = 0;
        }
    }
}

static void put_time(struct bits *bits, int64_t change)
{
    uint64_t value = (uint64_t)change;
    if (change == 0)
        put_bits(bits, 0, 1);
    else if (change >= -63 && change <= 64)
        put_bits(bits, 2 << 7 | (value & 127), 9);
    else if (change >= -255 && change <= 256)
        put_bits(bits, 6 << 9 | (value & 511), 12);
    else if (change >= -2047 && change <= 2048)
        put_bits(bits, 14 << 12 | (value & 4095), 16);
    else {
        put_bits(bits, 15, 4);
        put_bits(bits, value, 64);
    }
}

struct window {
    unsigned leading, trailing; /* of the last value that said so; leading 64: none yet */
};

static void put_value(struct bits *bits, uint64_t difference, struct window *window)
{
    if (difference == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(difference);
    unsigned trailing = (unsigned)__builtin_ctzll(difference);
    leading = leading > 31 ? 31 : leading;
    if (window->leading < 64 && leading >= window->leading && trailing >= window->trailing) {
        put_bits(bits, 2, 2);
    } else {
        *window = (struct window){leading, trailing};
        put_bits(bits, 3, 2);
        put_bits(bits, leading, 5);
        put_bits(bits, 64 - leading - trailing - 1, 6);
    }
    put_bits(bits, difference >> window->trailing, 64 - window->leading - window->trailing);
}

void rival_gorilla(const int64_t *times_ms, const double *values, size_t count, struct buf *out)
{
    struct bits bits = {.out = out};
    struct window window = {.leading = 64};
    int64_t step = 0;
    uint64_t before = 0;

    buf_put_u64(out, (uint64_t)times_ms[0]);
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, &values[i], sizeof value);
        if (i == 0) {
            put_bits(&bits, value, 64);
        } else {
            put_time(&bits, times_ms[i] - times_ms[i - 1] - step);
            put_value(&bits, value ^ before, &window);
            step = times_ms[i] - times_ms[i - 1];
        }
        before = value;
    }
    put_bits(&bits, 0, bits.used == 0 ? 0 : 8 - bits.used);
}

size_t rival_zstd(const struct buf *bytes)
{
    size_t bound = ZSTD_compressBound(bytes->size);
    void *to = malloc(bound);
    must(to != NULL);
    size_t size = ZSTD_compress(to, bound, bytes->data, bytes->size, ZSTD_LEVEL);
    free(to);
    must(!ZSTD_isError(size));
    return size;
}

/* ---- the bound ------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double entropy_bytes(const double *symbols, size_t count)
{
    static double sorted[CHUNK_SAMPLES_MAX];
    double bits = 0;

    memcpy(sorted, symbols, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_value);
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        while (end < count && by_value(&sorted[end], &sorted[i]) == 0)
            end++;
        bits += (double)(end - i) * log2((double)count / (double)(end - i));
    }
    return bits / 8;
}

double rival_bound(const double *values, size_t count)
{
    static double first[CHUNK_SAMPLES_MAX], second[CHUNK_SAMPLES_MAX];

    if (count < 3)
        return 0;
    /* Rounded, because 0.3 - 0.2 and 0.2 - 0.1 are the same difference of decimals. */
    for (size_t i = 1; i < count; i++)
        first[i] = nearbyint((values[i] - values[i - 1]) * 1e9);
    for (size_t i = 2; i < count; i++)
        second[i] = first[i] - first[i - 1];
    double one = entropy_bytes(first + 1, count - 1), two = entropy_bytes(second + 2, count - 2);
    return one < two ? one : two;
}
