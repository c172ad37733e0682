/*
 * pace.c - who takes an answer too slowly.
 *
 * An answer holds its memory, and a connection, until the client has taken it.  libmicrohttpd ends
 * who takes nothing at all; for who takes a byte now and then it waits.  So each look adds the time
 * since the last one to what a client is behind, and takes off it what HTTP_PACE_BYTES a second would
 * have needed for the bytes that went; who is behind by the whole send timeout is let go.  Nobody gets
 * ahead: who was fast may not stop for an hour.  The time that a stream's next piece takes to make is
 * not the client's.
 *
 * What went is what libmicrohttpd has taken of the body, less what still waits in the socket.  Small
 * bodies go out as one, and nothing is known of them: they have the time that they take at that pace,
 * and the timeout.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "collector/http/exchange.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define LOOK_MS     250
#define NS_PER_BYTE ((mono_ns)1000 * NS_PER_MS / HTTP_PACE_BYTES)

/* Of the body, so far. */
static size_t went(const struct exchange *exchange)
{
    const struct pace *pace = &exchange->pace;
    int waiting = 0;
    if (ioctl(exchange_socket(exchange), TIOCOUTQ, &waiting) != 0 || waiting < 0)
        return pace->handed_bytes;
    return (size_t)waiting < pace->handed_bytes ? pace->handed_bytes - (size_t)waiting : 0;
}

static bool is_too_slow(struct exchange *exchange, mono_ns now)
{
    struct pace *pace = &exchange->pace;
    size_t bytes = went(exchange);
    mono_ns earned = bytes > pace->seen_bytes ? (bytes - pace->seen_bytes) * NS_PER_BYTE : 0;
    pace->behind_ns += now - pace->looked;
    pace->behind_ns -= earned < pace->behind_ns ? earned : pace->behind_ns;
    pace->looked = now;
    if (bytes > pace->seen_bytes)
        pace->seen_bytes = bytes;
    return pace->behind_ns > exchange->server->send_timeout_ns + pace->unseen_ns;
}

/* libmicrohttpd finds the socket broken, and ends the connection as if the client had.  What waits in
 * the socket is dropped with it. */
static void let_go(struct exchange *exchange)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = exchange_socket(exchange);
    exchange->server->let_go++;
    log_warn("http", "a client takes its answer too slowly and is let go path=%s taken_bytes=%zu",
             exchange->request.path, exchange->pace.seen_bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)shutdown(fd, SHUT_RDWR);
    pace_end(exchange);
}

static void on_look(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    mono_ns now = clock_mono(&clock_system);
    for (struct exchange *at = server->sent_to, *next; at != NULL; at = next) {
        next = at->pace.next;
        if (is_too_slow(at, now))
            let_go(at);
    }
    if (server->sent_to == NULL)
        must(uv_timer_stop(timer) == 0);
}

void pace_begin(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct pace *pace = &exchange->pace;
    if (pace->is_on || server->closing)
        return;
    pace->is_on = true;
    pace->looked = clock_mono(&clock_system);
    pace->previous = NULL;
    pace->next = server->sent_to;
    if (server->sent_to != NULL)
        server->sent_to->pace.previous = exchange;
    server->sent_to = exchange;
    if (!uv_is_active((uv_handle_t *)&server->pace_timer))
        must(uv_timer_start(&server->pace_timer, on_look, LOOK_MS, LOOK_MS) == 0);
}

void pace_handed(struct exchange *exchange, size_t bytes)
{
    exchange->pace.handed_bytes += bytes;
}

void pace_unseen(struct exchange *exchange, size_t bytes)
{
    exchange->pace.unseen_ns = bytes * NS_PER_BYTE;
}

void pace_end(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct pace *pace = &exchange->pace;
    if (!pace->is_on)
        return;
    pace->is_on = false;
    if (pace->previous != NULL)
        pace->previous->pace.next = pace->next;
    else
        server->sent_to = pace->next;
    if (pace->next != NULL)
        pace->next->pace.previous = pace->previous;
}
