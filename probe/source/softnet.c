/*
 * softnet.c - how each CPU coped with the packets it was handed.
 *
 *     $ cat /proc/net/softnet_stat
 *     00049279 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 ...
 *     processed dropped squeezed                              collision received_rps flow_limit
 *
 * A line a CPU, hexadecimal columns whose number grew: 9 in 2.6.32, 10 with received_rps
 * (2.6.35), 11 with flow_limit (3.11), 13 with backlog_len and the CPU's number (5.14).  Before
 * 5.14 the line's number stands for the CPU, which is wrong where one is offline; that is all
 * the old kernels tell.  dropped: the backlog was full; squeezed: packets were left when the
 * time was over.
 */
#include <stdio.h>

#include "probe/source/procfile.h"
#include "probe/source/readings.h"
#include "probe/source/scan.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define COLUMNS_MOST  16
#define COLUMN_CPU    12
#define COLUMNS_LEAST 9

static const struct column {
    size_t at;
    struct metric metric;
} columns[] = {
    {0, {"node_softnet_processed_total", METRIC_COUNTER, "Number of processed packets", NULL}},
    {1, {"node_softnet_dropped_total", METRIC_COUNTER, "Number of dropped packets", NULL}},
    {2,
     {"node_softnet_times_squeezed_total", METRIC_COUNTER,
      "Number of times processing packets ran out of quota", NULL}},
    {8,
     {"node_softnet_cpu_collision_total", METRIC_COUNTER,
      "Number of collision occur while obtaining device lock while transmitting", NULL}},
    {9,
     {"node_softnet_received_rps_total", METRIC_COUNTER,
      "Number of times cpu woken up received_rps", NULL}},
    {10,
     {"node_softnet_flow_limit_count_total", METRIC_COUNTER,
      "Number of times flow limit has been reached", NULL}},
    {11, {"node_softnet_backlog_len", METRIC_GAUGE, "Softnet backlog status", NULL}},
};

struct softnet_state {
    struct procfile file;
    struct readbuf text;
    struct readings list;
};

static int softnet_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct softnet_state *softnet = state;
    return procfile_open(&softnet->file, env->procfs, "net/softnet_stat");
}

static int softnet_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct softnet_state *softnet = state;
    struct span text, line;
    uint64_t values[COLUMNS_MOST];
    int error = procfile_read(&softnet->file, &softnet->text, &text);
    if (error != 0)
        return error;
    readings_begin(&softnet->list);
    for (uint64_t number = 0; scan_line(&text, &line); number++) {
        char cpu[24];
        size_t count = 0;
        while (count < COLUMNS_MOST && scan_hex(&line, &values[count]))
            count++;
        if (count < COLUMNS_LEAST)
            return ERR_MALFORMED;
        snprintf(cpu, sizeof cpu, "%llu",
                 (unsigned long long)(count > COLUMN_CPU ? values[COLUMN_CPU] : number));
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
            if (columns[i].at < count)
                readings_add_one(&softnet->list, &columns[i].metric,
                                 (double)values[columns[i].at], "cpu", bytes_of(cpu));
    }
    return softnet->list.count > 0 ? readings_emit(&softnet->list, out) : ERR_MALFORMED;
}

static void softnet_stop(void *state)
{
    struct softnet_state *softnet = state;
    procfile_close(&softnet->file);
    readbuf_done(&softnet->text);
    readings_done(&softnet->list);
}

const struct source source_softnet = {
    .name = "softnet",
    .summary = "packets handled, dropped and left over by each CPU",
    .needs = "/proc/net/softnet_stat",
    .state_bytes = sizeof(struct softnet_state),
    .start = softnet_start,
    .collect = softnet_collect,
    .stop = softnet_stop,
};
