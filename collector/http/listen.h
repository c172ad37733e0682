/*
 * listen.h - ADDR:PORT to a listening socket.
 *
 *     127.0.0.1:9470   [::1]:9470   0.0.0.0:9470   :9470 (every address)   localhost:9470
 *
 * Names are not looked up (but for "localhost"): what one listens on should not depend on DNS.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "proto/base/diagnosis.h"

struct listen_address {
    struct sockaddr_storage address;
    socklen_t size;
    bool is_loopback;
};

/* ERR_INVALID with the reason. */
int listen_parse(const char *text, struct listen_address *ret_address, struct diagnosis *why);

/* A non-blocking listening socket, close-on-exec.  ERR_IO with address and reason. */
int listen_open(const char *text, const struct listen_address *address, int *ret_socket,
                unsigned *ret_port, struct diagnosis *why);
