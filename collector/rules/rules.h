/*
 * rules.h - Prometheus rule files, evaluated when their inputs arrive.
 *
 * One thread of its own.  A rule is dirty when a write touched a series one of its selectors
 * could mean; dirty rules run at once (rules that speak of single instances) or at most once a
 * second (aggregations); every rule also runs at its group's interval.  Alert state lives in the
 * store's state table ("alert/"), one row an alert; transitions, group entries (notify.h) and
 * ALERTS samples are one write.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/notify/notify.h"
#include "collector/promql/engine.h"
#include "collector/store/store.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"

struct rules;

struct rules_options {
    const char *const *globs; /* rule files; absolute or relative to the working directory */
    size_t glob_count;
    int64_t evaluation_interval_ms;
    struct promql_options promql;
    const char *external_url;
};

/* Parses and checks all files; every error names file, line, rule and reason.  With check_only
 * nothing starts and ret_rules may be NULL. */
int rules_check(const struct rules_options *options, size_t *ret_group_count,
                size_t *ret_rule_count, struct diagnosis *why);
int rules_open(const struct rules_options *options, struct store *store, struct notify *notify,
               struct rules **ret_rules, struct diagnosis *why);
/* Atomic: the old rules go on if the new do not parse. */
int rules_reload(struct rules *rules, const struct rules_options *options,
                 struct diagnosis *why);
void rules_close(struct rules *rules);

/* Samples of these series have just been committed.  Any thread, must not block. */
void rules_touch(struct rules *rules, struct series *const *series, size_t count);
/* The same from the samples of a host's write, which also witness what time it is (timeline.h);
 * takes the lock once. */
void rules_touch_samples(struct rules *rules, const struct store_sample *samples, size_t count);
/* The same of samples that say nothing of the time: our own word, or somebody's history. */
void rules_touch_without_witness(struct rules *rules, const struct store_sample *samples,
                                 size_t count);

/* Unix time as rules see it: the wall clock's, unless that was set and the hosts disagree.  What
 * the collector itself measures (`up`) bears this time.  Any thread. */
int64_t rules_now_ms(struct rules *rules);
/* Every stream that is alive has delivered what it kept while the collector was down: the steps
 * that were missed can be looked at (past.h).  Any thread. */
void rules_set_delivered(struct rules *rules);
/* Alerts that began and ended while the collector was down, the newest first: {"alerts": [{labels,
 * annotations, startsAt, endsAt, value, fingerprint}]}.  Any thread. */
int rules_print_past_json(struct rules *rules, struct buf *out);

/* Which rules to print.  Texts are "or", empty lists mean all. */
struct rules_texts {
    const char **items;
    size_t count;
};
struct rules_filter {
    bool alerting, recording;
    bool exclude_alerts; /* print rules without their alerts */
    struct rules_texts names, groups, files;
    /* Is a rule with these (own) labels wanted?  NULL: all are. */
    int (*by_labels)(void *context, const struct labels *labels, bool *ret_wanted);
    void *context;
    size_t group_limit;     /* groups a page; 0: all */
    const char *next_token; /* where the page begins, as the page before said; or NULL */
};

/* JSON for /api/v1/rules and /api/v1/alerts (Prometheus's shape).  Any thread.  ERR_NOTFOUND: no
 * group has this token. */
int rules_print_json(struct rules *rules, const struct rules_filter *filter, struct buf *out);
int rules_print_alerts_json(struct rules *rules, struct buf *out);

/* One alert that is pending, fires or flaps, as a visitor sees it; valid during the call. */
struct rules_alert {
    const struct labels *labels, *annotations;
    uint64_t fingerprint;
    const char *state; /* "pending", "firing"; what flaps is told as firing */
    int64_t active_ms;
    int64_t stale_since_ms, flapping_since_ms; /* 0: it is not */
    const char *value; /* as Prometheus prints it: "9e+01" */
};
/* Calls `each` for all of them, under the state lock: print into memory and go.  A non-zero
 * return stops and is returned.  Any thread. */
int rules_visit_alerts(struct rules *rules,
                       int (*each)(void *context, const struct rules_alert *alert),
                       void *context);
/* One alert that is pending, fires or flaps, copied into the caller's arena. */
struct rules_explained {
    const struct labels *labels, *annotations;
    bool is_pending;
    int64_t active_ms;
};
/* Appends the alert's rule and what it has of the alert, as an object: name group file line query
 * for keepFiringFor interval (ms) state value activeAt firedAt firesAt (of a pending one)
 * keepFiringSince keptUntil staleSince staleUntil flappingSince waitsForSamples (loaded at a
 * start, not seen since) health lastError lastEvaluation nextEvaluation onArrival.  ERR_NOTFOUND: no rule has it.  Any thread. */
int rules_explain(struct rules *rules, uint64_t fingerprint, int64_t now_ms,
                  struct arena *arena, struct rules_explained *ret_explained, struct buf *out);
/* Go's FormatFloat(v, 'e', -1, 64). */
#define RULES_VALUE_BYTES 40
const char *rules_value_text(double value, char text[RULES_VALUE_BYTES]);

/* Since when the rules thread has been at one piece of work; 0: it waits for some.  Any thread. */
mono_ns rules_working_since(const struct rules *rules);

struct rules_stats {
    uint64_t evaluations, evaluation_failures, alerts_pending, alerts_firing, alerts_stale,
        alerts_flapping, rules,
        template_errors;
    double evaluation_seconds_sum;
};
void rules_get_stats(struct rules *rules, struct rules_stats *ret_stats);
