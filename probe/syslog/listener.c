/*
 * listener.c - see listener.h.
 */
#include "probe/syslog/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/syslog/framing.h"
#include "proto/base/error.h"

#define DATAGRAM_BYTES  ((size_t)64 << 10)
#define SOCKET_BYTES    (4 << 20) /* what a burst of a rack of switches may need in a tick */
#define TURN_DATAGRAMS  4096
#define CONNECTION_WAIT 32

int syslog_listeners_start(struct syslog_listeners *listeners)
{
    listeners->datagram = malloc(DATAGRAM_BYTES);
    return listeners->datagram == NULL ? ERR_NOMEM : 0;
}

void syslog_listeners_stop(struct syslog_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].fd >= 0)
            (void)close(listeners->items[i].fd);
        listeners->items[i].fd = -1;
    }
    for (size_t i = 0; i < listeners->connection_count; i++)
        syslog_connection_free(listeners->connections[i]);
    listeners->connection_count = 0;
    free(listeners->datagram);
    listeners->datagram = NULL;
}

static void set(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int open_one(struct syslog_listener *listener)
{
    const struct syslog_endpoint *endpoint = &listener->endpoint;
    int type = endpoint->is_tcp ? SOCK_STREAM : SOCK_DGRAM;
    int fd = socket(endpoint->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_IO;
    if (endpoint->is_tcp) {
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    } else {
        set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
        set(fd, SOL_SOCKET, SO_RCVBUFFORCE,
            SOCKET_BYTES); /* past the host's limit, if we may */
        set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    }
    if (bind(fd, (const struct sockaddr *)&endpoint->address, endpoint->size) != 0 ||
        (endpoint->is_tcp && listen(fd, CONNECTION_WAIT) != 0)) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return ERR_IO;
    }
    listener->fd = fd;
    listener->overflows = 0;
    return 0;
}

void syslog_listeners_open(struct syslog_listeners *listeners, int64_t now_ms)
{
    struct diagnosis why = {0};
    bool has_tried = false, is_closed = false;
    for (size_t i = 0; i < listeners->count; i++) {
        struct syslog_listener *listener = &listeners->items[i];
        int64_t waited_ms = now_ms - listener->tried_ms;
        if (listener->fd >= 0)
            continue;
        is_closed = true;
        if (listener->tried_ms != 0 && waited_ms >= 0 && waited_ms < SYSLOG_RETRY_MS)
            continue;
        has_tried = true;
        listener->tried_ms = now_ms;
        if (open_one(listener) != 0)
            (void)diagnose(&why, ERR_IO, "cannot listen at %s: %s%s", listener->name,
                           strerror(errno),
                           errno == EACCES ? " (take a port above 1023, or give the unit "
                                             "CAP_NET_BIND_SERVICE)"
                                           : "");
    }
    if (has_tried || !is_closed)
        listeners->why = why;
}

/* May this address send?  Counts who may not. */
static bool may_send(struct syslog_listeners *listeners, const struct sockaddr_storage *address,
                     uint8_t ret_bytes[16])
{
    bool may = syslog_address_bytes(address, ret_bytes) && listeners->allow_count == 0;
    for (size_t i = 0; i < listeners->allow_count && !may; i++)
        may = syslog_address_bytes(address, ret_bytes) &&
              syslog_network_has(&listeners->allow[i], ret_bytes);
    listeners->counts.dropped_refused += !may;
    return may;
}

/* What the kernel had to drop, as it says with each datagram. */
static void count_overflows(struct syslog_listeners *listeners,
                            struct syslog_listener *listener, struct msghdr *header)
{
    uint32_t overflows;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&overflows, CMSG_DATA(part), sizeof overflows);
        listeners->counts.dropped_socket += overflows - listener->overflows;
        listener->overflows = overflows;
    }
}

