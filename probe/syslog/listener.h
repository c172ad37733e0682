/*
 * listener.h - the sockets: opened, read until they are empty.
 *
 * An address that cannot be listened at is tried again every SYSLOG_RETRY_MS, and told
 * meanwhile; the others go on.  Thread: the loop's.
 */
#pragma once

#include "probe/syslog/address.h"
#include "probe/syslog/connection.h"

#define SYSLOG_LISTENERS_MAX   ((size_t)8)
#define SYSLOG_CONNECTIONS_MAX ((size_t)64)
#define SYSLOG_NETWORKS_MAX    ((size_t)64)
#define SYSLOG_RETRY_MS        2000

struct syslog_listener {
    struct syslog_endpoint endpoint;
    char name[64]; /* as configured */
    int fd;        /* -1: closed */
    int64_t tried_ms;
    uint32_t overflows; /* the kernel's count of this socket */
};

struct syslog_counts {
    uint64_t received_udp, received_tcp;
    uint64_t dropped_socket;     /* the socket's buffer was full */
    uint64_t dropped_refused;    /* messages and connections of senders that may not send */
    uint64_t dropped_connection; /* connections past SYSLOG_CONNECTIONS_MAX */
};

struct syslog_listeners {
    struct syslog_listener items[SYSLOG_LISTENERS_MAX];
    size_t count;
    struct syslog_network allow[SYSLOG_NETWORKS_MAX];
    size_t allow_count; /* 0: everybody */
    struct syslog_connection *connections[SYSLOG_CONNECTIONS_MAX];
    size_t connection_count;
    struct syslog_counts counts;
    bool is_odd;          /* streams come before datagrams, every other turn */
    struct diagnosis why; /* why an address cannot be listened at; empty: all can */
    uint8_t *datagram;
};

/* Buffers.  ERR_NOMEM. */
int syslog_listeners_start(struct syslog_listeners *listeners);
/* Opens what is closed, now and then. */
void syslog_listeners_open(struct syslog_listeners *listeners, int64_t now_ms);
/* Closes all. */
void syslog_listeners_stop(struct syslog_listeners *listeners);

/* Reads all sockets for one turn; `has_room` is asked before each message, and receive() then
 * takes it.  True: there may be more. */
bool syslog_listeners_read(struct syslog_listeners *listeners, syslog_receive *receive,
                           bool (*has_room)(void *context), void *context);
