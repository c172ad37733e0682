/* message.c - what handlers read of a request and add to an answer (server.h). */
#include "collector/http/server.h"

#include <string.h>

#include "proto/base/must.h"

void http_add_header(struct http_response *response, const char *name, const char *value)
{
    size_t i = 0;
    while (i < HTTP_HEADERS_MAX && response->header_names[i] != NULL)
        i++;
    must(i < HTTP_HEADERS_MAX);
    response->header_names[i] = name;
    response->header_values[i] = value;
}

void http_drop_body(struct http_response *response)
{
    buf_done(&response->body);
    response->body.total = NULL;
}

void http_finish(struct http_pending *pending)
{
    pending->finish(pending);
}

const char *http_parameter_next(const struct http_request *request, const char *name, size_t *at)
{
    while (*at < request->parameter_count) {
        const struct http_parameter *parameter = &request->parameters[(*at)++];
        if (strcmp(parameter->name, name) == 0)
            return parameter->value;
    }
    return NULL;
}

const char *http_parameter(const struct http_request *request, const char *name)
{
    size_t at = 0;
    return http_parameter_next(request, name, &at);
}
