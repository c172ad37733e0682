/*
 * job_run.h - a command run as a job: start, ok or fail are told for it, and its own code is
 * ours.
 *
 * The command comes first: it is begun before anything is told, goes on if nobody hears, and
 * its code is returned whatever the collector says.  What could not be told at the end is tried
 * again for `patience_ms`.  One thread.
 */
#pragma once

#include "collector/ctl/ctl.h"

struct job_run_options {
    const char *name;
    const char *size_of; /* a file whose size is told of a success; NULL: none */
    int64_t patience_ms;
};

/* `command` ends with NULL.  The command's exit code; 128 and the signal that ended it; 126,
 * 127 if it could not be begun. */
int job_run(const struct ctl *ctl, const struct job_run_options *options, char **command);
