/*
 * tcpstat.c - TCP connections by state, and the bytes that wait in them.
 *
 * Only a walk over all sockets tells the states.  The kernel is asked by netlink
 * (socket_diag.h); where it does not answer, and in a recorded tree, /proc/net/tcp and tcp6 are
 * read, line by line.  A millisecond or some for the kernel's hash table, then half a
 * microsecond a socket and two: little on most hosts, a tenth of a second on a proxy with
 * 200,000 connections.  So a walk runs on a worker and has a budget, a hundredth of one core:
 * after one that took t the next is not before 100 t, and the ticks between repeat its numbers.
 *
 * What a listener's queues hold are connections, not bytes: they are not in the sums.
 */
#include <string.h>
#include <time.h>

#include "probe/source/procfile.h"
#include "probe/source/series.h"
#include "probe/source/socket_diag.h"
#include "probe/source/socket_line.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define REST_PER_WORK  100
#define NS_A_MS        INT64_C(1000000)
#define STATE_LISTEN   10
#define STATE_SYN_RECV 3
#define STATE_NEW_SYN                                                                          \
    12 /* a request that has no socket yet; shown as SYN_RECV by the kernel                    \
        */

/* net/tcp_states.h, from 1; then the two sums. */
enum { STATES = 11, RECEIVE = 12, SEND = 13, SERIES = 14 };
static const char *const names[SERIES] = {
    NULL,        "established", "syn_sent",        "syn_recv",       "fin_wait1",
    "fin_wait2", "time_wait",   "close",           "close_wait",     "last_ack",
    "listen",    "closing",     "rx_queued_bytes", "tx_queued_bytes"};

static const struct metric connection_states = {"node_tcp_connection_states", METRIC_GAUGE,
                                                "Number of connection states.", NULL};

struct tcpstat_state {
    struct procfile file, file6;
    struct readbuf text;
    bool asks_kernel;
    int64_t rests_until_ms;
    uint64_t counts[SERIES];
    series_handle handles[SERIES];
};

static void add_socket(uint64_t counts[SERIES], unsigned state, uint64_t receive, uint64_t send)
{
    if (state == STATE_NEW_SYN)
        state = STATE_SYN_RECV;
    if (state == 0 || state > STATES)
        return;
    counts[state]++;
    if (state == STATE_LISTEN)
        return;
    counts[RECEIVE] += receive;
    counts[SEND] += send;
}

static void add_row(void *context, const struct socket_diag_row *row)
{
    add_socket(context, row->state, row->receive_queue, row->send_queue);
}

static void add_line(void *context, struct span line)
{
    struct socket_line socket;
    if (socket_line_parse(line, &socket))
        add_socket(context, socket.state, socket.queued_bytes, socket.sent_bytes);
}

static int tcpstat_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct tcpstat_state *tcp = state;
    series_clear(tcp->handles, SERIES);
    tcp->asks_kernel = env->live;
    (void)procfile_open(&tcp->file6, env->procfs, "net/tcp6");
    return procfile_open(&tcp->file, env->procfs, "net/tcp");
}

static int walk(struct tcpstat_state *tcp, uint64_t counts[SERIES])
{
    int error = ERR_NOTFOUND;
    if (tcp->asks_kernel)
        error = socket_diag_tcp(&tcp->text, SOCKET_STATES_ALL, add_row, counts);
    if (error != ERR_NOTFOUND && error != ERR_REFUSED)
        return error;
    tcp->asks_kernel = false;
    memset(counts, 0, SERIES * sizeof *counts);
    error = procfile_lines(&tcp->file, &tcp->text, add_line, counts);
    if (error == 0 && tcp->file6.is_open)
        error = procfile_lines(&tcp->file6, &tcp->text, add_line, counts);
    return error;
}

static int64_t thread_cpu_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 * NS_A_MS + now.tv_nsec;
}

static int tcpstat_gather(void *state, const struct source_env *env)
{
    struct tcpstat_state *tcp = state;
    uint64_t counts[SERIES] = {0};
    if (env->now_ms < tcp->rests_until_ms)
        return 0;
    int64_t began_ns = thread_cpu_ns();
    int error = walk(tcp, counts);
    if (error != 0)
        return error;
    for (size_t i = 0; i < SERIES; i++)
        tcp->counts[i] = counts[i];
    tcp->rests_until_ms = env->now_ms + (thread_cpu_ns() - began_ns) * REST_PER_WORK / NS_A_MS;
    return 0;
}

static int tcpstat_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct tcpstat_state *tcp = state;
    for (size_t i = 1; i < SERIES; i++) {
        if (tcp->handles[i] == SERIES_NONE)
            tcp->handles[i] = series_one(out, &connection_states, "state", bytes_of(names[i]));
        emit(out, tcp->handles[i], (double)tcp->counts[i]);
    }
    return 0;
}

static void tcpstat_stop(void *state)
{
    struct tcpstat_state *tcp = state;
    procfile_close(&tcp->file);
    procfile_close(&tcp->file6);
    readbuf_done(&tcp->text);
}

const struct source source_tcpstat = {
    .name = "tcpstat",
    .summary = "TCP connections by state",
    .needs = "/proc/net/tcp",
    .state_bytes = sizeof(struct tcpstat_state),
    .blocking = true,
    .start = tcpstat_start,
    .gather = tcpstat_gather,
    .collect = tcpstat_collect,
    .stop = tcpstat_stop,
};
