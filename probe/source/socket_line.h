/*
 * socket_line.h - one line of /proc/net/{tcp,udp}{,6}.
 *
 *       sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...
 *        0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0 ...
 *
 * Hexadecimal; IPv6 addresses have 32 digits.
 */
#pragma once

#include "probe/source/scan.h"

struct socket_line {
    unsigned state;        /* net/tcp_states.h: 1 established ... 11 closing, 12 new SYN */
    uint64_t sent_bytes;   /* waiting to be sent or acknowledged */
    uint64_t queued_bytes; /* waiting to be read; of a listener: connections to be accepted */
    struct span local, remote, rest; /* both ends, and what comes after the queues */
};

/* False: the heading, or a line that was cut. */
bool socket_line_parse(struct span line, struct socket_line *ret_line);

/* Of a parsed line: the port of its own end and of the other, who made it, and the inode that
 * stands in the link socket:[INODE] of a descriptor.  False: the line was cut. */
struct socket_owner {
    uint16_t port, remote_port;
    uint32_t user;
    uint64_t inode;
};
bool socket_line_owner(const struct socket_line *line, struct socket_owner *ret_owner);
