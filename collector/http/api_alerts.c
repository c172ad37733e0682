/*
 * api_alerts.c - /api/fengsui/v1: alerts with all that is known of them, and acknowledging.
 *
 *     GET  alerts                 every pending and firing alert, silenced or acknowledged
 *     GET  alerts/past            what began and ended while the collector was down
 *     POST alerts/acknowledge     {"fingerprint": "16 hex digits", "comment": "..", "by": ".."}
 *     POST alerts/unacknowledge   {"fingerprint": "16 hex digits"}
 *     GET  session                who asks, and what they may do
 *
 * An acknowledgement bears the authenticated name; "by" counts only where there are no users.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/http/users.h"
#include "collector/notify/view.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

const char *api_fingerprint_text(uint64_t fingerprint, char text[API_FINGERPRINT_BYTES])
{
    (void)snprintf(text, API_FINGERPRINT_BYTES, "%016" PRIx64, fingerprint);
    return text;
}

void api_write_silenced_by(struct json_writer *json, const struct muting *muting,
                           int64_t now_ms)
{
    json_write_array(json);
    for (size_t i = 0; muting != NULL && i < muting->count; i++)
        if (silence_state(muting->silences[i], now_ms) == SILENCE_ACTIVE)
            json_write_text(json, muting->silences[i]->id);
    json_write_end(json);
}

void api_write_inhibited_by(struct json_writer *json, const struct view_alert *alert)
{
    char text[API_FINGERPRINT_BYTES];
    json_write_array(json);
    if (alert->is_inhibited)
        json_write_text(json, api_fingerprint_text(alert->inhibited_by, text));
    json_write_end(json);
}

/* ---- reading --------------------------------------------------------------------------- */

struct printing {
    struct json_writer *json;
    struct notify *notify;
    int64_t now_ms;
};

static void write_standing(const struct printing *printing, const char *state,
                           const struct labels *labels, const struct view_alert *view)
{
    struct json_writer *json = printing->json;
    const int64_t now_ms = printing->now_ms;
    const struct acknowledgement *acknowledgement = view->acknowledgement;
    const char *intervals[VIEW_INTERVALS_MAX];
    const size_t interval_count = view_muted_by(printing->notify, labels, now_ms, intervals);
    const bool muted =
        muting_is_active(view->muting, now_ms) || view->is_inhibited || interval_count > 0;
    json_write_key(json, "status");
    json_write_object(json);
    json_write_key(json, "state");
    json_write_text(json, muted ? "suppressed" : state);
    json_write_key(json, "silencedBy");
    api_write_silenced_by(json, view->muting, now_ms);
    json_write_key(json, "inhibitedBy");
    api_write_inhibited_by(json, view);
    json_write_key(json, "mutedBy");
    json_write_array(json);
    for (size_t i = 0; i < interval_count; i++)
        json_write_text(json, intervals[i]);
    json_write_end(json);
    json_write_end(json);
    json_write_key(json, "acknowledged");
    if (acknowledgement == NULL) {
        json_write_raw(json, bytes_of("null"));
        return;
    }
    json_write_object(json);
    json_write_key(json, "by");
    json_write_text(json, acknowledgement->by);
    json_write_key(json, "at");
    json_write_instant(json, acknowledgement->at_ms);
    json_write_key(json, "comment");
    json_write_text(json, acknowledgement->comment);
    json_write_end(json);
}

static void write_head(struct json_writer *json, uint64_t fingerprint,
                       const struct labels *labels, const struct labels *annotations,
                       const char *state, int64_t active_ms, const char *value)
{
    char text[API_FINGERPRINT_BYTES];
    json_write_key(json, "fingerprint");
    json_write_text(json, api_fingerprint_text(fingerprint, text));
    json_write_key(json, "labels");
    api_write_metric(json, labels);
    json_write_key(json, "annotations");
    api_write_metric(json, annotations);
    json_write_key(json, "state");
    json_write_text(json, state);
    json_write_key(json, "activeAt");
    json_write_instant(json, active_ms);
    json_write_key(json, "value");
    json_write_text(json, value);
}

/* A time, or null. */
static void write_since(struct json_writer *json, const char *key, int64_t since_ms)
{
    json_write_key(json, key);
    if (since_ms == 0)
        json_write_raw(json, bytes_of("null"));
    else
        json_write_instant(json, since_ms);
}

/* One of our own rules' alerts.  Until the notifier has taken it up it is "unprocessed". */
static int print_rules_alert(void *context, const struct rules_alert *alert)
{
    struct printing *printing = context;
    struct view_alert view = {0};
    struct muting own = {0};
    const bool known = strcmp(alert->state, "firing") == 0 &&
                       view_find(printing->notify, alert->labels, printing->now_ms, &view);
    int error =
        known ? 0 : view_muting(printing->notify, alert->labels, printing->now_ms, &own);

    if (error != 0)
        return error;
    json_write_object(printing->json);
    write_head(printing->json, alert->fingerprint, alert->labels, alert->annotations,
               alert->state, alert->active_ms, alert->value);
    write_since(printing->json, "staleSince", alert->stale_since_ms);
    write_since(printing->json, "flappingSince", alert->flapping_since_ms);
    if (!known)
        view = (struct view_alert){.muting = &own};
    write_standing(printing, known ? "active" : "unprocessed", alert->labels, &view);
    json_write_end(printing->json);
    muting_done(&own);
    return 0;
}

