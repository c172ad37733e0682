/*
 * process_rest.h - processes that have not run since: one short file says so.
 *
 * Most processes of a host sleep.  What /proc/PID/stat says of one with a single thread can
 * change only when it runs (but for pages that the kernel takes from it), and whether it has
 * run stands in /proc/PID/schedstat, at a quarter of the cost:
 *
 *     5623110 41217 12        ns on a CPU, ns waited for one, times it was given one
 *
 * So a process that was idle for some looks rests: its kept descriptor is schedstat's, and stat
 * is read again when that text has changed, after an exec, and every REST_MOST_MS for the
 * pages. One that runs a little all the time is left alone ever longer before it may rest
 * again.
 *
 * Kernels without scheduling statistics have no such file, or only zeros in it: nobody rests.
 */
#pragma once

#include "probe/source/process_scan.h"

#define REST_MOST_MS 600000

/* Can processes of this kernel rest? */
bool process_rest_is_possible(const struct process_scan *scan);

/* True: it rests, and has not run since the last look; nothing is to be read of it.  One that
 * has run is woken. */
bool process_rest_holds(struct process_scan *scan, struct process *process, double seconds);

/* Before stat is read: lets it rest from now on if it was idle for long enough. */
void process_rest_begin(struct process_scan *scan, struct process *process);

/* After stat was read. */
void process_rest_note(struct process *process, bool has_used_cpu);
