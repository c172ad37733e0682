/*
 * options_sources.h - the sources' part of probe.yml: which measure, how often.
 *
 * Every source has an entry, those that are off too: a policy may switch them on.  Each target
 * that is scraped is a source of its own.
 *
 * Thread: the loop's.
 */
#pragma once

#include "probe/options.h"

/* Reads the maps `sources` and the list `logs` (both may be NULL) into options->sources.
 * ERR_INVALID, ERR_NOMEM. */
int options_sources_read(struct options *options, const struct config_node *node,
                         const struct config_node *logs, struct diagnosis *why);
