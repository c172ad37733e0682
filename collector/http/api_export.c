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
 * sample_walk.h reads them, so that a year costs no more memory than a day.  The answer has begun
 * before `timeout` is over, or it is an error; from then on each piece has promql.timeout to be made in.
 */
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

struct export
{
    struct http_stream stream;
    struct sample_walk walk;
    int64_t piece_ms;          /* that one may take */
    struct metadata *metadata; /* of each of the walk's groups */
    bool is_begun;             /* the series' first window was read */
    struct bytes family;       /* whose metadata were written last */
    struct buf text;           /* the series as it stands in a line */
    size_t at;                 /* in the window */
};

/* ---- the list of series ---------------------------------------------------------------- */

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
    size_t high = export->walk.group_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(export->walk.groups[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == export->walk.group_count || !bytes_equal(export->walk.groups[low].name, name))
        return 0;
    export->metadata[low] = (struct metadata){
        .type = metadata->type,
        .unit = copy_bytes(&export->walk.names, metadata->unit),
        .help = copy_bytes(&export->walk.names, metadata->help),
    };
    return 0;
}

static int list_series(struct export *export, struct store *store,
                       const struct selectors *selectors, struct diagnosis *why)
{
    struct sample_walk *walk = &export->walk;
    int error = sample_walk_list(walk, selectors->items, selectors->count, WALK_BY_NAME, why);
    if (error != 0)
        return error;
    export->metadata = arena_alloc(&walk->names, walk->group_count + 1, sizeof *export->metadata);
    return export->metadata == NULL ? ERR_LIMIT : store_metadata_scan(store, take_metadata, export);
}

/* ---- writing --------------------------------------------------------------------------- */

/* The family of a name: a histogram's and a summary's parts are one. */
static struct bytes family_of(struct bytes name, enum metric_type type)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    bool is_histogram = type == METRIC_HISTOGRAM;
    for (size_t i = is_histogram ? 0 : 1; i < 3; i++) {
        size_t size = strlen(suffixes[i]);
        if ((is_histogram || type == METRIC_SUMMARY) && name.size > size &&
            memcmp(name.data + name.size - size, suffixes[i], size) == 0)
            return (struct bytes){name.data, name.size - size};
    }
    return name;
}

static void put_metadata(struct export *export, struct buf *out)
{
    const struct metadata *metadata = &export->metadata[export->walk.group_at];
    struct bytes name = export->walk.groups[export->walk.group_at].name;
    struct exposition_family family = {.name = family_of(name, metadata->type),
                                       .type = metadata->type,
                                       .unit = metadata->unit,
                                       .help = metadata->help};
    if (bytes_equal(export->family, family.name))
        return;
    export->family = family.name;
    exposition_put_family(out, &family);
}

static void begin_series(struct export *export, struct buf *out)
{
    const struct sample_walk *walk = &export->walk;
    const struct labels *labels = walk->series[walk->at];
    const struct walk_group *group = &walk->groups[walk->group_at];
    if (walk->at == group->first)
        put_metadata(export, out);
    buf_clear(&export->text);
    exposition_put_series(&export->text, group->name, labels->pairs, labels->count);
    export->is_begun = true;
}

static int export_next(struct http_stream *stream, struct buf *out)
{
    struct export *export = (struct export *)(void *)stream;
    struct sample_walk *walk = &export->walk;
    walk->deadline_mono_ns = api_piece_deadline(export->piece_ms);
    while (walk->at < walk->count && out->size < HTTP_PIECE_BYTES) {
        if (__atomic_load_n(walk->cancelled, __ATOMIC_RELAXED))
            return ERR_CANCELLED;
        if (export->at < walk->samples) {
            exposition_put_sample(out, buf_bytes(&export->text), walk->values[export->at],
                                  walk->times_ms[export->at]);
            export->at++;
            continue;
        }
        if (sample_walk_ended(walk)) {
            sample_walk_next(walk);
            export->is_begun = false;
            export->at = 0;
            continue;
        }
        if (!export->is_begun)
            begin_series(export, out);
        int error = buf_ok(&export->text) ? sample_walk_read(walk) : ERR_NOMEM;
        if (error != 0)
            return error;
        export->at = 0;
    }
    return 0;
}

static void export_close(struct http_stream *stream)
{
    struct export *export = (struct export *)(void *)stream;
    sample_walk_done(&export->walk);
    buf_done(&export->text);
    free(export);
}

static struct export *export_new(const struct app *app, struct http_request *request,
                                 int64_t from_ms, int64_t until_ms, int64_t deadline_mono_ns)
{
    struct export *export = calloc(1, sizeof *export);
    if (export == NULL)
        return NULL;
    export->stream = (struct http_stream){export_next, export_close};
    sample_walk_init(&export->walk, store_queryable(app->store), api_memory(request),
                     &request->cancelled, from_ms, until_ms);
    export->walk.stored_only = true;
    export->walk.deadline_mono_ns = deadline_mono_ns;
    export->piece_ms = app->query_timeout_ms;
    return export;
}

void api_export(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct selectors selectors;
    struct diagnosis why = {0};
    int64_t from_ms = 0;
    int64_t until_ms = 0;
    int64_t deadline_mono_ns = 0;
    if (!api_deadline(request, response, &deadline_mono_ns) ||
        !api_time(request, response, "start", TIME_FIRST_MS, &from_ms) ||
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
    if (!api_is_in_time(response, deadline_mono_ns)) {
        api_selectors_free(&selectors);
        return;
    }
    struct export *export = export_new(app, request, from_ms, until_ms, deadline_mono_ns);
    int error = export == NULL ? ERR_NOMEM : list_series(export, app->store, &selectors, &why);
    api_selectors_free(&selectors);
    if (error != 0) {
        api_store_error(response, error, export != NULL ? &export->walk.names : NULL, &why);
        if (export != NULL)
            export_close(&export->stream);
        return;
    }
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    response->stream = &export->stream;
}
