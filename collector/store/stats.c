/*
 * stats.c - what the store counts.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/store/parts.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int64_t store_retention_ms(const struct store *store)
{
    const struct ages *ages = &store->deletes.ages;
    int64_t longest_ms = ages_longest(ages, AGE_OF_SAMPLES);
    for (int k = AGE_OF_TIER; k < AGE_KINDS && rollup_is_on(store); k++) {
        int64_t tier_ms = ages_longest(ages, k);
        tier_ms = tier_ms < STORE_LATE_MS_MAX ? tier_ms : STORE_LATE_MS_MAX;
        longest_ms = tier_ms > longest_ms ? tier_ms : longest_ms;
    }
    return longest_ms == STORE_FOREVER ? 0 : longest_ms;
}

static void count_rollups(struct store *store, struct store_stats *stats)
{
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        span_set_sum(store->spans, rollup_tiers[t].kind, &stats->rollup_files[t],
                     &stats->rollup_bytes[t]);
}

void store_get_stats(struct store *store, struct store_stats *ret_stats)
{
    struct head_stats *head = &store->head->stats;
    struct store_stats stats = {
        .series_active = get(&head->series_active),
        .series_created = get(&head->series_created),
        .samples_stored = get(&head->stored),
        .samples_duplicate = get(&head->duplicate),
        .samples_late = get(&head->late),
        .samples_refused = get(&head->refused),
        .commits = get(&store->commits),
        .commit_failures = get(&store->commit_failures),
        .wal_bytes = get(&store->wal_bytes),
        .wal_records = get(&store->wal_records),
        .queue_depth = writer_queue_depth(store->writer),
        .log_lines_stored = get(&store->log_lines),
        .flushes = get(&store->flushes),
        .checkpoints = get(&store->checkpoints),
        .spans = span_set_count(store->spans),
        .quarantined = get(&store->quarantined),
        .deletes = get(&store->deletes.made),
        .deletes_pending = atomic_load(&store->deletes.held),
        .rollups_made = get(&store->rollups),
        .rollup_left_out = get(&store->rollup_left_out),
        .rollup_days_lost = get(&store->rollup_days_lost),
        .head_chunks = get(&head->chunks),
        .head_bytes = get(&head->bytes),
        .commit_seconds_sum = (double)get(&store->commit_ns) / 1e9,
        .head_min_ms = atomic_load_explicit(&head->min_ms, memory_order_relaxed),
        .head_max_ms = atomic_load_explicit(&head->max_ms, memory_order_relaxed),
    };
    count_rollups(store, &stats);
    stats.broken = atomic_load(&store->broken);
    stats.full =
        full_get(&store->full, stats.full_reason, &stats.disk_bytes, &stats.used_percent);
    *ret_stats = stats;
}

static int count_chunks(void *context, struct series *series)
{
    uint64_t *chunks = context;
    *chunks += !tail_is_empty(&series->tail);
    *chunks += series->late != NULL && !tail_is_empty(series->late);
    for (const struct sealed *at = series->chunks; at != NULL; at = at->next)
        ++*chunks;
    return 0;
}

uint64_t store_count_head_chunks(struct store *store)
{
    uint64_t chunks = 0;
    (void)head_each_series(store->head, count_chunks, &chunks);
    return chunks;
}

static int by_start(const void *left, const void *right)
{
    const struct span_manifest *a = &span_info_of(*(struct span *const *)left)->manifest;
    const struct span_manifest *b = &span_info_of(*(struct span *const *)right)->manifest;
    if (a->start_ms != b->start_ms)
        return a->start_ms < b->start_ms ? -1 : 1;
    return (a->generation > b->generation) - (a->generation < b->generation);
}

int store_each_span(struct store *store,
                    void (*each)(void *context, const struct store_span *span), void *context)
{
    struct span **spans = NULL;
    size_t count = 0;
    int error = span_set_acquire(store->spans, INT64_MIN, INT64_MAX, &spans, &count);
    if (error != 0)
        return error;
    if (count > 1)
        qsort(spans, count, sizeof *spans, by_start);
    for (size_t i = 0; i < count; i++) {
        const struct span_info *info = span_info_of(spans[i]);
        const struct store_span span = {
            .start_ms = info->manifest.start_ms,
            .end_ms = info->manifest.end_ms,
            .generation = info->manifest.generation,
            .series = info->manifest.series,
            .chunks = info->manifest.chunks,
            .samples = info->manifest.samples,
            .bytes = info->file_bytes,
        };
        each(context, &span);
    }
    span_set_release(store->spans, spans, count);
    return 0;
}
