/*
 * delete_show.c - what a delete would cover, and which are not carried out everywhere yet.
 *
 * Nothing is decoded: a chunk that the interval cuts counts for as much of its samples as of its
 * time, and a sample that was written twice may count twice.
 */
#include "collector/store/deletes.h"
#include "collector/store/gather.h"
#include "collector/store/parts.h"
#include "proto/base/error.h"

#define LABELS_ARENA ((size_t)1 << 30)

static double share(const struct piece *piece, int64_t from_ms, int64_t until_ms)
{
    int64_t first_ms = piece->first_ms > from_ms ? piece->first_ms : from_ms;
    int64_t last_ms = piece->last_ms < until_ms ? piece->last_ms : until_ms;
    if (piece->last_ms == piece->first_ms)
        return 1;
    return (double)(last_ms - first_ms) / (double)(piece->last_ms - piece->first_ms);
}

static void count_series(const struct gather *gather, const struct found *found,
                         struct store_delete_preview *preview)
{
    double samples = 0;
    for (uint32_t i = 0; i < found->count; i++) {
        const struct piece *piece = &found->pieces[i];
        int64_t first_ms = piece->first_ms > gather->hints->from_ms ? piece->first_ms
                                                                    : gather->hints->from_ms;
        int64_t last_ms = piece->last_ms < gather->hints->until_ms ? piece->last_ms
                                                                   : gather->hints->until_ms;
        samples += share(piece, gather->hints->from_ms, gather->hints->until_ms) *
                   (double)piece->count;
        if (first_ms < preview->first_ms)
            preview->first_ms = first_ms;
        if (last_ms > preview->last_ms)
            preview->last_ms = last_ms;
    }
    preview->series += found->count > 0;
    preview->samples += (uint64_t)(samples + 0.5);
}

int store_delete_preview(struct store *store, const struct store_selection *selection,
                         int64_t from_ms, int64_t until_ms, volatile bool *cancelled,
                         struct store_delete_preview *ret_preview)
{
    struct store_delete_preview preview = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
    struct select_hints hints = {.from_ms = from_ms, .until_ms = until_ms, .no_samples = true};
    struct query_budget budget = {.samples_left = UINT64_MAX, .cancelled = cancelled};
    struct arena arena;
    struct gather gather;
    arena_init(&arena, LABELS_ARENA);
    int error = gather_init(&gather, store, &hints, &budget, &arena);
    gather.wants_counts = true;
    if (error == 0)
        error = gather_head(&gather, selection->matchers, selection->count);
    if (error == 0)
        error = gather_history(&gather, selection->matchers, selection->count);
    for (size_t i = 0; i < gather.count && error == 0; i++)
        count_series(&gather, gather.items[i], &preview);
    gather_done(&gather);
    arena_reset(&arena);
    if (error == 0)
        *ret_preview = preview;
    return error;
}

int store_each_delete(struct store *store,
                      void (*each)(void *context, const struct store_deletion *deletion),
                      void *context)
{
    struct deletes_view view;
    int error = deletes_view(&store->deletes, INT64_MIN, INT64_MAX, &view);
    if (error != 0)
        return error;
    for (size_t i = 0; i < view.count; i++) {
        const struct deletion *deletion = view.items[i];
        const struct store_deletion shown = {
            .selection = {deletion->matchers, deletion->count},
            .number = deletion->number,
            .from_ms = deletion->from_ms,
            .until_ms = deletion->until_ms,
            .made_ms = deletion->made_ms,
        };
        each(context, &shown);
    }
    deletes_view_done(&view);
    return 0;
}
