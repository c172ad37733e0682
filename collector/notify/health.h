/*
 * health.h - integrations that take nothing any more, told through the others.
 *
 *     up --a try fails, and none succeeds for channel_down_after--> down --a message is
 *     accepted (a trial's counts), or it is no longer configured--> up
 *
 * An integration that is down is an alert of the notifier's own: NotificationChannelDown, with
 * the labels receiver, channel, index and severity="critical".  It is tracked like one that was
 * posted (it has no rule), so routes, silences, acknowledgement and restarts treat it as any
 * other.  Where its route leads to nothing but integrations that are down, it goes to every
 * other receiver with a living one besides (alerting_fallback()): that is too many ears, and
 * still better than none.
 *
 * Counted are transfers, not messages: one that is asked to pause (a robot that throttles) has
 * failed as well, for whatever it is, nobody hears it.
 *
 * Thread: the notify loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/notify/channel.h"
#include "proto/base/clock.h"

#define HEALTH_ALERT_NAME "NotificationChannelDown"

struct notify;

/* One integration that has failed since it last took something. */
struct health_entry {
    char *receiver, *channel; /* owned */
    unsigned index;
    uint64_t failures; /* 0 where only the alert is remembered, after a restart */
    mono_ns since;     /* of the first of them */
    char reason[200];  /* of the last */
    bool down;         /* its alert fires, or is to */
    bool over;         /* the alert is to be ended */
    struct health_entry *next;
};

struct health {
    struct health_entry *first;
    size_t down_count;
    bool changed; /* something for health_turn() to do */
};

/* The verdict of a transfer.  Lack of memory costs this note, and the next try makes another. */
void health_note(struct health *health, const char *receiver, const char *channel,
                 unsigned index, const struct client_verdict *verdict, mono_ns now);
/* Raises and ends alerts; their rows are dirty then, for the write of this turn.  ERR_NOMEM:
 * what is left is done by the next turn. */
int health_turn(struct notify *notify, int64_t now_ms, mono_ns now);
/* When the next integration will be down unless it takes something; UINT64_MAX: none. */
mono_ns health_next_due(const struct notify *notify);
/* After the routing of what was loaded, or of a new configuration: finds the alerts of before,
 * and the groups beside their routes.  ERR_NOMEM. */
int health_restore(struct notify *notify, int64_t now_ms, mono_ns now);
void health_done(struct health *health);
