/*
 * process_socket.h - which process has a socket: links "socket:[INODE]" in /proc/PID/fd.
 */
#pragma once

#include "probe/source/process_ports.h"
#include "probe/source/scan.h"

/* Looks for the owners of sockets that have none yet, as long as a look has time for it. */
void process_socket_walk(struct process_ports *ports, struct process_scan *scan,
                         int64_t now_ms);

/* The inode of such a link; false: it is another file's. */
bool process_socket_link(struct span target, uint64_t *ret_inode);
