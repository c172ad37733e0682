/*
 * dedup.c - see dedup.h.
 */
#include "collector/notify/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

void fingerprints_sort(struct fingerprints *set)
{
    size_t kept = 0;
    if (set->count < 2)
        return;
    qsort(set->items, set->count, sizeof set->items[0], compare);
    for (size_t i = 1; i < set->count; i++)
        if (set->items[i] != set->items[kept])
            set->items[++kept] = set->items[i];
    set->count = kept + 1;
}

bool fingerprints_contain(const struct fingerprints *set, uint64_t fingerprint)
{
    return set->count > 0 &&
           bsearch(&fingerprint, set->items, set->count, sizeof set->items[0], compare) != NULL;
}

static bool is_subset(const struct fingerprints *small, const struct fingerprints *large)
{
    for (size_t i = 0; i < small->count; i++)
        if (!fingerprints_contain(large, small->items[i]))
            return false;
    return true;
}

/* Was it told as firing, seen from now?  What is silenced now is not; what was silenced counts
 * again once it has ended (its end is owed) or is acknowledged (its return is no news). */
static bool counts_as_told(const struct dedup_record *record, const struct dedup_sight *sight,
                           uint64_t fingerprint)
{
    if (fingerprints_contain(&record->firing, fingerprint))
        return !fingerprints_contain(&sight->muted, fingerprint);
    return fingerprints_contain(&record->muted, fingerprint) &&
           (fingerprints_contain(&sight->ended, fingerprint) ||
            fingerprints_contain(&sight->acknowledged, fingerprint));
}

static bool anything_counts_as_told(const struct dedup_record *record,
                                    const struct dedup_sight *sight)
{
    for (size_t i = 0; i < record->firing.count; i++)
        if (counts_as_told(record, sight, record->firing.items[i]))
            return true;
    for (size_t i = 0; i < record->muted.count; i++)
        if (counts_as_told(record, sight, record->muted.items[i]))
            return true;
    return false;
}

enum dedup_verdict dedup_decide(const struct dedup_record *record,
                                const struct dedup_sight *sight, bool send_resolved,
                                int64_t repeat_interval_ms, int64_t now_ms)
{
    if (!record->said)
        return sight->firing.count > 0 ? DEDUP_NEWS : DEDUP_SILENT;
    for (size_t i = 0; i < sight->firing.count; i++)
        if (!counts_as_told(record, sight, sight->firing.items[i]))
            return DEDUP_NEWS;
    for (size_t i = 0; i < sight->flapping.count; i++)
        if (!fingerprints_contain(&record->flapping, sight->flapping.items[i]) &&
            !fingerprints_contain(&sight->acknowledged, sight->flapping.items[i]))
            return DEDUP_NEWS;
    if (sight->firing.count == 0)
        return anything_counts_as_told(record, sight) ? DEDUP_NEWS : DEDUP_SILENT;
    if (send_resolved && !is_subset(&sight->ended, &record->resolved))
        return DEDUP_NEWS;
    if (is_subset(&sight->firing, &sight->acknowledged))
        return DEDUP_SILENT;
    return record->said_ms < now_ms - repeat_interval_ms ? DEDUP_REPEAT : DEDUP_SILENT;
}

bool dedup_begins(const struct dedup_record *record)
{
    return !record->said || record->thread[0] == '\0' ||
           (record->firing.count == 0 && record->muted.count == 0);
}

bool dedup_owes_end(const struct dedup_record *record, uint64_t fingerprint)
{
    return record->said && (fingerprints_contain(&record->firing, fingerprint) ||
                            fingerprints_contain(&record->muted, fingerprint));
}

