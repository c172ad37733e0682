/*
 * merge.c - merging history files, series by series in the order of their labels.
 *
 * Damage in an input ends the merge: the inputs stay as they are, so that what can still be
 * read of them is, and nothing is lost by tidying up.
 */
#include "collector/store/merge.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/log_join.h"
#include "collector/store/rollup_make.h"
#include "collector/store/series_walk.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define SPANS_A_DAY     12
#define RETENTION_PARTS 16 /* of them one more may be on disk than is kept */
#define INPUTS_MAX      64
#define LATER_MS        (INT64_MAX / 4) /* all days have passed by then */
#define HOLES_ARENA     ((size_t)1 << 20)

struct merge {
    struct store *store;
    struct span *spans[INPUTS_MAX]; /* ascending generation */
    size_t count;
    enum span_kind kind;
    int64_t start_ms, end_ms;
    struct series_walk walk;
    struct arena arena; /* holes of the series at hand */
    struct deletes_view deletes;
    bool is_empty; /* all of it has been deleted: nothing takes the inputs' place */
    struct pieces_scratch scratch;
    struct span_info info;
};

/* -- samples ----------------------------------------------------------------------------- */

static int write_samples(struct merge *merge, struct span_writer *writer)
{
    struct series_walk *walk = &merge->walk;
    int error = 0;
    while (error == 0) {
        const struct labels *labels;
        struct holes holes;
        const int64_t *times;
        const double *values;
        size_t count = 0;
        error = series_walk_next(walk, &labels);
        if (error != 0 || labels == NULL)
            break;
        error = series_walk_pieces(walk, 0, walk->count);
        arena_reset(&merge->arena);
        if (error == 0)
            error = deletes_holes(&merge->deletes, labels, &merge->arena, &holes);
        if (error == 0)
            error = pieces_merge(walk->pieces, walk->piece_count, &holes, INT64_MIN,
                                 INT64_MAX - 1, &merge->scratch, &times, &values, &count);
        if (error == 0 && count > 0)
            error = span_writer_add_series(writer, labels, times, values, count);
    }
    return error;
}

/* -- logs -------------------------------------------------------------------------------- */

static int take_block(void *context, struct log_key key, struct bytes block)
{
    return log_join_add(context, key, block);
}

static int write_logs(struct merge *merge, struct span_writer *writer)
{
    struct log_join *join;
    int error = log_join_new(writer, &join);
    if (error != 0)
        return error;
    for (size_t i = 0; i < merge->count && error == 0; i++)
        error = span_reader_logs_in_order(merge->walk.inputs[i].reader, take_block, join);
    if (error == 0)
        error = log_join_flush(join);
    log_join_free(join);
    return error;
}

/* -- one merge --------------------------------------------------------------------------- */

static int replace_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct merge *merge = context;
    struct live *live = &merge->store->live;
    (void)commit;
    int code = merge->is_empty ? MDB_SUCCESS : span_row_put(live, txn, &merge->info);
    for (size_t i = 0; i < merge->count && code == MDB_SUCCESS; i++)
        code = span_row_delete(live, txn, span_info_of(merge->spans[i]));
    return code;
}

static int write_merged(struct merge *merge)
{
    struct store *store = merge->store;
    struct diagnosis why = {""};
    struct span_writer *writer;
    uint64_t generation = span_set_next_generation(store->spans);
    int error = 0;
    if (merge->kind == SPAN_SAMPLES)
        error = deletes_view_landed(&store->deletes, merge->start_ms, merge->end_ms - 1,
                                    &merge->deletes);
    if (error == 0)
        error = span_writer_open(span_set_directory(store->spans), merge->kind,
                                 merge->start_ms, merge->end_ms, generation, &writer, &why);
    if (error != 0)
        return error;
    error =
        merge->kind == SPAN_SAMPLES ? write_samples(merge, writer) : write_logs(merge, writer);
    store_step(store, "merge.written");
    merge->is_empty = error == 0 && span_writer_count(writer) == 0;
    if (error != 0 || merge->is_empty) {
        span_writer_abandon(writer);
        return error;
    }
    error = span_writer_finish(writer, &merge->info, &why);
    store_step(store, "merge.finished");
    return error;
}

