/*
 * api_delete.c - deleting samples by matchers and time.
 *
 *     POST|PUT  /api/v1/admin/tsdb/delete_series?match[]=..&start=..&end=..   as Prometheus: 204
 *     POST|PUT  /api/v1/admin/tsdb/clean_tombstones                           likewise
 *     GET|POST  /api/fengsui/v1/store/delete/preview?match[]=..&start=..&end=..
 *               {"start":S,"end":S,"selectors":[{"match":"m","series":3,"samples":700,
 *                "first":S,"last":S}]}   counts are estimates; first and last may be null
 *     GET       /api/fengsui/v1/store/delete
 *               {"deletes":[{"number":1,"made":"2026-...Z","start":S,"end":S,
 *                "matchers":[{"type":"=","name":"job","value":"x"}]}]}   not carried out everywhere
 *
 * 204 is answered when the delete is durable; the next query sees it.  Times are Unix seconds,
 * null where there is no bound.
 */
#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* The request's selectors and interval; false: the error is in the response. */
struct wish {
    struct selectors selectors;
    int64_t from_ms, until_ms;
};

static bool wish_read(const struct http_request *request, struct http_response *response,
                      struct wish *wish)
{
    *wish = (struct wish){0};
    if (http_parameter(request, "match[]") == NULL) {
        reply_error(response, API_BAD_DATA, "no match[] parameter provided");
        return false;
    }
    return api_time(request, response, "start", TIME_FIRST_MS, &wish->from_ms) &&
           api_time(request, response, "end", TIME_LAST_MS, &wish->until_ms) &&
           api_selectors(request, response, SELECTOR_ERRORS_NAMED, &wish->selectors);
}

static struct store_selection selection_of(const struct wish *wish, size_t i)
{
    return (struct store_selection){wish->selectors.items[i].matchers,
                                    wish->selectors.items[i].count};
}

/* ---- as Prometheus ----------------------------------------------------------------------- */

static int delete_all(struct store *store, const struct wish *wish)
{
    if (wish->from_ms > wish->until_ms)
        return 0; /* nothing lies in it */
    struct store_selection *selections = calloc(wish->selectors.count, sizeof *selections);
    if (selections == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < wish->selectors.count; i++)
        selections[i] = selection_of(wish, i);
    int error = store_delete(store, selections, wish->selectors.count, wish->from_ms,
                             wish->until_ms);
    free(selections);
    return error;
}

static void tell_delete(const struct http_request *request)
{
    const char *match = NULL;
    for (size_t at = 0; (match = http_parameter_next(request, "match[]", &at)) != NULL;)
        log_info("audit", "user=%s did=delete-series subject=%s start=%s end=%s", request->user,
                 match, http_parameter(request, "start") != NULL ? http_parameter(request, "start")
                                                          : "",
                 http_parameter(request, "end") != NULL ? http_parameter(request, "end") : "");
}

void api_delete_samples(struct http_request *request, struct http_response *response)
{
    struct wish wish;
    if (!wish_read(request, response, &wish))
        return;
    int error = delete_all(app_of(request)->store, &wish);
    if (error == ERR_LIMIT)
        reply_error(response, API_UNAVAILABLE,
                    "too many deletes are not carried out yet: wait, or POST "
                    "/api/v1/admin/tsdb/clean_tombstones");
    else if (error != 0)
        reply_code(response, error, NULL);
    else
        response->status = 204;
    if (error == 0)
        tell_delete(request);
    api_selectors_free(&wish.selectors);
}

void api_clean_tombstones(struct http_request *request, struct http_response *response)
{
    int error = store_clean_deletes(app_of(request)->store);
    if (error != 0) {
        reply_code(response, error, NULL);
        return;
    }
    log_info("audit", "user=%s did=clean-tombstones", request->user);
    response->status = 204;
}

/* ---- what it would be, and what waits ------------------------------------------------------ */

static void write_bound(struct json_writer *json, const char *key, int64_t ms)
{
    json_write_key(json, key);
    if (ms <= STORE_TIME_MS_MIN || ms >= STORE_TIME_MS_MAX)
        json_write_raw(json, bytes_of("null"));
    else
        json_write_seconds(json, ms);
}

static void write_preview(struct json_writer *json, const char *match,
                          const struct store_delete_preview *preview)
{
    json_write_object(json);
    json_write_text_member(json, "match", match);
    json_write_integer_member(json, "series", (int64_t)preview->series);
    json_write_integer_member(json, "samples", (int64_t)preview->samples);
    write_bound(json, "first", preview->first_ms);
    write_bound(json, "last", preview->last_ms);
    json_write_end(json);
}

static int write_previews(struct http_request *request, const struct wish *wish,
                          struct json_writer *json)
{
    int error = 0;
    size_t at = 0;
    for (size_t i = 0; i < wish->selectors.count && error == 0; i++) {
        const char *match = http_parameter_next(request, "match[]", &at);
        struct store_selection selection = selection_of(wish, i);
        struct store_delete_preview preview;
        error = store_delete_preview(app_of(request)->store, &selection, wish->from_ms,
                                     wish->until_ms, &request->cancelled, &preview);
        if (error == 0)
            write_preview(json, match, &preview);
    }
    return error;
}

void api_delete_preview(struct http_request *request, struct http_response *response)
{
    struct wish wish;
    struct reply reply;
    if (!wish_read(request, response, &wish))
        return;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    write_bound(&reply.json, "start", wish.from_ms);
    write_bound(&reply.json, "end", wish.until_ms);
    json_write_key(&reply.json, "selectors");
    json_write_array(&reply.json);
    int error = write_previews(request, &wish, &reply.json);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    if (error != 0)
        reply_code(response, error, NULL);
    else
        reply_finish(&reply, NULL, NULL);
    api_selectors_free(&wish.selectors);
}

static void write_deletion(void *context, const struct store_deletion *deletion)
{
    static const char *const types[] = {[MATCH_EQUAL] = "=", [MATCH_NOT_EQUAL] = "!=",
                                        [MATCH_REGEX] = "=~", [MATCH_NOT_REGEX] = "!~"};
    struct json_writer *json = context;
    json_write_object(json);
    json_write_integer_member(json, "number", (int64_t)deletion->number);
    json_write_instant_member(json, "made", deletion->made_ms);
    write_bound(json, "start", deletion->from_ms);
    write_bound(json, "end", deletion->until_ms);
    json_write_key(json, "matchers");
    json_write_array(json);
    for (size_t i = 0; i < deletion->selection.count; i++) {
        const struct matcher *matcher = deletion->selection.matchers[i];
        json_write_object(json);
        json_write_text_member(json, "type", types[matcher->kind]);
        json_write_key(json, "name");
        json_write_string(json, matcher->name);
        json_write_key(json, "value");
        json_write_string(json, matcher->value);
        json_write_end(json);
    }
    json_write_end(json);
    json_write_end(json);
}

void api_deletes(struct http_request *request, struct http_response *response)
{
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "deletes");
    json_write_array(&reply.json);
    int error = store_each_delete(app_of(request)->store, write_deletion, &reply.json);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    if (error != 0)
        reply_code(response, error, NULL);
    else
        reply_finish(&reply, NULL, NULL);
}
