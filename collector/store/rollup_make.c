/*
 * rollup_make.c - one walk over the samples and roll-ups of a day, all tiers at once.
 *
 * Damaged samples are passed by: they will not heal, and what is not rolled up is lost when
 * they expire.  But where samples of others stay, nothing damaged is rewritten.
 */
#include "collector/store/rollup_make.h"

#include <stdlib.h>

#include "collector/store/rollup_parts.h"
#include "collector/store/span_write.h"
#include "proto/base/error.h"

const struct rollup_tier rollup_tiers[ROLLUP_TIERS] = {
    {SPAN_ROLLUP_5M, INT64_C(300000)},
    {SPAN_ROLLUP_1H, INT64_C(3600000)},
};

#define HOLES_ARENA ((size_t)1 << 20)

/* What a roll-up says of later samples counts before what one says of earlier ones, however
 * often that was rewritten. */
bool rollup_is_before(const struct span_info *a, const struct span_info *b)
{
    return a->manifest.through != b->manifest.through
               ? a->manifest.through > b->manifest.through
               : a->manifest.generation > b->manifest.generation;
}

bool rollup_is_fresh(const struct rollup_day *day, size_t tier)
{
    return day->made[tier] != NULL &&
           span_info_of(day->made[tier])->manifest.through >= day->generation;
}

/* -- series ------------------------------------------------------------------------------ */

static void clear(struct records *records)
{
    records->count = 0;
}

/* The records that are kept, but for those of which some is deleted. */
static int read_base(struct making *making, size_t tier)
{
    struct records *all = &making->whole;
    uint64_t rank = RANK_HISTORY(making->walk.inputs[making->base_input[tier]].generation);
    int error = records_read(all, making->bases[tier]);
    for (size_t i = 0; i < all->count && error == 0; i++)
        if (!holes_touch(&making->holes, rank, all->firsts_ms[i], all->lasts_ms[i]))
            error = records_add(&making->base, all, i);
    clear(all);
    if (error == ERR_CORRUPT && making->kind != MAKING_PART) {
        span_reader_complain(making->walk.inputs[making->base_input[tier]].reader, "a roll-up");
        error = 0;
    }
    return error;
}

static int find_bases(struct making *making)
{
    int error = 0;
    making->has_base = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        making->bases[t] = (struct bytes){NULL, 0};
        for (size_t i = 0;
             i < making->base_input_count[t] && making->bases[t].data == NULL && error == 0;
             i++) {
            making->base_input[t] = making->base_inputs[t][i];
            error = series_walk_entry(&making->walk, making->base_input[t], &making->bases[t]);
        }
        making->has_base = making->has_base || making->bases[t].data != NULL;
    }
    return error;
}

/* Do samples of the series at hand become records of a tier?  Where one tier has something of a
 * series, the samples that it was made of are gone: another, made of what came late only, would
 * hide it. */
static bool is_made(const struct making *making, size_t tier)
{
    return making->goes && (making->has_base ? making->bases[tier].data != NULL
                                             : ages_make(&making->day->store->deletes.ages,
                                                         &making->ages, tier));
}

static int fill(struct making *making, size_t tier, const struct records **ret_records)
{
    uint64_t left_out = 0;
    int error = 0;
    *ret_records = &making->late;
    if (making->base.count > 0) {
        error = records_fill(&making->whole, rollup_tiers[tier].width_ms, &making->base,
                             &making->late, &left_out);
        *ret_records = &making->whole;
    }
    if (!making->is_counted) /* once, not for every tier */
        atomic_fetch_add(&making->day->store->rollup_left_out, left_out);
    making->is_counted = true;
    return error;
}

