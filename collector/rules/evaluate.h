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
    bool knows_silence; /* the store is told which sources are silent; else nothing is stale */
};

/* Runs an expression of the rule (its own or what it recovers by), over what was touched alone if
 * that is the same (`single`). */
int evaluate_expression(const struct rule_state *state,
                        const struct promql_expression *expression, bool single,
                        enum evaluation_kind kind, const struct evaluation_options *options,
                        const struct round *round, struct promql_result *ret_result,
                        struct diagnosis *why);

/* 0, or an error with `why` (empty when called) for the rule's health; then the round holds nothing
 * of this rule, or, when it yielded more than its group's limit, the end of all its alerts. */
int evaluate_rule(struct rule_state *state, enum evaluation_kind kind,
                  const struct evaluation_options *options, struct round *round,
                  struct diagnosis *why);
