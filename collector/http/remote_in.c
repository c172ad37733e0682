/*
 * remote_in.c - see remote_in.h.
 *
 * A job is everything one request needs; jobs are kept and reused, so the steady state allocates
 * nothing.  What a job holds while the store has its write: the samples, and a ticket of the
 * cache that keeps their series alive.
 */
#include "collector/http/remote_in.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/http/remote_cache.h"
#include "collector/http/remote_metadata.h"
#include "collector/http/remote_parse.h"
#include "collector/http/remote_type.h"
#include "collector/rules/rules.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define JOBS_KEPT_MAX 4
#define PIECE_SAMPLES 32768 /* of a request in one commit */
/* Label runs that a usual 2.0 message has; what an unusual one took is given back. */
#define LABEL_RUNS_KEPT_BYTES ((size_t)16 << 20)

enum rejection { REJECT_LABELS, REJECT_SERIES_LIMIT, REJECT_FUTURE, REJECT_HISTOGRAM,
                 REJECT_MEMORY, REJECTIONS };

static const char *const rejection_names[] = {"labels", "series_limit", "future", "histogram",
                                              "memory"};

struct job {
    struct store_write write; /* the store's, from submit to done */
    struct remote_in *remote;
    struct http_response *response;
    struct http_pending *pending;
    unsigned ticket;
    bool is_v2;
    size_t rejected[REJECTIONS];
    struct diagnosis first_rejection;
    struct buf message_bytes;
    struct remote_message message;
    size_t written; /* of its samples */
    struct remote_key *keys;
    struct series **found;
    size_t series_capacity; /* of the two above */
    struct job *next;
};

struct remote_in {
    struct store *store;
    struct rules *rules; /* may be NULL */
    struct remote_cache *cache;
    struct remote_metadata_table *metadata;
    atomic_ullong requests, requests_v2, samples_accepted, metadata_received, exemplars_ignored;
    atomic_ullong rejected[REJECTIONS];
    atomic_ullong refused_malformed, refused_busy;
    pthread_mutex_t lock;
    struct job *idle; /* under lock */
    size_t idle_count;
};

static void job_free(struct job *job)
{
    if (job == NULL)
        return;
    buf_done(&job->message_bytes);
    remote_message_done(&job->message);
    free(job->keys);
    free(job->found);
    free(job);
}

void remote_in_set_rules(struct remote_in *remote, struct rules *rules)
{
    remote->rules = rules;
}

struct remote_cache *remote_in_cache(struct remote_in *remote)
{
    return remote->cache;
}

int remote_in_open(struct store *store, struct remote_in **ret_remote)
{
    struct remote_in *remote = calloc(1, sizeof *remote);
    if (remote == NULL)
        return ERR_NOMEM;
    remote->store = store;
    must(pthread_mutex_init(&remote->lock, NULL) == 0);
    int error = remote_cache_open(store, &clock_system, &remote->cache);
    if (error == 0)
        error = remote_metadata_open(store, &remote->metadata);
    if (error != 0) {
        remote_in_close(remote);
        return error;
    }
    *ret_remote = remote;
    return 0;
}

void remote_in_close(struct remote_in *remote)
{
    if (remote == NULL)
        return;
    while (remote->idle != NULL) {
        struct job *job = remote->idle;
        remote->idle = job->next;
        job_free(job);
    }
    remote_metadata_close(remote->metadata);
    remote_cache_close(remote->cache);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}

static struct job *take_job(struct remote_in *remote)
{
    must(pthread_mutex_lock(&remote->lock) == 0);
    struct job *job = remote->idle;
    if (job != NULL) {
        remote->idle = job->next;
        remote->idle_count--;
    }
    must(pthread_mutex_unlock(&remote->lock) == 0);
    if (job == NULL)
        job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    memset(job->rejected, 0, sizeof job->rejected);
    job->first_rejection.text[0] = '\0';
    job->remote = remote;
    return job;
}

static void give_job_back(struct job *job)
{
    struct remote_in *remote = job->remote;
    if (job->message.label_runs.capacity > LABEL_RUNS_KEPT_BYTES)
        buf_done(&job->message.label_runs);
    must(pthread_mutex_lock(&remote->lock) == 0);
    bool is_kept = remote->idle_count < JOBS_KEPT_MAX;
    if (is_kept) {
        job->next = remote->idle;
        remote->idle = job;
        remote->idle_count++;
    }
    must(pthread_mutex_unlock(&remote->lock) == 0);
    if (!is_kept)
        job_free(job);
}

