/*
 * notify.h - from changed alerts to delivered messages.
 *
 *     alert changes --> route, group --> timers --> message --> outbox row (committed) -->
 * channel
 *
 * Rules hand over alert transitions inside a store write (so that a transition and what it owes
 * are durable together); notify owns group state and the outbox and talks to the outside.
 * Channels know nothing of rules: a channel gets a finished struct message.
 *
 * Thread: everything here runs on the main thread's loop, except where a comment says
 * otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "collector/series/labels.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

/* What there is to say of an alert beside firing and ended. */
enum alert_note {
    ALERT_NOTE_NONE,
    ALERT_NOTE_STALE,    /* fires, but the data it was seen by are gone */
    ALERT_NOTE_FLAPPING, /* comes and goes; told as firing until it has settled */
    ALERT_NOTE_NO_DATA,  /* ended because there were no data for too long, not recovered */
};

/* One alert as routes, groups and channels see it.  Serialized in state as alert_write(). */
struct alert {
    const struct labels *labels; /* with alertname */
    const struct labels *annotations;
    int64_t starts_ms;
    int64_t ends_ms; /* 0 while firing; of an external alert when it will have ended */
    bool firing;
    int64_t hold_until_ms; /* of what has ended: told as firing until then, should it come back */
    double value;
    const char *generator_url;
    uint64_t fingerprint; /* labels_fingerprint(labels) */
    int64_t updated_ms;   /* last heard of */
    bool external;        /* posted by somebody, not made by a rule of ours */
    bool ends_by_timeout; /* external: nobody said when it ends */
    bool is_ruleless;     /* made by the collector itself, of no rule: a job that did not come */
    bool has_passed;      /* began and ended while nobody looked: one line, no message (passed.h) */
    enum alert_note note;
};

struct notify;

struct duty;
struct duty_overrides;
/* Who stands in for whom now (duty.h); what it gives lives in `arena`.  ERR_NOMEM.  Any
 * thread, under the notifier's view lock: it must not call the notifier. */
typedef int notify_overrides(void *context, struct arena *arena,
                             struct duty_overrides *ret_overrides);

struct notify_options {
    const char *path;         /* alerting.yml; NULL: alerts are shown but sent nowhere */
    const char *external_url; /* of the console; NULL or "": messages have no links */
    struct duty *duty;        /* shared; NULL: no duty.yml */
    notify_overrides *overrides; /* NULL: nobody stands in */
    void *overrides_context;
};

/* Loads alerting.yml (Alertmanager's format, and what it lacks) and goes on with what the store
 * remembers.  The options are copied. */
int notify_open(uv_loop_t *loop, struct store *store, const struct notify_options *options,
                struct notify **ret_notify, struct diagnosis *why);
/* Only checks the file. */
int notify_check(const char *path, struct duty *duty, struct diagnosis *why);
/* Re-reads, with another duty.yml; the old configuration stays on error. */
int notify_reload(struct notify *notify, struct duty *duty, struct diagnosis *why);
/* After rules_close() and before store_close().  Waits for a write under way; memory is freed
 * by the loop, which must run once more.  What is still owed is in the store and goes on at the
 * next start. */
void notify_close(struct notify *notify);

struct clock;
/* Another clock than the system's, whose Unix time does not jump when the host's is set; NULL: the
 * system's again.  It must outlive that.  The loop's thread, while no other may ask for the time:
 * before alerts come, and after the last. */
void notify_set_clock(struct notify *notify, const struct clock *clock);

/* Appends the state changes (store_put rows, memory from `arena`) by which these transitions
 * enter groups.  Rules add them to their own write, so both commit together.  Any thread. */
int notify_transitions(struct notify *notify, const struct alert *alerts, size_t count,
                       int64_t now_ms, struct arena *arena, struct store_put **ret_puts,
                       size_t *ret_put_count);
/* Tells notify that a write with transitions was committed: look at the timers.  Any thread. */
void notify_wake(struct notify *notify);

/* Sends a message that says it is a test to every integration of a receiver, at once and past
 * routes, pace and outbox.  Any thread.  ERR_AGAIN: too many are under way; ERR_NOMEM. */
int notify_trial(struct notify *notify, const char *receiver, uint64_t *ret_number);
/* What has come of it so far: {"number","receiver","known","done","integrations":[{"channel",
 * "index","state":"sending|accepted|failed","error","seconds"}]}.  Any thread.  ERR_NOTFOUND:
 * only the last few are kept. */
int notify_trial_print_json(struct notify *notify, uint64_t number, struct buf *out);
/* ---- what people and other programs change -----------------------------------------------
 * Each returns when the change is durable and visible, or has failed.  Any thread but the
 * loop's. ERR_CANCELLED: the collector is stopping. */

struct silence; /* silence.h */
#define NOTIFY_SILENCE_ID_BYTES 37

/* Makes a silence (no id), or changes the one with its id (silence.h says when the id stays).
 * Takes *silence, leaves NULL.  ERR_NOTFOUND: no such id; ERR_INVALID, ERR_LIMIT with the
 * reason. */
int notify_silence_set(struct notify *notify, struct silence **silence,
                       char ret_id[NOTIFY_SILENCE_ID_BYTES], struct diagnosis *why);
/* Ends it now; one that has ended stays as it is.  ERR_NOTFOUND. */
int notify_silence_expire(struct notify *notify, const char *id, struct diagnosis *why);

/* See acknowledge.h.  A later one takes the place of an earlier.  ERR_NOTFOUND: no firing alert
 * has this fingerprint. */
int notify_acknowledge(struct notify *notify, uint64_t fingerprint, const char *by,
                       const char *comment, struct diagnosis *why);
int notify_unacknowledge(struct notify *notify, uint64_t fingerprint, struct diagnosis *why);
/* All that fires of an incident (incident.h), at once; takes it back.  ERR_NOTFOUND: it is closed,
 * or never was. */
int notify_acknowledge_incident(struct notify *notify, uint64_t incident, const char *by,
                                const char *comment, struct diagnosis *why);
int notify_unacknowledge_incident(struct notify *notify, uint64_t incident,
                                  struct diagnosis *why);
/* Is this what the link in a message to this person says? */
bool notify_link_is_good(const struct notify *notify, uint64_t incident, const char *person,
                         const char *token);

#define NOTIFY_ALERTS_MAX ((size_t)200000) /* tracked, before posted ones are refused */
/* Alerts somebody else's rules made (external; updated_ms set).  ERR_LIMIT, ERR_FULL. */
int notify_post(struct notify *notify, const struct alert *alerts, size_t count,
                struct arena *arena, struct diagnosis *why);

/* No order is carried out any more; those that wait get ERR_CANCELLED.  The loop's thread,
 * before whoever may be waiting is waited for.  NULL is allowed. */
void notify_refuse_orders(struct notify *notify);

/* Its last write failed; it tries again.  Loop. */
bool notify_is_failing(const struct notify *notify);

struct notify_stats {
    uint64_t notifications_sent, notifications_delivered, notifications_failed, notifications_retried, outbox_depth,
        groups, template_errors, channels_down;
    /* that fire: all, those that others posted, ... */
    uint64_t alerts, alerts_posted, alerts_ruleless;
    uint64_t alerts_silenced, alerts_inhibited, alerts_acknowledged;
    uint64_t silences_active, silences_pending;
    uint64_t incidents_open, incidents_acknowledged;
    uint64_t forward_sent, forward_refused, forward_retried, forward_owed; /* forward.h */
};
void notify_get_stats(struct notify *notify, struct notify_stats *ret_stats);
