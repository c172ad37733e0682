/*
 * consequences.h - what would become of rules, alerts, routes, receivers and silences if the
 * collector took other files: pure comparisons of its API's answers with what was read here.
 *
 *     rules      {"added": [RULE], "removed": [RULE + alerts, successor], "changed": [RULE +
 * what, alerts]}   RULE: {"group", "name", "type"}; alerts: [{"labels", "state"}]; what: of
 * "expr" "for" "keep_firing_for" "annotations" "interval" "limit" routes     [{"before": [..],
 * "after": [..], "regrouped": [..], "alerts": [{"fingerprint", "labels", "state"}]}]   names of
 * receivers; regrouped: told anew, in other groups receivers  {"added": [WAY], "removed": [WAY
 * + owed]}   WAY: {"receiver", "channel", "index"} (channel and index null for a receiver
 * without integrations) silences   [{"id", "createdBy", "comment", "matchers": [text]}]: no
 * rule left can meet them
 *
 * A rule is the same after an edit if its group, name and labels are (rule_file.h, key): its
 * alerts live on.  With other labels it is another rule: the old one's alerts end, and are told
 * so; the new one's begin with their `for`.
 *
 * All functions give a new reference, or NULL without memory.  One thread.
 */
#pragma once

#include <jansson.h>

#include "collector/notify/alerting_config.h"
#include "collector/rules/rule_file.h"

/* `running`: data of /api/v1/rules. */
json_t *consequences_of_rules(const json_t *running, const struct rule_set *offered);
/* `alerts`: data.alerts of /api/fengsui/v1/alerts; those of `ending` rules (the above,
 * "removed") are left out. */
json_t *consequences_of_routes(const json_t *alerts, const json_t *ending,
                               const struct alerting *before, const struct alerting *after);
/* `running`: data of /api/fengsui/v1/receivers. */
json_t *consequences_of_receivers(const json_t *running, const struct alerting *after);
/* `silences`: /api/v2/silences. */
json_t *consequences_of_silences(const json_t *silences, const json_t *running,
                                 const struct rule_set *offered, const json_t *alerts);
