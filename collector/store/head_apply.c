/*
 * head_apply.c - the samples of many series into the head, in the order in which they were
 * written: what a commit holds, and what the WAL says of one.
 */
#include "collector/store/head.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CACHE_LINE_BYTES 64

/* The lines head_append() will touch: of a series, and of the tail of one that was asked for a
 * few samples ago. */
static void prefetch_series(struct series *far, struct series *near)
{
    for (size_t at = 0; at < sizeof *far; at += CACHE_LINE_BYTES)
        __builtin_prefetch((const uint8_t *)far + at, 1);
    __builtin_prefetch(tail_next_value(&near->tail), 1);
}

/* How many of the samples are of the series of the first, and all kept or all too old. */
static size_t run_of(const struct store_sample *samples, size_t count, int64_t floor_ms)
{
    const bool is_old = samples->ts_ms < floor_ms;
    size_t run = 1;
    while (run < count && samples[run].series == samples->series &&
           (samples[run].ts_ms < floor_ms) == is_old)
        run++;
    return run;
}

int head_append_all(struct head *head, const struct store_sample *samples, size_t count,
                    int64_t floor_ms, int64_t now_ms, uint64_t *ret_kept)
{
    uint32_t locked = HEAD_SHARDS;
    uint64_t kept = 0;
    int error = 0;

    for (size_t i = 0, run; i < count && error == 0; i += run) {
        const struct store_sample *sample = &samples[i];
        run = run_of(sample, count - i, floor_ms);
        if (i + STORE_SERIES_AHEAD * run < count)
            prefetch_series(sample[STORE_SERIES_AHEAD * run].series,
                            sample[STORE_SERIES_AHEAD / 2 * run].series);
        if (sample->ts_ms < floor_ms) {
            atomic_fetch_add_explicit(&head->stats.refused, run, memory_order_relaxed);
            continue;
        }
        uint32_t shard = head_shard_of(sample->series->id);
        if (shard != locked) {
            if (locked != HEAD_SHARDS)
                head_unlock_shard(head, locked);
            head_lock_shard(head, shard);
            locked = shard;
        }
        error = head_append_run(head, sample->series, sample, run, now_ms);
        if (error == 0)
            kept += run;
    }
    if (locked != HEAD_SHARDS)
        head_unlock_shard(head, locked);
    *ret_kept = kept;
    return error;
}
