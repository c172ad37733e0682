/*
 * api_alertmanager.c - /api/v2: Alertmanager's API, for amtool, Karma, Grafana and Prometheus.
 *
 * Source: Alertmanager api/v2/openapi.yaml and api.go.  Answers are its own, member for member;
 * errors are a JSON string, or {"code", "message"} where its framework refuses.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/http/alertmanager_body.h"
#include "collector/http/api_parts.h"
#include "collector/notify/json.h"
#include "collector/notify/route.h"
#include "collector/notify/view.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define POST_ARENA_BYTES ((size_t)256 << 20)

/* ---- errors ---------------------------------------------------------------------------- */

static void refuse(struct http_response *response, int status, int code, const char *text)
{
    struct json_writer json;
    http_drop_body(response);
    response->status = status;
    response->content_type = "application/json";
    json = json_write_to(&response->body);
    if (code == 0) {
        json_write_text(&json, text);
        buf_put_char(&response->body, '\n');
    } else {
        json_write_object(&json);
        json_write_key(&json, "code");
        json_write_integer(&json, code);
        json_write_key(&json, "message");
        json_write_text(&json, text);
        json_write_end(&json);
    }
}

static void refuse_error(struct http_response *response, int error, const struct diagnosis *why)
{
    static const struct {
        int error, status;
    } statuses[] = {{ERR_NOTFOUND, 404}, {ERR_INVALID, 400}, {ERR_MALFORMED, 400},
                    {ERR_LIMIT, 400},    {ERR_FULL, 503},    {ERR_AGAIN, 503},
                    {ERR_CANCELLED, 503}};
    int status = 500;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].error == error)
            status = statuses[i].status;
    refuse(response, status, 0, why->text[0] != '\0' ? why->text : error_text(error));
}

static struct json_writer begin(struct http_response *response)
{
    response->content_type = "application/json";
    http_add_header(response, "Cache-Control", "no-store");
    return json_write_to(&response->body);
}

/* The answer was printed with `error`. */
static void finish(struct http_response *response, int error)
{
    const struct diagnosis none = {0};
    if (error == 0 && !buf_ok(&response->body))
        error = ERR_NOMEM;
    if (error != 0)
        refuse_error(response, error, &none);
    else
        buf_put_char(&response->body, '\n');
}

/* ---- what is asked for ------------------------------------------------------------------ */

struct filter {
    struct matcher **matchers;
    size_t matcher_count;
    struct regex *receiver; /* NULL: any */
    bool active, silenced, inhibited, muted;
};

static void filter_done(struct filter *filter)
{
    for (size_t i = 0; i < filter->matcher_count; i++)
        matcher_free(filter->matchers[i]);
    free(filter->matchers);
    regex_free(filter->receiver);
}

static bool flag(const struct http_request *request, const char *name)
{
    const char *text = http_parameter(request, name);
    return text == NULL || *text == '\0' || param_is_true(text);
}

/* False: the error is in the response, nothing is to be freed. */
static bool filter_read(const struct http_request *request, struct http_response *response,
                        struct filter *filter)
{
    const char *text;
    struct diagnosis why = {0};
    int error = 0;

    *filter = (struct filter){.active = flag(request, "active"),
                              .silenced = flag(request, "silenced"),
                              .inhibited = flag(request, "inhibited"),
                              .muted = flag(request, "muted")};
    for (size_t at = 0;
         error == 0 && (text = http_parameter_next(request, "filter", &at)) != NULL;)
        error = route_matchers_parse(text, &filter->matchers, &filter->matcher_count, &why);
    text = http_parameter(request, "receiver");
    if (error == 0 && text != NULL && *text != '\0') {
        struct diagnosis inner = {0};
        error = regex_new(bytes_of(text), true, &filter->receiver, &inner);
        if (error == ERR_INVALID)
            (void)diagnose(&why, error, "failed to parse receiver param: %s", inner.text);
    }
    if (error == 0)
        return true;
    filter_done(filter);
    refuse_error(response, error, &why);
    return false;
}

static bool wants_receiver(const struct filter *filter, const char *name)
{
    return filter->receiver == NULL || regex_matches(filter->receiver, bytes_of(name), NULL);
}

/* ---- alerts ---------------------------------------------------------------------------- */

static void text_member(struct json_writer *json, const char *key, const char *text)
{
    json_write_key(json, key);
    json_write_text(json, text);
}

static void time_member(struct json_writer *json, const char *key, int64_t ts_ms)
{
    json_write_key(json, key);
    json_write_instant(json, ts_ms);
}

static void empty_list(struct json_writer *json, const char *key)
{
    json_write_key(json, key);
    json_write_array(json);
    json_write_end(json);
}

