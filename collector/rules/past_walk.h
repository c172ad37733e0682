/*
 * past_walk.h - an alert's life along steps of the past, from one range query.
 *
 * Each element of the result goes through alert_next() step by step; what is found is handed to
 * three calls.  Changes nothing itself.
 *
 * Thread: the rules thread.
 */
#pragma once

#include "collector/notify/template.h"
#include "collector/rules/rules_parts.h"

/* An alert that is alive at the last step. */
struct past_alive {
    const struct labels *labels, *annotations;
    struct bytes instance; /* of the query's element */
    double value;
    struct alert_life life;
};

struct past_walk {
    /* set by the caller */
    struct rule_state *state;
    const struct promql_result *result;
    int64_t from_ms, until_ms, step_ms; /* of the query */
    int64_t started_ms;                 /* from here on there was an evaluation */
    const struct template_environment *environment;
    struct arena *arena;
    size_t *template_errors;
    void *context;
    /* It fired and ended before anybody evaluated it. */
    int (*passed)(void *context, const struct alert *alert);
    /* It is alive at the last step. */
    int (*lasts)(void *context, const struct past_alive *alive);
    /* It was alive at a step before started_ms; then once for the step with labels NULL. */
    int (*was_alive)(void *context, const struct labels *labels, const struct alert_life *life,
                     int64_t ts_ms);
};

int past_walk(struct past_walk *walk, struct diagnosis *why);
