/*
 * process_events.h - exec and exit of processes, as the kernel tells them: the proc connector
 * (NETLINK_CONNECTOR, CN_IDX_PROC; Documentation/driver-api/connector.rst, linux/cn_proc.h).
 *
 * The kernel sends an event for each fork, exec, exit and more of every thread; a filter on the
 * socket keeps exec, and exit of whole processes.  They are read once a tick, just before the
 * look at /proc.  When there were more than the socket holds, that is counted and everything is
 * classified anew: the look itself finds who lives.
 *
 * Needs CAP_NET_ADMIN, and the host's own network and process namespaces.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"

enum process_event_kind { PROCESS_EVENT_OTHER, PROCESS_EVENT_EXEC, PROCESS_EVENT_EXIT };

struct process_event {
    enum process_event_kind kind;
    uint32_t pid;
    uint32_t status; /* of an exit, as wait(2) has it */
};

struct process_events {
    int fd; /* valid if is_open */
    bool is_open;
    bool is_heard;   /* the kernel has answered */
    uint64_t events; /* exec and exit */
    uint64_t lost;   /* times that the socket was full */
};

/* Asks for events.  ERR_REFUSED: this user or namespace may not have them; ERR_NOTFOUND: this
 * kernel has none. */
int process_events_open(struct process_events *events);

/* Reads what has come.  True: nothing was lost since the last call. */
bool process_events_read(struct process_events *events,
                         void (*take)(void *context, const struct process_event *event),
                         void *context);

/* One message of the socket.  False: it is none of the kernel's process events. */
bool process_event_parse(struct bytes message, struct process_event *ret_event);

void process_events_close(struct process_events *events);
