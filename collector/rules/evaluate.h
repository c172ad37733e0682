/*
 * evaluate.h - one rule at one time.
 *
 * Runs the expression and adds to a round what follows from it.  Changes nothing itself.
 *
 * Thread: the rules thread.
 */
#pragma once

#include "collector/rules/round.h"

enum evaluation_kind {
    EVALUATE_TIMED,    /* the group's turn: everything, and samples are written */
    EVALUATE_ARRIVAL,  /* what was touched: state->instances if the rule is single, else all */
};

struct evaluation_options {
    const struct promql_options *promql;
    int64_t timeout_ms;
    volatile bool *cancelled;
    int64_t started_ms; /* of this process; loaded alerts are unknown for UNKNOWN_MS after it */
};

/* 0, or an error with `why` (empty when called) for the rule's health; then the round holds nothing
 * of this rule, or, when it yielded more than its group's limit, the end of all its alerts. */
int evaluate_rule(struct rule_state *state, enum evaluation_kind kind,
                  const struct evaluation_options *options, struct round *round,
                  struct diagnosis *why);