/* ---- answering ------------------------------------------------------------------------- */

static void say(struct http_response *response, int status, const char *text)
{
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    buf_printf(&response->body, "%s\n", text);
    if (status == 503)
        http_add_header(response, "Retry-After", "5");
}

/* 2.0 wants to be told how many of each were written, whatever the status. */
static void say_written(struct job *job, size_t samples)
{
    struct http_response *response = job->response;
    if (!job->is_v2)
        return;
    (void)snprintf(response->header_text, sizeof response->header_text, "%zu", samples);
    http_add_header(response, "X-Prometheus-Remote-Write-Samples-Written", response->header_text);
    http_add_header(response, "X-Prometheus-Remote-Write-Histograms-Written", "0");
    http_add_header(response, "X-Prometheus-Remote-Write-Exemplars-Written", "0");
}

static void say_result(struct job *job)
{
    struct http_response *response = job->response;
    size_t total = 0;
    say_written(job, job->written);
    for (size_t i = 0; i < REJECTIONS; i++)
        total += job->rejected[i];
    if (total == 0) {
        response->status = 204;
        return;
    }
    response->status = 400;
    response->content_type = "text/plain; charset=utf-8";
    buf_printf(&response->body, "%zu samples stored, %zu refused (", job->written, total);
    const char *separator = "";
    for (size_t i = 0; i < REJECTIONS; i++) {
        if (job->rejected[i] == 0)
            continue;
        buf_printf(&response->body, "%s%s: %zu", separator, rejection_names[i],
                   job->rejected[i]);
        separator = ", ";
    }
    buf_printf(&response->body, ")%s%s\n", job->first_rejection.text[0] != '\0' ? "; first: " : "",
               job->first_rejection.text);
}

/* ---- series ---------------------------------------------------------------------------- */

static void reject(struct job *job, enum rejection reason, size_t samples)
{
    job->rejected[reason] += samples;
    atomic_fetch_add(&job->remote->rejected[reason], samples);
}

static enum rejection rejection_of(int error)
{
    return error == ERR_NOMEM ? REJECT_MEMORY
           : error == ERR_LIMIT ? REJECT_SERIES_LIMIT
                                : REJECT_LABELS;
}

/* The labels of a series the cache does not know.  malloc'd. */
static int build_labels(const struct remote_series *series, const struct labels **ret_labels,
                        struct diagnosis *why)
{
    struct label pairs[SERIES_LABELS_MAX];
    size_t count = 0;
    const struct labels *labels = NULL;
    int error = series->is_unfit ? ERR_LIMIT
                                 : remote_labels(series, pairs, SERIES_LABELS_MAX, &count);
    if (error == 0)
        error = labels_build(pairs, count, NULL, &labels);
    if (error == ERR_NOMEM)
        return error;
    if (error != 0)
        return diagnose(why, ERR_INVALID, "labels: %s", error_text(error));
    if (labels_get_text(labels, LABEL_NAME).size == 0) {
        labels_free(labels);
        return diagnose(why, ERR_INVALID, "a series without a metric name");
    }
    *ret_labels = labels;
    return 0;
}

/* Labels that did not stand in a row get a key from their own serialization. */
static int key_of_labels(struct remote_cache *cache, const struct labels *labels,
                         struct remote_key *ret_key)
{
    struct buf text = {0};
    labels_write(labels, &text);
    int error = buf_ok(&text) ? 0 : ERR_NOMEM;
    if (error == 0)
        *ret_key = remote_cache_key(cache, buf_bytes(&text));
    buf_done(&text);
    return error;
}

static int resolve(struct remote_in *remote, const struct remote_series *series,
                   struct remote_key key, struct series **ret_series, struct diagnosis *why)
{
    const struct labels *labels = NULL;
    struct series *found = NULL;
    int error = build_labels(series, &labels, why);
    if (error == 0 && series->label_run.size == 0)
        error = key_of_labels(remote->cache, labels, &key);
    if (error == 0)
        error = remote_metadata_resolve(remote->metadata, labels, &found);
    if (error == ERR_LIMIT)
        diagnose(why, error, "the store's series limit is reached");
    if (error == 0)
        error = remote_cache_add(remote->cache, key, found);
    labels_free(labels);
    if (error == 0)
        *ret_series = found;
    return error;
}

