/*
 * view.h - alerts, groups, silences and receivers as the notifier has them, for whoever shows
 * them.
 *
 *     view_begin(notify);
 *     ... view_find(), view_silences(), view_walk() and view_walk_groups() ...
 *     view_end(notify);
 *
 * Between begin and end nothing changes and everything returned stays valid; the loop may be
 * waiting, so print into memory and go.  Lock order: the view before the rules' state lock.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/notify/acknowledge.h"
#include "collector/notify/notify.h"
#include "collector/notify/silence.h"
#include "proto/base/buf.h"

struct view_alert {
    const struct alert *alert;
    int64_t ends_ms; /* while it fires: when it would be over if nobody spoke of it any more */
    const struct muting *muting; /* holds silences that do not apply yet or any more */
    bool is_inhibited;
    uint64_t inhibited_by; /* fingerprint of the alert that fires instead */
    const struct acknowledgement *acknowledgement; /* NULL: nobody has */
};

void view_begin(struct notify *notify);
void view_end(struct notify *notify);

/* False: not there (yet), or over. */
bool view_find(struct notify *notify, const struct labels *labels, int64_t now_ms,
               struct view_alert *ret_alert);
/* Silences that match labels that are not tracked (a pending alert's); muting_done() is the
 * caller's.  ERR_NOMEM. */
int view_muting(struct notify *notify, const struct labels *labels, int64_t now_ms,
                struct muting *ret_muting);
/* All that fires, by fingerprint, from malloc (free()); for what is short.  ERR_NOMEM. */
int view_alerts(struct notify *notify, int64_t now_ms, struct view_alert **ret_alerts,
                size_t *ret_count);

/* A walk over all that fires.  Tens of thousands take a tenth of a second to print, in which the
 * loop must not wait: after every VIEW_AT_ONCE the walk gives way, so what a step returned is
 * valid until the next, each alert is shown as it is when its turn comes, and one that is over
 * by then is passed over. */
#define VIEW_AT_ONCE 128

struct view_walk {
    uint64_t *ids; /* fingerprints, or hashes of groups */
    size_t count, at;
    struct view_alert *alerts; /* of the group that is looked at */
};

/* By fingerprint.  ERR_NOMEM. */
int view_walk(struct notify *notify, int64_t now_ms, struct view_walk *ret_walk);
/* False at the end. */
bool view_walk_next(struct notify *notify, struct view_walk *walk, int64_t now_ms,
                    struct view_alert *ret_alert);
/* Of either kind; before or after view_end(). */
void view_walk_done(struct view_walk *walk);

#define VIEW_INTERVALS_MAX 64 /* that may keep a group from being told */

struct view_group {
    const struct labels *labels;
    const char *receiver;
    const struct view_alert *alerts; /* by fingerprint; those that fire */
    size_t alert_count;
    const char *muted_by[VIEW_INTERVALS_MAX]; /* time intervals: it is not told now */
    size_t muted_count;
};

/* By labels, then receiver.  ERR_NOMEM. */
int view_walk_groups(struct notify *notify, struct view_walk *ret_walk);
/* False at the end, or if there is no memory for a group: *ret_error then. */
bool view_walk_next_group(struct notify *notify, struct view_walk *walk, int64_t now_ms,
                          struct view_group *ret_group, int *ret_error);

/* In Alertmanager's order: active by end, pending by start, expired by latest end; free(). */
int view_silences(struct notify *notify, int64_t now_ms, const struct silence ***ret_silences,
                  size_t *ret_count);
const struct silence *view_silence(struct notify *notify, const char *id);

#define VIEW_RECEIVERS_MAX 64 /* one alert may go to */
/* Who gets an alert with these labels, in order of the routes; the number of names. */
size_t view_receivers_of(struct notify *notify, const struct labels *labels,
                         const char *ret_names[VIEW_RECEIVERS_MAX]);
/* The time intervals because of which an alert with these labels is told to nobody now; 0 if
 * somebody is told. */
size_t view_muted_by(struct notify *notify, const struct labels *labels, int64_t now_ms,
                     const char *ret_names[VIEW_INTERVALS_MAX]);
struct route;
struct duty;
struct duty_overrides;
/* The routes an alert with these labels takes; at most VIEW_RECEIVERS_MAX. */
size_t view_routes_of(struct notify *notify, const struct labels *labels,
                      const struct route *ret_routes[VIEW_RECEIVERS_MAX]);
/* Who the people are (NULL: no duty.yml), and who stands in for whom (in `arena`). */
const struct duty *view_duty(struct notify *notify);
int view_overrides(struct notify *notify, struct arena *arena,
                   struct duty_overrides *ret_overrides);
/* The fingerprints of what fires of a group, by key and receiver, in `arena`; 0 if there is no
 * such group.  ERR_NOMEM. */
int view_group_firing(struct notify *notify, const char *key, const char *receiver,
                      struct arena *arena, uint64_t **ret_fingerprints, size_t *ret_count);
/* The n-th receiver's name; NULL past the last. */
const char *view_receiver(struct notify *notify, size_t n);
/* The n-th address that our alerts are told to (forward.h); NULL past the last. */
const char *view_alertmanager(struct notify *notify, size_t n);
/* The configuration as Alertmanager's YAML, secrets left out (alerting_print.c). */
void view_print_config(struct notify *notify, struct buf *out);