static int run_merge(struct merge *merge)
{
    struct store *store = merge->store;
    pieces_scratch_init(&merge->scratch);
    arena_init(&merge->arena, HOLES_ARENA);
    int error = series_walk_open(&merge->walk, merge->spans, merge->count, false);
    if (error == 0)
        error = write_merged(merge);
    series_walk_close(&merge->walk);
    pieces_scratch_done(&merge->scratch);
    deletes_view_done(&merge->deletes);
    arena_reset(&merge->arena);
    if (error != 0)
        return error;
    struct writer_task task = {replace_rows, NULL, merge, NULL, 0, false};
    error = writer_run(store->writer, &task);
    if (error != 0 && !merge->is_empty)
        span_set_discard(store->spans, &merge->info);
    store_step(store, "merge.registered");
    if (error == 0)
        error = span_set_change(store->spans, merge->is_empty ? NULL : &merge->info,
                                merge->spans, merge->count);
    store_step(store, "merge.replaced");
    return error;
}

/* -- what is due ------------------------------------------------------------------------- */

static int64_t floor_to(int64_t ms, int64_t unit)
{
    return span_start_of(unit, ms);
}

/* A file stays until all in it has expired: a day's file beside two days of retention would be
 * half as much again. */
static int64_t merged_ms(int64_t span_ms, int64_t retention_ms)
{
    int64_t spans = SPANS_A_DAY;
    while (spans > 1 && retention_ms > 0 && span_ms * spans > retention_ms / RETENTION_PARTS)
        spans -= spans == 6 ? 2 : spans / 2; /* 12, 6, 4, 2, 1: whole parts of a day */
    return span_ms * spans;
}

int64_t merge_retention_ms(const struct store *store, uint8_t kind)
{
    if (kind == SPAN_LOGS)
        return store->options.retention_logs_ms;
    return rollup_is_on(store) ? 0 : store->options.retention_raw_ms;
}

void merge_bucket(int64_t span_ms, int64_t retention_ms, int64_t start_ms, int64_t now_ms,
                  int64_t *ret_start_ms, int64_t *ret_end_ms)
{
    int64_t day_ms = merged_ms(span_ms, retention_ms);
    int64_t day = floor_to(start_ms, day_ms);
    bool has_passed = day + day_ms + span_ms <= now_ms;
    *ret_start_ms = has_passed ? day : start_ms;
    *ret_end_ms = has_passed ? day + day_ms : start_ms + span_ms;
}

bool merge_is_day(const struct store *store, int64_t start_ms, int64_t end_ms, int64_t now_ms)
{
    int64_t span_ms = store->head->span_ms;
    return end_ms - start_ms >= span_ms * SPANS_A_DAY && end_ms + span_ms <= now_ms;
}

void merge_bucket_of(const struct store *store, const struct span_manifest *manifest,
                     int64_t now_ms, int64_t *start_ms, int64_t *end_ms)
{
    merge_bucket(store->head->span_ms, merge_retention_ms(store, manifest->kind),
                 manifest->start_ms, now_ms, start_ms, end_ms);
    if (manifest->end_ms > *end_ms) { /* a day's file, and the clock has gone back */
        *start_ms = manifest->start_ms;
        *end_ms = manifest->end_ms;
    }
}

/* Fills the merge with the files of the bucket of `spans[first]`: the newest, if there are too
 * many, because the merged file will win over all that are left. */
