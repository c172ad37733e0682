/*
 * rule_file.h - Prometheus rule files, parsed and checked.
 *
 *     groups:
 *     - name: host
 *       interval: 15s        # else the global evaluation interval
 *       limit: 0             # most alerts or series a rule may yield; 0: any number
 *       query_offset: 0s
 *       labels: {team: ops}  # added to every rule's
 *       rules:
 *       - alert: HostCpuHigh
 *         expr: 1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])) > 0.9
 *         for: 2m
 *         keep_firing_for: 5m
 *         labels: {severity: warning}
 *         annotations: {summary: "{{ $labels.instance }} CPU {{ $value | humanizePercentage }}"}
 *       - record: instance:node_cpu:ratio
 *         expr: ...
 *
 * A file may have `alerts:` instead, which says what this format cannot (rule_more.h).
 *
 * Every error is one line: file, line, reason, group and rule, nearest name where there is one.
 * A rule set never changes once loaded; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/notify/template.h"
#include "collector/promql/engine.h"
#include "collector/rules/flap.h"
#include "proto/base/arena.h"
#include "proto/base/diagnosis.h"

#define RULE_FILES_MAX  ((size_t)4096)
#define RULES_MAX       ((size_t)65535) /* rule numbers fit 16 bits */
#define RULE_LABELS_MAX ((size_t)64)

struct rule_group;
struct rule_more;
struct config;

/* A label or annotation: a name and a parsed template. */
struct rule_text {
    const char *name;
    const char *text;
    const struct template *template;
};

struct rule {
    bool is_alert;
    bool single;      /* speaks of single instances (scope.h) */
    const char *name; /* alert or record */
    const struct rule_group *group;
    struct promql_expression *expression; /* owned */
    const char *expression_text;          /* canonical */
    int64_t for_ms, keep_firing_for_ms;
    const struct rule_text *labels; /* the group's and the rule's; ascending by name */
    size_t label_count;
    const struct rule_text *annotations;
    size_t annotation_count;
    unsigned line;
    unsigned number; /* in the set, from 0 */
    uint64_t key;    /* of its stored state: group, alert name, label texts, how many before it */

    /* an alert's, from the files that say more (rule_more.h) */
    struct promql_expression *recover; /* owned; NULL: it ends when it no longer holds */
    bool recover_single;
    int64_t stale_ms;
    struct flap_terms flap;
};

struct rule_group {
    const char *name;
    const char *file;
    int64_t interval_ms, query_offset_ms;
    size_t limit;
    struct rule *rules;
    size_t rule_count;
};

/* May what arrives of one instance be evaluated for it alone?  Not under a limit: that is for all
 * alerts of a rule, and nobody can tell from those of one instance. */
static inline bool rule_goes_by_instance(const struct rule *rule)
{
    return rule->single && rule->group->limit == 0;
}

struct rule_set {
    struct rule_group **groups;
    size_t group_count;
    struct rule **rules; /* by number */
    size_t rule_count;
    /* private */
    struct arena arena;
    struct rule_more *more;
    struct config **configs;
    size_t config_count;
};

struct rule_set_options {
    const char *const *globs;
    size_t glob_count;
    int64_t evaluation_interval_ms;
};

/* A glob without matches is no error, a plain path that is missing is. */
int rule_set_load(const struct rule_set_options *options, struct rule_set **ret_set,
                  struct diagnosis *why);
/* One file from memory; `name` stands for its path. */
int rule_set_parse(const char *name, struct bytes text, int64_t evaluation_interval_ms,
                   struct rule_set **ret_set, struct diagnosis *why);
void rule_set_free(struct rule_set *set); /* NULL is allowed */
