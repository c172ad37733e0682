/*
 * progress.h - how far a long command is: one line that moves on a terminal, a plain line now
 * and then elsewhere.
 *
 *     node.txt.gz  [#########...........]  45%  123.4 MiB of 274.1 MiB  1204511 samples
 *     350112/s  0:03 left                                                (one line)
 *
 * On stderr.  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/ctl/ctl.h"
#include "proto/base/clock.h"

struct progress {
    const struct ctl *ctl;
    const char *name;
    uint64_t total_bytes; /* 0: not known */
    bool is_terminal;
    bool is_drawn; /* something stands in the line */
    mono_ns start, next;
};

void progress_begin(struct progress *progress, const struct ctl *ctl, const char *name,
                    uint64_t total_bytes);
/* May draw. `samples` 0: not counted. */
void progress_show(struct progress *progress, uint64_t bytes, uint64_t samples);
/* Clears the line, so that something else can be printed. */
void progress_clear(struct progress *progress);
double progress_seconds(const struct progress *progress);
