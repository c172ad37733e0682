/*
 * rollup_commit.c - roll-ups of a day, and what stays of its samples, take the place of what
 * there was.
 *
 * Each change is one commit; in memory it follows in an order in which a reader, who looks at
 * samples first and at roll-ups afterwards, sees what is old, what is new, or both.
 */
#include "collector/store/rollup_parts.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"

/* -- what was made ----------------------------------------------------------------------- */

/* The roll-ups that a new one of a tier takes the place of. */
static size_t replaced(struct making *making, size_t tier, struct span ***ret_spans)
{
    struct rollup_day *day = making->day;
    *ret_spans = making->kind == MAKING_COPY ? &day->made[tier] : day->soles[tier];
    return making->kind == MAKING_COPY ? day->made[tier] != NULL : day->sole_count[tier];
}

/* Of a copy of which nothing is left to keep the one before stays: it holds nothing either. */
static bool changes(const struct making *making, size_t tier)
{
    return making->is_written[tier] || (making->is_empty[tier] && making->kind != MAKING_COPY);
}

static int replace_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct making *making = context;
    const struct rollup_day *day = making->day;
    struct live *live = &day->store->live;
    int code = MDB_SUCCESS;
    (void)commit;
    for (size_t t = 0; t < ROLLUP_TIERS && code == MDB_SUCCESS; t++) {
        struct span **old;
        const size_t count = replaced(making, t, &old);
        if (!changes(making, t))
            continue;
        if (making->is_written[t])
            code = span_row_put(live, txn, &making->infos[t]);
        for (size_t i = 0; i < count && code == MDB_SUCCESS; i++)
            code = span_row_delete(live, txn, span_info_of(old[i]));
    }
    if (making->are_samples_written && code == MDB_SUCCESS)
        code = span_row_put(live, txn, &making->samples_info);
    for (size_t i = 0; i < day->count && making->kind == MAKING_PART && code == MDB_SUCCESS;
         i++)
        code = span_row_delete(live, txn, span_info_of(day->samples[i]));
    return code;
}

/* What was registered takes the place of what was there. */
static int replace(struct making *making, size_t tier)
{
    struct rollup_day *day = making->day;
    struct span_set *set = day->store->spans;
    struct span **old;
    const size_t count = replaced(making, tier, &old);
    int error = span_set_change(set, making->is_written[tier] ? &making->infos[tier] : NULL,
                                old, count);
    if (error == 0 && making->is_written[tier])
        atomic_fetch_add(&day->store->rollups, 1);
    if (error != 0 || making->kind != MAKING_COPY)
        return error;
    if (count > 0)
        span_set_release_one(set, day->made[tier]);
    day->made[tier] = span_set_acquire_one(set, &making->infos[tier]);
    return 0;
}

void making_discard(struct making *making)
{
    struct span_set *set = making->day->store->spans;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        if (making->is_written[t])
            span_set_discard(set, &making->infos[t]);
    if (making->are_samples_written)
        span_set_discard(set, &making->samples_info);
}

int making_register(struct making *making)
{
    struct rollup_day *day = making->day;
    struct store *store = day->store;
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        const bool rewrites = making->kind == MAKING_REWRITE && day->sole_count[t] > 0;
        making->infos[t].is_sole =
            making->kind == MAKING_PART || (rewrites && span_is_sole(day->soles[t][0]));
        if (rewrites && span_info_of(day->soles[t][0])->is_partial)
            making->infos[t].is_partial = true;
    }
    struct writer_task task = {replace_rows, NULL, making, NULL, 0, false};
    int error = writer_run(store->writer, &task);
    store_step(store, "rollup.registered");
    if (error != 0) {
        making_discard(making);
        return error;
    }
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        if (changes(making, t))
            error = replace(making, t);
    store_step(store, "rollup.replaced");
    if (error == 0 && making->kind == MAKING_PART) {
        error = span_set_change(store->spans,
                                making->are_samples_written ? &making->samples_info : NULL,
                                day->samples, day->count);
        store_step(store, "rollup.parted");
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
        for (size_t i = 0;
             i < day->sole_count[t] && rollup_is_fresh(day, t) && code == MDB_SUCCESS; i++)
            code = span_row_delete(live, txn, span_info_of(day->soles[t][i]));
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
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        if (rollup_is_fresh(day, t))
            error = span_set_change(store->spans, NULL, day->soles[t], day->sole_count[t]);
    store_step(store, "rollup.retired");
    return error;
}
