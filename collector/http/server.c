/*
 * server.c - see server.h; how libmicrohttpd, the loop and the pools come together.
 *
 *     daemon's epoll descriptor --uv_poll--> MHD_run()        one uv_timer for its time-outs
 *     hang-up epoll set         --uv_poll--> hangup_look()
 *     pools, writer thread      --eventfd--> resume what is done, MHD_run()
 *
 * An eventfd, not a uv_async_t: there the loop, once woken, waits until whoever woke it runs again.
 * After each MHD_run() the timer is set anew from MHD_get_timeout().  All calls of libmicrohttpd
 * are made on the loop's thread.
 */
#include "collector/http/server.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector/http/exchange.h"
#include "collector/http/listen.h"
#include "collector/http/tls.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define TLS_PRIORITIES  "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"
#define STATE_THREADS   4 /* some may wait for a commit */
#define WRITE_THREADS   2
#define CLOSING_TURN_MS 20

static void on_timer(uv_timer_t *timer);

static void run_daemon(struct http_server *server)
{
    must(MHD_run(server->daemon) == MHD_YES);
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
        must(uv_timer_start(&server->timer, on_timer, timeout_ms, 0) == 0);
    else
        must(uv_timer_stop(&server->timer) == 0);
}

static void on_timer(uv_timer_t *timer)
{
    run_daemon(timer->data);
}

static void on_daemon(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_daemon(poll->data);
}

static void on_hangup(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    hangup_look(poll->data);
}

/* Wakes the connections whose work is done.  Returns how many. */
static size_t resume_done(struct http_server *server)
{
    struct exchange *exchange =
        atomic_exchange_explicit(&server->done, NULL, memory_order_acquire);
    size_t count = 0;
    for (; exchange != NULL; count++) {
        struct exchange *next = exchange->next_done;
        if (exchange->previous != NULL)
            exchange->previous->next = exchange->next;
        else
            server->suspended = exchange->next;
        if (exchange->next != NULL)
            exchange->next->previous = exchange->previous;
        server->suspended_count--;
        exchange->state = exchange->state == EXCHANGE_VERIFYING   ? EXCHANGE_VERIFIED
                          : exchange->state == EXCHANGE_STREAMING ? EXCHANGE_ANSWERED
                                                                  : EXCHANGE_FINISHED;
        if (exchange->state == EXCHANGE_ANSWERED)
            pace_begin(exchange); /* the next piece */
        hangup_unwatch(exchange);
        MHD_resume_connection(exchange->connection);
        exchange = next;
    }
    return count;
}

/* Before resume_done(): who is done after it wakes it again. */
static void lower_wake(struct http_server *server)
{
    uint64_t times;
    must(read(server->wake_fd, &times, sizeof times) == sizeof times || errno == EAGAIN);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct http_server *server = poll->data;
    (void)status;
    (void)events;
    lower_wake(server);
    if (!server->closing && resume_done(server) > 0)
        run_daemon(server);
}

/* ---- opening --------------------------------------------------------------------------- */

static void log_daemon(void *context, const char *format, va_list arguments)
{
    (void)context;
    char text[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, arguments);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    log_debug("http", "%s", text);
}

static void on_connection(void *context, struct MHD_Connection *connection,
                          void **connection_context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *connection_context = context;
    else
        parting_begin(context, connection);
}

/* libmicrohttpd keeps its connection in the session's pointer, and our server in the connection's
 * context (on_connection): that is the way from a handshake to the certificate in force. */
static int on_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
                          int authority_count, const gnutls_pk_algorithm_t *algorithms,
                          int algorithm_count, gnutls_pcert_st **ret_chain, unsigned *ret_count,
                          gnutls_privkey_t *ret_key)
{
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        gnutls_session_get_ptr(session), MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    must(info != NULL && info->socket_context != NULL);
    const struct http_server *server = info->socket_context;
    tls_current(server->tls, ret_chain, ret_count, ret_key);
    return 0;
}

/* Half of the descriptors at most: the other half is the store's and the probes'. */
static unsigned connection_limit(void)
{
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files) == 0);
    return files.rlim_cur / 2 < CONNECTIONS_MAX ? (unsigned)(files.rlim_cur / 2)
                                                : CONNECTIONS_MAX;
}

static int start_daemon(struct http_server *server, int listen_socket, struct diagnosis *why)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    if (server->tls != NULL)
        flags |= MHD_USE_TLS;
    else
        tls_options[0].option = MHD_OPTION_END;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_access, server, MHD_OPTION_EXTERNAL_LOGGER, log_daemon,
        NULL, MHD_OPTION_LISTEN_SOCKET, listen_socket, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_completed, server, MHD_OPTION_URI_LOG_CALLBACK, exchange_target, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_CONNECTION_LIMIT, connection_limit(), MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
    if (server->daemon == NULL)
        return diagnose(why, ERR_IO, "libmicrohttpd did not start");
    return 0;
}

static void open_handle(struct http_server *server, uv_handle_t *handle)
{
    handle->data = server;
    server->open_handles++;
}

