/*
 * import_in.c - see import_in.h.
 *
 *     pass 1   the whole text is read; an error ends it here, and nothing has been touched
 *     pass 2   read again: each sample gets its series (cache, else the store)
 *     commit   one store_write; then the answer
 *
 * Reading twice costs less than taking back series that a bad last line should not have made.
 */
#include "collector/http/import_in.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "collector/http/import_series.h"
#include "collector/http/reply.h"
#include "collector/rules/rules.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/units.h"
#include "proto/exposition/exposition.h"

/* A sample this close to the retention's edge could pass it before it is committed. */
#define EDGE_MS (60 * 1000)

enum reason { REFUSE_LABELS, REFUSE_SERIES_LIMIT, REFUSE_FUTURE, REFUSE_RETENTION, REFUSALS };

static const char *const refusal_names[] = {"labels", "series_limit", "future", "retention"};

struct import_in {
    struct store *store;
    struct remote_cache *cache;
    struct rules *rules;
    atomic_ullong requests, samples_accepted, refused_malformed, refused_busy;
    atomic_ullong refused[REFUSALS];
};

struct job {
    struct store_write write; /* the store's, from submit to done */
    struct import_in *import;
    struct http_response *response;
    struct http_pending *pending;
    unsigned ticket;
    enum exposition_format format;
    struct exposition parser;
    uint8_t *line;
    int64_t default_ms, oldest_ms, latest_ms;
    struct import_series series;
    struct store_sample *samples;
    size_t sample_count, sample_limit;
    size_t refused[REFUSALS];
    struct diagnosis first_refused[REFUSALS];
};

int import_in_open(struct store *store, struct remote_cache *cache, struct rules *rules,
                   struct import_in **ret_import)
{
    struct import_in *import = calloc(1, sizeof *import);
    if (import == NULL)
        return ERR_NOMEM;
    import->store = store;
    import->cache = cache;
    import->rules = rules;
    *ret_import = import;
    return 0;
}

void import_in_close(struct import_in *import)
{
    free(import);
}

static void job_free(struct job *job)
{
    if (job == NULL)
        return;
    import_series_done(&job->series);
    free(job->samples);
    free(job->line);
    free(job);
}

/* ---- answering ------------------------------------------------------------------------- */

