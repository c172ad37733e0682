/*
 * process_deleted.h - files that a process has open although nobody finds them any more: what
 * fills a disk on which du sees nothing.
 *
 * By the links in /proc/PID/fd that end in " (deleted)", of files that take room on a disk: not
 * memory (memfd, /dev, /SYSV...).  Their sizes are asked for without waiting for a file server
 * (statx, AT_STATX_DONT_SYNC; kernels before 4.11 tell the number alone).  A file that is open
 * more than once counts as often.  The first DELETED_LINKS_MOST links of a process are read.
 */
#pragma once

#include "probe/source/process_scan.h"

#define DELETED_LINKS_MOST 2048

/* Counts those of one process into its row; what may not be read leaves it as it was. */
void process_deleted_read(struct process_scan *scan, struct process *process);

/* Does the link's target say so? */
bool process_deleted_link(struct span target);