static bool is_suppressed(const struct view_alert *alert, int64_t now_ms)
{
    return muting_is_active(alert->muting, now_ms) || alert->is_inhibited;
}

/* `group` NULL: of the alert alone. */
static void write_status(struct json_writer *json, const struct view_alert *alert,
                         const struct view_group *group, int64_t now_ms)
{
    json_write_key(json, "status");
    json_write_object(json);
    json_write_key(json, "inhibitedBy");
    api_write_inhibited_by(json, alert);
    json_write_key(json, "mutedBy");
    json_write_array(json);
    for (size_t i = 0; group != NULL && i < group->muted_count; i++)
        json_write_text(json, group->muted_by[i]);
    json_write_end(json);
    json_write_key(json, "silencedBy");
    api_write_silenced_by(json, alert->muting, now_ms);
    text_member(json, "state",
                (group != NULL && group->muted_count > 0) || is_suppressed(alert, now_ms)
                    ? "suppressed"
                    : "active");
    json_write_end(json);
}

static void write_alert(struct json_writer *json, const struct view_alert *view,
                        const struct view_group *group, const char *const *receivers,
                        size_t receiver_count, int64_t now_ms)
{
    const struct alert *alert = view->alert;
    char fingerprint[API_FINGERPRINT_BYTES];
    json_write_object(json);
    json_write_key(json, "annotations");
    api_write_metric(json, alert->annotations);
    time_member(json, "endsAt", view->ends_ms);
    text_member(json, "fingerprint", api_fingerprint_text(alert->fingerprint, fingerprint));
    json_write_key(json, "receivers");
    json_write_array(json);
    for (size_t i = 0; i < receiver_count; i++) {
        json_write_object(json);
        text_member(json, "name", receivers[i]);
        json_write_end(json);
    }
    json_write_end(json);
    time_member(json, "startsAt", alert->starts_ms);
    write_status(json, view, group, now_ms);
    time_member(json, "updatedAt", alert->updated_ms);
    if (alert->generator_url != NULL && *alert->generator_url != '\0')
        text_member(json, "generatorURL", alert->generator_url);
    json_write_key(json, "labels");
    api_write_metric(json, alert->labels);
    json_write_end(json);
}

/* Writes the alert if the filter lets it through (receivers apart). */
static bool is_wanted(const struct filter *filter, const struct view_alert *alert,
                      int64_t now_ms)
{
    const bool silenced = muting_is_active(alert->muting, now_ms);
    return (!silenced || filter->silenced) && (!alert->is_inhibited || filter->inhibited) &&
           (is_suppressed(alert, now_ms) || filter->active) &&
           matchers_match(filter->matchers, filter->matcher_count, alert->alert->labels);
}

static int print_alerts(struct notify *notify, const struct filter *filter,
                        struct json_writer *json, int64_t now_ms)
{
    struct view_alert alert;
    struct view_walk walk;
    int error = view_walk(notify, now_ms, &walk);

    if (error != 0)
        return error;
    json_write_array(json);
    while (view_walk_next(notify, &walk, now_ms, &alert)) {
        const char *receivers[VIEW_RECEIVERS_MAX];
        size_t receiver_count = view_receivers_of(notify, alert.alert->labels, receivers);
        bool wanted = false;
        for (size_t j = 0; !wanted && j < receiver_count; j++)
            wanted = wants_receiver(filter, receivers[j]);
        if (wanted && is_wanted(filter, &alert, now_ms))
            write_alert(json, &alert, NULL, receivers, receiver_count, now_ms);
    }
    json_write_end(json);
    view_walk_done(&walk);
    return 0;
}

void api_am_alerts(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    struct filter filter;
    struct json_writer json;
    int error;

    if (!filter_read(request, response, &filter))
        return;
    json = begin(response);
    view_begin(notify);
    error = print_alerts(notify, &filter, &json, clock_unix_ms(&clock_system));
    view_end(notify);
    filter_done(&filter);
    finish(response, error);
}

/* A group with its alerts that are wanted; nothing if there is none. */
static void write_group(struct json_writer *json, struct notify *notify,
                        const struct view_group *group, const struct filter *filter,
                        int64_t now_ms)
{
    bool begun = false;
    for (size_t i = 0; i < group->alert_count; i++) {
        const char *receivers[VIEW_RECEIVERS_MAX];
        size_t count;
        if (!is_wanted(filter, &group->alerts[i], now_ms))
            continue;
        if (!begun) {
            json_write_object(json);
            json_write_key(json, "alerts");
            json_write_array(json);
        }
        begun = true;
        count = view_receivers_of(notify, group->alerts[i].alert->labels, receivers);
        write_alert(json, &group->alerts[i], group, receivers, count, now_ms);
    }
    if (!begun)
        return;
    json_write_end(json);
    json_write_key(json, "labels");
    api_write_metric(json, group->labels);
    json_write_key(json, "receiver");
    json_write_object(json);
    text_member(json, "name", group->receiver);
    json_write_end(json);
    json_write_end(json);
}