/* The series at hand in one tier. */
static int add_series(struct making *making, size_t tier, const struct labels *labels,
                      const int64_t *times_ms, const double *values, size_t count,
                      bool *ret_written)
{
    const struct rollup_day *day = making->day;
    const int64_t width_ms = rollup_tiers[tier].width_ms;
    const struct records *records;
    int error = 0;
    clear(&making->base);
    clear(&making->late);
    clear(&making->whole);
    if (day->store->deletes.ages.rule_count > 0 &&
        age_is_over(making->ages.of[AGE_OF_TIER + tier], day->end_ms, making->now_ms))
        return 0;
    if (is_made(making, tier))
        error = records_roll(&making->late, width_ms, times_ms, values, count);
    if (error == 0 && making->bases[tier].data != NULL)
        error = read_base(making, tier);
    if (error == 0 && making->kind == MAKING_COUNT)
        making->missing += records_missing(width_ms, &making->base, &making->late);
    if (error != 0 || making->kind == MAKING_COUNT)
        return error;
    error = fill(making, tier, &records);
    *ret_written = error == 0 && records->count > 0;
    return *ret_written ? span_writer_add_records(making->writers[tier], labels, records)
                        : error;
}

/* The series at hand in all tiers; what stays of its samples. */
static int add_to_files(struct making *making, const struct labels *labels,
                        const int64_t *times_ms, const double *values, size_t count)
{
    const struct rollup_day *day = making->day;
    bool written[ROLLUP_TIERS] = {false};
    ages_of(&day->store->deletes.ages, labels, &making->ages);
    making->goes =
        making->kind != MAKING_PART ||
        age_is_over(making->ages.of[AGE_OF_SAMPLES], day->newest_ms + 1, making->now_ms);
    making->is_counted = false;
    int error = find_bases(making);
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        if (day->is_due[t])
            error = add_series(making, t, labels, times_ms, values, count, &written[t]);
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        const bool is_in_next = t + 1 < ROLLUP_TIERS && written[t + 1];
        if (!written[t] && (is_in_next || making->kind == MAKING_REWRITE))
            making->lacks[t] = true;
    }
    if (error == 0 && !making->goes && count > 0)
        error = span_writer_add_series(making->samples_writer, labels, times_ms, values, count);
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
        if (error == ERR_CORRUPT && making->kind != MAKING_PART) { /* counted and passed by */
            atomic_fetch_add(&day->store->quarantined, 1);
            count = 0;
            error = 0;
        }
        if (error == 0)
            error = add_to_files(making, labels, times, values, count);
    }
    return error;
}

/* -- files ------------------------------------------------------------------------------- */

/* Of which samples a roll-up speaks. */
static uint64_t through_of(const struct making *making, size_t tier)
{
    const struct rollup_day *day = making->day;
    uint64_t through = making->kind == MAKING_PART ? making->samples_info.manifest.generation
                                                   : day->generation;
    for (size_t i = 0; i < day->sole_count[tier]; i++)
        if (span_info_of(day->soles[tier][i])->manifest.through > through)
            through = span_info_of(day->soles[tier][i])->manifest.through;
    return through;
}

static int open_writers(struct making *making)
{
    struct rollup_day *day = making->day;
    struct span_set *set = day->store->spans;
    struct diagnosis why = {""};
    int error = 0;
    if (making->kind == MAKING_PART) {
        /* Above the copies there are: those know as little of what the soles have by now. */
        const uint64_t generation = span_set_next_generation(set);
        making->samples_info.manifest.generation = generation;
        error = span_writer_open(span_set_directory(set), SPAN_SAMPLES, day->start_ms,
                                 day->end_ms, generation, &making->samples_writer, &why);
    }
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        if (!day->is_due[t])
            continue;
        error = span_writer_open(span_set_directory(set), rollup_tiers[t].kind, day->start_ms,
                                 day->end_ms, span_set_next_generation(set),
                                 &making->writers[t], &why);
        if (error == 0)
            span_writer_set_through(making->writers[t], through_of(making, t));
    }
    return error;
}

static void add_base(struct making *making, size_t tier, struct span *span, struct span **spans,
                     size_t *count)
{
    making->base_inputs[tier][making->base_input_count[tier]++] = *count;
    spans[(*count)++] = span;
}

