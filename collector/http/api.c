/* api.c - the route table, and what handlers share. */
#include "collector/http/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/http/remote_parse.h"
#include "collector/http/remote_query.h"
#include "proto/base/error.h"

int api_open(struct app *app, struct api **ret_api)
{
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return ERR_NOMEM;
    api->app = app;
    int error = remote_in_open(app->store, &api->remote);
    if (error == 0)
        remote_in_set_rules(api->remote, app->rules);
    if (error == 0)
        error = import_in_open(app->store, remote_in_cache(api->remote), app->rules,
                               &api->import);
    if (error != 0) {
        api_close(api);
        return error;
    }
    *ret_api = api;
    return 0;
}

void api_close(struct api *api)
{
    if (api == NULL)
        return;
    import_in_close(api->import);
    remote_in_close(api->remote);
    free(api);
}

void api_print_metrics(const struct api *api, const struct http_server *server, struct buf *out)
{
    remote_in_print_metrics(api->remote, out);
    import_in_print_metrics(api->import, out);
    http_server_print_metrics(server, out);
}

static void api_write(struct http_request *request, struct http_response *response,
                      struct http_pending *pending)
{
    struct api *api = request->context;
    remote_in_handle(api->remote, request, response, pending);
}

static void api_import(struct http_request *request, struct http_response *response,
                       struct http_pending *pending)
{
    struct api *api = request->context;
    import_in_handle(api->import, request, response, pending);
}

#define BOTH   (HTTP_GET | HTTP_POST)
#define CHANGE (HTTP_POST | HTTP_PUT)
#define READS  ROLE_VIEWER, .slow = true  /* samples, lines, names */
#define SHOWS  ROLE_VIEWER, .brief = true /* how things are */

/* Machines' crontabs: a user's token, a writer's, or the job's own. */
#define PINGS ROLE_OPERATOR, .writers_too = true, .changes = true, .admits = api_job_admits, \
    .brief = true, .raw_body = true, .handler = api_job_ping

#define ALERTS_BODY_BYTES_MAX ((size_t)32 << 20)

