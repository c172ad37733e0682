/*
 * incident_fallback.c - a way to a person that does not work, and the next one.
 *
 *     refused -------------------------.
 *     not accepted within its patience +--> another way: the first is settled as FALLBACK
 *                                      '--> no other: it is tried on, and the next step runs now
 */
#include <string.h>

#include "collector/notify/incident_plan.h"
#include "proto/base/error.h"

static bool is_stuck(const struct parcel *parcel, int64_t now_ms)
{
    if (parcel->incident == 0 || parcel->fell_back || parcel->withdrawn)
        return false;
    if (parcel->state == PARCEL_FAILED)
        return true;
    if (parcel->state != PARCEL_QUEUED)
        return false;
    return parcel->refused ||
           ((parcel->attempts > 0 || parcel->sending) && parcel->fallback_ms <= now_ms);
}

void incident_find_stuck(struct notify *notify, int64_t now_ms)
{
    for (struct incident_entry *at = incidents_next(&notify->incidents, NULL); at != NULL;
         at = incidents_next(&notify->incidents, at))
        at->stuck = NULL;
    for (struct parcel *at = notify->outbox.first; at != NULL; at = at->next) {
        struct incident_entry *entry =
            is_stuck(at, now_ms) ? incidents_find(&notify->incidents, at->incident) : NULL;
        if (entry == NULL) /* of a closed one nobody is to be woken */
            continue;
        at->falling = entry->stuck;
        entry->stuck = at;
    }
}

static const struct duty_person *person_of(const struct incident_planning *planning,
                                           const struct parcel *parcel)
{
    const struct receiver *receiver =
        alerting_receiver(planning->notify->alerting, parcel->receiver);
    return receiver == NULL ? NULL : receiver->person;
}

/* The row as it will be; memory follows after the commit, for a write that fails is planned
 * again from the start. */
static void put_row(struct puts *puts, struct parcel *parcel, bool settles, int64_t now_ms)
{
    const enum parcel_state state = parcel->state;
    const int64_t settled_ms = parcel->settled_ms;
    struct buf row = {0};

    parcel->fell_back = true;
    if (settles) {
        parcel->state = PARCEL_FALLBACK;
        parcel->settled_ms = now_ms;
    }
    parcel_write(parcel, &row);
    puts_add_named(puts, OUTBOX_PREFIX, parcel->id, &row);
    parcel->fell_back = false;
    parcel->state = state;
    parcel->settled_ms = settled_ms;
    buf_done(&row);
}

static int take_next_way(struct incident_planning *planning, struct parcel *parcel)
{
    const struct duty_person *person = person_of(planning, parcel);
    const uint32_t tried = parcel->fallbacks + 1;
    const bool has_next = person != NULL && tried < person->way_count;
    int error = 0;

    incident_note(planning, INCIDENT_FALLBACK, person == NULL ? NULL : person->id,
                  parcel->channel, parcel->id, parcel->reason);
    if (has_next)
        error = incident_tell_way(planning, person, (parcel->index + 1) % person->way_count,
                                  parcel->tells_end, tried);
    else if (planning->fresh->state == INCIDENT_OPEN && planning->fresh->due_ms != 0)
        planning->fresh->due_ms = planning->now_ms;
    if (error != 0)
        return error;
    put_row(planning->puts, parcel, has_next && !parcel->sending, planning->now_ms);
    parcel->takes_other_way = has_next;
    parcel->falling = planning->change->falling;
    planning->change->falling = parcel;
    return 0;
}

void incident_fallen(struct incident_change *change, int64_t now_ms)
{
    while (change->falling != NULL) {
        struct parcel *parcel = change->falling;
        change->falling = parcel->falling;
        parcel->falling = NULL;
        if (parcel->state == PARCEL_ACCEPTED ||
            parcel->state == PARCEL_DELIVERED) /* meanwhile: then both were told */
            continue;
        parcel->fell_back = true;
        outbox_make_dirty(parcel);
        if (parcel->takes_other_way && !parcel->sending)
            outbox_fall_back(parcel, now_ms);
    }
}

int incident_fall_back(struct incident_planning *planning, struct parcel *stuck)
{
    int error = 0;
    while (error == 0 && stuck != NULL) {
        struct parcel *next = stuck->falling;
        error = take_next_way(planning, stuck);
        stuck = next;
    }
    return error;
}
