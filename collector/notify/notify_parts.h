/*
 * notify_parts.h - struct notify, between the files that make up the notifier: notify*.c (life,
 * hand-over, turns), incident_*.c, health.c, order.c, and those that show it (explain.c, ledger.c,
 * trial.c, view.c).
 *
 * All work is done in turns, one at a time:
 *
 *     wake ---> read inbox rows ---> alerts and groups in memory ---> due groups: plan flushes
 *                                                                         |
 *     start transfers <--- apply the plan <--- committed <--- ONE store write: inbox rows
 *                                                             deleted, alerts, groups, outbox
 *
 * Between submitting the write and its commit the loop goes on, but nothing of the plan is
 * touched.  If the write fails nothing was changed that reading the inbox again does not
 * repeat, and the turn is made again a second later.
 *
 * What people change (silences, acknowledgements) is an order (order.h): it waits for its turn,
 * one a turn, and its rows are part of that turn's write.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/delivery.h"
#include "collector/notify/flush.h"
#include "collector/incident/signed_link.h"
#include "collector/notify/forward.h"
#include "collector/notify/group.h"
#include "collector/notify/health.h"
#include "collector/notify/incidents.h"
#include "collector/notify/inhibit.h"
#include "collector/notify/notify.h"
#include "collector/notify/order.h"
#include "collector/notify/outbox.h"
#include "collector/notify/passed.h"
#include "collector/notify/puts.h"
#include "collector/notify/silence.h"
#include "proto/base/arena.h"

#define NOTIFY_INBOX_PREFIX "notify/inbox/"

struct trials;
struct incident_change;

/* The one write under way and what it will make true. */
struct turn {
    struct store_write write;
    struct arena arena; /* keys and rows */
    struct store_put *puts;
    struct flush *flushes;
    struct incident_change *incidents;
    struct order *order;       /* NULL: none in this one */
    int64_t silences_until_ms; /* those that ended before it go */
    uint64_t receipts;         /* so many had come when it was made */
    bool running;
    bool has_written; /* under lock: the writer thread is done with it */
    int error;        /* under lock until has_written is seen */
};

struct notify {
    /* fixed after notify_open() */
    uv_loop_t *loop;
    struct store *store;
    const struct clock *clock;
    char *path; /* NULL: no alerting file */
    char *external_url;
    notify_overrides *overrides; /* who stands in for whom; NULL: nobody does */
    void *overrides_context;
    struct signed_link_key link_key;
    _Atomic uint64_t inbox_next; /* number of the next inbox row; any thread */

    /* changed by the loop under view_lock, read under it by any thread (view.h) */
    struct alerting *alerting;
    struct groups groups; /* alerts, acknowledgements, members of groups */
    struct silences silences;
    struct incidents incidents;
    struct inhibition inhibition; /* refreshed by whoever looks, under the lock */

    /* owned by the loop */
    struct alerting **retired; /* old configurations that transfers may still point into */
    size_t retired_count;
    struct delivery *delivery;
    struct forward *forward; /* other Alertmanagers; NULL until all is open */
    struct trials *trials; /* has a lock of its own (trial.h) */
    struct outbox outbox;
    struct passed passed;
    struct health health;
    struct turn turn;
    uv_async_t wake;
    uv_timer_t timer;
    bool wanted; /* look again after the turn under way */
    bool closing;
    unsigned open_handles;
    int64_t swept_ms;  /* when the ledger was last cut */
    uint64_t silences_seen; /* their version when all owed parcels were held against them */
    bool write_failed; /* logged; until a write succeeds */
    bool order_was_last;
    bool follows_clock; /* offset_ms is known */
    int64_t offset_ms;  /* Unix time - monotonic time, at the last turn */
    int64_t next_end_ms; /* when the next external alert will be over; INT64_MAX: none */

    /* under lock, any thread */
    pthread_mutex_t lock;
    pthread_cond_t written;
    struct notify_stats stats;
    struct order *orders, **last_order; /* waiting for a turn */
    bool refuses_orders;                /* nobody will carry out any more */

    pthread_mutex_t view_lock; /* never together with `lock` */
};

/* Looks at everything that is due; does nothing while a write is under way. */
void notify_turn(struct notify *notify);
/* The write of the turn is done (has_written was seen). */
void notify_turn_finish(struct notify *notify);
/* Starts what is due; true if rows are waiting to be written. */
bool notify_send_due(struct notify *notify);
/* Tells the outbox how often each integration of the configuration may be spoken to. */
int notify_set_paces(struct notify *notify);
/* Opens the sessions of the configuration, closes others. */
int notify_keep_sessions(struct notify *notify);
/* A delivery_receipt (delivery.h); the context is the notifier. */
bool notify_receipt(void *context, uint64_t session, const struct smpp_receipt *receipt);
/* Waits for a write under way: a commit long. */
void notify_wait_for_turn(struct notify *notify);
/* Frees the old configurations. */
void notify_drop_retired(struct notify *notify);
/* Reads alerts, groups and owed parcels from the store. */
int notify_load(struct notify *notify, struct diagnosis *why);
/* Publishes counts for notify_get_stats(). */
void notify_publish(struct notify *notify);
