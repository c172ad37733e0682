/*
 * rollup.c - which days are due to be rolled up, and which samples may go.
 */
#include "collector/store/rollup.h"

#include <stdlib.h>

#include "collector/store/merge.h"
#include "collector/store/rollup_make.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* Made so long before the samples expire, so that one failure is not the end; no longer,
 * because until then it only takes room. */
#define AHEAD_PART   8
#define AHEAD_MS_MAX ((int64_t)2 * 86400 * MS_PER_SEC)

static int64_t age_of(const struct store *store, size_t tier)
{
    return rollup_tiers[tier].kind == SPAN_ROLLUP_5M ? store->options.retention_5m_ms
                                                     : store->options.retention_1h_ms;
}

static bool outlives_samples(const struct store *store, size_t tier)
{
    return age_of(store, tier) == 0 || age_of(store, tier) > store->options.retention_raw_ms;
}

bool rollup_is_on(const struct store *store)
{
    bool is_any = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        is_any = is_any || outlives_samples(store, t);
    return is_any && store->options.rolls_up && store->options.retention_raw_ms > 0;
}

/* -- a day ------------------------------------------------------------------------------- */

struct run {
    struct store *store;
    int64_t now_ms;
    struct span **samples; /* all there are */
    size_t count;
    size_t days_left;
    uint64_t quiet;
    bool more;
};

/* The files of the bucket of samples[first], which is the first of it. */
static void collect_day(struct run *run, size_t first, struct rollup_day *day,
                        int64_t *ret_newest_ms)
{
    const struct span_manifest *wanted = &span_info_of(run->samples[first])->manifest;
    merge_bucket_of(run->store, wanted, run->now_ms, &day->start_ms, &day->end_ms);
    *ret_newest_ms = INT64_MIN;
    for (size_t i = first; i < run->count; i++) {
        const struct span_manifest *manifest = &span_info_of(run->samples[i])->manifest;
        int64_t start_ms;
        int64_t end_ms;
        merge_bucket_of(run->store, manifest, run->now_ms, &start_ms, &end_ms);
        if (start_ms != day->start_ms || end_ms != day->end_ms)
            continue;
        day->samples[day->count++] = run->samples[i];
        if (manifest->generation > day->generation)
            day->generation = manifest->generation;
        if (manifest->max_ms > *ret_newest_ms)
            *ret_newest_ms = manifest->max_ms;
    }
}

static bool is_seen(const struct run *run, size_t at)
{
    int64_t start_ms;
    int64_t end_ms;
    int64_t other_start_ms;
    int64_t other_end_ms;
    merge_bucket_of(run->store, &span_info_of(run->samples[at])->manifest, run->now_ms,
                    &start_ms, &end_ms);
    for (size_t i = 0; i < at; i++) {
        merge_bucket_of(run->store, &span_info_of(run->samples[i])->manifest, run->now_ms,
                        &other_start_ms, &other_end_ms);
        if (start_ms == other_start_ms && end_ms == other_end_ms)
            return true;
    }
    return false;
}

static int find_made(struct rollup_day *day, size_t tier)
{
    struct span_set *set = day->store->spans;
    struct span **spans;
    size_t count;
    int error = span_set_acquire_kind(set, rollup_tiers[tier].kind, INT64_MIN, INT64_MAX,
                                      &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count; i++) {
        const struct span_info *info = span_info_of(spans[i]);
        if (info->manifest.start_ms == day->start_ms && info->manifest.end_ms == day->end_ms &&
            day->made[tier] == NULL)
            day->made[tier] = span_set_acquire_one(set, info);
    }
    span_set_release(set, spans, count);
    return 0;
}

/* A copy that cannot be read is none: while the samples are there another can be made. */
static bool is_readable(struct span *span)
{
    struct span_reader *reader;
    int error = span_reader_open(span, &reader);
    if (error == 0)
        span_reader_close(reader);
    return error != ERR_CORRUPT;
}

/* Was it looked at, as its files are now, and nothing found to keep? */
static bool had_nothing(const struct rollup_day *day, size_t tier)
{
    for (size_t i = 0; i < ROLLUP_NOTHING_MAX; i++) {
        const struct rollup_nothing *nothing = &day->store->rollup_nothing[i];
        if (nothing->generation == day->generation && nothing->start_ms == day->start_ms &&
            nothing->tier == tier && day->generation != 0)
            return true;
    }
    return false;
}

static void note_nothing(const struct rollup_day *day)
{
    struct store *store = day->store;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        if (day->is_due[t] && day->made[t] == NULL)
            store->rollup_nothing[store->rollup_nothing_next++ % ROLLUP_NOTHING_MAX] =
                (struct rollup_nothing){day->start_ms, day->generation, t};
}

/* Which tiers are to be made.  When one is sole, the samples it was made of are gone: another,
 * made of what came late only, would hide it. */
