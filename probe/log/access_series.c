/*
 * access_series.c - see access_series.h.
 *
 * Series of durations and of results exist once something was said of them: a format without
 * $request_time has no histograms.
 */
#include "probe/log/access_series.h"

#include <stdio.h>
#include <stdlib.h>

#include "probe/log/told.h"

#define LABELS_MAX 4

static const struct metric requests_total = {
    "logwatch_http_requests_total", METRIC_COUNTER,
    "Requests in an access log, by virtual host, method and status.", NULL};
static const struct metric sent_total = {"logwatch_http_response_bytes_total", METRIC_COUNTER,
                                         "Bytes sent, as the access log has it.", "bytes"};
static const struct metric received_total = {
    "logwatch_http_request_bytes_total", METRIC_COUNTER,
    "Bytes received, as the access log has it.", "bytes"};
static const struct metric results_total = {
    "logwatch_http_results_total", METRIC_COUNTER,
    "Requests by the proxy's result code (squid) or the reason of their end (HTTP.sys).", NULL};
static const struct metric bad_total = {"logwatch_http_unparsed_lines_total", METRIC_COUNTER,
                                        "Lines of an access log that are not of its format.",
                                        NULL};
static const struct metric last_request = {
    "logwatch_http_last_request_timestamp_seconds", METRIC_GAUGE,
    "The latest time a request of the access log has, Unix time.", NULL};

enum { BUCKET, SUM, COUNT, PARTS };

static const struct metric request_parts[PARTS] = {
    {"logwatch_http_request_duration_seconds_bucket", METRIC_HISTOGRAM,
     "Time from a request to the end of its answer.", "seconds"},
    {"logwatch_http_request_duration_seconds_sum", METRIC_HISTOGRAM,
     "Time from a request to the end of its answer.", "seconds"},
    {"logwatch_http_request_duration_seconds_count", METRIC_HISTOGRAM,
     "Time from a request to the end of its answer.", "seconds"},
};
static const struct metric upstream_parts[PARTS] = {
    {"logwatch_http_upstream_duration_seconds_bucket", METRIC_HISTOGRAM,
     "Time the servers behind took to answer.", "seconds"},
    {"logwatch_http_upstream_duration_seconds_sum", METRIC_HISTOGRAM,
     "Time the servers behind took to answer.", "seconds"},
    {"logwatch_http_upstream_duration_seconds_count", METRIC_HISTOGRAM,
     "Time the servers behind took to answer.", "seconds"},
};

struct durations_told {
    bool is_registered;
    struct told buckets[ACCESS_BUCKETS + 1], sum, count;
};

struct vhost_told {
    struct told sent, received;
    struct durations_told request, upstream;
};

struct access_series {
    struct bytes file;
    struct told bad, last;
    struct told results[ACCESS_RESULTS_MAX + 1];
    size_t result_count;
    struct told cells[ACCESS_CELLS_MAX + ACCESS_VHOSTS_MAX + 1];
    size_t cell_count;
    struct vhost_told *vhosts[ACCESS_VHOSTS_MAX + 1];
    size_t vhost_count;
};

struct access_series *access_series_new(struct bytes file)
{
    struct access_series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    series->file = file;
    series->bad = series->last = told_never(SERIES_NONE);
    return series;
}

void access_series_free(struct access_series *series)
{
    if (series == NULL)
        return;
    for (size_t i = 0; i < series->vhost_count; i++)
        free(series->vhosts[i]);
    free(series);
}

struct labels {
    struct label items[LABELS_MAX];
    size_t count;
};

/* What is not said is no label. */
static void put(struct labels *labels, const char *name, const char *value)
{
    if (value[0] != '\0')
        labels->items[labels->count++] = (struct label){bytes_of(name), bytes_of(value)};
}

static struct told register_one(struct emitter *out, const struct metric *metric,
                                const struct labels *labels)
{
    return told_never(emitter_series(out, metric, labels->items, labels->count));
}

static struct labels labels_of(const struct access_series *series)
{
    return (struct labels){.items = {{bytes_of("file"), series->file}}, .count = 1};
}

