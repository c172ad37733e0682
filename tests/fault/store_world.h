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
/* An operation is the seed of a write, or of a delete, or the end of a day's samples: from then on
 * its roll-ups are all there is of it. */
#define DELETE (1u << 22)
#define EXPIRE (1u << 23)

/* How far apart the samples of a write can be, at least; a minute, if nobody says otherwise. */
extern int64_t world_step_ms;

struct history {
    unsigned *seeds; /* operations that are certain to be stored, in order */
    size_t count, capacity;
    size_t writes;    /* of them */
    bool is_expired;  /* there is an EXPIRE among them */
    unsigned pending; /* sent, not acknowledged; 0: none */
};
void history_add(struct history *history, unsigned operation);
/* What is left of it all.  Behind the end of the samples a bucket of the width goes as a whole, and
 * one that has something takes nothing more. */
void history_replay(const struct history *history, int64_t width_ms, struct model *model);
/* Everything of m{} is, bucket by bucket, what the model has there, be it as a record or as samples;
 * no bucket holds anything else. */
bool world_buckets_agree(struct kit *kit, const struct model *model, int64_t width_ms, char *why,
                         size_t why_bytes);

/* Writes one and waits; 0, or what the store says. */
int world_write(struct kit *kit, unsigned seed);
/* Deletes an hour or so of one series, now and then of all. */
int world_delete(struct kit *kit, unsigned seed);
/* Verifies the kit's folder, opens it, compares all samples and lines with the history (which gets the
 * pending operation, if it is there), closes.  Fails the test. */
void world_check(struct kit *kit, struct history *history, const char *because);
/* The same without the verification. */
void world_compare(struct kit *kit, struct history *history, const char *because);
