/*
 * rule_state.h - what a rule is doing: its live alerts, its health, what made it dirty.
 *
 * Thread: changed by the rules thread only, and under rules->state_lock where the JSON printers
 * look; the dirty marks are the rules thread's alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/rules/alert_state.h"
#include "collector/rules/outputs.h"
#include "collector/rules/restrict.h"
#include "collector/rules/rule_file.h"
#include "proto/base/clock.h"

#define ALERT_BUCKETS 64u
#define ALERT_PREFIX  "alert/"
/* After a restart an alert that is not in the result may only be waiting for its samples. */
#define UNKNOWN_MS ((int64_t)5 * 60 * 1000)

/* One that is INACTIVE is remembered only for how often it came and went. */
struct live_alert {
    struct alert_life life;
    const struct labels *labels, *annotations; /* owned */
    char *instance;                            /* owned */
    double value;
    uint64_t fingerprint;
    struct flap flap;
    int64_t held_ms; /* last seen to hold, as far as is known */
    bool unknown;   /* loaded, and its samples have not arrived since */
    bool news;      /* value or annotations differ from what was last told */
    uint64_t round; /* last evaluation that yielded it */
    struct live_alert *next; /* of its bucket */
};

/* An alert as it was when the collector went down. */
struct past_life {
    uint64_t fingerprint;
    struct alert_life life;
};

struct rule_state {
    const struct rule *rule;
    struct live_alert *alerts[ALERT_BUCKETS]; /* by hash of the labels */
    size_t pending_count, firing_count, stale_count, flapping_count;
    struct outputs *outputs;

    struct past_life *past; /* until its past is looked at (past.h) */
    size_t past_count;

    bool evaluated, healthy;
    char error[DIAGNOSIS_BYTES];
    double seconds; /* the last evaluation took */
    int64_t evaluated_ms;
    uint64_t round;

    /* what arrived since the last evaluation */
    const char *instances[RESTRICT_INSTANCES_MAX]; /* interned */
    size_t instance_count;
    bool touched;        /* anything */
    bool touched_beyond; /* more instances than fit */
    mono_ns not_before;  /* an aggregation runs once a second */
};

struct live_alert *rule_state_find(const struct rule_state *state, const struct labels *labels);
/* Iteration over live alerts; NULL at the end. */
struct live_alert *rule_state_next(const struct rule_state *state,
                                   const struct live_alert *after);
/* A new live alert of copies; the caller sets the life. */
int rule_state_add(struct rule_state *state, const struct labels *labels,
                   const struct labels *annotations, struct bytes instance,
                   struct live_alert **ret_alert);
void rule_state_remove(struct rule_state *state, struct live_alert *alert);
/* Moves every live alert to another state (the same rule after a reload). */
void rule_state_move(struct rule_state *from, struct rule_state *to);
/* Recounts the alerts by state. */
void rule_state_count(struct rule_state *state);
/* Is this alert within what was touched? */
bool rule_state_covers(const struct rule_state *state, const char *instance);
/* Fires without data. */
static inline bool live_alert_is_stale(const struct live_alert *alert)
{
    return alert->life.state == ALERT_FIRING && alert->life.stale_since_ms != 0;
}
void rule_state_done(struct rule_state *state);

#define ALERT_KEY_BYTES 64
/* "alert/<rule key>/<fingerprint>" */
const char *alert_key_text(uint64_t rule_key, uint64_t fingerprint, char text[ALERT_KEY_BYTES]);
