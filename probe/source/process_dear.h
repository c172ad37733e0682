/*
 * process_dear.h - what is too dear to read of every process at every tick, read in turns.
 *
 *     light   status (context switches, VmSwap), io      some 15 microseconds
 *     files   open files and their limit                the same; a list of them before 6.2
 *     deleted files that are open though deleted: every link in fd, every DELETED_TURN_MS
 *     PSS     smaps_rollup                              a hundred, with large memories far
 * more: the kernel walks the page tables
 *
 * A process is read lightly when it is new, when it has used CPU since, and otherwise every
 * LIGHT_TURN_MS; its files and PSS when it is new and then every HEAVY_TURN_MS.  What is known
 * not to have run since (process_rest.h) has neither switched, read nor opened: light files and
 * open files are not read of it, but for VmSwap after REST_MOST_MS.  With the light ones goes
 * the command line of a process that was classified by it: some write their state there.  PSS
 * besides only as far as the tick's time for it goes, and a process whose page tables take long
 * is visited more rarely.  Between turns the last values stand.
 */
#pragma once

#include "probe/source/process_scan.h"

#define LIGHT_TURN_MS   60000
#define HEAVY_TURN_MS   120000
#define DELETED_TURN_MS 600000

struct process_dear {
    /* where the next turn starts, by row */
    size_t light_next, files_next, deleted_next, pss_next;
    bool has_run;
    bool has_file_count; /* the size of /proc/PID/fd is the number of files in it (6.2) */
    bool wants_pss;
};

void process_dear_start(struct process_dear *dear, struct process_scan *scan, bool wants_pss);

/* One tick's share.  `elapsed_ms` since the last; `interval_ms` is the usual. */
void process_dear_run(struct process_dear *dear, struct process_scan *scan, int64_t interval_ms,
                      int64_t elapsed_ms);
