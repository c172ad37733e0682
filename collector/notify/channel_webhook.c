/*
 * channel_webhook.c - Alertmanager's webhook, JSON version 4, over HTTP.
 *
 *     POST url   {"receiver","status","alerts":[{"status","labels","annotations","startsAt",
 *                "endsAt","generatorURL","fingerprint"}],"groupLabels","commonLabels",
 *                "commonAnnotations","externalURL","version":"4","groupKey","truncatedAlerts"}\n
 *                and, to a person of an incident, "incident" and "acknowledgeURL"; and, where
 *                alerts came and went unseen (passed.h), "past":{"count","text","alerts":[{
 *                "alertname","instance","severity","startsAt","endsAt","fingerprint"}]}
 *
 * Field order and escaping are Alertmanager's.  The message id travels as Idempotency-Key, so a
 * receiver that cares can drop what a retry sends twice.  2xx accepts; 5xx, 408, 429 and what
 * never got an answer are tried again soon; any other answer is tried again at the slowest pace.
 */
#include <inttypes.h>
#include <stdio.h>

#include "collector/notify/channel.h"
#include "collector/notify/http_oauth.h"
#include "collector/client/http_post.h"
#include "collector/notify/json.h"
#include "collector/notify/message_text.h"
#include "collector/notify/passed.h"
#include "proto/base/error.h"

#define PASSED_SHOWN_MAX ((size_t)100) /* of "past"; the count says how many there are */

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

/* A member beside Alertmanager's, so that whoever reads those alone misses nothing of them. */
static void put_passed(const struct message *message, struct buf *body)
{
    const struct passed_line *line = message->passed;
    size_t shown = line->count < PASSED_SHOWN_MAX ? line->count : PASSED_SHOWN_MAX;
    struct buf text = {0};

    message_put_passed(message, true, &text);
    if (text.size > 0)
        text.size--; /* its end of line */
    buf_printf(body, ",\"past\":{\"count\":%zu,\"text\":", line->count);
    json_put_string(body, buf_bytes(&text));
    buf_put_text(body, ",\"alerts\":[");
    for (size_t i = 0; i < shown; i++) {
        const struct passed_alert *alert = &line->alerts[i];
        char time[JSON_TIME_BYTES];
        buf_printf(body, "%s{\"alertname\":", i > 0 ? "," : "");
        json_put_text(body, alert->name);
        buf_put_text(body, ",\"instance\":");
        json_put_text(body, alert->instance);
        buf_put_text(body, ",\"severity\":");
        json_put_text(body, alert->severity);
        buf_printf(body, ",\"startsAt\":\"%s\"", json_time(alert->starts_ms, time));
        buf_printf(body, ",\"endsAt\":\"%s\"", json_time(alert->ends_ms, time));
        buf_printf(body, ",\"fingerprint\":\"%016" PRIx64 "\"}", alert->fingerprint);
    }
    buf_put_text(body, "]}");
    if (!buf_ok(&text))
        body->failed = true;
    buf_done(&text);
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
    buf_printf(body, ",\"truncatedAlerts\":%zu", message->alert_count - shown);
    if (message->incident != 0) {
        buf_printf(body, ",\"incident\":\"%" PRIu64 "\",\"acknowledgeURL\":",
                   message->incident);
        json_put_text(body, message->acknowledge_url == NULL ? "" : message->acknowledge_url);
    }
    if (message->passed != NULL)
        put_passed(message, body);
    buf_put_text(body, "}\n");
    return buf_ok(body) ? 0 : ERR_NOMEM;
}

static int webhook_prepare(const void *settings, CURL *easy, struct client_request *request,
                           struct diagnosis *why)
{
    const struct webhook_settings *webhook = settings;
    char key[64];
    int error = http_post_secret(webhook->url, webhook->url_file, &request->text, why);

    (void)snprintf(key, sizeof key, "Idempotency-Key: %s", request->id);
    if (error == 0)
        error = http_post_header(request, key);
    if (error == 0)
        error =
            http_post_prepare(&webhook->http, easy, request, "application/json", request->text,
                              request->body, why);
    return error;
}

static void webhook_judge(const void *settings, CURL *easy, CURLcode result,
                          struct client_request *request,
                          struct client_verdict *ret_verdict)
{
    const struct webhook_settings *webhook = settings;
    http_post_judge(easy, result, request, ret_verdict);
    ret_verdict->renews = webhook->http.oauth != NULL && http_oauth_is_worn_out(easy, result);
}

/* ---- the token of oauth2 ----------------------------------------------------------------- */

static bool token_is_needed(const void *settings)
{
    const struct webhook_settings *webhook = settings;
    return webhook->http.oauth != NULL;
}

static int token_put_key(const void *settings, struct buf *out, struct diagnosis *why)
{
    const struct webhook_settings *webhook = settings;
    return http_oauth_put_key(webhook->http.oauth, out, why);
}

static int token_prepare(const void *settings, CURL *easy, struct client_request *request,
                         struct diagnosis *why)
{
    const struct webhook_settings *webhook = settings;
    return http_oauth_prepare(webhook->http.oauth, easy, request, why);
}

static char *token_read(const void *settings, CURL *easy, CURLcode result,
                        const struct client_request *request, int64_t *ret_life_ms,
                        struct client_verdict *ret_verdict)
{
    (void)settings;
    return http_oauth_read(easy, result, request, ret_life_ms, ret_verdict);
}

static const struct channel_token webhook_token = {
    .is_needed = token_is_needed,
    .put_key = token_put_key,
    .prepare = token_prepare,
    .read = token_read,
};

const struct channel channel_webhook = {
    .name = "webhook",
    .compose = webhook_compose,
    .token = &webhook_token,
    .prepare = webhook_prepare,
    .judge = webhook_judge,
};
