/*
 * process_each.h - every process as windows_exporter tells it: windows_process_*, labels process and
 * process_id.  A host has hundreds, each with some twenty series: off by default, as there.
 */
#pragma once

#include "probe/source/process_scan.h"
#include "probe/source/readings.h"

struct process_each {
    struct readings list;
};

/* From the snapshot of the last process_scan_run().  ERR_NOMEM: some are missing. */
int process_each_emit(struct process_each *each, const struct process_scan *scan,
                      struct emitter *out);

void process_each_done(struct process_each *each);
