/*
 * api_parts.h - what the api_*.c files share; nothing else includes it.
 */
#pragma once

#include "collector/app.h"
#include "collector/http/param.h"
#include "collector/http/remote_in.h"
#include "collector/http/reply.h"
#include "collector/http/server.h"
#include "proto/base/clock.h"

/* What a name query (labels, series) may use, and the widest interval it may ask for. */
#define NAMES_ARENA_BYTES ((size_t)512 << 20)
#define TIME_FIRST_MS     (-(INT64_C(1) << 53))
#define TIME_LAST_MS      (INT64_C(1) << 53)

struct api {
    struct app *app;
    struct remote_in *remote;
};

static inline struct app *app_of(const struct http_request *request)
{
    return ((struct api *)request->context)->app;
}

/* The parameter as a time, or `fallback` if absent; false: the error is in the response. */
bool api_time(const struct http_request *request, struct http_response *response,
              const char *name, int64_t fallback_ms, int64_t *ret_ms);
bool api_limit(const struct http_request *request, struct http_response *response,
               size_t *ret_limit);

/* All match[] selectors of a request. */
struct selectors {
    struct selector {
        struct matcher **matchers;
        size_t count;
    } *items;
    size_t count;
};
/* False: the error is in the response, nothing is to be freed. */
bool api_selectors(const struct http_request *request, struct http_response *response,
                   struct selectors *ret_selectors);
void api_selectors_free(struct selectors *selectors);

/* Answers a failed parse or run of PromQL. */
void api_query_error(struct http_response *response, const char *parameter,
                     const struct promql_error *error);
void api_write_metric(struct json_writer *json, const struct labels *labels);

/* Handlers, by file. */
http_handler api_query, api_query_range, api_format_query, api_query_exemplars;     /* api_query.c */
http_handler api_labels, api_label_values, api_series;                              /* api_names.c */
http_handler api_buildinfo, api_runtimeinfo, api_config, api_flags, api_metadata,
    api_tsdb, api_rules, api_alerts, api_metrics, api_healthy, api_ready,
    api_reload;                                                                     /* api_status.c */
http_handler api_federate;                                                          /* api_federate.c */
http_handler api_summary, api_probes, api_keys, api_approve, api_revoke, api_token,
    api_processes, api_settle;                                                      /* api_fengsui.c */
http_handler api_channel_test, api_channel_test_result;                             /* api_channels.c */
http_handler api_logs;                                                              /* api_logs.c */
http_handler api_page;                                                              /* api_page.c */
