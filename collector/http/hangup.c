/*
 * hangup.c - who hung up while we were busy with their request.
 *
 * An epoll set of our own over the sockets of suspended connections; nothing is read from them.
 * A half-closed socket counts as gone: no HTTP client shuts down its side and still listens.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "collector/http/exchange.h"
#include "proto/base/must.h"

#define EVENTS_MAX 64

int exchange_socket(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

void hangup_watch(struct exchange *exchange)
{
    /* EPOLLONESHOT: a level that nobody lowers must not spin the loop. */
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = exchange};
    int error = epoll_ctl(exchange->server->hangup_epoll, EPOLL_CTL_ADD, exchange_socket(exchange),
                          &event);
    must(error == 0 || errno == ENOMEM || errno == ENOSPC);
}

void hangup_unwatch(struct exchange *exchange)
{
    struct epoll_event event = {0};
    epoll_ctl(exchange->server->hangup_epoll, EPOLL_CTL_DEL, exchange_socket(exchange), &event);
}

void hangup_look(struct http_server *server)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(server->hangup_epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct exchange *exchange = events[i].data.ptr;
        if (!exchange->request.cancelled)
            server->hung_up++;
        __atomic_store_n(&exchange->request.cancelled, true, __ATOMIC_RELAXED);
    }
}
