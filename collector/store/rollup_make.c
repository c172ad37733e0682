/*
 * rollup_make.c - one walk over the samples of a day, all tiers at once.
 *
 * Damaged samples are passed by: they will not heal, and what is not rolled up is lost when
 * they expire.
 */
#include "collector/store/rollup_make.h"

#include <stdlib.h>

#include "collector/store/records.h"
#include "collector/store/series_walk.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

const struct rollup_tier rollup_tiers[ROLLUP_TIERS] = {
    {SPAN_ROLLUP_5M, INT64_C(300000)},
    {SPAN_ROLLUP_1H, INT64_C(3600000)},
};

#define HOLES_ARENA ((size_t)1 << 20)
#define NONE        SIZE_MAX

struct making {
    struct rollup_day *day;
    int64_t now_ms;
    struct series_walk walk;
    struct pieces_scratch scratch;
    struct deletes_view deletes;
    struct arena arena; /* holes of the series at hand */
    struct holes holes;
    struct records base, late, whole;
    size_t base_input[ROLLUP_TIERS]; /* where the roll-up is read that stays the base; or NONE */
    bool is_count;                   /* nothing is written: what is not in the base is counted */
    uint64_t missing;
    struct span_writer *writers[ROLLUP_TIERS];
    struct span_info infos[ROLLUP_TIERS];
    bool is_written[ROLLUP_TIERS]; /* finished, not registered */
    bool is_empty[ROLLUP_TIERS];   /* sole, and all of it deleted */
};

/* -- series ------------------------------------------------------------------------------ */

static void clear(struct records *records)
{
    records->count = 0;
}

/* The records of the roll-up that is to be replaced, but for those of which some is deleted. */
static int read_base(struct making *making, size_t tier, struct bytes entry)
{
    struct records *all = &making->whole;
    uint64_t rank = RANK_HISTORY(making->walk.inputs[making->base_input[tier]].generation);
    int error = records_read(all, entry);
    for (size_t i = 0; i < all->count && error == 0; i++)
        if (!holes_touch(&making->holes, rank, all->firsts_ms[i], all->lasts_ms[i]))
            error = records_add(&making->base, all, i);
    clear(all);
    return error;
}

/* The series at hand in one tier. */
static int add_series(struct making *making, size_t tier, const struct labels *labels,
                      const int64_t *times_ms, const double *values, size_t count)
{
    int64_t width_ms = rollup_tiers[tier].width_ms;
    uint64_t left_out = 0;
    struct bytes entry = {NULL, 0};
    struct store *store = making->day->store;
    if (ages_tier_is_over(&store->deletes, tier, labels, making->day->end_ms, making->now_ms))
        return 0;
    clear(&making->base);
    clear(&making->late);
    clear(&making->whole);
    int error = records_roll(&making->late, width_ms, times_ms, values, count);
    if (error == 0 && making->base_input[tier] != NONE)
        error = series_walk_entry(&making->walk, making->base_input[tier], &entry);
    if (error == 0 && entry.data != NULL)
        error = read_base(making, tier, entry);
    if (error == ERR_CORRUPT) {
        span_reader_complain(making->walk.inputs[making->base_input[tier]].reader, "a roll-up");
        error = 0;
    }
    if (error == 0 && making->is_count)
        making->missing += records_missing(width_ms, &making->base, &making->late);
    if (error != 0 || making->is_count)
        return error;
    const struct records *records = &making->late;
    if (making->base.count > 0) {
        error = records_fill(&making->whole, width_ms, &making->base, &making->late, &left_out);
        records = &making->whole;
    }
    if (tier == 0 || !making->day->is_due[0]) /* once, not for every tier */
        atomic_fetch_add(&store->rollup_left_out, left_out);
    if (error == 0 && records->count > 0)
        error = span_writer_add_records(making->writers[tier], labels, records);
    return error;
}

static int write_series(struct making *making)
{
    const struct rollup_day *day = making->day;
    int error = 0;
    while (error == 0) {
        const struct labels *labels;
        const int64_t *times = NULL;
        const double *values = NULL;
        size_t count = 0;
        error = series_walk_next(&making->walk, &labels);
        if (error != 0 || labels == NULL)
            break;
        error = series_walk_pieces(&making->walk, 0, day->count);
        arena_reset(&making->arena);
        if (error == 0)
            error = deletes_holes(&making->deletes, labels, &making->arena, &making->holes);
        if (error == 0)
            error = pieces_merge(making->walk.pieces, making->walk.piece_count, &making->holes,
                                 INT64_MIN, INT64_MAX - 1, &making->scratch, &times, &values,
                                 &count);
        if (error == ERR_CORRUPT) { /* counted and passed by */
            atomic_fetch_add(&day->store->quarantined, 1);
            count = 0;
            error = 0;
        }
        for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
            if (day->is_due[t])
                error = add_series(making, t, labels, times, values, count);
    }
    return error;
}