static int open_walk(struct making *making)
{
    const struct rollup_day *day = making->day;
    size_t count = day->count;
    struct span **spans =
        malloc((count + (size_t)ROLLUP_TIERS * (ROLLUP_SOLES + 1)) * sizeof(struct span *));
    if (spans == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        spans[i] = day->samples[i];
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        for (size_t i = 0; i < day->sole_count[t]; i++)
            add_base(making, t, day->soles[t][i], spans, &count);
        if (making->kind == MAKING_COUNT && day->made[t] != NULL)
            add_base(making, t, day->made[t], spans, &count);
    }
    int error = series_walk_open(&making->walk, spans, count, making->kind != MAKING_PART);
    free(spans);
    /* A base that cannot be read stays what it is, and late samples beside it. */
    for (size_t i = day->count; i < making->walk.count && error == 0; i++)
        if (making->walk.inputs[i].reader == NULL)
            error = ERR_CORRUPT;
    return error;
}

static int finish_writers(struct making *making)
{
    struct diagnosis why = {""};
    struct span_writer *samples = making->samples_writer;
    int error = 0;
    if (samples != NULL && span_writer_count(samples) > 0) {
        making->samples_writer = NULL; /* freed, whether it succeeds or not */
        error = span_writer_finish(samples, &making->samples_info, &why);
        making->are_samples_written = error == 0;
    }
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        struct span_writer *writer = making->writers[t];
        if (writer == NULL || span_writer_count(writer) == 0) {
            making->is_empty[t] = writer != NULL;
            continue; /* nothing of it is left, or can be read: abandoned */
        }
        making->writers[t] = NULL; /* as above */
        error = span_writer_finish(writer, &making->infos[t], &why);
        making->is_written[t] = error == 0;
        making->infos[t].is_partial = making->lacks[t];
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
    span_writer_abandon(making->samples_writer);
    series_walk_close(&making->walk); /* before what it reads can go */
    return error;
}

static void making_init(struct making *making, struct rollup_day *day, enum making_kind kind)
{
    *making =
        (struct making){.day = day, .kind = kind, .now_ms = clock_unix_ms(day->store->clock)};
    pieces_scratch_init(&making->scratch);
    arena_init(&making->arena, HOLES_ARENA);
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

/* -- the ways to make them --------------------------------------------------------------- */

static int make(struct rollup_day *day, enum making_kind kind)
{
    struct making making;
    bool is_any = kind != MAKING_COPY; /* of a copy nothing goes where nothing is written */
    making_init(&making, day, kind);
    int error = write_files(&making);
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        is_any = is_any || making.is_written[t];
    if (error != 0)
        making_discard(&making);
    else if (is_any)
        error = making_register(&making);
    making_done(&making);
    return error;
}

int rollup_make(struct rollup_day *day)
{
    return make(day, MAKING_COPY);
}

int rollup_make_part(struct rollup_day *day)
{
    return make(day, MAKING_PART);
}

int rollup_count_missing(struct rollup_day *day, uint64_t *ret_missing)
{
    struct rollup_day finest = *day; /* as it is read */
    struct making making;
    bool is_any = false;
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        finest.is_due[t] = !is_any && (day->made[t] != NULL || day->sole_count[t] > 0);
        is_any = is_any || finest.is_due[t];
    }
    making_init(&making, &finest, MAKING_COUNT);
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
    struct rollup_day day = {
        .store = store, .start_ms = info->manifest.start_ms, .end_ms = info->manifest.end_ms};
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        struct span *own = NULL;
        if (info->manifest.kind == (uint8_t)rollup_tiers[t].kind)
            own = span_set_acquire_one(store->spans, info);
        if (own == NULL) /* another tier's, or gone meanwhile */
            continue;
        day.soles[t][0] = own;
        day.sole_count[t] = 1;
        day.is_due[t] = true;
        error = make(&day, MAKING_REWRITE);
        span_set_release_one(store->spans, own);
    }
    return error;
}
