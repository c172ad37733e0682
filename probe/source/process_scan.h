/*
 * process_scan.h - the table of live processes, brought up to date once a tick.
 *
 *     getdents(/proc) -> pids, ascending
 *     merge with the table: gone ones leave, new ones enter, each one's stat is read again
 *
 * /proc/PID/stat stays open for as many processes as a share of RLIMIT_NOFILE allows: that
 * halves the cost, and a descriptor can never meet a later process with the same pid.  Without
 * one, the start time tells them apart.  Those that have not run for a while are asked for that
 * alone (process_rest.h).
 *
 * A process may vanish between any two system calls; then it is simply gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/source/process.h"
#include "probe/source/process_parse.h"
#include "probe/source/procfile.h"

#define PROCESSES_MAX ((size_t)65536) /* the rest is not watched; counted in `beyond_limit` */

/* One that was there at the last look and is no more. */
struct process_gone {
    uint32_t parent;
    struct process_group *group;
    uint64_t start_ticks;
    uint32_t user_ticks, system_ticks; /* its own and its children's, as last seen */
};

struct process_scan {
    int proc_fd; /* the procfs directory */
    bool is_open;
    struct readbuf text;     /* shared by all reads below /proc */
    struct readbuf snapshot; /* Windows: all processes as the kernel told them */
    size_t snapshot_bytes;
    int64_t boot; /* Windows: what start_ticks count from; the same for good */
    uint32_t *pids;
    size_t pid_count, pid_capacity;
    struct process *rows, *spare; /* ascending by pid */
    size_t count, capacity, spare_capacity;
    size_t count_before; /* rows of the look before, in spare */
    size_t fds_kept, fds_limit;
    bool has_run;
    uint64_t first_scan_ticks; /* latest start seen by the first scan */
    uint64_t beyond_limit;
    bool can_rest;             /* process_rest.h */
    uint64_t looks_failed;     /* process-exporter's three kinds of errors: no look at all, */
    uint64_t reads_failed;     /* one process of which nothing could be read, */
    uint64_t reads_incomplete; /* or not all */
    struct process_gone *gone; /* since the last look */
    size_t gone_count, gone_capacity;
};

/* Puts a process that entered, or changed its command, into a group (process->group). */
typedef void process_classify_function(void *context, struct process *process,
                                       const struct process_stat *stat);

/* ERR_NOTFOUND: no such procfs, or one without processes. */
int process_scan_open(struct process_scan *scan, const char *procfs);

/* Reads all that may have changed; `seconds` since the last call, for rates.  ERR_NOMEM,
 * ERR_IO: the table stays as it was. */
int process_scan_run(struct process_scan *scan, double seconds,
                     process_classify_function *classify, void *context);

/* Reads /proc/PID/FILE into scan->text. */
int process_read(struct process_scan *scan, uint32_t pid, const char *file,
                 struct span *ret_text);

/* Calls `each` with the names in a folder below /proc/PID, and that folder's descriptor; after
 * `most` of them it reads no more.  `each` ends it with an error, and leaves scan->text alone.
 * That error; else as process_read(). */
int process_list(struct process_scan *scan, uint32_t pid, const char *folder, size_t most,
                 int (*each)(void *context, int folder, const char *name), void *context);

/* Counts what could not be read of a process; one that is gone is no error. */
void process_read_failed(struct process_scan *scan, int error);

/* FNV-1a, 32 bits. */
uint32_t process_hash(struct span text);

/* Adds the step from *held to `now` to *total (NULL: nowhere) and keeps `now`; a counter that
 * went back a little (scheduling statistics of old kernels do) adds nothing. */
void process_step(uint32_t *held, uint64_t now, uint64_t *total);

void process_scan_close(struct process_scan *scan);
