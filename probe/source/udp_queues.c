/*
 * udp_queues.c - bytes of datagrams that wait in sockets: to be read, and to be sent.
 *
 * The sums of tx_queue and rx_queue over /proc/net/udp and /proc/net/udp6 (socket_line.h).  A
 * receive queue that grows is a service that does not keep up, just before it loses datagrams
 * (node_netstat_Udp_RcvbufErrors).
 */
#include "probe/source/procfile.h"
#include "probe/source/series.h"
#include "probe/source/socket_line.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

enum { V4, V6, FAMILIES };
enum { RX, TX, QUEUES };

static const char *const paths[FAMILIES] = {"net/udp", "net/udp6"};
static const char *const families[FAMILIES] = {"v4", "v6"};
static const char *const queues[QUEUES] = {"rx", "tx"};

static const struct metric udp_queues = {
    "node_udp_queues", METRIC_GAUGE,
    "Number of allocated memory in the kernel for UDP datagrams in bytes.", NULL};

struct udp_queues_state {
    struct procfile files[FAMILIES];
    struct readbuf text;
    series_handle handles[FAMILIES][QUEUES];
};

struct sums {
    uint64_t bytes[QUEUES];
};

static int udp_queues_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct udp_queues_state *udp = state;
    bool has_any = false;
    for (size_t i = 0; i < FAMILIES; i++) {
        if (procfile_open(&udp->files[i], env->procfs, paths[i]) != 0)
            continue; /* no IPv6 */
        has_any = true;
        for (size_t k = 0; k < QUEUES; k++)
            udp->handles[i][k] = series_two(out, &udp_queues, "ip", bytes_of(families[i]),
                                            "queue", bytes_of(queues[k]));
    }
    return has_any ? 0 : ERR_NOTFOUND;
}

static void add_line(void *context, struct span line)
{
    struct sums *sums = context;
    struct socket_line socket;
    if (!socket_line_parse(line, &socket))
        return;
    sums->bytes[RX] += socket.queued_bytes;
    sums->bytes[TX] += socket.sent_bytes;
}

static int udp_queues_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct udp_queues_state *udp = state;
    for (size_t i = 0; i < FAMILIES; i++) {
        if (!udp->files[i].is_open)
            continue;
        struct sums sums = {0};
        int error = procfile_lines(&udp->files[i], &udp->text, add_line, &sums);
        if (error != 0)
            return error;
        for (size_t k = 0; k < QUEUES; k++)
            emit(out, udp->handles[i][k], (double)sums.bytes[k]);
    }
    return 0;
}

static void udp_queues_stop(void *state)
{
    struct udp_queues_state *udp = state;
    for (size_t i = 0; i < FAMILIES; i++)
        procfile_close(&udp->files[i]);
    readbuf_done(&udp->text);
}

const struct source source_udp_queues = {
    .name = "udp_queues",
    .summary = "bytes of datagrams that wait in UDP sockets",
    .needs = "/proc/net/udp",
    .state_bytes = sizeof(struct udp_queues_state),
    .start = udp_queues_start,
    .collect = udp_queues_collect,
    .stop = udp_queues_stop,
};
