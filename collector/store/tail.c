/*
 * tail.c - samples that are still open.
 *
 * The one surprise: "all the same value" compares bits, so that a NaN payload or a negative
 * zero is a change like any other.
 */
#include "collector/store/tail.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CAPACITY_FIRST 8u

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

void tail_done(struct tail *tail)
{
    free(tail->offsets_ms);
    free(tail->values);
    *tail = (struct tail){0};
}

int64_t tail_time_at(const struct tail *tail, size_t i)
{
    if (tail->offsets_ms != NULL)
        return tail->first_ms + tail->offsets_ms[i];
    return tail->first_ms + (int64_t)i * tail->step_ms;
}

double tail_value_at(const struct tail *tail, size_t i)
{
    if (tail->values == NULL)
        return tail->first_value;
    return tail->has_steps ? tail->first_value + (double)tail->steps[i] : tail->values[i];
}

int64_t tail_last_ms(const struct tail *tail)
{
    must(tail->count > 0);
    return tail_time_at(tail, tail->count - 1u);
}

bool tail_has_room(const struct tail *tail, int64_t ts_ms)
{
    if (tail->count == 0)
        return true;
    return tail->count < TAIL_SAMPLES_MAX && ts_ms - tail->first_ms <= (int64_t)UINT32_MAX &&
           tail_last_ms(tail) - ts_ms <= (int64_t)UINT32_MAX;
}

static uint8_t grown(uint8_t capacity, size_t need)
{
    size_t next = capacity == 0 ? CAPACITY_FIRST : capacity;
    while (next < need)
        next += next < 16 ? next : 16;
    return (uint8_t)(next < TAIL_SAMPLES_MAX ? next : TAIL_SAMPLES_MAX);
}

/* Room for one more offset, writing out the regular ones first. */
static int hold_offsets(struct tail *tail)
{
    if (tail->offsets_ms != NULL && tail->count < tail->time_capacity)
        return 0;
    uint8_t capacity = grown(tail->time_capacity, tail->count + 1u);
    uint32_t *offsets = realloc(tail->offsets_ms, capacity * sizeof *offsets);
    if (offsets == NULL)
        return ERR_NOMEM;
    if (tail->offsets_ms == NULL)
        for (uint32_t i = 0; i < tail->count; i++)
            offsets[i] = i * tail->step_ms;
    tail->offsets_ms = offsets;
    tail->time_capacity = capacity;
    return 0;
}

/* Can the value be kept as a step from the first? */
static bool find_step(const struct tail *tail, double value, int32_t *ret_step)
{
    const double difference = value - tail->first_value;
    if (!(difference >= INT32_MIN && difference <= INT32_MAX)) /* nor a NaN */
        return false;
    *ret_step = (int32_t)difference;
    return same_bits(tail->first_value + (double)*ret_step, value);
}

/* Steps may go on, or begin: the first value must be its own step of 0 (-0 is not). */
static bool takes_steps(const struct tail *tail)
{
    return tail->values != NULL ? tail->has_steps
                                : same_bits(tail->first_value + 0.0, tail->first_value);
}

/* Steps become values. */
static int widen(struct tail *tail)
{
    double *values = malloc(tail->value_capacity * sizeof *values);
    if (values == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < tail->count; i++)
        values[i] = tail_value_at(tail, i);
    free(tail->steps);
    tail->values = values;
    tail->has_steps = false;
    return 0;
}

/* Room for so many more values, writing out those that are all the same first. */
static int hold_values(struct tail *tail, size_t more, bool as_steps)
{
    if (tail->values != NULL && tail->has_steps && !as_steps && widen(tail) != 0)
        return ERR_NOMEM;
    if (tail->values != NULL && tail->count + more <= tail->value_capacity)
        return 0;
    const uint8_t capacity = grown(tail->value_capacity, tail->count + more);
    void *column =
        realloc(tail->values, capacity * (as_steps ? sizeof(int32_t) : sizeof(double)));
    if (column == NULL)
        return ERR_NOMEM;
    const bool is_new = tail->values == NULL;
    tail->values = column;
    tail->value_capacity = capacity;
    tail->has_steps = as_steps;
    for (size_t i = 0; is_new && i < tail->count; i++)
        if (as_steps)
            tail->steps[i] = 0;
        else
            tail->values[i] = tail->first_value;
    return 0;
}

/* Values behind the others, for which there is room. */
static void put_values(struct tail *tail, const struct store_sample *samples, size_t count)
{
    if (tail->has_steps)
        for (size_t i = 0; i < count; i++)
            tail->steps[tail->count + i] = (int32_t)(samples[i].value - tail->first_value);
    else
        for (size_t i = 0; i < count; i++)
            tail->values[tail->count + i] = samples[i].value;
}

