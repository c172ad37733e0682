/*
 * memory.c - physical memory, commit charge, paging: windows_memory_*, and what windows_exporter
 * before 0.30 told as windows_cs_* and windows_os_*.
 *
 * GlobalMemoryStatusEx() and GetPerformanceInfo() tell the state; counters of paging are the
 * kernel's own 32-bit ones (SystemPerformanceInformation), which wrap: they are carried on here.
 */
#include <string.h>
#include <windows.h>

#include <psapi.h>

#include "probe/source/source.h"
#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

/* Fields of GetPerformanceInfo() and GlobalMemoryStatusEx(), gathered. */
struct memory_view {
    double page_bytes;
    double physical, available, commit_limit, committed, cache, paged, nonpaged;
    double virtual_bytes, virtual_free;
};

#define VIEW(name, field, help)                                                                \
    {TOLD_GAUGE(name, help), offsetof(struct memory_view, field)}
static const struct view_row {
    struct metric metric;
    size_t offset;
} view_rows[] = {
    VIEW("windows_memory_physical_total_bytes", physical, "Total physical memory"),
    VIEW("windows_memory_physical_free_bytes", available, "Available physical memory"),
    VIEW("windows_memory_available_bytes", available,
         "The amount of physical memory immediately available for allocation to a process or for "
         "system use"),
    VIEW("windows_memory_committed_bytes", committed, "The amount of committed virtual memory"),
    VIEW("windows_memory_commit_limit", commit_limit,
         "The amount of virtual memory that can be committed without having to extend the paging "
         "file(s)"),
    VIEW("windows_memory_cache_bytes", cache, "Size of the system file cache"),
    VIEW("windows_memory_pool_paged_bytes", paged, "The size of the paged pool"),
    VIEW("windows_memory_pool_nonpaged_bytes", nonpaged, "The size of the nonpaged pool"),
    VIEW("windows_memory_process_memory_limit_bytes", virtual_bytes,
         "The address space of a process"),
    /* before 0.30 */
    VIEW("windows_cs_physical_memory_bytes", physical, "Total installed physical memory"),
    VIEW("windows_os_physical_memory_free_bytes", available, "Bytes of physical memory currently "
                                                             "unused and available"),
    VIEW("windows_os_visible_memory_bytes", physical,
         "Total bytes of physical memory available to the operating system"),
    VIEW("windows_os_virtual_memory_bytes", commit_limit, "Bytes of virtual memory"),
    VIEW("windows_os_virtual_memory_free_bytes", virtual_free,
         "Bytes of virtual memory currently unused and available"),
    VIEW("windows_os_process_memory_limit_bytes", virtual_bytes,
         "Maximum number of bytes of memory that can be allocated to a process"),
    VIEW("windows_os_process_memory_limix_bytes", virtual_bytes,
         "The same, as windows_exporter before 0.22 wrote it"),
};

#define COUNT(name, field, help)                                                               \
    {TOLD_COUNTER(name, help), offsetof(struct nt_performance, field)}
static const struct count_row {
    struct metric metric;
    size_t offset;
} count_rows[] = {
    COUNT("windows_memory_page_faults_total", page_faults,
          "Overall rate at which faulted pages are handled by the processor"),
    COUNT("windows_memory_write_copies_total", copy_on_writes,
          "The number of page faults caused by attempting to write that were satisfied by copying"),
    COUNT("windows_memory_transition_faults_total", transition_faults,
          "Number of faults rate at which page faults are resolved by recovering pages"),
    COUNT("windows_memory_demand_zero_faults_total", demand_zero_faults,
          "The number of zeroed pages required to satisfy faults"),
    COUNT("windows_memory_swap_pages_read_total", pages_read,
          "Number of pages read from disk to resolve hard page faults"),
    COUNT("windows_memory_swap_page_reads_total", page_reads,
          "Number of disk page reads (a single read operation reading several pages is counted "
          "once)"),
    COUNT("windows_memory_swap_pages_written_total", dirty_pages_written,
          "Number of pages written to disk to free up space in physical memory"),
    COUNT("windows_memory_swap_page_writes_total", dirty_writes,
          "Number of disk page writes (a single write operation writing several pages is counted "
          "once)"),
    COUNT("windows_memory_cache_faults_total", cache_reads,
          "Number of faults which occur when a page is not found in the file system cache"),
    COUNT("windows_memory_pool_paged_allocs_total", paged_pool_allocs,
          "Number of calls to allocate space in the paged pool"),
    COUNT("windows_memory_pool_nonpaged_allocs_total", nonpaged_pool_allocs,
          "Number of calls to allocate space in the nonpaged pool"),
};
#define COUNTS (sizeof count_rows / sizeof count_rows[0])
enum { PAGES_READ = 4, PAGES_WRITTEN = 6 }; /* their rows */

