/*
 * sights.h - what an evaluation sees of the live alerts that its result does not hold.
 *
 *     what it would be seen by is not there (inputs.h)      SIGHT_NO_DATA
 *     it fires, and the rule's `recover` yields nothing     SIGHT_BETWEEN
 *         that is like it (rule_more.h)
 *     else                                                  SIGHT_ABSENT
 *
 * `recover` is asked once an evaluation, and only if there is an alert to ask for.
 *
 * Thread: the rules thread.
 */
#pragma once

#include "collector/rules/evaluate.h"

/* Set the first five fields, the rest to zero. */
struct sights {
    struct rule_state *state;
    enum evaluation_kind kind;
    const struct evaluation_options *options;
    struct round *round;
    struct diagnosis *why;
    bool has_recovered; /* below is what recovers */
    struct promql_result recovered;
};

/* *ret_stale_ms is set to 0 where data will never come again. */
int sights_look(struct sights *sights, const struct live_alert *alert,
                enum alert_sight *ret_sight, int64_t *ret_stale_ms);
void sights_done(struct sights *sights);
