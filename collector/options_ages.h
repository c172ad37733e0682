/*
 * options_ages.h - retention.per_series of collector.yml: series of which something is kept for
 * longer or less long than of the others.
 *
 *     retention:
 *       raw: 90d
 *       per_series:
 *       - {match: '{job="debug"}', raw: 7d}                            nothing of it is rolled up
 *       - {match: '{job="lab"}', rollup_5m: 120d, rollup_1h: 2y}
 *       - {match: '{job="edge"}', raw: 3d, rollup_5m: 90d, rollup_1h: 2y}
 *       - {match: '{job="audit"}', raw: 1y}                            then as the others
 *
 * A raw that is shorter than that of the others and stands alone leaves nothing behind; where it is
 * longer, or a tier stands beside it, a tier that is not named is kept as long as the others'.
 */
#pragma once

#include "collector/options.h"
#include "collector/store/store.h"

/* Reads the list (NULL: none) into options->ages.  ERR_INVALID with file and line: a selector that
 * does not parse or means every series; an age that is none; a tier that would not outlive the samples
 * of its row. */
int options_read_ages(struct config *config, const struct config_node *list,
                      struct options *options, struct diagnosis *why);
/* A row as the store takes it, when all options are known.  The matchers stay the options'. */
struct store_retention options_store_age(const struct options *options, size_t i);
void options_free_ages(struct options *options);
void options_print_ages(const struct options *options, struct buf *out);