static const struct metric swap_operations =
    TOLD_COUNTER("windows_memory_swap_page_operations_total",
                 "Total number of swap page read and writes (PagesPersec)");
static const struct metric free_ptes =
    TOLD_GAUGE("windows_memory_free_system_page_table_entries",
               "The number of page table entries not being used by the system");

struct memory_state {
    struct told told;
    struct nt_carried counts[COUNTS];
};

static int memory_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)out;
    return env->live ? 0 : ERR_NOTFOUND;
}

static void read_view(struct told *told)
{
    struct memory_view view = {0};
    PERFORMANCE_INFORMATION kernel = {.cb = sizeof kernel};
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    if (!GetPerformanceInfo(&kernel, sizeof kernel)) {
        told_failed(told, "GetPerformanceInfo", GetLastError());
        return;
    }
    if (!GlobalMemoryStatusEx(&status)) {
        told_failed(told, "GlobalMemoryStatusEx", GetLastError());
        return;
    }
    double page = (double)kernel.PageSize;
    view.physical = (double)status.ullTotalPhys;
    view.available = (double)status.ullAvailPhys;
    view.commit_limit = (double)kernel.CommitLimit * page;
    view.committed = (double)kernel.CommitTotal * page;
    view.cache = (double)kernel.SystemCache * page;
    view.paged = (double)kernel.KernelPaged * page;
    view.nonpaged = (double)kernel.KernelNonpaged * page;
    view.virtual_bytes = (double)status.ullTotalVirtual;
    view.virtual_free = view.commit_limit - view.committed;
    for (size_t i = 0; i < sizeof view_rows / sizeof view_rows[0]; i++) {
        double value;
        memcpy(&value, (const char *)&view + view_rows[i].offset, sizeof value);
        told_plain(told, &view_rows[i].metric, value);
    }
}

static void read_counts(struct memory_state *memory)
{
    struct nt_performance now;
    int error = ntapi_query(NT_PERFORMANCE, &now, sizeof now, NULL);
    if (error != 0) {
        told_failed(&memory->told, "SystemPerformanceInformation", (unsigned long)-error);
        return;
    }
    for (size_t i = 0; i < COUNTS; i++) {
        uint32_t value;
        memcpy(&value, (const char *)&now + count_rows[i].offset, sizeof value);
        told_plain(&memory->told, &count_rows[i].metric, ntapi_carry(&memory->counts[i], value));
    }
    told_plain(&memory->told, &swap_operations,
               (double)(memory->counts[PAGES_READ].total + memory->counts[PAGES_WRITTEN].total));
    told_plain(&memory->told, &free_ptes, now.free_system_ptes);
}

static int memory_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct memory_state *memory = state;
    (void)env;
    told_begin(&memory->told);
    read_view(&memory->told);
    read_counts(memory);
    return told_emit(&memory->told, out);
}

static const char *memory_complaint(const void *state)
{
    return told_complaint(&((const struct memory_state *)state)->told);
}

static void memory_stop(void *state)
{
    told_done(&((struct memory_state *)state)->told);
}

const struct source source_memory = {
    .name = "memory",
    .summary = "physical memory, commit charge, pools and paging",
    .state_bytes = sizeof(struct memory_state),
    .start = memory_start,
    .collect = memory_collect,
    .complaint = memory_complaint,
    .stop = memory_stop,
};
