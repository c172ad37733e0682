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
    return set->count > 0 && bsearch(&fingerprint, set->items, set->count,
                                     sizeof set->items[0], compare) != NULL;
}

static bool is_subset(const struct fingerprints *small, const struct fingerprints *large)
{
    for (size_t i = 0; i < small->count; i++)
        if (!fingerprints_contain(large, small->items[i]))
            return false;
    return true;
}

enum dedup_verdict dedup_decide(const struct dedup_record *record,
                                const struct fingerprints *firing,
                                const struct fingerprints *resolved, bool send_resolved,
                                int64_t repeat_interval_ms, int64_t now_ms)
{
    if (!record->said)
        return firing->count > 0 ? DEDUP_NEWS : DEDUP_SILENT;
    if (!is_subset(firing, &record->firing))
        return DEDUP_NEWS;
    if (firing->count == 0)
        return record->firing.count > 0 ? DEDUP_NEWS : DEDUP_SILENT;
    if (send_resolved && !is_subset(resolved, &record->resolved))
        return DEDUP_NEWS;
    return record->said_ms < now_ms - repeat_interval_ms ? DEDUP_REPEAT : DEDUP_SILENT;
}

static int copy_set(const struct fingerprints *from, struct fingerprints *ret_copy)
{
    uint64_t *items = calloc(from->count + 1, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    if (from->count > 0)
        memcpy(items, from->items, from->count * sizeof *items);
    *ret_copy = (struct fingerprints){items, from->count};
    return 0;
}

int dedup_record_set(struct dedup_record *record, const struct fingerprints *firing,
                     const struct fingerprints *resolved, int64_t now_ms)
{
    struct dedup_record fresh = {.said = true, .said_ms = now_ms};
    int error = copy_set(firing, &fresh.firing);
    if (error == 0)
        error = copy_set(resolved, &fresh.resolved);
    if (error != 0) {
        dedup_record_done(&fresh);
        return error;
    }
    dedup_record_done(record);
    *record = fresh;
    return 0;
}

void dedup_record_done(struct dedup_record *record)
{
    free(record->firing.items);
    free(record->resolved.items);
    *record = (struct dedup_record){0};
}
