/*
 * head.c - samples into tails, tails into chunks.
 *
 * A sample after the newest one goes to the tail; any other goes to the late tail, which keeps
 * itself sorted.  A tail is sealed when it is full or when its next sample lies in another
 * history span, so that every chunk belongs to exactly one span.
 */
#include "collector/store/head.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/codec/codec.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void count_add(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void head_lock_shard(struct head *head, uint32_t shard)
{
    must(pthread_rwlock_wrlock(&head->shards[shard]) == 0);
}

void head_unlock_shard(struct head *head, uint32_t shard)
{
    must(pthread_rwlock_unlock(&head->shards[shard]) == 0);
}

/* -- sealing ----------------------------------------------------------------------------- */

static struct sealed *sealed_new(struct head *head, const struct tail *tail, bool late)
{
    int64_t times_ms[TAIL_SAMPLES_MAX];
    double values[TAIL_SAMPLES_MAX];

    tail_copy(tail, times_ms, values);
    buf_clear(&head->scratch);
    if (chunk_encode(times_ms, values, tail->count, CHUNK_QUICK, &head->scratch) != 0 ||
        !buf_ok(&head->scratch))
        return NULL;
    size_t bytes = head->scratch.size;
    must(bytes <= UINT16_MAX);
    struct sealed *sealed = malloc(sizeof *sealed + bytes);
    if (sealed == NULL)
        return NULL;
    *sealed = (struct sealed){
        .sequence = ++head->sequence,
        .first_ms = times_ms[0],
        .length_ms = (uint32_t)(times_ms[tail->count - 1] - times_ms[0]),
        .count = tail->count,
        .bytes = (uint16_t)bytes,
        .late = late,
    };
    memcpy(sealed->data, head->scratch.data, bytes);
    return sealed;
}

static void push_sealed(struct head *head, struct series *series, struct sealed *sealed)
{
    sealed->next = series->chunks;
    series->chunks = sealed;
    count_add(&head->stats.chunks, 1);
    count_add(&head->stats.bytes, sizeof *sealed + sealed->bytes);
    if (sealed->first_ms < atomic_load_explicit(&head->flushed_until_ms, memory_order_relaxed))
        count_add(&head->stats.overdue_bytes, sizeof *sealed + sealed->bytes);
}

static int seal_tail(struct head *head, struct series *series, struct tail *tail, bool late)
{
    if (tail_is_empty(tail))
        return 0;
    struct sealed *sealed = sealed_new(head, tail, late);
    if (sealed == NULL)
        return ERR_NOMEM;
    push_sealed(head, series, sealed);
    tail_done(tail);
    return 0;
}

/* Seals the late tail.  What it overrules is sealed before it: a flush takes chunks up to a
 * number, and must not take what was written last while what it overrules stays, and wins over
 * history. */
static int seal_late(struct head *head, struct series *series)
{
    const struct tail *tail = &series->tail;
    const struct tail *late = series->late;
    int error = 0;
    if (!tail_is_empty(tail) && !tail_is_empty(late) &&
        tail_time_at(late, late->count - 1u) >= tail->first_ms)
        error = seal_tail(head, series, &series->tail, false);
    return error == 0 ? seal_tail(head, series, series->late, true) : error;
}

static bool ends_by(const struct head *head, const struct tail *tail, int64_t until_ms)
{
    return !tail_is_empty(tail) &&
           span_start_of(head->span_ms, tail->first_ms) + head->span_ms <= until_ms;
}

int head_seal(struct head *head, struct series *series, int64_t until_ms)
{
    int error = head_fence(head, series);
    if (error == 0 && ends_by(head, &series->tail, until_ms))
        error = seal_tail(head, series, &series->tail, false);
    if (error == 0 && series->late != NULL && ends_by(head, series->late, until_ms)) {
        error = seal_late(head, series);
        if (error == 0) {
            free(series->late);
            series->late = NULL;
        }
    }
    return error;
}

/* -- appending --------------------------------------------------------------------------- */

static bool fits(const struct head *head, const struct tail *tail, int64_t ts_ms)
{
    if (tail_is_empty(tail))
        return true;
    if (!tail_has_room(tail, ts_ms))
        return false;
    int64_t start_ms = span_start_of(head->span_ms, tail->first_ms);
    return ts_ms >= start_ms && ts_ms - start_ms < head->span_ms;
}

