/* reply.c - see reply.h. */
#include "collector/http/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/base/error.h"

#define NOTES_MAX 10

static const struct {
    const char *name;
    int status;
} errors[] = {
    [API_BAD_DATA] = {"bad_data", 400},     [API_EXECUTION] = {"execution", 422},
    [API_CANCELED] = {"canceled", 499},     [API_TIMEOUT] = {"timeout", 503},
    [API_INTERNAL] = {"internal", 500},     [API_NOT_FOUND] = {"not_found", 404},
    [API_UNAVAILABLE] = {"unavailable", 503}, [API_DISABLED] = {"unavailable", 500},
};

void reply_start(struct reply *reply, struct http_response *response)
{
    response->content_type = "application/json";
    reply->response = response;
    reply->json = json_write_to(&response->body);
    json_write_object(&reply->json);
    json_write_key(&reply->json, "status");
    json_write_text(&reply->json, "success");
    json_write_key(&reply->json, "data");
}

static void write_notes(struct json_writer *json, const char *kind, const char *noun,
                        const char *const *notes, size_t count, const char *extra)
{
    if (count == 0 && extra == NULL)
        return;
    json_write_key(json, kind);
    json_write_array(json);
    if (extra != NULL)
        json_write_text(json, extra);
    for (size_t i = 0; i < count && i < NOTES_MAX; i++)
        json_write_text(json, notes[i]);
    if (count > NOTES_MAX) {
        char text[80];
        snprintf(text, sizeof text, "%zu more %s annotations omitted", count - NOTES_MAX, noun);
        json_write_text(json, text);
    }
    json_write_end(json);
}

void reply_finish(struct reply *reply, const struct promql_annotations *notes,
                  const char *warning)
{
    static const struct promql_annotations none = {0};
    const struct promql_annotations *said = notes != NULL ? notes : &none;
    write_notes(&reply->json, "warnings", "warning", said->warnings, said->warning_count,
                warning);
    write_notes(&reply->json, "infos", "info", said->infos, said->info_count, NULL);
    json_write_end(&reply->json);
}

void reply_error(struct http_response *response, enum api_error error, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    http_drop_body(response);
    response->status = errors[error].status;
    response->content_type = "application/json";
    struct json_writer json = json_write_to(&response->body);
    json_write_object(&json);
    json_write_key(&json, "status");
    json_write_text(&json, "error");
    json_write_key(&json, "errorType");
    json_write_text(&json, errors[error].name);
    json_write_key(&json, "error");
    json_write_text(&json, text);
    json_write_end(&json);
}

void reply_invalid(struct http_response *response, const char *parameter, const char *why)
{
    reply_error(response, API_BAD_DATA, "invalid parameter \"%s\": %s", parameter, why);
}

static enum api_error api_error_of(int error)
{
    switch (error) {
    case ERR_NOTFOUND:
        return API_NOT_FOUND;
    case ERR_INVALID:
    case ERR_MALFORMED:
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_REFUSED:
        return API_BAD_DATA;
    case ERR_LIMIT:
        return API_EXECUTION;
    case ERR_CANCELLED:
        return API_CANCELED;
    case ERR_TIMEOUT:
        return API_TIMEOUT;
    case ERR_AGAIN:
    case ERR_FULL:
        return API_UNAVAILABLE;
    default:
        return API_INTERNAL;
    }
}

void reply_code(struct http_response *response, int error, const struct diagnosis *why)
{
    bool is_explained = why != NULL && why->text[0] != '\0';
    reply_error(response, api_error_of(error), "%s",
                is_explained ? why->text : error_text(error));
}

void reply_printed(struct reply *reply, int error, const struct diagnosis *why)
{
    if (error != 0) {
        reply_code(reply->response, error, why);
        return;
    }
    reply_finish(reply, NULL, NULL);
}
