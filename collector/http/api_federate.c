/*
 * api_federate.c - /federate: the latest sample of each selected series, in text format.
 *
 * As Prometheus: grouped by name with "# TYPE name untyped", with timestamps, series sorted,
 * instance="" added where there is none, ended series (stale marker) left out.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

#define LOOK_EVERY 256

static int compare(const void *a, const void *b)
{
    const struct labels *left = ((const struct series_samples *)a)->labels;
    const struct labels *right = ((const struct series_samples *)b)->labels;
    int order = bytes_compare(labels_get_text(left, LABEL_NAME),
                              labels_get_text(right, LABEL_NAME));
    return order != 0 ? order : labels_compare(left, right);
}

static void put_labels(struct buf *out, struct bytes name, const struct labels *labels)
{
    struct label pairs[SERIES_LABELS_MAX + 1];
    size_t count = labels->count;
    memcpy(pairs, labels->pairs, count * sizeof *pairs);
    if (labels_get_text(labels, "instance").size == 0)
        pairs[count++] = (struct label){bytes_of("instance"), bytes_of("")};
    exposition_put_series(out, name, pairs, count);
}

static void put_series(struct buf *out, const struct series_samples *series, struct bytes *last)
{
    if (series->count == 0 || is_stale_nan(series->values[series->count - 1]))
        return;
    struct bytes name = labels_get_text(series->labels, LABEL_NAME);
    if (name.size == 0 || !metric_name_is_legacy(name))
        return; /* the classic text format has no word for it */
    if (!bytes_equal(name, *last))
        buf_printf(out, "# TYPE %.*s untyped\n", (int)name.size, (const char *)name.data);
    *last = name;
    char number[NUMBER_TEXT_BYTES];
    put_labels(out, name, series->labels);
    buf_printf(out, " %s %" PRId64 "\n",
               promql_number_text(series->values[series->count - 1], number),
               series->times_ms[series->count - 1]);
}

static int collect(const struct selectors *selectors, struct querier *querier,
                   const struct queryable_calls *calls, const struct select_hints *hints,
                   struct query_budget *budget, struct arena *arena, struct buf *out,
                   struct diagnosis *why)
{
    struct series_list all = {0};
    for (size_t i = 0; i < selectors->count; i++) {
        struct series_samples *found = NULL;
        size_t count = 0;
        int error = calls->select(querier, selectors->items[i].matchers,
                                  selectors->items[i].count, hints, budget, arena, &found,
                                  &count, why);
        if (error == 0)
            error = api_series_add(&all, arena, found, count);
        if (error != 0)
            return error;
    }
    if (all.count > 0)
        qsort(all.items, all.count, sizeof *all.items, compare);
    struct bytes last = {NULL, 0};
    int error = 0;
    for (size_t i = 0; i < all.count && error == 0; i++) {
        error = i % LOOK_EVERY == 0 ? query_budget_look(budget) : 0;
        if (i == 0 || !labels_equal(all.items[i - 1].labels, all.items[i].labels))
            put_series(out, &all.items[i], &last);
    }
    if (error == 0 && !buf_ok(out)) {
        arena->total_refused = out->total_refused;
        error = ERR_LIMIT;
    }
    return error;
}

void api_federate(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct selectors selectors;
    struct query_budget budget = {.samples_left = app->promql.max_samples,
                                  .cancelled = &request->cancelled};
    if (!api_deadline(request, response, &budget.deadline_mono_ns) ||
        !api_selectors(request, response, SELECTOR_ERRORS_PLAIN, &selectors))
        return;
    if (!api_is_in_time(response, budget.deadline_mono_ns)) {
        api_selectors_free(&selectors);
        return;
    }
    int64_t now_ms = clock_unix_ms(&clock_system);
    struct select_hints hints = {.from_ms = now_ms - app->promql.lookback_ms + 1,
                                 .until_ms = now_ms};
    struct queryable *store = store_queryable(app->store);
    struct querier *querier = NULL;
    struct diagnosis why = {0};
    struct arena arena;
    arena_init(&arena, app->promql.max_memory_bytes);
    arena.total = api_memory(request);
    int error = store->calls->open(store, hints.from_ms, hints.until_ms, &querier, &why);
    if (error == 0)
        error = collect(&selectors, querier, store->calls, &hints, &budget, &arena,
                        &response->body, &why);
    if (querier != NULL)
        store->calls->close(querier);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (error != 0)
        api_store_error(response, error, &arena, &why);
    arena_reset(&arena);
    api_selectors_free(&selectors);
}
