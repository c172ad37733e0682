/*
 * api_fengsui.c - /api/fengsui/v1: probes, keys, process tables, policy, care of the store.
 *
 * Bodies of changes are JSON objects:
 *     keys/approve  {"key": "...", "job": "node", "instance": "web-01", "labels": {"site":
 * "unicom"}} keys/revoke   {"key": "..."} keys/token    {"expires": "24h", "uses": 10,
 * "labels": {"zone": "gov"}}
 */
#include <jansson.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/ingest/ingest.h"
#include "collector/remote/remote.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define TOKEN_EXPIRES_MS (INT64_C(24) * 60 * 60 * 1000)

void api_probes(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = ingest_print_probes_json(app_of(request)->ingest, &printed);
    api_answer_printed(response, error, &printed);
}

void api_keys(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = ingest_print_keys_json(app_of(request)->ingest, &printed);
    api_answer_printed(response, error, &printed);
}

void api_processes(struct http_request *request, struct http_response *response)
{
    const char *instance = http_parameter(request, "instance");
    int64_t at_ms = 0;
    if (instance == NULL || *instance == '\0') {
        reply_error(response, API_BAD_DATA, "no instance parameter provided");
        return;
    }
    if (!api_time(request, response, "time", clock_unix_ms(&clock_system), &at_ms))
        return;
    struct buf printed = {0};
    int error = ingest_print_processes_json(app_of(request)->ingest, instance, at_ms, &printed);
    if (error == ERR_NOTFOUND) {
        buf_done(&printed);
        reply_error(response, API_NOT_FOUND,
                    "no process table of \"%s\" at or before that time", instance);
        return;
    }
    api_answer_printed(response, error, &printed);
}

/* All rules, or with `instance` (and `job`) what that host gets, at `time`. */
void api_policy(struct http_request *request, struct http_response *response)
{
    const char *instance = http_parameter(request, "instance");
    const char *job = http_parameter(request, "job");
    int64_t at_ms = 0;
    if (!api_time(request, response, "time", clock_unix_ms(&clock_system), &at_ms))
        return;
    struct buf printed = {0};
    int error =
        ingest_print_policy_json(app_of(request)->ingest, job, instance, at_ms, &printed);
    if (error == ERR_NOTFOUND) {
        buf_done(&printed);
        reply_error(response, API_NOT_FOUND, "no approved host \"%s\"", instance);
        return;
    }
    api_answer_printed(response, error, &printed);
}

void api_settle(struct http_request *request, struct http_response *response)
{
    struct store *store = app_of(request)->store;
    bool early = param_is_true(http_parameter(request, "days"));
    int error = early ? store_settle_days(store) : store_settle(store);
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, NULL);
}

/* ---- summary --------------------------------------------------------------------------- */

static void integer(struct json_writer *json, const char *key, uint64_t value)
{
    json_write_key(json, key);
    json_write_integer(json, (int64_t)value);
}

/* Counts keys by the "state" that ingest prints. */
static void write_probe_counts(struct json_writer *json, struct ingest *ingest)
{
    struct buf printed = {0};
    if (ingest_print_keys_json(ingest, &printed) != 0)
        buf_clear(&printed);
    json_t *rows = json_loadb((const char *)printed.data, printed.size, 0, NULL);
    static const char *const states[] = {"up", "silent", "waiting", "pending", "revoked"};
    json_write_key(json, "probes");
    json_write_object(json);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        uint64_t count = 0;
        size_t index;
        json_t *row;
        json_array_foreach(rows, index, row)
        {
            const char *state = json_string_value(json_object_get(row, "state"));
            count += state != NULL && strcmp(state, states[i]) == 0;
        }
        integer(json, states[i], count);
    }
    json_write_end(json);
    json_decref(rows);
    buf_done(&printed);
}

