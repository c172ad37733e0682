/* api_answer.c - see api_answer.h. */
#include "tests/fuzz/api_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define STREAM_BYTES_MAX ((size_t)64 << 20)

/* What does not hold is of no use without the answer. */
static void hold(bool fact, const char *what, const struct http_request *request,
                 const struct http_response *response)
{
    if (!fact)
        (void)fprintf(stderr, "%s: %s: %d %.*s\n", request->path, what, response->status,
                      (int)response->body.size, (const char *)response->body.data);
    must(fact);
}

static void read_stream(struct http_response *response)
{
    struct http_stream *stream = response->stream;
    size_t before;
    int error;
    do {
        before = response->body.size;
        error = stream->next(stream, &response->body);
        must(response->body.size < STREAM_BYTES_MAX && buf_ok(&response->body));
    } while (error == 0 && response->body.size > before);
    must(error == 0 || error == ERR_LIMIT || error == ERR_TIMEOUT || error == ERR_CANCELLED);
}

static void check_error(const struct http_request *request,
                        const struct http_response *response, const json_t *root)
{
    static const struct {
        const char *type;
        int status;
    } known[] = {{"bad_data", 400},  {"bad_data", 413},    {"bad_data", 415},
                 {"execution", 422}, {"canceled", 499},
                 {"timeout", 503},   {"not_found", 404},   {"unavailable", 503},
                 {"unavailable", 500}};
    const char *type = json_string_value(json_object_get(root, "errorType"));
    const char *text = json_string_value(json_object_get(root, "error"));
    /* Prometheus's word for DELETE /api/v1/series. */
    bool fits = response->status == 500 && text != NULL && strcmp(text, "not implemented") == 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        fits |= type != NULL && strcmp(type, known[i].type) == 0 &&
                response->status == known[i].status;
    hold(fits, "the error's type is not its status's", request, response);
    hold(text != NULL && *text != '\0', "an error without a reason", request, response);
}

static void check_envelope(const struct http_request *request,
                           const struct http_response *response, const json_t *root)
{
    const char *status = json_string_value(json_object_get(root, "status"));
    hold(status != NULL, "no envelope", request, response);
    if (strcmp(status, "error") == 0) {
        check_error(request, response, root);
        return;
    }
    hold(strcmp(status, "success") == 0 && response->status < 300 &&
             json_object_get(root, "data") != NULL,
         "no success without data", request, response);
}

static void check_json(const struct http_request *request, const struct http_response *response)
{
    json_error_t where;
    json_t *root = json_loadb((const char *)response->body.data, response->body.size,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    hold(root != NULL, where.text, request, response);
    if (strncmp(request->path, "/api/v1/", 8) == 0 ||
        strncmp(request->path, "/api/fengsui/", 13) == 0)
        check_envelope(request, response, root);
    json_decref(root);
}

void api_answer_check(const struct http_request *request, struct http_response *response)
{
    if (response->stream != NULL)
        read_stream(response);
    must(buf_ok(&response->body));
    must(response->status >= 200 && response->status < 600);
    must(response->body.size == 0 || response->content_type != NULL);
    must((response->status != 204 && response->status != 304) || response->body.size == 0);
    for (size_t i = 0; i < HTTP_HEADERS_MAX && response->header_names[i] != NULL; i++)
        must(response->header_values[i] != NULL &&
             strpbrk(response->header_values[i], "\r\n") == NULL);
    if (response->body.size > 0 && strncmp(response->content_type, "application/json", 16) == 0)
        check_json(request, response);
}
