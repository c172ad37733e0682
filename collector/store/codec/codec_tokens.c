/*
 * codec_tokens.c - an integer is a token, which says how large it is, and low bits as they are.
 *
 *   token of v, with m mantissa bits (0..2); a = |v|
 *     a < 2^(m+1):  class a, no low bits
 *     else:         l = floor(log2 a); class 2^(m+1) + (l - m - 1) * 2^m + the m bits below the
 *                   highest of a; the other l - m bits are the low bits
 *     token = 2 * class for v >= 0, 2 * class - 1 for v < 0
 *
 *   a run of n values
 *     u8   table bits r (5..11) + 16 * m
 *     v    number of different tokens k, 1..2^(r-1)
 *     bits, the first in the lowest bit of the first byte:
 *          k x  { gamma: token minus the one before (the first: plus 1)
 *                 gamma: zigzag(level minus the level before) + 1, the first before being 0 }
 *          r    the first state of the values 0, 2, 4 ...; then that of 1, 3, 5 ...
 *          n x  { the bits that lead to its next state; low bits of the value }
 *          zeros up to a whole byte
 *   a run with literals, values that are a token each
 *     u8   as above
 *     v    k, 0..2^(r-1); v number of literals l, 1..; k + l at most 2^(r-1)
 *     bits as above, but behind the k tokens
 *          l x  { gamma: level, as above, going on from the tokens'
 *                 6 bits: bits of d minus 1; d, the literal minus the one before, modulo 2^64
 *                 (the first: minus -2^63); ascending as signed numbers }
 *   gamma(x), x >= 1: as many zeros as x has bits after its highest, a one, those bits.
 *
 * Tokens are coded by tabled asymmetric numeral systems (Duda, arXiv:1311.2540): a token takes a
 * fraction of a bit where it is likely, and decoding one is a look into a table.  Two states take
 * turns, so that a processor need not wait for one look to begin the next; both end at 0.  Levels are the
 * tokens' weights in half octaves, for exact weights would cost more than they buy; frequencies
 * follow from them by frequencies_of(), in integers, so that both sides agree.
 */
#include "collector/store/codec/codec_tokens.h"

#include <endian.h>

#include "collector/store/codec/codec_ints.h"
#include "collector/store/codec/codec_tokens_parts.h"
#include "proto/base/cloned.h"

#define TABLE_BITS_MIN 5
#define TABLE_MAX      TOKENS_TABLE_MAX
#define KINDS_MAX      TOKENS_KINDS_MAX
#define LEVELS         29 /* half octaves up to 2^14 */

_Static_assert(CHUNK_SAMPLES_MAX <= 1 << 14, "a count must fit the levels");
_Static_assert(TABLE_MAX == 1 << TABLE_BITS_MAX, "a table must fit");

static const uint32_t weights[LEVELS] = {
    64,    91,    128,   181,   256,    362,    512,    724,    1024,   1448,
    2048,  2896,  4096,  5793,  8192,   11585,  16384,  23170,  32768,  46341,
    65536, 92682, 131072, 185364, 262144, 370728, 524288, 741455, 1048576};

/* One token as the two sides know it. */
struct kind {
    uint16_t token; /* of a literal TOKENS plus its number */
    uint16_t frequency;
    uint8_t level;
};

/* Shares 2^table_bits out by weight, at least 1 each; what is left over, or lent, is the
 * commonest's.  `count` is at most half of the table. */
static void frequencies_of(struct kind *kinds, size_t count, unsigned table_bits)
{
    uint64_t size = UINT64_C(1) << table_bits, sum = 0, given = 0;
    size_t best = 0;

    for (size_t i = 0; i < count; i++)
        sum += weights[kinds[i].level];
    for (size_t i = 0; i < count; i++) {
        uint64_t share = weights[kinds[i].level] * size / sum;
        kinds[i].frequency = (uint16_t)(share == 0 ? 1 : share);
        given += kinds[i].frequency;
    }
    while (given != size) {
        for (size_t i = 0; i < count; i++)
            best = kinds[i].frequency > kinds[best].frequency ? i : best;
        uint64_t lent = given > size ? given - size : 0;
        if (lent >= kinds[best].frequency)
            lent = kinds[best].frequency - 1u;
        uint64_t more = given < size ? size - given : 0;
        kinds[best].frequency = (uint16_t)(kinds[best].frequency + more - lent);
        given = given + more - lent;
    }
}

