/*
 * socket_diag.h - asking the kernel about every TCP socket (man 7 sock_diag).
 *
 * The request is the old one, TCPDIAG_GETSOCK: all kernels since 2.6.14 answer it, and unlike
 * its successor it gives IPv4 and IPv6 in one walk.  No rights are needed.  An answer is some
 * 100 bytes a socket, a tenth of the work of /proc/net/tcp; the receive buffer has one size
 * whatever their number.
 */
#pragma once

#include <stdint.h>

#include "probe/source/procfile.h"

struct socket_diag_row {
    unsigned state;                     /* net/tcp_states.h */
    uint32_t receive_queue, send_queue; /* bytes; of a listener: its backlog and the limit */
    uint16_t port;                      /* its own end's */
    uint32_t user;
    uint32_t inode; /* as in the link socket:[INODE] of a descriptor */
};

#define SOCKET_STATES_ALL   UINT32_MAX
#define SOCKET_STATE_LISTEN 10

/* Calls `each` for every TCP socket of this network name space that is in one of the states
 * (bits by number).  Listeners alone have a small table of their own in the kernel.
 * ERR_NOTFOUND: the kernel has no such service; ERR_REFUSED; ERR_NOMEM; ERR_TIMEOUT; ERR_IO.
 * Rows may have been given before an error. */
int socket_diag_tcp(struct readbuf *buf, uint32_t states,
                    void (*each)(void *context, const struct socket_diag_row *row),
                    void *context);
