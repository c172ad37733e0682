/*
 * world.h - one rule test's own store, rules and time.
 *
 * One owner; no thread of its own (the store has its writer).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "collector/rules/rule_file.h"
#include "collector/rules/rule_state.h"
#include "collector/ruletest/test_file.h"
#include "collector/store/store.h"

struct test_world {
    char folder[64];
    struct store *store;
    struct clock clock;
    _Atomic int64_t now_ms;
    const struct rule_test *test;
    struct rule_set *rules;
    const struct rule_group **groups; /* in evaluation order */
    struct rule_state *states;        /* by rule number */
    struct series **series;           /* of the test's input, in its order */
    pthread_mutex_t lock;             /* what round.h wants to hold */
    struct promql_options promql;
};

int test_world_open(const struct test_file *file, const struct rule_test *test,
                    struct test_world *world, struct diagnosis *why);
/* Accepts a half-open one; removes the folder. */
void test_world_close(struct test_world *world);

/* Time becomes ts_ms: samples of (before, ts_ms] come in, then every group is evaluated.  A
 * rule that fails is told in `why` with ERR_INVALID, after the others have run. */
int test_world_step(struct test_world *world, int64_t ts_ms, struct diagnosis *why);
