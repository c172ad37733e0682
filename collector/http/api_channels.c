/*
 * api_channels.c - /api/fengsui/v1/channels: does a receiver hear us?
 *
 *     POST channels/test {"receiver": "值班员甲"}   sends a test message, answers its number
 *     GET  channels/test?number=N                   what came of it, integration by integration
 */
#include <jansson.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

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