static int start_watching(struct http_server *server, struct diagnosis *why)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL ||
        uv_poll_init(server->loop, &server->daemon_poll, info->listen_fd) != 0)
        return diagnose(why, ERR_IO, "the loop cannot watch the server's descriptor");
    open_handle(server, (uv_handle_t *)&server->daemon_poll);
    if (uv_poll_init(server->loop, &server->hangup_poll, server->hangup_epoll) != 0)
        return diagnose(why, ERR_IO, "the loop cannot watch the hang-up set");
    open_handle(server, (uv_handle_t *)&server->hangup_poll);
    if (uv_poll_init(server->loop, &server->wake_poll, server->wake_fd) != 0)
        return diagnose(why, ERR_IO, "the loop cannot watch an eventfd");
    open_handle(server, (uv_handle_t *)&server->wake_poll);
    must(uv_poll_start(&server->wake_poll, UV_READABLE, on_wake) == 0);
    must(uv_timer_init(server->loop, &server->timer) == 0);
    open_handle(server, (uv_handle_t *)&server->timer);
    must(uv_timer_init(server->loop, &server->pace_timer) == 0);
    open_handle(server, (uv_handle_t *)&server->pace_timer);
    must(uv_timer_init(server->loop, &server->parting_timer) == 0);
    open_handle(server, (uv_handle_t *)&server->parting_timer);
    must(uv_poll_start(&server->daemon_poll, UV_READABLE, on_daemon) == 0);
    must(uv_poll_start(&server->hangup_poll, UV_READABLE, on_hangup) == 0);
    return 0;
}

static unsigned default_threads(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 2 ? 2 : cpus > 20 ? 20 : (unsigned)cpus;
}

static int open_pools(struct http_server *server, const struct http_options *options)
{
    unsigned threads = options->query_threads != 0 ? options->query_threads : default_threads();
    if (options->query_threads_max != 0 && threads > options->query_threads_max)
        threads = options->query_threads_max;
    int error = pool_open("http-query", threads, QUERY_QUEUE_MAX, &server->queries);
    if (error == 0)
        error = pool_open("http-state", STATE_THREADS, QUERY_QUEUE_MAX, &server->state);
    if (error == 0)
        error = pool_open("http-write", WRITE_THREADS, WRITE_QUEUE_MAX, &server->writes);
    if (error == 0) /* one: guessing passwords must not take every core */
        error = pool_open("http-login", 1, LOGIN_QUEUE_MAX, &server->logins);
    return error;
}

static int check_exposure(const struct http_options *options,
                          const struct listen_address *address, struct diagnosis *why)
{
    bool has_tls = options->certificate_path != NULL;
    if (has_tls != (options->key_path != NULL))
        return diagnose(why, ERR_INVALID, "tls needs both cert and key");
    if (address->is_loopback || options->behind_proxy ||
        (has_tls && options->users_path != NULL))
        return 0;
    return diagnose(why, ERR_REFUSED,
                    "%s is not loopback: that needs users and TLS (http.users, http.tls.cert, "
                    "http.tls.key), or http.behind_proxy: true where a proxy does both",
                    options->listen);
}

static int open_parts(struct http_server *server, const struct http_options *options,
                      struct diagnosis *why)
{
    int error = 0;
    if (options->users_path != NULL) {
        server->users_path = strdup(options->users_path);
        error = server->users_path == NULL ? ERR_NOMEM
                                           : users_load(server->users_path, &server->users, why);
    }
    if (error == 0 && options->certificate_path != NULL)
        error = tls_open(options->certificate_path, options->key_path, &server->tls, why);
    if (error == 0)
        error = open_pools(server, options);
    server->hangup_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (error == 0 && server->hangup_epoll < 0)
        error = diagnose(why, ERR_IO, "epoll_create failed");
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (error == 0 && server->wake_fd < 0)
        error = diagnose(why, ERR_IO, "eventfd failed");
    return error;
}

int http_server_open(uv_loop_t *loop, const struct http_options *options,
                     const struct http_route *routes, size_t route_count, void *context,
                     struct http_server **ret_server, struct diagnosis *why)
{
    struct listen_address address;
    int error = listen_parse(options->listen, &address, why);
    if (error == 0)
        error = check_exposure(options, &address, why);
    if (error != 0)
        return error;
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return ERR_NOMEM;
    *server = (struct http_server){
        .loop = loop, .routes = routes, .route_count = route_count, .context = context,
        .hangup_epoll = -1, .wake_fd = -1, .query_memory = options->query_memory,
        .query_memory_bytes_max = options->query_memory_bytes_max,
        .state_memory = {.limit_bytes = STATE_ANSWERS_BYTES_MAX},
        .sending = {.limit_bytes = options->query_memory == NULL
                                       ? SIZE_MAX
                                       : options->query_memory->limit_bytes / 2},
        .send_timeout_ns =
            (mono_ns)(options->send_timeout_ms > 0 ? options->send_timeout_ms
                                                   : HTTP_SEND_TIMEOUT_MS) *
            NS_PER_MS};
    int listen_socket = -1;
    error = open_parts(server, options, why);
    if (error == 0)
        error = listen_open(options->listen, &address, &listen_socket, &server->port, why);
    if (error == 0) {
        error = start_daemon(server, listen_socket, why);
        if (error != 0)
            close(listen_socket);
    }
    if (error == 0)
        error = start_watching(server, why);
    if (error != 0) {
        http_server_close(server);
        return error;
    }
    *ret_server = server;
    return 0;
}

