/*
 * http_get.c - one GET (http_get.h).
 *
 *     resolve -> connect -> write, read -> over -> both handles closed -> done()
 *        any failure, the deadline or a cancel ------^
 */
#include "probe/http/http_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

static uv_stream_t *stream_of(struct http_get *get)
{
    return (uv_stream_t *)&get->socket;
}

static void tell_done(struct http_get *get)
{
    if (--get->pending == 0)
        get->request.done(get->request.context, get->error, &get->why);
}

static void on_closed(uv_handle_t *handle)
{
    tell_done(handle->data);
}

/* The first outcome counts. */
static void end(struct http_get *get, int error, const char *text)
{
    if (get->is_over)
        return;
    get->is_over = true;
    get->error = error;
    if (error != 0)
        (void)diagnose(&get->why, error, "%s", text != NULL ? text : error_text(error));
    if (get->is_resolving)
        (void)uv_cancel((uv_req_t *)&get->resolving);
    uv_close((uv_handle_t *)stream_of(get), on_closed);
    uv_close((uv_handle_t *)&get->timer, on_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    struct http_get *get = timer->data;
    end(get, ERR_TIMEOUT,
        get->is_resolving           ? "the name was not found in time"
        : get->body_bytes > 0       ? "the answer did not end in time"
        : get->response.status == 0 ? "no answer in time"
                                    : "the answer did not end in time");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct http_get *get = handle->data;
    (void)suggested;
    *ret_buf = uv_buf_init(get->buffer, sizeof get->buffer);
}

/* What the head says about the rest. */
static void take_head(struct http_get *get)
{
    char text[64];
    if (get->response.status != 200) {
        (void)snprintf(text, sizeof text, "the server answered with status %d",
                       get->response.status);
        end(get, ERR_REFUSED, text);
    } else if (get->response.is_encoded) {
        end(get, ERR_MALFORMED, "the answer is compressed, which was not asked for");
    }
}

static void take_body(struct http_get *get, struct bytes body)
{
    get->body_bytes += body.size;
    if (get->body_bytes > get->request.body_limit_bytes) {
        end(get, ERR_LIMIT, "the answer is larger than its limit");
        return;
    }
    int error = get->request.body(get->request.context, &get->response, body, &get->why);
    if (error != 0)
        end(get, error == HTTP_ENOUGH ? 0 : error, NULL);
}

static void read_raw(struct http_get *get, ssize_t size, struct bytes piece)
{
    if (size > 0)
        take_body(get, piece);
    else if (size == UV_EOF && get->body_bytes == 0)
        end(get, ERR_IO, "the connection was closed without an answer");
    else
        end(get, size == UV_EOF ? 0 : ERR_IO, uv_strerror((int)size));
}

static void take_read(struct http_get *get, ssize_t size, const uv_buf_t *buf)
{
    struct bytes body, piece = {(const uint8_t *)buf->base, size > 0 ? (size_t)size : 0};
    int event = HTTP_MORE;

    if (get->is_over || size == 0)
        return;
    if (get->request.is_raw) {
        read_raw(get, size, piece);
        return;
    }
    while (!get->is_over &&
           (event = http_response_next(&get->response, &piece, &body)) > HTTP_MORE) {
        if (event == HTTP_HEAD)
            take_head(get);
        else if (event == HTTP_BODY)
            take_body(get, body);
        else
            end(get, 0, NULL);
    }
    if (event < 0)
        end(get, event, event == ERR_LIMIT ? "the answer's head is too long" : "is no HTTP");
    if (size == UV_EOF && get->response.status == 0)
        end(get, ERR_IO, "the connection was closed without an answer");
    else if (size == UV_EOF)
        end(get, http_response_end(&get->response), "the answer was cut off");
    else if (size < 0)
        end(get, ERR_IO, uv_strerror((int)size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct http_get *get = stream->data;
    mono_ns began = clock_thread_cpu();
    take_read(get, size, buf);
    get->spent_ns += clock_thread_cpu() - began;
}

static void on_written(uv_write_t *writing, int status)
{
    struct http_get *get = writing->data;
    if (status < 0)
        end(get, ERR_IO, uv_strerror(status));
}

static void on_connected(uv_connect_t *connecting, int status)
{
    struct http_get *get = connecting->data;
    mono_ns began = clock_thread_cpu();
    uv_buf_t text = uv_buf_init((char *)(uintptr_t)get->request.text.data,
                                (unsigned)get->request.text.size);
    if (get->is_over)
        return;
    get->writing.data = get;
    if (status == 0)
        status = uv_write(&get->writing, stream_of(get), &text, 1, on_written);
    if (status == 0)
        status = uv_read_start(stream_of(get), on_alloc, on_read);
    if (status != 0)
        end(get, ERR_IO, uv_strerror(status));
    get->spent_ns += clock_thread_cpu() - began;
}

static void connect_to(struct http_get *get, const struct sockaddr *address)
{
    get->connecting.data = get;
    int status = uv_tcp_connect(&get->connecting, &get->socket.tcp, address, on_connected);
    if (status != 0)
        end(get, ERR_IO, uv_strerror(status));
}

static void on_resolved(uv_getaddrinfo_t *resolving, int status, struct addrinfo *found)
{
    struct http_get *get = resolving->data;
    get->is_resolving = false;
    if (!get->is_over && status != 0)
        end(get, ERR_NOTFOUND, uv_strerror(status));
    else if (!get->is_over)
        connect_to(get, found->ai_addr);
    uv_freeaddrinfo(found);
    tell_done(get);
}

void http_get(struct http_get *get, uv_loop_t *loop, const struct http_get_request *request)
{
    struct sockaddr_storage address;
    const char *host = strcmp(request->host, "localhost") == 0 ? "127.0.0.1" : request->host;
    int port = atoi(request->port); /* checked by http_url_split() */

    get->request = *request;
    http_response_init(&get->response);
    get->body_bytes = 0;
    get->is_over = get->is_resolving = false;
    get->error = 0;
    get->why = (struct diagnosis){0};
    get->pending = 2;
    must(uv_timer_init(loop, &get->timer) == 0);
    bool is_local = host[0] == '/';
    must((is_local ? uv_pipe_init(loop, &get->socket.pipe, 0)
                   : uv_tcp_init(loop, &get->socket.tcp)) == 0);
    get->timer.data = stream_of(get)->data = get->resolving.data = get;
    uv_update_time(loop); /* what the sources before us took is not the server's fault */
    must(uv_timer_start(&get->timer, on_deadline, (uint64_t)request->timeout_ms, 0) == 0);
    if (is_local) {
        get->connecting.data = get;
        uv_pipe_connect(&get->connecting, &get->socket.pipe, host, on_connected);
        return;
    }
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&address) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address) == 0) {
        connect_to(get, (struct sockaddr *)&address);
        return;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int status =
        uv_getaddrinfo(loop, &get->resolving, on_resolved, host, request->port, &hints);
    if (status != 0) {
        end(get, ERR_IO, uv_strerror(status));
        return;
    }
    get->is_resolving = true;
    get->pending++;
}

void http_get_cancel(struct http_get *get)
{
    if (get->pending > 0)
        end(get, ERR_CANCELLED, NULL);
}

/* HOST, [IPV6] */
static int split_host(const char *at, size_t size, char *host)
{
    if (size > 2 && at[0] == '[' && at[size - 1] == ']') {
        at++;
        size -= 2;
    } else if (memchr(at, ':', size) != NULL) {
        return ERR_INVALID;
    }
    if (size == 0 || size >= HTTP_HOST_BYTES)
        return ERR_INVALID;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)at[i] <= ' ' || strchr("@[]<>\"\\", at[i]) != NULL)
            return ERR_INVALID;
    memcpy(host, at, size);
    host[size] = '\0';
    return 0;
}

