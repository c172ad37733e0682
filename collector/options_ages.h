/*
 * options_ages.h - retention.per_series of collector.yml: series that are kept for less long.
 *
 *     retention:
 *       raw: 90d
 *       per_series:
 *       - {match: '{job="debug"}', raw: 7d}
 */
#pragma once

#include "collector/options.h"

/* Reads the list (NULL: none) into options->ages.  ERR_INVALID with file and line: a selector that
 * does not parse or means every series, an age that is none or not below retention.raw. */
int options_read_ages(struct config *config, const struct config_node *list,
                      struct options *options, struct diagnosis *why);
void options_free_ages(struct options *options);
void options_print_ages(const struct options *options, struct buf *out);