int http_server_reload(struct http_server *server, struct diagnosis *why)
{
    struct users *fresh = NULL;
    int error = 0;
    if (server->users_path != NULL)
        error = users_load(server->users_path, &fresh, why);
    if (error == 0 && server->tls != NULL)
        error = tls_reload(server->tls, why);
    if (error != 0) {
        users_unref(fresh);
        return error;
    }
    if (fresh != NULL) {
        users_unref(server->users);
        server->users = fresh;
    }
    return 0;
}

/* ---- closing --------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->open_handles == 0)
        free(server);
}

/* Nobody may be at work on a connection when the daemon stops.  Who asks meanwhile is refused
 * at once (exchange.c), not left without an answer until we are gone. */
static void wait_for_handlers(struct http_server *server)
{
    for (struct exchange *each = server->suspended; each != NULL; each = each->next)
        __atomic_store_n(&each->request.cancelled, true, __ATOMIC_RELAXED);
    for (;;) {
        resume_done(server);
        MHD_run(server->daemon);
        if (server->suspended_count == 0)
            break;
        struct pollfd wake = {.fd = server->wake_fd, .events = POLLIN};
        (void)poll(&wake, 1, CLOSING_TURN_MS);
        lower_wake(server);
    }
    while (atomic_load_explicit(&server->returning, memory_order_acquire) > 0)
        sched_yield(); /* in exchange_done() */
}

void http_server_close(struct http_server *server)
{
    if (server == NULL)
        return;
    server->closing = true;
    if (server->daemon != NULL) {
        wait_for_handlers(server);
        MHD_socket listening = MHD_quiesce_daemon(server->daemon);
        if (listening != MHD_INVALID_SOCKET)
            close(listening);
        if (server->open_handles > 0)
            uv_poll_stop(&server->daemon_poll);
        if (server->open_handles > 1)
            uv_poll_stop(&server->hangup_poll);
        if (server->open_handles > 2)
            uv_poll_stop(&server->wake_poll);
        MHD_stop_daemon(server->daemon);
    }
    parting_end_all(server);
    pool_close(server->queries);
    pool_close(server->state);
    pool_close(server->writes);
    pool_close(server->logins);
    if (server->hangup_epoll >= 0)
        close(server->hangup_epoll);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    users_unref(server->users);
    tls_close(server->tls);
    free(server->users_path);
    uv_handle_t *handles[] = {(uv_handle_t *)&server->daemon_poll,
                              (uv_handle_t *)&server->hangup_poll,
                              (uv_handle_t *)&server->wake_poll,
                              (uv_handle_t *)&server->timer,
                              (uv_handle_t *)&server->pace_timer,
                              (uv_handle_t *)&server->parting_timer};
    unsigned count = server->open_handles; /* opened in this order */
    for (unsigned i = 0; i < count; i++)
        uv_close(handles[i], on_handle_closed);
    if (count == 0)
        free(server);
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_print_metrics(const struct http_server *server, struct buf *out)
{
    buf_put_text(out, "# HELP fengsui_collector_http_requests_total Requests answered, by class "
                      "of status.\n# TYPE fengsui_collector_http_requests_total counter\n");
    for (int class = 2; class < COUNTED_CLASSES; class ++)
        buf_printf(out, "fengsui_collector_http_requests_total{code=\"%dxx\"} %llu\n", class,
                   (unsigned long long)server->answered[class]);
    buf_printf(out,
               "# HELP fengsui_collector_http_logins_failed_total Requests with a wrong password "
               "or token.\n# TYPE fengsui_collector_http_logins_failed_total counter\n"
               "fengsui_collector_http_logins_failed_total %llu\n"
               "# HELP fengsui_collector_http_clients_gone_total Clients that hung up while "
               "their request ran.\n# TYPE fengsui_collector_http_clients_gone_total counter\n"
               "fengsui_collector_http_clients_gone_total %llu\n"
               "# HELP fengsui_collector_http_clients_slow_total Clients that took their answer "
               "too slowly and were let go.\n# TYPE fengsui_collector_http_clients_slow_total "
               "counter\nfengsui_collector_http_clients_slow_total %llu\n"
               "# HELP fengsui_collector_http_query_memory_bytes What queries hold, and their "
               "answers until they are sent.\n# TYPE fengsui_collector_http_query_memory_bytes "
               "gauge\nfengsui_collector_http_query_memory_bytes %zu\n"
               "# HELP fengsui_collector_http_requests_running Requests that a pool works on or "
               "that wait for one.\n# TYPE fengsui_collector_http_requests_running gauge\n"
               "fengsui_collector_http_requests_running %zu\n",
               (unsigned long long)server->logins_failed, (unsigned long long)server->hung_up,
               (unsigned long long)server->let_go,
               server->query_memory != NULL ? (size_t)server->query_memory->held_bytes : 0,
               (size_t)server->suspended_count);
}
