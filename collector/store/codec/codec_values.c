/*
 * codec_values.c - what the values of one series have in common, said once.
 *
 *   values
 *     u8   coding
 *          0 constant:  8 bytes, the bits of all of them
 *          1 short constant: u8 scale, z mantissa; value = mantissa / 10^scale
 *          2 runs:      v number of runs k, 2..count
 *                       k - 1 integers: length - 1 of every run but the last
 *                       values again, k of them, not constant and not runs
 *          3 decimals:  u8 scale (0..15) + 16 * order (0..2)
 *                       z first mantissa
 *                       v unit, at least 1
 *                       count - 1 integers, see below
 *          4 decimals with exceptions:
 *                       v number of exceptions, 1..count
 *                       each: v position (the first whole, then minus the one before, >= 1),
 *                       8 bytes of bits
 *                       then as 3
 *          5 xor:       8 bytes, the bits of the first
 *                       u8 shift, 0..63
 *                       count - 1 integers: (bits XOR bits of the one before) >> shift
 *
 *   Integers are packed as codec_ints.c draws them.  Those of decimals give
 *          n[i], n[0] = 0:  order 0: n[i] itself; 1: n[i] - n[i-1];
 *                           2: (n[i] - n[i-1]) - (n[i-1] - n[i-2]), n[-1] = 0
 *          mantissa[i] = first + unit * n[i], modulo 2^64
 *          value[i] = mantissa[i] / 10^scale (binary64 division)
 *
 * The unit is the greatest common divisor of the steps: memory comes in pages, sectors in 512.
 */
#include "collector/store/codec/codec_values.h"

#include "collector/store/codec/codec_decimal.h"
#include "collector/store/codec/codec_ints.h"

enum coding {
    CONSTANT,
    SHORT_CONSTANT,
    RUNS,
    DECIMALS,
    EXCEPTIONS,
    XOR,
};

#define ORDERS 3
/* Runs pay when the mean run is at least this long. */
#define RUN_MEAN_MIN 2
/* Nine bytes each: past this share XOR is cheaper. */
#define EXCEPTIONS_SHARE 16

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- writing --------------------------------------------------------------------------- */

struct scratch {
    uint64_t mantissas[CHUNK_SAMPLES_MAX];
    bool is_exception[CHUNK_SAMPLES_MAX];
};

