/*
 * options_policy.h - the map `policy` of probe.yml: what a collector may ask of this host.
 *
 * Used by options.c alone.
 */
#pragma once

#include "probe/options.h"

/* Reads the map (NULL: it is not there) into options->allow.  ERR_INVALID with a message. */
int options_policy_read(struct options *options, const struct config_node *node,
                        struct diagnosis *why);
