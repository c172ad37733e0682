/*
 * codec_tokens_plan.c - how many mantissa bits, and which values have kinds of their own.
 *
 * A counter that a program adds up in floating point has steps of all 53 bits, but few
 * different ones, because what it counts is whole.  Said once in the head of the run such a
 * step costs as little as any other symbol: those are the literals.  They are looked for only
 * where low bits make up most, and given up early where nothing repeats: on other columns that
 * costs next to nothing.
 */
#include "collector/store/codec/codec_tokens_parts.h"

/* Bits a token costs in the head of the run, about; and a literal beside its low bits. */
#define KIND_COST    4.0
#define LITERAL_COST 10.0
/* Low bits a value from which on literals are looked for. */
#define LITERAL_LOW_BITS 8
#define REPEAT_SLOTS     (2 * CHUNK_SAMPLES_MAX)
#define REPEAT_SHIFT     50
/* Of so many values so many must have been there before. */
#define REPEATS_LOOK  256
#define REPEATS_LEAST 6

_Static_assert(REPEAT_SLOTS == 1 << (64 - REPEAT_SHIFT), "a hash must fit");

static unsigned table_bits_for(size_t count, size_t kinds)
{
    unsigned bits = count >= 1500 ? 9 : count >= 400 ? 8 : 6;
    while (bits < TABLE_BITS_MAX && kinds * 3 > (size_t)1 << bits)
        bits++;
    return bits;
}

/* log2 to a hundredth: a plan needs no more, and the library's takes longer than all else. */
static double rough_log2(size_t x)
{
    unsigned high = highest_bit(x);
    double rest = (double)x / (double)(UINT64_C(1) << high) - 1;
    return high + rest * (1.3465 - 0.3465 * rest);
}

/* Bits of values whose finest tokens are counted, if taken apart with fewer mantissa bits. */
struct cost {
    double bits, low_bits; /* the latter a part of the former */
    size_t kinds;
};

static struct cost cost_of(const uint16_t *finest, unsigned end, unsigned mantissa,
                           size_t count)
{
    uint16_t counts[TOKENS] = {0};
    struct cost cost = {0};
    double whole = rough_log2(count);

    for (unsigned token = 0; token < end; token++) {
        uint64_t base;
        unsigned low_bits;
        if (finest[token] == 0 || !token_base(token, MANTISSA_MAX, &base, &low_bits))
            continue;
        unsigned coarse = token_of(token % 2 == 0 ? base : 0 - base, mantissa, &low_bits);
        counts[coarse] = (uint16_t)(counts[coarse] + finest[token]);
        cost.low_bits += (double)low_bits * finest[token];
    }
    cost.bits = cost.low_bits;
    for (unsigned token = 0; token < end; token++) {
        if (counts[token] == 0)
            continue;
        cost.kinds++;
        cost.bits += counts[token] * (whole - rough_log2(counts[token])) + KIND_COST;
    }
    return cost;
}

/* ---- literals -------------------------------------------------------------------------- */

/* How often each value comes, at the place where it comes first; elsewhere 0.  False when there
 * are hardly any that come again. */
static bool count_repeats(const uint64_t *values, size_t count, uint16_t *counts)
{
    uint16_t slots[REPEAT_SLOTS] = {0}; /* place of a value, plus 1 */
    size_t repeats = 0;

    for (size_t i = 0; i < count; i++) {
        size_t slot = (size_t)(values[i] * UINT64_C(0x9e3779b97f4a7c15) >> REPEAT_SHIFT);
        while (slots[slot] != 0 && values[slots[slot] - 1] != values[i])
            slot = (slot + 1) % REPEAT_SLOTS;
        counts[i] = 0;
        if (slots[slot] == 0)
            slots[slot] = (uint16_t)(i + 1);
        else
            repeats++;
        counts[slots[slot] - 1]++;
        if (i + 1 == REPEATS_LOOK && repeats < REPEATS_LEAST)
            return false;
    }
    return repeats >= REPEATS_LEAST;
}

/* Bits saved if a value that comes `count` times is no longer one of a token's `total`. */
static double saving_of(size_t count, size_t total, unsigned low_bits)
{
    double share = rough_log2(total) - rough_log2(count);
    double others = total == count ? 0
                                   : (double)(total - count) *
                                         (rough_log2(total) - rough_log2(total - count));
    return (double)count * (low_bits - share) - others - LITERAL_COST - low_bits;
}

