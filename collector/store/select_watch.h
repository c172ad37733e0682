/*
 * select_watch.h - what the regular expressions of one select may cost, however many sources it
 * asks.
 *
 * A select tries a pattern on the values of a label in the head and in each history file, which
 * hold the same values again and again.  Most patterns take less than a look-up would.  One
 * that has shown itself slow (matcher_is_slow()) is tried once a value: what it said is kept
 * for the next source, and all its tries together have SLOW_NS_MAX of processor time.  Whoever
 * asked may hang up between two values.
 *
 * One thread.  A zeroed watch is ready for use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/matcher.h"
#include "proto/base/arena.h"

/* Of a select, of this thread: the head is asked under its lock. */
#define SLOW_NS_MAX INT64_C(500000000)

struct seen_value;

struct select_watch {
    /* set by the owner; both may be NULL */
    const volatile bool *cancelled;
    struct arena_total *total; /* that what is kept counts in */
    /* what came of it */
    const struct matcher *too_slow; /* whose pattern the select ended by; NULL: none */
    /* private */
    size_t tried;
    int64_t slow_ns;
    struct arena memory;
    struct seen_value **seen;
};

/* Does the value satisfy the matcher?  ERR_CANCELLED; ERR_LIMIT: its pattern takes too long
 * (too_slow). */
int select_watch_match(struct select_watch *watch, const struct matcher *matcher,
                       struct bytes value, bool *ret_matches);
/* Gives back the memory; too_slow stays. */
void select_watch_done(struct select_watch *watch);
