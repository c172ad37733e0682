/*
 * select_watch.h - when one question to the store has to end, however many sources it asks: who
 * asked has hung up, its time is over, or its regular expressions cost too much.
 *
 * A select tries a pattern on the values of a label in the head and in each history file, which
 * hold the same values again and again.  Most patterns take less than a look-up would.  One
 * that has shown itself slow (matcher_is_slow()) is tried once a value: what it said is kept
 * for the next source, and all its tries together have SLOW_NS_MAX of processor time.  Under the
 * head's lock it is not tried as long as there is memory for what is known: the lock is given back
 * for it (head_ask.c).  Where whoever
 * asked has hung up, or the question's own time is over, that is what ended it, and no pattern
 * is blamed.
 *
 * One thread.  A zeroed watch is ready for use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/queryable.h"
#include "proto/base/arena.h"

/* Of a select, of this thread. */
#define SLOW_NS_MAX INT64_C(500000000)

struct seen_value;

struct select_watch {
    /* set by select_watch_init(), or the owner */
    const volatile bool *cancelled; /* or NULL */
    int64_t deadline_mono_ns;       /* 0: none */
    struct arena_total *total;      /* that what is kept counts in, or NULL */
    bool is_hurried; /* others wait for a lock: no slow pattern is tried now */
    /* what came of it */
    const struct matcher *too_slow; /* whose pattern the select ended by; NULL: none */
    const struct matcher *put_off;  /* the one that was not tried (ERR_AGAIN) */
    /* private */
    size_t steps;
    int64_t slow_ns;
    struct arena memory;
    bool is_full; /* what is met from now on is not kept, and not put off */
    struct seen_value **seen;
};

/* For a question with this budget; both may be NULL. */
void select_watch_init(struct select_watch *watch, const struct query_budget *budget,
                       struct arena_total *total);
/* 0, ERR_CANCELLED or ERR_TIMEOUT, now. */
int select_watch_look(const struct select_watch *watch);
/* The same at the first step and a few hundred steps after each look: for loops over what is
 * small. */
int select_watch_step(struct select_watch *watch);
/* Does the value satisfy the matcher?  ERR_CANCELLED; ERR_TIMEOUT; ERR_LIMIT: its pattern takes too
 * long (too_slow); ERR_AGAIN: it is slow and others wait, try the value when they do not. */
int select_watch_match(struct select_watch *watch, const struct matcher *matcher,
                       struct bytes value, bool *ret_matches);
/* Gives back the memory; too_slow stays. */
void select_watch_done(struct select_watch *watch);
/* Tells what a select ended by; returns `error`. */
int select_watch_explain(const struct select_watch *watch, int error, struct diagnosis *why);
