/*
 * api_channels.c - /api/fengsui/v1/channels and notifications: does a receiver hear us, and what
 * became of what it was sent?
 *
 *     POST channels/test {"receiver": "值班员甲"}   sends a test message, answers its number
 *     GET  channels/test?number=N                   what came of it, integration by integration
 *     GET  notifications?receiver=&state=&limit=    the messages of the last days, newest first
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/notify/ledger.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define LEDGER_SHOWN_DEFAULT 100

void api_channel_test(struct http_request *request, struct http_response *response)
{
    json_t *body = json_loadb((const char *)request->body.data, request->body.size,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *receiver = json_string_value(json_object_get(body, "receiver"));
    uint64_t number = 0;
    int error;

    if (receiver == NULL) {
        reply_error(response, API_BAD_DATA, "the body must be {\"receiver\": \"NAME\"}");
        json_decref(body);
        return;
    }
    error = notify_trial(app_of(request)->notify, receiver, &number);
    if (error != 0) {
        reply_code(response, error, NULL);
    } else {
        struct reply reply;
        log_info("audit", "user=%s did=channel_test subject=%s", request->user, receiver);
        reply_start(&reply, response);
        json_write_object(&reply.json);
        json_write_key(&reply.json, "number");
        json_write_integer(&reply.json, (int64_t)number);
        json_write_end(&reply.json);
        reply_finish(&reply, NULL, NULL);
    }
    json_decref(body);
}

void api_channel_test_result(struct http_request *request, struct http_response *response)
{
    const char *text = http_parameter(request, "number");
    struct buf printed = {0};
    int error = notify_trial_print_json(app_of(request)->notify,
                                        text == NULL ? 0 : strtoull(text, NULL, 10), &printed);

    if (error == ERR_NOTFOUND) {
        reply_error(response, API_NOT_FOUND, "no test of that number; only the last are kept");
    } else if (error != 0) {
        reply_code(response, error, NULL);
    } else {
        struct reply reply;
        reply_start(&reply, response);
        json_write_raw(&reply.json, buf_bytes(&printed));
        reply_finish(&reply, NULL, NULL);
    }
    buf_done(&printed);
}

static bool is_state(const char *state)
{
    static const char *const states[] = {"queued", "accepted", "delivered", "failed",
                                         "fallback"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(states[i], state) == 0)
            return true;
    return false;
}

void api_ledger(struct http_request *request, struct http_response *response)
{
    struct ledger_filter filter = {.receiver = http_parameter(request, "receiver"),
                                   .state = http_parameter(request, "state"),
                                   .limit = LEDGER_SHOWN_DEFAULT};
    struct buf printed = {0};
    int64_t limit;
    int error;

    if (!api_number(request, response, "limit", &limit))
        return;
    if (limit == 0 || limit > LEDGER_SHOWN_MAX) {
        reply_error(response, API_BAD_DATA, "limit must be 1 to %d", LEDGER_SHOWN_MAX);
        return;
    }
    if (filter.state != NULL && !is_state(filter.state)) {
        reply_error(response, API_BAD_DATA,
                    "state must be queued, accepted, delivered, failed or fallback");
        return;
    }
    if (limit > 0)
        filter.limit = (size_t)limit;
    error = notify_ledger_print_json(app_of(request)->notify, &filter, &printed);
    if (error != 0) {
        reply_code(response, error, NULL);
    } else {
        struct reply reply;
        reply_start(&reply, response);
        json_write_object(&reply.json);
        json_write_key(&reply.json, "notifications");
        json_write_raw(&reply.json, buf_bytes(&printed));
        json_write_end(&reply.json);
        reply_finish(&reply, NULL, NULL);
    }
    buf_done(&printed);
}