/* -- files ------------------------------------------------------------------------------- */

static int open_writers(struct making *making)
{
    struct rollup_day *day = making->day;
    struct store *store = day->store;
    struct diagnosis why = {""};
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        uint64_t through = day->generation;
        if (!day->is_due[t])
            continue;
        error = span_writer_open(
            span_set_directory(store->spans), rollup_tiers[t].kind, day->start_ms, day->end_ms,
            span_set_next_generation(store->spans), &making->writers[t], &why);
        if (error != 0)
            break;
        if (day->made[t] != NULL && span_info_of(day->made[t])->manifest.through > through)
            through = span_info_of(day->made[t])->manifest.through;
        span_writer_set_through(making->writers[t], through);
    }
    return error;
}

/* Is what a roll-up says to be kept?  While there are samples only if it is the only word on its
 * time. */
static bool is_base(const struct making *making, size_t tier)
{
    const struct rollup_day *day = making->day;
    return day->is_due[tier] && day->made[tier] != NULL &&
           (day->count == 0 || making->is_count || span_is_sole(day->made[tier]));
}

static int open_walk(struct making *making)
{
    const struct rollup_day *day = making->day;
    size_t count = day->count;
    struct span **spans = malloc((count + ROLLUP_TIERS) * sizeof(struct span *));
    if (spans == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        spans[i] = day->samples[i];
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        if (is_base(making, t)) {
            making->base_input[t] = count;
            spans[count++] = day->made[t];
        }
    int error = series_walk_open(&making->walk, spans, count, true);
    free(spans);
    /* A base that cannot be read stays what it is, and late samples beside it. */
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        if (making->base_input[t] != NONE && making->walk.inputs[making->base_input[t]].reader == NULL)
            error = ERR_CORRUPT;
    return error;
}

static int finish_writers(struct making *making)
{
    struct diagnosis why = {""};
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        struct span_writer *writer = making->writers[t];
        if (writer == NULL || span_writer_count(writer) == 0) {
            making->is_empty[t] = writer != NULL && making->base_input[t] != NONE;
            continue; /* nothing of it is left, or can be read: abandoned */
        }
        making->writers[t] = NULL; /* freed, whether it succeeds or not */
        error = span_writer_finish(writer, &making->infos[t], &why);
        making->is_written[t] = error == 0;
    }
    return error;
}

static int write_files(struct making *making)
{
    struct store *store = making->day->store;
    int error = open_walk(making);
    if (error == 0)
        error = open_writers(making);
    if (error == 0) /* after the generations were taken */
        error = deletes_view_landed(&store->deletes, making->day->start_ms,
                                    making->day->end_ms - 1, &making->deletes);
    if (error == 0)
        error = write_series(making);
    store_step(store, "rollup.written");
    if (error == 0)
        error = finish_writers(making);
    store_step(store, "rollup.finished");
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        span_writer_abandon(making->writers[t]);
    series_walk_close(&making->walk); /* before what it reads can go */
    return error;
}

static void making_done(struct making *making)
{
    deletes_view_done(&making->deletes);
    arena_reset(&making->arena);
    pieces_scratch_done(&making->scratch);
    records_done(&making->base);
    records_done(&making->late);
    records_done(&making->whole);
}

/* -- registration ------------------------------------------------------------------------ */

static int replace_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct making *making = context;
    const struct rollup_day *day = making->day;
    struct live *live = &day->store->live;
    int code = MDB_SUCCESS;
    (void)commit;
    for (size_t t = 0; t < ROLLUP_TIERS && code == MDB_SUCCESS; t++) {
        if (!making->is_written[t] && !making->is_empty[t])
            continue;
        if (making->is_written[t])
            code = span_row_put(live, txn, &making->infos[t]);
        if (code == MDB_SUCCESS && day->made[t] != NULL)
            code = span_row_delete(live, txn, span_info_of(day->made[t]));
    }
    return code;
}