static void write_store(struct json_writer *json, const struct store_stats *stats)
{
    json_write_key(json, "store");
    json_write_object(json);
    integer(json, "series", stats->series_active);
    integer(json, "samplesStored", stats->samples_stored);
    integer(json, "logLinesStored", stats->log_lines_stored);
    integer(json, "diskBytes", stats->disk_bytes);
    integer(json, "headBytes", stats->head_bytes);
    integer(json, "quarantined", stats->quarantined);
    json_write_key(json, "full");
    json_write_boolean(json, stats->full);
    json_write_key(json, "fullReason");
    json_write_text(json, stats->full_reason);
    json_write_end(json);
}

static void write_remote(void *context, const struct sender_status *status)
{
    struct json_writer *json = context;
    json_write_object(json);
    json_write_key(json, "name");
    json_write_text(json, status->name);
    json_write_key(json, "failing");
    json_write_boolean(json, status->is_failing);
    json_write_key(json, "error");
    json_write_text(json, status->is_failing ? status->error : "");
    json_write_key(json, "refusal");
    json_write_text(json, status->refusal);
    integer(json, "pending", status->pending_samples);
    integer(json, "lagSeconds", (uint64_t)status->lag_ms / MS_PER_SEC);
    integer(json, "sent", status->sent);
    integer(json, "refused", status->refused);
    integer(json, "lost", status->lost_samples);
    json_write_end(json);
}

void api_summary(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct store_stats store;
    struct rules_stats rules;
    struct notify_stats notify;
    store_get_stats(app->store, &store);
    rules_get_stats(app->rules, &rules);
    notify_get_stats(app->notify, &notify);
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    json_write_key(json, "version");
    json_write_text(json, FENGSUI_VERSION);
    json_write_key(json, "startTime");
    json_write_instant(json, app->started_ms);
    integer(json, "uptimeSeconds",
            (uint64_t)(clock_unix_ms(&clock_system) - app->started_ms) / MS_PER_SEC);
    json_write_key(json, "ready");
    json_write_boolean(json, app->ready && !store.full);
    write_probe_counts(json, app->ingest);
    write_store(json, &store);
    json_write_key(json, "alerts");
    json_write_object(json);
    integer(json, "firing", rules.alerts_firing + notify.alerts_posted + notify.alerts_ruleless);
    integer(json, "pending", rules.alerts_pending);
    integer(json, "rules", rules.rules);
    integer(json, "silenced", notify.alerts_silenced);
    integer(json, "inhibited", notify.alerts_inhibited);
    integer(json, "acknowledged", notify.alerts_acknowledged);
    integer(json, "silences", notify.silences_active);
    json_write_end(json);
    json_write_key(json, "notifications");
    json_write_object(json);
    integer(json, "sent", notify.notifications_sent);
    integer(json, "delivered", notify.notifications_delivered);
    integer(json, "failed", notify.notifications_failed);
    integer(json, "waiting", notify.outbox_depth);
    json_write_end(json);
    json_write_key(json, "remoteWrite");
    json_write_array(json);
    remote_each(app->remote, write_remote, json);
    json_write_end(json);
    const int error = api_write_retention(json, app->store);
    if (error != 0) {
        reply_code(response, error, NULL);
        return;
    }
    json_write_end(json);
    reply_finish(&reply, NULL, NULL);
}

/* ---- changes --------------------------------------------------------------------------- */

struct change {
    json_t *body;
    struct label labels[SERIES_LABELS_MAX]; /* texts are the body's */
    size_t label_count;
};

static int read_labels(struct change *change, struct diagnosis *why)
{
    json_t *labels = json_object_get(change->body, "labels");
    if (labels == NULL || json_is_null(labels))
        return 0;
    if (!json_is_object(labels) || json_object_size(labels) > SERIES_LABELS_MAX)
        return diagnose(why, ERR_INVALID, "labels must be an object of texts");
    const char *name;
    json_t *value;
    json_object_foreach(labels, name, value)
    {
        if (!json_is_string(value))
            return diagnose(why, ERR_INVALID, "label \"%s\" must be a text", name);
        change->labels[change->label_count++] = (struct label){
            bytes_of(name),
            {(const uint8_t *)json_string_value(value), json_string_length(value)}};
    }
    return 0;
}

