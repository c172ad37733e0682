/*
 * incidents.h - the incidents that are not over, and what the notifier knows of their groups.
 *
 * Thread: changed on the notify loop under the view lock; read under that lock by any.
 */
#pragma once

#include "collector/incident/incident.h"
#include "collector/notify/group.h"
#include "collector/notify/mute.h"

#define INCIDENT_BUCKETS 1024u

struct parcel;

struct incident_entry {
    struct incident *incident; /* owned */
    uint64_t group_hash;       /* of group key and receiver */
    mono_ns due;               /* when the next step runs; UINT64_MAX: none waits */
    struct parcel *stuck;      /* its messages that want another way; while a turn is planned */
    struct incident_entry *next;        /* of its bucket */
    struct incident_entry *next_number; /* of its other bucket */
};

struct incidents {
    struct incident_entry *buckets[INCIDENT_BUCKETS]; /* by group hash */
    struct incident_entry *numbers[INCIDENT_BUCKETS]; /* the same by number */
    size_t count;
    uint64_t next_number;
};

/* Iteration: the first after `after` (NULL: the first of all), NULL at the end. */
struct incident_entry *incidents_next(const struct incidents *incidents,
                                      const struct incident_entry *after);
struct incident_entry *incidents_find_group(const struct incidents *incidents,
                                            uint64_t group_hash);
struct incident_entry *incidents_find(const struct incidents *incidents, uint64_t number);

/* Takes the incident in the place of one with its number; one that is closed is let go.  ERR_NOMEM:
 * it is the caller's still. */
int incidents_put(struct incidents *incidents, struct incident *incident, int64_t now_ms,
                  mono_ns now);
void incidents_free(struct incidents *incidents);

/* The members of a group that fire, by what stands against telling people of them. */
struct incident_sight {
    size_t firing, muted, acknowledged;
    size_t held; /* over, but perhaps not for good (hold_until_ms): no step runs for them */
    size_t open; /* neither muted nor acknowledged: somebody must see to it */
    const struct acknowledgement *newest; /* of those acknowledged; or NULL */
};
/* `group` NULL: nothing fires.  ERR_NOMEM: not known. */
int incidents_look(const struct group *group, const struct mutes *mutes, int64_t now_ms,
                   struct incident_sight *ret_sight);