/* Is this very sample in a tail already?  (Sealed chunks are not looked into: a twin there
 * vanishes on reading and when the span is written.) */
static bool is_twin(const struct tail *tail, int64_t ts_ms, double value)
{
    size_t low = 0;
    size_t high = tail->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tail_time_at(tail, middle) < ts_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tail->count && tail_time_at(tail, low) == ts_ms &&
           same_bits(tail_value_at(tail, low), value);
}

static void note_touched(struct series *series, int64_t now_ms)
{
    const int64_t seconds = (now_ms + MS_PER_SEC - 1) / MS_PER_SEC;
    series->touched = seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

static int append_late(struct head *head, struct series *series, int64_t ts_ms, double value)
{
    bool overruled = false; /* a late sample at this time would hide the tail's */
    if (series->late != NULL)
        for (size_t i = 0; i < series->late->count && !overruled; i++)
            overruled = tail_time_at(series->late, i) == ts_ms;
    if (!overruled && is_twin(&series->tail, ts_ms, value) && series->chunks == NULL) {
        count_add(&head->stats.duplicate, 1);
        return 0;
    }
    if (series->late == NULL) {
        series->late = calloc(1, sizeof *series->late);
        if (series->late == NULL)
            return ERR_NOMEM;
    }
    if (!overruled && !fits(head, series->late, ts_ms)) {
        int error = seal_late(head, series);
        if (error != 0)
            return error;
    }
    enum tail_change change;
    int error = tail_insert(series->late, ts_ms, value, &change);
    if (error != 0)
        return error;
    if (change == TAIL_SAME)
        count_add(&head->stats.duplicate, 1);
    else
        count_add(&head->stats.late, 1);
    return 0;
}

static bool last_of(const struct tail *tail, int64_t ts_ms, double *ret_value)
{
    if (tail == NULL || tail_is_empty(tail) || tail_last_ms(tail) != ts_ms)
        return false;
    *ret_value = tail_value_at(tail, tail->count - 1u);
    return true;
}

bool series_last_value(const struct series *series, double *ret_value)
{
    return last_of(series->late, series->last_ms, ret_value) ||
           last_of(&series->tail, series->last_ms, ret_value);
}

/* The newest sample, written at so late a time of the clock. */
static void note_last(struct series *series, int64_t ts_ms, double value, int64_t now_ms)
{
    series->last_ms = ts_ms;
    series->is_ended = is_stale_nan(value);
    note_touched(series, now_ms);
}

static bool is_last(const struct series *series, int64_t ts_ms, double value)
{
    double last;
    return ts_ms == series->last_ms && series_last_value(series, &last) &&
           same_bits(value, last);
}

int head_append(struct head *head, struct series *series, int64_t ts_ms, double value,
                int64_t now_ms)
{
    int error = head_fence(head, series);
    if (error != 0)
        return error;
    if (ts_ms > HEAD_TIME_MS_MAX || ts_ms < -HEAD_TIME_MS_MAX) {
        count_add(&head->stats.refused, 1);
        return 0;
    }
    note_touched(series, now_ms);
    if (ts_ms > series->last_ms) {
        error = fits(head, &series->tail, ts_ms)
                    ? 0
                    : seal_tail(head, series, &series->tail, false);
        if (error == 0)
            error = tail_append(&series->tail, ts_ms, value);
        if (error != 0)
            return error;
        note_last(series, ts_ms, value, now_ms);
    } else if (is_last(series, ts_ms, value)) {
        count_add(&head->stats.duplicate, 1);
        return 0;
    } else {
        error = append_late(head, series, ts_ms, value);
        if (error != 0)
            return error;
        if (ts_ms == series->last_ms)
            series->is_ended = is_stale_nan(value);
    }
    head_widen(head, ts_ms);
    return 0;
}

int head_append_run(struct head *head, struct series *series,
                    const struct store_sample *samples, size_t count, int64_t now_ms)
{
    size_t i = 0;
    while (i < count) {
        struct tail *tail = &series->tail;
        size_t taken = 0;
        int64_t end_ms = span_start_of(head->span_ms, tail->first_ms) + head->span_ms;
        if (end_ms > HEAD_TIME_MS_MAX)
            end_ms = HEAD_TIME_MS_MAX;
        if (series->fence == head->fence && samples[i].ts_ms > series->last_ms)
            taken = tail_extend(tail, samples + i, count - i, end_ms);
        if (taken == 0) {
            int error = head_append(head, series, samples[i].ts_ms, samples[i].value, now_ms);
            if (error != 0)
                return error;
            i++;
            continue;
        }
        head_widen(head, samples[i].ts_ms);
        i += taken;
        note_last(series, samples[i - 1].ts_ms, samples[i - 1].value, now_ms);
        head_widen(head, series->last_ms);
    }
    return 0;
}

/* -- restoring and removing -------------------------------------------------------------- */

int head_restore_chunk(struct head *head, struct series *series, uint64_t sequence, bool late,
                       struct bytes chunk)
{
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0 || chunk.size > UINT16_MAX ||
        count > TAIL_SAMPLES_MAX)
        return ERR_CORRUPT;
    struct sealed *sealed = malloc(sizeof *sealed + chunk.size);
    if (sealed == NULL)
        return ERR_NOMEM;
    *sealed = (struct sealed){
        .sequence = sequence,
        .first_ms = first_ms,
        .length_ms = (uint32_t)(last_ms - first_ms),
        .count = (uint16_t)count,
        .bytes = (uint16_t)chunk.size,
        .late = late,
        .saved = true,
    };
    memcpy(sealed->data, chunk.data, chunk.size);

    struct sealed **link = &series->chunks;
    while (*link != NULL && (*link)->sequence > sequence)
        link = &(*link)->next;
    sealed->next = *link;
    *link = sealed;
    count_add(&head->stats.chunks, 1);
    count_add(&head->stats.bytes, sizeof *sealed + sealed->bytes);
    if (last_ms >= series->last_ms) {
        series->last_ms = last_ms;
        series->is_ended = false;
    }
    if (sequence > head->sequence)
        head->sequence = sequence;
    head_widen(head, first_ms);
    head_widen(head, last_ms);
    return 0;
}

