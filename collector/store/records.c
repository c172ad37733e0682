/*
 * records.c - samples into records, records into chunks and back.
 */
#include "collector/store/records.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/kahan.h"
#include "collector/store/codec/codec.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

void records_init(struct records *records)
{
    *records = (struct records){0};
}

void records_done(struct records *records)
{
    free(records->lasts_ms);
    free(records->firsts_ms);
    free(records->lasts);
    for (size_t i = 0; i < ROLLED_COLUMNS; i++)
        free(records->columns[i]);
    arena_share_release(&records->share);
    *records = (struct records){0};
}

static int hold(struct records *records, size_t more)
{
    _Static_assert(sizeof(double) == sizeof(int64_t), "columns of either are of one size");
    size_t capacity = records->capacity == 0 ? 512 : records->capacity;
    if (records->count + more <= records->capacity)
        return 0;
    while (capacity < records->count + more)
        capacity *= 2;
    size_t bytes = capacity * sizeof(double);
    if (!arena_share_hold(&records->share, (capacity - records->capacity) *
                                               (3 + ROLLED_COLUMNS) * sizeof(double)))
        return ERR_LIMIT;
    int64_t *lasts_ms = realloc(records->lasts_ms, bytes);
    if (lasts_ms == NULL)
        return ERR_NOMEM;
    records->lasts_ms = lasts_ms;
    int64_t *firsts_ms = realloc(records->firsts_ms, bytes);
    if (firsts_ms == NULL)
        return ERR_NOMEM;
    records->firsts_ms = firsts_ms;
    for (size_t i = 0; i <= ROLLED_COLUMNS; i++) {
        double **column = i < ROLLED_COLUMNS ? &records->columns[i] : &records->lasts;
        double *grown = realloc(*column, bytes);
        if (grown == NULL)
            return ERR_NOMEM;
        *column = grown;
    }
    records->capacity = capacity;
    return 0;
}

/* -- rolling up -------------------------------------------------------------------------- */

/* A record that has one sample. */
static void begin(struct records *records, int64_t time_ms, double value)
{
    size_t n = records->count++;
    bool is_marker = is_stale_nan(value);
    records->firsts_ms[n] = time_ms;
    records->lasts_ms[n] = time_ms;
    records->lasts[n] = value;
    records->columns[ROLLED_FIRST][n] = value;
    records->columns[ROLLED_SAMPLES][n] = is_marker ? 0 : 1;
    records->columns[ROLLED_SUM][n] = is_marker ? 0 : value;
    records->columns[ROLLED_MIN][n] = is_marker ? 0 : value;
    records->columns[ROLLED_MAX][n] = is_marker ? 0 : value;
    records->columns[ROLLED_FALLEN][n] = 0;
    records->columns[ROLLED_RESETS][n] = 0;
    records->columns[ROLLED_CHANGES][n] = 0;
}

/* One sample more for the last record. */
static void extend(struct records *records, int64_t time_ms, double value)
{
    size_t n = records->count - 1;
    double before = records->lasts[n];
    double *const *columns = records->columns;
    records->lasts_ms[n] = time_ms;
    records->lasts[n] = value;
    columns[ROLLED_SAMPLES][n]++;
    if (value < columns[ROLLED_MIN][n] || isnan(columns[ROLLED_MIN][n]))
        columns[ROLLED_MIN][n] = value;
    if (value > columns[ROLLED_MAX][n] || isnan(columns[ROLLED_MAX][n]))
        columns[ROLLED_MAX][n] = value;
    if (value < before) {
        columns[ROLLED_FALLEN][n] += before;
        columns[ROLLED_RESETS][n]++;
    }
    columns[ROLLED_CHANGES][n] += value != before && !(isnan(value) && isnan(before));
}

/* The samples of one bucket. */
static void roll_bucket(struct records *records, const int64_t *times_ms, const double *values,
                        size_t count)
{
    struct kahan sum = {0, 0};
    bool is_begun = false;
    for (size_t i = 0; i < count; i++) {
        if (is_stale_nan(values[i]))
            continue;
        sum = kahan_add(sum, values[i]);
        if (is_begun)
            extend(records, times_ms[i], values[i]);
        else
            begin(records, times_ms[i], values[i]);
        is_begun = true;
    }
    if (is_begun)
        records->columns[ROLLED_SUM][records->count - 1] =
            isinf(sum.sum) ? sum.sum : sum.sum + sum.compensation;
    if (is_stale_nan(values[count - 1]))
        begin(records, times_ms[count - 1], values[count - 1]);
}

