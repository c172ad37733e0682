/*
 * exchange.h - one request and its answer on their way through the server.
 *
 *                 header read          password hashed             body read
 *   (connection) ------------> NEW ----> VERIFYING ----> READING -----------> WORKING --+
 *                               |   known or no users ---^  |                   |       |
 *                               |                           | loop routes       | pools,|
 *                               v                           v                   v later v
 *                             ANSWERED <--------------------+-------------- FINISHED <--+
 *
 * In VERIFYING and WORKING the connection is suspended: libmicrohttpd does not look at it, so an
 * exchange cannot end while another thread works on it.  Our own epoll set watches suspended
 * connections for the client's hang-up (EPOLLRDHUP), because nobody else would see it.
 *
 * A streamed body (struct http_stream) leaves ANSWERED for STREAMING, suspended likewise, whenever
 * libmicrohttpd has used up a piece, and comes back with the next one.
 *
 * The body of an answer stays the exchange's until libmicrohttpd tells that it is over with it.
 *
 * This is the inside of the server (server.c, exchange.c, answer.c, answer_memory.c, stream.c,
 * hangup.c, pace.c, parting.c); nothing else of the collector's includes it (tests/fuzz/request_text.c undoes
 * gzip by it).
 */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>
#include <uv.h>

#include "collector/http/form.h"
#include "collector/http/pool.h"
#include "collector/http/reply.h"
#include "collector/http/server.h"
#include "collector/http/users.h"
#include "proto/base/arena.h"

#define BODY_BYTES_DEFAULT    ((size_t)1 << 20)
#define PARAMETER_BYTES_MAX   ((size_t)16 << 20)
#define WRITE_QUEUE_MAX       64
#define LOGIN_QUEUE_MAX       64
#define CONNECTIONS_MAX       4096
#define CONNECTION_TIMEOUT_S  120
#define CONNECTION_BYTES      ((size_t)80 << 10)
#define GZIP_WINDOW           (15 + 16)
#define COUNTED_CLASSES       6 /* 1xx .. 5xx, by first digit */
#define STATE_ANSWERS_BYTES_MAX ((size_t)256 << 20) /* of all routes that are not slow */

#define PARTINGS_MAX          256

struct tls;
struct exchange;

/* parting.c's: a socket whose client may still read what it was told. */
struct parting {
    int fd;
    size_t left_bytes;
    mono_ns until;
};

struct http_server {
    /* fixed after http_server_open() */
    uv_loop_t *loop;
    const struct http_route *routes;
    size_t route_count;
    void *context;
    char *users_path; /* NULL: no users */
    struct MHD_Daemon *daemon;
    struct pool *queries, *state, *writes, *logins;
    int hangup_epoll, wake_fd;
    unsigned port;
    mono_ns send_timeout_ns;
    struct arena_total *query_memory; /* or NULL */
    size_t query_memory_bytes_max;
    /* any thread */
    struct arena_total state_memory; /* of routes that are not slow */
    struct arena_total sending;      /* what large answers of slow ones hold */
    /* loop thread */
    struct users *users;
    struct tls *tls;
    uv_poll_t daemon_poll, hangup_poll, wake_poll;
    uv_timer_t timer, pace_timer, parting_timer;
    unsigned open_handles;
    struct exchange *suspended; /* all of them, for close */
    struct exchange *sent_to;   /* those whose client is to take something now (pace.c) */
    struct parting partings[PARTINGS_MAX];
    size_t parting_count;
    bool closing;
    /* counted on the loop thread, read by any */
    _Atomic size_t suspended_count;
    _Atomic uint64_t answered[COUNTED_CLASSES];
    _Atomic uint64_t logins_failed, hung_up, let_go;
    /* any thread */
    struct exchange *_Atomic done; /* wait for the loop, by next_done */
    _Atomic unsigned returning;    /* threads in exchange_done() */
};

enum exchange_state {
    EXCHANGE_NEW, EXCHANGE_VERIFYING, EXCHANGE_VERIFIED, EXCHANGE_READING, EXCHANGE_WORKING,
    EXCHANGE_FINISHED, EXCHANGE_ANSWERED,
    EXCHANGE_STREAMING /* answered, but the next piece of the body is being made */
};

/* pace.c's, of an exchange; loop. */
struct pace {
    bool is_on;          /* the client is to take something now: in server->sent_to */
    mono_ns looked;      /* the last time, or when it began */
    mono_ns behind_ns;   /* what was taken the pace */
    mono_ns unseen_ns;   /* what a body that goes as one takes at the pace */
    size_t handed_bytes; /* of the body, to the socket */
    size_t seen_bytes;   /* of them gone at the last look */
    struct exchange *previous, *next;
};

struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route; /* NULL: answered without one */
    enum exchange_state state;
    struct http_request request;
    struct http_response response;
    struct http_pending pending;
    struct users *users; /* a reference, or NULL */
    struct identity identity;
    enum verdict verdict;
    const char *authorization; /* "" if absent; lives as long as the connection's request */
    const char *origin;        /* "" if absent */
    struct buf query;          /* of the URL, as received */
    struct buf body;           /* as received */
    struct buf inflated;       /* gzip undone */
    struct arena_total memory; /* what work and answer hold */
    size_t sending_bytes;      /* of it, counted in server->sending */
    struct arena arena;        /* the parameters */
    struct form form;
    size_t body_limit;
    bool is_too_large;
    bool accepts_gzip;
    bool was_compressed; /* as far as it pays: that is not looked at again */
    bool is_compressed;  /* response.body is gzip */
    struct streamed_body *stream; /* stream.c's, or NULL */
    struct pace pace;
    struct pool_job job;
    struct exchange *next_done;
    struct exchange *previous, *next;       /* in server->suspended */
};

/* exchange.c: libmicrohttpd's calls for every request, the first with its request line's target.
 * libmicrohttpd (0.9.75) would keep each parameter of it in the connection's memory, and where that is
 * full it never answers: they are taken away from it, what it goes on to read has none. */
void *exchange_target(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_access(void *server, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **exchange);
void exchange_completed(void *server, struct MHD_Connection *connection, void **exchange,
                        enum MHD_RequestTerminationCode code);

/* exchange.c: gives the exchange to a pool; the connection sleeps until exchange_done().  ERR_LIMIT:
 * too many are waiting there, nothing has changed. */
int exchange_hand_over(struct exchange *exchange, struct pool *pool,
                       void (*run)(struct pool_job *job), enum exchange_state state);
struct exchange *exchange_of_job(struct pool_job *job);

/* exchange.c: hands a finished exchange back to the loop; any thread, once. */
void exchange_done(struct exchange *exchange);

/* answer.c: queues exchange->response, whose body must stay until exchange_completed(). */
enum MHD_Result answer_send(struct exchange *exchange);
/* answer.c: the same with a plain text and a newline. */
enum MHD_Result answer_text(struct exchange *exchange, int status, const char *text);
/* answer.c: compresses the body where that pays and the client can take it; any thread. */
void answer_compress(struct exchange *exchange);
/* answer_memory.c: before the parameters are read: whose account they, the work and the answer count in. */
void answer_memory_open(struct exchange *exchange);
/* answer_memory.c: after the handler, any thread: an answer that its account has no room for becomes
 * an error, and so does a large one where too many are being sent. */
void answer_memory_settle(struct exchange *exchange);
/* answer_memory.c: an error of the server's instead of what a handler has begun; any thread that has
 * the exchange. */
void answer_refuse(struct exchange *exchange, enum api_error error, const char *text);
/* answer_memory.c: once, when the body is given back. */
void answer_memory_close(struct exchange *exchange);
/* answer.c: undoes Content-Encoding: gzip.  ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
int answer_inflate(struct bytes compressed, size_t limit, struct buf *out);

/* stream.c: makes the first piece of a handler's stream, or an error instead; pool thread. */
void stream_begin(struct exchange *exchange);
/* stream.c: libmicrohttpd's response for it; NULL when out of memory. */
struct MHD_Response *stream_response(struct exchange *exchange);
void stream_end(struct exchange *exchange);

/* hangup.c: watches a suspended connection. */
void hangup_watch(struct exchange *exchange);
void hangup_unwatch(struct exchange *exchange);
/* hangup.c: to be called when server->hangup_epoll is readable. */
void hangup_look(struct http_server *server);
/* hangup.c: the connection's. */
int exchange_socket(const struct exchange *exchange);

/* parting.c; loop: libmicrohttpd closes the connection: its client has a moment yet to read. */
void parting_begin(struct http_server *server, struct MHD_Connection *connection);
void parting_end_all(struct http_server *server);
/* parting.c: has a request, whose header has been read, left memory for its body and the head of an
 * answer? */
bool parting_has_room(const struct exchange *exchange);
/* parting.c: refuses a request without libmicrohttpd, which is to close its connection: MHD_NO.  `text`
 * is a line at most. */
enum MHD_Result parting_refuse(struct exchange *exchange, int status, const char *text);

/* pace.c; loop: from now on the client has something to take; so much of it goes to its socket, or
 * goes there at once and is not seen to; it has nothing to. */
void pace_begin(struct exchange *exchange);
void pace_handed(struct exchange *exchange, size_t bytes);
void pace_unseen(struct exchange *exchange, size_t bytes);
void pace_end(struct exchange *exchange);
