/* api.c - the route table, and what handlers share. */
#include "collector/http/api.h"

#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/http/remote_parse.h"
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
    remote_in_close(api->remote);
    free(api);
}

static void api_write(struct http_request *request, struct http_response *response,
                      struct http_pending *pending)
{
    struct api *api = request->context;
    remote_in_handle(api->remote, request, response, pending);
}

#define BOTH   (HTTP_GET | HTTP_POST)
#define CHANGE (HTTP_POST | HTTP_PUT)
#define READS  ROLE_VIEWER, .slow = true

static const struct http_route routes[] = {
    {HTTP_GET, "/", ROLE_VIEWER, .handler = api_page},
    {HTTP_GET, "/-/healthy", ROLE_NONE, .handler = api_healthy},
    {HTTP_GET, "/-/ready", ROLE_NONE, .handler = api_ready},
    {CHANGE, "/-/reload", ROLE_ADMIN, .slow = true, .handler = api_reload},
    {HTTP_GET, "/metrics", READS, .handler = api_metrics},
    {HTTP_GET, "/federate", READS, .handler = api_federate},

    {BOTH, "/api/v1/query", READS, .handler = api_query},
    {BOTH, "/api/v1/query_range", READS, .handler = api_query_range},
    {BOTH, "/api/v1/query_exemplars", READS, .handler = api_query_exemplars},
    {BOTH, "/api/v1/format_query", READS, .handler = api_format_query},
    {BOTH, "/api/v1/labels", READS, .handler = api_labels},
    {HTTP_GET, "/api/v1/label/*", READS, .handler = api_label_values},
    {BOTH, "/api/v1/series", READS, .handler = api_series},
    {HTTP_GET, "/api/v1/metadata", READS, .handler = api_metadata},
    {HTTP_GET, "/api/v1/rules", READS, .handler = api_rules},
    {HTTP_GET, "/api/v1/alerts", READS, .handler = api_alerts},
    {HTTP_GET, "/api/v1/status/buildinfo", READS, .handler = api_buildinfo},
    {HTTP_GET, "/api/v1/status/runtimeinfo", READS, .handler = api_runtimeinfo},
    {HTTP_GET, "/api/v1/status/config", READS, .handler = api_config},
    {HTTP_GET, "/api/v1/status/flags", READS, .handler = api_flags},
    {HTTP_GET, "/api/v1/status/tsdb", READS, .handler = api_tsdb},
    {HTTP_POST, "/api/v1/write", ROLE_WRITER, .later = api_write,
     .body_limit = REMOTE_BODY_BYTES_MAX},

    {HTTP_GET, "/api/fengsui/v1/status", READS, .handler = api_summary},
    {HTTP_GET, "/api/fengsui/v1/probes", READS, .handler = api_probes},
    {HTTP_GET, "/api/fengsui/v1/alerts", READS, .handler = api_alerts},
    {HTTP_GET, "/api/fengsui/v1/logs", READS, .handler = api_logs},
    {HTTP_GET, "/api/fengsui/v1/processes", READS, .handler = api_processes},
    {HTTP_GET, "/api/fengsui/v1/keys", ROLE_OPERATOR, .slow = true, .handler = api_keys},
    {HTTP_POST, "/api/fengsui/v1/keys/approve", ROLE_OPERATOR, .slow = true,
     .handler = api_approve},
    {HTTP_POST, "/api/fengsui/v1/keys/revoke", ROLE_OPERATOR, .slow = true,
     .handler = api_revoke},
    {HTTP_POST, "/api/fengsui/v1/keys/token", ROLE_ADMIN, .slow = true, .handler = api_token},
    {HTTP_POST, "/api/fengsui/v1/channels/test", ROLE_OPERATOR, .slow = true,
     .handler = api_channel_test},
    {HTTP_GET, "/api/fengsui/v1/channels/test", ROLE_OPERATOR, .slow = true,
     .handler = api_channel_test_result},
    {HTTP_POST, "/api/fengsui/v1/store/settle", ROLE_ADMIN, .slow = true,
     .handler = api_settle},
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
        reply_invalid(response, name, why.text);
        return false;
    }
    *ret_ms = ms < TIME_FIRST_MS ? TIME_FIRST_MS : ms > TIME_LAST_MS ? TIME_LAST_MS : ms;
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

#define MATCH_NOTHING "match[] must contain at least one non-empty matcher"

static bool matches_something(const struct selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        if (!matcher_matches_empty(selector->matchers[i]))
            return true;
    }
    return false;
}

bool api_selectors(const struct http_request *request, struct http_response *response,
                   struct selectors *ret_selectors)
{
    struct selectors selectors = {0};
    while (http_parameter_at(request, "match[]", selectors.count) != NULL)
        selectors.count++;
    selectors.items = calloc(selectors.count + 1, sizeof *selectors.items);
    if (selectors.items == NULL) {
        reply_code(response, ERR_NOMEM, NULL);
        return false;
    }
    for (size_t i = 0; i < selectors.count; i++) {
        struct selector *selector = &selectors.items[i];
        struct promql_error error = {0};
        const char *text = http_parameter_at(request, "match[]", i);
        int code = promql_parse_selector(text, &selector->matchers, &selector->count, &error);
        if (code != 0 && error.is_empty_selector) {
            reply_invalid(response, "match[]", MATCH_NOTHING);
        } else if (code != 0) {
            error.failure = PROMQL_BAD_DATA;
            api_query_error(response, "match[]", &error);
        } else if (!matches_something(selector)) {
            reply_invalid(response, "match[]", MATCH_NOTHING);
        } else {
            continue;
        }
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
