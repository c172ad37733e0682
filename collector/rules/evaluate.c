/*
 * evaluate.c - see evaluate.h.
 *
 * Alerts are those elements of the result that hold; what was alive and is not among them has
 * ended (or, on arrival, is none of the touched instances and stays; or, soon after a start, is
 * not known to have ended).
 */
#include "collector/rules/evaluate.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/rules/expand.h"
#include "collector/rules/expand_query.h"
#include "collector/rules/scope.h"
#include "collector/rules/sights.h"
#include "proto/base/error.h"

#define RESEND_MS 60000 /* changed annotations are told again at most this often */

/* ---- the query --------------------------------------------------------------------------- */

int evaluate_expression(const struct rule_state *state,
                        const struct promql_expression *expression, bool single,
                        enum evaluation_kind kind, const struct evaluation_options *options,
                        const struct round *round, struct promql_result *ret_result,
                        struct diagnosis *why)
{
    const int64_t at_ms = round->ts_ms - state->rule->group->query_offset_ms;
    const struct promql_query query = {
        .start_ms = at_ms, .end_ms = at_ms,
        .deadline_mono_ns =
            (int64_t)(clock_mono(&clock_system) + (mono_ns)options->timeout_ms * NS_PER_MS),
        .cancelled = options->cancelled};
    struct queryable *store = store_queryable(round->store);
    struct promql_error failure = {0};
    struct restricted restricted;
    bool narrow = single && kind == EVALUATE_ARRIVAL && rule_goes_by_instance(state->rule) &&
                  !state->touched_beyond;
    int error;

    if (narrow) {
        error = restricted_init(&restricted, store, state->instances, state->instance_count);
        if (error != 0)
            return error;
        store = &restricted.queryable;
    }
    error = promql_run_expression(options->promql, store, expression, &query, ret_result,
                                  &failure);
    if (narrow)
        restricted_done(&restricted);
    if (error != 0)
        return diagnose(why, error, "%s", failure.why.text);
    return 0;
}

/* A scalar's element has no labels. */
static const struct labels *labels_of(const struct series_samples *element)
{
    static const struct labels none = {0};
    return element->labels != NULL ? element->labels : &none;
}

/* ---- alerts ------------------------------------------------------------------------------ */

static struct round_change *find_change(const struct round *round,
                                        const struct rule_state *state,
                                        const struct labels *labels)
{
    for (struct round_change *at = round->first; at != NULL; at = at->next)
        if (at->state == state && at->alert == NULL && labels_equal(at->labels, labels))
            return at;
    return NULL;
}

static struct alert_terms terms_of(const struct rule *rule)
{
    return (struct alert_terms){rule->for_ms, rule->keep_firing_for_ms, rule->stale_ms};
}

/* Takes the step, and what it means for how often the alert comes and goes. */
static void take_step(struct round_change *change, enum alert_sight sight,
                      const struct alert_terms *terms, int64_t ts_ms)
{
    const struct flap_terms *flap_terms = &change->state->rule->flap;
    const struct alert_life before =
        change->alert == NULL ? (struct alert_life){0} : change->alert->life;
    struct alert_step step = alert_next(before, sight, terms, ts_ms);
    bool began = before.state != ALERT_FIRING && step.life.state == ALERT_FIRING;
    bool ended = before.state == ALERT_FIRING && step.life.state == ALERT_INACTIVE;

    if (ended && step.without_data) {
        change->flap = (struct flap){0};
    } else if (began || ended) {
        flap_change(&change->flap, flap_terms, ts_ms);
        if (ended && change->flap.flapping)
            step.telling = TELL_FIRING;
    } else if (flap_is_over(&change->flap, flap_terms, ts_ms)) {
        if (change->flap.flapping)
            step.telling = step.life.state == ALERT_FIRING ? TELL_FIRING : TELL_RESOLVED;
        change->flap = (struct flap){0};
        step.changed = true;
    }
    change->step = step;
    change->holds = sight == SIGHT_HOLDS;
    change->known = sight != SIGHT_NO_DATA;
}