/* True: there may be more. */
static bool read_datagrams(struct syslog_listeners *listeners, struct syslog_listener *listener,
                           syslog_receive *receive, bool (*has_room)(void *context),
                           void *context)
{
    for (int i = 0; i < TURN_DATAGRAMS; i++) {
        _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint32_t))];
        struct sockaddr_storage from = {0};
        struct iovec data = {listeners->datagram, DATAGRAM_BYTES};
        struct msghdr header = {.msg_name = &from,
                                .msg_namelen = sizeof from,
                                .msg_iov = &data,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof control};
        uint8_t address[16];
        if (!has_room(context))
            return true;
        ssize_t got = recvmsg(listener->fd, &header, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (got < 0)
            continue; /* EINTR, or an error of one datagram that the socket reports */
        count_overflows(listeners, listener, &header);
        if (got == 0 || !may_send(listeners, &from, address))
            continue;
        size_t size = (size_t)got;
        bool is_cut = size > SYSLOG_MESSAGE_BYTES_MAX;
        struct bytes raw = {listeners->datagram, is_cut ? SYSLOG_MESSAGE_BYTES_MAX : size};
        listeners->counts.received_udp++;
        (void)receive(context, address, raw, is_cut);
    }
    return true;
}

static void accept_all(struct syslog_listeners *listeners, struct syslog_listener *listener)
{
    for (size_t i = 0; i < 2 * SYSLOG_CONNECTIONS_MAX; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        uint8_t address[16];
        int fd = accept4(listener->fd, (struct sockaddr *)&from, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0)
            return;
        bool is_full = listeners->connection_count == SYSLOG_CONNECTIONS_MAX;
        if (!may_send(listeners, &from, address) || is_full ||
            syslog_connection_new(fd, address,
                                  &listeners->connections[listeners->connection_count]) != 0) {
            listeners->counts.dropped_connection += is_full;
            (void)close(fd);
            continue;
        }
        /* A device that was switched off says no farewell. */
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        listeners->connection_count++;
    }
}

struct counting {
    struct syslog_counts *counts;
    syslog_receive *receive;
    bool (*has_room)(void *context);
    void *context;
};

static bool count_and_receive(void *context, const uint8_t address[16], struct bytes raw,
                              bool is_cut)
{
    struct counting *counting = context;
    if (!counting->has_room(counting->context))
        return false;
    counting->counts->received_tcp++;
    return counting->receive(counting->context, address, raw, is_cut);
}

/* Who was first is last in the next turn, so that one flood does not silence the others. */
static void rotate(struct syslog_listeners *listeners)
{
    struct syslog_connection **all = listeners->connections;
    if (listeners->connection_count < 2)
        return;
    struct syslog_connection *first = all[0];
    memmove(all, all + 1, (listeners->connection_count - 1) * sizeof *all);
    all[listeners->connection_count - 1] = first;
}

static bool read_streams(struct syslog_listeners *listeners, struct counting *counting)
{
    bool has_more = false;
    size_t kept = 0;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].fd >= 0 && listeners->items[i].endpoint.is_tcp)
            accept_all(listeners, &listeners->items[i]);
    for (size_t i = 0; i < listeners->connection_count; i++) {
        struct syslog_connection *connection = listeners->connections[i];
        enum syslog_read result =
            syslog_connection_read(connection, count_and_receive, counting);
        has_more = has_more || result == SYSLOG_READ_MORE;
        if (result == SYSLOG_READ_END)
            syslog_connection_free(connection);
        else
            listeners->connections[kept++] = connection;
    }
    listeners->connection_count = kept;
    if (has_more)
        rotate(listeners);
    return has_more;
}

bool syslog_listeners_read(struct syslog_listeners *listeners, syslog_receive *receive,
                           bool (*has_room)(void *context), void *context)
{
    struct counting counting = {&listeners->counts, receive, has_room, context};
    listeners->is_odd = !listeners->is_odd;
    bool has_more = listeners->is_odd && read_streams(listeners, &counting);
    for (size_t i = 0; i < listeners->count; i++) {
        struct syslog_listener *listener = &listeners->items[i];
        if (listener->fd >= 0 && !listener->endpoint.is_tcp &&
            read_datagrams(listeners, listener, receive, has_room, context))
            has_more = true;
    }
    if (!listeners->is_odd && read_streams(listeners, &counting))
        has_more = true;
    return has_more;
}