static int read_change(const struct http_request *request, struct change *change,
                       struct diagnosis *why)
{
    *change = (struct change){0};
    json_error_t where;
    change->body = request->body.size == 0
                       ? json_object()
                       : json_loadb((const char *)request->body.data, request->body.size,
                                    JSON_REJECT_DUPLICATES, &where);
    if (change->body == NULL)
        return diagnose(why, ERR_MALFORMED, "body, line %d: %s", where.line, where.text);
    if (!json_is_object(change->body))
        return diagnose(why, ERR_INVALID, "the body must be a JSON object");
    return read_labels(change, why);
}

/* A text of the body; `fallback` if absent. */
static const char *text_of(const struct change *change, const char *name, const char *fallback)
{
    const char *text = json_string_value(json_object_get(change->body, name));
    return text != NULL ? text : fallback;
}

static void answer_change(struct http_request *request, struct http_response *response,
                          const char *what, const char *subject, int error,
                          const struct diagnosis *why)
{
    if (error == 0)
        log_info("audit", "user=%s did=%s subject=%s", request->user, what, subject);
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, why);
}

void api_approve(struct http_request *request, struct http_response *response)
{
    struct change change;
    struct diagnosis why = {0};
    int error = read_change(request, &change, &why);
    const char *key = text_of(&change, "key", "");
    if (error == 0 && *key == '\0')
        error = diagnose(&why, ERR_INVALID, "the body names no key");
    if (error == 0)
        error = ingest_approve(app_of(request)->ingest, key, text_of(&change, "job", NULL),
                               text_of(&change, "instance", NULL), change.labels,
                               change.label_count, &why);
    answer_change(request, response, "approve", key, error, &why);
    json_decref(change.body);
}

void api_revoke(struct http_request *request, struct http_response *response)
{
    struct change change;
    struct diagnosis why = {0};
    int error = read_change(request, &change, &why);
    const char *key = text_of(&change, "key", "");
    if (error == 0 && *key == '\0')
        error = diagnose(&why, ERR_INVALID, "the body names no key");
    if (error == 0)
        error = ingest_revoke(app_of(request)->ingest, key, &why);
    answer_change(request, response, "revoke", key, error, &why);
    json_decref(change.body);
}

static int new_token(struct http_request *request, struct change *change, char **ret_token,
                     int64_t *ret_expires_ms, struct diagnosis *why)
{
    int64_t life_ms = TOKEN_EXPIRES_MS;
    const char *expires = text_of(change, "expires", NULL);
    json_t *uses = json_object_get(change->body, "uses");
    if (expires != NULL && param_duration(expires, &life_ms, why) != 0)
        return ERR_INVALID;
    if (life_ms <= 0)
        return diagnose(why, ERR_INVALID, "expires must be longer than nothing");
    if (uses != NULL && (!json_is_integer(uses) || json_integer_value(uses) < 1))
        return diagnose(why, ERR_INVALID, "uses must be a number from 1");
    *ret_expires_ms = api_from_now(life_ms);
    return ingest_token_new(app_of(request)->ingest, *ret_expires_ms,
                            uses != NULL ? (uint64_t)json_integer_value(uses) : 1,
                            change->labels, change->label_count, ret_token, why);
}

void api_token(struct http_request *request, struct http_response *response)
{
    struct change change;
    struct diagnosis why = {0};
    char *token = NULL;
    int64_t expires_ms = 0;
    int error = read_change(request, &change, &why);
    if (error == 0)
        error = new_token(request, &change, &token, &expires_ms, &why);
    if (error != 0) {
        reply_code(response, error, &why);
    } else {
        log_info("audit", "user=%s did=token", request->user);
        struct reply reply;
        reply_start(&reply, response);
        json_write_object(&reply.json);
        json_write_key(&reply.json, "token");
        json_write_text(&reply.json, token);
        json_write_key(&reply.json, "expires");
        json_write_instant(&reply.json, expires_ms);
        json_write_end(&reply.json);
        reply_finish(&reply, NULL, NULL);
    }
    free(token);
    json_decref(change.body);
}
