/*
 * rules.c - life of the rules: open, reload, close; and what other threads may call.
 */
#include "collector/rules/rules.h"

#include <stdlib.h>

#include "collector/rules/past.h"
#include "collector/rules/rules_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

static struct rule_set_options set_options(const struct rules_options *options)
{
    return (struct rule_set_options){options->globs, options->glob_count,
                                     options->evaluation_interval_ms};
}

int rules_check(const struct rules_options *options, size_t *ret_group_count,
                size_t *ret_rule_count, struct diagnosis *why)
{
    const struct rule_set_options which = set_options(options);
    struct rule_set *set;
    int error = rule_set_load(&which, &set, why);

    if (error != 0)
        return error;
    if (ret_group_count != NULL)
        *ret_group_count = set->group_count;
    if (ret_rule_count != NULL)
        *ret_rule_count = set->rule_count;
    rule_set_free(set);
    return 0;
}

/* ---- generations ------------------------------------------------------------------------- */

static int make_states(struct generation *generation, struct store *store)
{
    struct rule_set *set = generation->set;
    size_t number = 0;
    int error = 0;

    generation->groups = calloc(set->group_count + 1, sizeof *generation->groups);
    generation->states = calloc(set->rule_count + 1, sizeof *generation->states);
    if (generation->groups == NULL || generation->states == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < set->group_count; i++) {
        generation->groups[i].group = set->groups[i];
        generation->groups[i].rules = &generation->states[number];
        number += set->groups[i]->rule_count;
    }
    must(number == set->rule_count);
    for (size_t i = 0; error == 0 && i < set->rule_count; i++) {
        generation->states[i].rule = set->rules[i];
        error = outputs_new(store, &generation->states[i].outputs);
    }
    return error;
}

int generation_new(const struct rules_options *options, struct store *store,
                   struct generation **ret_generation, struct diagnosis *why)
{
    const struct rule_set_options which = set_options(options);
    struct generation *generation = calloc(1, sizeof *generation);
    int error = generation == NULL ? ERR_NOMEM : rule_set_load(&which, &generation->set, why);

    if (error == 0)
        error = interest_new(generation->set, &generation->interest);
    if (error == 0)
        error = make_states(generation, store);
    if (error != 0) {
        generation_free(generation);
        return diagnose(why, error, "rules: %s", error_text(error));
    }
    *ret_generation = generation;
    return 0;
}

void generation_free(struct generation *generation)
{
    if (generation == NULL)
        return;
    for (size_t i = 0; generation->states != NULL && i < generation->set->rule_count; i++)
        rule_state_done(&generation->states[i]);
    free(generation->states);
    free(generation->groups);
    interest_free(generation->interest);
    rule_set_free(generation->set);
    free(generation);
}

/* ---- life -------------------------------------------------------------------------------- */

static void rules_free(struct rules *rules)
{
    generation_free(rules->generation);
    generation_free(rules->next);
    (void)pthread_mutex_destroy(&rules->touch_lock);
    (void)pthread_mutex_destroy(&rules->state_lock);
    (void)pthread_cond_destroy(&rules->changed);
    free(rules->external_url);
    free(rules);
}

static struct rules *rules_new(const struct rules_options *options, struct store *store,
                               struct notify *notify)
{
    struct rules *rules = calloc(1, sizeof *rules);
    pthread_condattr_t attributes;

    if (rules == NULL)
        return NULL;
    rules->store = store;
    rules->notify = notify;
    rules->promql = options->promql;
    rules->started_ms = clock_unix_ms(&clock_system);
    rules->started_mono = clock_mono(&clock_system);
    timeline_init(&rules->timeline, rules->started_ms, rules->started_mono);
    rules->arrival_due = UINT64_MAX;
    must(pthread_mutex_init(&rules->touch_lock, NULL) == 0);
    must(pthread_mutex_init(&rules->state_lock, NULL) == 0);
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&rules->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    rules->external_url = strdup(options->external_url == NULL ? "" : options->external_url);
    if (rules->external_url == NULL) {
        rules_free(rules);
        return NULL;
    }
    return rules;
}

static int64_t timeline_unix_ms(void *context)
{
    return rules_now_ms(context);
}

static mono_ns timeline_mono(void *context)
{
    (void)context;
    return clock_mono(&clock_system);
}

int rules_open(const struct rules_options *options, struct store *store, struct notify *notify,
               struct rules **ret_rules, struct diagnosis *why)
{
    struct rules *rules = rules_new(options, store, notify);
    int error;

    if (rules == NULL)
        return ERR_NOMEM;
    error = generation_new(options, store, &rules->generation, why);
    if (error == 0)
        error = generation_restore(rules->generation, rules, why);
    if (error == 0)
        error = past_load(rules->generation, rules);
    if (error == 0) {
        schedule_plan(rules->generation, clock_mono(&clock_system), rules->started_ms);
        rules->stats.rules = rules->generation->set->rule_count;
        rules->clock = (struct clock){timeline_unix_ms, timeline_mono, rules};
        if (notify != NULL)
            notify_set_clock(notify, &rules->clock);
        if (pthread_create(&rules->thread, NULL, schedule_run, rules) != 0)
            error = diagnose(why, ERR_NOMEM, "cannot start the rules thread");
    }
    if (error != 0) {
        if (notify != NULL)
            notify_set_clock(notify, NULL);
        rules_free(rules);
        return error;
    }
    rules->has_thread = true;
    *ret_rules = rules;
    return 0;
}

