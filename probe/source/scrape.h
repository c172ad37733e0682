/*
 * scrape.h - targets of the scrape source: each is an instance of the source, with its own map
 * of probe.yml, interval and state, so that one that hangs delays no other.
 *
 *     sources:
 *       scrape:
 *         interval: 15s
 *         targets:
 *           - {url: 'http://127.0.0.1:9104/metrics', job: mysqld}
 */
#pragma once

#include "probe/source/source.h"
#include "proto/base/config.h"

extern const struct source source_scrape;

/* Together they may not fill an epoch's series (EMITTER_SERIES_MAX). */
#define SCRAPE_TARGETS_MAX 32

/* Checks the map of a source that has targets and yields their list; NULL: none.  ERR_INVALID.
 */
int scrape_targets(const struct source *source, struct config *config,
                   const struct config_node *node, const struct config_node **ret_targets,
                   struct diagnosis *why);
