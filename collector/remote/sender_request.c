/*
 * sender_request.c - a sender's transfers: made, judged, made again.
 *
 * What an answer means is the specification's: 2xx took it, 429 and 5xx want it again, any other
 * 4xx never will; but 413 says that so many samples are too many, and they go in halves.  Where 2.0 was asked for and the receiver does not know it (415, or a 2xx without
 * the header that says how much was written), 1.0 is spoken from then on.
 */
#include "collector/remote/sender_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/client/http_post.h"
#include "collector/remote/refused.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define CONNECT_TIMEOUT_MS  10000
#define STATUS_TOO_LARGE    413
#define PARTS_BEFORE_LARGER 64
#define RETRY_AFTER_MAX_S   3600
#define REFUSALS_EVERY_NS   ((mono_ns)60 * MS_PER_SEC * NS_PER_MS)
#define WRITTEN_HEADER      "X-Prometheus-Remote-Write-Samples-Written"

int sender_request_make(struct request *request)
{
    struct sender *sender = request->sender;
    struct shard *shard = &sender->window.shards[request->shard];
    buf_clear(&request->body);
    request->is_v2 = sender->speaks_v2;
    int error = encode_samples(&sender->encoder, shard->samples + request->first, request->count,
                               request->is_v2, &sender->metadata, &request->body);
    error = error == 0 && !buf_ok(&request->body) ? ERR_NOMEM : error;
    request->is_stale = error != 0;
    return error;
}

/* ---- starting ---------------------------------------------------------------------------- */

static int add_headers(struct request *request)
{
    const struct remote_settings *settings = &request->sender->settings;
    int error = http_post_header(&request->http, "Content-Encoding: snappy");
    if (error == 0)
        error = http_post_header(&request->http,
                                 request->is_v2 ? "X-Prometheus-Remote-Write-Version: 2.0.0"
                                                : "X-Prometheus-Remote-Write-Version: 0.1.0");
    for (size_t i = 0; error == 0 && i < settings->header_count; i++) {
        struct buf line = {0};
        buf_printf(&line, "%s: %s", settings->headers[i].name, settings->headers[i].value);
        error = buf_ok(&line) ? http_post_header(&request->http, buf_text(&line)) : ERR_NOMEM;
        buf_done(&line);
    }
    return error;
}