int tail_append(struct tail *tail, int64_t ts_ms, double value)
{
    if (tail->count == 0) {
        tail->first_ms = ts_ms;
        tail->first_value = value;
        tail->step_ms = 0;
        tail->count = 1;
        return 0;
    }
    must(tail_has_room(tail, ts_ms) && ts_ms > tail_last_ms(tail));
    uint32_t offset = (uint32_t)(ts_ms - tail->first_ms);
    bool on_beat = tail->offsets_ms == NULL &&
                   (tail->count == 1 || offset == (uint64_t)tail->step_ms * tail->count);
    if (!on_beat && hold_offsets(tail) != 0)
        return ERR_NOMEM;
    int32_t step;
    if ((tail->values != NULL || !same_bits(value, tail->first_value)) &&
        hold_values(tail, 1, takes_steps(tail) && find_step(tail, value, &step)) != 0)
        return ERR_NOMEM;
    if (on_beat && tail->count == 1)
        tail->step_ms = offset;
    if (tail->offsets_ms != NULL)
        tail->offsets_ms[tail->count] = offset;
    if (tail->values != NULL)
        put_values(tail, &(struct store_sample){.value = value}, 1);
    tail->count++;
    return 0;
}

/* How many of the samples come as the beat has it. */
static size_t count_on_beat(const struct tail *tail, const struct store_sample *samples,
                            size_t count, int64_t end_ms)
{
    if (tail->count < 2 || tail->offsets_ms != NULL)
        return 0;
    const int64_t furthest_ms = tail->first_ms + (int64_t)UINT32_MAX;
    int64_t due_ms = tail->first_ms + (int64_t)tail->step_ms * tail->count;
    size_t room = TAIL_SAMPLES_MAX - (size_t)tail->count;
    size_t n = 0;
    if (count > room)
        count = room;
    if (end_ms > furthest_ms)
        end_ms = furthest_ms;
    while (n < count && samples[n].ts_ms == due_ms && due_ms < end_ms) {
        due_ms += tail->step_ms;
        n++;
    }
    return n;
}

size_t tail_extend(struct tail *tail, const struct store_sample *samples, size_t count,
                   int64_t end_ms)
{
    size_t n = count_on_beat(tail, samples, count, end_ms);
    size_t i = 0;
    if (tail->values == NULL) {
        while (i < n && same_bits(samples[i].value, tail->first_value))
            i++;
        tail->count = (uint8_t)(tail->count + i);
        if (i == n)
            return n;
    }
    bool as_steps = takes_steps(tail);
    int32_t step;
    for (size_t j = i; j < n && as_steps; j++)
        as_steps = find_step(tail, samples[j].value, &step);
    if (hold_values(tail, n - i, as_steps) != 0)
        return i;
    put_values(tail, samples + i, n - i);
    tail->count = (uint8_t)(tail->count + n - i);
    return n;
}

/* Everything as columns, of values, so that an insertion is a memmove. */
static int open_columns(struct tail *tail)
{
    int error = hold_offsets(tail);
    if (error == 0)
        error = hold_values(tail, 1, false);
    return error;
}

static void shift_base(struct tail *tail, int64_t first_ms)
{
    uint32_t by = (uint32_t)(tail->first_ms - first_ms);
    for (size_t i = 0; i < tail->count; i++)
        tail->offsets_ms[i] += by;
    tail->first_ms = first_ms;
}

int tail_insert(struct tail *tail, int64_t ts_ms, double value, enum tail_change *ret_change)
{
    *ret_change = TAIL_INSERTED;
    if (tail->count == 0 || ts_ms > tail_last_ms(tail))
        return tail_append(tail, ts_ms, value);

    size_t at = tail->count;
    while (at > 0 && tail_time_at(tail, at - 1) >= ts_ms)
        at--;
    if (tail_time_at(tail, at) == ts_ms && same_bits(tail_value_at(tail, at), value)) {
        *ret_change = TAIL_SAME;
        return 0;
    }
    bool replace = tail_time_at(tail, at) == ts_ms;
    must(replace || tail->count < TAIL_SAMPLES_MAX);
    if (tail->count == TAIL_SAMPLES_MAX) { /* replacing needs no room */
        int error = hold_values(tail, 0, false);
        if (error != 0)
            return error;
    } else if (open_columns(tail) != 0) {
        return ERR_NOMEM;
    }
    if (replace) {
        *ret_change = TAIL_REPLACED;
    } else {
        if (ts_ms < tail->first_ms)
            shift_base(tail, ts_ms);
        size_t behind = tail->count - at;
        memmove(tail->offsets_ms + at + 1, tail->offsets_ms + at, behind * sizeof(uint32_t));
        memmove(tail->values + at + 1, tail->values + at, behind * sizeof(double));
        tail->offsets_ms[at] = (uint32_t)(ts_ms - tail->first_ms);
        tail->count++;
    }
    tail->values[at] = value;
    tail->first_value = tail->values[0];
    return 0;
}

void tail_copy(const struct tail *tail, int64_t *times_ms, double *values)
{
    for (size_t i = 0; i < tail->count; i++)
        times_ms[i] = tail_time_at(tail, i);
    for (size_t i = 0; i < tail->count; i++)
        values[i] = tail_value_at(tail, i);
}

size_t tail_bytes(const struct tail *tail)
{
    return tail->time_capacity * sizeof(uint32_t) + (size_t)tail->value_capacity *
                                                          (tail->has_steps ? sizeof(int32_t)
                                                                           : sizeof(double));
}
