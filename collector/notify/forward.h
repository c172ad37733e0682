/*
 * forward.h - our alerts, told to other Alertmanagers.
 *
 *     alertmanagers:                         in alerting.yml, Prometheus's shape
 *     - static_configs: [{targets: ['am1.example:9093']}]
 *
 * What rules of ours find (not what others posted) goes to every target by itself: POST
 * PREFIX/api/v2/alerts, at once, and again every minute while it fires, with an end four
 * minutes ahead, so that a target forgets by itself what it hears no more of.  Where Prometheus
 * drops a batch that was not accepted, here it is tried again until it is; an end that is owed
 * is a row of the store, written with the transition, and tried for a day: a target that comes
 * back still tells its people.  Silences, inhibition and routes are the target's own affair.
 *
 *     row   forward/ 16 hex digits of the fingerprint: the alert that has ended (alert.h)
 *
 * Nothing here holds up the notifier: one transfer a target at a time, on its own timer.
 *
 * Thread: the notify loop's, but for forward_get_stats().
 */
#pragma once

#include "collector/notify/channel.h"
#include "collector/notify/group.h"
#include "collector/notify/puts.h"

#define FORWARD_PREFIX      "forward/"
#define FORWARD_RESEND_MS   60000
#define FORWARD_VALID_MS    (4 * FORWARD_RESEND_MS)
#define FORWARD_KEPT_MS     ((int64_t)24 * 3600 * 1000)
#define FORWARD_BATCH_MAX   256
#define FORWARD_TARGETS_MAX 16

struct clock;
struct delivery;

struct forward_target {
    const char *url; /* with the path */
    struct http_settings http;
};

struct forward;

/* Reads the ends that are owed; `delivery`, and what `clock` points to (the notifier's clock,
 * whichever it is), must live until forward_close(). */
int forward_open(uv_loop_t *loop, struct store *store, struct delivery *delivery,
                 const struct clock *const *clock, struct forward **ret_forward,
                 struct diagnosis *why);
/* NULL is allowed.  The memory is freed by the loop, which must run once more. */
void forward_close(struct forward *forward);

/* The targets of a configuration, which must live until the next call; new ones are told of
 * everything that fires. */
int forward_configure(struct forward *forward, const struct forward_target *targets,
                      size_t count, struct groups *groups);
/* A transition; what an end owes is added to the write that takes it. */
int forward_take(struct forward *forward, const struct alert *alert, struct puts *puts);
/* Rows of what is owed no more. */
void forward_collect(struct forward *forward, struct puts *puts);
/* Begins what is due. */
void forward_turn(struct forward *forward);
/* Has forward_collect() something to delete? */
bool forward_has_settled(const struct forward *forward);

struct forward_stats {
    uint64_t sent;    /* alerts accepted, by all targets together */
    uint64_t refused; /* alerts of batches that a target refused for good */
    uint64_t retried; /* transfers that failed and are made again */
    uint64_t owed;    /* ends not yet accepted everywhere */
};
/* Any thread.  NULL: zeros. */
void forward_get_stats(const struct forward *forward, struct forward_stats *ret_stats);

/* ---- between forward.c and forward_send.c */

extern const struct channel channel_alertmanager; /* settings: struct forward_target */
/* One element of the array that is posted. */
void forward_put_alert(struct buf *body, const struct alert *alert, int64_t now_ms);
