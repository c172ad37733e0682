/*
 * check_sources.h - what each source of this probe would not measure, and why, for --check.
 */
#pragma once

#include "probe/options.h"

/* Configures every source.  ERR_INVALID with file and line in `why`. */
int check_sources_configure(struct options *options, struct diagnosis *why);

/* Starts each one and lets it read once; prints a line for each that is off, that this host has
 * nothing for, that fails, or that complains. */
int check_sources_report(struct options *options, struct diagnosis *why);
