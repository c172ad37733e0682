/*
 * options_ages.h - retention.per_series of collector.yml: series of which something is kept for less
 * long.
 *
 *     retention:
 *       raw: 90d
 *       per_series:
 *       - {match: '{job="debug"}', raw: 7d}                            nothing of it is rolled up
 *       - {match: '{job="lab"}', rollup_5m: 120d, rollup_1h: 2y}
 */
#pragma once

#include "collector/options.h"

/* Reads the list (NULL: none) into options->ages.  ERR_INVALID with file and line: a selector that
 * does not parse or means every series; an age that is none, or not below that of the others; one of
 * samples beside one of roll-ups, of which there would be none. */
int options_read_ages(struct config *config, const struct config_node *list,
                      struct options *options, struct diagnosis *why);
void options_free_ages(struct options *options);
void options_print_ages(const struct options *options, struct buf *out);
