/* request_text.c - see request_text.h. */
#include "tests/fuzz/request_text.h"

#include <string.h>
#include <strings.h>

#include "collector/http/exchange.h"
#include "collector/http/route.h"
#include "proto/base/error.h"

#define REQUEST_ARENA_BYTES ((size_t)4 << 20)

/* A copy that is a C string; a NUL inside ends it, as it would end a header. */
static char *copy(struct arena *arena, struct bytes text)
{
    char *out = arena_alloc(arena, text.size + 1, 1);
    if (out == NULL)
        return NULL;
    if (text.size > 0)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return out;
}

/* What comes before `mark`, and what is left after it; without a mark all of it. */
static struct bytes cut(struct bytes *rest, char mark)
{
    struct bytes part = *rest;
    const uint8_t *at = rest->size > 0 ? memchr(rest->data, mark, rest->size) : NULL;
    if (at != NULL)
        part.size = (size_t)(at - rest->data);
    size_t taken = part.size + (at != NULL);
    *rest = (struct bytes){rest->data + taken, rest->size - taken};
    return part;
}

/* In place, as for any connection.  False: it holds a NUL. */
static bool unescape(char *path)
{
    return MHD_http_unescape(path) == strlen(path);
}

static void take_header(struct request_text *text, struct bytes line)
{
    static const char *const roles[] = {[ROLE_NONE] = "none",
                                        [ROLE_VIEWER] = "viewer",
                                        [ROLE_OPERATOR] = "operator",
                                        [ROLE_ADMIN] = "admin",
                                        [ROLE_WRITER] = "writer"};
    struct http_request *request = &text->request;
    struct bytes value = line;
    const char *name = copy(&text->arena, cut(&value, ':'));
    while (value.size > 0 && *value.data == ' ')
        value = (struct bytes){value.data + 1, value.size - 1};
    const char *said = copy(&text->arena, value);
    if (name == NULL || said == NULL)
        return;
    if (strcasecmp(name, "Authorization") == 0)
        text->authorization = said;
    else if (strcasecmp(name, "Content-Type") == 0)
        request->content_type = said;
    else if (strcasecmp(name, "Content-Encoding") == 0)
        request->content_encoding = said;
    else if (strcasecmp(name, "If-None-Match") == 0)
        request->if_none_match = said;
    else if (strcasecmp(name, "Accept") == 0)
        request->accept = said;
    for (size_t i = 0; strcasecmp(name, "Role") == 0 && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(said, roles[i]) == 0)
            request->role = (enum http_role)i;
}

static int take_parameters(struct request_text *text, struct bytes query, size_t body_limit)
{
    struct http_request *request = &text->request;
    int error = 0;
    if (request->body.size > body_limit)
        return ERR_LIMIT;
    if (strcasecmp(request->content_encoding, "gzip") == 0) {
        error = answer_inflate(request->body, body_limit, &text->inflated);
        request->body = buf_bytes(&text->inflated);
    }
    bool is_form = strncasecmp(request->content_type, "application/x-www-form-urlencoded", 33) == 0;
    if (error == 0 && is_form && !text->route->raw_body)
        error = form_add_encoded(&text->form, request->body);
    if (error == 0)
        error = form_add_encoded(&text->form, query);
    request->parameters = text->form.items;
    request->parameter_count = text->form.count;
    return error;
}

bool request_text_read(struct bytes bytes, const struct http_route *routes, size_t count,
                       struct request_text *ret_text)
{
    struct request_text *text = ret_text;
    memset(text, 0, sizeof *text);
    text->authorization = "";
    arena_init(&text->arena, REQUEST_ARENA_BYTES);
    form_init(&text->form, &text->arena);
    struct bytes line = cut(&bytes, '\n'), query = line;
    const char *method = copy(&text->arena, cut(&query, ' '));
    char *path = copy(&text->arena, cut(&query, '?'));
    if (method == NULL || path == NULL || *path != '/' || !unescape(path)) {
        request_text_done(text);
        return false;
    }
    struct http_request *request = &text->request;
    *request = (struct http_request){.method = route_method(method, path),
                                     .path = path,
                                     .content_type = "",
                                     .content_encoding = "",
                                     .if_none_match = "",
                                     .accept = "",
                                     .user = "",
                                     .role = ROLE_ADMIN};
    while (bytes.size > 0 && (line = cut(&bytes, '\n')).size > 0)
        take_header(text, line);
    request->body = bytes;
    text->route = route_find(routes, count, request->method, path, &request->rest,
                             &text->is_known);
    if (text->route == NULL)
        return true;
    size_t limit = text->route->body_limit != 0 ? text->route->body_limit : BODY_BYTES_DEFAULT;
    int error = take_parameters(text, query, limit);
    text->status = error == 0 ? 0 : error == ERR_LIMIT ? 413 : 400;
    return true;
}

void request_text_done(struct request_text *text)
{
    buf_done(&text->inflated);
    arena_reset(&text->arena);
}