static const struct http_route routes[] = {
    {HTTP_GET, "/", ROLE_VIEWER, .handler = api_console_page},
    {HTTP_GET, "/console/*", ROLE_VIEWER, .handler = api_console_asset},
    {HTTP_GET, "/-/healthy", ROLE_NONE, .handler = api_healthy},
    {HTTP_GET, "/-/ready", ROLE_NONE, .handler = api_ready},
    {CHANGE, "/-/reload", ROLE_ADMIN, .brief = true, .handler = api_reload},
    {HTTP_GET, "/-/reload", ROLE_ADMIN, .handler = api_needs_post},
    {CHANGE, "/-/quit", ROLE_ADMIN, .handler = api_quit},
    {HTTP_GET, "/-/quit", ROLE_ADMIN, .handler = api_needs_post},
    {HTTP_GET, "/metrics", SHOWS, .handler = api_metrics},
    {HTTP_GET, "/federate", READS, .handler = api_federate},

    {BOTH, "/api/v1/query", READS, .handler = api_query},
    {BOTH, "/api/v1/query_range", READS, .handler = api_query_range},
    {BOTH, "/api/v1/query_exemplars", READS, .handler = api_query_exemplars},
    {BOTH, "/api/v1/format_query", READS, .handler = api_format_query},
    {BOTH, "/api/v1/parse_query", READS, .handler = api_parse_query},
    {BOTH, "/api/v1/labels", READS, .at_once = true, .handler = api_labels},
    {HTTP_GET, "/api/v1/label/*", READS, .at_once = true, .handler = api_label_values},
    {BOTH, "/api/v1/series", READS, .handler = api_series},
    {HTTP_DELETE, "/api/v1/series", ROLE_ADMIN, .handler = api_delete_series},
    {HTTP_GET, "/api/v1/targets", SHOWS, .handler = api_targets},
    {HTTP_GET, "/api/v1/targets/metadata", READS, .handler = api_target_metadata},
    {HTTP_GET, "/api/v1/targets/relabel_steps", SHOWS, .handler = api_relabel_steps},
    {HTTP_GET, "/api/v1/scrape_pools", SHOWS, .handler = api_scrape_pools},
    {HTTP_GET, "/api/v1/scrape_pools/config", SHOWS, .handler = api_scrape_pool_config},
    {HTTP_GET, "/api/v1/alertmanagers", SHOWS, .handler = api_alertmanagers},
    {HTTP_GET, "/api/v1/metadata", READS, .handler = api_metadata},
    {HTTP_GET, "/api/v1/rules", SHOWS, .handler = api_rules},
    {HTTP_GET, "/api/v1/alerts", SHOWS, .handler = api_alerts},
    {HTTP_GET, "/api/v1/status/buildinfo", SHOWS, .handler = api_buildinfo},
    {HTTP_GET, "/api/v1/status/runtimeinfo", SHOWS, .handler = api_runtimeinfo},
    {HTTP_GET, "/api/v1/status/config", SHOWS, .handler = api_config},
    {HTTP_GET, "/api/v1/status/flags", SHOWS, .handler = api_flags},
    {HTTP_GET, "/api/v1/status/tsdb", READS, .handler = api_tsdb},
    {HTTP_GET, "/api/v1/status/tsdb/blocks", READS, .handler = api_blocks},
    {HTTP_GET, "/api/v1/status/self_metrics", SHOWS, .handler = api_self_metrics},
    {HTTP_GET, "/api/v1/status/walreplay", SHOWS, .handler = api_wal_replay},
    {HTTP_GET, "/api/v1/features", SHOWS, .handler = api_features},
    {HTTP_GET, "/api/v1/openapi.yaml", SHOWS, .handler = api_openapi},
    {HTTP_GET, "/api/v1/notifications", SHOWS, .handler = api_notifications},
    {HTTP_GET, "/api/v1/notifications/live", SHOWS, .handler = api_notifications_live},
    {CHANGE, "/api/v1/admin/tsdb/delete_series", ROLE_ADMIN, .slow = true,
     .handler = api_delete_samples},
    {CHANGE, "/api/v1/admin/tsdb/clean_tombstones", ROLE_ADMIN, .slow = true,
     .handler = api_clean_tombstones},
    {CHANGE, "/api/v1/admin/tsdb/snapshot", ROLE_ADMIN, .handler = api_admin_off},
    {BOTH, "/api/v1/search/metric_names", ROLE_VIEWER, .handler = api_search_off},
    {BOTH, "/api/v1/search/label_names", ROLE_VIEWER, .handler = api_search_off},
    {BOTH, "/api/v1/search/label_values", ROLE_VIEWER, .handler = api_search_off},
    {HTTP_POST, "/api/v1/otlp/v1/metrics", ROLE_WRITER, .handler = api_otlp_off},
    {HTTP_POST, "/api/v1/write", ROLE_WRITER, .later = api_write,
     .body_limit = REMOTE_BODY_BYTES_MAX},
    {HTTP_POST, "/api/v1/read", READS, .handler = api_remote_read,
     .body_limit = REMOTE_READ_BYTES_MAX, .raw_body = true},
    {BOTH, "/api/v1/export/prometheus", READS, .handler = api_export},
    {HTTP_POST, "/api/v1/import/prometheus", ROLE_WRITER, .later = api_import,
     .body_limit = IMPORT_BODY_BYTES_MAX, .raw_body = true},

    {HTTP_GET, "/api/v2/status", SHOWS, .handler = api_am_status},
    {HTTP_GET, "/api/v2/receivers", SHOWS, .handler = api_am_receivers},
    {HTTP_GET, "/api/v2/alerts", SHOWS, .handler = api_am_alerts},
    {HTTP_GET, "/api/v2/alerts/groups", SHOWS, .handler = api_am_groups},
    {HTTP_GET, "/api/v2/silences", SHOWS, .handler = api_am_silences},
    {HTTP_GET, "/api/v2/silence/*", SHOWS, .handler = api_am_silence},
    {HTTP_POST, "/api/v2/alerts", ROLE_OPERATOR, .writers_too = true, .brief = true,
     .handler = api_am_post_alerts, .body_limit = ALERTS_BODY_BYTES_MAX},
    {HTTP_POST, "/api/v2/silences", ROLE_OPERATOR, .brief = true,
     .handler = api_am_post_silence},
    {HTTP_DELETE, "/api/v2/silence/*", ROLE_OPERATOR, .brief = true,
     .handler = api_am_delete_silence},

    {HTTP_GET, "/api/fengsui/v1/status", SHOWS, .handler = api_summary},
    {HTTP_GET, "/api/fengsui/v1/probes", SHOWS, .handler = api_probes},
    {HTTP_GET, "/api/fengsui/v1/session", SHOWS, .handler = api_session},
    {HTTP_GET, "/api/fengsui/v1/alerts", SHOWS, .handler = api_fengsui_alerts},
    {HTTP_GET, "/api/fengsui/v1/alerts/past", SHOWS,
     .handler = api_fengsui_alerts_past},
    {HTTP_POST, "/api/fengsui/v1/alerts/acknowledge", ROLE_OPERATOR, .brief = true,
     .handler = api_acknowledge},
    {HTTP_POST, "/api/fengsui/v1/alerts/unacknowledge", ROLE_OPERATOR, .brief = true,
     .handler = api_unacknowledge},
    {HTTP_GET, "/api/fengsui/v1/jobs", SHOWS, .handler = api_jobs},
    {BOTH, "/api/fengsui/v1/jobs/*/start", PINGS},
    {BOTH, "/api/fengsui/v1/jobs/*/ok", PINGS},
    {BOTH, "/api/fengsui/v1/jobs/*/fail", PINGS},
    {HTTP_POST, "/api/fengsui/v1/jobs/*/pause", ROLE_OPERATOR, .brief = true,
     .handler = api_job_pause},
    {HTTP_POST, "/api/fengsui/v1/jobs/*/resume", ROLE_OPERATOR, .brief = true,
     .handler = api_job_resume},
    {HTTP_GET, "/api/fengsui/v1/jobs/*", SHOWS, .handler = api_job},
    {HTTP_GET, "/api/fengsui/v1/incidents", SHOWS, .handler = api_incidents},
    {HTTP_GET, "/api/fengsui/v1/incidents/*", SHOWS, .handler = api_incident},
    {HTTP_POST, "/api/fengsui/v1/incidents/acknowledge", ROLE_OPERATOR, .brief = true,
     .handler = api_incident_acknowledge},
    {HTTP_POST, "/api/fengsui/v1/incidents/unacknowledge", ROLE_OPERATOR, .brief = true,
     .handler = api_incident_unacknowledge},
    {HTTP_GET, "/api/fengsui/v1/duty/simulate", SHOWS, .handler = api_simulate},
    {BOTH, "/acknowledge", ROLE_NONE, .brief = true, .handler = api_link},
    {HTTP_GET, "/api/fengsui/v1/alerts/*", SHOWS, .handler = api_explain},
    {HTTP_GET, "/api/fengsui/v1/receivers", SHOWS, .handler = api_receivers},
    {HTTP_GET, "/api/fengsui/v1/logs", READS, .handler = api_logs},
    {HTTP_GET, "/api/fengsui/v1/processes", SHOWS, .handler = api_processes},
    {HTTP_GET, "/api/fengsui/v1/policy", SHOWS, .handler = api_policy},
    {HTTP_GET, "/api/fengsui/v1/duty/now", SHOWS, .handler = api_duty_now},
    {HTTP_GET, "/api/fengsui/v1/duty/shifts", SHOWS, .handler = api_duty_shifts},
    {HTTP_GET, "/api/fengsui/v1/duty/persons", SHOWS, .handler = api_duty_persons},
    {HTTP_GET, "/api/fengsui/v1/duty/coverage", SHOWS, .handler = api_duty_coverage},
    {HTTP_GET, "/api/fengsui/v1/duty/swaps", SHOWS, .handler = api_duty_swaps},
    {HTTP_POST, "/api/fengsui/v1/duty/swap", ROLE_OPERATOR, .brief = true,
     .handler = api_duty_swap},
    {HTTP_DELETE, "/api/fengsui/v1/duty/swap/*", ROLE_OPERATOR, .brief = true,
     .handler = api_duty_cancel},
    {HTTP_GET, "/api/fengsui/v1/keys", ROLE_OPERATOR, .brief = true, .handler = api_keys},
    {HTTP_POST, "/api/fengsui/v1/keys/approve", ROLE_OPERATOR, .brief = true,
     .handler = api_approve},
    {HTTP_POST, "/api/fengsui/v1/keys/revoke", ROLE_OPERATOR, .brief = true,
     .handler = api_revoke},
    {HTTP_POST, "/api/fengsui/v1/keys/token", ROLE_ADMIN, .brief = true, .handler = api_token},
    {HTTP_POST, "/api/fengsui/v1/channels/test", ROLE_OPERATOR, .brief = true,
     .handler = api_channel_test},
    {HTTP_GET, "/api/fengsui/v1/channels/test", ROLE_OPERATOR, .brief = true,
     .handler = api_channel_test_result},
    {HTTP_GET, "/api/fengsui/v1/notifications", SHOWS, .handler = api_ledger},
    {HTTP_POST, "/api/fengsui/v1/store/settle", ROLE_ADMIN, .slow = true,
     .handler = api_settle},
    {HTTP_GET, "/api/fengsui/v1/store/delete", ROLE_ADMIN, .handler = api_deletes},
    {BOTH, "/api/fengsui/v1/store/delete/preview", ROLE_ADMIN, .slow = true,
     .handler = api_delete_preview},
    {HTTP_GET, "/api/fengsui/v1/store/stat", ROLE_ADMIN, .slow = true,
     .handler = api_store_stat},
    {HTTP_POST, "/api/fengsui/v1/store/backup", ROLE_ADMIN, .slow = true,
     .handler = api_backup_begin},
    {HTTP_GET, "/api/fengsui/v1/store/backup", ROLE_ADMIN, .handler = api_backup_state},
    {HTTP_DELETE, "/api/fengsui/v1/store/backup", ROLE_ADMIN, .handler = api_backup_cancel},
    {HTTP_POST, "/api/fengsui/v1/store/verify", ROLE_ADMIN, .slow = true,
     .handler = api_verify_begin},
    {HTTP_GET, "/api/fengsui/v1/store/verify", ROLE_ADMIN, .handler = api_verify_state},
    {HTTP_DELETE, "/api/fengsui/v1/store/verify", ROLE_ADMIN, .handler = api_verify_cancel},
};

