/*
 * ages_apply.c - what is over by an age of its own leaves the files, where no roll-up takes it
 * out.
 */
#include <stdlib.h>

#include "collector/store/ages.h"
#include "collector/store/merge.h"
#include "collector/store/parts.h"
#include "collector/store/rollup.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

#define META_AGES "ages" /* their hash */

/* -- other rules than before ------------------------------------------------------------- */

static int drop_copies(struct store *store, MDB_txn *txn, struct span **spans, size_t *count)
{
    size_t kept = 0;
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < *count; i++)
        if (!span_is_sole(spans[i]))
            spans[kept++] = spans[i];
    for (size_t i = 0; i < kept && code == MDB_SUCCESS; i++)
        code = span_row_delete(&store->live, txn, span_info_of(spans[i]));
    *count = kept;
    return code;
}

static int note_in_commit(struct store *store, struct span **spans[ROLLUP_TIERS],
                          size_t counts[ROLLUP_TIERS])
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->live.env, NULL, 0, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    for (size_t t = 0; t < ROLLUP_TIERS && code == MDB_SUCCESS; t++)
        code = drop_copies(store, txn, spans[t], &counts[t]);
    if (code == MDB_SUCCESS)
        code = live_meta_put(&store->live, txn, META_AGES, store->deletes.ages.hash);
    if (code != MDB_SUCCESS)
        mdb_txn_abort(txn);
    else
        code = mdb_txn_commit(txn);
    return error_from_lmdb(code);
}

int ages_note(struct store *store)
{
    struct span **all[ROLLUP_TIERS] = {NULL};    /* as they are to be released */
    struct span **copies[ROLLUP_TIERS] = {NULL}; /* those that go */
    size_t counts[ROLLUP_TIERS] = {0};
    size_t copy_counts[ROLLUP_TIERS] = {0};
    uint64_t before = 0;
    int error = live_meta_get(&store->live, META_AGES, &before);
    if (error != 0 || before == store->deletes.ages.hash)
        return error;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        error = span_set_acquire_kind(store->spans, rollup_tiers[t].kind, INT64_MIN, INT64_MAX,
                                      &all[t], &counts[t]);
        if (error == 0)
            copies[t] = calloc(counts[t] + 1, sizeof(struct span *));
        if (error == 0 && copies[t] == NULL)
            error = ERR_NOMEM;
        for (size_t i = 0; i < counts[t] && error == 0; i++)
            copies[t][i] = all[t][i];
        copy_counts[t] = counts[t];
    }
    if (error == 0)
        error = note_in_commit(store, copies, copy_counts);
    for (size_t t = 0; t < ROLLUP_TIERS; t++) {
        if (error == 0)
            error = span_set_change(store->spans, NULL, copies[t], copy_counts[t]);
        if (all[t] != NULL)
            span_set_release(store->spans, all[t], counts[t]);
        free(copies[t]);
    }
    return error;
}

/* -- files ------------------------------------------------------------------------------- */

/* Where something is rolled up, samples leave the files of a day with it (rollup.c). */
static int apply_to_samples(struct store *store)
{
    struct span **spans;
    size_t count;
    const int64_t now_ms = clock_unix_ms(store->clock);
    int error = span_set_acquire(store->spans, INT64_MIN, INT64_MAX, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        uint64_t present = 0;
        const uint64_t over = ages_over(&store->deletes.ages, AGE_OF_SAMPLES,
                                        span_info_of(spans[i])->manifest.max_ms + 1, now_ms);
        if (over == 0)
            continue; /* not all of it: later */
        error = ages_in_file(store, spans[i], &present);
        if (error == 0 && (present & over) != 0 && (present & ~over) != 0)
            error = merge_rewrite(store, span_info_of(spans[i]));
        if (error == ERR_CORRUPT || error == ERR_AGAIN || error == ERR_LIMIT)
            error = 0; /* named where it was met; readers leave it out */
    }
    span_set_release(store->spans, spans, count);
    return error;
}

/* The roll-ups of one tier that are all there is of their time; others are made anew anyway. */
static int apply_to_tier(struct store *store, size_t tier)
{
    struct span **spans;
    size_t count;
    const int64_t now_ms = clock_unix_ms(store->clock);
    int error = span_set_acquire_kind(store->spans, rollup_tiers[tier].kind, INT64_MIN,
                                      INT64_MAX, &spans, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0; i++) {
        uint64_t present = 0;
        const uint64_t over = ages_over(&store->deletes.ages, AGE_OF_TIER + (int)tier,
                                        span_info_of(spans[i])->manifest.end_ms, now_ms);
        if (over == 0 || !span_is_sole(spans[i]))
            continue;
        error = ages_in_file(store, spans[i], &present);
        if (error == 0 && (present & over) != 0)
            error = rollup_rewrite(store, spans[i]);
        if (error == ERR_CORRUPT || error == ERR_LIMIT)
            error = 0; /* named where it was met; readers leave it out */
    }
    span_set_release(store->spans, spans, count);
    return error;
}

int ages_apply(struct store *store)
{
    int error = 0;
    if (store->deletes.ages.rule_count == 0)
        return 0;
    if (!rollup_is_on(store))
        error = apply_to_samples(store);
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++)
        error = apply_to_tier(store, t);
    return error;
}