static void emit_durations(const struct access_series *series, struct durations_told *told,
                           const struct metric *parts, const struct access_durations *durations,
                           const char *vhost, bool all, struct emitter *out)
{
    uint64_t below = 0;
    if (durations->count == 0)
        return;
    for (size_t i = 0; i <= ACCESS_BUCKETS && !told->is_registered; i++) {
        char bound[16] = "+Inf";
        struct labels labels = labels_of(series);
        if (i < ACCESS_BUCKETS)
            (void)snprintf(bound, sizeof bound, "%g", access_bounds[i]);
        put(&labels, "le", bound);
        put(&labels, "vhost", vhost);
        told->buckets[i] = register_one(out, &parts[BUCKET], &labels);
    }
    if (!told->is_registered) {
        struct labels labels = labels_of(series);
        put(&labels, "vhost", vhost);
        told->sum = register_one(out, &parts[SUM], &labels);
        told->count = register_one(out, &parts[COUNT], &labels);
    }
    told->is_registered = true;
    for (size_t i = 0; i <= ACCESS_BUCKETS; i++) {
        below += durations->buckets[i];
        told_emit(&told->buckets[i], (double)below, all, out);
    }
    told_emit(&told->sum, durations->sum_seconds, all, out);
    told_emit(&told->count, (double)durations->count, all, out);
}

static void emit_vhost(struct access_series *series, size_t index, const struct access *access,
                       bool all, struct emitter *out)
{
    const struct access_vhost *vhost = access->vhosts[index];
    if (index == series->vhost_count) {
        struct labels labels = labels_of(series);
        struct vhost_told *told = calloc(1, sizeof *told);
        if (told == NULL)
            return;
        put(&labels, "vhost", vhost->label);
        told->sent = register_one(out, &sent_total, &labels);
        told->received = register_one(out, &received_total, &labels);
        series->vhosts[series->vhost_count++] = told;
    }
    struct vhost_told *told = series->vhosts[index];
    told_emit(&told->sent, (double)vhost->sent_bytes, all, out);
    told_emit(&told->received, (double)vhost->received_bytes, all, out);
    emit_durations(series, &told->request, request_parts, &vhost->request, vhost->label, all,
                   out);
    emit_durations(series, &told->upstream, upstream_parts, &vhost->upstream, vhost->label, all,
                   out);
}

static void emit_cell(struct access_series *series, size_t index, const struct access *access,
                      bool all, struct emitter *out)
{
    const struct access_cell *cell = &access->cells[index];
    if (index == series->cell_count) {
        char code[8] = "other";
        struct labels labels = {0};
        if (cell->status > 0)
            (void)snprintf(code, sizeof code, "%u", (unsigned)cell->status);
        put(&labels, "code", code);
        labels.items[labels.count++] = (struct label){bytes_of("file"), series->file};
        put(&labels, "method", access_method_name(cell->method));
        put(&labels, "vhost", access->vhosts[cell->vhost]->label);
        series->cells[series->cell_count++] = register_one(out, &requests_total, &labels);
    }
    told_emit(&series->cells[index], (double)cell->count, all, out);
}

void access_series_emit(struct access_series *series, const struct access *access, bool all,
                        struct emitter *out)
{
    if (series->bad.handle == SERIES_NONE) {
        series->bad = told_never(series_one(out, &bad_total, "file", series->file));
        series->last = told_never(series_one(out, &last_request, "file", series->file));
    }
    told_emit(&series->bad, (double)access->bad, all, out);
    if (all && access->last_ms > 0)
        told_emit(&series->last, (double)access->last_ms / 1000, all, out);
    for (size_t i = 0; i < access->vhost_count && i <= series->vhost_count; i++)
        emit_vhost(series, i, access, all, out);
    for (size_t i = 0; i < access->cell_count; i++)
        emit_cell(series, i, access, all, out);
    for (size_t i = 0; i < access->result_count; i++) {
        if (access->result_count == 1)
            break; /* nothing was said of results */
        if (i == series->result_count) {
            struct labels labels = labels_of(series);
            put(&labels, "result", access->results[i].name);
            series->results[series->result_count++] =
                register_one(out, &results_total, &labels);
        }
        told_emit(&series->results[i], (double)access->results[i].count, all, out);
    }
}

static void end_durations(const struct durations_told *told, struct emitter *out)
{
    if (!told->is_registered)
        return;
    told_end(told->buckets, ACCESS_BUCKETS + 1, out);
    told_end(&told->sum, 1, out);
    told_end(&told->count, 1, out);
}

void access_series_end(const struct access_series *series, struct emitter *out)
{
    told_end(&series->bad, 1, out);
    told_end(&series->last, 1, out);
    told_end(series->results, series->result_count, out);
    told_end(series->cells, series->cell_count, out);
    for (size_t i = 0; i < series->vhost_count; i++) {
        told_end(&series->vhosts[i]->sent, 1, out);
        told_end(&series->vhosts[i]->received, 1, out);
        end_durations(&series->vhosts[i]->request, out);
        end_durations(&series->vhosts[i]->upstream, out);
    }
}
