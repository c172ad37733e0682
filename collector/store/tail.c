/*
 * tail.c - samples that are still open.
 *
 * The one surprise: "all the same value" compares bits, so that a NaN payload or a negative
 * zero is a change like any other.
 */
#include "collector/store/tail.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CAPACITY_STEP  8u /* samples */
#define SCALES         10u
#define STEP_VALUE_MAX 4503599627370496.0 /* 2^52: halves are exact below it */
#define WORD_BYTES     sizeof(uint64_t)
/* malloc's blocks are so long, and a multiple of 16 longer: what it would round up to is used.
 */
#define BLOCK_BYTES      24u
#define BLOCK_STEP_BYTES 16u

static const double powers[SCALES] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

void tail_done(struct tail *tail)
{
    free(tail->offsets_ms);
    free(tail->column);
    *tail = (struct tail){0};
}

int64_t tail_time_at(const struct tail *tail, size_t i)
{
    if (tail->offsets_ms != NULL)
        return tail->first_ms + tail->offsets_ms[i];
    return tail->first_ms + (int64_t)i * tail->step_ms;
}

/* -- values as decimal steps ------------------------------------------------------------- */

static bool round_near(double value, int64_t *ret_rounded)
{
    if (!(value > -STEP_VALUE_MAX && value < STEP_VALUE_MAX)) /* nor a NaN */
        return false;
    *ret_rounded = (int64_t)(value < 0 ? value - 0.5 : value + 0.5);
    return true;
}

static double value_of(int64_t units, unsigned scale)
{
    return scale == 0 ? (double)units : (double)units / powers[scale];
}

/* The value in units of the scale, if it comes out of them bit for bit (-0 does not). */
static bool units_of(double value, unsigned scale, int64_t *ret_units)
{
    return round_near(value * powers[scale], ret_units) &&
           same_bits(value_of(*ret_units, scale), value);
}

/* Of the first value, which is known to have them. */
static int64_t first_units(const struct tail *tail)
{
    int64_t units = 0;
    (void)round_near(tail->first_value * powers[tail->scale], &units);
    return units;
}

static unsigned width_of(int64_t step)
{
    const uint64_t size = (uint64_t)(step < 0 ? -(step + 1) : step) << 1;
    return size == 0 ? 1 : (unsigned)(64 - __builtin_clzll(size) + 7) / 8;
}

/* Entries are read and written as whole words: behind the last of a column there is room. */
static uint64_t word_at(const struct tail *tail, size_t i)
{
    uint64_t word;
    memcpy(&word, tail->column + i * tail->width, sizeof word);
    return le64toh(word);
}

/* What lies behind entry i is lost. */
static void put_word(struct tail *tail, size_t i, uint64_t word)
{
    word = htole64(word);
    memcpy(tail->column + i * tail->width, &word, sizeof word);
}

static int64_t step_at(const struct tail *tail, size_t i)
{
    const unsigned spare = 64u - 8u * tail->width;
    return (int64_t)(word_at(tail, i) << spare) >> spare;
}