static void put_constant(struct buf *out, double value)
{
    int64_t mantissa;
    bool is_exception;
    struct decimals decimals;

    if (decimals_find(&value, 1, 0, &mantissa, &is_exception, &decimals)) {
        buf_put_u8(out, SHORT_CONSTANT);
        buf_put_u8(out, (uint8_t)decimals.scale);
        buf_put_zigzag(out, mantissa);
    } else {
        buf_put_u8(out, CONSTANT);
        buf_put_u64(out, bits_of(value));
    }
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t magnitude(uint64_t step)
{
    return (int64_t)step < 0 ? 0 - step : step;
}

/* The greatest common divisor of all steps; 1 for none. */
static uint64_t unit_of(const uint64_t *mantissas, size_t count)
{
    uint64_t unit = 0;
    for (size_t i = 1; i < count && unit != 1; i++) {
        uint64_t step = magnitude(mantissas[i] - mantissas[i - 1]);
        if (unit == 0 || step % unit != 0)
            unit = greatest_common_divisor(step, unit);
    }
    return unit == 0 ? 1 : unit;
}

static unsigned bit_length(uint64_t value)
{
    return 64 - (unsigned)__builtin_clzll(value | 1);
}

/* Adds what n[from..end) would take by order, in bits.  Blocks have a reference, so orders 0
 * and 1 are measured from about the middle of the block's values and steps. */
static void add_costs(const uint64_t *n, size_t from, size_t end, size_t costs[ORDERS])
{
    uint64_t rise = n[end - 1] - n[from - 1];
    uint64_t mean_step = (uint64_t)((int64_t)rise / (int64_t)(end - from));
    uint64_t middle = n[from - 1] + (uint64_t)((int64_t)rise / 2);
    uint64_t step_before = from > 1 ? n[from - 1] - n[from - 2] : 0;

    for (size_t i = from; i < end; i++) {
        uint64_t step = n[i] - n[i - 1];
        costs[0] += bit_length(ints_zigzag(n[i] - middle));
        costs[1] += bit_length(ints_zigzag(step - mean_step));
        costs[2] += bit_length(ints_zigzag(step - step_before));
        step_before = step;
    }
}

/* The order whose differences are smallest. */
static unsigned order_of(const uint64_t *n, size_t count)
{
    size_t costs[ORDERS] = {0};
    unsigned best = 1;

    for (size_t at = 1; at < count; at += CHUNK_BLOCK)
        add_costs(n, at, count - at < CHUNK_BLOCK ? count : at + CHUNK_BLOCK, costs);
    if (costs[2] < costs[best])
        best = 2;
    if (costs[0] < costs[best])
        best = 0;
    return best;
}

/* Turns n[1..] into differences of an order, from the back. */
static void take_differences(uint64_t *n, size_t count, unsigned order)
{
    for (unsigned round = 0; round < order; round++) {
        for (size_t i = count - 1; i > round; i--)
            n[i] -= n[i - 1];
    }
}

static void put_decimals(struct buf *out, uint64_t *mantissas, size_t count, unsigned scale)
{
    uint64_t first = mantissas[0];
    uint64_t unit = unit_of(mantissas, count);

    for (size_t i = 0; i < count; i++) {
        uint64_t distance = mantissas[i] - first;
        mantissas[i] = (uint64_t)((int64_t)distance / (int64_t)unit);
    }
    unsigned order = order_of(mantissas, count);
    take_differences(mantissas, count, order);
    buf_put_u8(out, (uint8_t)(scale + 16 * order));
    buf_put_zigzag(out, (int64_t)first);
    buf_put_varint(out, unit);
    ints_put(out, mantissas + 1, count - 1);
}

static void put_exceptions(struct buf *out, const double *values, const bool *is_exception,
                           size_t count, size_t exceptions)
{
    size_t before = 0;

    buf_put_varint(out, exceptions);
    for (size_t i = 0; i < count; i++) {
        if (!is_exception[i])
            continue;
        buf_put_varint(out, i - before);
        buf_put_u64(out, bits_of(values[i]));
        before = i;
    }
}

static void put_xor(struct buf *out, const double *values, size_t count, uint64_t *differences)
{
    uint64_t all = UINT64_C(1) << 63;

    buf_put_u64(out, bits_of(values[0]));
    for (size_t i = 1; i < count; i++) {
        differences[i] = bits_of(values[i]) ^ bits_of(values[i - 1]);
        all |= differences[i];
    }
    unsigned shift = (unsigned)__builtin_ctzll(all);
    for (size_t i = 1; i < count; i++)
        differences[i] >>= shift;
    buf_put_u8(out, (uint8_t)shift);
    ints_put(out, differences + 1, count - 1);
}

static void put_dense(struct buf *out, const double *values, size_t count)
{
    struct scratch scratch;
    struct decimals decimals;

    if (!decimals_find(values, count, count / EXCEPTIONS_SHARE, (int64_t *)scratch.mantissas,
                       scratch.is_exception, &decimals)) {
        buf_put_u8(out, XOR);
        put_xor(out, values, count, scratch.mantissas);
        return;
    }
    buf_put_u8(out, decimals.exception_count > 0 ? EXCEPTIONS : DECIMALS);
    if (decimals.exception_count > 0)
        put_exceptions(out, values, scratch.is_exception, count, decimals.exception_count);
    put_decimals(out, scratch.mantissas, count, decimals.scale);
}

static size_t count_runs(const double *values, size_t count)
{
    size_t runs = 1;
    for (size_t i = 1; i < count; i++)
        runs += bits_of(values[i]) != bits_of(values[i - 1]);
    return runs;
}

static void put_runs(struct buf *out, const double *values, size_t count, size_t run_count)
{
    double run_values[CHUNK_SAMPLES_MAX];
    uint64_t lengths[CHUNK_SAMPLES_MAX / RUN_MEAN_MIN + 1];
    size_t run = 0;

    run_values[0] = values[0];
    lengths[0] = 0;
    for (size_t i = 1; i < count; i++) {
        if (bits_of(values[i]) == bits_of(values[i - 1])) {
            lengths[run]++;
        } else {
            run++;
            run_values[run] = values[i];
            lengths[run] = 0;
        }
    }
    buf_put_u8(out, RUNS);
    buf_put_varint(out, run_count);
    ints_put(out, lengths, run_count - 1);
    put_dense(out, run_values, run_count);
}

void values_put(struct buf *out, const double *values, size_t count)
{
    size_t run_count = count_runs(values, count);

    if (run_count == 1)
        put_constant(out, values[0]);
    else if (run_count <= count / RUN_MEAN_MIN)
        put_runs(out, values, count, run_count);
    else
        put_dense(out, values, count);
}

/* ---- reading --------------------------------------------------------------------------- */

static void fill(double *values, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        values[i] = value;
}

static bool get_short_constant(struct reader *reader, double *values, size_t count)
{
    unsigned scale = reader_u8(reader);
    uint64_t mantissa = (uint64_t)reader_zigzag(reader);
    double value;

    if (reader->failed || scale > DECIMAL_SCALE_MAX)
        return false;
    decimals_to_values(&mantissa, 1, scale, &value);
    fill(values, count, value);
    return true;
}

/* Differences back to n[], a block at a time; `n` and `step` carry over. */
static void add_up(uint64_t *block, size_t count, unsigned order, uint64_t *n, uint64_t *step)
{
    if (order == 2) {
        for (size_t i = 0; i < count; i++)
            block[i] = *step += block[i];
    }
    if (order >= 1) {
        for (size_t i = 0; i < count; i++)
            block[i] = *n += block[i];
    }
}

static bool get_decimals(struct reader *reader, double *values, size_t count)
{
    unsigned scale_and_order = reader_u8(reader);
    unsigned scale = scale_and_order % 16, order = scale_and_order / 16;
    uint64_t first = (uint64_t)reader_zigzag(reader);
    uint64_t unit = reader_varint(reader);
    uint64_t n = 0, step = 0;
    uint64_t block[CHUNK_BLOCK];

    if (reader->failed || order >= ORDERS || unit == 0)
        return false;
    decimals_to_values(&first, 1, scale, values);
    for (size_t at = 1; at < count; at += CHUNK_BLOCK) {
        size_t size = count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK;
        if (!ints_get(reader, block, size))
            return false;
        add_up(block, size, order, &n, &step);
        for (size_t i = 0; i < size; i++)
            block[i] = first + unit * block[i];
        decimals_to_values(block, size, scale, values + at);
    }
    return true;
}

/* Walks the exceptions; writes them into values unless that is NULL. */
static bool walk_exceptions(struct reader *reader, size_t exceptions, double *values,
                            size_t count)
{
    size_t position = 0;

    for (size_t i = 0; i < exceptions; i++) {
        uint64_t step = reader_varint(reader);
        uint64_t bits = reader_u64(reader);
        if (reader->failed || (i > 0 && step == 0) || step >= count - position)
            return false;
        position += (size_t)step;
        if (values != NULL)
            values[position] = value_of(bits);
    }
    return true;
}

static bool get_exceptions(struct reader *reader, double *values, size_t count)
{
    uint64_t exceptions = reader_varint(reader);
    if (reader->failed || exceptions == 0 || exceptions > count)
        return false;
    struct reader again = *reader; /* they come first, but are applied last */
    return walk_exceptions(reader, (size_t)exceptions, NULL, count) &&
           get_decimals(reader, values, count) &&
           walk_exceptions(&again, (size_t)exceptions, values, count);
}

static bool get_xor(struct reader *reader, double *values, size_t count)
{
    uint64_t bits = reader_u64(reader);
    unsigned shift = reader_u8(reader);
    uint64_t block[CHUNK_BLOCK];

    if (reader->failed || shift > 63)
        return false;
    values[0] = value_of(bits);
    for (size_t at = 1; at < count; at += CHUNK_BLOCK) {
        size_t size = count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK;
        if (!ints_get(reader, block, size))
            return false;
        for (size_t i = 0; i < size; i++) {
            bits ^= block[i] << shift;
            values[at + i] = value_of(bits);
        }
    }
    return true;
}

static bool get_dense(struct reader *reader, unsigned coding, double *values, size_t count)
{
    switch (coding) {
    case DECIMALS:
        return get_decimals(reader, values, count);
    case EXCEPTIONS:
        return get_exceptions(reader, values, count);
    case XOR:
        return get_xor(reader, values, count);
    default:
        return false;
    }
}

/* Lengths of the runs but the last; they must leave it at least one sample. */
static bool get_lengths(struct reader *reader, uint16_t *lengths, size_t run_count,
                        size_t count)
{
    size_t left = count - run_count; /* samples beyond one for each run */
    uint64_t block[CHUNK_BLOCK];

    for (size_t at = 0; at + 1 < run_count; at += CHUNK_BLOCK) {
        size_t size = run_count - 1 - at < CHUNK_BLOCK ? run_count - 1 - at : CHUNK_BLOCK;
        if (!ints_get(reader, block, size))
            return false;
        for (size_t i = 0; i < size; i++) {
            if (block[i] > left)
                return false;
            left -= (size_t)block[i];
            lengths[at + i] = (uint16_t)(block[i] + 1);
        }
    }
    lengths[run_count - 1] = (uint16_t)(left + 1);
    return true;
}

/* The runs' values are decoded into the end of the array and spread from its start: what is
 * left to spread always lies at or after what is being written. */
static bool get_runs(struct reader *reader, double *values, size_t count)
{
    uint16_t lengths[CHUNK_SAMPLES_MAX];
    uint64_t run_count = reader_varint(reader);

    if (reader->failed || run_count < 2 || run_count > count ||
        !get_lengths(reader, lengths, (size_t)run_count, count))
        return false;
    const double *run_values = values + (count - (size_t)run_count);
    if (!get_dense(reader, reader_u8(reader), values + (count - (size_t)run_count),
                   (size_t)run_count))
        return false;
    double *to = values;
    for (size_t run = 0; run < run_count; run++) {
        double value = run_values[run];
        fill(to, lengths[run], value);
        to += lengths[run];
    }
    return true;
}

bool values_get(struct reader *reader, double *values, size_t count)
{
    unsigned coding = reader_u8(reader);

    switch (coding) {
    case CONSTANT:
        fill(values, count, value_of(reader_u64(reader)));
        return !reader->failed;
    case SHORT_CONSTANT:
        return get_short_constant(reader, values, count);
    case RUNS:
        return get_runs(reader, values, count);
    default:
        return get_dense(reader, coding, values, count);
    }
}
