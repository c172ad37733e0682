/*
 * load.c - how many tasks want a CPU or wait for a disk, as the kernel averages it.
 *
 *     $ cat /proc/loadavg
 *     0.42 0.31 0.27 2/1187 24601
 *      |    |    |
 *      1 min 5   15
 *
 * The kernel refreshes the averages every five seconds; a shorter tick repeats them.
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define AVERAGES 3

static const struct metric averages[AVERAGES] = {
    {"node_load1", METRIC_GAUGE, "1m load average.", NULL},
    {"node_load5", METRIC_GAUGE, "5m load average.", NULL},
    {"node_load15", METRIC_GAUGE, "15m load average.", NULL},
};

struct load_state {
    struct procfile file;
    struct readbuf text;
    series_handle handles[AVERAGES];
};

static int load_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct load_state *load = state;
    int error = procfile_open(&load->file, env->procfs, "loadavg");
    if (error != 0)
        return error;
    for (size_t i = 0; i < AVERAGES; i++)
        load->handles[i] = series_plain(out, &averages[i]);
    return 0;
}

static int load_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct load_state *load = state;
    struct span text;
    double values[AVERAGES];
    int error = procfile_read(&load->file, &load->text, &text);
    if (error != 0)
        return error;
    for (size_t i = 0; i < AVERAGES; i++)
        if (!scan_decimal(&text, &values[i]))
            return ERR_MALFORMED;
    for (size_t i = 0; i < AVERAGES; i++)
        emit(out, load->handles[i], values[i]);
    return 0;
}

static void load_stop(void *state)
{
    struct load_state *load = state;
    procfile_close(&load->file);
    readbuf_done(&load->text);
}

const struct source source_load = {
    .name = "load",
    .summary = "run queue length over 1, 5 and 15 minutes",
    .state_bytes = sizeof(struct load_state),
    .start = load_start,
    .collect = load_collect,
    .stop = load_stop,
};
