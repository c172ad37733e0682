/*
 * process_ports.c - the ports on which this host listens (process_ports.h).
 */
#include "probe/source/process_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/process_family.h"
#include "probe/source/process_socket.h"
#include "probe/source/socket_diag.h"
#include "probe/source/socket_line.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define STATE_UDP_BOUND 7 /* bound, and connected to nobody */
#define UDP_BELOW       32768u

static const struct metric up = {
    "listen_port_up", METRIC_GAUGE,
    "1: a process listens on this port; 0: one is expected to, and "
    "none does.",
    NULL};
static const struct metric backlog = {"listen_port_backlog", METRIC_GAUGE,
                                      "Connections that wait to be accepted.", NULL};
static const struct metric backlog_limit = {"listen_port_backlog_limit", METRIC_GAUGE,
                                            "How many connections may wait to be accepted.",
                                            NULL};

/* ---- what probe.yml expects ------------------------------------------------------------ */

struct expected_options {
    int64_t port;
    const char *protocol, *service;
};

static const char *const protocols[] = {"tcp", "udp", NULL};
static const struct config_option expected_table[] = {
    {"port", CONFIG_INTEGER, offsetof(struct expected_options, port), .required = true,
     .min = 1, .max = UINT16_MAX, .help = "on which somebody should listen"},
    {"protocol", CONFIG_STRING, offsetof(struct expected_options, protocol), .fallback = "tcp",
     .choices = protocols, .help = "tcp or udp"},
    {"service", CONFIG_STRING, offsetof(struct expected_options, service), .fallback = "",
     .help = "what to call it"},
};

static const struct port_expected *find_expected(const struct process_ports *ports,
                                                 uint16_t port, bool is_udp)
{
    for (size_t i = 0; i < ports->expected_count; i++)
        if (ports->expected[i].port == port && ports->expected[i].is_udp == is_udp)
            return &ports->expected[i];
    return NULL;
}

int process_ports_expect(struct process_ports *ports, struct config *config,
                         const struct config_node *list, struct diagnosis *why)
{
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST || list->count > PORTS_EXPECTED_MAX)
        return config_complain(config, list, why,
                               "expected_ports must be a list, of %zu at most",
                               PORTS_EXPECTED_MAX);
    ports->expected = calloc(list->count + 1, sizeof *ports->expected);
    if (ports->expected == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct expected_options options = {.protocol = "tcp", .service = ""};
        int error = config_read(config, list->children[i], "sources.processes.expected_ports",
                                expected_table, sizeof expected_table / sizeof *expected_table,
                                &options, why);
        if (error != 0)
            return error;
        bool is_udp = strcmp(options.protocol, "udp") == 0;
        if (find_expected(ports, (uint16_t)options.port, is_udp) != NULL)
            return config_complain(config, list->children[i], why,
                                   "%s port %d is expected twice", options.protocol,
                                   (int)options.port);
        struct port_expected *to = &ports->expected[ports->expected_count++];
        *to = (struct port_expected){.service = strdup(options.service),
                                     .port = (uint16_t)options.port,
                                     .is_udp = is_udp};
        if (to->service == NULL)
            return ERR_NOMEM;
    }
    return 0;
}

/* ---- who listens ----------------------------------------------------------------------- */

void process_ports_start(struct process_ports *ports, const struct source_env *env)
{
    struct span text;
    uint64_t low;
    ports->asks_kernel = env->live;
    (void)procfile_open(&ports->tcp[0], env->procfs, "net/tcp");
    (void)procfile_open(&ports->tcp[1], env->procfs, "net/tcp6");
    (void)procfile_open(&ports->udp[0], env->procfs, "net/udp");
    (void)procfile_open(&ports->udp[1], env->procfs, "net/udp6");
    ports->udp_below = UDP_BELOW;
    if (procfile_read_path(env->procfs, "sys/net/ipv4/ip_local_port_range", &ports->text,
                           &text) == 0 &&
        scan_u64(&text, &low) && low > 0 && low <= UINT16_MAX)
        ports->udp_below = (uint32_t)low;
}

static void add_socket(struct process_ports *ports, const struct port_socket *socket)
{
    if (ports->count >= PORT_SOCKETS_MAX)
        return;
    if (ports->count == ports->capacity) {
        size_t capacity = ports->capacity > 0 ? ports->capacity * 2 : 64;
        struct port_socket *grown = realloc(ports->sockets, capacity * sizeof *grown);
        if (grown == NULL) {
            ports->list_error = ERR_NOMEM;
            return;
        }
        ports->sockets = grown;
        ports->capacity = capacity;
    }
    ports->sockets[ports->count++] = *socket;
}