/* An element of the result: an alert that holds. */
static int add_holding(struct rule_state *state, enum evaluation_kind kind,
                       const struct series_samples *element,
                       const struct template_environment *environment, struct round *round,
                       struct diagnosis *why)
{
    const struct alert_terms terms = terms_of(state->rule);
    const struct rule *rule = state->rule;
    double value = element->values[0];
    const struct labels *labels = NULL, *annotations = NULL;
    struct live_alert *alert;
    struct round_change *change;
    int error = expand_labels(rule, labels_of(element), value, environment, &round->arena,
                              &round->template_errors, &labels, why);

    if (error == 0)
        error = expand_annotations(rule, labels_of(element), value, environment,
                                   &round->arena, &round->template_errors, &annotations);
    if (error != 0)
        return error;
    alert = rule_state_find(state, labels);
    if (alert != NULL ? alert->round == state->round
                      : find_change(round, state, labels) != NULL)
        return diagnose(why, ERR_INVALID,
                        "vector contains metrics with the same labelset after applying "
                        "alert labels");
    change = round_add(round, state);
    if (change == NULL)
        return ERR_NOMEM;
    change->alert = alert;
    change->labels = labels;
    change->annotations = annotations;
    change->instance =
        round_keep(&round->arena, labels_get_text(labels_of(element), SCOPE_LABEL));
    change->value = value;
    if (alert != NULL)
        change->flap = alert->flap;
    take_step(change, SIGHT_HOLDS, &terms, round->ts_ms);
    if (alert == NULL)
        return 0;
    alert->round = state->round;
    if (kind == EVALUATE_TIMED && change->step.life.state == ALERT_FIRING &&
        change->step.telling == TELL_NOTHING && alert->news &&
        change->step.life.sent_ms + RESEND_MS <= round->ts_ms) {
        change->step.telling = TELL_FIRING;
        change->step.changed = true;
        change->step.life.sent_ms = round->ts_ms;
    }
    return 0;
}

/* A live alert that the result does not hold. */
static int add_missing(struct rule_state *state, enum evaluation_kind kind,
                       struct live_alert *alert, struct sights *sights)
{
    const struct evaluation_options *options = sights->options;
    struct round *round = sights->round;
    struct alert_terms terms = terms_of(state->rule);
    enum alert_sight sight = SIGHT_ABSENT;
    bool covered = rule_state_covers(state, alert->instance);
    struct round_change *change;
    int error;

    if (kind == EVALUATE_ARRIVAL && !covered)
        return 0;
    if (alert->unknown && !covered && round->ts_ms - options->started_ms < UNKNOWN_MS)
        return 0;
    error = sights_look(sights, alert, &sight, &terms.stale_ms);
    if (error != 0)
        return error;
    change = round_add_live(round, state, alert);
    if (change == NULL)
        return ERR_NOMEM;
    take_step(change, sight, &terms, round->ts_ms);
    return 0;
}

static size_t count_alive(const struct round *round, const struct rule_state *state)
{
    size_t alive = 0;
    for (const struct round_change *at = round->first; at != NULL; at = at->next)
        alive += at->state == state && at->step.life.state != ALERT_INACTIVE;
    return alive;
}

/* Past its limit a rule has no alerts at all. */
static int clear_all(struct rule_state *state, struct round *round)
{
    round_drop_last(round, state);
    for (struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at))
        if (round_end_alert(round, state, at) != 0)
            return ERR_NOMEM;
    return 0;
}

/* ALERTS and ALERTS_FOR_STATE of everything alive after this step. */
static int add_alert_samples(struct rule_state *state, struct round *round)
{
    int error = 0;
    outputs_begin(state->outputs);
    for (const struct round_change *at = round->first; error == 0 && at != NULL;
         at = at->next) {
        const struct labels *labels;
        if (at->state != state || at->step.life.state == ALERT_INACTIVE)
            continue;
        labels = at->labels != NULL ? at->labels : at->alert->labels;
        error = expand_add_alert_series(state->outputs, labels, &at->step.life, round->ts_ms,
                                        &round->arena, &round->samples);
    }
    if (error == 0)
        error = outputs_end(state->outputs, round->ts_ms, &round->samples);
    return error == 0 ? round_add_writer(round, state) : error;
}

