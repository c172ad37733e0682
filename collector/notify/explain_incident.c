/*
 * explain_incident.c - people: who was told of an alert by an incident, and who would be next.
 *
 * Who was told is the ledger's (messages to "person/<id>"), so it holds for this alert, and
 * also after the incident is over; who would be is a forecast from the incident's next step on,
 * if nobody acknowledges.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/incident/forecast.h"
#include "collector/notify/explain_parts.h"
#include "collector/notify/view.h"
#include "proto/base/error.h"

#define FORECAST_STEPS 4

static const struct incident *incident_of(const struct explaining *all,
                                          const struct group *group)
{
    const struct incident_entry *entry =
        incidents_find_group(&all->notify->incidents, group->hash);
    return entry == NULL ? NULL : entry->incident;
}

void explain_foresee(struct explaining *all, struct explain_lane *lane)
{
    const struct incident *incident = incident_of(all, lane->group);
    const struct duty_escalation *escalation = lane->group->receiver->escalation;
    struct outlook *outlook = &lane->outlook;

    switch (outlook->next) {
    case NEXT_FIRST:
    case NEXT_AFTER_MUTE: /* the flush opens the incident; its first step waits */
        outlook->at_ms += escalation == NULL ? 0 : incident_wait_ms(escalation, 0);
        break;
    case NEXT_REPEAT: /* an incident has its own way to insist */
        *outlook = (struct outlook){NEXT_NOTHING, 0};
        if (incident != NULL && incident->state == INCIDENT_ACKNOWLEDGED)
            outlook->next = NEXT_ACKNOWLEDGED;
        else if (incident != NULL && incident->due_ms != 0)
            *outlook = (struct outlook){
                NEXT_STEP, incident->due_ms > all->now_ms ? incident->due_ms : all->now_ms};
        break;
    default:
        break;
    }
}

static int forecast(const struct explaining *all, const struct incident *incident,
                    struct forecast_step **ret_steps, size_t *ret_count)
{
    const struct duty *duty = alerting_duty(all->notify->alerting);
    const struct duty_escalation *escalation =
        duty == NULL ? NULL : duty_escalation(duty, incident->escalation);
    const struct duty_person **told =
        arena_alloc(all->arena, incident->told_count + 1, sizeof(const struct duty_person *));
    struct duty_overrides overrides;
    int error = told == NULL ? ERR_NOMEM : view_overrides(all->notify, all->arena, &overrides);

    *ret_count = 0;
    if (error != 0 || escalation == NULL || incident->due_ms == 0)
        return error;
    const struct forecast_start start = {.step = incident->step,
                                         .at_ms = incident->due_ms,
                                         .told = told,
                                         .told_count =
                                             incident_told_persons(incident, duty, told)};
    return forecast_make(duty, &overrides, escalation, &start, FORECAST_STEPS, all->arena,
                         ret_steps, ret_count);
}

int explain_put_next_persons(const struct explaining *all, const struct explain_lane *lane,
                             struct buf *out)
{
    const struct incident *incident =
        lane->outlook.next == NEXT_STEP ? incident_of(all, lane->group) : NULL;
    struct forecast_step *steps;
    size_t count = 0;
    int error = incident == NULL ? 0 : forecast(all, incident, &steps, &count);

    buf_put_text(out, ",\"persons\":[");
    for (size_t i = 0; error == 0 && count > 0 && i < steps[0].person_count; i++) {
        explain_next_item(out);
        json_put_text(out, steps[0].persons[i]->name);
    }
    buf_put_char(out, ']');
    return error;
}

/* ---- the sections ------------------------------------------------------------------------ */

/* The person's name, or the id of one whom duty.yml no longer has. */
static const char *who(const struct explaining *all, const char *receiver)
{
    const struct receiver *known = alerting_receiver(all->notify->alerting, receiver);
    if (known != NULL && known->person != NULL)
        return known->person->name;
    return strncmp(receiver, CONTACT_RECEIVER_PREFIX, strlen(CONTACT_RECEIVER_PREFIX)) == 0
               ? receiver + strlen(CONTACT_RECEIVER_PREFIX)
               : receiver;
}

static void put_told(const struct explaining *all, uint64_t number, struct buf *out)
{
    buf_put_text(out, ",\"told\":[");
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        if (parcel->incident != number)
            continue;
        explain_next_item(out);
        buf_put_text(out, "{\"who\":");
        json_put_text(out, who(all, parcel->receiver));
        json_put_text_member(out, "channel", parcel->channel);
        json_put_text_member(out, "tells",
                             fingerprints_contain(&parcel->firing, all->subject->fingerprint)
                                 ? "firing"
                                 : "resolved");
        json_put_text_member(out, "state", parcel_state_name(parcel->state));
        json_put_instant_member(
            out, "at", parcel->settled_ms != 0 ? parcel->settled_ms : parcel->created_ms);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_step(const struct forecast_step *step, struct buf *out)
{
    for (size_t i = 0; i < step->person_count; i++) {
        const struct duty_person *person = step->persons[i];
        for (size_t j = 0; j < person->way_count; j++) {
            if (!forecast_uses_way(step->what, person, j))
                continue;
            explain_next_item(out);
            buf_put_text(out, "{\"who\":");
            json_put_text(out, person->name);
            json_put_text_member(out, "channel", person->ways[j].channel);
            json_put_instant_member(out, "at", step->at_ms);
            buf_printf(out, ",\"step\":%" PRIu32 "}", step->step + 1);
        }
    }
}

/* One that is not over, with whom it tells next. */
static int put_open(const struct explaining *all, const struct incident *incident,
                    struct buf *out)
{
    struct forecast_step *steps;
    size_t count;
    int error = forecast(all, incident, &steps, &count);

    if (error != 0)
        return error;
    explain_next_item(out);
    buf_printf(out, "{\"number\":%" PRIu64 ",\"state\":\"%s\",\"muted\":%s", incident->number,
               incident_state_text(incident->state), incident->muted ? "true" : "false");
    json_put_text_member(out, "escalation", incident->escalation);
    put_told(all, incident->number, out);
    buf_put_text(out, ",\"will\":[");
    for (size_t i = 0; i < count; i++)
        put_step(&steps[i], out);
    buf_put_text(out, "]}");
    return 0;
}

static bool is_open(const struct explaining *all, uint64_t number)
{
    return incidents_find(&all->notify->incidents, number) != NULL;
}

/* Those that are over, from the first message of each. */
static void put_closed(const struct explaining *all, struct buf *out)
{
    for (size_t i = 0; i < all->ledger->count; i++) {
        const uint64_t number = all->ledger->items[i]->incident;
        bool is_first = number != 0 && !is_open(all, number);
        for (size_t j = 0; j < i && is_first; j++)
            is_first = all->ledger->items[j]->incident != number;
        if (!is_first)
            continue;
        explain_next_item(out);
        buf_printf(out, "{\"number\":%" PRIu64 ",\"state\":\"closed\",\"muted\":false", number);
        json_put_text_member(out, "escalation", "");
        put_told(all, number, out);
        buf_put_text(out, ",\"will\":[]}");
    }
}

int explain_put_incidents(const struct explaining *all, struct buf *out)
{
    int error = 0;

    buf_put_text(out, ",\"incidents\":[");
    put_closed(all, out);
    for (size_t i = 0; error == 0 && i < all->group_count; i++) {
        const struct incident *incident = incident_of(all, all->groups[i]);
        if (incident != NULL)
            error = put_open(all, incident, out);
    }
    buf_put_char(out, ']');
    return error;
}