int rules_reload(struct rules *rules, const struct rules_options *options,
                 struct diagnosis *why)
{
    struct generation *fresh;
    uint64_t ticket;
    int error = generation_new(options, rules->store, &fresh, why);

    if (error != 0)
        return error;
    (void)pthread_mutex_lock(&rules->touch_lock);
    generation_free(rules->next); /* one that nobody took yet is outdated */
    rules->next = fresh;
    rules->next_promql = options->promql;
    ticket = ++rules->reloads_wanted;
    (void)pthread_cond_broadcast(&rules->changed);
    while (rules->reloads_done < ticket && !rules->stopping)
        (void)pthread_cond_wait(&rules->changed, &rules->touch_lock);
    (void)pthread_mutex_unlock(&rules->touch_lock);
    return 0;
}

void rules_close(struct rules *rules)
{
    if (rules == NULL)
        return;
    (void)pthread_mutex_lock(&rules->touch_lock);
    rules->stopping = true;
    __atomic_store_n(&rules->cancelled, true, __ATOMIC_RELAXED);
    (void)pthread_cond_broadcast(&rules->changed);
    (void)pthread_mutex_unlock(&rules->touch_lock);
    if (rules->has_thread)
        (void)pthread_join(rules->thread, NULL);
    if (rules->notify != NULL)
        notify_set_clock(rules->notify, NULL);
    rules_free(rules);
}

/* ---- any thread -------------------------------------------------------------------------- */

/* Under touch_lock. */
static bool touch_series(struct rules *rules, const struct series *series)
{
    return interest_touch(rules->generation->interest, series);
}

/* Under touch_lock: the thread looks, unless it is already about to. */
static void announce(struct rules *rules, bool news)
{
    if (!news || rules->arrived)
        return;
    rules->arrived = true;
    (void)pthread_cond_broadcast(&rules->changed);
}

void rules_touch(struct rules *rules, struct series *const *series, size_t count)
{
    bool news = false;
    (void)pthread_mutex_lock(&rules->touch_lock);
    for (size_t i = 0; i < count; i++)
        news = touch_series(rules, series[i]) || news;
    announce(rules, news);
    (void)pthread_mutex_unlock(&rules->touch_lock);
}

void rules_touch_samples(struct rules *rules, const struct store_sample *samples, size_t count)
{
    int64_t newest_ms = INT64_MIN;
    bool news = false;
    size_t run_start = 0;
    (void)pthread_mutex_lock(&rules->touch_lock);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || samples[i].series != samples[i - 1].series) {
            store_run_begin(samples, count, i, &run_start);
            news = touch_series(rules, samples[i].series) || news;
        }
        if (samples[i].ts_ms > newest_ms)
            newest_ms = samples[i].ts_ms;
    }
    if (count > 0)
        timeline_witness(&rules->timeline, newest_ms, clock_unix_ms(&clock_system),
                         clock_mono(&clock_system));
    announce(rules, news);
    (void)pthread_mutex_unlock(&rules->touch_lock);
}

void rules_touch_without_witness(struct rules *rules, const struct store_sample *samples,
                                 size_t count)
{
    bool news = false;
    (void)pthread_mutex_lock(&rules->touch_lock);
    for (size_t i = 0; i < count; i++)
        news = touch_series(rules, samples[i].series) || news;
    announce(rules, news);
    (void)pthread_mutex_unlock(&rules->touch_lock);
}

mono_ns rules_working_since(const struct rules *rules)
{
    return rules->working_since;
}

int64_t rules_now_ms(struct rules *rules)
{
    int64_t now_ms;
    bool news, jumped;
    (void)pthread_mutex_lock(&rules->touch_lock);
    now_ms = timeline_now(&rules->timeline, clock_unix_ms(&clock_system),
                          clock_mono(&clock_system));
    news = rules->timeline.jumped != rules->jump_told;
    jumped = rules->timeline.jumped;
    rules->jump_told = jumped;
    (void)pthread_mutex_unlock(&rules->touch_lock);
    if (news && jumped)
        log_warn("rules", "this host's clock was set, and the hosts that report disagree: rules "
                 "go by theirs");
    return now_ms;
}

void rules_set_delivered(struct rules *rules)
{
    (void)pthread_mutex_lock(&rules->touch_lock);
    rules->delivered = true;
    (void)pthread_cond_broadcast(&rules->changed);
    (void)pthread_mutex_unlock(&rules->touch_lock);
}

void rules_get_stats(struct rules *rules, struct rules_stats *ret_stats)
{
    (void)pthread_mutex_lock(&rules->state_lock);
    *ret_stats = rules->stats;
    ret_stats->alerts_pending = 0;
    ret_stats->alerts_firing = 0;
    ret_stats->alerts_stale = 0;
    ret_stats->alerts_flapping = 0;
    for (size_t i = 0; i < rules->generation->set->rule_count; i++) {
        ret_stats->alerts_pending += rules->generation->states[i].pending_count;
        ret_stats->alerts_firing += rules->generation->states[i].firing_count;
        ret_stats->alerts_stale += rules->generation->states[i].stale_count;
        ret_stats->alerts_flapping += rules->generation->states[i].flapping_count;
    }
    (void)pthread_mutex_unlock(&rules->state_lock);
}
