/*
 * rules_parts.h - struct rules, between rules.c (life), schedule.c (the thread) and rules_json.c.
 *
 * Locks: touch_lock (any thread; short) guards what arrived; state_lock guards live alerts and
 * health between the rules thread, which alone changes them, and printers.  Both are held only to
 * replace the generation, touch_lock first.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "collector/rules/evaluate.h"
#include "collector/rules/interest.h"
#include "collector/rules/rule_file.h"
#include "collector/rules/rules.h"
#include "collector/rules/timeline.h"

#define COALESCE_MS    2    /* what arrives together is evaluated together */
#define AGGREGATION_MS 1000 /* rules over many instances run at most this often on arrival */
#define RETRY_MS       1000 /* after a failed write */
#define TIMEOUT_MS     ((int64_t)30000)

struct group_state {
    const struct rule_group *group;
    struct rule_state *rules; /* one a rule, in order */
    mono_ns due;    /* changed under state_lock */
    double seconds; /* under state_lock: the last turn took */
    int64_t evaluated_ms;
    /* past.h; owned by the rules thread */
    int64_t past_from_ms, past_step_ms; /* first step that was missed; 0: none */
    size_t past_next;                   /* rule to run over them */
    mono_ns marked;                     /* when its step was last written down */
};

/* One loaded set and all that goes with it; replaced as a whole by a reload. */
struct generation {
    struct rule_set *set;
    struct interest *interest;  /* under touch_lock */
    struct group_state *groups;
    struct rule_state *states;  /* by rule number */
};

struct rules {
    /* fixed after rules_open() */
    struct store *store;
    struct notify *notify;
    char *external_url;
    int64_t started_ms;
    mono_ns started_mono;
    struct clock clock; /* the timeline's, for the notifier */
    pthread_t thread;
    bool has_thread;

    /* owned by the rules thread */
    struct generation *generation; /* the pointer changes under both locks */
    struct promql_options promql;
    mono_ns arrival_due; /* when what arrived is looked at; UINT64_MAX: nothing has */
    bool write_fails;    /* logged */
    size_t past_notes;   /* of the steps that were missed */
    mono_ns paced_until; /* arrivals use at most half of the thread's time */

    /* under touch_lock, any thread */
    pthread_mutex_t touch_lock;
    pthread_cond_t changed;
    struct timeline timeline;
    bool jump_told; /* logged */
    bool arrived; /* since the thread last looked */
    bool delivered; /* streams have handed over what they kept while we were down */
    struct generation *next;        /* a reload's; taken by the thread */
    struct promql_options next_promql;
    uint64_t reloads_wanted, reloads_done;
    bool stopping;
    _Atomic mono_ns working_since; /* changed by the rules thread, read by any; 0: it waits */
    volatile bool cancelled; /* also read by queries; set once */

    /* under state_lock, any thread */
    pthread_mutex_t state_lock;
    struct rules_stats stats;
};

int generation_new(const struct rules_options *options, struct store *store,
                   struct generation **ret_generation, struct diagnosis *why);
void generation_free(struct generation *generation); /* NULL is allowed */
/* Loads stored alerts into the states of their rules; alerts of rules that are gone are ended. */
int generation_restore(struct generation *generation, struct rules *rules,
                       struct diagnosis *why);

/* The rules thread. */
void *schedule_run(void *context);
void schedule_plan(struct generation *generation, mono_ns now, int64_t now_ms);
