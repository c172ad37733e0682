/*
 * server.h - HTTP/1.1 on the main loop: libmicrohttpd's epoll descriptor in a uv_poll.
 *
 * A route is a row in a table: method, path, least role, handler.  The server authenticates
 * (users.h), reads and limits the body, merges URL and form parameters, runs the handler on the
 * loop thread or, for `slow` and `brief` routes, on a pool with the connection suspended, and sends
 * the answer (gzip where asked for).  A client that hangs up sets request->cancelled; one that takes
 * its answer too slowly is let go (pace.c).
 *
 * Thread: loop, except handlers of slow and brief routes (pools); they touch nothing of the loop's.
 *
 * Without users (loopback, or behind a proxy that has them) every request is an admin's.  A change
 * (any method but GET on a route that needs an operator) is refused when the browser says that
 * another site's page sent it; so is a GET of a route that changes something even so.
 *
 * While it closes it still answers: "Service Unavailable" with X-Prometheus-Stopping: true, as
 * Prometheus does, to all that comes now but /-/healthy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"

struct http_server;

enum http_method { HTTP_GET = 1, HTTP_POST = 2, HTTP_PUT = 4, HTTP_DELETE = 8 };
enum http_role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN, ROLE_WRITER };

struct http_parameter {
    const char *name;
    const char *value;
};

struct http_request {
    enum http_method method;
    const char *path;                         /* decoded */
    const char *rest; /* what stands where the route's star is, and all that follows */
    const struct http_parameter *parameters;  /* URL and form body, in order, decoded */
    size_t parameter_count;
    struct bytes body; /* raw, already decompressed only for Content-Encoding: gzip */
    const char *content_type, *content_encoding; /* "" if absent */
    const char *if_none_match, *accept;          /* "" if absent */
    const char *user;       /* "" without users */
    enum http_role role;
    volatile bool cancelled; /* the client hung up */
    /* It is tried on the loop, where waking a thread would take longer than the answer: a handler that
     * would wait, or work for as long as a millisecond, sets put_off in the response and returns; it is
     * then called on its pool. */
    bool at_once;
    /* What its work and its answer may hold together, counted until the answer is sent or the client
     * is gone; NULL: no such limit.  The body of the answer counts in it by itself. */
    struct arena_total *memory;
    mono_ns asked_mono_ns;   /* when it had come whole: waiting for a thread counts as its time */
    void *context;           /* the route table's */
    const struct http_server *server; /* for http_server_print_metrics() */
};

/* A body that is made in pieces while it is sent, so that its size is no matter of memory.
 * next() appends the next piece to `out`, HTTP_PIECE_BYTES or what is convenient, and nothing at
 * the end; it runs on the query pool, for one piece at a time, and not before the client has
 * taken most of the one before.  After an error the connection is broken off, so that nobody
 * takes what there is for the whole.  close() is called once, on the loop's thread, or on the pool's
 * where there is no first piece. */
struct http_stream {
    int (*next)(struct http_stream *stream, struct buf *out);
    void (*close)(struct http_stream *stream);
};
#define HTTP_PIECE_BYTES ((size_t)256 << 10)

/* Requests of slow routes that may wait for a thread, and as many of brief ones; who comes then gets
 * 503 and Retry-After, of the APIs in their envelope ("unavailable"). */
#define QUERY_QUEUE_MAX 1024

#define HTTP_HEADERS_MAX 4 /* beside the usual ones */

struct http_response {
    int status; /* 200 */
    const char *content_type; /* static string */
    struct buf body;
    const char *header_names[HTTP_HEADERS_MAX]; /* static strings, NULL-ended */
    const char *header_values[HTTP_HEADERS_MAX]; /* static strings, or header_text */
    char header_text[24];         /* room for a number */
    struct http_stream *stream; /* of slow routes: the body, instead of `body` */
    bool put_off; /* of a request that is tried at once: there is no answer yet */
    bool plain_errors; /* the server's own of this answer are text, not in the API's envelope */
};

