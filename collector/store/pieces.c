/*
 * pieces.c - merging the chunks of one series.
 *
 * Nearly always the pieces follow each other in time, and decoding one behind the other is all
 * there is to do.  Only those that overlap are merged, run by run, two at a time in ascending
 * rank: what came twice in one hour costs nothing in the others.
 *
 *     |--a--|   |--b--|        |--e--|       runs: a | b c d | e
 *                  |--c--|--d--|
 */
#include "collector/store/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/codec/codec.h"
#include "proto/base/error.h"

void pieces_scratch_init(struct pieces_scratch *scratch)
{
    *scratch = (struct pieces_scratch){0};
}

void pieces_scratch_done(struct pieces_scratch *scratch)
{
    for (size_t i = 0; i < 4; i++) {
        free(scratch->times_ms[i]);
        free(scratch->values[i]);
    }
    arena_share_release(&scratch->share);
    *scratch = (struct pieces_scratch){0};
}

static int hold(struct pieces_scratch *scratch, size_t columns, size_t count)
{
    if (count <= scratch->capacity[columns])
        return 0;
    size_t capacity = scratch->capacity[columns] == 0 ? 1024 : scratch->capacity[columns];
    while (capacity < count)
        capacity *= 2;
    if (!arena_share_hold(&scratch->share, (capacity - scratch->capacity[columns]) *
                                               (sizeof(int64_t) + sizeof(double))))
        return ERR_LIMIT;
    int64_t *times = realloc(scratch->times_ms[columns], capacity * sizeof *times);
    if (times == NULL)
        return ERR_NOMEM;
    scratch->times_ms[columns] = times;
    double *values = realloc(scratch->values[columns], capacity * sizeof *values);
    if (values == NULL)
        return ERR_NOMEM;
    scratch->values[columns] = values;
    scratch->capacity[columns] = capacity;
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct piece *x = a;
    const struct piece *y = b;
    if (x->first_ms != y->first_ms)
        return x->first_ms < y->first_ms ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int by_rank(const void *a, const void *b)
{
    const struct piece *x = a;
    const struct piece *y = b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* How many pieces from the first on overlap, each with some of those before it; by time. */
static size_t run_length(const struct piece *pieces, size_t count)
{
    int64_t last_ms = pieces[0].last_ms;
    size_t length = 1;
    while (length < count && pieces[length].first_ms <= last_ms) {
        if (pieces[length].last_ms > last_ms)
            last_ms = pieces[length].last_ms;
        length++;
    }
    return length;
}

/* -- holes ------------------------------------------------------------------------------- */

static bool hole_takes(const struct hole *hole, uint64_t rank)
{
    if (rank == RANK_TAIL || rank == RANK_LATE_TAIL)
        return hole->tails;
    if (rank < RANK_SEALED(0))
        return rank < hole->generation;
    return (rank & (RANK_SEALED(0) - 1)) <= hole->seal;
}

bool holes_cover(const struct holes *holes, uint64_t rank, int64_t first_ms, int64_t last_ms)
{
    bool moved = holes != NULL;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < holes->count; i++) {
            const struct hole *hole = &holes->items[i];
            if (hole->from_ms > first_ms || hole->until_ms < first_ms || !hole_takes(hole, rank))
                continue;
            if (hole->until_ms >= last_ms)
                return true;
            first_ms = hole->until_ms + 1;
            moved = true;
        }
    }
    return false;
}

bool holes_touch(const struct holes *holes, uint64_t rank, int64_t first_ms, int64_t last_ms)
{
    for (size_t i = 0; i < holes->count; i++)
        if (holes->items[i].from_ms <= last_ms && holes->items[i].until_ms >= first_ms &&
            hole_takes(&holes->items[i], rank))
            return true;
    return false;
}