static void say_result(struct job *job)
{
    struct reply reply;
    size_t total = 0;
    for (size_t i = 0; i < REFUSALS; i++)
        total += job->refused[i];
    reply_start(&reply, job->response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "samplesStored");
    json_write_integer(&reply.json, (int64_t)job->sample_count);
    json_write_key(&reply.json, "samplesRefused");
    json_write_integer(&reply.json, (int64_t)total);
    json_write_key(&reply.json, "refused");
    json_write_array(&reply.json);
    for (size_t i = 0; i < REFUSALS; i++) {
        if (job->refused[i] == 0)
            continue;
        json_write_object(&reply.json);
        json_write_key(&reply.json, "reason");
        json_write_text(&reply.json, refusal_names[i]);
        json_write_key(&reply.json, "samples");
        json_write_integer(&reply.json, (int64_t)job->refused[i]);
        json_write_key(&reply.json, "first");
        json_write_text(&reply.json, job->first_refused[i].text);
        json_write_end(&reply.json);
    }
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

static void say_busy(struct http_response *response, const char *text)
{
    reply_error(response, API_UNAVAILABLE, "%s; nothing of this request was stored", text);
    http_add_header(response, "Retry-After", "5");
}

static void say_error(struct job *job, int error)
{
    bool is_busy = error == ERR_AGAIN || error == ERR_FULL;
    if (is_busy)
        atomic_fetch_add(&job->import->refused_busy, 1);
    if (error == ERR_NOMEM || is_busy)
        say_busy(job->response, error == ERR_AGAIN  ? "the write queue is full, try again"
                                : error == ERR_FULL ? "the disk or its quota is full"
                                                    : "out of memory, try again");
    else
        reply_code(job->response, error, NULL);
}

static void say_malformed(struct job *job, int error, const struct diagnosis *why)
{
    bool is_too_many = error == ERR_LIMIT && job->sample_count == job->sample_limit;
    atomic_fetch_add(&job->import->refused_malformed, 1);
    reply_error(job->response, API_BAD_DATA, "%s; nothing of this request was stored",
                why->text);
    if (is_too_many)
        job->response->status = 413;
}

static void finish(struct job *job)
{
    struct http_pending *pending = job->pending;
    remote_cache_leave(job->import->cache, job->ticket);
    job_free(job);
    http_finish(pending);
}

/* ---- samples --------------------------------------------------------------------------- */

static void refuse(struct job *job, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct job *job, enum reason reason, const char *format, ...)
{
    char text[DIAGNOSIS_BYTES];
    va_list arguments;
    atomic_fetch_add(&job->import->refused[reason], 1);
    if (job->refused[reason]++ > 0)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    diagnose(&job->first_refused[reason], 0, "line %" PRIu64 ": %s",
             exposition_line(&job->parser), text);
}

static bool time_is_kept(struct job *job, int64_t time_ms)
{
    if (time_ms > job->latest_ms) {
        refuse(job, REFUSE_FUTURE, "the time %" PRId64 " lies in the future", time_ms);
        return false;
    }
    if (time_ms >= job->oldest_ms)
        return true;
    char age[DURATION_TEXT_BYTES];
    int64_t retention_ms = store_retention_ms(job->import->store);
    if (retention_ms > 0)
        refuse(job, REFUSE_RETENTION, "the time %" PRId64 " is older than the retention of %s",
               time_ms, duration_format(retention_ms, age));
    else
        refuse(job, REFUSE_RETENTION, "the time %" PRId64 " is before any calendar", time_ms);
    return false;
}

/* Pass 2.  ERR_NOMEM ends the request; all else concerns the one sample. */
static int take_sample(struct job *job, const struct exposition_sample *sample)
{
    int64_t time_ms = sample->has_time ? sample->time_ms : job->default_ms;
    struct diagnosis why = {0};
    struct series *series = NULL;
    if (!time_is_kept(job, time_ms))
        return 0;
    int error = import_series_find(&job->series, sample, &series, &why);
    if (error == ERR_NOMEM)
        return error;
    if (error != 0) {
        refuse(job, error == ERR_LIMIT ? REFUSE_SERIES_LIMIT : REFUSE_LABELS, "%s", why.text);
        return 0;
    }
    job->samples[job->sample_count++] =
        (struct store_sample){.series = series, .ts_ms = time_ms, .value = sample->value};
    return 0;
}

/* Pass 1 only counts, and ends at the first error. */
static int count_sample(struct job *job, struct diagnosis *why)
{
    if (job->sample_count == IMPORT_SAMPLES_MAX)
        return diagnose(why, ERR_LIMIT, "more than %zu samples: send fewer in a request",
                        IMPORT_SAMPLES_MAX);
    job->sample_count++;
    return 0;
}

static int read_text(struct job *job, struct bytes text, bool is_counting,
                     struct diagnosis *why)
{
    struct exposition_sample sample;
    bool is_at_end = false;
    exposition_init(&job->parser, job->format, NULL, job->line, EXPOSITION_LINE_BYTES_MAX);
    exposition_read_marks(&job->parser);
    for (;;) {
        int got = is_at_end ? exposition_end(&job->parser, &sample, why)
                            : exposition_next(&job->parser, &text, &sample, why);
        int error = got < 0 ? got : 0;
        if (got == EXPOSITION_SAMPLE)
            error = is_counting ? count_sample(job, why) : take_sample(job, &sample);
        else if (got == EXPOSITION_METADATA && !is_counting)
            import_series_metadata(&job->series);
        else if (got == EXPOSITION_MORE && is_at_end)
            return 0;
        else if (got == EXPOSITION_MORE)
            is_at_end = true;
        if (error != 0)
            return error;
    }
}

/* ---- writing --------------------------------------------------------------------------- */

/* Writer thread: the commit is over. */
static void on_written(struct store_write *write, int error)
{
    struct job *job = write->context;
    struct import_in *import = job->import;
    if (error == 0) {
        atomic_fetch_add(&import->samples_accepted, write->sample_count);
        if (import->rules != NULL)
            rules_touch_without_witness(import->rules, write->samples, write->sample_count);
        say_result(job);
    } else {
        say_error(job, error);
    }
    finish(job);
}

static void submit(struct job *job)
{
    job->write = (struct store_write){.samples = job->samples,
                                      .sample_count = job->sample_count,
                                      .is_bulk = true,
                                      .done = on_written,
                                      .context = job};
    if (job->sample_count == 0) {
        say_result(job);
        finish(job);
        return;
    }
    int error = store_write_submit(job->import->store, &job->write);
    if (error == 0)
        return; /* on_written() may have run by now */
    say_error(job, error);
    finish(job);
}

/* ---- the request ----------------------------------------------------------------------- */

static bool read_timestamp(const struct http_request *request, int64_t *time_ms)
{
    const char *text = http_parameter(request, "timestamp");
    char *end = NULL;
    if (text == NULL || *text == '\0')
        return true;
    long long value = strtoll(text, &end, 10);
    if (*end != '\0' || value == INT64_MAX || value == INT64_MIN)
        return false;
    *time_ms = value;
    return true;
}

/* What the parameters say; false: the answer is in the response. */
static bool read_parameters(struct job *job, const struct http_request *request)
{
    struct diagnosis why = {0};
    const char *text = NULL;
    if (!read_timestamp(request, &job->default_ms)) {
        reply_invalid(job->response, "timestamp", "whole milliseconds since 1970 are expected");
        return false;
    }
    for (size_t at = 0; (text = http_parameter_next(request, "extra_label", &at)) != NULL;) {
        if (import_series_extra(&job->series, text, &why) != 0) {
            reply_invalid(job->response, "extra_label", why.text);
            return false;
        }
    }
    return true;
}

static bool encoding_is_known(const struct http_request *request)
{
    return *request->content_encoding == '\0' ||
           strcasecmp(request->content_encoding, "gzip") == 0 ||
           strcasecmp(request->content_encoding, "identity") == 0;
}

static struct job *job_new(struct import_in *import, const struct http_request *request,
                           struct http_response *response, struct http_pending *pending)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    int64_t now_ms = clock_unix_ms(&clock_system);
    int64_t retention_ms = store_retention_ms(import->store);
    job->import = import;
    job->response = response;
    job->pending = pending;
    job->format = exposition_format_of(request->content_type);
    job->default_ms = now_ms;
    job->latest_ms = now_ms + IMPORT_FUTURE_MS;
    job->oldest_ms = retention_ms > 0 ? now_ms - retention_ms + EDGE_MS : STORE_TIME_MS_MIN;
    job->sample_limit = IMPORT_SAMPLES_MAX;
    job->line = malloc(EXPOSITION_LINE_BYTES_MAX);
    import_series_init(&job->series, import->store, import->cache);
    if (job->line == NULL) {
        job_free(job);
        return NULL;
    }
    return job;
}

