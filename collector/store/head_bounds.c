/*
 * head_bounds.c - between which times the head has samples, so that who asks for others passes it by.
 *
 * What is written widens the bounds.  What a flush takes out raises the lower one: the keeper looks
 * at every series afterwards, and the writer takes over what it found, or what it has appended
 * since the look began, if that is older:
 *
 *     keeper   oldest_since := none   look at the series    oldest_found, is_oldest_found
 *     writer   append, then widen     append, then widen    min_ms := the older of both
 *
 * Both steps of the writer are made under the lock of the shard at which the keeper looks, too: what
 * the look did not see was appended after it began, and widens oldest_since.
 */
#include "collector/store/head.h"
#include "proto/base/error.h"

static void lower(_Atomic int64_t *bound, int64_t ts_ms)
{
    if (ts_ms < atomic_load_explicit(bound, memory_order_relaxed))
        atomic_store_explicit(bound, ts_ms, memory_order_relaxed);
}

void head_widen(struct head *head, int64_t ts_ms)
{
    lower(&head->stats.min_ms, ts_ms);
    lower(&head->oldest_since_ms, ts_ms);
    if (ts_ms > atomic_load_explicit(&head->stats.max_ms, memory_order_relaxed))
        atomic_store_explicit(&head->stats.max_ms, ts_ms, memory_order_relaxed);
}

bool head_touches(const struct head *head, int64_t from_ms, int64_t until_ms)
{
    const int64_t min_ms = atomic_load_explicit(&head->stats.min_ms, memory_order_acquire);
    const int64_t max_ms = atomic_load_explicit(&head->stats.max_ms, memory_order_relaxed);
    return from_ms <= until_ms && from_ms <= max_ms && until_ms >= min_ms;
}

int64_t series_first_ms(const struct series *series)
{
    int64_t first_ms = tail_is_empty(&series->tail) ? INT64_MAX : series->tail.first_ms;
    if (series->late != NULL && !tail_is_empty(series->late) && series->late->first_ms < first_ms)
        first_ms = series->late->first_ms;
    for (const struct sealed *chunk = series->chunks; chunk != NULL; chunk = chunk->next)
        if (chunk->first_ms < first_ms)
            first_ms = chunk->first_ms;
    return first_ms;
}

static int look(void *context, struct series *series)
{
    int64_t *oldest_ms = context;
    const int64_t first_ms = series_first_ms(series);
    if (first_ms < *oldest_ms)
        *oldest_ms = first_ms;
    return 0;
}

int head_find_oldest(struct head *head)
{
    int64_t oldest_ms = INT64_MAX;
    atomic_store_explicit(&head->is_oldest_found, false, memory_order_relaxed);
    atomic_store_explicit(&head->oldest_since_ms, INT64_MAX, memory_order_relaxed);
    int error = head_each_series(head, look, &oldest_ms);
    if (error != 0)
        return error;
    atomic_store_explicit(&head->oldest_found_ms, oldest_ms, memory_order_relaxed);
    atomic_store_explicit(&head->is_oldest_found, true, memory_order_release);
    return 0;
}

void head_take_oldest(struct head *head)
{
    if (!atomic_exchange_explicit(&head->is_oldest_found, false, memory_order_acquire))
        return;
    const int64_t found_ms = atomic_load_explicit(&head->oldest_found_ms, memory_order_relaxed);
    const int64_t since_ms = atomic_load_explicit(&head->oldest_since_ms, memory_order_relaxed);
    atomic_store_explicit(&head->stats.min_ms, found_ms < since_ms ? found_ms : since_ms,
                          memory_order_release);
}