const struct http_route *api_routes(size_t *ret_count)
{
    *ret_count = sizeof routes / sizeof *routes;
    return routes;
}

bool api_time(const struct http_request *request, struct http_response *response,
              const char *name, int64_t fallback_ms, int64_t *ret_ms)
{
    const char *text = http_parameter(request, name);
    struct diagnosis why = {0};
    int64_t ms = fallback_ms;
    if (text != NULL && *text != '\0' && param_time(text, &ms, &why) != 0) {
        reply_error(response, API_BAD_DATA,
                    "invalid parameter \"%s\": Invalid time value for '%s': %s", name, name,
                    why.text);
        return false;
    }
    *ret_ms = ms < TIME_FIRST_MS ? TIME_FIRST_MS : ms > TIME_LAST_MS ? TIME_LAST_MS : ms;
    return true;
}

bool api_deadline(const struct http_request *request, struct http_response *response,
                  int64_t *ret_mono_ns)
{
    struct diagnosis why = {0};
    const char *text = http_parameter(request, "timeout");
    int64_t timeout_ms = app_of(request)->query_timeout_ms;
    int64_t asked_ms = timeout_ms;
    if (text != NULL && *text != '\0' && param_duration(text, &asked_ms, &why) != 0) {
        reply_invalid(response, "timeout", why.text);
        return false;
    }
    if (asked_ms < timeout_ms)
        timeout_ms = asked_ms < 0 ? 0 : asked_ms;
    *ret_mono_ns = (int64_t)request->asked_mono_ns + timeout_ms * (int64_t)NS_PER_MS;
    return true;
}

