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
 * Before anybody knows that it flaps there is one end.  That of an alert which fired for less than
 * within / 10 is not told before it has lasted a quarter longer than that, within / 40 at most: if
 * the alert is back by then, nothing was said (notify.h, hold_until_ms).  So a fast flap is three
 * notices, however soon a group tells its news: first, flapping, settled.
 *
 *     bytes   u8 flapping | zigzag began | u8 n | n * zigzag time (ms)
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
    int64_t began_ms; /* the first of the changes that made it flap: told as its start */
};

/* It has just begun to fire, or ended. */
void flap_change(struct flap *flap, const struct flap_terms *terms, int64_t ts_ms);
/* How long the end that was the last change is not told. */
int64_t flap_hold_ms(const struct flap *flap, const struct flap_terms *terms);
/* Has what is remembered become old?  A flapping one has settled then. */
bool flap_is_over(const struct flap *flap, const struct flap_terms *terms, int64_t ts_ms);
/* The last change; 0: there is none. */
int64_t flap_last_ms(const struct flap *flap);

void flap_write(const struct flap *flap, struct buf *out);
/* false: it does not parse. */
bool flap_read(struct reader *reader, struct flap *ret_flap);
