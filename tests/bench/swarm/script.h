/*
 * script.h - the messages of one probe, coded before they are needed.
 *
 * Number n is tick first_tick + n - 1.  It is coded against batch n - depth, which is sent and
 * acknowledged before n may go: what a real probe does, with `depth` batches in flight.  Coding
 * everything ahead keeps the sender's processor time out of what is measured; the same message
 * can be had alone (PLAIN), for a collector that lacks the base.
 *
 * Or as a backlog: what a probe sends after an outage, groups of as many numbers as the probe
 * puts into one (BACKLOG_GROUP_*), the first of each alone and each other based on the one
 * before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "tests/bench/swarm/load.h"

/* The collector keeps the last four batches of a stream as bases. */
#define SCRIPT_DEPTH_MAX 3

struct script {
    const struct load *load;
    size_t probe;
    uint64_t epoch;
    size_t first_tick;
    uint64_t count; /* numbers 1..count */
    uint64_t depth;
    bool is_backlog;
    size_t definition_count;
    struct buf messages; /* of all numbers, one after the other, if they were coded ahead */
    size_t *ends;        /* of the message that ends with number n at [n - 1]; 0: none does */
};

/* What coding one message needs; one for all scripts of a thread. */
struct script_desk {
    struct arena arena;
    uint64_t *refs, *base_refs;
    double *values, *base_values;
};

int script_desk_init(struct script_desk *desk, size_t samples_max);
void script_desk_done(struct script_desk *desk);

/* Numbers 1..count are ticks first_tick.. of the probe.  Codes nothing yet. */
void script_init(struct script *script, const struct load *load, size_t probe, uint64_t epoch,
                 size_t first_tick, uint64_t count, uint64_t depth, bool is_backlog);
void script_done(struct script *script);

/* Codes every message.  ERR_LIMIT, ERR_NOMEM. */
int script_code_all(struct script *script, struct script_desk *desk);

/* The message that begins with a number, based on number - depth, or alone; *ret_last is its
 * last number.  `out` is cleared first; the bytes are in it or in the script.  ERR_LIMIT,
 * ERR_NOMEM. */
int script_message(const struct script *script, struct script_desk *desk, uint64_t number,
                   bool alone, struct buf *out, struct bytes *ret_message, uint64_t *ret_last);

/* The message that defines refs from `first_ref` on, as many as fit; *ret_count says how many.
 */
int script_define(const struct script *script, struct script_desk *desk, uint64_t first_ref,
                  struct buf *out, uint64_t *ret_count);

size_t script_samples(const struct script *script, uint64_t number);
int64_t script_tick_ms(const struct script *script, uint64_t number);