static void add_row(void *context, const struct socket_diag_row *row)
{
    if (row->state == SOCKET_STATE_LISTEN)
        add_socket(context, &(struct port_socket){.inode = row->inode,
                                                  .user = row->user,
                                                  .port = row->port,
                                                  .backlog = row->receive_queue,
                                                  .backlog_limit = row->send_queue});
}

static void add_tcp_line(void *context, struct span text)
{
    struct socket_line line;
    struct socket_owner owner;
    if (!socket_line_parse(text, &line) || line.state != SOCKET_STATE_LISTEN ||
        !socket_line_owner(&line, &owner))
        return;
    add_socket(context, &(struct port_socket){.inode = owner.inode,
                                              .user = owner.user,
                                              .port = owner.port,
                                              .backlog = (uint32_t)line.queued_bytes});
}

static void add_udp_line(void *context, struct span text)
{
    struct process_ports *ports = context;
    struct socket_line line;
    struct socket_owner owner;
    if (socket_line_parse(text, &line) && line.state == STATE_UDP_BOUND &&
        socket_line_owner(&line, &owner) && owner.remote_port == 0 &&
        owner.port < ports->udp_below)
        add_socket(ports, &(struct port_socket){.inode = owner.inode,
                                                .user = owner.user,
                                                .port = owner.port,
                                                .is_udp = true});
}

static int list_files(struct process_ports *ports, const struct procfile files[2],
                      void (*each)(void *context, struct span line))
{
    int error = 0;
    for (size_t i = 0; i < 2 && error == 0; i++)
        if (files[i].is_open)
            error = procfile_lines(&files[i], &ports->text, each, ports);
    return error;
}

