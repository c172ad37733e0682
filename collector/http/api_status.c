/* api_status.c - how the collector is, in Prometheus's words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector/http/api.h"
#include "collector/http/api_parts.h"
#include "collector/self.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

/* Grafana reads the major version to know which API it may use. */
#define SPOKEN_VERSION "3.5.0"

static void pair(struct json_writer *json, const char *key, const char *value)
{
    json_write_key(json, key);
    json_write_text(json, value);
}

/* No data.features: Grafana would take us for Mimir. */
void api_buildinfo(struct http_request *request, struct http_response *response)
{
    (void)request;
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    pair(&reply.json, "version", SPOKEN_VERSION);
    pair(&reply.json, "revision", "fengsui " FENGSUI_VERSION);
    pair(&reply.json, "branch", "");
    pair(&reply.json, "buildUser", "");
    pair(&reply.json, "buildDate", "");
    pair(&reply.json, "goVersion", "");
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

void api_runtimeinfo(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct store_stats stats;
    store_get_stats(app->store, &stats);
    char folder[4096] = "";
    char retention[DURATION_TEXT_BYTES];
    if (getcwd(folder, sizeof folder) == NULL)
        folder[0] = '\0';
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    json_write_key(json, "startTime");
    json_write_instant(json, app->started_ms);
    pair(json, "CWD", folder);
    json_write_key(json, "serverTime");
    json_write_instant(json, clock_unix_ms(&clock_system));
    json_write_key(json, "reloadConfigSuccess");
    json_write_boolean(json, !app->config_refused);
    json_write_key(json, "lastConfigTime");
    json_write_instant(json, app->configured_ms);
    json_write_key(json, "timeSeriesCount");
    json_write_integer(json, (int64_t)stats.series_active);
    json_write_key(json, "corruptionCount");
    json_write_integer(json, (int64_t)stats.quarantined);
    json_write_key(json, "goroutineCount");
    json_write_integer(json, 0);
    json_write_key(json, "GOMAXPROCS");
    json_write_integer(json, sysconf(_SC_NPROCESSORS_ONLN));
    json_write_key(json, "GOMEMLIMIT");
    json_write_integer(json, 0);
    pair(json, "GOGC", "");
    pair(json, "GODEBUG", "");
    pair(json, "storageRetention",
         app->retention_ms == 0 ? "forever" : duration_format(app->retention_ms, retention));
    json_write_end(json);
    reply_finish(&reply, NULL, NULL);
}

void api_answer_yaml(struct http_response *response, struct buf *yaml)
{
    struct reply reply;
    if (!buf_ok(yaml)) {
        buf_done(yaml);
        reply_code(response, ERR_NOMEM, NULL);
        return;
    }
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "yaml");
    json_write_string(&reply.json, buf_bytes(yaml));
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
    buf_done(yaml);
}

/* Secrets are in files of their own, of which this has the names. */
void api_config(struct http_request *request, struct http_response *response)
{
    struct app *app = app_of(request);
    struct buf yaml = {0};
    app->print_config(app, &yaml);
    api_answer_yaml(response, &yaml);
}

