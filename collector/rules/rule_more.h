/*
 * rule_more.h - what Prometheus's format cannot say of an alert, in a file of its own.
 *
 * Rule files stay Prometheus's; a file beside them, found by the same globs, has `alerts:` in the
 * place of `groups:` and speaks of alerts by name, whichever file they are in:
 *
 *     alerts:
 *     - alert: HostCpuHigh
 *       recover: instance:node_cpu:ratio < 0.7  # ends only when this yields what is like it
 *       stale_for: 24h      # without data it fires on for so long, marked as stale
 *       flap_changes: 4     # so many beginnings and ends ...
 *       flap_within: 10m    # ... in this time are one flapping alert; flap_changes 0: never
 *     - {alert: '*', stale_for: 12h}            # all that no other entry names
 *
 * An element of `recover` is like an alert if each of its labels (but __name__) has the same value
 * in the alert; labels that the rule itself sets are not looked at.
 *
 * Thread: as rule_file.h.
 */
#pragma once

#include "collector/rules/rule_file.h"

struct config_node;

/* Takes the list of one document, to be applied when all are read.  ERR_NOMEM, ERR_INVALID. */
int rule_more_read(struct rule_set *set, struct config *config, const struct config_node *list,
                   struct diagnosis *why);
/* Gives every alerting rule of the set what was said of it; else the defaults.  Errors name file
 * and line. */
int rule_more_apply(struct rule_set *set, struct diagnosis *why);