static int prepare(struct request *request, struct diagnosis *why)
{
    const struct remote_settings *settings = &request->sender->settings;
    if (request->easy == NULL)
        request->easy = curl_easy_init();
    else
        curl_easy_reset(request->easy); /* connections stay */
    if (request->easy == NULL)
        return ERR_NOMEM;
    int error = add_headers(request);
    if (error != 0)
        return error;
    (void)curl_easy_setopt(request->easy, CURLOPT_PRIVATE, request);
    (void)curl_easy_setopt(request->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(request->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return http_post_prepare(&settings->http, request->easy, &request->http,
                             request->is_v2
                                 ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
                                 : "application/x-protobuf",
                             settings->url, buf_bytes(&request->body), why);
}

/* ---- judging ----------------------------------------------------------------------------- */

static uint64_t samples_of(const struct request *request)
{
    return request->is_metadata ? 0 : request->count;
}

static void note_failure(struct request *request, const char *why)
{
    struct sender *sender = request->sender;
    must(pthread_mutex_lock(&sender->lock) == 0);
    bool is_news = !sender->status.is_failing;
    sender->status.is_failing = true;
    sender->status.request_failures++;
    sender->status.retried += samples_of(request);
    (void)snprintf(sender->status.error, sizeof sender->status.error, "%s", why);
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (is_news)
        log_warn("remote", "%s does not take samples, they wait: %s", sender->settings.name, why);
}

static void try_again(struct request *request, const char *why, int64_t pause_ms, mono_ns now)
{
    const struct remote_settings *settings = &request->sender->settings;
    note_failure(request, why);
    /* Who asks for a pause means all of us. */
    if (pause_ms > 0)
        request->sender->paused_until = now + (mono_ns)pause_ms * NS_PER_MS;
    int64_t wait_ms = request->backoff_ms > pause_ms ? request->backoff_ms : pause_ms;
    request->backoff_ms = request->backoff_ms * 2 < settings->max_backoff_ms
                              ? request->backoff_ms * 2
                              : settings->max_backoff_ms;
    request->next_try = now + (mono_ns)wait_ms * NS_PER_MS;
    request->state = REQUEST_WAITING;
}

static void note_heard(struct sender *sender)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    bool is_news = sender->status.is_failing;
    sender->status.is_failing = false;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (is_news)
        log_info("remote", "%s answers again", sender->settings.name);
}

size_t sender_request_size(const struct sender *sender, size_t samples)
{
    return sender->part_samples != 0 && samples > sender->part_samples ? sender->part_samples
                                                                       : samples;
}

/* What was too large once may not be so for ever: a receiver's limit can be raised. */
static void note_size_taken(const struct request *request)
{
    struct sender *sender = request->sender;
    if (sender->part_samples == 0 || request->count < sender->part_samples ||
        ++sender->part_taken < PARTS_BEFORE_LARGER)
        return;
    sender->part_taken = 0;
    sender->part_samples *= 2;
    if (sender->part_samples >= (size_t)sender->settings.max_samples_per_send)
        sender->part_samples = 0;
}

static void note_accepted(struct request *request, mono_ns now)
{
    struct sender *sender = request->sender;
    const struct shard *shard = &sender->window.shards[request->shard];
    note_heard(sender);
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.sent += request->count;
    sender->status.bytes_sent += request->body.size;
    if (shard->newest_ms > sender->status.newest_sent_ms)
        sender->status.newest_sent_ms = shard->newest_ms;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    note_size_taken(request);
    sender_part_done(sender, request->shard, now);
}

/* How many a 2.0 receiver says it has written; -1: it does not say. */
static int64_t written_of(CURL *easy)
{
    struct curl_header *header = NULL;
    char *end = NULL;
    if (curl_easy_header(easy, WRITTEN_HEADER, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return -1;
    long long written = strtoll(header->value, &end, 10);
    return end != header->value && written >= 0 ? written : -1;
}

static void note_refused(struct request *request, long status, const char *answer, mono_ns now)
{
    struct sender *sender = request->sender;
    const struct shard *shard = &sender->window.shards[request->shard];
    struct diagnosis why = {0};
    int64_t written = request->is_v2 ? written_of(request->easy) : -1;
    uint64_t taken = written > 0 && (uint64_t)written < request->count ? (uint64_t)written : 0;
    note_heard(sender);
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.sent += taken;
    sender->status.refused += request->count - taken;
    (void)snprintf(sender->status.refusal, sizeof sender->status.refusal, "%s", answer);
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (refused_write(sender->folder, clock_unix_ms(&clock_system), status, answer,
                      shard->samples + request->first, request->count, &why) != 0)
        log_warn("remote", "%s: what it refused cannot be set aside: %s", sender->settings.name,
                 why.text);
    if (sender->refusal_told_at == 0 || now - sender->refusal_told_at > REFUSALS_EVERY_NS) {
        sender->refusal_told_at = now;
        log_warn("remote", "%s refused %zu samples for good, they are in %s/refused: %s",
                 sender->settings.name, request->count, sender->folder, answer);
    }
    sender_part_done(sender, request->shard, now);
}

static int by_place(const void *a, const void *b)
{
    const struct encode_sample *left = a, *right = b;
    return (left->order > right->order) - (left->order < right->order);
}

/* The receiver takes no request so large: the first half of its samples goes first. */
static void split(struct request *request, mono_ns now)
{
    struct sender *sender = request->sender;
    struct shard *shard = &sender->window.shards[request->shard];
    note_heard(sender);
    /* Making the body has sorted them. */
    qsort(shard->samples + request->first, request->count, sizeof *shard->samples, by_place);
    request->count = (request->count + 1) / 2;
    if (sender->part_samples == 0 || request->count < sender->part_samples)
        sender->part_samples = request->count;
    sender->part_taken = 0;
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.requests_split++;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    request->is_stale = true;
    request->next_try = now;
    request->state = REQUEST_WAITING;
}

/* The receiver knows 1.0 alone. */
static void fall_back(struct request *request, mono_ns now)
{
    struct sender *sender = request->sender;
    if (sender->speaks_v2)
        log_warn("remote", "%s does not speak remote write 2.0: 1.0 from now on",
                 sender->settings.name);
    sender->speaks_v2 = false;
    request->is_stale = true;
    request->next_try = now;
    request->state = REQUEST_WAITING;
}

static void judge(struct request *request, CURLcode result, mono_ns now)
{
    const struct remote_settings *settings = &request->sender->settings;
    struct client_verdict verdict;
    long status = 0;
    curl_off_t retry_after = 0;
    http_post_judge(request->easy, result, &request->http, &verdict);
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (result != CURLE_OK)
        status = 0;
    if (retry_after > RETRY_AFTER_MAX_S)
        retry_after = RETRY_AFTER_MAX_S;
    bool is_refused = status / 100 == 4 && (status != 429 || !settings->retries_429);
    if (request->is_v2 &&
        (status == 415 || (verdict.accepted && written_of(request->easy) < 0)))
        fall_back(request, now);
    else if (verdict.accepted)
        note_accepted(request, now);
    else if (status == STATUS_TOO_LARGE && request->count > 1)
        split(request, now);
    else if (is_refused)
        note_refused(request, status, verdict.why.text, now);
    else
        try_again(request, verdict.why.text, retry_after * MS_PER_SEC, now);
}

/* ---- the three calls --------------------------------------------------------------------- */

void sender_request_start(struct request *request, mono_ns now)
{
    struct sender *sender = request->sender;
    struct diagnosis why = {0};
    int error = request->is_stale ? sender_request_make(request) : 0;
    if (error == 0)
        error = prepare(request, &why);
    if (error == 0 && curl_multi_add_handle(sender->multi, request->easy) != CURLM_OK)
        error = ERR_NOMEM;
    if (error == 0) {
        request->state = REQUEST_RUNNING;
        return;
    }
    (void)diagnose(&why, error, "%s", error_text(error));
    client_request_done(&request->http);
    if (request->is_metadata)
        sender_metadata_ended(sender, false);
    else
        try_again(request, why.text, 0, now);
}

void sender_request_ended(struct request *request, CURLcode result, mono_ns now)
{
    struct sender *sender = request->sender;
    struct client_verdict verdict;
    (void)curl_multi_remove_handle(sender->multi, request->easy);
    request->state = REQUEST_NONE;
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.requests++;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (request->is_metadata) {
        http_post_judge(request->easy, result, &request->http, &verdict);
        sender_metadata_ended(sender, verdict.accepted);
    } else {
        judge(request, result, now);
    }
    client_request_done(&request->http);
}

void sender_request_done(struct request *request)
{
    if (request->state == REQUEST_RUNNING)
        (void)curl_multi_remove_handle(request->sender->multi, request->easy);
    if (request->easy != NULL)
        curl_easy_cleanup(request->easy);
    client_request_done(&request->http);
    buf_done(&request->body);
    request->easy = NULL;
    request->state = REQUEST_NONE;
}