/* Merges two lists that ascend by time. */
static struct sealed *merge_lists(struct sealed *a, struct sealed *b)
{
    struct sealed *first = NULL;
    struct sealed **last = &first;
    while (a != NULL && b != NULL) {
        struct sealed **least = b->first_ms < a->first_ms ? &b : &a;
        *last = *least;
        last = &(*least)->next;
        *least = *last;
    }
    *last = a != NULL ? a : b;
    return first;
}

/* In place, because it must not fail: runs[i] is a sorted list of 2^i chunks, or none. */
static struct sealed *sort_list(struct sealed *list)
{
    struct sealed *runs[32] = {NULL};
    while (list != NULL) {
        struct sealed *run = list;
        size_t i = 0;
        list = list->next;
        run->next = NULL;
        for (; i < 31 && runs[i] != NULL; i++) {
            run = merge_lists(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
    }
    struct sealed *sorted = NULL;
    for (size_t i = 0; i < 32; i++)
        sorted = merge_lists(runs[i], sorted);
    return sorted;
}

void head_sort_saved(struct series *series)
{
    struct sealed **link = &series->chunks;
    while (*link != NULL && !(*link)->saved)
        link = &(*link)->next;
    if (*link != NULL && (*link)->next != NULL)
        *link = sort_list(*link);
}

void head_remove_chunks(struct head *head, struct series *series, int64_t start_ms,
                        int64_t end_ms, uint64_t through)
{
    struct sealed **link = &series->chunks;
    while (*link != NULL) {
        struct sealed *sealed = *link;
        if (sealed->saved && sealed->first_ms >= end_ms)
            return; /* so are all that follow */
        if (sealed->sequence > through || sealed->first_ms < start_ms ||
            sealed->first_ms >= end_ms) {
            link = &sealed->next;
            continue;
        }
        *link = sealed->next;
        atomic_fetch_sub_explicit(&head->stats.chunks, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&head->stats.bytes, sizeof *sealed + sealed->bytes,
                                  memory_order_relaxed);
        free(sealed);
    }
}
