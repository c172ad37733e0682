/*
 * expand_query.c - see expand_query.h.
 */
#include "collector/rules/expand_query.h"

#include "proto/base/error.h"

/* A record {Labels, Value} in the arena. */
static int put_sample(const struct labels *labels, double number, struct arena *arena,
                      struct value *ret_sample)
{
    struct value_field *fields = arena_alloc(arena, 2, sizeof *fields);
    if (fields == NULL)
        return ERR_NOMEM;
    fields[0] = (struct value_field){"Labels", value_of_labels(labels)};
    fields[1] = (struct value_field){"Value", value_of_number(number)};
    *ret_sample = (struct value){.kind = VALUE_MAP, .as.map = {fields, 2}};
    return 0;
}

static int put_samples(const struct promql_result *result, struct arena *arena,
                       struct value *ret_samples)
{
    struct value *items = arena_alloc(arena, result->series_count + 1, sizeof *items);
    size_t count = 0;
    int error = items == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < result->series_count; i++) {
        const struct labels *from = result->series[i].labels, *labels;
        if (result->series[i].count == 0)
            continue;
        error = labels_build(from != NULL ? from->pairs : NULL, from != NULL ? from->count : 0,
                             arena, &labels);
        if (error == 0)
            error = put_sample(labels, result->series[i].values[0], arena, &items[count++]);
    }
    if (error == 0)
        *ret_samples = (struct value){.kind = VALUE_LIST, .as.list = {items, count}};
    return error;
}

static int run(void *context, struct bytes text, struct arena *arena, struct value *ret_samples,
               struct diagnosis *why)
{
    const struct expand_query *self = context;
    char *copy = arena_alloc(arena, text.size + 1, 1);
    const struct promql_query query = {
        .text = copy,
        .start_ms = self->round->ts_ms,
        .end_ms = self->round->ts_ms,
        .deadline_mono_ns = (int64_t)(clock_mono(&clock_system) +
                                      (mono_ns)self->options->timeout_ms * NS_PER_MS),
        .cancelled = self->options->cancelled};
    struct promql_error failure = {0};
    struct promql_result result;
    int error;

    if (copy == NULL)
        return ERR_NOMEM;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    error = promql_run(self->options->promql, store_queryable(self->round->store), &query,
                       &result, &failure);
    if (error != 0)
        return diagnose(why, ERR_INVALID, "query(%.60s): %s", copy, failure.why.text);
    if (result.type != PROMQL_VECTOR && result.type != PROMQL_SCALAR)
        error = diagnose(why, ERR_INVALID, "query(%.60s): neither a vector nor a scalar", copy);
    else
        error = put_samples(&result, arena, ret_samples);
    promql_result_done(&result);
    return error;
}

struct template_environment expand_environment(const struct expand_query *query)
{
    return (struct template_environment){.external_url = query->round->external_url,
                                         .external_labels = query->round->external_labels,
                                         .query = run,
                                         .query_context = (void *)(uintptr_t)query,
                                         .now_ms = query->round->ts_ms};
}
