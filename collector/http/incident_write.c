/*
 * incident_write.c - see incident_write.h.
 */
#include "collector/http/incident_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/notify/outbox.h"
#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)16 << 20)

static void write_person_members(struct json_writer *json, const struct duty *duty,
                                 const char *id)
{
    const struct duty_person *person = duty == NULL ? NULL : duty_person(duty, id);
    json_write_text_member(json, "id", id);
    if (person == NULL)
        return;
    json_write_text_member(json, "name", person->name);
    json_write_text_member(json, "post", person->post);
}

void incident_write_person(struct json_writer *json, const struct duty *duty, const char *id)
{
    json_write_object(json);
    write_person_members(json, duty, id);
    json_write_end(json);
}

static void write_told(struct json_writer *json, const struct duty *duty,
                       const struct incident_told *told)
{
    const struct duty_person *person = duty == NULL ? NULL : duty_person(duty, told->person);
    json_write_object(json);
    write_person_members(json, duty, told->person);
    json_write_text_member(
        json, "channel",
        person != NULL && told->way < person->way_count ? person->ways[told->way].channel : "");
    json_write_instant_member(json, "at", told->at_ms);
    json_write_integer_member(json, "step", told->step + 1);
    json_write_end(json);
}

void incident_write_head(struct json_writer *json, const struct duty *duty,
                         const struct incident *incident)
{
    json_write_integer_member(json, "number", (int64_t)incident->number);
    json_write_text_member(json, "state", incident_state_text(incident->state));
    json_write_key(json, "muted");
    json_write_boolean(json, incident->muted);
    json_write_text_member(json, "title", incident->title);
    json_write_text_member(json, "receiver", incident->receiver);
    json_write_text_member(json, "groupKey", incident->group_key);
    json_write_text_member(json, "escalation", incident->escalation);
    json_write_instant_member(json, "openedAt", incident->opened_ms);
    json_write_instant_member(json, "changedAt", incident->changed_ms);
    json_write_instant_member(json, "closedAt", incident->closed_ms);
    json_write_instant_member(json, "nextStepAt", incident->due_ms);
    json_write_integer_member(json, "nextStep", incident->step + 1);
    json_write_key(json, "told");
    json_write_array(json);
    for (size_t i = 0; i < incident->told_count; i++)
        write_told(json, duty, &incident->told[i]);
    json_write_end(json);
}

/* ---- the time line ------------------------------------------------------------------------ */

struct events {
    struct json_writer *json;
    const struct app *app;
    const struct duty *duty;
    struct arena *arena;
};

/* What has become of a message; nothing once the ledger has let it go. */
static void write_message(const struct events *events, const char *id)
{
    struct parcel *parcel;
    struct buf row = {0};
    char key[sizeof OUTBOX_PREFIX + MESSAGE_ID_BYTES];
    int error;

    (void)snprintf(key, sizeof key, OUTBOX_PREFIX "%.16s", id);
    error = store_state_get(events->app->store, bytes_of(key), &row);
    if (error == 0)
        error = parcel_read(id, buf_bytes(&row), &parcel);
    buf_done(&row);
    if (error != 0)
        return;
    json_write_text_member(events->json, "messageState", parcel_state_name(parcel->state));
    json_write_instant_member(events->json, "settledAt", parcel->settled_ms);
    json_write_integer_member(events->json, "tries", parcel->attempts);
    json_write_text_member(events->json, "reason", parcel->reason);
    parcel_free(parcel);
}

static int write_event(void *context, struct bytes key, struct bytes value)
{
    struct events *events = context;
    struct json_writer *json = events->json;
    struct incident_event event;
    int error = incident_event_read(value, events->arena, &event);
    (void)key;

    if (error != 0)
        return error == ERR_CORRUPT ? 0 : error;
    json_write_object(json);
    json_write_instant_member(json, "at", event.at_ms);
    json_write_text_member(json, "kind", incident_event_text(event.kind));
    json_write_integer_member(json, "step", event.step + 1);
    if (*event.person != '\0') {
        json_write_key(json, "person");
        incident_write_person(json, events->duty, event.person);
    }
    if (*event.channel != '\0')
        json_write_text_member(json, "channel", event.channel);
    if (*event.message != '\0') {
        json_write_text_member(json, "message", event.message);
        if (event.kind == INCIDENT_TOLD)
            write_message(events, event.message);
    }
    json_write_text_member(json, "text", event.text);
    json_write_end(json);
    return 0;
}