static double raw_at(const struct tail *tail, size_t i)
{
    const uint64_t bits = word_at(tail, i);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_raw(struct tail *tail, size_t i, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_word(tail, i, bits);
}

double tail_value_at(const struct tail *tail, size_t i)
{
    if (tail->column == NULL)
        return tail->first_value;
    if (tail->scale == TAIL_RAW)
        return raw_at(tail, i);
    return value_of(first_units(tail) + step_at(tail, i), tail->scale);
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

/* -- room -------------------------------------------------------------------------------- */

/* The samples of `size` bytes each that a block has room for which takes `need` and some more;
 * behind them lie `behind` bytes. */
static uint8_t grown(size_t need, size_t size, size_t behind)
{
    size_t capacity = (need + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
    size_t bytes = capacity * size + behind;
    bytes = bytes <= BLOCK_BYTES
                ? BLOCK_BYTES
                : bytes + (BLOCK_STEP_BYTES - (bytes - BLOCK_BYTES) % BLOCK_STEP_BYTES) %
                              BLOCK_STEP_BYTES;
    capacity = (bytes - behind) / size;
    return (uint8_t)(capacity < TAIL_SAMPLES_MAX ? capacity : TAIL_SAMPLES_MAX);
}

static size_t column_bytes(size_t capacity, size_t width)
{
    return capacity * width + WORD_BYTES - width;
}

/* Room for one more offset, writing out the regular ones first. */
static int hold_offsets(struct tail *tail)
{
    if (tail->offsets_ms != NULL && tail->count < tail->time_capacity)
        return 0;
    const uint8_t capacity = grown(tail->count + 1u, sizeof(uint32_t), 0);
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

struct column_form {
    unsigned scale, width;
};

/* How all values of the tail and one more can be kept, or as they are. */
static struct column_form form_with(const struct tail *tail, double value)
{
    const unsigned least = tail->column == NULL ? 0 : tail->scale;
    for (unsigned scale = least; scale < SCALES; scale++) {
        int64_t units, first;
        if (!units_of(value, scale, &units) || !units_of(tail->first_value, scale, &first))
            continue;
        unsigned width = width_of(units - first);
        for (size_t i = 0; tail->column != NULL && i < tail->count; i++) {
            int64_t other;
            if (scale != least && !units_of(tail_value_at(tail, i), scale, &other))
                return (struct column_form){TAIL_RAW, WORD_BYTES};
            const int64_t step = scale == least ? step_at(tail, i) : other - first;
            width = width_of(step) > width ? width_of(step) : width;
        }
        return (struct column_form){scale, width};
    }
    return (struct column_form){TAIL_RAW, WORD_BYTES};
}

/* A column of that form, which all values have, with room for so many. */
static int reshape(struct tail *tail, struct column_form form, size_t need)
{
    struct tail shaped = *tail;
    shaped.scale = form.scale & 15u;
    shaped.width = form.width & 15u;
    shaped.value_capacity = grown(need, form.width, WORD_BYTES - form.width);
    const size_t bytes = column_bytes(shaped.value_capacity, form.width);
    const bool is_same =
        tail->column != NULL && tail->scale == form.scale && tail->width == form.width;
    shaped.column = is_same ? realloc(tail->column, bytes) : malloc(bytes);
    if (shaped.column == NULL)
        return ERR_NOMEM;
    const int64_t first = form.scale == TAIL_RAW || is_same ? 0 : first_units(&shaped);
    for (size_t i = 0; !is_same && i < tail->count; i++) {
        const double value = tail_value_at(tail, i);
        int64_t units;
        if (form.scale == TAIL_RAW)
            put_raw(&shaped, i, value);
        else if (units_of(value, form.scale, &units))
            put_word(&shaped, i, (uint64_t)(units - first));
    }
    if (!is_same)
        free(tail->column);
    *tail = shaped;
    return 0;
}

/* Does the value fit the column as it is?  Its entry is *ret_word then. */
static inline bool find_word(const struct tail *tail, int64_t first, double value,
                             uint64_t *ret_word)
{
    int64_t units;
    if (tail->scale == TAIL_RAW) {
        memcpy(ret_word, &value, sizeof *ret_word);
        return true;
    }
    if (!units_of(value, tail->scale, &units))
        return false;
    *ret_word = (uint64_t)(units - first);
    return width_of(units - first) <= tail->width;
}

/* Room in the column for `more` values, of which the first is given. */
static int hold_values(struct tail *tail, double value, size_t more)
{
    uint64_t word;
    if (tail->column != NULL &&
        find_word(tail, tail->scale == TAIL_RAW ? 0 : first_units(tail), value, &word)) {
        if (tail->count + more <= tail->value_capacity)
            return 0;
        return reshape(tail, (struct column_form){tail->scale, tail->width},
                       tail->count + more);
    }
    const struct column_form form = tail->column != NULL && tail->scale == TAIL_RAW
                                        ? (struct column_form){TAIL_RAW, WORD_BYTES}
                                        : form_with(tail, value);
    return reshape(tail, form, tail->count + more);
}

/* A column of values as they are, for which no form is looked for. */
static int hold_raw(struct tail *tail, size_t more)
{
    if (tail->column != NULL && tail->scale == TAIL_RAW &&
        tail->count + more <= tail->value_capacity)
        return 0;
    return reshape(tail, (struct column_form){TAIL_RAW, WORD_BYTES}, tail->count + more);
}

/* Values behind the others, as many as fit the column as it is. */
static size_t put_values(struct tail *tail, const struct store_sample *samples, size_t count)
{
    const int64_t first = tail->scale == TAIL_RAW ? 0 : first_units(tail);
    uint64_t word;
    size_t i = 0;
    while (i < count && tail->count < tail->value_capacity &&
           find_word(tail, first, samples[i].value, &word)) {
        put_word(tail, tail->count++, word);
        i++;
    }
    return i;
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
    if ((tail->column != NULL || !same_bits(value, tail->first_value)) &&
        hold_values(tail, value, 1) != 0)
        return ERR_NOMEM;
    if (on_beat && tail->count == 1)
        tail->step_ms = offset;
    if (tail->offsets_ms != NULL)
        tail->offsets_ms[tail->count] = offset;
    if (tail->column == NULL)
        tail->count++;
    else
        must(put_values(tail, &(struct store_sample){.value = value}, 1) == 1);
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
    if (tail->column == NULL) {
        while (i < n && same_bits(samples[i].value, tail->first_value))
            i++;
        tail->count = (uint8_t)(tail->count + i);
    }
    while (i < n) {
        if (hold_values(tail, samples[i].value, n - i) != 0)
            return i;
        i += put_values(tail, samples + i, n - i);
    }
    return n;
}

/* Everything as columns, of values, so that an insertion is a memmove. */
static int open_columns(struct tail *tail)
{
    int error = hold_offsets(tail);
    if (error == 0)
        error = hold_raw(tail, 1);
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
        int error = hold_raw(tail, 0);
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
        memmove(tail->column + (at + 1) * WORD_BYTES, tail->column + at * WORD_BYTES,
                behind * WORD_BYTES);
        tail->offsets_ms[at] = (uint32_t)(ts_ms - tail->first_ms);
        tail->count++;
    }
    put_raw(tail, at, value);
    tail->first_value = raw_at(tail, 0);
    return 0;
}

void tail_copy(const struct tail *tail, int64_t *times_ms, double *values)
{
    for (size_t i = 0; i < tail->count; i++)
        times_ms[i] = tail_time_at(tail, i);
    if (tail->column == NULL || tail->scale == TAIL_RAW) {
        for (size_t i = 0; i < tail->count; i++)
            values[i] = tail_value_at(tail, i);
        return;
    }
    const int64_t first = first_units(tail);
    for (size_t i = 0; i < tail->count; i++)
        values[i] = value_of(first + step_at(tail, i), tail->scale);
}

size_t tail_bytes(const struct tail *tail)
{
    size_t bytes = tail->time_capacity * sizeof(uint32_t);
    if (tail->column != NULL)
        bytes += column_bytes(tail->value_capacity, tail->width);
    return bytes;
}