static void run(struct job *job, struct bytes text)
{
    struct diagnosis why = {0};
    int error = read_text(job, text, true, &why);
    if (error != 0) {
        say_malformed(job, error, &why);
        finish(job);
        return;
    }
    job->samples = malloc((job->sample_count + 1) * sizeof *job->samples);
    job->sample_count = 0;
    error = job->samples == NULL ? ERR_NOMEM : read_text(job, text, false, &why);
    if (error == 0) {
        submit(job);
        return;
    }
    say_error(job, error);
    finish(job);
}

void import_in_handle(struct import_in *import, struct http_request *request,
                      struct http_response *response, struct http_pending *pending)
{
    atomic_fetch_add(&import->requests, 1);
    struct job *job =
        encoding_is_known(request) ? job_new(import, request, response, pending) : NULL;
    if (job == NULL) {
        if (encoding_is_known(request)) {
            say_busy(response, "out of memory, try again");
        } else {
            reply_error(response, API_BAD_DATA, "Content-Encoding: gzip or none");
            response->status = 415;
        }
        http_finish(pending);
        return;
    }
    job->ticket = remote_cache_enter(import->cache);
    if (read_parameters(job, request))
        run(job, request->body);
    else
        finish(job);
}

void import_in_print_metrics(struct import_in *import, struct buf *out)
{
    const struct {
        const char *name, *help;
        unsigned long long value;
    } rows[] = {
        {"requests_total", "Imports of text.", import->requests},
        {"samples_accepted_total", "Samples stored.", import->samples_accepted},
        {"malformed_total", "Imports that did not parse or were too large.",
         import->refused_malformed},
        {"busy_total", "Imports put off because the store could not take them.",
         import->refused_busy},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_printf(out,
                   "# HELP fengsui_collector_import_%s %s\n"
                   "# TYPE fengsui_collector_import_%s counter\n"
                   "fengsui_collector_import_%s %llu\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].name, rows[i].value);
    buf_put_text(out,
                 "# HELP fengsui_collector_import_samples_refused_total Samples refused, by "
                 "reason.\n# TYPE fengsui_collector_import_samples_refused_total counter\n");
    for (size_t i = 0; i < REFUSALS; i++)
        buf_printf(out, "fengsui_collector_import_samples_refused_total{reason=\"%s\"} %llu\n",
                   refusal_names[i], (unsigned long long)import->refused[i]);
}
