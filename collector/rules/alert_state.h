/*
 * alert_state.h - the life of one alert, as one pure function, and its stored row.
 *
 *                 holds, for > 0             held for `for`
 *     INACTIVE ----------------> PENDING ----------------> FIRING ---+
 *        ^  |  holds, for = 0               tell: firing    ^  |     | holds again:
 *        |  +-----------------------------------------------+  |     | keep_since = 0
 *        |  holds no more                                      |     |
 *        +---------------------- PENDING                       | no longer holds:
 *        |                                                     | keep_since = now, stays while
 *        +-----------------------------------------------------+ now - keep_since < keep
 *             tell: resolved
 *
 * What Prometheus does not know: an alert whose inputs vanish is *stale*, not over.  It keeps its
 * state with stale_since set (PENDING for PENDING_STALE_MS, FIRING for `stale`) until data say
 * more; then it ends, FIRING without having recovered.  And one that no longer holds but has not
 * recovered (rule_more.h) fires on.
 *
 * Every arrow is one write: the row, and what is to be told.  (Prometheus rules/alerting.go)
 *
 *     row   u8 version (2) | u8 state | zigzag active, fired, keep_since, sent (ms, 0: none)
 *           | u64 bits of value | labels | annotations | sized instance of the query's element
 *           | zigzag stale_since | flap (flap.h)
 * Version 1 ends before stale_since.  An INACTIVE alert has a row while its flap is remembered.
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/rules/flap.h"
#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

#define STALE_MS_DEFAULT ((int64_t)24 * 3600 * 1000)
#define PENDING_STALE_MS ((int64_t)5 * 60 * 1000)

enum alert_state { ALERT_INACTIVE = 0, ALERT_PENDING = 1, ALERT_FIRING = 2 };

struct alert_life {
    enum alert_state state;
    int64_t active_ms;      /* began to hold; 0 while inactive */
    int64_t fired_ms;       /* began to fire; 0 before */
    int64_t keep_since_ms;  /* fires on since it stopped to hold; 0: it holds */
    int64_t sent_ms;        /* last handed to the notifier; 0: never */
    int64_t stale_since_ms; /* there are no data since; 0: there are */
};

enum alert_telling { TELL_NOTHING, TELL_FIRING, TELL_RESOLVED };

/* What an evaluation sees of an alert. */
enum alert_sight {
    SIGHT_ABSENT,  /* it does not hold */
    SIGHT_HOLDS,
    SIGHT_BETWEEN, /* it does not hold, but the condition of its end does not either */
    SIGHT_NO_DATA, /* nobody knows: what it would be seen by is not there */
};

struct alert_terms {
    int64_t for_ms, keep_ms;
    int64_t stale_ms; /* how long FIRING waits for data */
};

struct alert_step {
    struct alert_life life;
    bool changed; /* the row is to be written */
    enum alert_telling telling;
    bool without_data; /* ended because there were none for too long */
};

struct alert_step alert_next(struct alert_life now, enum alert_sight sight,
                             const struct alert_terms *terms, int64_t ts_ms);

/* What a row holds. */
struct alert_row {
    struct alert_life life;
    double value;
    const struct labels *labels, *annotations;
    struct bytes instance; /* in the query's element, before the rule's own labels */
    struct flap flap;
};

void alert_row_write(const struct alert_row *row, struct buf *out);
/* ERR_CORRUPT, ERR_NOMEM; `instance` points into `bytes`, labels into the arena. */
int alert_row_read(struct bytes bytes, struct arena *arena, struct alert_row *ret_row);

/* "inactive", "pending", "firing". */
const char *alert_state_text(enum alert_state state);