static void fill_bucket(struct merge *merge, struct span *const *spans, size_t count,
                        size_t first, int64_t now_ms)
{
    const struct span_manifest *wanted = &span_info_of(spans[first])->manifest;
    merge_bucket_of(merge->store, wanted, now_ms, &merge->start_ms, &merge->end_ms);
    merge->count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct span_manifest *manifest = &span_info_of(spans[i])->manifest;
        int64_t start_ms;
        int64_t end_ms;
        merge_bucket_of(merge->store, manifest, now_ms, &start_ms, &end_ms);
        if (start_ms != merge->start_ms || end_ms != merge->end_ms)
            continue;
        if (merge->count == INPUTS_MAX) {
            merge->count--;
            memmove(merge->spans, merge->spans + 1, merge->count * sizeof(struct span *));
        }
        merge->spans[merge->count++] = spans[i];
    }
}

/* A day's first merge is due as soon as it has passed; then, as for a span, when there are
 * `least` files. */
static bool is_due(const struct merge *merge, size_t least)
{
    bool first_of_day = merge->count >= 2;
    for (size_t i = 0; i < merge->count; i++) {
        const struct span_manifest *manifest = &span_info_of(merge->spans[i])->manifest;
        if (manifest->start_ms == merge->start_ms && manifest->end_ms == merge->end_ms)
            first_of_day = false;
    }
    return first_of_day || (merge->count >= 2 && merge->count >= least);
}

/* Would what is written of these files win over one that it must not?  Buckets overlap where a day's
 * file was written and the clock has gone back into that day. */
static bool overtakes(const struct merge *merge, struct span *const *spans, size_t count)
{
    uint64_t lowest = span_info_of(merge->spans[0])->manifest.generation;
    for (size_t i = 0; i < count; i++) {
        const struct span_manifest *other = &span_info_of(spans[i])->manifest;
        bool is_input = false;
        for (size_t j = 0; j < merge->count; j++)
            is_input = is_input || merge->spans[j] == spans[i];
        if (!is_input && other->generation > lowest && other->min_ms < merge->end_ms &&
            other->max_ms >= merge->start_ms)
            return true;
    }
    return false;
}

/* What is there of a day that goes on: no longer than its files, so that the rest of the day finds
 * a bucket of its own, and joins it when the day has passed. */
static void shorten(struct merge *merge)
{
    merge->start_ms = INT64_MAX;
    merge->end_ms = INT64_MIN;
    for (size_t i = 0; i < merge->count; i++) {
        const struct span_manifest *manifest = &span_info_of(merge->spans[i])->manifest;
        merge->start_ms =
            manifest->start_ms < merge->start_ms ? manifest->start_ms : merge->start_ms;
        merge->end_ms = manifest->end_ms > merge->end_ms ? manifest->end_ms : merge->end_ms;
    }
}

static int merge_kind(struct store *store, enum span_kind kind, size_t least, bool early,
                      bool *ret_merged)
{
    struct span **spans;
    size_t count;
    int64_t now_ms = early ? LATER_MS : clock_unix_ms(store->clock);
    struct merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return ERR_NOMEM;
    int error = span_set_acquire_kind(store->spans, kind, INT64_MIN, INT64_MAX, &spans, &count);
    if (error != 0) {
        free(merge);
        return error;
    }
    merge->store = store;
    merge->kind = kind;
    for (size_t i = 0; i < count; i++) {
        fill_bucket(merge, spans, count, i, now_ms);
        if (early)
            shorten(merge);
        if (merge->spans[0] != spans[i] || !is_due(merge, least) ||
            overtakes(merge, spans, count))
            continue; /* looked at already, not due, or not yet */
        error = run_merge(merge);
        if (error == ERR_CORRUPT) {
            error = 0; /* named where it was met; these stay unmerged */
            continue;
        }
        *ret_merged = error == 0;
        break; /* the list has changed */
    }
    span_set_release(store->spans, spans, count);
    free(merge);
    return error;
}

