/*
 * cpu.c - where CPU time went, and what the kernel has counted since boot.
 *
 *     $ cat /proc/stat
 *     cpu  301854 612 111922 8979004 3552 2 3944 0 44 36
 *     cpu0  44490  19  21045 1087069  220 1 3410 0  2  1
 *            |     |     |      |      |  |  |   |  |  guest_nice (2.6.33)
 *            user  nice  system idle   |  |  |   |  guest (already inside user)
 *                                      |  |  |   steal
 *                                      iowait irq softirq
 *     intr 8885917 17 0 ...       ctxt 38014093     btime 1418183276
 *     processes 26442             procs_running 2   procs_blocked 0
 *
 * Times are in USER_HZ, 1/100 s on every Linux we run on.  The surprise: they can go backwards.
 * idle and iowait jitter by a tick (tickless CPUs), so a value that shrinks is held; a CPU that
 * was unplugged starts again at zero, seen as idle falling by more than IDLE_BACK_TICKS, and
 * then everything restarts from the new values.  (node_exporter's rule, so both agree.)
 *
 * A CPU that is offline is missing from the file: its series end.
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define USER_HZ          100.0
#define IDLE_BACK_TICKS  300
#define CPUS_MAX         8192
#define CPU_FIELDS       10
#define CPU_FIELD_IDLE   3
#define CPU_FIELD_GUEST  8 /* this one and the next are guest time */
#define CPU_FIELDS_LEAST 4 /* fewer is no cpu line */

static const struct metric cpu_seconds = {"node_cpu_seconds_total", METRIC_COUNTER,
                                          "Seconds the CPUs spent in each mode.", NULL};
static const struct metric cpu_guest_seconds = {
    "node_cpu_guest_seconds_total", METRIC_COUNTER,
    "Seconds the CPUs spent in guests (VMs) for each mode.", NULL};

static const char *const modes[CPU_FIELDS] = {
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice",
};

/* The lines that hold one number. */
static const struct counter_line {
    const char *word;
    struct metric metric;
} counter_lines[] = {
    {"intr", {"node_intr_total", METRIC_COUNTER, "Total number of interrupts serviced.", NULL}},
    {"ctxt",
     {"node_context_switches_total", METRIC_COUNTER, "Total number of context switches.",
      NULL}},
    {"btime", {"node_boot_time_seconds", METRIC_GAUGE, "Node boot time, in unixtime.", NULL}},
    {"processes", {"node_forks_total", METRIC_COUNTER, "Total number of forks.", NULL}},
    {"procs_running",
     {"node_procs_running", METRIC_GAUGE, "Number of processes in runnable state.", NULL}},
    {"procs_blocked",
     {"node_procs_blocked", METRIC_GAUGE,
      "Number of processes blocked waiting for I/O to complete.", NULL}},
};
#define COUNTER_LINES (sizeof counter_lines / sizeof *counter_lines)

struct cpu {
    series_handle handles[CPU_FIELDS]; /* SERIES_NONE: this kernel has no such field */
    uint64_t ticks[CPU_FIELDS];
};

struct cpu_state {
    struct procfile file;
    struct readbuf text;
    struct tracked cpus; /* of struct cpu, by the text after "cpu" */
    series_handle counters[COUNTER_LINES];
};

static int cpu_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct cpu_state *cpus = state;
    cpus->cpus.value_bytes = sizeof(struct cpu);
    cpus->cpus.limit = CPUS_MAX;
    series_clear(cpus->counters, COUNTER_LINES);
    return procfile_open(&cpus->file, env->procfs, "stat");
}

static void cpu_register(struct cpu *cpu, struct bytes name, size_t fields, struct emitter *out)
{
    series_clear(cpu->handles, CPU_FIELDS);
    for (size_t i = 0; i < fields; i++)
        cpu->handles[i] =
            series_two(out, i < CPU_FIELD_GUEST ? &cpu_seconds : &cpu_guest_seconds, "cpu",
                       name, "mode", bytes_of(modes[i]));
}

/* `line` stands after the word "cpuN". */
static int cpu_line(struct cpu_state *cpus, struct bytes name, struct span line,
                    struct emitter *out)
{
    uint64_t ticks[CPU_FIELDS];
    size_t fields = 0;
    while (fields < CPU_FIELDS && scan_u64(&line, &ticks[fields]))
        fields++;
    if (fields < CPU_FIELDS_LEAST)
        return ERR_MALFORMED;

    bool is_new;
    struct cpu *cpu = tracked_touch(&cpus->cpus, name, &is_new);
    if (cpu == NULL)
        return 0;
    if (is_new)
        cpu_register(cpu, name, fields, out);
    bool restarted = ticks[CPU_FIELD_IDLE] + IDLE_BACK_TICKS < cpu->ticks[CPU_FIELD_IDLE];
    for (size_t i = 0; i < fields; i++) {
        if (restarted || ticks[i] > cpu->ticks[i])
            cpu->ticks[i] = ticks[i];
        emit(out, cpu->handles[i], (double)cpu->ticks[i] / USER_HZ);
    }
    return 0;
}

static void counter_line(struct cpu_state *cpus, struct span word, struct span line,
                         struct emitter *out)
{
    for (size_t i = 0; i < COUNTER_LINES; i++) {
        uint64_t value;
        if (!span_is(word, counter_lines[i].word) || !scan_u64(&line, &value))
            continue;
        if (cpus->counters[i] == SERIES_NONE)
            cpus->counters[i] = series_plain(out, &counter_lines[i].metric);
        emit(out, cpus->counters[i], (double)value);
    }
}

static void cpu_gone(void *value, void *context)
{
    struct cpu *cpu = value;
    series_end(context, cpu->handles, CPU_FIELDS);
}

static int cpu_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct cpu_state *cpus = state;
    struct span text, line, word;
    int error = procfile_read(&cpus->file, &cpus->text, &text);
    if (error != 0)
        return error;

    bool any = false;
    tracked_begin(&cpus->cpus);
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &word))
            continue;
        if (scan_text(&word, "cpu")) {
            if (span_size(word) > 0 && error == 0)
                error = cpu_line(cpus, span_bytes(word), line, out);
            any = true;
        } else {
            counter_line(cpus, word, line, out);
        }
    }
    if (error != 0 || !any)
        return ERR_MALFORMED;
    tracked_sweep(&cpus->cpus, cpu_gone, out);
    return 0;
}

static void cpu_stop(void *state)
{
    struct cpu_state *cpus = state;
    procfile_close(&cpus->file);
    readbuf_done(&cpus->text);
    tracked_done(&cpus->cpus, NULL, NULL);
}

const struct source source_cpu = {
    .name = "cpu",
    .summary = "CPU time by mode, context switches, forks, interrupts, boot time",
    .state_bytes = sizeof(struct cpu_state),
    .start = cpu_start,
    .collect = cpu_collect,
    .stop = cpu_stop,
};
