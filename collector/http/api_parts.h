/*
 * api_parts.h - what the api_*.c files share; nothing else includes it.
 */
#pragma once

#include "collector/app.h"
#include "collector/http/import_in.h"
#include "collector/http/param.h"
#include "collector/http/remote_in.h"
#include "collector/http/reply.h"
#include "collector/http/sample_walk.h"
#include "collector/http/server.h"
#include "proto/base/clock.h"

/* The widest interval that a query may ask for. */
#define TIME_FIRST_MS (-(INT64_C(1) << 53))
#define TIME_LAST_MS  (INT64_C(1) << 53)

struct api {
    struct app *app;
    struct remote_in *remote;
    struct import_in *import;
};

static inline struct app *app_of(const struct http_request *request)
{
    return ((struct api *)request->context)->app;
}

/* The parameter as a time, or `fallback` if absent; false: the error is in the response. */
bool api_time(const struct http_request *request, struct http_response *response,
              const char *name, int64_t fallback_ms, int64_t *ret_ms);
/* The time that is so much from now, at most the last one that a calendar has (store.h). */
int64_t api_from_now(int64_t span_ms);
/* A whole number, -1 if absent: metadata's limits. */
bool api_number(const struct http_request *request, struct http_response *response,
                const char *name, int64_t *ret_number);
bool api_limit(const struct http_request *request, struct http_response *response,
               size_t *ret_limit);

/* What a request's arenas count in. */
static inline struct arena_total *api_memory(const struct http_request *request)
{
    return request->memory != NULL ? request->memory : app_of(request)->promql.total;
}

/* When a question to the store is given up: after its parameter `timeout`, at most
 * promql.timeout, counted from when it was asked (struct clock's mono).  False: the parameter is
 * bad, the error is in the response. */
bool api_deadline(const struct http_request *request, struct http_response *response,
                  int64_t *ret_mono_ns);
/* When the next piece of a streamed answer is given up. */
int64_t api_piece_deadline(int64_t piece_ms);
/* False: it stood in line until then; the error is in the response. */
bool api_is_in_time(struct http_response *response, int64_t deadline_mono_ns);
/* Tells what ended a question to the store, whose memory came from this arena (NULL: from none), as
 * it is told of queries. */
void api_store_error(struct http_response *response, int error, const struct arena *arena,
                     const struct diagnosis *why);

/* All match[] selectors of a request. */
struct selectors {
    struct selector *items;
    size_t count;
    struct arena_total *memory; /* counts in it, about: they lie in no arena */
    size_t held_bytes;
};
/* How a bad one is told: invalid parameter "match[]": WHY; WHY; or WHY as plain text. */
enum selector_errors { SELECTOR_ERRORS_NAMED, SELECTOR_ERRORS_BARE, SELECTOR_ERRORS_PLAIN };
/* False: the error is in the response, nothing is to be freed. */
bool api_selectors(const struct http_request *request, struct http_response *response,
                   enum selector_errors errors, struct selectors *ret_selectors);
void api_selectors_free(struct selectors *selectors);

/* The same items with room for so many more: in place where `capacity` says so (0: they are not ours), or
 * a copy in the arena, twice as large.  NULL: it has no room. */
void *api_grow(struct arena *arena, void *items, size_t count, size_t more, size_t item_bytes,
               size_t *capacity);
/* Copies of what selectors have found, one after the other; zeroed: nothing yet. */
struct series_list {
    struct series_samples *items; /* in an arena */
    size_t count, capacity;
};
/* ERR_LIMIT: the arena has no room. */
int api_series_add(struct series_list *list, struct arena *arena,
                   const struct series_samples *found, size_t count);

/* Answers a failed parse or run of PromQL. */
void api_query_error(struct http_response *response, const char *parameter,
                     const struct promql_error *error);
/* Parses the parameter "query"; false: the error is in the response. */
bool api_expression(const struct http_request *request, struct http_response *response,
                    struct promql_expression **ret_expression);
/* Answers with what another part printed as the data's value, or with its error; frees it. */
void api_answer_printed(struct http_response *response, int error, struct buf *printed);
/* Answers {"yaml": TEXT}; frees the text. */
void api_answer_yaml(struct http_response *response, struct buf *yaml);
void api_write_metric(struct json_writer *json, const struct labels *labels);
const char *api_metric_type(enum metric_type type);

