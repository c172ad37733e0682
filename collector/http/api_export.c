/*
 * api_export.c - /api/v1/export/prometheus: stored samples as text, as they were stored.
 *
 *     GET|POST ...?match[]=SELECTOR&start=TIME&end=TIME     (match[] again: series of either)
 *
 *     # HELP up ...
 *     # TYPE up gauge
 *     up{instance="a",job="node"} 1 1395066363000
 *     # STALE up{instance="a",job="node"} 1395066423000
 *
 * Every sample with start <= time <= end (default: all there are), bit for bit; the marks are
 * exposition.h's, and /api/v1/import/prometheus reads them.  Order: by metric name, then by
 * labels; a series' samples by time.  What is committed while an export runs may be in it or
 * not.  Markers that only stand for a source's silence are not stored, and not in it.
 *
 * The list of series is made first; then series after series is read in windows of at most
 * WINDOW_SAMPLES samples, so that a year costs no more memory than a day.
 */
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

#define WINDOW_SAMPLES     ((uint64_t)200000)
#define WINDOW_ARENA_BYTES ((size_t)64 << 20)

/* The series of one metric name. */
struct group {
    struct bytes name;
    struct metadata metadata;
    size_t first, end;    /* in export.series */
    struct bytes *labels; /* every label name among them, ascending */
    size_t label_count;
};

struct export
{
    struct http_stream stream;
    struct queryable *store;
    volatile bool *cancelled;
    int64_t from_ms, until_ms;
    struct arena names; /* what follows, as far as the windows */
    const struct labels **series;
    struct group *groups;
    size_t series_count, group_count;
    size_t series_at, group_at; /* being written */
    bool is_begun;              /* the series' first window was read */
    struct bytes family;        /* whose metadata were written last */
    struct buf text;            /* the series as it stands in a line */
    /* the window */
    struct arena arena;
    const int64_t *times_ms;
    const double *values;
    size_t count, at;
    int64_t next_ms; /* where the next one begins */
    uint64_t width_ms;
};

/* ---- the list of series ---------------------------------------------------------------- */

static int compare_names(const struct labels *a, const struct labels *b)
{
    return bytes_compare(labels_get_text(a, LABEL_NAME), labels_get_text(b, LABEL_NAME));
}

static int by_name_and_labels(const void *a, const void *b)
{
    const struct labels *left = *(const struct labels *const *)a;
    const struct labels *right = *(const struct labels *const *)b;
    int order = compare_names(left, right);
    return order != 0 ? order : labels_compare(left, right);
}