/* Which kind owns each state: the owners are scattered evenly. */
static void scatter(const struct kind *kinds, size_t count, unsigned table_bits,
                    uint16_t *owners)
{
    uint32_t size = 1u << table_bits, step = size / 2 + size / 8 + 3, at = 0;

    for (size_t i = 0; i < count; i++) {
        for (unsigned n = kinds[i].frequency; n > 0; n--) {
            owners[at] = (uint16_t)i;
            at = (at + step) & (size - 1);
        }
    }
}

/* ---- writing --------------------------------------------------------------------------- */

struct bit_writer {
    struct buf *out;
    uint64_t word;
    unsigned used; /* below 8 between calls */
};

/* Up to 32 bits. */
static void put_bits(struct bit_writer *writer, uint64_t bits, unsigned count)
{
    writer->word |= bits << writer->used;
    writer->used += count;
    size_t bytes = writer->used / 8;
    uint8_t *to = buf_reserve(writer->out, sizeof writer->word);
    if (to == NULL)
        return;
    uint64_t word = htole64(writer->word);
    memcpy(to, &word, sizeof word);
    writer->out->size += bytes;
    writer->word >>= 8 * bytes;
    writer->used %= 8;
}

static void put_wide(struct bit_writer *writer, uint64_t bits, unsigned count)
{
    if (count > 32) {
        put_bits(writer, bits & UINT32_MAX, 32);
        bits >>= 32;
        count -= 32;
    }
    put_bits(writer, bits, count);
}

static void put_gamma(struct bit_writer *writer, uint64_t value)
{
    unsigned high = highest_bit(value);
    put_bits(writer, UINT64_C(1) << high, high + 1);
    put_bits(writer, value & ((UINT64_C(1) << high) - 1), high);
}

static void put_kinds(struct bit_writer *writer, const struct kind *kinds, size_t count,
                      const uint64_t *literals)
{
    unsigned token = 0;
    uint64_t level = 0, literal = LITERALS_FROM;

    for (size_t i = 0; i < count; i++) {
        const bool is_literal = kinds[i].token >= TOKENS;
        if (!is_literal)
            put_gamma(writer, i == 0 ? kinds[i].token + 1u : kinds[i].token - token);
        put_gamma(writer, ints_zigzag(kinds[i].level - level) + 1);
        token = kinds[i].token;
        level = kinds[i].level;
        if (!is_literal)
            continue;
        uint64_t step = literals[token - TOKENS] - literal;
        put_bits(writer, highest_bit(step | 1), 6);
        put_wide(writer, step, highest_bit(step | 1) + 1);
        literal = literals[token - TOKENS];
    }
}

/* 2 * log2(count), rounded. */
static uint8_t level_of(uint64_t count)
{
    unsigned high = highest_bit(count);
    uint64_t fourth = count * count * count * count; /* below 2^53 */
    return (uint8_t)(2 * high + (fourth >= UINT64_C(2) << (4 * high)) +
                     (fourth >= UINT64_C(8) << (4 * high)));
}

struct coder {
    struct kind kinds[KINDS_MAX];
    size_t count;
    uint16_t kind_of[TOKENS + TOKENS_LITERALS_MAX];
    uint16_t first[KINDS_MAX];  /* where a kind's states begin in `states` */
    uint16_t states[TABLE_MAX]; /* of each kind, by rising decoder state */
};

static void coder_init(struct coder *coder, const uint16_t *tokens, size_t count,
                       unsigned table_bits)
{
    unsigned counts[TOKENS + TOKENS_LITERALS_MAX] = {0};
    uint16_t owners[TABLE_MAX], next[KINDS_MAX], first = 0;

    coder->count = 0;
    for (size_t i = 0; i < count; i++)
        counts[tokens[i]]++;
    for (unsigned token = 0; token < TOKENS + TOKENS_LITERALS_MAX; token++) {
        if (counts[token] == 0)
            continue;
        coder->kind_of[token] = (uint16_t)coder->count;
        coder->kinds[coder->count++] =
            (struct kind){.token = (uint16_t)token, .level = level_of(counts[token])};
    }
    frequencies_of(coder->kinds, coder->count, table_bits);
    scatter(coder->kinds, coder->count, table_bits, owners);
    for (size_t i = 0; i < coder->count; i++) {
        coder->first[i] = next[i] = first;
        first = (uint16_t)(first + coder->kinds[i].frequency);
    }
    for (unsigned state = 0; state < 1u << table_bits; state++)
        coder->states[next[owners[state]]++] = (uint16_t)state;
}