#define API_FINGERPRINT_BYTES 17 /* 16 hex digits and a NUL */
const char *api_fingerprint_text(uint64_t fingerprint, char text[API_FINGERPRINT_BYTES]);
/* The member "retention" (api_retention.c).  ERR_NOMEM, ERR_IO: nothing is written. */
int api_write_retention(struct json_writer *json, struct store *store);
/* The ids of the silences that are active, as an array. */
struct muting;
void api_write_silenced_by(struct json_writer *json, const struct muting *muting,
                           int64_t now_ms);
/* The fingerprints of the alerts that inhibit it, as an array. */
struct view_alert;
void api_write_inhibited_by(struct json_writer *json, const struct view_alert *alert);
/* Whose API version 2 it is that we speak: clients pick their dialect by it. */
#define API_ALERTMANAGER_VERSION "0.27.0"

/* "2026-12-31 08:30" of a zone (NULL: the collector's own), a time as everywhere in the API, or
 * "2h" ago; kept within what duty can be asked about.  False with examples in `why`. */
struct civil_zone;
bool api_duty_time(const char *text, const struct civil_zone *zone, int64_t *ret_ms,
                   struct diagnosis *why);
/* The parameter as such a time, or the fallback; false: the error is in the response. */
bool api_duty_parameter(const struct http_request *request, struct http_response *response,
                        const char *name, const struct civil_zone *zone, int64_t fallback_ms,
                        int64_t *ret_ms);

/* Handlers, by file. */
http_handler api_query, api_query_range, api_format_query, api_query_exemplars;     /* api_query.c */
http_handler api_labels, api_label_values, api_series;                              /* api_names.c */
http_handler api_buildinfo, api_runtimeinfo, api_config, api_flags, api_metadata,
    api_metrics, api_healthy, api_ready,
    api_reload;                                                                     /* api_status.c */
http_handler api_remote_read;                                                       /* api_remote_read.c */
http_handler api_export;                                                            /* api_export.c */
http_handler api_rules, api_alerts;                                                 /* api_rules.c */
http_handler api_targets, api_target_metadata, api_relabel_steps, api_scrape_pools,
    api_scrape_pool_config, api_alertmanagers;                                      /* api_targets.c */
http_handler api_openapi;                                                           /* api_openapi.c */
http_handler api_self_metrics;                                                      /* api_self_metrics.c */
http_handler api_tsdb;                                                              /* api_tsdb.c */
http_handler api_parse_query;                                                       /* api_parse.c */
http_handler api_features, api_notifications, api_notifications_live, api_wal_replay,
    api_blocks, api_admin_off, api_delete_series, api_quit, api_search_off,
    api_otlp_off, api_needs_post;         /* api_about.c */
http_handler api_federate;                                                          /* api_federate.c */
http_handler api_summary, api_probes, api_keys, api_approve, api_revoke, api_token,
    api_processes, api_policy, api_settle;                                          /* api_fengsui.c */
http_handler api_explain, api_receivers;                                            /* api_explain.c */
http_handler api_channel_test, api_channel_test_result, api_ledger; /* api_channels.c */
http_handler api_fengsui_alerts, api_fengsui_alerts_past, api_acknowledge, api_unacknowledge,
    api_session; /* api_alerts.c */
http_handler api_am_alerts, api_am_groups, api_am_post_alerts, api_am_silences,
    api_am_silence, api_am_post_silence, api_am_delete_silence, api_am_receivers,
    api_am_status;                                                                  /* api_alertmanager.c */
http_handler api_jobs, api_job, api_job_ping, api_job_pause, api_job_resume;         /* api_jobs.c */
/* Is it the token of the job that the path names? */
bool api_job_admits(const struct http_request *request, const char *token);
http_handler api_incidents, api_incident, api_incident_acknowledge,
    api_incident_unacknowledge;                                                     /* api_incidents.c */
http_handler api_link;                                                              /* api_link.c */
http_handler api_simulate;                                                          /* api_simulate.c */
http_handler api_duty_now, api_duty_shifts, api_duty_persons, api_duty_coverage;     /* api_duty.c */
http_handler api_duty_swaps, api_duty_swap, api_duty_cancel;                        /* api_duty_swap.c */
http_handler api_backup_begin, api_backup_state, api_backup_cancel, api_verify_begin,
    api_verify_state, api_verify_cancel, api_store_stat;                            /* api_store.c */
http_handler api_delete_samples, api_clean_tombstones, api_delete_preview,
    api_deletes;                                                                    /* api_delete.c */
http_handler api_logs;                                                              /* api_logs.c */
http_handler api_console_page, api_console_asset;                                   /* api_console.c */
