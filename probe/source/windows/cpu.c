/*
 * cpu.c - where CPU time went: windows_cpu_*, by NtQuerySystemInformation() for each processor
 * group (of up to 64 processors).
 *
 * Kernel time as the system counts it holds idle, DPC and interrupt time.  `privileged` here is, as
 * windows_exporter and the performance counters have it, kernel time without idle, but with the
 * other two: a sum over modes leaves out dpc and interrupt, or privileged.
 */
#include <stdio.h>
#include <windows.h>

#include <powrprof.h>

#include "probe/source/source.h"
#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

#define GROUP_PROCESSORS_MAX 64

static const struct metric time_total =
    TOLD_COUNTER("windows_cpu_time_total",
                 "Time that processor spent in different modes (dpc, idle, interrupt, privileged, "
                 "user)");
static const struct metric interrupts =
    TOLD_COUNTER("windows_cpu_interrupts_total",
                 "Total number of received and serviced hardware interrupts");
static const struct metric dpcs = TOLD_COUNTER(
    "windows_cpu_dpcs_total", "Total number of received and serviced deferred procedure calls (DPCs)");
static const struct metric frequency =
    TOLD_GAUGE("windows_cpu_core_frequency_mhz", "Core frequency in megahertz");
static const struct metric logical =
    TOLD_GAUGE("windows_cpu_logical_processor", "Total number of logical processors");
static const struct metric logical_old =
    TOLD_GAUGE("windows_cs_logical_processors", "Number of installed logical processors");

/* What CallNtPowerInformation(ProcessorInformation) fills. */
struct power {
    ULONG number, most_mhz, current_mhz, limit_mhz, idle_limit, idle_state;
};

struct cpu_state {
    struct told told;
};

static int cpu_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)out;
    return env->live ? 0 : ERR_NOTFOUND;
}

static void put_modes(struct told *told, const struct nt_processor *now, struct bytes core)
{
    const struct {
        const char *mode;
        int64_t ticks;
    } modes[] = {{"idle", now->idle},
                 {"user", now->user},
                 {"privileged", now->kernel - now->idle},
                 {"dpc", now->dpc},
                 {"interrupt", now->interrupt}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        told_two(told, &time_total, (double)modes[i].ticks / NT_TICKS_A_SECOND, "core", core,
                 "mode", bytes_of(modes[i].mode));
}

static void read_group(struct told *told, uint16_t group)
{
    struct nt_processor rows[GROUP_PROCESSORS_MAX];
    struct nt_interrupts counts[GROUP_PROCESSORS_MAX];
    size_t size = 0, counts_size = 0;
    int error = ntapi_group(NT_PROCESSOR_PERFORMANCE, group, rows, sizeof rows, &size);
    if (error != 0) {
        told_failed(told, "SystemProcessorPerformanceInformation", (unsigned long)-error);
        return;
    }
    size_t count = size / sizeof rows[0];
    error = ntapi_group(NT_INTERRUPTS, group, counts, count * sizeof counts[0], &counts_size);
    if (error != 0)
        told_failed(told, "SystemInterruptInformation", (unsigned long)-error);
    for (size_t i = 0; i < count; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "%u,%zu", group, i);
        put_modes(told, &rows[i], bytes_of(name));
        told_one(told, &interrupts, rows[i].interrupt_count, "core", bytes_of(name));
        if (i < counts_size / sizeof counts[0])
            told_one(told, &dpcs, counts[i].dpc_count, "core", bytes_of(name));
    }
}

/* Of the group that this thread runs in; hosts with several have equal processors. */
static void read_frequencies(struct told *told, DWORD processors)
{
    struct power rows[GROUP_PROCESSORS_MAX] = {0};
    DWORD count = processors < GROUP_PROCESSORS_MAX ? processors : GROUP_PROCESSORS_MAX;
    LONG status = CallNtPowerInformation(ProcessorInformation, NULL, 0, rows,
                                         (ULONG)(count * sizeof rows[0]));
    if (status < 0) {
        told_failed(told, "CallNtPowerInformation", (unsigned long)status);
        return;
    }
    for (DWORD i = 0; i < count; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "0,%lu", i);
        told_one(told, &frequency, rows[i].current_mhz, "core", bytes_of(name));
    }
}

static int cpu_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct told *told = &((struct cpu_state *)state)->told;
    (void)env;
    told_begin(told);
    WORD groups = GetActiveProcessorGroupCount();
    for (WORD group = 0; group < groups; group++)
        read_group(told, group);
    read_frequencies(told, GetActiveProcessorCount(0));
    DWORD all = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    told_plain(told, &logical, all);
    told_plain(told, &logical_old, all);
    return told_emit(told, out);
}

static const char *cpu_complaint(const void *state)
{
    return told_complaint(&((const struct cpu_state *)state)->told);
}

static void cpu_stop(void *state)
{
    told_done(&((struct cpu_state *)state)->told);
}

const struct source source_cpu = {
    .name = "cpu",
    .summary = "CPU time by mode, interrupts and DPCs of each processor",
    .state_bytes = sizeof(struct cpu_state),
    .start = cpu_start,
    .collect = cpu_collect,
    .complaint = cpu_complaint,
    .stop = cpu_stop,
};
