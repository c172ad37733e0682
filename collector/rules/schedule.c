/*
 * schedule.c - the rules thread: what is evaluated when.
 *
 *     arrival --2 ms--> single rules, for the instances touched
 *                       aggregations, if the last run is a second ago
 *     timer ----------> a group, whole and in order, at its interval
 *
 * Groups run at multiples of their interval plus a phase made of file and name, as in Prometheus;
 * timers are monotonic, so a clock that jumps moves no turn.  Work on arrivals is paced: after it
 * took d, the next waits d (a second at most), so that ten thousand hosts cost half a core, not
 * a queue that never empties; what arrives meanwhile is evaluated together.
 */
#include <stdlib.h>

#include "collector/rules/past.h"
#include "collector/rules/rules_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define CLASSES_AT_ONCE  256
#define AHEAD_MS         1000 /* samples this far ahead of our clock still count as now */
#define FOREVER          UINT64_MAX

/* ---- time -------------------------------------------------------------------------------- */

static bool is_cancelled(struct rules *rules)
{
    return __atomic_load_n(&rules->cancelled, __ATOMIC_RELAXED);
}

static mono_ns mono_now(void)
{
    return clock_mono(&clock_system);
}

/* The time to evaluate arrivals at: ours, or the newest sample's if a probe's clock is a little
 * ahead, for else its sample would not be seen. */
static int64_t arrival_time_ms(struct rules *rules)
{
    int64_t now_ms = rules_now_ms(rules);
    struct store_stats stats;
    store_get_stats(rules->store, &stats);
    if (stats.head_max_ms > now_ms && stats.head_max_ms <= now_ms + AHEAD_MS)
        return stats.head_max_ms;
    return now_ms;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xFF) * UINT64_C(1099511628211);
}

void schedule_plan(struct generation *generation, mono_ns now, int64_t now_ms)
{
    for (size_t i = 0; i < generation->set->group_count; i++) {
        struct group_state *group = &generation->groups[i];
        int64_t interval_ms = group->group->interval_ms;
        uint64_t hash = hash_text(hash_text(UINT64_C(14695981039346656037), group->group->file),
                                  group->group->name);
        int64_t phase_ms = (int64_t)(hash % (uint64_t)interval_ms);
        int64_t past_ms = (now_ms - phase_ms) % interval_ms;
        group->due = now + (mono_ns)(interval_ms - past_ms) * NS_PER_MS;
    }
}

/* ---- one rule's outcome ------------------------------------------------------------------ */

static struct evaluation_options evaluation_options(struct rules *rules)
{
    return (struct evaluation_options){&rules->promql, TIMEOUT_MS, &rules->cancelled,
                                       rules->started_ms, true};
}

static void note_outcome(struct rules *rules, struct rule_state *state, int error,
                         const struct diagnosis *why, double seconds, struct round *round)
{
    bool news = error != 0 && (!state->evaluated || state->healthy);
    (void)pthread_mutex_lock(&rules->state_lock);
    state->evaluated = true;
    state->healthy = error == 0;
    state->seconds = seconds;
    state->evaluated_ms = round->ts_ms;
    (void)strcpy(state->error, error == 0 ? "" : why->text);
    rules->stats.evaluations++;
    rules->stats.evaluation_failures += error != 0;
    rules->stats.evaluation_seconds_sum += seconds;
    rules->stats.template_errors += round->template_errors;
    round->template_errors = 0;
    (void)pthread_mutex_unlock(&rules->state_lock);
    if (news && !is_cancelled(rules))
        log_warn("rules", "rule \"%s\" of group \"%s\" fails: %s", state->rule->name,
                 state->rule->group->name, why->text);
}

static void forget_touch(struct rule_state *state)
{
    state->touched = false;
    state->touched_beyond = false;
    state->instance_count = 0;
}

static void evaluate_into(struct rules *rules, struct rule_state *state,
                          enum evaluation_kind kind, struct round *round)
{
    const struct evaluation_options options = evaluation_options(rules);
    struct diagnosis why = {0};
    mono_ns start = mono_now();
    int error = evaluate_rule(state, kind, &options, round, &why);
    double seconds = (double)(mono_now() - start) / 1e9;
    note_outcome(rules, state, error, &why, seconds, round);
}

static void begin(struct rules *rules, struct round *round, int64_t ts_ms)
{
    round_begin(round, rules->store, rules->notify, &rules->state_lock, rules->external_url,
                ts_ms);
}

/* Logged when writes begin to fail and when they work again. */
static void note_commit(struct rules *rules, int error)
{
    if (error != 0 && !rules->write_fails)
        log_error("rules", "what rules found cannot be stored, trying again: %s",
                  error_text(error));
    if (error == 0 && rules->write_fails)
        log_info("rules", "what rules find is stored again");
    rules->write_fails = error != 0;
}

