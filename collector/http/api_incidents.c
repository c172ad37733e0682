/*
 * api_incidents.c - /api/fengsui/v1/incidents: troubles that people are told of.
 *
 *     GET  incidents?state=active|open|acknowledged|closed|all&limit=100    newest first
 *     GET  incidents/N          one, with its time line, its alerts, and whom it tells next
 *     POST incidents/acknowledge    {"incident": N, "comment": "..", "by": ".."}
 *     POST incidents/unacknowledge  {"incident": N}
 *
 * The rows are the store's: what is shown is committed.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/http/incident_write.h"
#include "collector/http/users.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

/* ---- the list --------------------------------------------------------------------------- */

struct listing {
    const char *state;
    struct incident **items; /* the newest; a ring */
    size_t limit, seen;
    int error;
};

static bool is_wanted(const char *state, enum incident_state at)
{
    if (strcmp(state, "all") == 0)
        return true;
    if (strcmp(state, "active") == 0)
        return at != INCIDENT_CLOSED;
    return strcmp(state, incident_state_text(at)) == 0;
}

static uint64_t number_in(struct bytes key)
{
    const size_t prefix = strlen(INCIDENT_PREFIX);
    char digits[17] = "";
    if (key.size != prefix + 16)
        return 0;
    memcpy(digits, key.data + prefix, 16);
    return strtoull(digits, NULL, 16);
}

static int list_row(void *context, struct bytes key, struct bytes value)
{
    struct listing *listing = context;
    struct incident *incident;
    struct incident **slot;
    int error = incident_read(number_in(key), value, &incident);

    if (error == ERR_CORRUPT) /* the notifier has said so when it started */
        return 0;
    if (error != 0)
        return error;
    if (!is_wanted(listing->state, incident->state)) {
        incident_free(incident);
        return 0;
    }
    slot = &listing->items[listing->seen++ % listing->limit];
    incident_free(*slot);
    *slot = incident;
    return 0;
}

static void write_list(const struct listing *listing, struct notify *notify,
                       struct json_writer *json)
{
    const size_t count = listing->seen < listing->limit ? listing->seen : listing->limit;
    json_write_object(json);
    json_write_key(json, "incidents");
    json_write_array(json);
    view_begin(notify);
    for (size_t i = 0; i < count; i++) {
        json_write_object(json);
        incident_write_head(json, view_duty(notify),
                            listing->items[(listing->seen - 1 - i) % listing->limit]);
        json_write_end(json);
    }
    view_end(notify);
    json_write_end(json);
    json_write_end(json);
}

void api_incidents(struct http_request *request, struct http_response *response)
{
    static const char *const states[] = {"active", "open", "acknowledged", "closed", "all"};
    const struct app *app = app_of(request);
    const char *state = http_parameter(request, "state");
    struct listing listing = {.state = state == NULL || *state == '\0' ? "active" : state};
    struct reply reply;
    size_t i = 0;
    int error;

    while (i < sizeof states / sizeof *states && strcmp(states[i], listing.state) != 0)
        i++;
    if (i == sizeof states / sizeof *states) {
        reply_invalid(response, "state",
                      "there are active, open, acknowledged, closed and all");
        return;
    }
    if (!api_limit(request, response, &listing.limit))
        return;
    if (listing.limit == 0)
        listing.limit = LIMIT_DEFAULT;
    if (listing.limit > LIMIT_MAX)
        listing.limit = LIMIT_MAX;
    listing.items = calloc(listing.limit, sizeof(struct incident *));
    error = listing.items == NULL ? ERR_NOMEM
                                  : store_state_scan(app->store, bytes_of(INCIDENT_PREFIX),
                                                     list_row, &listing);
    reply_start(&reply, response);
    if (error == 0)
        write_list(&listing, app->notify, &reply.json);
    reply_printed(&reply, error, NULL);
    for (i = 0; listing.items != NULL && i < listing.limit; i++)
        incident_free(listing.items[i]);
    free(listing.items);
}

/* ---- one --------------------------------------------------------------------------------- */

static int read_incident(const struct app *app, uint64_t number, struct incident **ret_incident)
{
    struct buf row = {0};
    char key[sizeof INCIDENT_PREFIX + 16];
    int error;

    (void)snprintf(key, sizeof key, INCIDENT_PREFIX "%016" PRIx64, number);
    error = store_state_get(app->store, bytes_of(key), &row);
    if (error == 0)
        error = incident_read(number, buf_bytes(&row), ret_incident);
    buf_done(&row);
    return error;
}

void api_incident(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct incident *incident = NULL;
    struct reply reply;
    char *end;
    const uint64_t number = strtoull(request->rest, &end, 10);
    int error = *request->rest == '\0' || *end != '\0' ? ERR_NOTFOUND
                                                      : read_incident(app, number, &incident);

    if (error == ERR_NOTFOUND) {
        reply_error(response, API_NOT_FOUND, "no incident has the number \"%.40s\"",
                    request->rest);
        return;
    }
    reply_start(&reply, response);
    if (error == 0)
        error = incident_write_whole(&reply.json, app, incident);
    reply_printed(&reply, error, NULL);
    incident_free(incident);
}

/* ---- acknowledging ------------------------------------------------------------------------ */

static void change(struct http_request *request, struct http_response *response,
                   bool acknowledges)
{
    struct notify *notify = app_of(request)->notify;
    json_t *body = json_loadb(request->body.size == 0 ? "" : (const char *)request->body.data,
                              request->body.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *number = json_object_get(body, "incident");
    const char *comment = json_string_value(json_object_get(body, "comment"));
    const char *by = json_string_value(json_object_get(body, "by"));
    struct diagnosis why = {0};
    struct reply reply;
    int error;

    if (!json_is_integer(number) || json_integer_value(number) <= 0) {
        reply_error(response, API_BAD_DATA,
                    "the body must be {\"incident\": NUMBER, \"comment\": \"...\"}");
        json_decref(body);
        return;
    }
    if (acknowledges)
        error = notify_acknowledge_incident(
            notify, (uint64_t)json_integer_value(number),
            *request->user != '\0' ? request->user : (by == NULL ? "" : by),
            comment == NULL ? "" : comment, &why);
    else
        error = notify_unacknowledge_incident(notify, (uint64_t)json_integer_value(number),
                                              &why);
    if (error == 0)
        log_info("audit", "user=%s did=%s subject=incident/%lld", request->user,
                 acknowledges ? "acknowledge" : "unacknowledge",
                 (long long)json_integer_value(number));
    json_decref(body);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, &why);
}

void api_incident_acknowledge(struct http_request *request, struct http_response *response)
{
    change(request, response, true);
}

void api_incident_unacknowledge(struct http_request *request, struct http_response *response)
{
    change(request, response, false);
}
