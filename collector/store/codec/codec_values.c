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
 *          3 decimals:  u8 scale (0..15) + 16 * order (0..2) + 64 * rule (0..2)
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
 *          6 tokens:    as 3, rule 0..3, but the integers as codec_tokens.c draws them; of order 0
 *                       there are `count`, and what stands as first mantissa is a base
 *
 *   Integers are packed as codec_ints.c draws them.  Those of decimals give
 *          n[i], n[0] = 0:  order 0: n[i] itself; 1: n[i] - n[i-1];
 *                           2: (n[i] - n[i-1]) - (n[i-1] - n[i-2]), n[-1] = 0
 *          mantissa[i] = first + unit * n[i], modulo 2^64
 *          value[i] from mantissa[i] by the rule (codec_decimal.h): 0 mantissa / 10^scale,
 *          1 mantissa * 10^-scale, 2 mantissa / 10^(scale/2) / 10^(scale/2), 3 the bits themselves
 *
 * The unit is the greatest common divisor of the steps: memory comes in pages, sectors in 512.
 */
#include "collector/store/codec/codec_values.h"

#include "collector/store/codec/codec_decimal.h"
#include "collector/store/codec/codec_ints.h"
#include "collector/store/codec/codec_tokens.h"

enum coding {
    CONSTANT,
    SHORT_CONSTANT,
    RUNS,
    DECIMALS,
    EXCEPTIONS,
    XOR,
    TOKENS,
};