static int write_events(struct events *events, uint64_t number)
{
    char prefix[sizeof INCIDENT_EVENT_PREFIX + 17];
    int error;
    (void)snprintf(prefix, sizeof prefix, INCIDENT_EVENT_PREFIX "%016" PRIx64 "/", number);
    json_write_key(events->json, "events");
    json_write_array(events->json);
    error = store_state_scan(events->app->store, bytes_of(prefix), write_event, events);
    json_write_end(events->json);
    return error;
}

/* ---- what comes next ---------------------------------------------------------------------- */

static void write_targets(struct json_writer *json, const struct duty_step *what)
{
    static const char *const kinds[] = {[DUTY_PERSON] = "person",
                                        [DUTY_ROSTER] = "roster",
                                        [DUTY_TEAM] = "team",
                                        [DUTY_MANAGER] = "manager"};
    json_write_array(json);
    for (size_t i = 0; i < what->target_count; i++) {
        json_write_object(json);
        json_write_text_member(json, kinds[what->targets[i].kind],
                               what->targets[i].name == NULL ? "" : what->targets[i].name);
        json_write_end(json);
    }
    json_write_end(json);
}

static void write_step_person(struct json_writer *json, const struct forecast_step *step,
                              const struct duty_person *person)
{
    json_write_object(json);
    json_write_text_member(json, "id", person->id);
    json_write_text_member(json, "name", person->name);
    json_write_text_member(json, "post", person->post);
    json_write_key(json, "channels");
    json_write_array(json);
    for (size_t i = 0; i < person->way_count; i++)
        if (forecast_uses_way(step->what, person, i))
            json_write_text(json, person->ways[i].channel);
    json_write_end(json);
    json_write_end(json);
}

void incident_write_forecast(struct json_writer *json, const struct forecast_step *steps,
                             size_t count)
{
    json_write_array(json);
    for (size_t i = 0; i < count; i++) {
        json_write_object(json);
        json_write_integer_member(json, "step", steps[i].step + 1);
        json_write_instant_member(json, "at", steps[i].at_ms);
        json_write_key(json, "targets");
        write_targets(json, steps[i].what);
        json_write_key(json, "persons");
        json_write_array(json);
        for (size_t j = 0; j < steps[i].person_count; j++)
            write_step_person(json, &steps[i], steps[i].persons[j]);
        json_write_end(json);
        json_write_end(json);
    }
    json_write_end(json);
}

static int write_next(struct json_writer *json, const struct app *app,
                      const struct incident *incident, struct arena *arena)
{
    const struct duty *duty = view_duty(app->notify);
    const struct duty_escalation *escalation =
        duty == NULL ? NULL : duty_escalation(duty, incident->escalation);
    const struct duty_person **told =
        arena_alloc(arena, incident->told_count + 1, sizeof(const struct duty_person *));
    struct duty_overrides overrides;
    struct forecast_step *steps = NULL;
    size_t count = 0;
    int error = told == NULL ? ERR_NOMEM : view_overrides(app->notify, arena, &overrides);

    if (error == 0 && escalation != NULL && incident->due_ms != 0) {
        const struct forecast_start start = {
            .step = incident->step,
            .at_ms = incident->due_ms,
            .told = told,
            .told_count = incident_told_persons(incident, duty, told)};
        error = forecast_make(duty, &overrides, escalation, &start, INCIDENT_FORECAST_STEPS,
                              arena, &steps, &count);
    }
    json_write_key(json, "next");
    incident_write_forecast(json, steps, count);
    return error;
}

static int write_alerts(struct json_writer *json, const struct app *app,
                        const struct incident *incident, struct arena *arena)
{
    uint64_t *fingerprints = NULL;
    size_t count = 0;
    char text[API_FINGERPRINT_BYTES];
    int error = incident->state == INCIDENT_CLOSED
                    ? 0
                    : view_group_firing(app->notify, incident->group_key, incident->receiver,
                                        arena, &fingerprints, &count);
    json_write_key(json, "alerts");
    json_write_array(json);
    for (size_t i = 0; error == 0 && i < count; i++)
        json_write_text(json, api_fingerprint_text(fingerprints[i], text));
    json_write_end(json);
    return error;
}

int incident_write_whole(struct json_writer *json, const struct app *app,
                         const struct incident *incident)
{
    struct arena arena;
    struct events events = {json, app, NULL, &arena};
    int error;

    arena_init(&arena, ARENA_BYTES);
    json_write_object(json);
    view_begin(app->notify);
    events.duty = view_duty(app->notify);
    incident_write_head(json, events.duty, incident);
    error = write_alerts(json, app, incident, &arena);
    if (error == 0)
        error = write_next(json, app, incident, &arena);
    if (error == 0)
        error = write_events(&events, incident->number);
    view_end(app->notify);
    json_write_end(json);
    arena_reset(&arena);
    return error;
}