static int compare_sockets(const void *left, const void *right)
{
    const struct port_socket *a = left, *b = right;
    if (a->is_udp != b->is_udp)
        return a->is_udp ? 1 : -1;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static int list_sockets(struct process_ports *ports)
{
    int error = ERR_NOTFOUND;
    ports->count = 0;
    ports->list_error = 0;
    if (ports->asks_kernel)
        error =
            socket_diag_tcp(&ports->text, UINT32_C(1) << SOCKET_STATE_LISTEN, add_row, ports);
    if (error == ERR_NOTFOUND || error == ERR_REFUSED) {
        ports->asks_kernel = false;
        ports->count = 0;
        error = list_files(ports, ports->tcp, add_tcp_line);
    }
    if (error == 0)
        error = list_files(ports, ports->udp, add_udp_line);
    if (ports->count > 1)
        qsort(ports->sockets, ports->count, sizeof *ports->sockets, compare_sockets);
    return error != 0 ? error : ports->list_error;
}

/* Sockets that were there before keep their owners, if those still live. */
static void keep_owners(struct process_ports *ports, const struct process_scan *scan)
{
    size_t old = 0;
    for (size_t i = 0; i < ports->count; i++) {
        struct port_socket *socket = &ports->sockets[i];
        while (old < ports->count_before && compare_sockets(&ports->before[old], socket) < 0)
            old++;
        if (old == ports->count_before || compare_sockets(&ports->before[old], socket) != 0)
            continue;
        const struct port_socket *before = &ports->before[old];
        const struct process *owner = process_family_find(scan->rows, scan->count, before->pid);
        socket->is_in_walk = before->is_in_walk;
        socket->is_given_up = before->is_given_up;
        if (owner == NULL || owner->start_ticks != before->start_ticks)
            continue;
        socket->pid = before->pid;
        socket->start_ticks = before->start_ticks;
    }
}

static void swap_lists(struct process_ports *ports)
{
    struct port_socket *sockets = ports->before;
    size_t capacity = ports->capacity_before;
    ports->before = ports->sockets;
    ports->count_before = ports->count;
    ports->capacity_before = ports->capacity;
    ports->sockets = sockets;
    ports->capacity = capacity;
}

/* ---- telling --------------------------------------------------------------------------- */

/* The group's name, or nothing. */
static struct bytes service_of(const struct process_scan *scan,
                               const struct port_socket *socket)
{
    const struct process *owner = process_family_find(scan->rows, scan->count, socket->pid);
    return socket->pid != 0 && owner != NULL && owner->group != NULL ? tracked_key(owner->group)
                                                                     : (struct bytes){0};
}

static void add_port(struct process_ports *ports, const struct port_socket *sum, bool is_up,
                     struct bytes service)
{
    char port[8];
    int size = snprintf(port, sizeof port, "%u", sum->port);
    const struct label labels[] = {
        {bytes_of("port"), {(const uint8_t *)port, (size_t)size}},
        {bytes_of("protocol"), bytes_of(protocols[sum->is_udp])},
        {bytes_of("service"), service},
    };
    size_t count = sizeof labels / sizeof *labels;
    readings_add(&ports->readings, &up, is_up, labels, count);
    if (!is_up || sum->is_udp)
        return;
    readings_add(&ports->readings, &backlog, sum->backlog, labels, count);
    if (sum->backlog_limit > 0) /* the file does not tell it */
        readings_add(&ports->readings, &backlog_limit, sum->backlog_limit, labels, count);
}

/* One port's sockets [first, end): those of one service are one. */
static void add_run(struct process_ports *ports, const struct process_scan *scan, size_t first,
                    size_t end)
{
    const struct port_socket *sockets = ports->sockets;
    const struct port_expected *expected =
        find_expected(ports, sockets[first].port, sockets[first].is_udp);
    for (size_t i = first; i < end; i++) {
        struct bytes service = service_of(scan, &sockets[i]);
        struct port_socket sum = sockets[i];
        bool is_told = false;
        for (size_t k = first; k < end && !is_told; k++) {
            struct bytes other = service_of(scan, &sockets[k]);
            bool is_same = expected != NULL || bytes_equal(other, service);
            /* Nobody's is somebody's: a worker has the socket, too. */
            is_told = (is_same && k < i) || (service.size == 0 && other.size > 0 && !is_same);
            if (is_same && k > i) {
                sum.backlog += sockets[k].backlog;
                sum.backlog_limit += sockets[k].backlog_limit;
            }
        }
        if (!is_told)
            add_port(ports, &sum, true,
                     expected != NULL && expected->service[0] != '\0'
                         ? bytes_of(expected->service)
                         : service);
    }
}

static void add_all(struct process_ports *ports, const struct process_scan *scan)
{
    bool is_up[PORTS_EXPECTED_MAX] = {false};
    for (size_t first = 0, end; first < ports->count; first = end) {
        const struct port_socket *socket = &ports->sockets[first];
        for (end = first + 1; end < ports->count && ports->sockets[end].port == socket->port &&
                              ports->sockets[end].is_udp == socket->is_udp;)
            end++;
        const struct port_expected *expected =
            find_expected(ports, socket->port, socket->is_udp);
        if (expected != NULL)
            is_up[expected - ports->expected] = true;
        add_run(ports, scan, first, end);
    }
    for (size_t i = 0; i < ports->expected_count; i++) {
        const struct port_expected *expected = &ports->expected[i];
        if (!is_up[i])
            add_port(ports,
                     &(struct port_socket){.port = expected->port, .is_udp = expected->is_udp},
                     false, bytes_of(expected->service));
    }
}

int process_ports_emit(struct process_ports *ports, struct process_scan *scan,
                       const struct source_env *env, struct emitter *out)
{
    if (!ports->is_on)
        return 0;
    swap_lists(ports);
    int error = list_sockets(ports);
    if (error != 0)
        return error;
    keep_owners(ports, scan);
    process_socket_walk(ports, scan, env->now_ms);
    readings_begin(&ports->readings);
    add_all(ports, scan);
    return readings_emit(&ports->readings, out);
}

size_t process_ports_of(const void *context, const struct process *process, uint32_t *ret_ports,
                        size_t most)
{
    const struct process_ports *ports = context;
    size_t found = 0;
    for (size_t i = 0; i < ports->count && found < most; i++) {
        const struct port_socket *socket = &ports->sockets[i];
        if (socket->pid == process->pid && socket->start_ticks == process->start_ticks &&
            (found == 0 || ret_ports[found - 1] != socket->port))
            ret_ports[found++] = socket->port;
    }
    return found;
}

void process_ports_done(struct process_ports *ports)
{
    for (size_t i = 0; i < 2; i++) {
        procfile_close(&ports->tcp[i]);
        procfile_close(&ports->udp[i]);
    }
    for (size_t i = 0; i < ports->expected_count; i++)
        free(ports->expected[i].service);
    free(ports->expected);
    free(ports->sockets);
    free(ports->before);
    readbuf_done(&ports->text);
    readings_done(&ports->readings);
    *ports = (struct process_ports){0};
}
