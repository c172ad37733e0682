/*
 * emitter_parts.h - the emitter's own structure, shared by its files:
 *
 *     emitter.c        series, and what sources emit
 *     emitter_seal.c   batches of it
 */
#pragma once

#include "probe/emitter_tick.h"
#include "probe/pending.h"

#define WORD_BITS 64u

struct late_group {
    int64_t ts_ms;
    size_t first; /* in late_refs and late_values */
    size_t count;
};

struct emitter {
    const struct notes *durable;
    uint64_t seed;

    /* series, by ref */
    uint64_t *hashes;
    double *values;
    uint64_t *emitted; /* bits */
    uint64_t *ended;   /* bits */
    uint16_t *owners;  /* who emitted it last; 0: nobody, or it has ended */
    uint32_t *order;   /* refs in the order of emitting */
    uint64_t *sealed_refs;
    double *sealed_values;
    uint32_t count;
    uint32_t capacity; /* a multiple of WORD_BITS */
    uint32_t order_count;
    uint32_t ended_count;
    uint16_t owner; /* who emits now */

    /* hash -> ref + 1, open addressing, a power of two, at most half full */
    uint32_t *table;
    uint32_t table_size;

    /* definitions the spool does not have yet */
    struct buf fresh;
    struct buf scratch;
    uint32_t fresh_first;

    /* the tick */
    int64_t tick_ms;
    int64_t kept_ms; /* tick of the last batch that was kept */
    uint32_t part;   /* the next to be sealed */
    struct late_group late[BATCH_LATE_MAX];
    struct late_samples late_view[BATCH_LATE_MAX];
    size_t late_count;
    uint64_t *late_refs;
    double *late_values;
    size_t late_used, late_room;
    uint64_t *ended_refs;
    size_t ended_room;
    struct pending pending;
    struct notes changed;

    struct emitter_counts counts;
};

static inline bool bit_get(const uint64_t *bits, uint32_t at)
{
    return (bits[at / WORD_BITS] >> (at % WORD_BITS) & 1) != 0;
}

static inline void bit_set(uint64_t *bits, uint32_t at)
{
    bits[at / WORD_BITS] |= (uint64_t)1 << (at % WORD_BITS);
}

static inline void bit_clear(uint64_t *bits, uint32_t at)
{
    bits[at / WORD_BITS] &= ~((uint64_t)1 << (at % WORD_BITS));
}
