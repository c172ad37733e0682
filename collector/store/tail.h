/*
 * tail.h - the newest samples of a series, not yet a chunk: few bytes, cheap to append to.
 *
 * Most series tick regularly and most never change, so a tail holds columns only where it must:
 *
 *     times   regular (first, step) until a sample comes off the beat; then an array of offsets
 *     values  one value until another comes; then an array: of steps from the first value, counted
 *             in 1, 0.1, ... or 0.000000001 and as many bytes each as the longest needs, as long as
 *             every value is that decimal bit for bit (what counts, and most of what is
 *             measured); else of the values
 *
 * Times strictly ascend.  All samples of a tail lie in one history span (the caller sees to
 * it). Not thread-safe: the series's lock covers it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"

/* A tail with this many samples is sealed into a chunk. */
#define TAIL_SAMPLES_MAX 120

struct store_sample;

#define TAIL_RAW 15 /* the scale of a column of values */

struct tail {
    int64_t first_ms;
    double first_value;
    uint32_t *offsets_ms; /* from first_ms; NULL while regular */
    uint8_t *column;      /* of values; NULL while all are first_value */
    uint32_t step_ms;     /* regular: between samples */
    uint8_t count, time_capacity, value_capacity;
    uint8_t width : 4; /* bytes of an entry of the column, 1 to 8 */
    uint8_t scale : 4; /* decimals of its steps, or TAIL_RAW */
};

void tail_done(struct tail *tail);
static inline bool tail_is_empty(const struct tail *tail)
{
    return tail->count == 0;
}
int64_t tail_time_at(const struct tail *tail, size_t i);
double tail_value_at(const struct tail *tail, size_t i);
/* Where the next value will be put, or NULL: to be asked for ahead. */
static inline const void *tail_next_value(const struct tail *tail)
{
    return tail->column == NULL ? NULL : tail->column + (size_t)tail->count * tail->width;
}
int64_t tail_last_ms(const struct tail *tail);
/* Could a sample at this time go in without overflow of its offset or its length? */
bool tail_has_room(const struct tail *tail, int64_t ts_ms);

/* ts_ms after the last; room was checked.  ERR_NOMEM leaves the tail as it was. */
int tail_append(struct tail *tail, int64_t ts_ms, double value);
/* Takes samples of one series from the first on, while they are on the tail's beat, find room
 * and lie before `end_ms`; a tail that has no beat takes none.  Returns how many it took: the
 * next is for tail_append(), or for another tail. */
size_t tail_extend(struct tail *tail, const struct store_sample *samples, size_t count,
                   int64_t end_ms);

enum tail_change { TAIL_INSERTED, TAIL_REPLACED, TAIL_SAME };
/* Anywhere at or after first_ms - UINT32_MAX; an equal time is overwritten. */
int tail_insert(struct tail *tail, int64_t ts_ms, double value, enum tail_change *ret_change);

/* Copies all samples to arrays of TAIL_SAMPLES_MAX. */
void tail_copy(const struct tail *tail, int64_t *times_ms, double *values);
size_t tail_bytes(const struct tail *tail);