void api_am_groups(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    const int64_t now_ms = clock_unix_ms(&clock_system);
    struct filter filter;
    struct json_writer json;
    struct view_group group;
    struct view_walk walk = {0};
    int error;

    if (!filter_read(request, response, &filter))
        return;
    json = begin(response);
    view_begin(notify);
    error = view_walk_groups(notify, &walk);
    json_write_array(&json);
    while (error == 0 && view_walk_next_group(notify, &walk, now_ms, &group, &error))
        if (wants_receiver(&filter, group.receiver) && (filter.muted || group.muted_count == 0))
            write_group(&json, notify, &group, &filter, now_ms);
    json_write_end(&json);
    view_walk_done(&walk);
    view_end(notify);
    filter_done(&filter);
    finish(response, error);
}

void api_am_post_alerts(struct http_request *request, struct http_response *response)
{
    struct posted_alerts alerts = {0};
    struct body_refusal refusal = {0};
    struct arena arena;
    int error;

    arena_init(&arena, POST_ARENA_BYTES);
    error = alertmanager_read_alerts(request->body, clock_unix_ms(&clock_system), &arena,
                                     &alerts, &refusal);
    if (error == 0)
        error = notify_post(app_of(request)->notify, alerts.items, alerts.count, &arena,
                            &refusal.why);
    if (error != 0 && refusal.status == 0)
        refuse_error(response, error, &refusal.why);
    else if (refusal.status != 0)
        refuse(response, refusal.status, refusal.code, refusal.why.text);
    else if (alerts.refusal.status != 0)
        refuse(response, alerts.refusal.status, 0, alerts.refusal.why.text);
    arena_reset(&arena);
}

/* ---- silences -------------------------------------------------------------------------- */

static void write_silence(struct json_writer *json, const struct silence *silence,
                          int64_t now_ms)
{
    json_write_object(json);
    text_member(json, "id", silence->id);
    json_write_key(json, "status");
    json_write_object(json);
    text_member(json, "state", silence_state_text(silence_state(silence, now_ms)));
    json_write_end(json);
    time_member(json, "updatedAt", silence->updated_ms);
    text_member(json, "comment", silence->comment);
    text_member(json, "createdBy", silence->created_by);
    time_member(json, "endsAt", silence->ends_ms);
    json_write_key(json, "matchers");
    json_write_array(json);
    for (size_t i = 0; i < silence->matcher_count; i++) {
        const struct matcher *matcher = silence->matchers[i];
        json_write_object(json);
        json_write_key(json, "isEqual");
        json_write_boolean(json, matcher->kind == MATCH_EQUAL || matcher->kind == MATCH_REGEX);
        json_write_key(json, "isRegex");
        json_write_boolean(json,
                           matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX);
        json_write_key(json, "name");
        json_write_string(json, matcher->name);
        json_write_key(json, "value");
        json_write_string(json, matcher->value);
        json_write_end(json);
    }
    json_write_end(json);
    time_member(json, "startsAt", silence->starts_ms);
    json_write_end(json);
}

/* The filter against the silence's own matchers, taken as labels (as Alertmanager does). */
static int is_silence_wanted(const struct filter *filter, const struct silence *silence,
                             bool *ret_wanted)
{
    struct label pairs[SILENCE_MATCHERS_MAX];
    const struct labels *labels;
    struct arena arena;
    size_t count = 0;
    int error;

    for (size_t i = 0; i < silence->matcher_count; i++) {
        const struct matcher *matcher = silence->matchers[i];
        size_t at = 0;
        while (at < count && !bytes_equal(pairs[at].name, matcher->name))
            at++;
        pairs[at] = (struct label){matcher->name, matcher->value}; /* the last one counts */
        count += at == count;
    }
    arena_init(&arena, NAMES_ARENA_BYTES);
    error = labels_build(pairs, count, &arena, &labels);
    if (error == 0)
        *ret_wanted = matchers_match(filter->matchers, filter->matcher_count, labels);
    arena_reset(&arena);
    return error;
}

