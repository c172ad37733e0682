/*
 * codec_values_put.c - which of the codings, and writing it.
 */
#include "collector/store/codec/codec_decimal.h"
#include "collector/store/codec/codec_ints.h"
#include "collector/store/codec/codec_tokens.h"
#include "collector/store/codec/codec_values.h"

/* Runs pay when the mean run is at least this long. */
#define RUN_MEAN_MIN 2
/* Nine bytes each: past this share XOR is cheaper. */
#define EXCEPTIONS_SHARE 16
/* Tokens take longer to read: they must save at least this share of the bytes, and of a sample. */
#define TOKENS_SHARE   32
#define TOKENS_SAMPLES 64

struct scratch {
    uint64_t mantissas[CHUNK_SAMPLES_MAX];
    bool is_exception[CHUNK_SAMPLES_MAX];
};

static void put_constant(struct buf *out, double value, unsigned without)
{
    int64_t mantissa;
    bool is_exception;
    struct decimals decimals;

    if ((without & WITHOUT_SHORT_CONSTANT) == 0 &&
        decimals_find(&value, 1, 0, &mantissa, &is_exception, &decimals) &&
        decimals.rule == DECIMAL_QUOTIENT) {
        buf_put_u8(out, CODING_SHORT_CONSTANT);
        buf_put_u8(out, (uint8_t)decimals.scale);
        buf_put_zigzag(out, mantissa);
    } else {
        buf_put_u8(out, CODING_CONSTANT);
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

static bool may_take(unsigned order, unsigned without)
{
    return (order != 0 || (without & WITHOUT_ORDER_0) == 0) &&
           (order != 2 || (without & WITHOUT_ORDER_2) == 0);
}

/* The order whose differences are smallest. */
static unsigned order_of(const uint64_t *n, size_t count, unsigned without)
{
    size_t costs[ORDERS] = {0};
    unsigned best = 1;

    for (size_t at = 1; at < count; at += CHUNK_BLOCK)
        add_costs(n, at, count - at < CHUNK_BLOCK ? count : at + CHUNK_BLOCK, costs);
    if (costs[2] < costs[best] && may_take(2, without))
        best = 2;
    if (costs[0] < costs[best] && may_take(0, without))
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
                         const struct decimals *decimals, unsigned without)
{
    uint64_t first = mantissas[0];
    uint64_t unit = (without & WITHOUT_UNIT) != 0 ? 1 : unit_of(mantissas, count);

    for (size_t i = 0; i < count; i++) {
        uint64_t distance = mantissas[i] - first;
        mantissas[i] = (uint64_t)((int64_t)distance / (int64_t)unit);
    }
    unsigned order = order_of(mantissas, count, without);
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

/* decimals_find() without what is left out. */
static bool find(const double *values, size_t count, size_t exceptions_max,
                 struct scratch *scratch, struct decimals *ret_decimals, unsigned without)
{
    if ((without & WITHOUT_EXCEPTIONS) != 0)
        exceptions_max = 0;
    return (without & WITHOUT_DECIMALS) == 0 &&
           decimals_find(values, count, exceptions_max, (int64_t *)scratch->mantissas,
                         scratch->is_exception, ret_decimals) &&
           ((without & WITHOUT_RULES) == 0 || ret_decimals->rule == DECIMAL_QUOTIENT);
}

static void put_dense(struct buf *out, const double *values, size_t count, unsigned without)
{
    struct scratch scratch;
    struct decimals decimals;

    if (!find(values, count, count / EXCEPTIONS_SHARE, &scratch, &decimals, without)) {
        buf_put_u8(out, CODING_XOR);
        put_xor(out, values, count, scratch.mantissas);
        return;
    }
    buf_put_u8(out, decimals.exception_count > 0 ? CODING_EXCEPTIONS : CODING_DECIMALS);
    if (decimals.exception_count > 0)
        put_exceptions(out, values, scratch.is_exception, count, decimals.exception_count);
    put_decimals(out, scratch.mantissas, count, &decimals, without);
}

static size_t count_runs(const double *values, size_t count)
{
    size_t runs = 1;
    for (size_t i = 1; i < count; i++)
        runs += bits_of(values[i]) != bits_of(values[i - 1]);
    return runs;
}

static void put_runs(struct buf *out, const double *values, size_t count, size_t run_count,
                     unsigned without)
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
    buf_put_u8(out, CODING_RUNS);
    buf_put_varint(out, run_count);
    ints_put(out, lengths, run_count - 1);
    put_dense(out, run_values, run_count, without);
}

static void put_quickly(struct buf *out, const double *values, size_t count, size_t run_count,
                        unsigned without)
{
    if (run_count <= count / RUN_MEAN_MIN && (without & WITHOUT_RUNS) == 0)
        put_runs(out, values, count, run_count, without);
    else
        put_dense(out, values, count, without);
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
static uint64_t unit_by_rule(const uint64_t *mantissas, size_t count, enum decimal_rule rule,
                             unsigned without)
{
    uint64_t unit = (without & WITHOUT_UNIT) != 0 ? 1 : unit_of(mantissas, count);
    if (rule != DECIMAL_BITS)
        return unit;
    uint64_t power = unit & (~unit + 1);
    return power >> 63 != 0 ? power >> 1 : power;
}

static bool try_order(struct attempt *attempt, const uint64_t *mantissas, size_t count,
                      uint64_t unit, unsigned order, unsigned without)
{
    attempt->unit = unit;
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
    return tokens_plan(attempt->n + attempt->skipped, count - attempt->skipped,
                       (without & WITHOUT_LITERALS) == 0, &attempt->plan);
}

static void put_tokens(struct buf *out, const struct attempt *attempt, size_t count,
                       const struct decimals *decimals)
{
    buf_put_u8(out, attempt->plan.literal_count > 0 ? CODING_LITERALS : CODING_TOKENS);
    buf_put_u8(out, manner_of(decimals, attempt->order));
    buf_put_zigzag(out, (int64_t)attempt->first);
    buf_put_varint(out, attempt->unit);
    tokens_put(out, attempt->n + attempt->skipped, count - attempt->skipped, &attempt->plan);
}

/* Appends the values as tokens, unless that would take more than `most` bytes. */
static bool put_as_tokens(struct buf *out, const double *values, size_t count, size_t most,
                          unsigned without)
{
    struct scratch scratch;
    struct attempt attempts[2];
    struct decimals decimals;
    struct attempt *best = NULL;
    size_t before = out->size;

    if (!find(values, count, 0, &scratch, &decimals, without)) {
        if ((without & WITHOUT_BITS) != 0)
            return false;
        decimals = (struct decimals){.rule = DECIMAL_BITS};
        memcpy(scratch.mantissas, values, count * sizeof *values);
    }
    uint64_t unit = unit_by_rule(scratch.mantissas, count, decimals.rule, without);
    for (unsigned order = 0; order < ORDERS; order++) {
        struct attempt *attempt = best == &attempts[0] ? &attempts[1] : &attempts[0];
        if (may_take(order, without) &&
            try_order(attempt, scratch.mantissas, count, unit, order, without) &&
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

void values_put(struct buf *out, const double *values, size_t count, unsigned without)
{
    size_t run_count = count_runs(values, count), before = out->size;

    if (run_count == 1) {
        put_constant(out, values[0], without);
        return;
    }
    put_quickly(out, values, count, run_count, without);
    size_t size = out->size - before, saved = size / TOKENS_SHARE + count / TOKENS_SAMPLES / 8;
    if ((without & WITHOUT_TOKENS) != 0 || !buf_ok(out) || size <= saved)
        return;
    /* Tokens go behind the quick coding, and then over it. */
    if (put_as_tokens(out, values, count, size - saved - 1, without) && buf_ok(out)) {
        memmove(out->data + before, out->data + before + size, out->size - before - size);
        out->size -= size;
    }
}