int records_roll(struct records *records, int64_t width_ms, const int64_t *times_ms,
                 const double *values, size_t count)
{
    for (size_t i = 0, next; i < count; i = next) {
        int64_t end_ms = bucket_end(times_ms[i], width_ms);
        next = i + 1;
        while (next < count && times_ms[next] <= end_ms)
            next++;
        int error = hold(records, 2);
        if (error != 0)
            return error;
        roll_bucket(records, times_ms + i, values + i, next - i);
    }
    return 0;
}

int records_add_sample(struct records *records, int64_t time_ms, double value)
{
    int error = hold(records, 1);
    if (error == 0)
        begin(records, time_ms, value);
    return error;
}

int records_add(struct records *to, const struct records *from, size_t i)
{
    int error = hold(to, 1);
    if (error != 0)
        return error;
    size_t n = to->count++;
    to->lasts_ms[n] = from->lasts_ms[i];
    to->firsts_ms[n] = from->firsts_ms[i];
    to->lasts[n] = from->lasts[i];
    for (size_t c = 0; c < ROLLED_COLUMNS; c++)
        to->columns[c][n] = from->columns[c][i];
    return 0;
}

int records_fill(struct records *to, int64_t width_ms, const struct records *base,
                 const struct records *late, uint64_t *dropped)
{
    size_t i = 0;
    size_t j = 0;
    int error = 0;
    while (error == 0 && (i < base->count || j < late->count)) {
        int64_t base_end =
            i < base->count ? bucket_end(base->lasts_ms[i], width_ms) : INT64_MAX;
        int64_t late_end =
            j < late->count ? bucket_end(late->lasts_ms[j], width_ms) : INT64_MAX;
        if (late_end < base_end) {
            error = records_add(to, late, j++);
            continue;
        }
        for (; j < late->count && bucket_end(late->lasts_ms[j], width_ms) == base_end; j++)
            *dropped += (uint64_t)late->columns[ROLLED_SAMPLES][j];
        /* All of the bucket: a marker may follow its samples. */
        while (error == 0 && i < base->count &&
               bucket_end(base->lasts_ms[i], width_ms) == base_end)
            error = records_add(to, base, i++);
    }
    return error;
}

/* The records from `at` on that end in a bucket; *ret_samples: of them all. */
static size_t in_bucket(const struct records *records, size_t at, int64_t width_ms,
                        int64_t end_ms, double *ret_samples)
{
    size_t count = 0;
    *ret_samples = 0;
    for (; at + count < records->count &&
           bucket_end(records->lasts_ms[at + count], width_ms) == end_ms;
         count++)
        *ret_samples += records->columns[ROLLED_SAMPLES][at + count];
    return count;
}

static bool is_same(const struct records *a, size_t i, const struct records *b, size_t j)
{
    bool yes = a->lasts_ms[i] == b->lasts_ms[j] && a->firsts_ms[i] == b->firsts_ms[j] &&
               memcmp(&a->lasts[i], &b->lasts[j], sizeof(double)) == 0;
    for (size_t c = 0; c < ROLLED_COLUMNS && yes; c++)
        yes = memcmp(&a->columns[c][i], &b->columns[c][j], sizeof(double)) == 0;
    return yes;
}

uint64_t records_missing(int64_t width_ms, const struct records *base,
                         const struct records *all)
{
    uint64_t missing = 0;
    size_t i = 0;
    for (size_t j = 0, count; j < all->count; j += count) {
        int64_t end_ms = bucket_end(all->lasts_ms[j], width_ms);
        double samples;
        double known;
        count = in_bucket(all, j, width_ms, end_ms, &samples);
        while (i < base->count && bucket_end(base->lasts_ms[i], width_ms) < end_ms)
            i++;
        bool same = in_bucket(base, i, width_ms, end_ms, &known) == count;
        for (size_t k = 0; k < count && same; k++)
            same = is_same(base, i + k, all, j + k);
        if (!same)
            missing += samples > known ? (uint64_t)(samples - known) : 1;
    }
    return missing;
}

