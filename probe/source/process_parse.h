/*
 * process_parse.h - the files below /proc/PID, as far as we need them.
 *
 * Pure functions of their text; fuzzed.  Kernels from 2.6.32 on; a field that a kernel lacks is
 * said to be missing, never zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/source/scan.h"

/* /proc/PID/stat.  The command stands in parentheses and may hold anything, parentheses and
 * newlines too: it ends at the last one of the text.
 *
 *     1234 (tmux: server) S 1 1234 1234 0 -1 4194368 17 0 2 0 11 5 0 0 20 0 1 0 98765 ... */
struct process_stat {
    uint32_t pid;
    struct span comm; /* points into the text */
    char state;       /* R S D Z T t X I ... */
    uint64_t flags;   /* PF_* */
    uint64_t minor_faults, major_faults;
    uint64_t user_ticks, system_ticks;             /* USER_HZ */
    uint64_t child_user_ticks, child_system_ticks; /* of children it has waited for */
    uint32_t parent;
    uint64_t threads;
    uint64_t start_ticks; /* after boot, USER_HZ */
    uint64_t virtual_bytes;
    uint64_t resident_pages;
};

#define PROCESS_FLAG_NO_EXEC 0x00000040u /* PF_FORKNOEXEC: runs what its parent ran */
#define PROCESS_FLAG_KTHREAD 0x00200000u /* PF_KTHREAD, since 2.6.27 */

bool process_stat_parse(struct span text, struct process_stat *ret_stat);

/* /proc/PID/status. */
struct process_status {
    bool has_switches, has_swap, has_user;
    uint64_t voluntary, nonvoluntary; /* context switches */
    uint64_t swap_kb;                 /* VmSwap */
    uint32_t user;                    /* effective user id */
};

void process_status_parse(struct span text, struct process_status *ret_status);

/* /proc/PID/io: bytes that went to and came from storage. */
bool process_io_parse(struct span text, uint64_t *ret_read_bytes, uint64_t *ret_write_bytes);

/* /proc/PID/limits: soft limit of open files; UINT32_MAX for unlimited. */
bool process_limits_parse(struct span text, uint32_t *ret_files);

/* /proc/PID/smaps_rollup (4.14). */
bool process_smaps_parse(struct span text, uint64_t *ret_pss_kb, uint64_t *ret_swap_pss_kb);

/* /proc/PID/cgroup: the path of the unified hierarchy, else of systemd's, else the first. */
bool process_cgroup_parse(struct span text, struct span *ret_path);