/* Steps from a state to the one that decodes `kind` and then leads to it; the bits that say
 * which of its followers it was. */
static unsigned step_back(const struct coder *coder, size_t kind, unsigned table_bits,
                          unsigned *state, unsigned *ret_bits)
{
    unsigned frequency = coder->kinds[kind].frequency;
    unsigned full = *state + (1u << table_bits);
    unsigned bits = table_bits - highest_bit(frequency);
    if (full >> bits < frequency)
        bits--;
    *ret_bits = full & ((1u << bits) - 1);
    *state = coder->states[coder->first[kind] + (full >> bits) - frequency];
    return bits;
}

/* Its token; that of a literal is TOKENS and its number. */
static uint16_t token_by_plan(uint64_t value, const struct tokens_plan *plan,
                              uint8_t *ret_low_bits)
{
    size_t from = 0, end = plan->literal_count;
    unsigned low_bits;

    while (from < end) {
        size_t middle = from + (end - from) / 2;
        if ((int64_t)plan->literals[middle] < (int64_t)value)
            from = middle + 1;
        else
            end = middle;
    }
    if (from < plan->literal_count && plan->literals[from] == value) {
        *ret_low_bits = 0;
        return (uint16_t)(TOKENS + from);
    }
    unsigned token = token_of(value, plan->mantissa_bits, &low_bits);
    *ret_low_bits = (uint8_t)low_bits;
    return (uint16_t)token;
}

void tokens_put(struct buf *out, const uint64_t *values, size_t count,
                const struct tokens_plan *plan)
{
    struct coder coder;
    uint16_t tokens[CHUNK_SAMPLES_MAX], bits[CHUNK_SAMPLES_MAX];
    uint8_t bit_counts[CHUNK_SAMPLES_MAX], low_counts[CHUNK_SAMPLES_MAX];
    unsigned states[2] = {0, 0}, found;

    for (size_t i = 0; i < count; i++)
        tokens[i] = token_by_plan(values[i], plan, &low_counts[i]);
    coder_init(&coder, tokens, count, plan->table_bits);
    for (size_t i = count; i-- > 0;) {
        bit_counts[i] = (uint8_t)step_back(&coder, coder.kind_of[tokens[i]], plan->table_bits,
                                           &states[i % 2], &found);
        bits[i] = (uint16_t)found;
    }
    buf_put_u8(out, (uint8_t)(plan->table_bits + 16 * plan->mantissa_bits));
    buf_put_varint(out, coder.count - plan->literal_count);
    if (plan->literal_count > 0)
        buf_put_varint(out, plan->literal_count);
    struct bit_writer writer = {.out = out};
    put_kinds(&writer, coder.kinds, coder.count, plan->literals);
    put_bits(&writer, states[0], plan->table_bits);
    put_bits(&writer, states[1], plan->table_bits);
    for (size_t i = 0; i < count; i++) {
        uint64_t low = magnitude_of(values[i]) & ((UINT64_C(1) << low_counts[i]) - 1);
        put_bits(&writer, bits[i], bit_counts[i]);
        put_wide(&writer, low, low_counts[i]);
    }
    if (writer.used > 0)
        put_bits(&writer, 0, 8 - writer.used);
}

/* ---- reading --------------------------------------------------------------------------- */

/* At least 57 bits from bit `at` on; zeros past the end. */
static uint64_t peek(const struct tokens_reader *run, size_t at)
{
    size_t byte = at / 8;
    uint64_t word = 0;
    if (byte + sizeof word <= run->size)
        memcpy(&word, run->data + byte, sizeof word);
    else if (byte < run->size)
        memcpy(&word, run->data + byte, run->size - byte);
    return le64toh(word) >> (at % 8);
}

static inline uint64_t low_mask(unsigned count)
{
    return (UINT64_C(1) << count) - 1;
}

/* Up to 63 bits from bit `at` on. */
static uint64_t peek_wide(const struct tokens_reader *run, size_t at, unsigned count)
{
    uint64_t low = peek(run, at);
    if (count <= 56)
        return low & low_mask(count);
    return (peek(run, at + 32) & low_mask(count - 32)) << 32 | (low & UINT32_MAX);
}

