/*
 * explain_parts.h - between the explain*.c files: what holds (explain.c, explain_incident.c,
 * explain_ledger.c) and how it is written (explain_print.c); for nobody else.
 */
#pragma once

#include "collector/notify/explain.h"
#include "collector/notify/json.h"
#include "collector/notify/notify_parts.h"
#include "collector/notify/outlook.h"
#include "collector/notify/route_trace.h"

/* One integration of one of the alert's groups. */
struct explain_lane {
    const struct group *group;
    const struct integration *integration;
    int64_t out_of_time_until_ms; /* 0: it is told now */
    struct outlook_lane facts;
    struct outlook outlook;
    bool has_heard;    /* a message of this firing was accepted there */
    bool tells_people; /* by an incident: its messages go to persons */
};

/* Everything there is to say; pointers are the notifier's, valid under the view. */
struct explaining {
    struct notify *notify;
    const struct explain_subject *subject;
    const struct explain_ledger *ledger;
    int64_t now_ms;
    mono_ns now;
    struct tracked *tracked;                   /* NULL: the notifier has not taken it up */
    const struct labels *labels, *annotations; /* NULL: nobody remembers */
    bool is_over;
    const struct muting *muting; /* NULL without labels */
    struct muting own_muting;    /* of an alert that is not tracked */
    bool is_inhibited;
    uint64_t inhibited_by;
    int64_t silenced_until_ms; /* 0: it is not */
    int64_t muted_until_ms;    /* by silence or inhibition; 0, OUTLOOK_OPEN */
    struct route_step *steps;
    size_t step_count;
    struct group **groups;
    size_t group_count;
    struct explain_lane *lanes; /* group by group */
    size_t lane_count;
    struct arena *arena; /* of forecasts */
};

/* Appends a comma unless an array has just been opened. */
void explain_next_item(struct buf *out);
/* Appends {"receiver":..,"channel":..,"index":N, for somebody of duty.yml also "person": the
 * name, and leaves the object open. */
void explain_put_way(const struct notify *notify, const char *receiver, const char *channel,
                     unsigned index, struct buf *out);
/* Appends what the alert is: the first members of the answer. */
void explain_put_head(const struct explaining *all, struct buf *out);
/* What an incident makes of a lane's outlook: its steps, not the group's repeats. */
void explain_foresee(struct explaining *all, struct explain_lane *lane);
/* Appends ,"persons":[..]: whom the lane's next step means.  ERR_NOMEM. */
int explain_put_next_persons(const struct explaining *all, const struct explain_lane *lane,
                             struct buf *out);
/* Appends ,"incidents":[..].  ERR_NOMEM. */
int explain_put_incidents(const struct explaining *all, struct buf *out);
/* Appends what comes after the verdict.  ERR_NOMEM. */
int explain_put_sections(const struct explaining *all, struct buf *out);
