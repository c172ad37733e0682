/*
 * ending.c - how series end: by a stale marker, by their source's silence, or not at all.
 */
#include <stdlib.h>

#include "collector/store/parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

static struct store_ending ending_of(struct store *store, struct series *series,
                                     const struct absent_source *absent, size_t absent_count)
{
    struct store_ending ending = {0};
    pthread_rwlock_t *lock = &store->head->shards[head_shard_of(series->id)];
    must(pthread_rwlock_rdlock(lock) == 0);
    ending.last_ms = series->last_ms;
    ending.is_ended = series->is_ended;
    must(pthread_rwlock_unlock(lock) == 0);
    ending.absent_since_ms =
        absent_since(absent, absent_count,
                     atomic_load_explicit(&series->source, memory_order_relaxed));
    /* What came after the silence was noticed came from somebody else. */
    if (ending.last_ms > ending.absent_since_ms)
        ending.absent_since_ms = 0;
    return ending;
}

int store_each_ending(struct store *store, struct matcher *const *matchers, size_t count,
                      int (*each)(void *context, const struct store_ending *ending),
                      void *context)
{
    struct absent_source *absent = NULL;
    struct series **series = NULL;
    size_t absent_count = 0, series_count = 0;
    struct labels_room room;
    int stop = absent_copy(&store->absent, &absent, &absent_count);

    if (stop == 0)
        stop = head_select(store->head, matchers, count, NULL, &series, &series_count);
    for (size_t i = 0; i < series_count; i++) {
        if (stop == 0) {
            struct store_ending ending = ending_of(store, series[i], absent, absent_count);
            ending.labels = series_labels(series[i], &room);
            stop = each(context, &ending);
        }
        head_release(series[i]);
    }
    free(series);
    free(absent);
    return stop;
}