static int make_room(struct job *job)
{
    size_t count = job->message.series_count;
    if (count <= job->series_capacity)
        return 0;
    struct remote_key *keys = realloc(job->keys, count * sizeof *keys);
    if (keys != NULL)
        job->keys = keys;
    struct series **found = realloc(job->found, count * sizeof *found);
    if (found != NULL)
        job->found = found;
    if (keys == NULL || found == NULL)
        return ERR_NOMEM;
    job->series_capacity = count;
    return 0;
}

/* While the clock was set and rules do not believe it (timeline.h), what would be early enough by
 * either is taken: it is the senders who know, and a sample that is refused does not come again. */
static int64_t latest_allowed_ms(const struct remote_in *remote)
{
    const int64_t clock_ms = clock_unix_ms(&clock_system);
    const int64_t rules_ms = remote->rules == NULL ? clock_ms : rules_now_ms(remote->rules);
    return (rules_ms > clock_ms ? rules_ms : clock_ms) + REMOTE_FUTURE_MS;
}

/* Gives every sample its series, and closes the holes that refused ones leave. */
static int resolve_all(struct job *job)
{
    struct remote_in *remote = job->remote;
    struct remote_message *message = &job->message;
    int error = make_room(job);
    if (error != 0)
        return error;
    for (size_t i = 0; i < message->series_count; i++)
        job->keys[i] = remote_cache_key(remote->cache, message->series[i].label_run);
    remote_cache_find(remote->cache, job->keys, message->series_count, job->found);
    int64_t latest_ms = latest_allowed_ms(remote);
    size_t kept = 0;
    for (size_t i = 0; i < message->series_count; i++) {
        const struct remote_series *series = &message->series[i];
        if (series->sample_count == 0)
            continue;
        struct series *found = series->label_run.size > 0 ? job->found[i] : NULL;
        error = found != NULL ? 0
                              : resolve(remote, series, job->keys[i], &found,
                                        &job->first_rejection);
        if (error != 0) {
            reject(job, rejection_of(error), series->sample_count);
            continue;
        }
        for (uint32_t k = 0; k < series->sample_count; k++) {
            struct store_sample sample = message->samples[series->first_sample + k];
            sample.series = found;
            if (sample.ts_ms <= latest_ms)
                message->samples[kept++] = sample;
            else
                reject(job, REJECT_FUTURE, 1);
        }
    }
    message->sample_count = kept;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------- */

static void finish(struct job *job)
{
    struct http_pending *pending = job->pending;
    remote_cache_leave(job->remote->cache, job->ticket);
    give_job_back(job);
    http_finish(pending);
}

static void say_error(struct job *job, int error)
{
    bool is_busy = error == ERR_AGAIN || error == ERR_FULL;
    if (is_busy)
        atomic_fetch_add(&job->remote->refused_busy, 1);
    say_written(job, job->written); /* of a request in pieces the first are stored */
    say(job->response, is_busy ? 503 : 500,
        error == ERR_AGAIN ? "the write queue is full, try again"
        : error == ERR_FULL ? "the disk or its quota is full, try again later"
                            : error_text(error));
}

static void on_written(struct store_write *write, int error);

/* The next piece of the samples, in a commit of its own: whoever sends a million at a time must not
 * hold up the others.  What fails in the middle is sent again, and the same samples count once. */
static void submit(struct job *job)
{
    const size_t left = job->message.sample_count - job->written;
    if (left == 0) {
        say_result(job);
        finish(job);
        return;
    }
    job->write =
        (struct store_write){.samples = job->message.samples + job->written,
                             .sample_count = left < PIECE_SAMPLES ? left : PIECE_SAMPLES,
                             .is_bulk = true,
                             .done = on_written,
                             .context = job};
    int error = store_write_submit(job->remote->store, &job->write);
    if (error == 0)
        return; /* on_written() may have run by now */
    say_error(job, error);
    finish(job);
}

/* Writer thread: the commit is over. */
static void on_written(struct store_write *write, int error)
{
    struct job *job = write->context;
    if (error != 0) {
        say_error(job, error);
        finish(job);
        return;
    }
    job->written += write->sample_count;
    atomic_fetch_add(&job->remote->samples_accepted, write->sample_count);
    if (job->remote->rules != NULL)
        rules_touch_samples(job->remote->rules, write->samples, write->sample_count);
    submit(job);
}

/* ---- reading --------------------------------------------------------------------------- */

static int read_message(struct job *job, struct bytes body)
{
    int error = remote_unpack(body, REMOTE_MESSAGE_BYTES_MAX, &job->message_bytes);
    if (error == 0)
        error = job->is_v2 ? remote_parse_v2(buf_bytes(&job->message_bytes), &job->message)
                           : remote_parse(buf_bytes(&job->message_bytes), &job->message);
    if (error != 0)
        return error;
    struct remote_message *message = &job->message;
    atomic_fetch_add(&job->remote->exemplars_ignored, message->exemplars);
    atomic_fetch_add(&job->remote->metadata_received, message->metadata_count);
    if (message->histograms > 0) {
        diagnose(&job->first_rejection, ERR_INVALID, "native histograms are not supported");
        reject(job, REJECT_HISTOGRAM, message->histograms);
    }
    remote_metadata_learn(job->remote->metadata, message->metadata, message->metadata_count);
    return resolve_all(job);
}

static void refuse(struct job *job, int error)
{
    say_written(job, 0);
    if (error == ERR_NOMEM) {
        say(job->response, 503, "out of memory, try again");
    } else {
        atomic_fetch_add(&job->remote->refused_malformed, 1);
        say(job->response, error == ERR_LIMIT ? 413 : 400,
            error == ERR_LIMIT ? "too large: send fewer samples a request"
                               : job->is_v2 ? "no remote write 2.0 message in snappy's block format"
                         : "no remote write 1.0 message in snappy's block format");
    }
    finish(job);
}

void remote_in_handle(struct remote_in *remote, struct http_request *request,
                      struct http_response *response, struct http_pending *pending)
{
    const enum remote_type type = remote_type_of(request->content_type);
    atomic_fetch_add(&remote->requests, 1);
    if (type == REMOTE_V2)
        atomic_fetch_add(&remote->requests_v2, 1);
    if (type == REMOTE_NONE ||
        (*request->content_encoding != '\0' &&
         strcasecmp(request->content_encoding, "snappy") != 0)) {
        say(response, 415,
            "remote write 1.0 and 2.0 only: Content-Type application/x-protobuf, with "
            "proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request, and "
            "Content-Encoding snappy");
        http_finish(pending);
        return;
    }
    struct job *job = take_job(remote);
    if (job == NULL) {
        say(response, 503, "out of memory, try again");
        http_finish(pending);
        return;
    }
    job->response = response;
    job->pending = pending;
    job->is_v2 = type == REMOTE_V2;
    job->written = 0;
    job->ticket = remote_cache_enter(remote->cache);
    int error = read_message(job, request->body);
    if (error != 0)
        refuse(job, error);
    else
        submit(job);
}

void remote_in_print_metrics(struct remote_in *remote, struct buf *out)
{
    const struct {
        const char *name, *help, *type;
        unsigned long long value;
    } rows[] = {
        {"requests_total", "Remote write requests.", "counter", remote->requests},
        {"requests_v2_total", "Of these: remote write 2.0.", "counter", remote->requests_v2},
        {"samples_accepted_total", "Samples stored.", "counter", remote->samples_accepted},
        {"metadata_received_total", "Metadata entries read.", "counter",
         remote->metadata_received},
        {"exemplars_ignored_total", "Exemplars left out.", "counter", remote->exemplars_ignored},
        {"malformed_total", "Requests that did not parse or were too large.", "counter",
         remote->refused_malformed},
        {"busy_total", "Requests put off because the store could not take them.", "counter",
         remote->refused_busy},
        {"cached_series", "Series known by their label bytes.", "gauge",
         remote_cache_count(remote->cache)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_printf(out,
                   "# HELP fengsui_collector_remote_write_%s %s\n"
                   "# TYPE fengsui_collector_remote_write_%s %s\n"
                   "fengsui_collector_remote_write_%s %llu\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                   rows[i].value);
    buf_put_text(out,
                 "# HELP fengsui_collector_remote_write_samples_rejected_total Samples refused, "
                 "by reason.\n"
                 "# TYPE fengsui_collector_remote_write_samples_rejected_total counter\n");
    for (size_t i = 0; i < REJECTIONS; i++)
        buf_printf(out, "fengsui_collector_remote_write_samples_rejected_total{reason=\"%s\"} %llu\n",
                   rejection_names[i], (unsigned long long)remote->rejected[i]);
}