#define ORDERS 3
/* Runs pay when the mean run is at least this long. */
#define RUN_MEAN_MIN 2
/* Nine bytes each: past this share XOR is cheaper. */
#define EXCEPTIONS_SHARE 16
/* Tokens take longer to read: they must save at least this share of the bytes, and of a sample. */
#define TOKENS_SHARE   32
#define TOKENS_SAMPLES 64
#define TOKENS_BLOCK   256 /* are read at once; even */

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

    if (decimals_find(&value, 1, 0, &mantissa, &is_exception, &decimals) &&
        decimals.rule == DECIMAL_QUOTIENT) {
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

static uint8_t manner_of(const struct decimals *decimals, unsigned order)
{
    return (uint8_t)(decimals->scale + 16 * order + 64 * (unsigned)decimals->rule);
}

static void put_decimals(struct buf *out, uint64_t *mantissas, size_t count,
                         const struct decimals *decimals)
{
    uint64_t first = mantissas[0];
    uint64_t unit = unit_of(mantissas, count);

    for (size_t i = 0; i < count; i++) {
        uint64_t distance = mantissas[i] - first;
        mantissas[i] = (uint64_t)((int64_t)distance / (int64_t)unit);
    }
    unsigned order = order_of(mantissas, count);
    take_differences(mantissas, count, order);
    buf_put_u8(out, manner_of(decimals, order));
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
    put_decimals(out, scratch.mantissas, count, &decimals);
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

static void put_quickly(struct buf *out, const double *values, size_t count, size_t run_count)
{
    if (run_count <= count / RUN_MEAN_MIN)
        put_runs(out, values, count, run_count);
    else
        put_dense(out, values, count);
}

/* One way to tokens: the integers of an order, and what they will take. */
struct attempt {
    uint64_t n[CHUNK_SAMPLES_MAX];
    uint64_t first, unit;
    unsigned order;
    size_t skipped; /* 1: n[0] is not written */
    struct tokens_plan plan;
};

/* Units of bits may wrap around, which only powers of two survive. */
static uint64_t unit_by_rule(const uint64_t *mantissas, size_t count, enum decimal_rule rule)
{
    uint64_t unit = unit_of(mantissas, count);
    if (rule != DECIMAL_BITS)
        return unit;
    uint64_t power = unit & (~unit + 1);
    return power >> 63 != 0 ? power >> 1 : power;
}

static bool try_order(struct attempt *attempt, const uint64_t *mantissas, size_t count,
                      enum decimal_rule rule, unsigned order)
{
    attempt->unit = unit_by_rule(mantissas, count, rule);
    attempt->order = order;
    attempt->skipped = order > 0;
    attempt->first = mantissas[0];
    if (order == 0)
        attempt->first = (uint64_t)((int64_t)mantissas[0] % (int64_t)attempt->unit);
    for (size_t i = 0; i < count; i++) {
        uint64_t distance = mantissas[i] - attempt->first;
        attempt->n[i] = (uint64_t)((int64_t)distance / (int64_t)attempt->unit);
    }
    take_differences(attempt->n, count, order);
    return tokens_plan(attempt->n + attempt->skipped, count - attempt->skipped, &attempt->plan);
}

static void put_tokens(struct buf *out, const struct attempt *attempt, size_t count,
                       const struct decimals *decimals)
{
    buf_put_u8(out, TOKENS);
    buf_put_u8(out, manner_of(decimals, attempt->order));
    buf_put_zigzag(out, (int64_t)attempt->first);
    buf_put_varint(out, attempt->unit);
    tokens_put(out, attempt->n + attempt->skipped, count - attempt->skipped, &attempt->plan);
}

/* Appends the values as tokens, unless that would take more than `most` bytes. */
static bool put_as_tokens(struct buf *out, const double *values, size_t count, size_t most)
{
    struct scratch scratch;
    struct attempt attempts[2];
    struct decimals decimals;
    struct attempt *best = NULL;
    size_t before = out->size;

    if (!decimals_find(values, count, 0, (int64_t *)scratch.mantissas, scratch.is_exception,
                       &decimals)) {
        decimals = (struct decimals){.rule = DECIMAL_BITS};
        memcpy(scratch.mantissas, values, count * sizeof *values);
    }
    for (unsigned order = 0; order < ORDERS; order++) {
        struct attempt *attempt = best == &attempts[0] ? &attempts[1] : &attempts[0];
        if (try_order(attempt, scratch.mantissas, count, decimals.rule, order) &&
            (best == NULL || attempt->plan.bits < best->plan.bits))
            best = attempt;
    }
    if (best == NULL || best->plan.bits / 8 > (double)most)
        return false;
    put_tokens(out, best, count, &decimals);
    if (out->size - before <= most)
        return true;
    out->size = before;
    return false;
}

void values_put(struct buf *out, const double *values, size_t count, enum chunk_effort effort)
{
    size_t run_count = count_runs(values, count), before = out->size;

    if (run_count == 1) {
        put_constant(out, values[0]);
        return;
    }
    put_quickly(out, values, count, run_count);
    size_t size = out->size - before, saved = size / TOKENS_SHARE + count / TOKENS_SAMPLES / 8;
    if (effort == CHUNK_QUICK || !buf_ok(out) || size <= saved)
        return;
    /* Tokens go behind the quick coding, and then over it. */
    if (put_as_tokens(out, values, count, size - saved - 1) && buf_ok(out)) {
        memmove(out->data + before, out->data + before + size, out->size - before - size);
        out->size -= size;
    }
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
    decimals_to_values(&mantissa, 1, DECIMAL_QUOTIENT, scale, &value);
    fill(values, count, value);
    return true;
}

/* Differences back to n[], a block at a time; `n` and `step` carry over. */
static void add_up(uint64_t *block, size_t count, unsigned order, uint64_t *n, uint64_t *step)
{
    uint64_t sum = *n, slope = *step; /* in registers: the block might alias them */

    if (order == 2) {
        for (size_t i = 0; i < count; i++)
            block[i] = sum += slope += block[i];
    } else if (order == 1) {
        for (size_t i = 0; i < count; i++)
            block[i] = sum += block[i];
    }
    *n = sum;
    *step = slope;
}

/* What stands in front of the integers. */
struct manner {
    enum decimal_rule rule;
    unsigned scale, order;
    uint64_t first, unit;
};

static bool get_manner(struct reader *reader, enum decimal_rule last, struct manner *ret_manner)
{
    unsigned byte = reader_u8(reader);
    *ret_manner = (struct manner){.rule = (enum decimal_rule)(byte / 64),
                                  .scale = byte % 16,
                                  .order = byte / 16 % 4};
    ret_manner->first = (uint64_t)reader_zigzag(reader);
    ret_manner->unit = reader_varint(reader);
    return !reader->failed && ret_manner->order < ORDERS && ret_manner->unit != 0 &&
           ret_manner->rule <= last;
}

/* Integers to values, a block at a time. */
static void to_values(const struct manner *manner, uint64_t *block, size_t size, uint64_t *n,
                      uint64_t *step, double *values)
{
    const uint64_t first = manner->first, unit = manner->unit;

    add_up(block, size, manner->order, n, step);
    if (unit == 1) { /* mostly; and processors multiply 64 bits one at a time */
        for (size_t i = 0; i < size; i++)
            block[i] += first;
    } else {
        for (size_t i = 0; i < size; i++)
            block[i] = first + unit * block[i];
    }
    decimals_to_values(block, size, manner->rule, manner->scale, values);
}

static bool get_decimals(struct reader *reader, double *values, size_t count)
{
    struct manner manner;
    uint64_t n = 0, step = 0;
    uint64_t block[CHUNK_BLOCK];

    if (!get_manner(reader, DECIMAL_TWICE, &manner))
        return false;
    decimals_to_values(&manner.first, 1, manner.rule, manner.scale, values);
    for (size_t at = 1; at < count; at += CHUNK_BLOCK) {
        size_t size = count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK;
        if (!ints_get(reader, block, size))
            return false;
        to_values(&manner, block, size, &n, &step, values + at);
    }
    return true;
}

static bool get_tokens(struct reader *reader, double *values, size_t count)
{
    struct manner manner;
    struct tokens_reader run;
    uint64_t n = 0, step = 0;
    uint64_t block[TOKENS_BLOCK];

    if (!get_manner(reader, DECIMAL_BITS, &manner))
        return false;
    size_t at = manner.order > 0;
    if (at >= count || !tokens_open(reader, &run))
        return false;
    if (at > 0)
        decimals_to_values(&manner.first, 1, manner.rule, manner.scale, values);
    while (at < count) {
        size_t size = count - at < TOKENS_BLOCK ? count - at : TOKENS_BLOCK;
        tokens_get(&run, block, size);
        to_values(&manner, block, size, &n, &step, values + at);
        at += size;
    }
    return tokens_end(&run);
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
    case TOKENS:
        return get_tokens(reader, values, count);
    default:
        return get_dense(reader, coding, values, count);
    }
}