/* ---- arrivals ---------------------------------------------------------------------------- */

static void touch_rule(struct rule_state *state, const char *instance)
{
    state->touched = true;
    if (!rule_goes_by_instance(state->rule) || state->touched_beyond)
        return;
    for (size_t i = 0; i < state->instance_count; i++)
        if (state->instances[i] == instance)
            return;
    if (state->instance_count == RESTRICT_INSTANCES_MAX)
        state->touched_beyond = true;
    else
        state->instances[state->instance_count++] = instance;
}

/* Moves what was touched from the interest to the rules' own marks. */
static void take_touched(struct rules *rules)
{
    struct interest_class *classes[CLASSES_AT_ONCE];
    size_t count;
    do {
        (void)pthread_mutex_lock(&rules->touch_lock);
        count = interest_take(rules->generation->interest, classes, CLASSES_AT_ONCE);
        rules->arrived = false;
        (void)pthread_mutex_unlock(&rules->touch_lock);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < classes[i]->rule_count; j++)
                touch_rule(&rules->generation->states[classes[i]->rules[j]->number],
                           classes[i]->instance);
    } while (count == CLASSES_AT_ONCE);
}

/* When the earliest rule that was touched may run. */
static mono_ns touched_due(const struct rules *rules)
{
    mono_ns due = FOREVER;
    for (size_t i = 0; i < rules->generation->set->rule_count; i++) {
        const struct rule_state *state = &rules->generation->states[i];
        if (state->touched && state->not_before < due)
            due = state->not_before;
    }
    return due;
}

static void run_arrivals(struct rules *rules)
{
    mono_ns start = mono_now(), took;
    struct round round;
    int error;

    take_touched(rules);
    begin(rules, &round, arrival_time_ms(rules));
    for (size_t i = 0; i < rules->generation->set->rule_count && !is_cancelled(rules); i++) {
        struct rule_state *state = &rules->generation->states[i];
        if (state->touched && state->not_before <= start)
            evaluate_into(rules, state, EVALUATE_ARRIVAL, &round);
    }
    error = round_commit(&round);
    round_done(&round);
    note_commit(rules, error);
    for (size_t i = 0; i < rules->generation->set->rule_count; i++) {
        struct rule_state *state = &rules->generation->states[i];
        if (!state->touched || state->not_before > start)
            continue;
        if (error != 0) { /* nothing has changed; once more, after a pause */
            state->not_before = mono_now() + (mono_ns)RETRY_MS * NS_PER_MS;
            continue;
        }
        if (!rule_goes_by_instance(state->rule))
            state->not_before = start + (mono_ns)AGGREGATION_MS * NS_PER_MS;
        forget_touch(state);
    }
    took = mono_now() - start;
    if (took > (mono_ns)1000 * NS_PER_MS)
        took = (mono_ns)1000 * NS_PER_MS;
    rules->paced_until = mono_now() + took;
    rules->arrival_due = touched_due(rules);
}

/* ---- timed turns ------------------------------------------------------------------------- */

/* Commits, and tells the interest of what was written (alerts on recorded series). */
static void commit_turn(struct rules *rules, struct round *round)
{
    size_t count = round->samples.count;
    struct series **series = calloc(count + 1, sizeof(struct series *));
    int error;

    for (size_t i = 0; series != NULL && i < count; i++)
        series[i] = round->samples.items[i].series;
    error = round_commit(round);
    note_commit(rules, error);
    if (error == 0 && series != NULL && count > 0)
        rules_touch(rules, series, count);
    free(series);
}

static void run_group(struct rules *rules, struct group_state *group)
{
    mono_ns start = mono_now();
    mono_ns interval = (mono_ns)group->group->interval_ms * NS_PER_MS;
    struct round round;

    begin(rules, &round, arrival_time_ms(rules));
    for (size_t i = 0; i < group->group->rule_count && !is_cancelled(rules); i++) {
        struct rule_state *state = &group->rules[i];
        if (round_is_read_by(&round, state->rule))
            commit_turn(rules, &round);
        evaluate_into(rules, state, EVALUATE_TIMED, &round);
    }
    past_mark(group, &round, start);
    commit_turn(rules, &round);
    round_done(&round);
    (void)pthread_mutex_lock(&rules->state_lock);
    group->due += interval;
    if (group->due <= mono_now()) /* turns that were missed are not made up for */
        group->due += (mono_now() - group->due) / interval * interval + interval;
    group->seconds = (double)(mono_now() - start) / 1e9;
    group->evaluated_ms = round.ts_ms;
    (void)pthread_mutex_unlock(&rules->state_lock);
}

/* ---- reload ------------------------------------------------------------------------------ */

