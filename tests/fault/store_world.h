/*
 * store_world.h - what fault tests of the store share: writes that both sides know, what was
 * acknowledged of them, and the question whether a folder holds it.
 *
 * A write is a function of its seed: samples, lines, and a state key that says that it was
 * stored; so is a delete.  What was sent and not acknowledged may be there or not, as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define SERIES  6
#define WRITE   10 /* samples of one write */
#define LINES   2  /* log lines of one write */
#define DELETE  (1u << 30) /* an operation: a seed, with this bit for a delete */

/* How far apart the samples of a write can be, at least; a minute, if nobody says otherwise. */
extern int64_t world_step_ms;

struct history {
    unsigned *seeds; /* operations that are certain to be stored, in order */
    size_t count, capacity;
    size_t writes;    /* of them */
    unsigned pending; /* sent, not acknowledged; 0: none */
};
void history_add(struct history *history, unsigned operation);

/* Writes one and waits; 0, or what the store says. */
int world_write(struct kit *kit, unsigned seed);
/* Deletes an hour or so of one series, now and then of all. */
int world_delete(struct kit *kit, unsigned seed);
/* Verifies the kit's folder, opens it, compares all samples and lines with the history (which gets the
 * pending operation, if it is there), closes.  Fails the test. */
void world_check(struct kit *kit, struct history *history, const char *because);
/* The same of samples and lines from a time on, without the verification. */
void world_check_from(struct kit *kit, struct history *history, int64_t from_ms,
                      const char *because);
