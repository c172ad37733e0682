/*
 * forward_send.c - one batch of alerts to one Alertmanager.
 *
 *     POST url   [{"labels","annotations","startsAt","endsAt","generatorURL"}, ...]
 */
#include "collector/notify/forward.h"
#include "collector/client/http_post.h"
#include "collector/notify/json.h"

void forward_put_alert(struct buf *body, const struct alert *alert, int64_t now_ms)
{
    char time[JSON_TIME_BYTES];
    buf_put_text(body, "{\"labels\":");
    json_put_labels(body, alert->labels);
    buf_put_text(body, ",\"annotations\":");
    json_put_labels(body, alert->annotations);
    buf_printf(body, ",\"startsAt\":\"%s\"", json_time(alert->starts_ms, time));
    buf_printf(body, ",\"endsAt\":\"%s\"",
               json_time(alert->firing ? now_ms + FORWARD_VALID_MS : alert->ends_ms, time));
    if (alert->generator_url != NULL && alert->generator_url[0] != '\0') {
        buf_put_text(body, ",\"generatorURL\":");
        json_put_text(body, alert->generator_url);
    }
    buf_put_char(body, '}');
}

static int prepare(const void *settings, CURL *easy, struct client_request *request,
                   struct diagnosis *why)
{
    const struct forward_target *target = settings;
    return http_post_prepare(&target->http, easy, request, "application/json", target->url,
                             request->body, why);
}

static void judge(const void *settings, CURL *easy, CURLcode result,
                  struct client_request *request, struct client_verdict *ret_verdict)
{
    (void)settings; /* its configuration may be gone by now */
    http_post_judge(easy, result, request, ret_verdict);
}

const struct channel channel_alertmanager = {
    .name = "alertmanager",
    .prepare = prepare,
    .judge = judge,
};
