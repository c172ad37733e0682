/*
 * process_family.h - what processes did that came and went between two looks, and which of them
 * were replaced.
 *
 * Whoever waits for a child inherits the processor time it has used, and all that it inherited
 * itself (cutime and cstime of /proc/PID/stat).  What a process inherits between two looks,
 * less what was seen of the children that have gone, is the time nobody saw: that of processes
 * too short-lived for any look, and the last stretch of the others.  It is told by the group of
 * the parent, beside the group's own time, so that the latter stays what process-exporter
 * tells.
 *
 * Not seen: children of a parent that ignores SIGCHLD (the kernel gives their time to nobody),
 * and of one that is itself gone before a look.
 */
#pragma once

#include "probe/source/process_scan.h"

/* A process of the last look is no more. */
void process_family_gone(struct process_scan *scan, const struct process *process);

/* After a look at all: `rows` are those that live, ascending by pid. */
void process_family_settle(struct process_scan *scan, struct process *rows, size_t count);

/* The row of that pid, or NULL. */
struct process *process_family_find(struct process *rows, size_t count, uint32_t pid);
