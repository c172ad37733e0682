/*
 * flap.h - does an alert come and go too often?
 *
 *     changes: the times at which it began to fire or ended, the newest last
 *
 *     CALM --`changes` of them within `within`--> FLAPPING --none for within / 2--> CALM
 *
 * While an alert flaps it is told as firing, whatever it does; when it has settled it is told as
 * what it is by then.  What the rule's own state is, and what ALERTS says, knows nothing of this.
 *
 * Before anybody knows that it flaps there is one end: of an alert that fired for less than within /
 * 10 it is not told before it has lasted, twice as long as it had fired but within / 20 at most.  If
 * the alert is back by then nothing was said.  So a flap is three notices, however soon a group tells
 * its news: first, flapping, settled.
 *
 *     bytes   u8 1: flapping, 2: owes its end | zigzag began | u8 n | n * zigzag time (ms)
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"

#define FLAP_CHANGES_MAX     32
#define FLAP_CHANGES_DEFAULT 4
#define FLAP_WITHIN_MS       ((int64_t)10 * 60 * 1000)

struct flap_terms {
    unsigned changes; /* 0: nothing ever flaps */
    int64_t within_ms;
};

struct flap {
    int64_t at_ms[FLAP_CHANGES_MAX];
    unsigned count;
    bool flapping;
    bool owes_end;    /* it ended, which is not told yet */
    int64_t began_ms; /* the first of the changes that made it flap: told as its start */
};

/* It has just begun to fire, or ended. */
void flap_change(struct flap *flap, const struct flap_terms *terms, int64_t ts_ms);
/* What one step of an alert's life has to say, as far as its coming and going matters. */
enum flap_change { FLAP_NO_CHANGE, FLAP_BEGAN, FLAP_ENDED };
enum flap_tells {
    FLAP_TELLS_NOTHING,
    FLAP_TELLS_CHANGE,  /* that it began, or ended */
    FLAP_TELLS_FIRING,  /* whatever it does: it flaps */
    FLAP_TELLS_END,     /* which was owed, and has lasted */
    FLAP_TELLS_SETTLED, /* it flaps no more: what it is by now */
};
/* Takes the step; *ret_changed: what is remembered is another.  FLAP_NO_CHANGE and
 * FLAP_TELLS_NOTHING: nothing of it matters. */
enum flap_tells flap_step(struct flap *flap, const struct flap_terms *terms,
                          enum flap_change change, int64_t ts_ms, bool *ret_changed);
/* When what has ended, and is not told, had begun to fire. */
int64_t flap_fired_ms(const struct flap *flap);
/* Has what is remembered become old?  A flapping one has settled then. */
bool flap_is_over(const struct flap *flap, const struct flap_terms *terms, int64_t ts_ms);
/* The last change; 0: there is none. */
int64_t flap_last_ms(const struct flap *flap);

void flap_write(const struct flap *flap, struct buf *out);
/* false: it does not parse. */
bool flap_read(struct reader *reader, struct flap *ret_flap);
