/*
 * policy.h - what probes are asked to do: policy.yml, and what of it a host gets.
 *
 *     time_zone: Asia/Shanghai
 *     periods:
 *       declaration: {days: [1-15], weekdays: [mon-fri], hours: [08:30-17:30]}
 *     rules:
 *     - name: databases
 *       match: 'role="db", site!="lab"'      # or {role: db, site: [unicom, zhongta]}
 *       interval: 5s
 *       sources: {processes: {interval: 10s}, network_class: {enabled: false}}
 *       logs: [{path: /app/oracle/logs/alert_*.log, encoding: gb18030}]
 *     - name: peak
 *       during: [declaration]
 *       interval: 1s
 *
 * Rules are taken in order, and each that matches a host's job, instance and labels adds to
 * what the ones before it said: of an interval, a switch, an option of a source, or the entry
 * of a log path the later word holds; {path: ..., enabled: false} takes an entry back.  A rule
 * with `during` counts only within one of those periods, and only ever shortens an interval.
 *
 * What a host gets is a document in the language of probe.yml (probe/policy.h); a host that no
 * rule has a word for gets an empty one.  The same rules, host and set of periods in force
 * always give the same bytes.  The probe decides what of it its own probe.yml allows.
 *
 * A policy never changes once it is read, and is counted; any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

struct policy;
struct policy_rule;
struct config_node;

/* ERR_INVALID with file, line and key in `why`, ERR_NOTFOUND, ERR_NOMEM. */
int policy_load(const char *path, struct policy **ret_policy, struct diagnosis *why);
int policy_parse(const char *name, struct bytes text, struct policy **ret_policy,
                 struct diagnosis *why);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy); /* NULL is allowed */

/* The file's name, and how many rules it has. */
const char *policy_name(const struct policy *policy);
size_t policy_rule_count(const struct policy *policy);

/* A host as rules see it. */
struct policy_host {
    const char *job, *instance;
    const struct label *labels;
    size_t label_count;
};

enum policy_kind {
    POLICY_INTERVAL,
    POLICY_SOURCE_INTERVAL,
    POLICY_SOURCE_SWITCH,
    POLICY_SOURCE_OPTION,
    POLICY_LOG
};

/* One thing a host gets, and the rule that had the last word on it. */
struct policy_item {
    enum policy_kind kind;
    const char *subject; /* source or path; "" for the default interval */
    int64_t interval_ms;
    bool is_on;
    const struct config_node *node; /* of a log path the whole entry; of an option its value */
    const struct policy_rule *rule;
    unsigned line; /* in the file */
};

struct policy_plan {
    struct policy_item *items; /* by kind, then in the order of the rules */
    size_t count;
};

/* What the host gets at a time; memory from the arena.  ERR_NOMEM. */
int policy_plan(const struct policy *policy, const struct policy_host *host, int64_t at_ms,
                struct arena *arena, struct policy_plan *ret_plan);

/* The document for the probe; nothing for a plan without items. */
void policy_print_document(const struct policy_plan *plan, struct buf *out);

/* The first time after `after_ms` at which a plan may change by itself; INT64_MAX: never. */
int64_t policy_next_border(const struct policy *policy, int64_t after_ms);

/* ---- for people: JSON objects ------------------------------------------------------------ */

/* Does the rule mean this host, whatever the time? */
bool policy_rule_matches(const struct policy *policy, size_t rule,
                         const struct policy_host *host);

/* file, time zone, periods and rules as read; `hosts` (one count a rule, or NULL) goes along.
 */
int policy_print_rules_json(const struct policy *policy, int64_t at_ms, const uint64_t *hosts,
                            struct buf *out);
/* An array: {"part", "value", "rule", "line", "during"} for each item. */
int policy_print_plan_json(const struct policy_plan *plan, struct buf *out);