/* 0 for rubbish. */
static uint64_t get_gamma(struct tokens_reader *run)
{
    uint64_t word = peek(run, run->at) & UINT32_MAX;
    unsigned high = word == 0 ? 32 : (unsigned)__builtin_ctzll(word);
    if (high > 15)
        return 0;
    run->at += 2 * high + 1;
    return UINT64_C(1) << high | (word >> (high + 1) & low_mask(high));
}

/* The rest of a literal's row; literals ascend, so that each is there once. */
static bool get_literal(struct tokens_reader *run, bool is_first, uint64_t *literal)
{
    unsigned bits = (unsigned)(peek(run, run->at) & low_mask(6)) + 1;
    run->at += 6;
    uint64_t step = bits == 64 ? peek_wide(run, run->at, 32) |
                                     peek_wide(run, run->at + 32, 32) << 32
                               : peek_wide(run, run->at, bits);
    run->at += bits;
    uint64_t before = *literal;
    *literal += step;
    return is_first || (int64_t)*literal > (int64_t)before;
}

/* `count` tokens, and then as many literals as there are, whose values go to the run. */
static bool get_kinds(struct tokens_reader *run, struct kind *kinds, size_t count,
                      size_t literal_count)
{
    uint64_t token = 0, literal = LITERALS_FROM;
    int64_t level = 0;

    for (size_t i = 0; i < count + literal_count; i++) {
        uint64_t step = i < count ? get_gamma(run) : 1, change = get_gamma(run);
        if (step == 0 || change == 0)
            return false;
        token = i == count ? TOKENS : token + (i == 0 ? step - 1 : step);
        level += (int64_t)ints_unzigzag(change - 1);
        if ((i < count && token >= TOKENS) || level < 0 || level >= LEVELS)
            return false;
        kinds[i] = (struct kind){.token = (uint16_t)token, .level = (uint8_t)level};
        if (i >= count && !get_literal(run, i == count, &literal))
            return false;
        run->kinds[i].base = literal;
    }
    return true;
}

static bool make_table(struct tokens_reader *run, const struct kind *kinds, size_t count,
                       unsigned table_bits, unsigned mantissa)
{
    uint16_t owners[TABLE_MAX], next[KINDS_MAX];
    uint8_t low_bits[KINDS_MAX];
    uint32_t size = 1u << table_bits;
    unsigned low_most = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned low = 0;
        bool is_literal = kinds[i].token >= TOKENS;
        if (!is_literal && !token_base(kinds[i].token, mantissa, &run->kinds[i].base, &low))
            return false;
        run->kinds[i].sign = !is_literal && kinds[i].token % 2 == 1 ? ~UINT64_C(0) : 0;
        low_bits[i] = (uint8_t)low;
        low_most = low > low_most ? low : low_most;
        next[i] = kinds[i].frequency;
    }
    run->most_bits = table_bits + low_most;
    scatter(kinds, count, table_bits, owners);
    for (uint32_t state = 0; state < size; state++) {
        uint16_t kind = owners[state];
        uint32_t x = next[kind]++;
        unsigned bits = table_bits - highest_bit(x);
        run->table[state] = (struct tokens_state){
            .next = (uint16_t)((x << bits) - size),
            .mask = (uint16_t)low_mask(bits),
            .kind = kind,
            .used = (uint8_t)(bits + low_bits[kind]),
            .low_bits = low_bits[kind],
        };
    }
    return true;
}

bool tokens_open(struct reader *reader, bool literals, struct tokens_reader *run)
{
    struct kind kinds[KINDS_MAX];
    unsigned head = reader_u8(reader), table_bits = head % 16, mantissa = head / 16;
    uint64_t count = reader_varint(reader);
    uint64_t literal_count = literals ? reader_varint(reader) : 0;

    if (reader->failed || table_bits < TABLE_BITS_MIN || table_bits > TABLE_BITS_MAX ||
        mantissa > MANTISSA_MAX || count > 1u << (table_bits - 1) ||
        literal_count > (1u << (table_bits - 1)) - count || (literals ? literal_count : count) == 0)
        return false;
    size_t all = (size_t)(count + literal_count);
    struct bytes rest = reader_bytes(reader, reader_left(reader));
    run->data = rest.data;
    run->size = rest.size;
    run->at = 0;
    if (!get_kinds(run, kinds, (size_t)count, (size_t)literal_count))
        return false;
    frequencies_of(kinds, all, table_bits);
    if (!make_table(run, kinds, all, table_bits, mantissa))
        return false;
    for (size_t i = 0; i < 2; i++) {
        run->states[i] = (unsigned)peek_wide(run, run->at, table_bits);
        run->at += table_bits;
    }
    return true;
}

