/*
 * incidents.c - see incidents.h.
 */
#include "collector/notify/incidents.h"

#include <stdlib.h>

#include "proto/base/error.h"

static size_t bucket_of(uint64_t group_hash)
{
    return group_hash % INCIDENT_BUCKETS;
}

struct incident_entry *incidents_next(const struct incidents *incidents,
                                      const struct incident_entry *after)
{
    size_t bucket = 0;
    if (after != NULL && after->next != NULL)
        return after->next;
    if (after != NULL)
        bucket = bucket_of(after->group_hash) + 1;
    while (bucket < INCIDENT_BUCKETS && incidents->buckets[bucket] == NULL)
        bucket++;
    return bucket < INCIDENT_BUCKETS ? incidents->buckets[bucket] : NULL;
}

struct incident_entry *incidents_find_group(const struct incidents *incidents,
                                            uint64_t group_hash)
{
    struct incident_entry *at = incidents->buckets[bucket_of(group_hash)];
    while (at != NULL && at->group_hash != group_hash)
        at = at->next;
    return at;
}

struct incident_entry *incidents_find(const struct incidents *incidents, uint64_t number)
{
    struct incident_entry *at = incidents->numbers[number % INCIDENT_BUCKETS];
    while (at != NULL && at->incident->number != number)
        at = at->next_number;
    return at;
}

static mono_ns due_of(const struct incident *incident, int64_t now_ms, mono_ns now)
{
    const int64_t left_ms = incident->due_ms - now_ms;
    if (incident->due_ms == 0 || incident->state != INCIDENT_OPEN)
        return UINT64_MAX;
    return left_ms <= 0 ? now : now + (mono_ns)left_ms * NS_PER_MS;
}

static void forget_number(struct incidents *incidents, const struct incident_entry *entry)
{
    struct incident_entry **at =
        &incidents->numbers[entry->incident->number % INCIDENT_BUCKETS];
    while (*at != entry)
        at = &(*at)->next_number;
    *at = entry->next_number;
}

static void unlink_entry(struct incidents *incidents, struct incident_entry *entry)
{
    struct incident_entry **at = &incidents->buckets[bucket_of(entry->group_hash)];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    forget_number(incidents, entry);
    incident_free(entry->incident);
    free(entry);
    incidents->count--;
}

int incidents_put(struct incidents *incidents, struct incident *incident, int64_t now_ms,
                  mono_ns now)
{
    const uint64_t hash = group_hash(incident->group_key, incident->receiver);
    struct incident_entry *entry = incidents_find_group(incidents, hash);

    if (incident->number >= incidents->next_number)
        incidents->next_number = incident->number + 1;
    if (incident->state == INCIDENT_CLOSED) {
        if (entry != NULL && entry->incident->number == incident->number)
            unlink_entry(incidents, entry);
        incident_free(incident);
        return 0;
    }
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return ERR_NOMEM;
        entry->group_hash = hash;
        entry->next = incidents->buckets[bucket_of(hash)];
        incidents->buckets[bucket_of(hash)] = entry;
        incidents->count++;
    } else {
        forget_number(incidents, entry);
        incident_free(entry->incident);
    }
    entry->incident = incident;
    entry->next_number = incidents->numbers[incident->number % INCIDENT_BUCKETS];
    incidents->numbers[incident->number % INCIDENT_BUCKETS] = entry;
    entry->due = due_of(incident, now_ms, now);
    return 0;
}

void incidents_free(struct incidents *incidents)
{
    struct incident_entry *at;
    while ((at = incidents_next(incidents, NULL)) != NULL)
        unlink_entry(incidents, at);
}

int incidents_look(const struct group *group, const struct mutes *mutes, int64_t now_ms,
                   struct incident_sight *ret_sight)
{
    const char *names[ROUTE_INTERVALS_MAX];
    struct incident_sight sight = {0};
    bool out_of_time;
    int error = 0;

    *ret_sight = sight;
    if (group == NULL)
        return 0;
    out_of_time = mute_by_time(group->route, now_ms, names) > 0;
    for (size_t i = 0; error == 0 && i < group->member_count; i++) {
        struct tracked *member = group->members[i];
        const struct acknowledgement *by = member->acknowledgement;
        bool muted = false;
        if (!member->alert->firing) {
            sight.held += alert_is_open(member->alert, now_ms);
            continue;
        }
        error = mutes_look(mutes, member, now_ms, &muted);
        muted = muted || out_of_time;
        sight.firing++;
        sight.muted += muted;
        sight.acknowledged += !muted && by != NULL;
        sight.open += !muted && by == NULL;
        if (by != NULL && (sight.newest == NULL || sight.newest->at_ms < by->at_ms))
            sight.newest = by;
    }
    *ret_sight = sight;
    return error;
}
