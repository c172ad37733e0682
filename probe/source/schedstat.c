/*
 * schedstat.c - how long tasks ran on each CPU, and how long they waited for it.
 *
 *     $ cat /proc/schedstat
 *     version 15
 *     cpu0 498494191 0 3533438552 ... 2045936778163039 343796328169361 4767485306
 *                                     running (ns)     waiting (ns)    timeslices
 *     domain0 00000000,00000003 212499247 ...
 *
 * The last three of the nine numbers of a cpu line, in every version since 14 (2.6.20).  On
 * large hosts the domain lines are by far the most: they are read past, not kept.
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define CPUS_MAX    8192
#define COLUMNS     9
#define NS_A_SECOND 1000000000.0

enum { RUNNING, WAITING, TIMESLICES, SERIES };

static const struct metric metrics[SERIES] = {
    {"node_schedstat_running_seconds_total", METRIC_COUNTER,
     "Number of seconds CPU spent running a process.", NULL},
    {"node_schedstat_waiting_seconds_total", METRIC_COUNTER,
     "Number of seconds spent by processing waiting for this CPU.", NULL},
    {"node_schedstat_timeslices_total", METRIC_COUNTER, "Number of timeslices executed by CPU.",
     NULL},
};

struct cpu {
    series_handle handles[SERIES];
};

struct schedstat_state {
    struct procfile file;
    struct readbuf text;
    struct tracked cpus; /* of struct cpu, by the text after "cpu" */
    /* while lines are read */
    struct emitter *out;
    bool has_any;
};

static int schedstat_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct schedstat_state *sched = state;
    sched->cpus.value_bytes = sizeof(struct cpu);
    sched->cpus.limit = CPUS_MAX;
    return procfile_open(&sched->file, env->procfs, "schedstat");
}

static void cpu_line(void *context, struct span line)
{
    struct schedstat_state *sched = context;
    struct span name;
    uint64_t values[COLUMNS];
    bool is_new;
    if (!scan_word(&line, &name) || !scan_text(&name, "cpu") || name.at == name.end)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        if (!scan_u64(&line, &values[i]))
            return;
    struct cpu *cpu = tracked_touch(&sched->cpus, span_bytes(name), &is_new);
    if (cpu == NULL)
        return;
    sched->has_any = true;
    for (size_t i = 0; is_new && i < SERIES; i++)
        cpu->handles[i] = series_one(sched->out, &metrics[i], "cpu", span_bytes(name));
    const uint64_t *last = &values[COLUMNS - SERIES];
    emit(sched->out, cpu->handles[RUNNING], (double)last[RUNNING] / NS_A_SECOND);
    emit(sched->out, cpu->handles[WAITING], (double)last[WAITING] / NS_A_SECOND);
    emit(sched->out, cpu->handles[TIMESLICES], (double)last[TIMESLICES]);
}

static void cpu_gone(void *value, void *context)
{
    struct cpu *cpu = value;
    series_end(context, cpu->handles, SERIES);
}

static int schedstat_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct schedstat_state *sched = state;
    sched->out = out;
    sched->has_any = false;
    tracked_begin(&sched->cpus);
    int error = procfile_lines(&sched->file, &sched->text, cpu_line, sched);
    if (error == 0 && !sched->has_any)
        error = ERR_MALFORMED;
    if (error == 0)
        tracked_sweep(&sched->cpus, cpu_gone, out);
    return error;
}

static void schedstat_stop(void *state)
{
    struct schedstat_state *sched = state;
    procfile_close(&sched->file);
    readbuf_done(&sched->text);
    tracked_done(&sched->cpus, NULL, NULL);
}

const struct source source_schedstat = {
    .name = "schedstat",
    .summary = "time that tasks ran on, and waited for, each CPU",
    .needs = "/proc/schedstat: a kernel with CONFIG_SCHEDSTATS",
    .state_bytes = sizeof(struct schedstat_state),
    .start = schedstat_start,
    .collect = schedstat_collect,
    .stop = schedstat_stop,
};
