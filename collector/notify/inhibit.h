/*
 * inhibit.h - which alerts are not to be told because another one says it already.
 *
 *     source  fires and matches the rule's source side    RackDown{rack="7"}
 *     target  matches its target side and has the same    ServiceDown{rack="7"}
 *             values of every label in `equal`
 *
 * A target is inhibited while such a source fires.  Semantics are Alertmanager's
 * (inhibit/inhibit.go): a missing label equals an empty one; a target that matches the source
 * side as well is not inhibited by sources that match both sides, so nothing inhibits itself
 * and no two inhibit each other.  Sources count also while they are silenced, acknowledged or
 * inhibited themselves.
 *
 * The sources are indexed by rule and values: one look is a binary search for each rule whose
 * target side holds.  Alerts are kept over a restart, so sources are there before the first
 * flush and nobody has to wait for them to be heard of again.
 *
 * Thread: changed under the view lock; read under that lock by any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/matcher.h"

/* One entry of inhibit_rules; never changes once read. */
struct inhibit_rule {
    struct matcher **sources, **targets; /* owned; none at all hold for everything */
    size_t source_count, target_count;
    const char *const *equal;
    size_t equal_count;
};

void inhibit_rule_done(struct inhibit_rule *rule);

struct tracked;

/* Of one rule, what an alert that is a source of it stands for. */
struct inhibit_source {
    size_t rule;
    uint64_t values; /* hash of its values of the labels in `equal` */
    bool is_target;  /* matches both sides */
    const struct tracked *alert;
};

/* What is known of one tracked alert, kept until rules or alerts change. */
struct inhibited {
    uint64_t rules_version;         /* of `sources`; 0: never looked */
    struct inhibit_source *sources; /* owned; the rules it is a source of */
    size_t source_count;
    uint64_t version; /* of the answer; 0: none */
    bool is_inhibited;
    uint64_t by; /* fingerprint of one source */
};

struct groups;

/* The rules in force and the sources that fire. */
struct inhibition {
    const struct inhibit_rule *rules; /* the configuration's */
    size_t rule_count;
    uint64_t rules_version;
    uint64_t groups_version, version; /* of the index; 0: none yet */
    struct inhibit_source *sources;   /* by rule, values, one-sided first, fingerprint */
    size_t count, capacity;
};

/* Other rules are in force. */
void inhibition_set_rules(struct inhibition *inhibition, const struct inhibit_rule *rules,
                          size_t count);
/* Indexes the sources among the alerts that fire, if any of them has changed.  ERR_NOMEM (the
 * index is then as it was). */
int inhibition_refresh(struct inhibition *inhibition, struct groups *groups);
/* Is an alert with these labels inhibited, and by which (a fingerprint)?  After a refresh;
 * `known` (NULL is allowed) is the alert's own, where the answer is kept. */
bool inhibition_holds(const struct inhibition *inhibition, const struct labels *labels,
                      struct inhibited *known, uint64_t *ret_by);
void inhibition_done(struct inhibition *inhibition);
void inhibited_done(struct inhibited *inhibited);