int64_t api_piece_deadline(int64_t piece_ms)
{
    return (int64_t)clock_mono(&clock_system) + piece_ms * (int64_t)NS_PER_MS;
}

bool api_is_in_time(struct http_response *response, int64_t deadline_mono_ns)
{
    if ((int64_t)clock_mono(&clock_system) < deadline_mono_ns)
        return true;
    reply_error(response, API_TIMEOUT, "query timed out in query queue");
    return false;
}

void api_store_error(struct http_response *response, int error, const struct arena *arena,
                     const struct diagnosis *why)
{
    if (error == ERR_TIMEOUT)
        reply_error(response, API_TIMEOUT, "query timed out in query execution");
    else if (error == ERR_CANCELLED)
        reply_error(response, API_CANCELED, "query was canceled in query execution");
    else if (error == ERR_LIMIT && arena != NULL && arena->total_refused)
        reply_error(response, API_EXECUTION,
                    "all queries together have no memory left; try again");
    else
        reply_code(response, error, why);
}

int64_t api_from_now(int64_t span_ms)
{
    int64_t now_ms = clock_unix_ms(&clock_system);
    return span_ms > STORE_TIME_MS_MAX - now_ms ? STORE_TIME_MS_MAX : now_ms + span_ms;
}

bool api_number(const struct http_request *request, struct http_response *response,
                const char *name, int64_t *ret_number)
{
    const char *text = http_parameter(request, name);
    char *end = NULL;
    *ret_number = -1;
    if (text == NULL || *text == '\0')
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end != '\0' || errno != 0 || end == text || strchr(" \t\n\v\f\r", *text) != NULL) {
        reply_error(response, API_BAD_DATA, "%s must be a number", name);
        return false;
    }
    *ret_number = value;
    return true;
}

