/*
 * http_get.h - one HTTP GET on a libuv loop: connect, ask, read, close; bounded in time and
 * bytes.  Servers of a line protocol (redis, memcached) are asked the same way, `is_raw`.
 *
 * A connection for each request, and no redirects, TLS or compression: this asks exporters on
 * this host for a page, and costs a static program 12 KiB (libcurl: 800 KiB and its TLS).
 *
 * Everything happens on the loop's thread and none of it waits, so any number of servers that
 * hang delay nobody.
 */
#pragma once

#include <uv.h>

#include "probe/http/http_response.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"

#define HTTP_READ_BYTES 8192

/* What body() returns when it has all it wants: the request ends well. */
#define HTTP_ENOUGH 1

struct http_get_request {
    const char *host; /* address, localhost, or a name to look up; /PATH: a Unix socket */
    const char *port; /* of a Unix socket: not looked at */
    struct bytes text;  /* the request, from "GET " to the empty line; lives until done() */
    int64_t timeout_ms; /* of everything */
    uint64_t body_limit_bytes;
    bool is_raw; /* no HTTP: all that arrives is body, `response` says nothing, and the answer
                    ends with HTTP_ENOUGH or with the connection */
    /* Some of the body of a 200; an error ends the request with it, HTTP_ENOUGH without one. */
    int (*body)(void *context, const struct http_response *response, struct bytes piece,
                struct diagnosis *why);
    /* It is over: 0 after the whole body, else ERR_TIMEOUT, ERR_LIMIT, ERR_REFUSED (another
     * status than 200), ERR_NOTFOUND (no such host), ERR_IO, ERR_MALFORMED, ERR_CANCELLED or
     * what body() returned, with words.  The last thing that happens; never from within
     * http_get(). */
    void (*done)(void *context, int error, const struct diagnosis *why);
    void *context;
};

/* Fields are its own; zeroed before the first request, lives until done(). */
struct http_get {
    struct http_get_request request;
    struct http_response response;
    uint64_t body_bytes;
    mono_ns spent_ns; /* processor time in callbacks before done(), of all its requests */
    bool is_over;
    int error;
    struct diagnosis why;
    unsigned pending; /* callbacks that must come before done() */
    union {
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* of a Unix socket */
    } socket;
    uv_timer_t timer;
    uv_connect_t connecting;
    uv_write_t writing;
    uv_getaddrinfo_t resolving;
    bool is_resolving;
    char buffer[HTTP_READ_BYTES];
};

/* Begins; done() follows. */
void http_get(struct http_get *get, uv_loop_t *loop, const struct http_get_request *request);

/* Gives up: done(ERR_CANCELLED) follows.  After done() it does nothing. */
void http_get_cancel(struct http_get *get);

/* A Unix socket's path has at most so many bytes, on every kernel (sun_path, unix(7)). */
#define HTTP_SOCKET_PATH_MAX 107

/* http://HOST[:PORT][/PATH]: its parts.  `host` and `port` are at least HTTP_HOST_BYTES and
 * HTTP_PORT_BYTES; *ret_path points into the URL ("" stands for "/").  ERR_INVALID with the
 * reason in `why`. */
#define HTTP_HOST_BYTES 256
#define HTTP_PORT_BYTES 6
int http_url_split(const char *url, char *host, char *port, const char **ret_path,
                   struct diagnosis *why);
