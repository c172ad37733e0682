/*
 * link.h - one DEALER socket with CURVE, and word of when it has a connection.
 *
 * libzmq reconnects by itself and says nothing; but every connection must begin with a Hello,
 * and what was sent on the last one may be lost.  A monitor socket tells: up() when a handshake
 * has succeeded, down() when that connection is gone.  ZMQ_IMMEDIATE keeps messages from
 * waiting in the socket for a connection that is not there.  Between a reconnect and its up() a
 * message may slip in before the Hello; the collector answers no batch without a Hello, so it
 * is sent again.
 *
 * Names are resolved here, and libzmq gets numeric addresses only (a static glibc must not load
 * the host's resolver modules from inside a library's thread); a name is resolved anew when a
 * connection has been missing for LINK_RESOLVE_MS.  Of several endpoints, and of several
 * addresses of a name, each is tried for some seconds until one has the collector's key.  One that
 * has it and says nothing is left again.
 *
 * Settings that were measured to recover from a cut cable in under a second of its return:
 * heartbeat 1000 ms, timeout 3000 ms, reconnect 250..4000 ms, connect timeout 1500 ms.  On a
 * line that is slow or loses much those would end one connection after the other, so both
 * timeouts double, up to 24 and 6 s, while connections do not last a minute.
 *
 * Thread: the loop's; libzmq has one of its own.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"
#include "proto/wire/curve.h"

#define LINK_RESOLVE_MS    10000
#define LINK_ENDPOINTS_MAX 8
#define LINK_ADDRESS_BYTES 96 /* of a numeric endpoint */

struct link;

struct link_options {
    const char *endpoint;      /* a list as below; lives as long as the link */
    const char *collector_key; /* public, Z85 */
    const struct curve_pair *key;
    void (*up)(void *context);
    void (*down)(void *context);
    void (*message)(void *context, struct bytes message);
    void *context;
};

/* Checks "tcp://host:port", IPv6 in brackets, or up to LINK_ENDPOINTS_MAX of them with commas
 * between.  ERR_INVALID. */
int link_check_endpoint(const char *endpoint, struct diagnosis *why);

int link_open(uv_loop_t *loop, const struct link_options *options, struct link **ret_link,
              struct diagnosis *why);

/* ERR_AGAIN: no connection, or its queue is full. */
int link_send(struct link *link, struct bytes message);

/* Gives the connection up and makes another after `wait_ms`. */
void link_reset(struct link *link, uint64_t wait_ms);

/* Frees itself when the loop has run the close callbacks.  No callback comes any more. */
void link_close(struct link *link);