bool api_limit(const struct http_request *request, struct http_response *response,
               size_t *ret_limit)
{
    struct diagnosis why = {0};
    if (param_limit(http_parameter(request, "limit"), ret_limit, &why) == 0)
        return true;
    reply_invalid(response, "limit", why.text);
    return false;
}

void api_query_error(struct http_response *response, const char *parameter,
                     const struct promql_error *error)
{
    static const enum api_error kinds[] = {
        [PROMQL_OK] = API_INTERNAL,       [PROMQL_BAD_DATA] = API_BAD_DATA,
        [PROMQL_EXECUTION] = API_EXECUTION, [PROMQL_TIMEOUT] = API_TIMEOUT,
        [PROMQL_CANCELLED] = API_CANCELED, [PROMQL_INTERNAL] = API_INTERNAL,
    };
    enum api_error kind = kinds[error->failure];
    if (kind != API_BAD_DATA)
        reply_error(response, kind, "%s", error->why.text);
    else if (error->line > 0)
        reply_error(response, kind, "invalid parameter \"%s\": %u:%u: parse error: %s",
                    parameter, error->line, error->column, error->why.text);
    else
        reply_invalid(response, parameter, error->why.text);
}

/* What a selector takes, about: a pattern's program is the most of it. */
#define SELECTOR_BYTES               ((size_t)512)
#define SELECTOR_BYTES_PER_CHARACTER ((size_t)64)

#define MATCH_NOTHING "match[] must contain at least one non-empty matcher"

static bool matches_something(const struct selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        if (!matcher_matches_empty(selector->matchers[i]))
            return true;
    }
    return false;
}

/* Says what is wrong with a selector: Prometheus names the parameter for some routes only, and
 * /federate speaks plain text. */
static void refuse_selector(struct http_response *response, enum selector_errors errors,
                            int code, const struct promql_error *error)
{
    char text[DIAGNOSIS_BYTES + 40];
    if (code == 0 || error->is_empty_selector)
        (void)snprintf(text, sizeof text, "%s", MATCH_NOTHING);
    else if (error->line > 0)
        (void)snprintf(text, sizeof text, "%u:%u: parse error: %s", error->line, error->column,
                       error->why.text);
    else
        (void)snprintf(text, sizeof text, "%s", error->why.text);
    if (errors == SELECTOR_ERRORS_NAMED) {
        reply_invalid(response, "match[]", text);
    } else if (errors == SELECTOR_ERRORS_BARE) {
        reply_error(response, API_BAD_DATA, "%s", text);
    } else {
        response->status = 400;
        response->content_type = "text/plain; charset=utf-8";
        buf_printf(&response->body, "%s\n", text);
    }
}

