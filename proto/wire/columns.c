/*
 * columns.c - which series, which of them changed, and by how much.
 *
 * Two thirds of what a host reports is the same as five seconds ago, and the series are the
 * same ones in the same order.  So a column set names its refs as runs (or says "the same as
 * the base"), marks with one bit each what differs from what is expected, and spends bytes on
 * those alone.  Expected is the base's value of the same ref, or +0.0 where there is none.
 *
 *   data, after decompression
 *     u8      0: runs follow   1: refs are those of the base (BASED only, same count)
 *     runs    until `count` refs are named, each:
 *     v         gap: the first run's first ref; then first ref minus (last ref before + 1), >=
 * 1 v         length - 1 bits    ceil(count / 8) bytes, bit i % 8 (from the lowest) of byte i /
 * 8: value i differs, bit for bit, from what is expected; spare bits are 0 codes   one for each
 * set bit, in order (columns_values.c)
 *
 * Nothing may follow.  compression 1: `data` is one zstd frame of this, with its content size.
 */
#include "proto/wire/columns.h"

#include "proto/base/error.h"
#include "proto/wire/columns_values.h"
#include "proto/wire/packed.h"

#define REFS_AS_RUNS 0
#define REFS_OF_BASE 1
/* Two varints of a run, a bit, a code: none of these passes 24 bytes a sample. */
#define RAW_BYTES_MAX(count) (16 + (count) * (size_t)24)

/* ---- expectation ----------------------------------------------------------------------- */

/* Walks the base beside the samples; refs ascend in both. */
struct expectation {
    const struct sample_columns *base; /* NULL: nothing is known */
    size_t next;
};