void api_am_silences(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    const int64_t now_ms = clock_unix_ms(&clock_system);
    const struct silence **silences = NULL;
    struct filter filter;
    struct json_writer json;
    size_t count = 0;
    int error;

    if (!filter_read(request, response, &filter))
        return;
    json = begin(response);
    view_begin(notify);
    error = view_silences(notify, now_ms, &silences, &count);
    json_write_array(&json);
    for (size_t i = 0; error == 0 && i < count; i++) {
        bool wanted = filter.matcher_count == 0;
        if (!wanted)
            error = is_silence_wanted(&filter, silences[i], &wanted);
        if (wanted)
            write_silence(&json, silences[i], now_ms);
    }
    json_write_end(&json);
    free(silences);
    view_end(notify);
    filter_done(&filter);
    finish(response, error);
}

/* 8-4-4-4-12 hex digits; else the answer is the framework's. */
static bool is_uuid(const char *id, struct http_response *response)
{
    bool good = strlen(id) == SILENCE_ID_BYTES - 1;
    for (size_t i = 0; good && i < SILENCE_ID_BYTES - 1; i++)
        good = i == 8 || i == 13 || i == 18 || i == 23
                   ? id[i] == '-'
                   : strchr("0123456789abcdefABCDEF", id[i]) != NULL;
    if (!good) {
        struct diagnosis why = {0};
        (void)diagnose(&why, ERR_INVALID, "silenceID in path must be of type uuid: \"%.64s\"",
                       id);
        refuse(response, 422, 601, why.text);
    }
    return good;
}

void api_am_silence(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    const struct silence *silence;
    struct json_writer json;

    if (!is_uuid(request->rest, response))
        return;
    json = begin(response);
    view_begin(notify);
    silence = view_silence(notify, request->rest);
    if (silence != NULL)
        write_silence(&json, silence, clock_unix_ms(&clock_system));
    view_end(notify);
    if (silence != NULL)
        finish(response, 0);
    else
        response->status = 404;
}

void api_am_post_silence(struct http_request *request, struct http_response *response)
{
    struct silence *silence = NULL;
    struct body_refusal refusal = {0};
    char id[SILENCE_ID_BYTES];
    struct json_writer json;
    int error = alertmanager_read_silence(request->body, clock_unix_ms(&clock_system), &silence,
                                          &refusal);

    if (error == 0)
        error = notify_silence_set(app_of(request)->notify, &silence, id, &refusal.why);
    if (error != 0 && refusal.status != 0) {
        refuse(response, refusal.status, refusal.code, refusal.why.text);
        return;
    }
    if (error != 0) {
        refuse_error(response, error, &refusal.why);
        return;
    }
    log_info("audit", "user=%s did=silence subject=%s", request->user, id);
    json = begin(response);
    json_write_object(&json);
    text_member(&json, "silenceID", id);
    json_write_end(&json);
    finish(response, 0);
}

void api_am_delete_silence(struct http_request *request, struct http_response *response)
{
    struct diagnosis why = {0};
    int error;

    if (!is_uuid(request->rest, response))
        return;
    error = notify_silence_expire(app_of(request)->notify, request->rest, &why);
    if (error != 0) {
        refuse_error(response, error, &why);
        return;
    }
    log_info("audit", "user=%s did=expire-silence subject=%s", request->user, request->rest);
}

/* ---- the server ------------------------------------------------------------------------ */

void api_am_receivers(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    struct json_writer json = begin(response);
    const char *name;

    view_begin(notify);
    json_write_array(&json);
    for (size_t i = 0; (name = view_receiver(notify, i)) != NULL; i++) {
        json_write_object(&json);
        text_member(&json, "name", name);
        json_write_end(&json);
    }
    json_write_end(&json);
    view_end(notify);
    finish(response, 0);
}

void api_am_status(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct json_writer json = begin(response);
    struct buf config = {0};

    view_begin(app->notify);
    view_print_config(app->notify, &config);
    view_end(app->notify);
    json_write_object(&json);
    json_write_key(&json, "cluster");
    json_write_object(&json);
    empty_list(&json, "peers");
    text_member(&json, "status", "disabled");
    json_write_end(&json);
    json_write_key(&json, "config");
    json_write_object(&json);
    text_member(&json, "original", buf_text(&config));
    json_write_end(&json);
    time_member(&json, "uptime", app->started_ms);
    json_write_key(&json, "versionInfo");
    json_write_object(&json);
    text_member(&json, "branch", "fengsui");
    text_member(&json, "buildDate", "");
    text_member(&json, "buildUser", "");
    text_member(&json, "goVersion", "");
    text_member(&json, "revision", FENGSUI_VERSION);
    text_member(&json, "version", API_ALERTMANAGER_VERSION);
    json_write_end(&json);
    json_write_end(&json);
    finish(response, buf_ok(&config) ? 0 : ERR_NOMEM);
    buf_done(&config);
}
