/*
 * api_about.c - routes of Prometheus that tools ask for, and whose honest answer here is short:
 * features, notifications, WAL replay, the files of history, the admin API that is off.
 */
#include <inttypes.h>
#include <stdio.h>

#include "collector/http/api_parts.h"
#include "collector/promql/aggregations.h"
#include "collector/promql/functions.h"

static void flag(struct json_writer *json, const char *name, bool value)
{
    json_write_key(json, name);
    json_write_boolean(json, value);
}

static void write_flags(struct json_writer *json, const char *category,
                        const char *const *names)
{
    json_write_key(json, category);
    json_write_object(json);
    for (size_t i = 0; names[i] != NULL; i++)
        flag(json, names[i], true);
    json_write_end(json);
}

static void write_functions(struct json_writer *json, bool experimental)
{
    size_t count = 0;
    const struct function *table = function_table(&count);
    json_write_key(json, "promql_functions");
    json_write_object(json);
    for (size_t i = 0; i < count; i++)
        flag(json, table[i].name,
             experimental || (table[i].flags & FUNCTION_EXPERIMENTAL) == 0);
    json_write_end(json);
}

static void write_operators(struct json_writer *json, bool experimental)
{
    static const char *const operators[] = {"!=",  "%",     "*",  "+",      "-",  "/",
                                            "<",   "<=",    "==", ">",      ">=", "^",
                                            "and", "atan2", "or", "unless", NULL};
    size_t count = 0;
    const struct aggregation *table = aggregation_table(&count);
    json_write_key(json, "promql_operators");
    json_write_object(json);
    for (size_t i = 0; operators[i] != NULL; i++)
        flag(json, operators[i], true);
    for (size_t i = 0; i < count; i++)
        flag(json, table[i].name, experimental || !table[i].experimental);
    json_write_end(json);
}

/* What the server can do, by category; not the same as buildinfo's features, which stay unsaid.
 */
void api_features(struct http_request *request, struct http_response *response)
{
    static const char *const api[] = {"exclude_alerts",        "label_values_match",
                                      "lifecycle_reload",      "query_stats",
                                      "remote_write_receiver", NULL};
    static const char *const rules[] = {"concurrent_rule_eval", "keep_firing_for", "limit",
                                        "query_offset", NULL};
    const struct promql_options *promql = &app_of(request)->promql;
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    write_flags(json, "api", api);
    json_write_key(json, "promql");
    json_write_object(json);
    flag(json, "anchored", promql->experimental);
    flag(json, "at_modifier", true);
    flag(json, "bool", true);
    flag(json, "by", true);
    flag(json, "delayed_name_removal", promql->delayed_name_removal);
    flag(json, "duration_expr", true);
    flag(json, "fill", promql->experimental);
    flag(json, "group_left", true);
    flag(json, "group_right", true);
    flag(json, "ignoring", true);
    flag(json, "negative_offset", true);
    flag(json, "offset", true);
    flag(json, "on", true);
    flag(json, "smoothed", promql->experimental);
    flag(json, "subqueries", true);
    flag(json, "without", true);
    json_write_end(json);
    write_functions(json, promql->experimental);
    write_operators(json, promql->experimental);
    write_flags(json, "rules", rules);
    json_write_end(json);
    reply_finish(&reply, NULL, NULL);
}

void api_notifications(struct http_request *request, struct http_response *response)
{
    struct reply reply;
    (void)request;
    reply_start(&reply, response);
    json_write_array(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* No stream of notifications: as Prometheus when it has too many listeners. */
void api_notifications_live(struct http_request *request, struct http_response *response)
{
    (void)request;
    response->status = 204;
}

/* LMDB needs no replay that one could watch. */
void api_wal_replay(struct http_request *request, struct http_response *response)
{
    static const char *const names[] = {"min", "max", "current"};
    struct reply reply;
    (void)request;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_write_key(&reply.json, names[i]);
        json_write_integer(&reply.json, 0);
    }
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* 26 digits as an ULID has them: when the span begins, and the file's number. */
static void span_name(const struct store_span *span, char text[27])
{
    (void)snprintf(text, 27, "%010" PRIx64 "%016" PRIx64,
                   (uint64_t)span->start_ms & UINT64_C(0xffffffffff), span->generation);
}

static void write_block(void *context, const struct store_span *span)
{
    struct json_writer *json = context;
    const struct {
        const char *name;
        uint64_t value;
    } stats[] = {{"numSamples", span->samples},
                 {"numSeries", span->series},
                 {"numChunks", span->chunks}};
    char name[27];
    span_name(span, name);
    json_write_object(json);
    json_write_key(json, "ulid");
    json_write_text(json, name);
    json_write_key(json, "minTime");
    json_write_integer(json, span->start_ms);
    json_write_key(json, "maxTime");
    json_write_integer(json, span->end_ms);
    json_write_key(json, "stats");
    json_write_object(json);
    for (size_t i = 0; i < sizeof stats / sizeof *stats; i++) {
        json_write_key(json, stats[i].name);
        json_write_integer(json, (int64_t)stats[i].value);
    }
    json_write_end(json);
    json_write_key(json, "compaction");
    json_write_object(json);
    json_write_key(json, "level");
    json_write_integer(json, 1);
    json_write_key(json, "sources");
    json_write_array(json);
    json_write_text(json, name);
    json_write_end(json);
    json_write_end(json);
    json_write_key(json, "version");
    json_write_integer(json, 1);
    json_write_end(json);
}

/* The files of history, told as Prometheus tells its blocks. */
void api_blocks(struct http_request *request, struct http_response *response)
{
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "blocks");
    json_write_array(&reply.json);
    int error = store_each_span(app_of(request)->store, write_block, &reply.json);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    if (error != 0)
        reply_code(response, error, NULL);
    else
        reply_finish(&reply, NULL, NULL);
}

/* Prometheus's word where its feature is not enabled, by which clients know to ask as before. */
void api_search_off(struct http_request *request, struct http_response *response)
{
    (void)request;
    reply_error(response, API_DISABLED, "search API disabled");
}

/* Its status there, too; who sends is told what is taken. */
void api_otlp_off(struct http_request *request, struct http_response *response)
{
    (void)request;
    response->status = 404;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_text(&response->body,
                 "there is no otlp write receiver; remote write is taken at /api/v1/write\n");
}

/* What Prometheus answers when started without --web.enable-admin-api. */
void api_admin_off(struct http_request *request, struct http_response *response)
{
    (void)request;
    reply_error(response, API_DISABLED, "admin APIs disabled");
}

/* Prometheus keeps this path of its first API and answers it so; so do we. */
void api_delete_series(struct http_request *request, struct http_response *response)
{
    (void)request;
    reply_error(response, API_INTERNAL, "not implemented");
}

static void plain(struct http_response *response, int status, const char *text)
{
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_text(&response->body, text);
}

/* Nobody ends the collector over HTTP; systemd does. */
void api_quit(struct http_request *request, struct http_response *response)
{
    (void)request;
    plain(response, 403, "Lifecycle API is not enabled.");
}

void api_needs_post(struct http_request *request, struct http_response *response)
{
    (void)request;
    plain(response, 405, "Only POST or PUT requests allowed");
}
