/*
 * incident_plan.h - what a turn of the notifier changes in incidents, and whom it tells.
 *
 *     flush with news --> opened / news / closed --.
 *     step due ----------------------------------->+--> fresh copy, parcels, events --> rows of
 *     acknowledged, muted, taken back ------------>+                                    the turn
 *     a way that does not work --> fallback -------'
 *
 * Everything is planned on a copy and becomes true with incident_plan_apply(), after the commit:
 * incident, events and messages are in one write.
 *
 * Thread: the notify loop's.
 */
#pragma once

#include "collector/notify/notify_parts.h"

/* One incident as it will be. */
struct incident_change {
    struct incident *fresh; /* owned until applied */
    struct parcel *parcels; /* owned until applied; chained by `next` */
    struct parcel *falling; /* the outbox's: other ways are taken; chained by `falling` */
    struct incident_change *next;
};

/* Plans all that is due; rows go to `puts`.  What cannot be planned for want of memory is tried
 * again with the next turn. */
void incident_plan(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now);
/* After the commit, under the view lock. */
void incident_plan_apply(struct notify *notify, int64_t now_ms, mono_ns now);
/* Frees what was not applied. */
void incident_plan_forget(struct notify *notify);
/* Deletes the rows of incidents that closed INCIDENT_KEPT_MS ago, some thousands at a time. */
void incident_cut(struct notify *notify, struct puts *puts, int64_t now_ms);
/* When the next turn is to look again; UINT64_MAX: not because of incidents. */
mono_ns incident_plan_next(const struct notify *notify, int64_t now_ms, mono_ns now);

/* ---- between incident_plan.c, incident_tell.c and incident_fallback.c ---------------------- */

struct incident_planning {
    struct notify *notify;
    struct puts *puts;
    struct mutes mutes;
    int64_t now_ms;
    mono_ns now;
    /* the incident being planned */
    const struct group *group;          /* NULL: gone */
    const struct dedup_record *record;  /* what the group's people were told; NULL: nothing */
    struct incident *fresh;
    struct incident_change *change;
    size_t told; /* messages made for it */
};

/* The integration of an escalation's receiver that stands for its incidents. */
const struct integration *incident_integration(const struct group *group);
/* Adds the row of an event of `fresh`; `person`, `channel`, `message`, `text`: NULL is "". */
void incident_note(struct incident_planning *planning, enum incident_event_kind kind,
                   const char *person, const char *channel, const char *message,
                   const char *text);
/* A message to one person by one way; `ends`: what has ended is told, too.  Nothing to say, a way
 * that is no longer configured, or one that has just got one: 0.  ERR_NOMEM. */
int incident_tell_way(struct incident_planning *planning, const struct duty_person *person,
                      size_t way, bool ends, uint32_t fallbacks);
/* The step that is due: whom it means now, and a message to each. */
int incident_run_step(struct incident_planning *planning,
                      const struct duty_escalation *escalation);
/* The same news to everybody who was told before. */
int incident_tell_again(struct incident_planning *planning, bool ends);
/* Which messages have not found their way: entry->stuck of each incident.  Before all are planned. */
void incident_find_stuck(struct notify *notify, int64_t now_ms);
/* Other ways are taken for these ... */
int incident_fall_back(struct incident_planning *planning, struct parcel *stuck);
/* ... and after the commit the old ones are over. */
void incident_fallen(struct incident_change *change, int64_t now_ms);