/* Takes the samples in holes out of the columns of a piece; how many are left. */
static size_t cut(const struct holes *holes, uint64_t rank, int64_t *times_ms, double *values,
                  size_t count)
{
    for (size_t h = 0; holes != NULL && h < holes->count; h++) {
        const struct hole *hole = &holes->items[h];
        size_t kept = 0;
        if (count == 0 || hole->from_ms > times_ms[count - 1] ||
            hole->until_ms < times_ms[0] || !hole_takes(hole, rank))
            continue;
        for (size_t i = 0; i < count; i++) {
            if (times_ms[i] >= hole->from_ms && times_ms[i] <= hole->until_ms)
                continue;
            times_ms[kept] = times_ms[i];
            values[kept++] = values[i];
        }
        count = kept;
    }
    return count;
}

/* From the time before to this one; times may be any. */
static uint64_t gap_before(const int64_t *time_ms)
{
    return (uint64_t)time_ms[0] - (uint64_t)time_ms[-1];
}

/* How far each lies from the one before; 0 if it is not the same everywhere. */
static int64_t interval_of(const int64_t *times_ms, size_t count)
{
    const uint64_t interval_ms = count > 1 ? gap_before(times_ms + 1) : 0;
    uint64_t other = interval_ms > INT64_MAX;
    for (size_t i = 1; i < count; i++)
        other |= gap_before(times_ms + i) ^ interval_ms;
    return other == 0 ? (int64_t)interval_ms : 0;
}

/* Decodes one piece to the arrays, which have room for its count; less what was deleted. */
static int decode(const struct piece *piece, const struct holes *holes,
                  struct pieces_scratch *scratch, int64_t *times_ms, double *values,
                  size_t *ret_count, int64_t *ret_interval_ms)
{
    size_t count = piece->count;
    struct chunk_told told = {.interval_ms = 0};
    if (piece->chunk.data == NULL) {
        memcpy(times_ms, piece->times_ms, count * sizeof *times_ms);
        memcpy(values, piece->values, count * sizeof *values);
        told = (struct chunk_told){piece->plain, piece->interval_ms != 0 ? piece->interval_ms
                                                                     : interval_of(times_ms, count)};
    } else if (chunk_decode_told(piece->chunk, scratch->times_only, times_ms, values, &count,
                                 &told) != 0 ||
               count != piece->count) {
        return ERR_CORRUPT;
    }
    scratch->plain = scratch->plain && told.is_plain;
    *ret_count = cut(holes, piece->rank, times_ms, values, count);
    if (*ret_count != count)
        told.interval_ms = 0;
    *ret_interval_ms = told.interval_ms;
    return 0;
}

/* Have times that end with `count` others the rhythm of those before them still? */
static void join_interval(struct pieces_scratch *scratch, const int64_t *times_ms, size_t have,
                          size_t count, int64_t interval_ms)
{
    if (have == 0)
        scratch->interval_ms = interval_ms;
    else if (count > 0 && ((uint64_t)scratch->interval_ms != gap_before(times_ms + have) ||
                           (count > 1 && interval_ms != scratch->interval_ms)))
        scratch->interval_ms = 0;
}

/* -- merging ----------------------------------------------------------------------------- */

/* a and b ascending; at equal times b wins.  The number of samples in `to`. */
static size_t merge_two(const int64_t *a_ms, const double *a, size_t a_count,
                        const int64_t *b_ms, const double *b, size_t b_count, int64_t *to_ms,
                        double *to)
{
    size_t i = 0;
    size_t j = 0;
    size_t n = 0;
    while (i < a_count || j < b_count) {
        bool take_a = j == b_count || (i < a_count && a_ms[i] < b_ms[j]);
        if (take_a) {
            to_ms[n] = a_ms[i];
            to[n++] = a[i++];
            continue;
        }
        if (i < a_count && a_ms[i] == b_ms[j])
            i++;
        to_ms[n] = b_ms[j];
        to[n++] = b[j++];
    }
    return n;
}

static void swap_columns(struct pieces_scratch *scratch, size_t a, size_t b)
{
    int64_t *times = scratch->times_ms[a];
    double *values = scratch->values[a];
    size_t capacity = scratch->capacity[a];
    scratch->times_ms[a] = scratch->times_ms[b];
    scratch->values[a] = scratch->values[b];
    scratch->capacity[a] = scratch->capacity[b];
    scratch->times_ms[b] = times;
    scratch->values[b] = values;
    scratch->capacity[b] = capacity;
}