/* What was registered takes the place of what was there. */
static int replace(struct making *making, size_t tier)
{
    struct rollup_day *day = making->day;
    struct span_set *set = day->store->spans;
    struct span *old = day->made[tier];
    int error = span_set_change(set, making->is_written[tier] ? &making->infos[tier] : NULL,
                                &old, old != NULL);
    if (error != 0)
        return error;
    if (old != NULL)
        span_set_release_one(set, old);
    day->made[tier] = NULL;
    if (making->is_empty[tier])
        return 0;
    day->made[tier] = span_set_acquire_one(set, &making->infos[tier]);
    atomic_fetch_add(&day->store->rollups, 1);
    return 0;
}

static int register_files(struct making *making)
{
    struct rollup_day *day = making->day;
    struct store *store = day->store;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        making->infos[t].is_sole = day->made[t] != NULL && span_is_sole(day->made[t]);
    struct writer_task task = {replace_rows, NULL, making, NULL, 0, false};
    int error = writer_run(store->writer, &task);
    store_step(store, "rollup.registered");
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        if (!making->is_written[t] && !making->is_empty[t])
            continue;
        if (error != 0 && making->is_empty[t])
            continue;
        if (error != 0)
            span_set_discard(store->spans, &making->infos[t]);
        else
            error = replace(making, t);
    }
    store_step(store, "rollup.replaced");
    return error;
}

int rollup_make(struct rollup_day *day)
{
    struct making making = {.day = day,
                            .now_ms = clock_unix_ms(day->store->clock),
                            .base_input = {NONE, NONE}};
    bool is_any = false;
    pieces_scratch_init(&making.scratch);
    arena_init(&making.arena, HOLES_ARENA);
    int error = write_files(&making);
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        is_any = is_any || making.is_written[t] || making.is_empty[t];
        if (error != 0 && making.is_written[t])
            span_set_discard(day->store->spans, &making.infos[t]);
    }
    if (error == 0 && is_any)
        error = register_files(&making);
    making_done(&making);
    return error;
}

int rollup_count_missing(struct rollup_day *day, uint64_t *ret_missing)
{
    struct rollup_day finest = *day; /* as it is read */
    struct making making = {.day = &finest,
                            .now_ms = clock_unix_ms(day->store->clock),
                            .base_input = {NONE, NONE},
                            .is_count = true};
    bool is_any = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        finest.is_due[t] = !is_any && day->made[t] != NULL;
        is_any = is_any || finest.is_due[t];
    }
    pieces_scratch_init(&making.scratch);
    arena_init(&making.arena, HOLES_ARENA);
    int error = open_walk(&making);
    if (error == 0)
        error = deletes_view_landed(&day->store->deletes, day->start_ms, day->end_ms - 1,
                                    &making.deletes);
    if (error == 0)
        error = write_series(&making);
    series_walk_close(&making.walk);
    *ret_missing = making.missing;
    making_done(&making);
    return error;
}

int rollup_rewrite(struct store *store, struct span *span)
{
    const struct span_info *info = span_info_of(span);
    struct rollup_day day = {.store = store,
                             .start_ms = info->manifest.start_ms,
                             .end_ms = info->manifest.end_ms};
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        if (info->manifest.kind != (uint8_t)rollup_tiers[t].kind)
            continue;
        day.made[t] = span_set_acquire_one(store->spans, info);
        day.is_due[t] = day.made[t] != NULL;
        if (day.made[t] != NULL)
            error = rollup_make(&day);
        if (day.made[t] != NULL)
            span_set_release_one(store->spans, day.made[t]);
    }
    return error;
}

/* -- the end of the samples -------------------------------------------------------------- */

static int retire_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct rollup_day *day = context;
    struct live *live = &day->store->live;
    int code = MDB_SUCCESS;
    (void)commit;
    for (size_t t = 0; t < ROLLUP_TIERS && code == MDB_SUCCESS; t++) {
        if (day->made[t] == NULL)
            continue;
        struct span_info info = *span_info_of(day->made[t]);
        info.is_sole = true;
        code = span_row_put(live, txn, &info);
    }
    for (size_t i = 0; i < day->count && code == MDB_SUCCESS; i++)
        code = span_row_delete(live, txn, span_info_of(day->samples[i]));
    return code;
}

int rollup_retire(struct rollup_day *day)
{
    struct store *store = day->store;
    struct span *soles[ROLLUP_TIERS];
    size_t count = 0;
    struct writer_task task = {retire_rows, NULL, day, NULL, 0, false};
    int error = writer_run(store->writer, &task);
    store_step(store, "rollup.unregistered");
    if (error != 0)
        return error;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        if (day->made[t] != NULL)
            soles[count++] = day->made[t];
    span_set_retire(store->spans, soles, count, day->samples, day->count);
    store_step(store, "rollup.retired");
    return 0;
}