static int merge_all(struct store *store, size_t least, bool early)
{
    bool merged = true;
    int error = 0;
    while (merged && error == 0) {
        merged = false;
        error = merge_kind(store, SPAN_SAMPLES, least, early, &merged);
        if (error == 0 && !merged)
            error = merge_kind(store, SPAN_LOGS, least, early, &merged);
    }
    return error;
}

int merge_due(struct store *store, size_t least)
{
    return merge_all(store, least, false);
}

int merge_early(struct store *store)
{
    return merge_all(store, 2, true);
}

int merge_rewrite(struct store *store, const struct span_info *info)
{
    struct span **spans;
    size_t count;
    struct merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return ERR_NOMEM;
    int error = span_set_acquire(store->spans, INT64_MIN, INT64_MAX, &spans, &count);
    if (error != 0) {
        free(merge);
        return error;
    }
    merge->store = store;
    merge->kind = SPAN_SAMPLES;
    size_t i = 0;
    while (i < count &&
           span_info_of(spans[i])->manifest.generation != info->manifest.generation)
        i++;
    if (i < count) {
        fill_bucket(merge, spans, count, i, clock_unix_ms(store->clock));
        error = overtakes(merge, spans, count) ? ERR_AGAIN : run_merge(merge);
    }
    span_set_release(store->spans, spans, count);
    free(merge);
    return error;
}

/* -- expiry ------------------------------------------------------------------------------ */

static int is_over_for_all(struct store *store, struct span *span, bool *ret_yes)
{
    uint64_t present = 0;
    const uint64_t over =
        ages_over(&store->deletes.ages, AGE_OF_SAMPLES,
                  span_info_of(span)->manifest.max_ms + 1, clock_unix_ms(store->clock));
    int error = over == 0 ? 0 : ages_in_file(store, span, &present);
    const uint64_t all = ages_all(&store->deletes.ages, AGE_OF_SAMPLES);
    *ret_yes = over != 0 && (present & all & ~over) == 0;
    return error;
}

struct expiry {
    struct store *store;
    struct span *expired;
};

static int delete_row(void *context, MDB_txn *txn, uint64_t commit)
{
    struct expiry *expiry = context;
    (void)commit;
    return span_row_delete(&expiry->store->live, txn, span_info_of(expiry->expired));
}

/* Files older than the longest age that a series in them has; samples by their ages, others as a
 * whole. */
static int expire_kind(struct store *store, enum span_kind kind, int64_t retention_ms)
{
    struct span **spans;
    size_t count;
    const bool has_ages = kind == SPAN_SAMPLES && store->deletes.ages.rule_count > 0;
    if ((retention_ms <= 0 || retention_ms == STORE_FOREVER) && !has_ages)
        return 0;
    int64_t floor_ms = clock_unix_ms(store->clock) - retention_ms;
    int error = span_set_acquire_kind(store->spans, kind, INT64_MIN, INT64_MAX, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        bool is_over = span_info_of(spans[i])->manifest.max_ms < floor_ms;
        if (has_ages)
            error = is_over_for_all(store, spans[i], &is_over);
        if (error != 0 || !is_over)
            continue;
        struct expiry expiry = {store, spans[i]};
        struct writer_task task = {delete_row, NULL, &expiry, NULL, 0, false};
        error = writer_run(store->writer, &task);
        store_step(store, "expire.unregistered");
        if (error == 0)
            error = span_set_change(store->spans, NULL, &spans[i], 1);
    }
    span_set_release(store->spans, spans, count);
    return error;
}

int merge_expire(struct store *store)
{
    int error = 0;
    if (!rollup_is_on(store))
        error = expire_kind(store, SPAN_SAMPLES, store->options.retention_raw_ms);
    for (int t = 0; t < ROLLUP_TIERS && error == 0; t++)
        error = expire_kind(store, rollup_tiers[t].kind,
                            ages_longest(&store->deletes.ages, AGE_OF_TIER + t));
    if (error == 0)
        error = expire_kind(store, SPAN_LOGS, store->options.retention_logs_ms);
    return error;
}