/* Columns 0 hold the result so far, 1 what is decoded, 2 and 3 a run before and after a step.
 */
static int merge_overlapping(struct piece *pieces, size_t count, const struct holes *holes,
                             struct pieces_scratch *scratch, size_t *have)
{
    size_t merged = 0;
    size_t total = 0;
    int error = 0;
    for (size_t i = 0; i < count; i++)
        total += pieces[i].count;
    for (size_t columns = 1; columns < 4 && error == 0; columns++)
        error = hold(scratch, columns, total);
    if (error != 0)
        return error;
    qsort(pieces, count, sizeof *pieces, by_rank);
    for (size_t i = 0; i < count; i++) {
        size_t decoded = 0;
        int64_t ignored_ms;
        error = decode(&pieces[i], holes, scratch, scratch->times_ms[1], scratch->values[1],
                       &decoded, &ignored_ms);
        if (error != 0)
            return error;
        merged = merge_two(scratch->times_ms[2], scratch->values[2], merged,
                           scratch->times_ms[1], scratch->values[1], decoded,
                           scratch->times_ms[3], scratch->values[3]);
        swap_columns(scratch, 2, 3);
    }
    memcpy(scratch->times_ms[0] + *have, scratch->times_ms[2],
           merged * sizeof *scratch->times_ms[0]);
    memcpy(scratch->values[0] + *have, scratch->values[2], merged * sizeof *scratch->values[0]);
    join_interval(scratch, scratch->times_ms[0], *have, merged,
                  interval_of(scratch->times_ms[0] + *have, merged));
    *have += merged;
    return 0;
}

static int merge_run(struct piece *pieces, size_t count, const struct holes *holes,
                     struct pieces_scratch *scratch, size_t *have)
{
    if (count > 1)
        return merge_overlapping(pieces, count, holes, scratch, have);
    size_t decoded = 0;
    int64_t interval_ms;
    int error = decode(pieces, holes, scratch, scratch->times_ms[0] + *have,
                       scratch->values[0] + *have, &decoded, &interval_ms);
    if (error != 0)
        return error;
    join_interval(scratch, scratch->times_ms[0], *have, decoded, interval_ms);
    *have += decoded;
    return 0;
}

/* Pieces of which nothing is left need no decoding. */
static size_t drop_covered(struct piece *pieces, size_t count, const struct holes *holes)
{
    size_t kept = 0;
    if (holes == NULL || holes->count == 0)
        return count;
    for (size_t i = 0; i < count; i++)
        if (!holes_cover(holes, pieces[i].rank, pieces[i].first_ms, pieces[i].last_ms))
            pieces[kept++] = pieces[i];
    return kept;
}

/* The first index whose time is at or after `ms`. */
static size_t first_at(const int64_t *times_ms, size_t count, int64_t ms)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (times_ms[middle] < ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void pieces_trim(const int64_t *times_ms, size_t count, int64_t from_ms, int64_t until_ms,
                 size_t *ret_first, size_t *ret_count)
{
    size_t first = count == 0 ? 0 : first_at(times_ms, count, from_ms);
    size_t end = count;
    if (count > 0 && times_ms[count - 1] > until_ms)
        end = first_at(times_ms, count, until_ms + 1);
    *ret_first = first;
    *ret_count = end > first ? end - first : 0;
}

bool pieces_follow(struct piece *pieces, size_t count, const struct holes *holes)
{
    if (holes != NULL && holes->count > 0)
        return false;
    if (count > 1)
        qsort(pieces, count, sizeof *pieces, by_time);
    for (size_t i = 1; i < count; i++)
        if (pieces[i].first_ms <= pieces[i - 1].last_ms)
            return false;
    return true;
}

int pieces_line_up(const struct piece *pieces, size_t count, struct pieces_scratch *scratch,
                   int64_t *times_ms, double *values, size_t *ret_count)
{
    size_t have = 0;
    int error = 0;
    scratch->plain = true;
    scratch->interval_ms = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        size_t decoded = 0;
        int64_t interval_ms;
        error = decode(&pieces[i], NULL, scratch, times_ms + have, values + have, &decoded,
                       &interval_ms);
        if (error == 0)
            join_interval(scratch, times_ms, have, decoded, interval_ms);
        have += decoded;
    }
    *ret_count = have;
    return error;
}

