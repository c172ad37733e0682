/*
 * consequences.h - what would become of rules, alerts, routes, receivers, silences and of who is
 * on duty if the collector took other files: pure comparisons of its API's answers with what was
 * read here.
 *
 *     rules          {"added": [RULE], "removed": [RULE + alerts, successor],
 *                    "changed": [RULE + what, alerts]}
 *                    RULE: {"group", "name", "type"}; alerts: [{"labels", "state"}]; what: of
 *                    "expr" "for" "keep_firing_for" "annotations" "interval" "limit"
 *     routes         [{"before": [..], "after": [..], "regrouped": [..],
 *                    "alerts": [{"fingerprint", "labels", "state"}]}]: names of receivers;
 *                    regrouped: told anew, in other groups
 *     receivers      {"added": [WAY], "removed": [WAY + owed]}
 *                    WAY: {"receiver", "channel", "index"} (channel and index null for a receiver
 *                    without integrations)
 *     silences       [{"id", "createdBy", "comment", "matchers": [text]}]: no rule left can meet
 *                    them
 *     muting         [{"receiver", "becomes": "muted" or "told", "by": "inhibition" or "time",
 *                    "alerts": [{"labels", "state", "moments", "firstMs", "lastMs"}]}]: alerts of
 *                    now ("firing") and of the last days ("past"), at so many of the moments at
 *                    which they fired
 *     timers         [{"receiver", "before": [TIMERS], "after": [TIMERS],
 *                    "alerts": [{"labels", "state"}]}], of each route by which it hears of them;
 *                    TIMERS: {"groupWaitMs", "groupIntervalMs", "repeatIntervalMs"}
 *     inhibit_rules  {"added": [text], "removed": [text]}
 *     intervals      {"added": [name], "removed": [name], "changed": [name]}
 *     duty           [{"roster", "title", "offsetMs", "becomes": "added" "removed" "changed",
 *                    "fromMs", "toMs", "before": [PERSON], "after": [PERSON]}]: stretches of time
 *                    for which others would be on duty; PERSON: {"id", "name"}
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

/* What fires now, and at which moments what fired before: [{"labels", "state": "firing" or "past",
 * "times": [ms]}].  `alerts` as above; `matrix`: data of a range query for ALERTS, whose times are
 * taken `back_ms` earlier, NULL: none. */
json_t *consequences_episodes(const json_t *alerts, const json_t *matrix, int64_t now_ms,
                              int64_t back_ms);
json_t *consequences_of_mutes(const json_t *episodes, const struct alerting *before,
                              const struct alerting *after);
json_t *consequences_of_timers(const json_t *episodes, const struct alerting *before,
                               const struct alerting *after);
json_t *consequences_of_inhibit_rules(const struct alerting *before,
                                      const struct alerting *after);
json_t *consequences_of_intervals(const struct alerting *before, const struct alerting *after);

/* `running`: data of /api/fengsui/v1/duty/shifts for that time, NULL: no duty.yml; `swaps`: of
 * duty/swaps, which go on; `offered` NULL: no duty.yml. */
json_t *consequences_of_duty(const json_t *running, const json_t *swaps,
                             const struct duty *offered, int64_t from_ms, int64_t to_ms);