typedef void http_handler(struct http_request *request, struct http_response *response);

/* Whom a later answer is for: whoever called the handler, and the handler's from then on. */
struct http_pending {
    void (*finish)(struct http_pending *pending); /* any thread */
};

/* A handler that answers later (remote write waits for its commit) sets nothing, keeps the
 * pointers and calls http_finish() from any thread, once. */
typedef void http_later_handler(struct http_request *request, struct http_response *response,
                                struct http_pending *pending);

void http_finish(struct http_pending *pending);

/* Drops what a handler has put into the body.  What it says instead, a short error, counts in no
 * account: it must be sayable when there is nothing left. */
void http_drop_body(struct http_response *response);

/* Adds a header to an answer; at most four.  `value` is static, or
 * response->header_text. */
void http_add_header(struct http_response *response, const char *name, const char *value);

struct http_route {
    unsigned methods; /* or of enum http_method */
    /* "/api/v1/query"; ending in a slash and star: prefix; a star between slashes: one name */
    const char *path;
    enum http_role least_role;
    bool writers_too; /* beside least_role and above: the role that is outside their order */
    bool changes;     /* even by GET: what cron's curl asks for */
    /* Whose bearer token no user has may ask as a writer, for this path alone.  Loop. */
    bool (*admits)(const struct http_request *request, const char *token);
    bool slow;  /* takes as long as what is asked for: run on the query pool */
    /* Of a slow one: tried on the loop first (http_request.at_once). */
    bool at_once;
    bool brief; /* waits for locks or a commit at most: run on the state pool, behind no query */
    http_handler *handler;
    http_later_handler *later; /* instead of handler */
    size_t body_limit;         /* bytes; 0: 1 MiB */
    bool raw_body; /* no form, even if curl says so because nobody told it otherwise */
};

struct http_options {
    const char *listen; /* ADDR:PORT */
    const char *certificate_path, *key_path; /* both or neither */
    const char *users_path;                  /* NULL: no users (loopback only) */
    bool behind_proxy; /* explicit statement that a proxy does TLS and users */
    unsigned query_threads; /* 0: as many as CPUs, at least 2 */
    unsigned query_threads_max; /* bounds the default too; 0: no bound */
    /* What slow routes and their answers may hold: all together, outliving the server, and one of
     * them.  NULL: as much as they like. */
    struct arena_total *query_memory;
    size_t query_memory_bytes_max;
    int64_t send_timeout_ms; /* 0: HTTP_SEND_TIMEOUT_MS */
};

/* A client that takes less than HTTP_PACE_BYTES a second of its answer for so long is let go. */
#define HTTP_SEND_TIMEOUT_MS 60000
#define HTTP_PACE_BYTES      ((size_t)16 << 10)

/* Off loopback it refuses (ERR_REFUSED) to start without users and TLS, or behind_proxy. */
int http_server_open(uv_loop_t *loop, const struct http_options *options,
                     const struct http_route *routes, size_t route_count, void *context,
                     struct http_server **ret_server, struct diagnosis *why);
/* Re-reads users and certificate. */
int http_server_reload(struct http_server *server, struct diagnosis *why);
/* Tells running handlers that their clients are gone and waits for them (the store must still
 * be writing), refusing what comes meanwhile; then stops listening and closes; the last memory
 * is freed when the loop runs its close callbacks.  NULL is allowed. */
void http_server_close(struct http_server *server);
/* The port it listens on (for port 0, the one that was given). */
unsigned http_server_port(const struct http_server *server);
/* Appends fengsui_collector_http_* in text format.  Any thread. */
void http_server_print_metrics(const struct http_server *server, struct buf *out);

/* The value of a parameter, of a repeated one the first; or NULL. */
const char *http_parameter(const struct http_request *request, const char *name);
/* The next value of a repeated name, in order; NULL at the end.  `at` is where to look on, 0 at first:
 * there may be tens of thousands. */
const char *http_parameter_next(const struct http_request *request, const char *name, size_t *at);
