/*
 * options_collector.h - the map `collector` of probe.yml: where to, its key, our token.
 *
 * Used by options.c alone.
 */
#pragma once

#include "probe/options.h"

/* Reads the map (NULL: it is not there) into endpoint, collector_key, token and missing_*.
 * ERR_INVALID and the like with a message in `why`. */
int options_collector_read(struct options *options, const struct config_node *node,
                           struct diagnosis *why);

/* Sets the token from its own text, or from the file it names (mode 0600). */
int options_collector_token(struct options *options, const char *text, struct diagnosis *why);