/* -- chunks ------------------------------------------------------------------------------ */

static int write_chunk(const int64_t *times_ms, const double *values, size_t count,
                       struct buf *sizes, struct buf *chunks)
{
    size_t before = chunks->size;
    int error = chunk_encode(times_ms, values, count, CHUNK_SMALL, chunks);
    buf_put_varint(sizes, chunks->size - before);
    return error;
}

int records_write(const struct records *records, struct buf *sizes, struct buf *chunks,
                  size_t *ret_chunks)
{
    int64_t numbers[RECORDS_RUN];
    int error = 0;
    *ret_chunks = 0;
    for (size_t at = 0; at < records->count && error == 0; at += RECORDS_RUN) {
        size_t left = records->count - at;
        size_t count = left < RECORDS_RUN ? left : RECORDS_RUN;
        /* Never past the last time: those ascend by at least one. */
        for (size_t i = 0; i < count; i++)
            numbers[i] = records->firsts_ms[at] + (int64_t)i;
        error = write_chunk(records->lasts_ms + at, records->lasts + at, count, sizes, chunks);
        for (size_t c = 0; c < ROLLED_COLUMNS && error == 0; c++)
            error = write_chunk(c == ROLLED_FIRST ? records->firsts_ms + at : numbers,
                                records->columns[c] + at, count, sizes, chunks);
        *ret_chunks += RECORD_CHUNKS;
    }
    return error;
}

struct reading {
    struct records *records;
    size_t chunk, run; /* which is next; records of the run at hand */
    int64_t numbers[RECORDS_RUN];
};

static int read_chunk(void *context, struct bytes chunk)
{
    struct reading *reading = context;
    struct records *records = reading->records;
    size_t column = reading->chunk++ % RECORD_CHUNKS;
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0 || count > RECORDS_RUN)
        return ERR_CORRUPT;
    if (column == 0) {
        int error = hold(records, count);
        if (error != 0)
            return error;
        reading->run = count;
    }
    if (count != reading->run)
        return ERR_CORRUPT;
    size_t at = records->count;
    int64_t *times = column == 0   ? records->lasts_ms + at
                     : column == 1 ? records->firsts_ms + at
                                   : reading->numbers;
    double *values = column == 0 ? records->lasts + at : records->columns[column - 1] + at;
    if (chunk_decode(chunk, times, values, &count) != 0)
        return ERR_CORRUPT;
    if (column == RECORD_CHUNKS - 1)
        records->count += reading->run;
    return 0;
}

/* What follows relies on it: ascending, and no overlap. */
static bool ascend(const struct records *records, size_t from)
{
    for (size_t i = from; i < records->count; i++)
        if (records->firsts_ms[i] > records->lasts_ms[i] ||
            (i > from && records->firsts_ms[i] <= records->lasts_ms[i - 1]))
            return false;
    return true;
}

int records_read(struct records *records, struct bytes entry)
{
    struct reading reading = {.records = records};
    size_t before = records->count;
    int error = span_entry_chunks(entry, read_chunk, &reading);
    if (error == 0 && (reading.chunk % RECORD_CHUNKS != 0 || !ascend(records, before)))
        error = ERR_CORRUPT;
    if (error != 0)
        records->count = before;
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

struct touching {
    size_t chunk;
    int64_t from_ms, until_ms;
    bool touch;
};

static int touch_chunk(void *context, struct bytes chunk)
{
    struct touching *touching = context;
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    if (touching->chunk++ % RECORD_CHUNKS != 0)
        return 0;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0)
        return ERR_CORRUPT;
    if (first_ms <= touching->until_ms && last_ms >= touching->from_ms)
        touching->touch = true;
    return 0;
}

int records_touch(struct bytes entry, int64_t from_ms, int64_t until_ms, bool *ret_touch)
{
    struct touching touching = {.from_ms = from_ms, .until_ms = until_ms};
    int error = span_entry_chunks(entry, touch_chunk, &touching);
    *ret_touch = touching.touch;
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}