int fingerprints_copy(const struct fingerprints *set, struct fingerprints *ret_copy)
{
    uint64_t *items = calloc(set->count + 1, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    if (set->count > 0)
        memcpy(items, set->items, set->count * sizeof *items);
    *ret_copy = (struct fingerprints){items, set->count};
    return 0;
}

/* Those of `from` that are silenced now. */
static void add_muted(const struct fingerprints *from, const struct dedup_sight *sight,
                      struct fingerprints *muted)
{
    for (size_t i = 0; i < from->count; i++)
        if (fingerprints_contain(&sight->muted, from->items[i]))
            muted->items[muted->count++] = from->items[i];
}

/* Without a message: those of `from` that are told and not silenced. */
static void add_told(const struct fingerprints *from, const struct dedup_record *record,
                     const struct dedup_sight *sight, struct fingerprints *told)
{
    for (size_t i = 0; i < from->count; i++)
        if (counts_as_told(record, sight, from->items[i]))
            told->items[told->count++] = from->items[i];
}

static bool is_same(const struct fingerprints *a, const struct fingerprints *b)
{
    return a->count == b->count && is_subset(a, b);
}

int dedup_next(const struct dedup_record *record, const struct dedup_sight *sight,
               enum dedup_verdict verdict, int64_t now_ms, struct dedup_record *ret_record,
               bool *ret_changed)
{
    const size_t most = record->firing.count + record->muted.count + 1;
    struct dedup_record next = {.said = true};
    int error = 0;

    memcpy(next.thread, record->thread, sizeof next.thread);
    next.muted.items = calloc(most, sizeof(uint64_t));
    if (verdict == DEDUP_SILENT) {
        next.said = record->said;
        next.said_ms = record->said_ms;
        next.firing.items = calloc(most, sizeof(uint64_t));
        error = fingerprints_copy(&record->resolved, &next.resolved);
        if (error == 0)
            error = fingerprints_copy(&record->flapping, &next.flapping);
    } else {
        next.said_ms = now_ms;
        error = fingerprints_copy(&sight->firing, &next.firing);
        if (error == 0)
            error = fingerprints_copy(&sight->ended, &next.resolved);
        if (error == 0)
            error = fingerprints_copy(&sight->flapping, &next.flapping);
    }
    if (error != 0 || next.muted.items == NULL || next.firing.items == NULL) {
        dedup_record_done(&next);
        return ERR_NOMEM;
    }
    add_muted(&record->firing, sight, &next.muted);
    add_muted(&record->muted, sight, &next.muted);
    fingerprints_sort(&next.muted);
    if (verdict == DEDUP_SILENT) {
        add_told(&record->firing, record, sight, &next.firing);
        add_told(&record->muted, record, sight, &next.firing);
        fingerprints_sort(&next.firing);
        if (is_same(&next.firing, &record->firing) && is_same(&next.muted, &record->muted)) {
            dedup_record_done(&next);
            *ret_changed = false;
            return 0;
        }
    }
    *ret_record = next;
    *ret_changed = true;
    return 0;
}

int dedup_take_back(struct dedup_record *record, const struct fingerprints *silenced)
{
    struct fingerprints *muted = &record->muted;
    struct dedup_sight sight = {0};
    struct dedup_record next;
    bool changed = false;
    int error;

    sight.muted.items = calloc(muted->count + silenced->count + 1, sizeof(uint64_t));
    if (sight.muted.items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < muted->count; i++)
        sight.muted.items[sight.muted.count++] = muted->items[i];
    for (size_t i = 0; i < silenced->count; i++)
        sight.muted.items[sight.muted.count++] = silenced->items[i];
    fingerprints_sort(&sight.muted);
    error = dedup_next(record, &sight, DEDUP_SILENT, 0, &next, &changed);
    if (error == 0 && changed) {
        dedup_record_done(record);
        *record = next;
    }
    free(sight.muted.items);
    return error;
}

void dedup_record_done(struct dedup_record *record)
{
    free(record->firing.items);
    free(record->resolved.items);
    free(record->muted.items);
    free(record->flapping.items);
    *record = (struct dedup_record){0};
}