/* Columns that are decoded are copied no further than they are wanted; how many pieces are left. */
static size_t narrow(struct piece *pieces, size_t count, int64_t from_ms, int64_t until_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct piece piece = pieces[i];
        if (piece.chunk.data == NULL) {
            size_t first;
            pieces_trim(piece.times_ms, piece.count, from_ms, until_ms, &first, &piece.count);
            if (piece.count == 0)
                continue;
            piece.times_ms += first;
            piece.values += first;
            piece.first_ms = piece.times_ms[0];
            piece.last_ms = piece.times_ms[piece.count - 1];
        }
        pieces[kept++] = piece;
    }
    return kept;
}

int pieces_merge(struct piece *pieces, size_t count, const struct holes *holes, int64_t from_ms,
                 int64_t until_ms, struct pieces_scratch *scratch, const int64_t **ret_times_ms,
                 const double **ret_values, size_t *ret_count)
{
    size_t total = 0;
    count = narrow(pieces, drop_covered(pieces, count, holes), from_ms, until_ms);
    for (size_t i = 0; i < count; i++)
        total += pieces[i].count;
    int error = hold(scratch, 0, total + 1); /* pieces_append() */
    if (error != 0)
        return error;

    size_t have = 0;
    scratch->plain = true;
    scratch->interval_ms = 0;
    if (count > 1)
        qsort(pieces, count, sizeof *pieces, by_time);
    for (size_t i = 0, length = 0; i < count && error == 0; i += length) {
        length = run_length(pieces + i, count - i);
        error = merge_run(pieces + i, length, holes, scratch, &have);
    }
    if (error != 0)
        return error;

    size_t first = 0;
    pieces_trim(scratch->times_ms[0], have, from_ms, until_ms, &first, ret_count);
    *ret_times_ms = scratch->times_ms[0] + first;
    *ret_values = scratch->values[0] + first;
    return 0;
}

void pieces_append(struct pieces_scratch *scratch, const int64_t *times_ms, size_t *count,
                   int64_t time_ms, uint64_t value_bits)
{
    size_t at = (size_t)(times_ms - scratch->times_ms[0]) + *count;
    scratch->times_ms[0][at] = time_ms;
    memcpy(&scratch->values[0][at], &value_bits, sizeof value_bits);
    scratch->plain = false;
    scratch->interval_ms = 0;
    ++*count;
}

/* How many of the ascending times from `at` on are at or before `ms`; about `guess`, as a rule. */
static size_t count_until(const int64_t *times_ms, size_t at, size_t count, size_t guess, int64_t ms)
{
    size_t low = at; /* all before are, */
    size_t high = count; /* and none from here on is */
    if (low < high && guess < high - low) {
        if (times_ms[low + guess] <= ms)
            low += guess + 1;
        else
            high = low + guess;
        if (low < high && times_ms[low] > ms)
            return low - at;
        if (low < high && times_ms[high - 1] <= ms)
            return high - at;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times_ms[middle] <= ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low - at;
}

size_t pieces_thin(struct pieces_scratch *scratch, const int64_t *times_ms, size_t count,
                   int64_t at_ms, int64_t step_ms, size_t times)
{
    if (count == 0)
        return 0;
    scratch->interval_ms = 0;
    size_t begin = (size_t)(times_ms - scratch->times_ms[0]);
    int64_t *own_times = scratch->times_ms[0] + begin;
    double *values = scratch->values[0] + begin;
    size_t kept = 0;
    size_t next = 0; /* the first sample after the time before */
    size_t guess = 0;
    for (; times > 0 && next < count; times--) {
        size_t passed = count_until(own_times, next, count, guess, at_ms);
        if (passed > 0) {
            next += passed;
            guess = passed;
            own_times[kept] = own_times[next - 1];
            values[kept++] = values[next - 1];
        }
        at_ms += times > 1 ? step_ms : 0;
    }
    if (next < count) {
        own_times[kept] = own_times[count - 1];
        values[kept++] = values[count - 1];
    }
    return kept;
}
