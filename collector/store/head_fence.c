/*
 * head_fence.c - deletes reach the open tails of the head.
 *
 * Visiting every series when something is deleted would keep commits waiting.  So each series
 * remembers up to which delete it has been looked at, and is looked at again by the writer
 * thread before its tails are touched: nothing that comes after a delete can mix with what it
 * covers.  Readers who come first leave it out themselves (gather.c).
 */
#include <stdlib.h>

#include "collector/store/deletes.h"
#include "collector/store/head.h"

static int cut_tail(struct tail *tail, const struct deletion *deletion)
{
    struct tail kept = {0};
    if (tail_is_empty(tail) || tail->first_ms > deletion->until_ms ||
        tail_last_ms(tail) < deletion->from_ms)
        return 0;
    for (size_t i = 0; i < tail->count; i++) {
        int64_t ts_ms = tail_time_at(tail, i);
        if (ts_ms >= deletion->from_ms && ts_ms <= deletion->until_ms)
            continue;
        int error = tail_append(&kept, ts_ms, tail_value_at(tail, i));
        if (error != 0) {
            tail_done(&kept);
            return error;
        }
    }
    tail_done(tail);
    *tail = kept;
    return 0;
}

static int cut_series(struct series *series, const struct deletion *deletion)
{
    int error = cut_tail(&series->tail, deletion);
    if (error == 0 && series->late != NULL)
        error = cut_tail(series->late, deletion);
    if (error == 0 && series->late != NULL && tail_is_empty(series->late)) {
        free(series->late);
        series->late = NULL;
    }
    int64_t last_ms =
        deletion_last_ms(deletion->from_ms, deletion->until_ms, series->last_ms);
    if (error == 0 && last_ms != series->last_ms) {
        series->last_ms = last_ms;
        series->is_ended = false;
    }
    return error;
}

int head_fence_slow(struct head *head, struct series *series)
{
    /* The list is changed on this thread only. */
    const struct deletes *deletes = head->deletes;
    struct labels_room room;
    const struct labels *labels = series_labels(series, &room);
    int error = 0;
    for (size_t i = 0; i < deletes->count && error == 0; i++) {
        const struct deletion *deletion = deletes->items[i];
        if (deletion->fence > series->fence && deletion_matches(deletion, labels))
            error = cut_series(series, deletion);
    }
    if (error == 0)
        series->fence = head->fence;
    return error;
}