/* Counts them, and what they are going to take. */
static bool hold_selectors(const struct http_request *request, struct http_response *response,
                           struct selectors *selectors)
{
    const char *text = NULL;
    for (size_t at = 0; (text = http_parameter_next(request, "match[]", &at)) != NULL;) {
        selectors->count++;
        selectors->held_bytes += SELECTOR_BYTES + SELECTOR_BYTES_PER_CHARACTER * strlen(text);
    }
    selectors->memory = api_memory(request);
    if (!arena_total_hold(selectors->memory, selectors->held_bytes)) {
        reply_error(response, API_EXECUTION, "there is no memory left for so many selectors");
        return false;
    }
    selectors->items = calloc(selectors->count + 1, sizeof *selectors->items);
    if (selectors->items == NULL) {
        arena_total_release(selectors->memory, selectors->held_bytes);
        reply_code(response, ERR_NOMEM, NULL);
        return false;
    }
    return true;
}

bool api_selectors(const struct http_request *request, struct http_response *response,
                   enum selector_errors errors, struct selectors *ret_selectors)
{
    struct selectors selectors = {0};
    if (!hold_selectors(request, response, &selectors))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < selectors.count; i++) {
        struct selector *selector = &selectors.items[i];
        struct promql_error error = {0};
        const char *text = http_parameter_next(request, "match[]", &at);
        int code = promql_parse_selector(text, &selector->matchers, &selector->count, &error);
        if (code == 0 && matches_something(selector))
            continue;
        refuse_selector(response, errors, code, &error);
        api_selectors_free(&selectors);
        return false;
    }
    *ret_selectors = selectors;
    return true;
}

void api_selectors_free(struct selectors *selectors)
{
    for (size_t i = 0; i < selectors->count; i++)
        promql_matchers_free(selectors->items[i].matchers, selectors->items[i].count);
    free(selectors->items);
    arena_total_release(selectors->memory, selectors->held_bytes);
}

void *api_grow(struct arena *arena, void *items, size_t count, size_t more, size_t item_bytes,
               size_t *capacity)
{
    if (count + more <= *capacity)
        return items;
    size_t wanted = 2 * count + more;
    void *grown = arena_alloc_raw(arena, wanted, item_bytes);
    if (grown == NULL)
        return NULL;
    if (count > 0)
        memcpy(grown, items, count * item_bytes);
    *capacity = wanted;
    return grown;
}

int api_series_add(struct series_list *list, struct arena *arena,
                   const struct series_samples *found, size_t count)
{
    if (count == 0)
        return 0;
    struct series_samples *items =
        api_grow(arena, list->items, list->count, count, sizeof *items, &list->capacity);
    if (items == NULL)
        return ERR_LIMIT;
    memcpy(items + list->count, found, count * sizeof *items);
    list->items = items;
    list->count += count;
    return 0;
}

bool api_expression(const struct http_request *request, struct http_response *response,
                    struct promql_expression **ret_expression)
{
    const char *text = http_parameter(request, "query");
    struct promql_error error = {0};
    if (promql_parse(text != NULL ? text : "", ret_expression, &error) == 0)
        return true;
    error.failure = error.failure == PROMQL_INTERNAL ? PROMQL_INTERNAL : PROMQL_BAD_DATA;
    api_query_error(response, "query", &error);
    return false;
}

void api_answer_printed(struct http_response *response, int error, struct buf *printed)
{
    if (error != 0 || !buf_ok(printed)) {
        reply_code(response, error != 0 ? error : ERR_NOMEM, NULL);
    } else {
        struct reply reply;
        reply_start(&reply, response);
        json_write_raw(&reply.json, buf_bytes(printed));
        reply_finish(&reply, NULL, NULL);
    }
    buf_done(printed);
}

void api_write_metric(struct json_writer *json, const struct labels *labels)
{
    json_write_object(json);
    for (size_t i = 0; labels != NULL && i < labels->count; i++) {
        json_write_key_bytes(json, labels->pairs[i].name);
        json_write_string(json, labels->pairs[i].value);
    }
    json_write_end(json);
}
