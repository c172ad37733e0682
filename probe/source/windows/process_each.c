/*
 * process_each.c - see process_each.h.
 */
#include "probe/source/windows/process_each.h"

#include <stdio.h>
#include <string.h>

#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/told.h"

static const struct metric
    cpu = TOLD_COUNTER("windows_process_cpu_time_total",
                       "Seconds that threads of this process have used, by mode"),
    io_bytes = TOLD_COUNTER("windows_process_io_bytes_total", "Bytes of I/O, by mode"),
    io_operations = TOLD_COUNTER("windows_process_io_operations_total",
                                 "Operations of I/O, by mode"),
    pool = TOLD_GAUGE("windows_process_pool_bytes", "Bytes of the kernel's pools, by pool"),
    start = TOLD_GAUGE("windows_process_start_time", "Unix time of the start"),
    start_seconds = TOLD_GAUGE("windows_process_start_time_seconds_timestamp",
                               "Unix time of the start (windows_exporter 0.30)"),
    handles = TOLD_GAUGE("windows_process_handles", "Handles open"),
    threads = TOLD_GAUGE("windows_process_threads", "Threads"),
    priority = TOLD_GAUGE("windows_process_priority_base", "Base priority"),
    faults = TOLD_COUNTER("windows_process_page_faults_total", "Page faults"),
    page_file = TOLD_GAUGE("windows_process_page_file_bytes", "Bytes in the paging files"),
    private_bytes = TOLD_GAUGE("windows_process_private_bytes", "Bytes that no other can share"),
    virtual_bytes = TOLD_GAUGE("windows_process_virtual_bytes", "Bytes of address space in use"),
    working_set = TOLD_GAUGE("windows_process_working_set_bytes", "Bytes in the working set"),
    working_set_private = TOLD_GAUGE("windows_process_working_set_private_bytes",
                                     "Bytes in the working set that no other shares"),
    working_set_peak = TOLD_GAUGE("windows_process_working_set_peak_bytes",
                                  "Most bytes that were in the working set");

struct who {
    struct bytes name, pid;
};

static void put(struct process_each *each, const struct who *who, const struct metric *metric,
                double value, const char *label, const char *choice)
{
    struct label labels[3] = {{bytes_of("process"), who->name}, {bytes_of("process_id"), who->pid}};
    size_t count = 2;
    if (label != NULL) { /* names ascending: "mode" and "pool" come before "process" */
        labels[2] = labels[1];
        labels[1] = labels[0];
        labels[0] = (struct label){bytes_of(label), bytes_of(choice)};
        count = 3;
    }
    readings_add(&each->list, metric, value, labels, count);
}

static void put_row(struct process_each *each, const struct nt_process *row, const struct who *who)
{
    const struct {
        const struct metric *metric;
        double value;
        const char *label, *choice;
    } values[] = {
        {&cpu, (double)row->user / NT_TICKS_A_SECOND, "mode", "user"},
        {&cpu, (double)row->kernel / NT_TICKS_A_SECOND, "mode", "privileged"},
        {&io_bytes, (double)row->read_bytes, "mode", "read"},
        {&io_bytes, (double)row->write_bytes, "mode", "write"},
        {&io_bytes, (double)row->other_bytes, "mode", "other"},
        {&io_operations, (double)row->reads, "mode", "read"},
        {&io_operations, (double)row->writes, "mode", "write"},
        {&io_operations, (double)row->others, "mode", "other"},
        {&pool, (double)row->paged_pool, "pool", "paged"},
        {&pool, (double)row->nonpaged_pool, "pool", "nonpaged"},
        {&start, (double)(row->created - NT_TICKS_TO_UNIX) / NT_TICKS_A_SECOND, NULL, NULL},
        {&start_seconds, (double)(row->created - NT_TICKS_TO_UNIX) / NT_TICKS_A_SECOND, NULL, NULL},
        {&handles, row->handles, NULL, NULL},
        {&threads, row->threads, NULL, NULL},
        {&priority, row->base_priority, NULL, NULL},
        {&faults, row->page_faults, NULL, NULL},
        {&page_file, (double)row->page_file, NULL, NULL},
        {&private_bytes, (double)row->private_bytes, NULL, NULL},
        {&virtual_bytes, (double)row->virtual_bytes, NULL, NULL},
        {&working_set, (double)row->working_set, NULL, NULL},
        {&working_set_private, (double)row->working_set_private, NULL, NULL},
        {&working_set_peak, (double)row->working_set_peak, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        put(each, who, values[i].metric, values[i].value, values[i].label, values[i].choice);
}

int process_each_emit(struct process_each *each, const struct process_scan *scan,
                      struct emitter *out)
{
    readings_begin(&each->list);
    for (size_t at = 0; at + sizeof(struct nt_process) <= scan->snapshot_bytes;) {
        const struct nt_process *row = (const void *)(scan->snapshot.data + at);
        char name[512], pid[16];
        size_t size = windows_narrow(row->name.text, row->name.size / sizeof(wchar_t), name, 512);
        if (size > 4 && strcasecmp(name + size - 4, ".exe") == 0)
            size -= 4;
        if (row->id != NULL && size > 0) {
            (void)snprintf(pid, sizeof pid, "%llu", (unsigned long long)(uintptr_t)row->id);
            const struct who who = {{(const uint8_t *)name, size}, bytes_of(pid)};
            put_row(each, row, &who);
        }
        if (row->next == 0)
            break;
        at += row->next;
    }
    return readings_emit(&each->list, out);
}

void process_each_done(struct process_each *each)
{
    readings_done(&each->list);
}
