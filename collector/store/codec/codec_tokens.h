/*
 * codec_tokens.h - runs of integers, entropy-coded.  Internal to the codec.
 *
 * Takes about three times as long to write as codec_ints.h and up to twice as long to read, and
 * comes near the entropy of the integers' sizes: for what is written once and kept for long.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/codec/codec.h"

#define TOKENS_LITERALS_MAX 640

/* How a run is best taken apart. */
struct tokens_plan {
    unsigned mantissa_bits;
    unsigned table_bits;
    double bits;                            /* what it will take, about */
    size_t literal_count;                   /* values that are a token each: */
    uint64_t literals[TOKENS_LITERALS_MAX]; /* ascending, as signed ones */
};

/* The best plan for 1..CHUNK_SAMPLES_MAX values (modulo 2^64, small ones of either sign are
 * cheap).  False if there are more different tokens than a table can hold. */
bool tokens_plan(const uint64_t *values, size_t count, bool may_have_literals,
                 struct tokens_plan *ret_plan);

/* Appends a run; it must be the last thing in the chunk. */
void tokens_put(struct buf *out, const uint64_t *values, size_t count,
                const struct tokens_plan *plan);

#define TOKENS_TABLE_MAX 2048
#define TOKENS_KINDS_MAX (TOKENS_TABLE_MAX / 2)

/* A run being read; large. */
struct tokens_reader {
    struct tokens_state { /* what a state of the coder says */
        uint16_t next;    /* plus the bits read */
        uint16_t mask;    /* of these: as many ones */
        uint16_t kind;
        uint8_t used, low_bits; /* bits that a value takes, and those of them that are low ones */
    } table[TOKENS_TABLE_MAX];
    struct {
        uint64_t base, sign; /* sign: all ones for negative */
    } kinds[TOKENS_KINDS_MAX];
    const uint8_t *data;
    size_t size; /* bytes */
    size_t at;   /* bits; may pass the end, where bits are 0 */
    unsigned states[2];
    unsigned most_bits; /* that a value takes, low bits included */
};

/* Takes all that is left in the reader, a run with literals or one without.  False for rubbish. */
bool tokens_open(struct reader *reader, bool literals, struct tokens_reader *run);
/* The next values: an even number of them, but for the last time.  What is rubbish gives any
 * values; tokens_end() tells. */
void tokens_get(struct tokens_reader *run, uint64_t *values, size_t count);
/* Was the whole run read, and nothing else? */
bool tokens_end(const struct tokens_reader *run);