int http_url_split(const char *url, char *host, char *port, const char **ret_path,
                   struct diagnosis *why)
{
    static const char scheme[] = "http://";
    if (strncmp(url, "https://", 8) == 0)
        return diagnose(why, ERR_INVALID,
                        "https is not spoken here: scrape on the host itself");
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return diagnose(why, ERR_INVALID, "expected http://HOST:PORT/PATH");
    const char *authority = url + strlen(scheme);
    size_t size = strcspn(authority, "/?#");
    const char *path = authority + size;
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == '#' || (unsigned char)*at >= 0x7f)
            return diagnose(why, ERR_INVALID, "a character that no path may have");
    const char *colon = memrchr(authority, ':', size);
    if (colon != NULL && memchr(colon, ']', (size_t)(authority + size - colon)) != NULL)
        colon = NULL;
    const char *digits = colon == NULL ? "80" : colon + 1;
    size_t digits_size = colon == NULL ? 2 : (size_t)(authority + size - digits);
    if (digits_size == 0 || digits_size >= HTTP_PORT_BYTES ||
        strspn(digits, "0123456789") < digits_size || atoi(digits) < 1 || atoi(digits) > 65535)
        return diagnose(why, ERR_INVALID, "bad port");
    if (split_host(authority, colon == NULL ? size : (size_t)(colon - authority), host) != 0)
        return diagnose(why, ERR_INVALID, "bad host");
    memcpy(port, digits, digits_size);
    port[digits_size] = '\0';
    *ret_path = path;
    return 0;
}