static void decide(struct rollup_day *day, int64_t now_ms)
{
    bool is_any_sole = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        is_any_sole = is_any_sole || (day->made[t] != NULL && span_is_sole(day->made[t]));
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        int64_t age_ms = age_of(day->store, t);
        bool is_wanted = outlives_samples(day->store, t) &&
                         (age_ms == 0 || day->end_ms > now_ms - age_ms) &&
                         (!is_any_sole || day->made[t] != NULL);
        day->is_due[t] = is_wanted && !had_nothing(day, t) &&
                         (day->made[t] == NULL ||
                          span_info_of(day->made[t])->manifest.through < day->generation ||
                          (!span_is_sole(day->made[t]) && !is_readable(day->made[t])));
    }
}

/* The samples of a day go, and there is no room for their roll-ups: those that were made before
 * some of it came, or was deleted, are what is left of it.  Of them nothing comes back that was
 * deleted: a delete is forgotten when no roll-up holds any of it. */
static int expire_without(struct rollup_day *day)
{
    struct store *store = day->store;
    uint64_t missing = 0;
    if (day->made[0] == NULL && day->made[1] == NULL) {
        log_warn("store",
                 "the samples of a day expire without being rolled up: there is no room");
        atomic_fetch_add(&store->rollup_days_lost, 1);
        return 0;
    }
    int error = rollup_count_missing(day, &missing);
    if (error == ERR_CORRUPT) { /* it can tell nothing: as if there were none */
        log_warn("store",
                 "the samples of a day expire, and its roll-up is damaged: there is no room");
        atomic_fetch_add(&store->rollup_days_lost, 1);
        return 0;
    }
    if (error == 0 && missing > 0) {
        log_warn(
            "store",
            "the samples of a day expire, and its roll-up lacks %llu of them that came after "
            "it was made: there is no room",
            (unsigned long long)missing);
        atomic_fetch_add(&store->rollup_left_out, missing);
    }
    return error;
}

/* Rolls up; ERR_AGAIN: there is no room, and samples may not go for it. */
static int make_if_due(struct rollup_day *day, bool is_expired)
{
    struct store *store = day->store;
    enum full_level level = full_level(&store->full, 0);
    bool is_due = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        is_due = is_due || day->is_due[t];
    if (!is_due)
        return 0;
    /* Of a store that is full a day that goes gives more room than its roll-ups take. */
    bool may = level == FULL_NOT || (level == FULL_BUT_ESSENTIAL && is_expired);
    int error = may ? rollup_make(day) : ERR_FULL;
    if (error == ERR_FULL && is_expired && level != FULL_NOT)
        return expire_without(day);
    return error == ERR_FULL ? ERR_AGAIN : error;
}

static int take_day(struct run *run, struct rollup_day *day, int64_t newest_ms)
{
    const struct store_options *options = &run->store->options;
    int64_t raw_ms = options->retention_raw_ms;
    int64_t ahead_ms = raw_ms / AHEAD_PART < AHEAD_MS_MAX ? raw_ms / AHEAD_PART : AHEAD_MS_MAX;
    int64_t floor_ms = run->now_ms - raw_ms;
    bool is_expired = newest_ms < floor_ms;
    if (day->generation > run->quiet ||
        !merge_is_day(run->store, day->start_ms, day->end_ms, run->now_ms) ||
        (!is_expired && day->end_ms > floor_ms + ahead_ms))
        return 0;
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        error = find_made(day, t);
    if (error != 0)
        return error;
    decide(day, run->now_ms);
    bool is_work = is_expired || day->is_due[0] || day->is_due[1];
    if (is_work && run->days_left == 0) {
        run->more = true;
        return 0;
    }
    error = make_if_due(day, is_expired);
    if (error == 0 && is_expired)
        error = rollup_retire(day);
    /* What cannot be done now must not take the turn of the days behind it. */
    run->days_left -= is_work && error == 0;
    if (error == 0 && !is_expired)
        note_nothing(day);
    return error == ERR_AGAIN || error == ERR_CORRUPT ? 0 : error;
}

int rollup_run(struct store *store, size_t days, uint64_t quiet, bool *ret_more)
{
    struct run run = {.store = store,
                      .now_ms = clock_unix_ms(store->clock),
                      .days_left = days,
                      .quiet = quiet};
    *ret_more = false;
    if (!rollup_is_on(store))
        return 0;
    int error = span_set_acquire_kind(store->spans, SPAN_SAMPLES, INT64_MIN, INT64_MAX,
                                      &run.samples, &run.count);
    struct span **of_day = error == 0 ? malloc((run.count + 1) * sizeof(struct span *)) : NULL;
    if (error == 0 && of_day == NULL)
        error = ERR_NOMEM;
    for (size_t i = 0; i < run.count && error == 0 && !run.more; i++) {
        struct rollup_day day = {.store = store, .samples = of_day};
        int64_t newest_ms;
        if (is_seen(&run, i))
            continue;
        collect_day(&run, i, &day, &newest_ms);
        error = take_day(&run, &day, newest_ms);
        for (size_t t = 0; t < ROLLUP_TIERS; t++)
            if (day.made[t] != NULL)
                span_set_release_one(store->spans, day.made[t]);
    }
    free(of_day);
    if (run.samples != NULL)
        span_set_release(store->spans, run.samples, run.count);
    *ret_more = run.more;
    return error;
}
