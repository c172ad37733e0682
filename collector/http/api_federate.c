/*
 * api_federate.c - /federate: the latest sample of each selected series, in text format.
 *
 * As Prometheus: grouped by name with "# TYPE name untyped", with timestamps, series sorted,
 * instance="" added where there is none, ended series (stale marker) left out, names escaped as
 * the reader asks.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/http/escape_name.h"
#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

#define LOOK_EVERY 256

#define CLASSIC_TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
static const char *const content_types[] = {
    [ESCAPE_UNDERSCORES] = CLASSIC_TEXT "underscores",
    [ESCAPE_NOTHING] = CLASSIC_TEXT "allow-utf-8",
    [ESCAPE_DOTS] = CLASSIC_TEXT "dots",
    [ESCAPE_VALUES] = CLASSIC_TEXT "values",
};

static int compare(const void *a, const void *b)
{
    const struct labels *left = ((const struct series_samples *)a)->labels;
    const struct labels *right = ((const struct series_samples *)b)->labels;
    int order = bytes_compare(labels_get_text(left, LABEL_NAME),
                              labels_get_text(right, LABEL_NAME));
    return order != 0 ? order : labels_compare(left, right);
}

/* Where the answer goes, and how its reader spells names. */
struct federation {
    struct buf *out;
    struct arena *arena;
    enum name_escaping escaping;
    struct bytes last; /* the name whose family is open */
};

static int put_labels(const struct federation *to, struct bytes name,
                      const struct labels *labels)
{
    struct label pairs[SERIES_LABELS_MAX + 1];
    size_t count = 0;
    int error = 0;
    for (size_t i = 0; error == 0 && i < labels->count; i++) {
        pairs[count] = labels->pairs[i];
        error =
            escape_name(to->arena, to->escaping, labels->pairs[i].name, &pairs[count++].name);
    }
    if (labels_get_text(labels, "instance").size == 0)
        pairs[count++] = (struct label){bytes_of("instance"), bytes_of("")};
    if (error == 0)
        exposition_put_series(to->out, name, pairs, count);
    return error;
}

static int put_series(struct federation *to, const struct series_samples *series)
{
    struct bytes name = labels_get_text(series->labels, LABEL_NAME);
    struct exposition_family family = {.type = METRIC_UNTYPED};
    char number[NUMBER_TEXT_BYTES];
    if (series->count == 0 || is_stale_nan(series->values[series->count - 1]) || name.size == 0)
        return 0;
    int error = escape_name(to->arena, to->escaping, name, &family.name);
    if (error == 0 && !bytes_equal(name, to->last))
        exposition_put_family(to->out, &family);
    to->last = name;
    if (error == 0)
        error = put_labels(to, family.name, series->labels);
    buf_printf(to->out, " %s %" PRId64 "\n",
               promql_number_text(series->values[series->count - 1], number),
               series->times_ms[series->count - 1]);
    return error;
}

static int collect(const struct selectors *selectors, struct querier *querier,
                   const struct queryable_calls *calls, const struct select_hints *hints,
                   struct query_budget *budget, struct federation *to, struct diagnosis *why)
{
    struct arena *arena = to->arena;
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
    int error = 0;
    for (size_t i = 0; i < all.count && error == 0; i++) {
        error = i % LOOK_EVERY == 0 ? query_budget_look(budget) : 0;
        if (error == 0 &&
            (i == 0 || !labels_equal(all.items[i - 1].labels, all.items[i].labels)))
            error = put_series(to, &all.items[i]);
    }
    if (error == 0 && !buf_ok(to->out)) {
        arena->total_refused = to->out->total_refused;
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
    struct federation to = {.out = &response->body,
                            .arena = &arena,
                            .escaping = escaping_of_accept(request->accept)};
    int error = store->calls->open(store, hints.from_ms, hints.until_ms, &querier, &why);
    if (error == 0)
        error = collect(&selectors, querier, store->calls, &hints, &budget, &to, &why);
    if (querier != NULL)
        store->calls->close(querier);
    response->content_type = content_types[to.escaping];
    if (error != 0)
        api_store_error(response, error, &arena, &why);
    arena_reset(&arena);
    api_selectors_free(&selectors);
}
