/*
 * codec_values_get.c - values out of their bytes, block by block.
 */
#include "collector/store/codec/codec_decimal.h"
#include "collector/store/codec/codec_ints.h"
#include "collector/store/codec/codec_tokens.h"
#include "collector/store/codec/codec_values.h"
#include "proto/base/cloned.h"

#define TOKENS_BLOCK 256 /* are read at once; even */
#define RULE_UNIT    64  /* of the byte that says scale, order and rule */

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

/* What stands in front of the integers, and how far they have been added up. */
struct manner {
    enum decimal_rule rule;
    unsigned scale, order;
    uint64_t first, unit;
    uint64_t mantissa, slope;
};

/* Differences back to mantissas, a block at a time.  What is added up may as well be added up in
 * units, so that no second walk has to multiply. */
CLONED static void add_up(struct manner *manner, uint64_t *block, size_t count)
{
    const uint64_t unit = manner->unit;
    uint64_t sum = manner->mantissa, slope = manner->slope; /* in registers: might be aliased */

    if (manner->order == 2) {
        for (size_t i = 0; i < count; i++)
            block[i] = sum += slope += unit * block[i];
    } else if (manner->order == 1) {
        for (size_t i = 0; i < count; i++)
            block[i] = sum += unit * block[i];
    } else {
        for (size_t i = 0; i < count; i++)
            block[i] = sum + unit * block[i];
    }
    manner->mantissa = sum;
    manner->slope = slope;
}

static bool get_manner(struct reader *reader, enum decimal_rule last, struct manner *ret_manner)
{
    unsigned byte = reader_u8(reader);
    *ret_manner = (struct manner){.rule = (enum decimal_rule)(byte / RULE_UNIT),
                                  .scale = byte % 16,
                                  .order = byte / 16 % 4};
    ret_manner->first = (uint64_t)reader_zigzag(reader);
    ret_manner->unit = reader_varint(reader);
    ret_manner->mantissa = ret_manner->first;
    return !reader->failed && ret_manner->order < ORDERS && ret_manner->unit != 0 &&
           ret_manner->rule <= last;
}

/* Integers to values, a block at a time. */
static void to_values(struct manner *manner, uint64_t *block, size_t size, double *values)
{
    add_up(manner, block, size);
    decimals_to_values(block, size, manner->rule, manner->scale, values);
}

static bool get_decimals(struct reader *reader, double *values, size_t count)
{
    struct manner manner;
    uint64_t block[CHUNK_BLOCK];

    if (!get_manner(reader, DECIMAL_TWICE, &manner))
        return false;
    decimals_to_values(&manner.first, 1, manner.rule, manner.scale, values);
    for (size_t at = 1; at < count; at += CHUNK_BLOCK) {
        size_t size = count - at < CHUNK_BLOCK ? count - at : CHUNK_BLOCK;
        if (!ints_get(reader, block, size))
            return false;
        to_values(&manner, block, size, values + at);
    }
    return true;
}

static bool get_tokens(struct reader *reader, bool literals, double *values, size_t count)
{
    struct manner manner;
    struct tokens_reader run;
    uint64_t block[TOKENS_BLOCK];

    if (!get_manner(reader, DECIMAL_BITS, &manner))
        return false;
    size_t at = manner.order > 0;
    if (at >= count || !tokens_open(reader, literals, &run))
        return false;
    if (at > 0)
        decimals_to_values(&manner.first, 1, manner.rule, manner.scale, values);
    while (at < count) {
        size_t size = count - at < TOKENS_BLOCK ? count - at : TOKENS_BLOCK;
        tokens_get(&run, block, size);
        to_values(&manner, block, size, values + at);
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
    case CODING_DECIMALS:
        return get_decimals(reader, values, count);
    case CODING_EXCEPTIONS:
        return get_exceptions(reader, values, count);
    case CODING_XOR:
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

bool values_are_plain(const struct reader *reader)
{
    struct reader ahead = *reader;

    switch (reader_u8(&ahead)) {
    case CODING_CONSTANT: {
        double value = value_of(reader_u64(&ahead));
        return value == value && !ahead.failed;
    }
    case CODING_SHORT_CONSTANT:
        return true;
    case CODING_DECIMALS:
    case CODING_TOKENS:
    case CODING_LITERALS:
        return reader_u8(&ahead) / RULE_UNIT != DECIMAL_BITS && !ahead.failed;
    default:
        return false;
    }
}

bool values_get(struct reader *reader, double *values, size_t count)
{
    unsigned coding = reader_u8(reader);

    switch (coding) {
    case CODING_CONSTANT:
        fill(values, count, value_of(reader_u64(reader)));
        return !reader->failed;
    case CODING_SHORT_CONSTANT:
        return get_short_constant(reader, values, count);
    case CODING_RUNS:
        return get_runs(reader, values, count);
    case CODING_TOKENS:
    case CODING_LITERALS:
        return get_tokens(reader, coding == CODING_LITERALS, values, count);
    default:
        return get_dense(reader, coding, values, count);
    }
}