/* Live alerts follow their rules into the new generation; the rest are ended. */
static void move_states(struct rules *rules, struct generation *old, struct generation *fresh)
{
    struct round round;

    begin(rules, &round, rules_now_ms(rules));
    for (size_t i = 0; i < old->set->rule_count; i++) {
        struct rule_state *from = &old->states[i], *to = NULL;
        for (size_t j = 0; j < fresh->set->rule_count && to == NULL; j++)
            if (fresh->set->rules[j]->key == from->rule->key)
                to = &fresh->states[j];
        if (to != NULL) {
            struct outputs *outputs = to->outputs;
            rule_state_move(from, to);
            to->outputs = from->outputs;
            from->outputs = outputs;
            continue;
        }
        for (struct live_alert *at = rule_state_next(from, NULL); at != NULL;
             at = rule_state_next(from, at))
            if (round_end_alert(&round, from, at) != 0)
                break;
    }
    (void)round_commit(&round);
    round_done(&round);
}

static void take_next(struct rules *rules)
{
    struct generation *old = rules->generation, *fresh;

    (void)pthread_mutex_lock(&rules->touch_lock);
    fresh = rules->next;
    rules->next = NULL;
    rules->promql = rules->next_promql;
    (void)pthread_mutex_unlock(&rules->touch_lock);
    /* Both are ours alone but for the printers, who look at the old one's alerts. */
    move_states(rules, old, fresh);
    past_move(old, fresh);
    schedule_plan(fresh, mono_now(), rules_now_ms(rules));
    (void)pthread_mutex_lock(&rules->touch_lock);
    (void)pthread_mutex_lock(&rules->state_lock);
    rules->generation = fresh;
    rules->stats.rules = fresh->set->rule_count;
    (void)pthread_mutex_unlock(&rules->state_lock);
    rules->reloads_done = rules->reloads_wanted;
    rules->arrived = true; /* everything known may mean something else now */
    (void)pthread_cond_broadcast(&rules->changed);
    (void)pthread_mutex_unlock(&rules->touch_lock);
    generation_free(old);
}

/* ---- the thread -------------------------------------------------------------------------- */

static mono_ns next_due(const struct rules *rules)
{
    mono_ns due = rules->arrival_due, past = past_due(rules);
    if (past < due)
        due = past;
    for (size_t i = 0; i < rules->generation->set->group_count; i++)
        if (rules->generation->groups[i].due < due)
            due = rules->generation->groups[i].due;
    return due;
}

/* Sleeps until something is due; false when it is time to end.  *ret_reload: a reload waits;
 * *ret_past: what was missed can be looked at. */
static bool wait_for_work(struct rules *rules, bool *ret_reload, bool *ret_past)
{
    bool goes_on;
    rules->working_since = 0;
    (void)pthread_mutex_lock(&rules->touch_lock);
    for (;;) {
        mono_ns due;
        if (rules->arrived && rules->arrival_due == FOREVER) {
            rules->arrival_due = mono_now() + (mono_ns)COALESCE_MS * NS_PER_MS;
        } else if (rules->arrived &&
                   rules->arrival_due > mono_now() + (mono_ns)COALESCE_MS * NS_PER_MS) {
            rules->arrival_due = mono_now() + (mono_ns)COALESCE_MS * NS_PER_MS;
        }
        if (rules->arrival_due < rules->paced_until)
            rules->arrival_due = rules->paced_until;
        due = next_due(rules);
        if (rules->stopping || rules->next != NULL || due <= mono_now())
            break;
        if (due == FOREVER) {
            (void)pthread_cond_wait(&rules->changed, &rules->touch_lock);
        } else {
            struct timespec until = {.tv_sec = (time_t)(due / 1000000000u),
                                     .tv_nsec = (long)(due % 1000000000u)};
            (void)pthread_cond_timedwait(&rules->changed, &rules->touch_lock, &until);
        }
    }
    goes_on = !rules->stopping;
    *ret_reload = rules->next != NULL;
    *ret_past = past_due(rules) <= mono_now();
    (void)pthread_mutex_unlock(&rules->touch_lock);
    rules->working_since = mono_now();
    return goes_on;
}

void *schedule_run(void *context)
{
    struct rules *rules = context;
    bool reload, has_past;

    while (wait_for_work(rules, &reload, &has_past)) {
        if (reload) {
            take_next(rules);
            continue;
        }
        if (rules->arrival_due <= mono_now() || has_past) /* the present comes first */
            run_arrivals(rules);
        for (size_t i = 0; i < rules->generation->set->group_count && !is_cancelled(rules); i++) {
            if (rules->generation->groups[i].due > mono_now())
                continue;
            run_group(rules, &rules->generation->groups[i]);
            break; /* arrivals go between groups */
        }
        if (has_past)
            past_run(rules);
    }
    return NULL;
}
