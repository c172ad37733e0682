/*
 * rollup.c - which days are due to be rolled up, and which samples may go.
 */
#include "collector/store/rollup.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/head.h"
#include "collector/store/merge.h"
#include "collector/store/rollup_make.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* Made so long before the samples expire, so that one failure is not the end; no longer,
 * because until then it only takes room. */
#define AHEAD_PART   8
#define AHEAD_MS_MAX ((int64_t)2 * 86400 * MS_PER_SEC)

static int64_t ahead_ms(int64_t raw_ms)
{
    return raw_ms / AHEAD_PART < AHEAD_MS_MAX ? raw_ms / AHEAD_PART : AHEAD_MS_MAX;
}

bool rollup_is_on(const struct store *store)
{
    return store->deletes.ages.rolls_up;
}

struct run {
    struct store *store;
    int64_t now_ms;
    struct span **samples; /* all there are */
    size_t count;
    size_t days_left;
    uint64_t quiet;
    bool more;
    struct held {
        bool is_known;
        int64_t until_ms; /* younger ones are of no matter */
        int64_t *starts;  /* of the spans, ascending */
        size_t count, capacity;
        int64_t span_ms;
    } held; /* what the head has of days that are about to be closed */
};

/* -- what has not reached a file --------------------------------------------------------- */

