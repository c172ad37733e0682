/*
 * select_watch.h - what the regular expressions of one select may cost, however many sources it
 * asks.
 *
 * A select tries a pattern on the values of a label in the head and in each history file, which
 * hold the same values again and again.  Most patterns take less than a look-up would.  One
 * that has shown itself slow (matcher_is_slow()) is tried once a value: what it said is kept
 * for the next source, and all its tries together have SLOW_NS_MAX of processor time.  Whoever
 * asked may hang up between two values, and between two slow ones the question's own time may be
 * over: then that is what ended it, and no pattern is blamed.
 *
 * One thread.  A zeroed watch is ready for use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "proto/base/arena.h"

/* Of a select, of this thread: the head is asked under its lock. */
#define SLOW_NS_MAX INT64_C(500000000)

struct seen_value;

struct select_watch {
    /* set by select_watch_init(), or the owner */
    const volatile bool *cancelled; /* or NULL */
    int64_t deadline_mono_ns;       /* 0: none */
    struct arena_total *total;      /* that what is kept counts in, or NULL */
    /* what came of it */
    const struct matcher *too_slow; /* whose pattern the select ended by; NULL: none */
    /* private */
    size_t tried;
    int64_t slow_ns;
    struct arena memory;
    struct seen_value **seen;
};

/* For a question with this budget; both may be NULL. */
void select_watch_init(struct select_watch *watch, const struct query_budget *budget,
                       struct arena_total *total);
/* Does the value satisfy the matcher?  ERR_CANCELLED; ERR_TIMEOUT; ERR_LIMIT: its pattern takes too
 * long (too_slow). */
int select_watch_match(struct select_watch *watch, const struct matcher *matcher,
                       struct bytes value, bool *ret_matches);
/* Gives back the memory; too_slow stays. */
void select_watch_done(struct select_watch *watch);
/* Tells what a select ended by; returns `error`. */
int select_watch_explain(const struct select_watch *watch, int error, struct diagnosis *why);