/* Those that no rule of ours made. */
static int print_other_alerts(struct printing *printing)
{
    struct view_alert view;
    struct view_walk walk;
    int error = view_walk(printing->notify, printing->now_ms, &walk);

    while (error == 0 && view_walk_next(printing->notify, &walk, printing->now_ms, &view)) {
        const struct alert *alert = view.alert;
        if (!alert->external && !alert->is_ruleless)
            continue;
        json_write_object(printing->json);
        write_head(printing->json, alert->fingerprint, alert->labels, alert->annotations,
                   "firing", alert->starts_ms, "");
        write_standing(printing, "active", alert->labels, &view);
        json_write_end(printing->json);
    }
    if (error == 0)
        view_walk_done(&walk);
    return error;
}

void api_fengsui_alerts_past(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = rules_print_past_json(app_of(request)->rules, &printed);
    api_answer_printed(response, error, &printed);
}

void api_fengsui_alerts(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct reply reply;
    struct printing printing = {&reply.json, app->notify, clock_unix_ms(&clock_system)};
    int error;

    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "alerts");
    json_write_array(&reply.json);
    view_begin(app->notify);
    error = rules_visit_alerts(app->rules, print_rules_alert, &printing);
    if (error == 0)
        error = print_other_alerts(&printing);
    view_end(app->notify);
    if (error != 0) {
        reply_code(response, error, NULL);
        return;
    }
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

void api_session(struct http_request *request, struct http_response *response)
{
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "user");
    json_write_text(&reply.json, request->user);
    json_write_key(&reply.json, "role");
    json_write_text(&reply.json, role_name(request->role));
    json_write_key(&reply.json, "users");
    json_write_boolean(&reply.json, *request->user != '\0'); /* with users nobody has no name */
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* ---- acknowledging --------------------------------------------------------------------- */

struct acknowledge_body {
    json_t *root; /* the texts are its */
    uint64_t fingerprint;
    const char *comment, *by;
};

static int read_text(const json_t *root, const char *name, const char **ret_text,
                     struct diagnosis *why)
{
    const json_t *member = json_object_get(root, name);
    *ret_text = "";
    if (member == NULL || json_is_null(member))
        return 0;
    if (!json_is_string(member))
        return diagnose(why, ERR_INVALID, "%s must be a text", name);
    *ret_text = json_string_value(member);
    return 0;
}

static int read_body(const struct http_request *request, struct acknowledge_body *body,
                     struct diagnosis *why)
{
    json_error_t where;
    const char *text;
    char *end;
    int error;

    body->root = json_loadb(request->body.size == 0 ? "" : (const char *)request->body.data,
                            request->body.size, JSON_REJECT_DUPLICATES, &where);
    if (body->root == NULL)
        return diagnose(why, ERR_MALFORMED, "body, line %d: %s", where.line, where.text);
    if (!json_is_object(body->root))
        return diagnose(why, ERR_INVALID, "the body must be a JSON object");
    error = read_text(body->root, "fingerprint", &text, why);
    if (error == 0)
        error = read_text(body->root, "comment", &body->comment, why);
    if (error == 0)
        error = read_text(body->root, "by", &body->by, why);
    if (error != 0)
        return error;
    body->fingerprint = strtoull(text, &end, 16);
    if (strlen(text) != API_FINGERPRINT_BYTES - 1 ||
        strspn(text, "0123456789abcdefABCDEF") != strlen(text))
        return diagnose(
            why, ERR_INVALID,
            "fingerprint must be the 16 hex digits that the list of alerts shows, not "
            "\"%.64s\"",
            text);
    return 0;
}

static void change(struct http_request *request, struct http_response *response,
                   bool taken_back)
{
    struct notify *notify = app_of(request)->notify;
    struct acknowledge_body body = {0};
    struct diagnosis why = {0};
    char fingerprint[API_FINGERPRINT_BYTES];
    struct reply reply;
    int error = read_body(request, &body, &why);

    if (error == 0 && taken_back)
        error = notify_unacknowledge(notify, body.fingerprint, &why);
    else if (error == 0)
        error = notify_acknowledge(notify, body.fingerprint,
                                   *request->user != '\0' ? request->user : body.by,
                                   body.comment, &why);
    if (error == 0)
        log_info("audit", "user=%s did=%s subject=%s", request->user,
                 taken_back ? "unacknowledge" : "acknowledge",
                 api_fingerprint_text(body.fingerprint, fingerprint));
    json_decref(body.root);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, &why);
}

void api_acknowledge(struct http_request *request, struct http_response *response)
{
    change(request, response, false);
}

void api_unacknowledge(struct http_request *request, struct http_response *response)
{
    change(request, response, true);
}
