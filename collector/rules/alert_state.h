/*
 * alert_state.h - the life of one alert, as one pure function, and its stored row.
 *
 *                 holds, for > 0             held for `for`
 *     INACTIVE ----------------> PENDING ----------------> FIRING ---+
 *        ^  |  holds, for = 0               tell: firing    ^  |     | holds again:
 *        |  +-----------------------------------------------+  |     | keep_since = 0
 *        |  holds no more (row deleted)                        |     |
 *        +---------------------- PENDING                       | no longer holds:
 *        |                                                     | keep_since = now, stays while
 *        +-----------------------------------------------------+ now - keep_since < keep
 *             tell: resolved (row deleted)
 *
 * Every arrow is one write: the row, and what is to be told.  (Prometheus rules/alerting.go)
 *
 *     row   u8 version (1) | u8 state | zigzag active, fired, keep_since, sent (ms, 0: none)
 *           | u64 bits of value | labels | annotations | sized instance of the query's element
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum alert_state { ALERT_INACTIVE = 0, ALERT_PENDING = 1, ALERT_FIRING = 2 };

struct alert_life {
    enum alert_state state;
    int64_t active_ms;     /* began to hold; 0 while inactive */
    int64_t fired_ms;      /* began to fire; 0 before */
    int64_t keep_since_ms; /* fires on since it stopped to hold; 0: it holds */
    int64_t sent_ms;       /* last handed to the notifier; 0: never */
};

enum alert_telling { TELL_NOTHING, TELL_FIRING, TELL_RESOLVED };

struct alert_step {
    struct alert_life life;
    bool changed; /* the row is to be written (INACTIVE: deleted) */
    enum alert_telling telling;
};

struct alert_step alert_next(struct alert_life now, bool holds, int64_t for_ms, int64_t keep_ms,
                             int64_t ts_ms);

/* What a row holds. */
struct alert_row {
    struct alert_life life;
    double value;
    const struct labels *labels, *annotations;
    struct bytes instance; /* in the query's element, before the rule's own labels */
};

void alert_row_write(const struct alert_row *row, struct buf *out);
/* ERR_CORRUPT, ERR_NOMEM; `instance` points into `bytes`, labels into the arena. */
int alert_row_read(struct bytes bytes, struct arena *arena, struct alert_row *ret_row);

/* "inactive", "pending", "firing". */
const char *alert_state_text(enum alert_state state);