/* Ascending, as signed ones. */
static void sort_literals(uint64_t *literals, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < count; i++) {
            uint64_t value = literals[i];
            size_t at = i;
            for (; at >= gap && (int64_t)literals[at - gap] > (int64_t)value; at -= gap)
                literals[at] = literals[at - gap];
            literals[at] = value;
        }
    }
}

/* The values that are worth it, of those that come at least `least` times; false if they are
 * too many.  `places`: where each of them is among the values. */
static bool choose_literals(const uint64_t *values, size_t count, const uint16_t *counts,
                            const uint16_t *totals, uint16_t least, struct tokens_plan *plan,
                            uint16_t places[TOKENS_LITERALS_MAX])
{
    plan->literal_count = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned low_bits;
        if (counts[i] < least)
            continue;
        size_t total = totals[token_of(values[i], plan->mantissa_bits, &low_bits)];
        if (saving_of(counts[i], total, low_bits) <= 0)
            continue;
        if (plan->literal_count == TOKENS_LITERALS_MAX)
            return false;
        plan->literals[plan->literal_count] = values[i];
        places[plan->literal_count++] = (uint16_t)i;
    }
    return true;
}

/* Makes literals of what comes again and again, where that is better. */
static void add_literals(const uint64_t *values, size_t count, struct tokens_plan *plan)
{
    uint16_t counts[CHUNK_SAMPLES_MAX], totals[TOKENS] = {0}, places[TOKENS_LITERALS_MAX];
    double bits = 0, whole = rough_log2(count);
    unsigned low_bits;

    if (!count_repeats(values, count, counts))
        return;
    for (size_t i = 0; i < count; i++)
        totals[token_of(values[i], plan->mantissa_bits, &low_bits)]++;
    for (uint16_t least = 2; !choose_literals(values, count, counts, totals, least, plan, places);)
        least++;
    size_t kinds = plan->literal_count;
    for (size_t i = 0; i < plan->literal_count; i++) {
        size_t place = places[i];
        unsigned token = token_of(values[place], plan->mantissa_bits, &low_bits);
        totals[token] = (uint16_t)(totals[token] - counts[place]);
        bits += counts[place] * (whole - rough_log2(counts[place])) + LITERAL_COST + low_bits;
    }
    for (unsigned token = 0; token < TOKENS; token++) {
        uint64_t base;
        if (totals[token] == 0 || !token_base(token, plan->mantissa_bits, &base, &low_bits))
            continue;
        kinds++;
        bits += totals[token] * (whole - rough_log2(totals[token]) + low_bits) + KIND_COST;
    }
    unsigned table_bits = table_bits_for(count, kinds);
    if (kinds > (size_t)1 << (table_bits - 1) || bits >= plan->bits) {
        plan->literal_count = 0;
        return;
    }
    sort_literals(plan->literals, plan->literal_count);
    plan->table_bits = table_bits;
    plan->bits = bits;
}

bool tokens_plan(const uint64_t *values, size_t count, bool may_have_literals,
                 struct tokens_plan *ret_plan)
{
    uint16_t finest[TOKENS] = {0};
    unsigned end = 0;
    bool found = false;
    double low_bits = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned low, token = token_of(values[i], MANTISSA_MAX, &low);
        finest[token]++;
        end = token >= end ? token + 1 : end;
    }
    for (unsigned mantissa = 0; mantissa <= MANTISSA_MAX; mantissa++) {
        struct cost cost = cost_of(finest, end, mantissa, count);
        unsigned table_bits = table_bits_for(count, cost.kinds);
        if (cost.kinds > (size_t)1 << (table_bits - 1) ||
            (found && cost.bits >= ret_plan->bits))
            continue;
        ret_plan->mantissa_bits = mantissa;
        ret_plan->table_bits = table_bits;
        ret_plan->bits = cost.bits;
        low_bits = cost.low_bits;
        found = true;
    }
    ret_plan->literal_count = 0;
    if (found && may_have_literals && low_bits >= LITERAL_LOW_BITS * (double)count)
        add_literals(values, count, ret_plan);
    return found;
}