/* Adds live alerts that neither hold nor ended in this step, so that their samples go on. */
static int add_staying(struct rule_state *state, struct round *round)
{
    for (struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at)) {
        struct round_change *change;
        if (at->round == state->round || !at->unknown)
            continue;
        for (change = round->first; change != NULL && change->alert != at;)
            change = change->next;
        if (change != NULL)
            continue;
        if (round_add_live(round, state, at) == NULL)
            return ERR_NOMEM;
    }
    return 0;
}

static int evaluate_alert(struct rule_state *state, enum evaluation_kind kind,
                          const struct evaluation_options *options,
                          const struct promql_result *result, struct round *round,
                          struct diagnosis *why)
{
    const struct expand_query query = {options, round};
    const struct template_environment environment = expand_environment(&query);
    size_t limit = state->rule->group->limit;
    struct sights sights = {.state = state, .kind = kind, .options = options, .round = round,
                            .why = why};
    int error = 0;

    state->round++;
    for (size_t i = 0; error == 0 && i < result->series_count; i++)
        if (result->series[i].count > 0)
            error = add_holding(state, kind, &result->series[i], &environment, round, why);
    for (struct live_alert *at = rule_state_next(state, NULL); error == 0 && at != NULL;
         at = rule_state_next(state, at))
        if (at->round != state->round)
            error = add_missing(state, kind, at, &sights);
    sights_done(&sights);
    if (error == 0 && limit > 0 && count_alive(round, state) > limit) {
        (void)diagnose(why, ERR_LIMIT, "exceeded limit of %zu with %zu alerts", limit,
                       count_alive(round, state));
        error = clear_all(state, round);
    }
    if (error == 0 && kind == EVALUATE_TIMED)
        error = add_staying(state, round);
    if (error == 0 && kind == EVALUATE_TIMED)
        error = add_alert_samples(state, round);
    return error;
}

/* ---- recording rules --------------------------------------------------------------------- */

static int evaluate_record(struct rule_state *state, const struct promql_result *result,
                           struct round *round, struct diagnosis *why)
{
    const struct rule *rule = state->rule;
    int error = 0;

    if (rule->group->limit > 0 && result->series_count > rule->group->limit)
        return diagnose(why, ERR_INVALID, "exceeded limit of %zu with %zu series",
                        rule->group->limit, result->series_count);
    outputs_begin(state->outputs);
    for (size_t i = 0; error == 0 && i < result->series_count; i++) {
        const struct labels *labels;
        if (result->series[i].count == 0)
            continue;
        error = expand_record_labels(rule, labels_of(&result->series[i]), &round->arena, &labels);
        if (error == 0)
            error = outputs_add(state->outputs, labels, round->ts_ms,
                                result->series[i].values[0], &round->samples);
    }
    if (error == 0)
        error = outputs_end(state->outputs, round->ts_ms, &round->samples);
    return error == 0 ? round_add_writer(round, state) : error;
}

int evaluate_rule(struct rule_state *state, enum evaluation_kind kind,
                  const struct evaluation_options *options, struct round *round,
                  struct diagnosis *why)
{
    const size_t samples_before = round->samples.count;
    struct promql_result result;
    int error = evaluate_expression(state, state->rule->expression, true, kind, options, round,
                                    &result, why);

    if (error != 0)
        return diagnose(why, error, "%s", error_text(error));
    if (state->rule->is_alert)
        error = evaluate_alert(state, kind, options, &result, round, why);
    else
        error = evaluate_record(state, &result, round, why);
    promql_result_done(&result);
    if (error != 0) {
        round_drop_last(round, state);
        round->samples.count = samples_before;
        return diagnose(why, error, "%s", error_text(error));
    }
    /* Past its limit a rule has ended all its alerts, and says so. */
    return why->text[0] == '\0' ? 0 : ERR_LIMIT;
}