/* The first that is no less. */
static size_t find_held(const struct held *held, int64_t start_ms)
{
    size_t low = 0;
    size_t high = held->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (held->starts[middle] < start_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int hold(struct held *held, int64_t at_ms)
{
    if (at_ms >= held->until_ms)
        return 0;
    int64_t start_ms = span_start_of(held->span_ms, at_ms);
    size_t at = find_held(held, start_ms);
    if (at < held->count && held->starts[at] == start_ms)
        return 0;
    if (held->count == held->capacity) {
        size_t capacity = held->capacity == 0 ? 64 : held->capacity * 2;
        int64_t *grown = realloc(held->starts, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        held->starts = grown;
        held->capacity = capacity;
    }
    memmove(held->starts + at + 1, held->starts + at,
            (held->count - at) * sizeof *held->starts);
    held->starts[at] = start_ms;
    held->count++;
    return 0;
}

/* A chunk, and a tail, lies in one span. */
static int hold_series(void *context, struct series *series)
{
    struct held *held = context;
    int error = 0;
    if (!tail_is_empty(&series->tail))
        error = hold(held, series->tail.first_ms);
    if (error == 0 && series->late != NULL && !tail_is_empty(series->late))
        error = hold(held, series->late->first_ms);
    for (const struct sealed *at = series->chunks; at != NULL && error == 0; at = at->next)
        error = hold(held, at->first_ms);
    return error;
}

/* Does the head have samples of a day?  A write that came during the flush may be half in a
 * file and half in an open tail: a bucket that is closed now would leave out that half.  Not
 * asked of a store that is full: it flushes nothing, and must go on expiring. */
static int is_held(struct run *run, const struct rollup_day *day, bool *ret_is_held)
{
    struct store *store = run->store;
    struct held *held = &run->held;
    *ret_is_held = false;
    if (full_level(&store->full, 0) != FULL_NOT)
        return 0;
    if (!held->is_known) {
        held->span_ms = store->head->span_ms;
        /* Over by the shortest age, or in a bucket with what is. */
        held->until_ms = run->now_ms - store->deletes.ages.lists[AGE_OF_SAMPLES].items[0] +
                         rollup_tiers[ROLLUP_TIERS - 1].width_ms;
        int error = head_each_series(store->head, hold_series, held);
        if (error != 0)
            return error;
        held->is_known = true;
    }
    size_t at = find_held(held, day->start_ms);
    *ret_is_held = at < held->count && held->starts[at] < day->end_ms;
    return 0;
}

/* -- a day ------------------------------------------------------------------------------- */

/* The files of the bucket of samples[first], which is the first of it. */
static void collect_day(struct run *run, size_t first, struct rollup_day *day)
{
    const struct span_manifest *wanted = &span_info_of(run->samples[first])->manifest;
    merge_bucket_of(run->store, wanted, run->now_ms, &day->start_ms, &day->end_ms);
    day->newest_ms = INT64_MIN;
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
        if (manifest->max_ms > day->newest_ms)
            day->newest_ms = manifest->max_ms;
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

/* In the order in which their word counts; those that are too many are left where they are. */
static void add_sole(struct rollup_day *day, size_t tier, struct span *span)
{
    struct span **soles = day->soles[tier];
    size_t at = day->sole_count[tier];
    if (at == ROLLUP_SOLES)
        return;
    while (at > 0 && rollup_is_before(span_info_of(span), span_info_of(soles[at - 1]))) {
        soles[at] = soles[at - 1];
        at--;
    }
    soles[at] = span_set_acquire_one(day->store->spans, span_info_of(span));
    day->sole_count[tier]++;
}

/* The roll-ups there are of the day. */
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
        if (info->manifest.start_ms != day->start_ms || info->manifest.end_ms != day->end_ms)
            continue;
        if (span_is_sole(spans[i]))
            add_sole(day, tier, spans[i]);
        else if (day->made[tier] == NULL)
            day->made[tier] = span_set_acquire_one(set, info);
    }
    span_set_release(set, spans, count);
    return 0;
}

static void release_made(struct rollup_day *day)
{
    struct span_set *set = day->store->spans;
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        if (day->made[t] != NULL)
            span_set_release_one(set, day->made[t]);
        for (size_t i = 0; i < day->sole_count[t]; i++)
            span_set_release_one(set, day->soles[t][i]);
    }
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

/* Is there a series that is kept in the tier for longer than that? */
static bool is_wanted(const struct rollup_day *day, size_t tier, int64_t now_ms)
{
    const int64_t age_ms = ages_longest(&day->store->deletes.ages, AGE_OF_TIER + (int)tier);
    const struct age_list *raw = &day->store->deletes.ages.lists[AGE_OF_SAMPLES];
    const bool outlives = age_ms > raw->items[0];
    return (outlives || day->sole_count[tier] > 0) && !age_is_over(age_ms, day->end_ms, now_ms);
}

/* Which copies are to be made, before all samples go. */
static void decide(struct rollup_day *day, int64_t now_ms)
{
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        day->is_due[t] = is_wanted(day, t, now_ms) && !had_nothing(day, t) &&
                         (!rollup_is_fresh(day, t) || !is_readable(day->made[t]));
}

/* The samples of a day go, and there is no room for their roll-ups: those that were made before
 * some of it came, or was deleted, are what is left of it.  Of them nothing comes back that was
 * deleted: a delete is forgotten when no roll-up holds any of it. */
static int expire_without(struct rollup_day *day)
{
    struct store *store = day->store;
    uint64_t missing = 0;
    bool has_any = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        has_any = has_any || day->made[t] != NULL || day->sole_count[t] > 0;
    if (!has_any) {
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

/* Of a store that is full a day that goes gives more room than its roll-ups take. */
static bool has_room(struct store *store, bool is_expired)
{
    enum full_level level = full_level(&store->full, 0);
    return level == FULL_NOT || (level == FULL_BUT_ESSENTIAL && is_expired);
}

/* Rolls up; ERR_AGAIN: there is no room, and samples may not go for it. */
static int make_if_due(struct rollup_day *day, bool is_expired)
{
    struct store *store = day->store;
    if (!day->is_due[0] && !day->is_due[1])
        return 0;
    int error = has_room(store, is_expired) ? rollup_make(day) : ERR_FULL;
    if (error == ERR_FULL && is_expired && full_level(&store->full, 0) != FULL_NOT)
        return expire_without(day);
    return error == ERR_FULL ? ERR_AGAIN : error;
}

/* Samples of some series go, and the day stays for the others.  It waits for room: the others'
 * have to be written anew for it. */
static int make_part(struct rollup_day *day, int64_t now_ms)
{
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        day->is_due[t] = is_wanted(day, t, now_ms);
    int error = has_room(day->store, true) ? rollup_make_part(day) : ERR_FULL;
    return error == ERR_FULL ? ERR_AGAIN : error;
}

/* What is due of a day, by the ages of the series in it. */
struct due {
    bool is_expired; /* all samples */
    bool is_part;    /* some */
    bool is_near;    /* all, before long */
};

static int find_due(const struct rollup_day *day, int64_t now_ms, struct due *ret_due)
{
    const struct ages *ages = &day->store->deletes.ages;
    const struct age_list *list = &ages->lists[AGE_OF_SAMPLES];
    const uint64_t over = ages_over(ages, AGE_OF_SAMPLES, day->newest_ms + 1, now_ms);
    uint64_t near = over;
    uint64_t present = 0;
    int error = 0;
    for (size_t i = 0; i < list->count; i++)
        if (age_is_over(list->items[i], day->end_ms - ahead_ms(list->items[i]), now_ms))
            near |= UINT64_C(1) << i;
    for (size_t i = 0; i < day->count && near != 0 && error == 0; i++) {
        uint64_t of_file;
        error = ages_in_file(day->store, day->samples[i], &of_file);
        present |= error == 0 ? of_file & ages_all(ages, AGE_OF_SAMPLES) : 0;
    }
    *ret_due = (struct due){.is_expired = (over & present) != 0 && (present & ~over) == 0,
                            .is_part = (over & present) != 0 && (present & ~over) != 0,
                            .is_near = near != 0 && (present & ~near) == 0};
    return error;
}

static int take_due(struct run *run, struct rollup_day *day, const struct due *due)
{
    bool held = false;
    int error = due->is_expired || due->is_part ? is_held(run, day, &held) : 0;
    if (error != 0 || held)
        return error;
    decide(day, run->now_ms);
    const bool makes = due->is_near && !due->is_part && (day->is_due[0] || day->is_due[1]);
    const bool is_work = due->is_expired || due->is_part || makes;
    if (is_work && run->days_left == 0) {
        run->more = true;
        return 0;
    }
    if (due->is_part)
        error = make_part(day, run->now_ms);
    else if (is_work)
        error = make_if_due(day, due->is_expired);
    if (error == 0 && due->is_expired)
        error = rollup_retire(day);
    /* What cannot be done now must not take the turn of the days behind it. */
    run->days_left -= is_work && error == 0;
    if (error == 0 && makes && !due->is_expired)
        note_nothing(day);
    return error == ERR_AGAIN || error == ERR_CORRUPT ? 0 : error;
}

static int take_day(struct run *run, struct rollup_day *day)
{
    struct due due;
    int error = 0;
    if (day->generation > run->quiet ||
        !merge_is_day(run->store, day->start_ms, day->end_ms, run->now_ms))
        return 0;
    error = find_due(day, run->now_ms, &due);
    if (error != 0 || (!due.is_expired && !due.is_part && !due.is_near))
        return error;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        error = find_made(day, t);
    if (error == 0)
        error = take_due(run, day, &due);
    release_made(day);
    return error;
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
        if (is_seen(&run, i))
            continue;
        collect_day(&run, i, &day);
        error = take_day(&run, &day);
    }
    free(of_day);
    free(run.held.starts);
    if (run.samples != NULL)
        span_set_release(store->spans, run.samples, run.count);
    *ret_more = run.more;
    return error;
}
