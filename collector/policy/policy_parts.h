/*
 * policy_parts.h - what the files of this folder share; nothing else includes it.
 */
#pragma once

#include <stdatomic.h>

#include "collector/policy/period.h"
#include "collector/policy/policy.h"
#include "collector/series/matcher.h"
#include "proto/base/config.h"

#define POLICY_RULES_MAX         1000
#define POLICY_PERIODS_MAX       100
#define POLICY_LOGS_MAX          256 /* entries of a rule; a probe takes no more */
#define POLICY_INTERVAL_LEAST_MS 100
#define POLICY_INTERVAL_MOST_MS  3600000

/* What a rule says of one source. */
struct policy_wish {
    const char *source;
    unsigned line;
    bool has_switch, is_on;
    int64_t interval_ms; /* 0: not said */
    const struct config_node **options;
    size_t option_count;
};

/* source_options.c: keys of a source's map that a policy may set, NULL-terminated; none for a
 * source that is not known here. */
const char *const *policy_source_options(const char *source);
#define POLICY_OPTIONS_MAX 8 /* of a source */

struct policy_rule {
    const char *name; /* "rule 3" where it has none */
    unsigned line;
    struct matcher **matchers; /* over job, instance and labels */
    size_t matcher_count;
    const char *match_text; /* as a selector */
    const struct policy_period **during;
    size_t during_count;
    int64_t interval_ms; /* 0: not said */
    unsigned interval_line;
    struct policy_wish *wishes;
    size_t wish_count;
    const struct config_node *const *logs;
    size_t log_count;
};

struct policy {
    atomic_uint references;
    struct config *config; /* texts and nodes are its own */
    struct civil_zone zone;
    struct policy_period *periods;
    size_t period_count;
    struct policy_rule *rules;
    size_t rule_count;
};

/* selector.c: `match` of a rule.  ERR_INVALID, ERR_NOMEM. */
int policy_read_match(struct policy *policy, struct policy_rule *rule,
                      const struct config_node *node, struct diagnosis *why);
/* The host's labels as matchers see them; with job and instance.  ERR_NOMEM. */
int policy_host_labels(const struct policy_host *host, struct arena *arena,
                       const struct labels **ret_labels);

/* log_entry.c: is it an entry that a probe would take? */
int policy_check_log(struct config *config, const struct config_node *node,
                     struct diagnosis *why);
/* "path" of an entry that was checked, and whether it takes an earlier one back. */
const char *policy_log_path(const struct config_node *node);
bool policy_log_is_taken_back(const struct config_node *node);

/* Is one of its periods in force?  A rule without any always is. */
bool policy_rule_is_in_force(const struct policy *policy, const struct policy_rule *rule,
                             int64_t at_ms);
