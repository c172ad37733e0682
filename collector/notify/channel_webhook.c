/*
 * channel_webhook.c - Alertmanager's webhook, JSON version 4, over HTTP.
 *
 *     POST url   {"receiver","status","alerts":[{"status","labels","annotations","startsAt",
 *                "endsAt","generatorURL","fingerprint"}],"groupLabels","commonLabels",
 *                "commonAnnotations","externalURL","version":"4","groupKey","truncatedAlerts"}\n
 *
 * Field order and escaping are Alertmanager's.  The message id travels as Idempotency-Key, so a
 * receiver that cares can drop what a retry sends twice.  2xx accepts; 5xx, 408, 429 and what
 * never got an answer are tried again soon; any other answer is tried again at the slowest pace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/channel.h"
#include "collector/notify/json.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define SECRET_BYTES_MAX ((size_t)4096)

static void put_alert(const struct alert *alert, struct buf *body)
{
    char time[JSON_TIME_BYTES];
    buf_printf(body, "{\"status\":\"%s\",\"labels\":", alert->firing ? "firing" : "resolved");
    json_put_labels(body, alert->labels);
    buf_put_text(body, ",\"annotations\":");
    json_put_labels(body, alert->annotations);
    buf_printf(body, ",\"startsAt\":\"%s\"", json_time(alert->starts_ms, time));
    buf_printf(body, ",\"endsAt\":\"%s\"", json_time(alert->ends_ms, time));
    buf_put_text(body, ",\"generatorURL\":");
    json_put_text(body, alert->generator_url != NULL ? alert->generator_url : "");
    buf_printf(body, ",\"fingerprint\":\"%016" PRIx64 "\"}", alert->fingerprint);
}

static int webhook_compose(const void *settings, const struct message *message,
                           struct buf *body)
{
    const struct webhook_settings *webhook = settings;
    size_t shown = message->alert_count;
    if (webhook->max_alerts > 0 && shown > (size_t)webhook->max_alerts)
        shown = (size_t)webhook->max_alerts;

    buf_put_text(body, "{\"receiver\":");
    json_put_text(body, message->receiver);
    buf_printf(body, ",\"status\":\"%s\",\"alerts\":[",
               message->firing_count > 0 ? "firing" : "resolved");
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            buf_put_char(body, ',');
        put_alert(&message->alerts[i], body);
    }
    buf_put_text(body, "],\"groupLabels\":");
    json_put_labels(body, message->group_labels);
    buf_put_text(body, ",\"commonLabels\":");
    json_put_labels(body, message->common_labels);
    buf_put_text(body, ",\"commonAnnotations\":");
    json_put_labels(body, message->common_annotations);
    buf_put_text(body, ",\"externalURL\":");
    json_put_text(body, message->external_url);
    buf_put_text(body, ",\"version\":\"4\",\"groupKey\":");
    json_put_text(body, message->group_key);
    buf_printf(body, ",\"truncatedAlerts\":%zu}\n", message->alert_count - shown);
    return buf_ok(body) ? 0 : ERR_NOMEM;
}

static size_t keep_answer(char *data, size_t size, size_t count, void *context)
{
    struct channel_request *request = context;
    size_t bytes = size * count, room = 300 - (request->answer.size < 300
                                                   ? request->answer.size
                                                   : 300);
    buf_put(&request->answer, data, bytes < room ? bytes : room);
    return bytes; /* what does not fit is read and dropped */
}

/* The secret itself or the content of its file; *ret_text is the caller's to free. */
static int secret_of(const char *text, const char *file, char **ret_text, struct diagnosis *why)
{
    if (text == NULL)
        return file_read_secret(file, SECRET_BYTES_MAX, ret_text, why);
    *ret_text = strdup(text);
    return *ret_text != NULL ? 0 : ERR_NOMEM;
}

static int set_auth(const struct webhook_settings *webhook, CURL *easy,
                    struct channel_request *request, struct diagnosis *why)
{
    int error;
    if (webhook->username != NULL) {
        error = secret_of(webhook->password != NULL || webhook->password_file != NULL
                              ? webhook->password
                              : "",
                          webhook->password_file, &request->secret, why);
        if (error != 0)
            return error;
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, webhook->username);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, request->secret);
    } else if (webhook->bearer != NULL || webhook->bearer_file != NULL) {
        error = secret_of(webhook->bearer, webhook->bearer_file, &request->secret, why);
        if (error != 0)
            return error;
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        (void)curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, request->secret);
    }
    return 0;
}

static int add_header(struct channel_request *request, const char *text)
{
    struct curl_slist *longer = curl_slist_append(request->headers, text);
    if (longer == NULL)
        return ERR_NOMEM;
    request->headers = longer;
    return 0;
}

static int webhook_prepare(const void *settings, CURL *easy, struct channel_request *request,
                           struct diagnosis *why)
{
    const struct webhook_settings *webhook = settings;
    const char *url = webhook->url;
    char key[64];
    int error;

    if (url == NULL) {
        error = file_read_secret(webhook->url_file, SECRET_BYTES_MAX, &request->text, why);
        if (error != 0)
            return error;
        url = request->text;
    }
    (void)snprintf(key, sizeof key, "Idempotency-Key: %s", request->id);
    error = add_header(request, "Content-Type: application/json");
    if (error == 0)
        error = add_header(request, key);
    if (error == 0)
        error = add_header(request, "Expect:"); /* no waiting for 100-continue */
    if (error == 0)
        error = set_auth(webhook, easy, request, why);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "fengsui/" FENGSUI_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)request->body.data);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_answer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)webhook->timeout_ms);
    if (webhook->tls.ca_file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, webhook->tls.ca_file);
    if (webhook->tls.insecure_skip_verify) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return error;
}

static void webhook_judge(const void *settings, CURL *easy, CURLcode result,
                          const struct channel_request *request,
                          struct channel_verdict *ret_verdict)
{
    struct channel_verdict verdict = {0};
    long code = 0;
    (void)settings;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    if (result != CURLE_OK) {
        verdict.recoverable = true;
        (void)diagnose(&verdict.why, ERR_IO, "%s", curl_easy_strerror(result));
    } else if (code / 100 == 2) {
        verdict.accepted = true;
    } else {
        verdict.recoverable = code / 100 == 5 || code == 408 || code == 429;
        (void)diagnose(&verdict.why, ERR_IO, "HTTP status %ld: %.*s", code,
                       (int)strcspn(request->answer.size > 0
                                        ? (const char *)request->answer.data
                                        : "",
                                    "\r\n"),
                       request->answer.size > 0 ? (const char *)request->answer.data : "");
    }
    *ret_verdict = verdict;
}

const struct channel channel_webhook = {
    .name = "webhook",
    .compose = webhook_compose,
    .prepare = webhook_prepare,
    .judge = webhook_judge,
};