/* One value; `word` is peeked from *at. */
static inline uint64_t decode_one(const struct tokens_reader *run, unsigned *state,
                                  uint64_t word, size_t *at)
{
    struct tokens_state entry = run->table[*state];
    const unsigned bits = (unsigned)(entry.used - entry.low_bits);
    uint64_t low = word >> bits & low_mask(entry.low_bits);

    *state = entry.next + (unsigned)(word & entry.mask);
    *at += bits;
    if (entry.low_bits > 56 - TABLE_BITS_MAX)
        low = peek_wide(run, *at, entry.low_bits);
    *at += entry.low_bits;
    uint64_t sign = run->kinds[entry.kind].sign;
    return ((run->kinds[entry.kind].base + low) ^ sign) - sign;
}

/* Bits taken from the front, at least WINDOW_BITS after a refill; what stands above `left` is of the
 * run, too, and will be there once more. */
struct window {
    uint64_t word;
    unsigned left;
    const uint8_t *next; /* what is read next is known long before it is needed */
};

#define WINDOW_BITS 56

static inline void refill(struct window *window)
{
    uint64_t word;
    memcpy(&word, window->next, sizeof word);
    window->word |= le64toh(word) << window->left;
    window->next += (63 - window->left) / 8;
    window->left |= WINDOW_BITS;
}

/* One value where all that it takes is in the window. */
static inline uint64_t decode_next(const struct tokens_reader *run, unsigned *state,
                                   struct window *window)
{
    const struct tokens_state *entry = &run->table[*state];
    unsigned used = entry->used, low_bits = entry->low_bits;
    uint64_t low = window->word >> (used - low_bits) & low_mask(low_bits);

    *state = entry->next + (unsigned)(window->word & entry->mask);
    window->word >>= used;
    window->left -= used;
    uint64_t sign = run->kinds[entry->kind].sign;
    return ((run->kinds[entry->kind].base + low) ^ sign) - sign;
}

/* Of `count` values as many as whole words are there for, `each` of them out of a window: a look into
 * memory is long for a processor that has to wait for it to know where the next value begins. */
static inline size_t get_by_windows(struct tokens_reader *run, uint64_t *values, size_t count,
                                    size_t each)
{
    unsigned even = run->states[0], odd = run->states[1];
    struct window window = {.next = run->data + run->at / 8};
    size_t i = 0;

    if (run->at / 8 + sizeof(uint64_t) > run->size)
        return 0;
    const uint8_t *const last = run->data + run->size - sizeof(uint64_t);
    refill(&window);
    window.word >>= run->at % 8;
    window.left -= (unsigned)(run->at % 8);
    while (i + each <= count && window.next <= last) {
        /* A refill moves on by 7 bytes at most: so many cannot pass the end. */
        size_t refills = (size_t)(last - window.next) / 7 + 1;
        size_t wanted = (count - i) / each;
        for (size_t n = refills < wanted ? refills : wanted; n > 0; n--, i += each) {
            refill(&window);
            for (size_t k = 0; k < each; k += 2) {
                values[i + k] = decode_next(run, &even, &window);
                values[i + k + 1] = decode_next(run, &odd, &window);
            }
        }
    }
    run->states[0] = even;
    run->states[1] = odd;
    run->at = (size_t)(window.next - run->data) * 8 - window.left;
    return i;
}

CLONED void tokens_get(struct tokens_reader *run, uint64_t *values, size_t count)
{
    size_t i = 0;

    if (run->most_bits <= WINDOW_BITS / 4)
        i = get_by_windows(run, values, count, 4);
    else if (run->most_bits <= WINDOW_BITS / 2)
        i = get_by_windows(run, values, count, 2);
    for (; i < count; i++)
        values[i] = decode_one(run, &run->states[i % 2], peek(run, run->at), &run->at);
}

bool tokens_end(const struct tokens_reader *run)
{
    return run->states[0] == 0 && run->states[1] == 0 && (run->at + 7) / 8 == run->size;
}
