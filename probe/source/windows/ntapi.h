/*
 * ntapi.h - what NtQuerySystemInformation() tells, as far as the sources read it.
 *
 * The layouts are those of 64-bit Windows from NT 6.3 on, as winternl.h documents them in part and
 * the performance counters' own definitions name them; they have only ever grown at their ends.
 * An implementation may tell fewer bytes than a structure has: ntapi_query() zeroes the rest and
 * says how many there were.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <windows.h>

#include "probe/source/procfile.h"

enum {
    NT_PERFORMANCE = 2,            /* struct nt_performance */
    NT_TIME_OF_DAY = 3,            /* struct nt_time_of_day */
    NT_PROCESSES = 5,              /* a chain of struct nt_process */
    NT_PROCESSOR_PERFORMANCE = 8,  /* struct nt_processor, one a processor of the group */
    NT_INTERRUPTS = 23,            /* struct nt_interrupts, the same */
    NT_EXCEPTIONS = 33,            /* struct nt_exceptions */
};

#define NT_TICKS_A_SECOND 1e7 /* 100 ns */
/* 1601 to 1970. */
#define NT_TICKS_TO_UNIX INT64_C(116444736000000000)

struct nt_time_of_day {
    int64_t boot_time, current_time, time_zone_bias; /* 100 ns since 1601 */
    uint32_t time_zone_id, reserved;
    uint64_t boot_time_bias, sleep_time_bias;
};

struct nt_processor { /* 100 ns; kernel holds idle, dpc and interrupt */
    int64_t idle, kernel, user, dpc, interrupt;
    uint32_t interrupt_count, reserved;
};

struct nt_interrupts {
    uint32_t context_switches, dpc_count, dpc_rate, time_increment, dpc_bypass, apc_bypass;
};

struct nt_exceptions {
    uint32_t alignment_fixups, dispatches, floating_emulations, byte_word_emulations;
};

struct nt_performance {
    int64_t idle_time, read_bytes, write_bytes, other_bytes;
    uint32_t read_operations, write_operations, other_operations;
    uint32_t available_pages, committed_pages, commit_limit, peak_commitment;
    uint32_t page_faults, copy_on_writes, transition_faults, cache_transition_faults;
    uint32_t demand_zero_faults, pages_read, page_reads, cache_reads, cache_ios;
    uint32_t dirty_pages_written, dirty_writes, mapped_pages_written, mapped_writes;
    uint32_t paged_pool_pages, nonpaged_pool_pages;
    uint32_t paged_pool_allocs, paged_pool_frees, nonpaged_pool_allocs, nonpaged_pool_frees;
    uint32_t free_system_ptes, system_code_pages;
    uint32_t total_driver_pages, total_code_pages;
    uint32_t small_nonpaged, small_paged;
    uint32_t resident_cache_pages, resident_paged_pool_pages, resident_driver_pages;
    uint32_t fast_read_no_wait, fast_read_wait, fast_read_resource_miss, fast_read_not_possible;
    uint32_t fast_mdl[4];
    uint32_t map_data[4], pin_mapped, pin_read[4];
    uint32_t copy_read[4], mdl_read[4];
    uint32_t read_ahead_ios, lazy_write_ios, lazy_write_pages, data_flushes, data_pages;
    uint32_t context_switches, first_level_fills, second_level_fills, system_calls;
    uint64_t later[24]; /* what later systems add; some refuse a buffer without room for it */
};

struct nt_text {
    uint16_t size, room; /* bytes */
    const wchar_t *text;
};

struct nt_thread {
    int64_t kernel, user, created;
    uint32_t wait_time;
    void *start;
    void *process_id, *thread_id;
    int32_t priority, base_priority;
    uint32_t context_switches, state, wait_reason;
};
enum { NT_THREAD_READY = 1, NT_THREAD_RUNNING = 2 };

struct nt_process { /* bytes, but where something else is said */
    uint32_t next; /* to the next one; 0: the last */
    uint32_t threads;
    int64_t working_set_private;
    uint32_t hard_faults, threads_most;
    uint64_t cycles;
    int64_t created, user, kernel; /* 100 ns */
    struct nt_text name;
    int32_t base_priority;
    void *id, *parent_id;
    uint32_t handles, session;
    uintptr_t key;
    size_t virtual_peak, virtual_bytes;
    uint32_t page_faults;
    size_t working_set_peak, working_set;
    size_t paged_pool_peak, paged_pool, nonpaged_pool_peak, nonpaged_pool;
    size_t page_file, page_file_peak, private_bytes;
    int64_t reads, writes, others, read_bytes, write_bytes, other_bytes;
    struct nt_thread thread[]; /* `threads` of them */
};
_Static_assert(sizeof(struct nt_thread) == 80 && sizeof(struct nt_process) == 256,
               "the kernel's layout");

/* A 32-bit counter of the kernel, carried on beyond its end; all zero before the first. */
struct nt_carried {
    bool has_value;
    uint32_t held;
    uint64_t total;
};
double ntapi_carry(struct nt_carried *counter, uint32_t now);

/* Fills `to`; how many bytes the system told in *ret_size (may be NULL).  ERR_NOTFOUND: it does not
 * know this class; ERR_IO. */
int ntapi_query(int kind, void *to, size_t size, size_t *ret_size);

/* The same of a table that may have any size, in a buffer that grows; valid until the next call. */
int ntapi_table(int kind, struct readbuf *buf, size_t *ret_size);

/* The same of the processors of one processor group. */
int ntapi_group(int kind, uint16_t group, void *to, size_t size, size_t *ret_size);

/* Unix time of boot in seconds; it moves with the wall clock when that is set.  0: not known. */
double ntapi_boot_seconds(void);
