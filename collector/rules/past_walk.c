/*
 * past_walk.c - see past_walk.h.
 */
#include "collector/rules/past_walk.h"

#include "collector/rules/expand.h"
#include "collector/rules/scope.h"
#include "proto/base/error.h"

struct element {
    const struct series_samples *series;
    size_t next; /* of its samples */
    struct alert_life life;
    const struct labels *labels, *annotations; /* while it is alive */
    double value;
};

static const struct labels *labels_of(const struct element *element)
{
    static const struct labels none = {0};
    return element->series->labels != NULL ? element->series->labels : &none;
}

/* What was alive when the collector went down goes on from there. */
static void take_up(const struct past_walk *walk, struct element *element)
{
    const struct rule_state *state = walk->state;
    uint64_t fingerprint = labels_fingerprint(element->labels);
    for (size_t i = 0; i < state->past_count; i++)
        if (state->past[i].fingerprint == fingerprint)
            element->life = state->past[i].life;
}

static int say(struct past_walk *walk, struct element *element, double value,
               struct diagnosis *why)
{
    const struct rule *rule = walk->state->rule;
    int error = expand_labels(rule, labels_of(element), value, walk->environment, walk->arena,
                              walk->template_errors, &element->labels, why);
    if (error == 0)
        error = expand_annotations(rule, labels_of(element), value, walk->environment,
                                   walk->arena, walk->template_errors, &element->annotations);
    element->value = value;
    return error;
}

/* Is this run the alert that fired when the collector went down, which was told? */
static bool was_told(const struct past_walk *walk, const struct element *element,
                     int64_t ended_ms)
{
    uint64_t fingerprint = labels_fingerprint(element->labels);
    for (size_t i = 0; i < walk->state->past_count; i++) {
        const struct past_life *past = &walk->state->past[i];
        if (past->fingerprint == fingerprint && past->life.state == ALERT_FIRING &&
            past->life.fired_ms <= ended_ms &&
            past->life.fired_ms >= element->life.active_ms - walk->step_ms)
            return true;
    }
    return false;
}

/* Nobody was told and nobody will be: neither before the collector went down nor since it is up.
 */
static bool has_passed(const struct past_walk *walk, const struct element *element,
                       int64_t ended_ms)
{
    const struct alert_life *life = &element->life;
    int64_t for_ms = walk->state->rule->for_ms;
    return life->fired_ms >= walk->from_ms && life->fired_ms <= walk->started_ms &&
           (ended_ms <= walk->started_ms + walk->step_ms ||
            ended_ms - walk->started_ms < for_ms) &&
           !was_told(walk, element, ended_ms);
}

static int tell_passed(struct past_walk *walk, const struct element *element, int64_t ended_ms)
{
    const struct alert alert = {.labels = element->labels, .annotations = element->annotations,
                                .starts_ms = element->life.fired_ms, .ends_ms = ended_ms,
                                .value = element->value, .generator_url = "",
                                .fingerprint = labels_fingerprint(element->labels),
                                .updated_ms = ended_ms};
    return walk->passed(walk->context, &alert);
}

static int step_element(struct past_walk *walk, struct element *element, int64_t ts_ms,
                        struct diagnosis *why)
{
    const struct rule *rule = walk->state->rule;
    const struct alert_terms terms = {rule->for_ms, rule->keep_firing_for_ms, 0};
    const struct series_samples *series = element->series;
    bool holds = element->next < series->count && series->times_ms[element->next] == ts_ms;
    struct alert_step step;
    int error = 0;

    if (holds && element->life.state == ALERT_INACTIVE) {
        error = say(walk, element, series->values[element->next], why);
        if (error == 0 && ts_ms == walk->from_ms)
            take_up(walk, element);
    }
    if (holds)
        element->value = series->values[element->next++];
    if (error != 0)
        return error;
    step = alert_next(element->life, holds ? SIGHT_HOLDS : SIGHT_ABSENT, &terms, ts_ms);
    if (step.telling == TELL_RESOLVED && has_passed(walk, element, ts_ms))
        error = tell_passed(walk, element, ts_ms);
    element->life = step.life;
    if (error == 0 && step.life.state != ALERT_INACTIVE && ts_ms <= walk->started_ms)
        error = walk->was_alive(walk->context, element->labels, &step.life, ts_ms);
    return error;
}

int past_walk(struct past_walk *walk, struct diagnosis *why)
{
    size_t count = walk->result->series_count;
    struct element *elements = arena_alloc(walk->arena, count + 1, sizeof *elements);
    int error = elements == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < count; i++)
        elements[i].series = &walk->result->series[i];
    for (int64_t ts_ms = walk->from_ms; error == 0 && ts_ms <= walk->until_ms;
         ts_ms += walk->step_ms) {
        for (size_t i = 0; error == 0 && i < count; i++)
            error = step_element(walk, &elements[i], ts_ms, why);
        if (error == 0 && ts_ms <= walk->started_ms)
            error = walk->was_alive(walk->context, NULL, NULL, ts_ms);
    }
    for (size_t i = 0; error == 0 && i < count; i++) {
        const struct element *at = &elements[i];
        const struct past_alive alive = {
            at->labels, at->annotations,
            labels_get_text(labels_of(at), SCOPE_LABEL), at->value, at->life};
        if (at->life.state != ALERT_INACTIVE)
            error = walk->lasts(walk->context, &alive);
    }
    return error;
}
