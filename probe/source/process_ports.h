/*
 * process_ports.h - the ports on which this host listens, and the group of the process that
 * does.
 *
 *     listen_port_up{port="1521",protocol="tcp",service="oracle"} 1
 *     listen_port_backlog{...} 0          connections that wait to be accepted
 *     listen_port_backlog_limit{...} 128  how many may
 *
 * Listeners are listed at every look: TCP by netlink, where the kernel keeps them in a table of
 * their own, else by /proc/net/tcp; UDP by /proc/net/udp, below the ports that the kernel gives
 * out by itself (what is above is a client's).  A port that probe.yml expects and nobody
 * listens on is a 0; others end when they close.
 *
 * A socket's owner is found by the links in /proc/PID/fd, of processes that are in a group:
 * those of the socket's user first, and no longer than a look has time for; the next goes on.
 * It is kept as long as that process lives, so that a host where nothing changes costs the list
 * alone. To read those links takes the process's own user or CAP_SYS_PTRACE (and, for the
 * folder, CAP_DAC_READ_SEARCH); without, and for sockets of other name spaces, service is "".
 */
#pragma once

#include "probe/source/process_scan.h"
#include "probe/source/readings.h"
#include "probe/source/source.h"
#include "proto/base/config.h"

#define PORT_SOCKETS_MAX   ((size_t)4096) /* the rest is not told */
#define PORTS_EXPECTED_MAX ((size_t)256)

struct port_socket {
    uint64_t inode;
    uint64_t start_ticks; /* with the pid: the owner's identity */
    uint32_t pid;         /* 0: not found yet */
    uint32_t user;
    uint32_t backlog, backlog_limit;
    uint16_t port;
    bool is_udp;
    bool is_in_walk;  /* was sought when the walk that is under way began */
    bool is_given_up; /* no process that we may see has it */
};

struct port_expected {
    char *service;
    uint16_t port;
    bool is_udp;
};

/* Zeroed is off. */
struct process_ports {
    bool is_on;
    bool asks_kernel;
    struct procfile tcp[2], udp[2]; /* v4, v6 */
    struct readbuf text;
    uint32_t udp_below;
    struct port_socket *sockets, *before; /* ascending by protocol, port, inode */
    size_t count, count_before, capacity, capacity_before;
    int list_error;
    struct port_expected *expected;
    size_t expected_count;
    /* the walk through processes: where it goes on, and in which of its two rounds */
    bool has_run, is_walking;
    uint32_t walk_pid;
    unsigned walk_round;
    int64_t given_up_ms; /* since when */
    struct readings readings;
};

/* The list of probe.yml.  ERR_INVALID with the reason; ERR_NOMEM. */
int process_ports_expect(struct process_ports *ports, struct config *config,
                         const struct config_node *list, struct diagnosis *why);

/* Nothing to list on this host is no fault. */
void process_ports_start(struct process_ports *ports, const struct source_env *env);

/* A look; after the processes' (process_scan_run()). */
int process_ports_emit(struct process_ports *ports, struct process_scan *scan,
                       const struct source_env *env, struct emitter *out);

/* A process_ports_function: ports of one process, of a struct process_ports. */
size_t process_ports_of(const void *context, const struct process *process, uint32_t *ret_ports,
                        size_t most);

void process_ports_done(struct process_ports *ports);