static bool expect(struct expectation *expectation, uint64_t ref, double *ret_value)
{
    const struct sample_columns *base = expectation->base;

    *ret_value = 0;
    if (base == NULL)
        return false;
    while (expectation->next < base->count && base->refs[expectation->next] < ref)
        expectation->next++;
    if (expectation->next == base->count || base->refs[expectation->next] != ref)
        return false;
    *ret_value = base->values[expectation->next];
    return true;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool shares_a_ref(const struct sample_columns *a, const struct sample_columns *b)
{
    struct expectation expectation = {.base = b};
    double ignored;
    for (size_t i = 0; i < a->count; i++) {
        if (expect(&expectation, a->refs[i], &ignored))
            return true;
    }
    return false;
}

/* ---- encoding -------------------------------------------------------------------------- */

static bool are_fit(const struct sample_columns *samples)
{
    if (samples->count > BATCH_SAMPLES_MAX)
        return false;
    for (size_t i = 1; i < samples->count; i++) {
        if (samples->refs[i] <= samples->refs[i - 1])
            return false;
    }
    return samples->count == 0 || samples->refs[samples->count - 1] < REFS_MAX;
}

static bool has_same_refs(const struct sample_columns *a, const struct sample_columns *b)
{
    return a->count == b->count && memcmp(a->refs, b->refs, a->count * sizeof *a->refs) == 0;
}

static void put_runs(struct buf *out, const struct sample_columns *samples)
{
    uint64_t after_last = 0;

    for (size_t i = 0; i < samples->count;) {
        size_t end = i + 1;
        while (end < samples->count && samples->refs[end] == samples->refs[end - 1] + 1)
            end++;
        buf_put_varint(out, samples->refs[i] - after_last);
        buf_put_varint(out, end - i - 1);
        after_last = samples->refs[end - 1] + 1;
        i = end;
    }
}

/* The bits first, then the codes; two walks, so that nothing has to be kept between them. */
static void put_values(struct buf *out, const struct sample_columns *samples,
                       const struct sample_columns *base)
{
    struct expectation expectation = {.base = base};
    double expected;
    uint8_t byte = 0;

    for (size_t i = 0; i < samples->count; i++) {
        (void)expect(&expectation, samples->refs[i], &expected);
        if (!same_bits(samples->values[i], expected))
            byte |= (uint8_t)(1u << (i % 8));
        if (i % 8 == 7 || i + 1 == samples->count) {
            buf_put_u8(out, byte);
            byte = 0;
        }
    }
    expectation.next = 0;
    for (size_t i = 0; i < samples->count; i++) {
        (void)expect(&expectation, samples->refs[i], &expected);
        if (!same_bits(samples->values[i], expected))
            value_put(out, samples->values[i], expected);
    }
}

/* What is left after a base is too dense to be worth a compressor's time and memory: on a real
 * host's columns zstd never saved an eighth. */
static int keep(struct bytes raw, struct arena *arena, struct coded_columns *coded)
{
    int error =
        coded->coding == COLUMNS_PLAIN ? packed_make(raw, arena, &coded->data) : ERR_LIMIT;
    if (error == 0)
        coded->compression = 1;
    if (error != ERR_LIMIT)
        return error;
    uint8_t *data = arena_alloc(arena, raw.size, 1);
    if (data == NULL)
        return ERR_NOMEM;
    memcpy(data, raw.data, raw.size);
    coded->data = (struct bytes){data, raw.size};
    return 0;
}

int columns_encode(const struct sample_columns *samples, const struct sample_columns *base,
                   uint64_t base_number, struct arena *arena, struct coded_columns *ret_coded)
{
    struct coded_columns coded = {.coding = COLUMNS_PLAIN, .count = samples->count};
    struct buf raw;

    if (!are_fit(samples))
        return ERR_LIMIT;
    if (base != NULL && !shares_a_ref(samples, base))
        base = NULL;
    if (base != NULL) {
        coded.coding = COLUMNS_BASED;
        coded.base_number = base_number;
    }
    buf_init(&raw, RAW_BYTES_MAX(samples->count));
    if (base != NULL && has_same_refs(samples, base)) {
        buf_put_u8(&raw, REFS_OF_BASE);
    } else {
        buf_put_u8(&raw, REFS_AS_RUNS);
        put_runs(&raw, samples);
    }
    put_values(&raw, samples, base);
    int error = buf_ok(&raw) ? keep(buf_bytes(&raw), arena, &coded) : ERR_NOMEM;
    buf_done(&raw);
    if (error == 0)
        *ret_coded = coded;
    return error;
}

/* ---- decoding -------------------------------------------------------------------------- */

static bool get_runs(struct reader *reader, uint64_t *refs, size_t count)
{
    uint64_t after_last = 0;

    for (size_t i = 0; i < count;) {
        uint64_t gap = reader_varint(reader);
        uint64_t length = reader_varint(reader);
        if (reader->failed || gap >= REFS_MAX || length >= count - i || (i > 0 && gap == 0))
            return false;
        uint64_t ref = after_last + gap;
        if (ref + length >= REFS_MAX)
            return false;
        for (uint64_t n = 0; n <= length; n++)
            refs[i++] = ref++;
        after_last = ref;
    }
    return true;
}


static bool get_values(struct reader *reader, const struct sample_columns *base,
                       const uint64_t *refs, double *values, size_t count)
{
    struct expectation expectation = {.base = base};
    struct bytes bits = reader_bytes(reader, (count + 7) / 8);

    if (reader->failed || (count % 8 != 0 && bits.data[count / 8] >> (count % 8) != 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        double expected;
        (void)expect(&expectation, refs[i], &expected);
        bool differs = (bits.data[i / 8] >> (i % 8) & 1) != 0;
        values[i] = differs ? value_get(reader, expected) : expected;
    }
    return !reader->failed && reader_left(reader) == 0;
}

/* Likewise, where value i of the base is what is expected of value i: nothing has to be looked
 * for, and what has not changed is copied. */
static bool get_values_of_base(struct reader *reader, const struct sample_columns *base,
                               double *values)
{
    size_t count = base->count;
    struct bytes bits = reader_bytes(reader, (count + 7) / 8);

    if (reader->failed || (count % 8 != 0 && bits.data[count / 8] >> (count % 8) != 0))
        return false;
    if (count > 0)
        memcpy(values, base->values, count * sizeof *values);
    for (size_t at = 0; at < bits.size; at++)
        for (unsigned byte = bits.data[at]; byte != 0; byte &= byte - 1) {
            double *value = &values[at * 8 + (unsigned)__builtin_ctz(byte)];
            *value = value_get(reader, *value);
        }
    return !reader->failed && reader_left(reader) == 0;
}

static bool get_samples(struct reader *reader, const struct sample_columns *base,
                        uint64_t *refs, double *values, size_t count)
{
    switch (reader_u8(reader)) {
    case REFS_AS_RUNS:
        return get_runs(reader, refs, count) && get_values(reader, base, refs, values, count);
    case REFS_OF_BASE:
        if (base == NULL || base->count != count)
            return false;
        if (count > 0)
            memcpy(refs, base->refs, count * sizeof *refs);
        return get_values_of_base(reader, base, values);
    default:
        return false;
    }
}

/* The raw form: the data themselves, or what they decompress to. */
static int open_data(const struct coded_columns *coded, struct arena *arena,
                     struct bytes *ret_raw)
{
    switch (coded->compression) {
    case 0:
        *ret_raw = coded->data;
        return 0;
    case 1:
        return packed_open(coded->data, RAW_BYTES_MAX((size_t)coded->count), arena, ret_raw);
    default:
        return ERR_MALFORMED;
    }
}

int columns_decode(const struct coded_columns *coded, const struct sample_columns *base,
                   struct arena *arena, struct sample_columns *ret_samples)
{
    struct bytes raw;

    if (coded->count > BATCH_SAMPLES_MAX)
        return ERR_LIMIT;
    if (coded->coding == COLUMNS_BASED && base == NULL)
        return ERR_INVALID;
    if (coded->coding != COLUMNS_BASED)
        base = NULL;
    size_t count = (size_t)coded->count;
    int error = open_data(coded, arena, &raw);
    if (error != 0)
        return error;
    if (count / 8 > raw.size) /* the bits alone would not fit */
        return ERR_MALFORMED;
    uint64_t *refs = arena_alloc(arena, count, sizeof *refs);
    double *values = arena_alloc(arena, count, sizeof *values);
    if (refs == NULL || values == NULL)
        return ERR_NOMEM;
    struct reader reader = reader_of(raw);
    if (!get_samples(&reader, base, refs, values, count))
        return ERR_MALFORMED;
    *ret_samples = (struct sample_columns){refs, values, count};
    return 0;
}