/* Adds what one selector finds. */
static int add_series(struct export *export, struct querier *querier,
                      const struct selector *selector, struct diagnosis *why)
{
    struct select_hints hints = {.from_ms = export->from_ms,
                                 .until_ms = export->until_ms,
                                 .no_samples = true,
                                 .stored_only = true};
    struct query_budget budget = {.samples_left = UINT64_MAX, .cancelled = export->cancelled};
    struct series_samples *found = NULL;
    size_t count = 0;
    int error =
        export->store->calls->select(querier, selector->matchers, selector->count, &hints,
                                     &budget, &export->names, &found, &count, why);
    if (error != 0)
        return error;
    const struct labels **all =
        arena_alloc(&export->names, export->series_count + count + 1, sizeof(struct labels *));
    if (all == NULL)
        return diagnose(why, ERR_LIMIT, "too many series for one export: select fewer");
    if (export->series_count > 0)
        memcpy(all, export->series, export->series_count * sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[export->series_count++] = found[i].labels;
    export->series = all;
    return 0;
}

static void sort_series(struct export *export)
{
    size_t kept = 0;
    if (export->series_count > 1)
        qsort(export->series, export->series_count, sizeof *export->series, by_name_and_labels);
    for (size_t i = 0; i < export->series_count; i++) {
        if (kept == 0 || !labels_equal(export->series[kept - 1], export->series[i]))
            export->series[kept++] = export->series[i];
    }
    export->series_count = kept;
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* The label names of a group: a selector that fixes each of them, to "" where it is missing,
 * finds one series and no other. */
static int name_labels(struct export *export, struct group *group)
{
    size_t total = 0;
    size_t kept = 0;
    for (size_t i = group->first; i < group->end; i++)
        total += export->series[i]->count;
    struct bytes *names = malloc((total + 1) * sizeof *names);
    if (names == NULL)
        return ERR_NOMEM;
    total = 0;
    for (size_t i = group->first; i < group->end; i++) {
        for (size_t k = 0; k < export->series[i]->count; k++)
            names[total++] = export->series[i]->pairs[k].name;
    }
    qsort(names, total, sizeof *names, by_bytes);
    for (size_t i = 0; i < total; i++) {
        if (kept == 0 || !bytes_equal(names[kept - 1], names[i]))
            names[kept++] = names[i];
    }
    group->labels = arena_alloc(&export->names, kept + 1, sizeof *names);
    group->label_count = kept;
    if (group->labels != NULL)
        memcpy(group->labels, names, kept * sizeof *names);
    free(names);
    return group->labels != NULL ? 0 : ERR_LIMIT;
}

static int make_groups(struct export *export)
{
    export->groups =
        arena_alloc(&export->names, export->series_count + 1, sizeof *export->groups);
    if (export->groups == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < export->series_count; i++) {
        if (i == 0 || compare_names(export->series[i - 1], export->series[i]) != 0)
            export->groups[export->group_count++] = (struct group){
                .name = labels_get_text(export->series[i], LABEL_NAME), .first = i};
        export->groups[export->group_count - 1].end = i + 1;
    }
    int error = 0;
    for (size_t i = 0; i < export->group_count && error == 0; i++)
        error = name_labels(export, &export->groups[i]);
    return error;
}

static struct bytes copy_bytes(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = bytes.size > 0 ? arena_alloc(arena, bytes.size, 1) : NULL;
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

static int take_metadata(void *context, struct bytes name, const struct metadata *metadata)
{
    struct export *export = context;
    size_t low = 0;
    size_t high = export->group_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(export->groups[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == export->group_count || !bytes_equal(export->groups[low].name, name))
        return 0;
    export->groups[low].metadata = (struct metadata){
        .type = metadata->type,
        .unit = copy_bytes(&export->names, metadata->unit),
        .help = copy_bytes(&export->names, metadata->help),
    };
    return 0;
}

static int list_series(struct export *export, struct store *store,
                       const struct selectors *selectors, struct diagnosis *why)
{
    struct querier *querier = NULL;
    int error = export->store->calls->open(export->store, export->from_ms, export->until_ms,
                                           &querier, why);
    for (size_t i = 0; i < selectors->count && error == 0; i++)
        error = add_series(export, querier, &selectors->items[i], why);
    if (querier != NULL)
        export->store->calls->close(querier);
    if (error != 0)
        return error;
    sort_series(export);
    error = make_groups(export);
    return error == 0 ? store_metadata_scan(store, take_metadata, export) : error;
}

/* ---- a window of a series -------------------------------------------------------------- */

static int make_matchers(const struct group *group, const struct labels *labels,
                         struct matcher **matchers)
{
    int error = 0;
    for (size_t i = 0; i < group->label_count && error == 0; i++)
        error = matcher_new(MATCH_EQUAL, group->labels[i], labels_get(labels, group->labels[i]),
                            &matchers[i], NULL);
    return error;
}

static int select_window(struct export *export, struct matcher *const *matchers, size_t count,
                         int64_t until_ms)
{
    struct select_hints hints = {
        .from_ms = export->next_ms, .until_ms = until_ms, .stored_only = true};
    struct query_budget budget = {.samples_left = WINDOW_SAMPLES,
                                  .cancelled = export->cancelled};
    struct querier *querier = NULL;
    struct series_samples *found = NULL;
    size_t found_count = 0;
    export->count = 0;
    export->at = 0;
    arena_reset(&export->arena);
    int error = export->store->calls->open(export->store, hints.from_ms, hints.until_ms,
                                           &querier, NULL);
    if (error == 0)
        error = export->store->calls->select(querier, matchers, count, &hints, &budget,
                                             &export->arena, &found, &found_count, NULL);
    if (querier != NULL)
        export->store->calls->close(querier);
    for (size_t i = 0; i < found_count && error == 0; i++) {
        if (!labels_equal(found[i].labels, export->series[export->series_at]))
            continue;
        export->times_ms = found[i].times_ms;
        export->values = found[i].values;
        export->count = found[i].count;
    }
    return error;
}

/* Reads on from next_ms, in windows as wide as the samples lie far apart. */
static int read_window(struct export *export)
{
    const struct group *group = &export->groups[export->group_at];
    struct matcher **matchers = calloc(group->label_count + 1, sizeof *matchers);
    if (matchers == NULL)
        return ERR_NOMEM;
    int error = make_matchers(group, export->series[export->series_at], matchers);
    while (error == 0) {
        uint64_t left_ms = (uint64_t) export->until_ms - (uint64_t) export->next_ms;
        uint64_t width_ms = left_ms < export->width_ms ? left_ms : export->width_ms;
        int64_t until_ms = (int64_t)((uint64_t) export->next_ms + width_ms);
        error = select_window(export, matchers, group->label_count, until_ms);
        if (error == ERR_LIMIT && width_ms > 0) {
            export->width_ms = width_ms / 2;
            error = 0;
            continue;
        }
        if (error == 0 && export->count < WINDOW_SAMPLES / 4 && export->width_ms < INT64_MAX)
            export->width_ms = export->width_ms * 2 + 1;
        export->next_ms = until_ms;
        break;
    }
    for (size_t i = 0; i < group->label_count; i++)
        matcher_free(matchers[i]);
    free(matchers);
    return error;
}

/* ---- writing --------------------------------------------------------------------------- */

/* The family of a name: a histogram's and a summary's parts are one. */
static struct bytes family_of(const struct group *group)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    bool is_histogram = group->metadata.type == METRIC_HISTOGRAM;
    struct bytes name = group->name;
    for (size_t i = is_histogram ? 0 : 1; i < 3; i++) {
        size_t size = strlen(suffixes[i]);
        if ((is_histogram || group->metadata.type == METRIC_SUMMARY) && name.size > size &&
            memcmp(name.data + name.size - size, suffixes[i], size) == 0)
            return (struct bytes){name.data, name.size - size};
    }
    return name;
}

static void put_metadata(struct export *export, const struct group *group, struct buf *out)
{
    struct exposition_family family = {.name = family_of(group),
                                       .type = group->metadata.type,
                                       .unit = group->metadata.unit,
                                       .help = group->metadata.help};
    if (bytes_equal(export->family, family.name))
        return;
    export->family = family.name;
    exposition_put_family(out, &family);
}

static void begin_series(struct export *export, struct buf *out)
{
    const struct labels *labels = export->series[export->series_at];
    if (export->series_at == export->groups[export->group_at].end)
        export->group_at++;
    const struct group *group = &export->groups[export->group_at];
    if (export->series_at == group->first)
        put_metadata(export, group, out);
    buf_clear(&export->text);
    exposition_put_series(&export->text, group->name, labels->pairs, labels->count);
    export->next_ms = export->from_ms;
    export->is_begun = true;
}

static bool is_cancelled(const struct export *export)
{
    return __atomic_load_n(export->cancelled, __ATOMIC_RELAXED);
}

static int export_next(struct http_stream *stream, struct buf *out)
{
    struct export *export = (struct export *)(void *)stream;
    while (export->series_at < export->series_count && out->size < HTTP_PIECE_BYTES) {
        if (is_cancelled(export))
            return ERR_CANCELLED;
        if (export->at < export->count) {
            exposition_put_sample(out, buf_bytes(&export->text), export->values[export->at],
                                  export->times_ms[export->at]);
            export->at++;
            continue;
        }
        if (!export->is_begun) {
            begin_series(export, out);
        } else if (export->next_ms == export->until_ms) {
            export->series_at++;
            export->is_begun = false;
            continue;
        } else {
            export->next_ms++;
        }
        int error = buf_ok(&export->text) ? read_window(export) : ERR_NOMEM;
        if (error != 0)
            return error;
    }
    return 0;
}

static void export_close(struct http_stream *stream)
{
    struct export *export = (struct export *)(void *)stream;
    arena_reset(&export->names);
    arena_reset(&export->arena);
    buf_done(&export->text);
    free(export);
}

static struct export *export_new(const struct app *app, struct http_request *request,
                                 int64_t from_ms, int64_t until_ms)
{
    struct export *export = calloc(1, sizeof *export);
    if (export == NULL)
        return NULL;
    export->stream = (struct http_stream){export_next, export_close};
    export->store = store_queryable(app->store);
    export->cancelled = &request->cancelled;
    export->from_ms = from_ms;
    export->until_ms = until_ms;
    export->width_ms = (uint64_t)until_ms - (uint64_t)from_ms;
    arena_init(&export->names, NAMES_ARENA_BYTES);
    arena_init(&export->arena, WINDOW_ARENA_BYTES);
    return export;
}

void api_export(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct selectors selectors;
    struct diagnosis why = {0};
    int64_t from_ms = 0;
    int64_t until_ms = 0;
    if (!api_time(request, response, "start", TIME_FIRST_MS, &from_ms) ||
        !api_time(request, response, "end", TIME_LAST_MS, &until_ms))
        return;
    if (until_ms < from_ms || http_parameter(request, "match[]") == NULL) {
        bool has_match = http_parameter(request, "match[]") != NULL;
        reply_invalid(response, has_match ? "end" : "match[]",
                      has_match ? "end timestamp must not be before start time"
                                : "at least one selector is needed; {__name__!=\"\"} is all");
        return;
    }
    if (!api_selectors(request, response, SELECTOR_ERRORS_NAMED, &selectors))
        return;
    struct export *export = export_new(app, request, from_ms, until_ms);
    int error = export == NULL ? ERR_NOMEM : list_series(export, app->store, &selectors, &why);
    api_selectors_free(&selectors);
    if (error != 0) {
        if (export != NULL)
            export_close(&export->stream);
        reply_code(response, error, &why);
        return;
    }
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    response->stream = &export->stream;
}