void api_flags(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    char text[DURATION_TEXT_BYTES];
    char number[32];
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    pair(&reply.json, "query.lookback-delta", duration_format(app->promql.lookback_ms, text));
    pair(&reply.json, "query.timeout", duration_format(app->query_timeout_ms, text));
    snprintf(number, sizeof number, "%" PRIu64, app->promql.max_samples);
    pair(&reply.json, "query.max-samples", number);
    pair(&reply.json, "enable-feature",
         app->promql.experimental
             ? "promql-experimental-functions,promql-duration-expr,"
               "promql-extended-range-selectors,promql-binop-fill-modifiers"
             : "promql-duration-expr");
    pair(&reply.json, "rules.alert.resend-delay", "1m");
    pair(&reply.json, "web.enable-admin-api", "false");
    pair(&reply.json, "web.enable-lifecycle", "true");
    pair(&reply.json, "web.enable-remote-write-receiver", "true");
    pair(&reply.json, "web.external-url", app->external_url != NULL ? app->external_url : "");
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* ---- metadata -------------------------------------------------------------------------- */

#define LOOK_EVERY 256

struct metadata_scan {
    struct json_writer *json;
    const struct query_budget *budget;
    size_t seen;
    const char *metric;   /* NULL: all */
    int64_t limit, count; /* a negative limit is none */
};

const char *api_metric_type(enum metric_type type)
{
    static const char *const types[] = {
        [METRIC_UNKNOWN] = "unknown", [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram", [METRIC_SUMMARY] = "summary", [METRIC_INFO] = "info",
        [METRIC_UNTYPED] = "unknown"};
    return types[type];
}

static int write_metadata(void *context, struct bytes name, const struct metadata *metadata)
{
    struct metadata_scan *scan = context;
    struct json_writer *json = scan->json;
    int error = scan->seen++ % LOOK_EVERY == 0 ? query_budget_look(scan->budget) : 0;
    if (error != 0 || !buf_ok(json->out)) /* of the second whoever sends it tells */
        return error != 0 ? error : 1;
    if (scan->metric != NULL && !bytes_equal(name, bytes_of(scan->metric)))
        return 0;
    if (scan->limit >= 0 && scan->count >= scan->limit)
        return 1;
    scan->count++;
    json_write_key_bytes(json, name);
    json_write_array(json);
    json_write_object(json);
    pair(json, "type", api_metric_type(metadata->type));
    json_write_key(json, "help");
    json_write_string(json, metadata->help);
    json_write_key(json, "unit");
    json_write_string(json, metadata->unit);
    json_write_end(json);
    json_write_end(json);
    return 0;
}

void api_metadata(struct http_request *request, struct http_response *response)
{
    struct query_budget budget = {.cancelled = &request->cancelled};
    struct metadata_scan scan = {.metric = http_parameter(request, "metric"), .budget = &budget};
    if (scan.metric != NULL && *scan.metric == '\0')
        scan.metric = NULL;
    int64_t limit_per_metric = 0; /* there is never more than one */
    if (!api_number(request, response, "limit", &scan.limit) ||
        !api_number(request, response, "limit_per_metric", &limit_per_metric) ||
        !api_deadline(request, response, &budget.deadline_mono_ns) ||
        !api_is_in_time(response, budget.deadline_mono_ns))
        return;
    struct reply reply;
    reply_start(&reply, response);
    scan.json = &reply.json;
    json_write_object(&reply.json);
    int error = store_metadata_scan(app_of(request)->store, write_metadata, &scan);
    if (error < 0) {
        api_store_error(response, error, NULL, NULL);
        return;
    }
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* ---- outside the API ------------------------------------------------------------------- */

void api_metrics(struct http_request *request, struct http_response *response)
{
    struct api *api = request->context;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    /* Clients of Alertmanager's API pick their dialect by this. */
    buf_put_text(&response->body,
                 "# HELP alertmanager_build_info The version of Alertmanager's API served here.\n"
                 "# TYPE alertmanager_build_info gauge\n"
                 "alertmanager_build_info{branch=\"fengsui\",revision=\"" FENGSUI_VERSION
                 "\",version=\"" API_ALERTMANAGER_VERSION "\"} 1\n");
    self_print_metrics(api->app, &response->body);
    api_print_metrics(api, request->server, &response->body);
}

void api_healthy(struct http_request *request, struct http_response *response)
{
    (void)request;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_text(&response->body, "Fengsui collector is Healthy.\n");
}

void api_ready(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct store_stats stats;
    store_get_stats(app->store, &stats);
    response->content_type = "text/plain; charset=utf-8";
    if (app->ready && !stats.full) {
        buf_put_text(&response->body, "Fengsui collector is Ready.\n");
        return;
    }
    response->status = 503;
    http_add_header(response, "Retry-After", "5");
    http_add_header(response, "X-Prometheus-Stopping", "false");
    buf_printf(&response->body, "Service Unavailable: %s\n",
               !app->ready ? "still starting"
                           : stats.full_reason[0] != '\0' ? stats.full_reason
                                                          : "the store is full");
}

void api_reload(struct http_request *request, struct http_response *response)
{
    struct app *app = app_of(request);
    struct diagnosis why = {0};
    response->content_type = "text/plain; charset=utf-8";
    int error = app->reload != NULL ? app->reload(app, &why) : ERR_REFUSED;
    if (error == 0)
        return;
    response->status = 500;
    buf_printf(&response->body, "failed to reload config: %s\n",
               why.text[0] != '\0' ? why.text : error_text(error));
}
