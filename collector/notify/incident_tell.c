/*
 * incident_tell.c - whom an incident tells: the persons a step means, and their ways.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/incident/forecast.h"
#include "collector/incident/signed_link.h"
#include "collector/notify/incident_plan.h"
#include "proto/base/error.h"

#define STEP_ARENA_BYTES     ((size_t)4 << 20)
#define FALLBACK_CRITICAL_MS ((int64_t)10000)
#define FALLBACK_MS          ((int64_t)60000)

static const struct receiver *receiver_of(const struct notify *notify,
                                          const struct duty_person *person)
{
    size_t count;
    const struct receiver *persons = alerting_persons(notify->alerting, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(persons[i].person->id, person->id) == 0)
            return &persons[i];
    return NULL;
}

/* How long a way may take before the next is tried as well. */
static int64_t patience_ms(const struct group *group)
{
    for (size_t i = 0; i < group->member_count; i++) {
        const struct alert *alert = group->members[i]->alert;
        if (alert->firing && bytes_equal(labels_get_text(alert->labels, "severity"),
                                         bytes_of("critical")))
            return FALLBACK_CRITICAL_MS;
    }
    return FALLBACK_MS;
}

/* News and a step may come together: one message is enough. */
static bool has_one(const struct incident_planning *planning, const struct receiver *receiver,
                    size_t way)
{
    for (const struct parcel *at = planning->change->parcels; at != NULL; at = at->next)
        if (at->index == way && strcmp(at->receiver, receiver->name) == 0)
            return true;
    return false;
}

int incident_tell_way(struct incident_planning *planning, const struct duty_person *person,
                      size_t way, bool ends, uint32_t fallbacks)
{
    struct notify *notify = planning->notify;
    const struct receiver *receiver = receiver_of(notify, person);
    struct incident *fresh = planning->fresh;
    struct flush_frame frame = {.incident = fresh->number,
                                .external_url = notify->external_url,
                                .tells_ended = ends};
    struct parcel *parcel = NULL;
    struct buf link = {0};
    int error;

    if (receiver == NULL || way >= receiver->integration_count || planning->group == NULL)
        return 0;
    if (has_one(planning, receiver, way)) {
        planning->told++;
        return 0;
    }
    if (!ends || fresh->state == INCIDENT_OPEN)
        signed_link_put(&notify->link_key, notify->external_url, fresh->number, person->id,
                        &link);
    frame.passed = passed_claim(&notify->passed, planning->group->receiver->name,
                                incident_integration(planning->group), planning->group);
    if (link.size > 0 && buf_ok(&link))
        frame.acknowledge_url = buf_text(&link);
    error = flush_compose(planning->group, &planning->mutes, planning->record, receiver,
                          &receiver->integrations[way], &frame, planning->now_ms, planning->now,
                          &parcel);
    buf_done(&link);
    if (error != 0 || parcel == NULL)
        return error;
    planning->told++;
    parcel->incident = fresh->number;
    parcel->serial = fresh->serial;
    parcel->fallbacks = fallbacks;
    parcel->fallback_ms = planning->now_ms + patience_ms(planning->group);
    parcel->next = planning->change->parcels;
    planning->change->parcels = parcel;
    incident_note(planning, INCIDENT_TOLD, person->id, person->ways[way].channel, parcel->id,
                  NULL);
    return incident_tell(fresh, person->id, (uint32_t)way, planning->now_ms, fresh->step);
}

int incident_tell_again(struct incident_planning *planning, bool ends)
{
    const struct duty *duty = alerting_duty(planning->notify->alerting);
    struct incident *fresh = planning->fresh;
    const size_t count = fresh->told_count; /* it does not grow: each was told before */
    int error = 0;

    fresh->serial++;
    for (size_t i = 0; error == 0 && duty != NULL && i < count; i++) {
        const struct duty_person *person = duty_person(duty, fresh->told[i].person);
        if (person != NULL)
            error = incident_tell_way(planning, person, fresh->told[i].way, ends, 0);
    }
    return error;
}

/* ---- a step ------------------------------------------------------------------------------ */

struct reached {
    const struct duty_person *persons[DUTY_RESOLVED_MAX];
    size_t count;
};

static void add_persons(struct reached *reached, const struct duty_person *const *persons,
                        size_t count)
{
    for (size_t i = 0; i < count && reached->count < DUTY_RESOLVED_MAX; i++) {
        size_t j = 0;
        while (j < reached->count && reached->persons[j] != persons[i])
            j++;
        if (j == reached->count)
            reached->persons[reached->count++] = persons[i];
    }
}

static void put_target(const struct duty_target *target, size_t found, struct buf *out)
{
    static const char *const kinds[] = {[DUTY_PERSON] = "person",
                                        [DUTY_ROSTER] = "roster",
                                        [DUTY_TEAM] = "team",
                                        [DUTY_MANAGER] = "manager"};
    if (out->size > 0)
        buf_put_text(out, ", ");
    buf_put_text(out, kinds[target->kind]);
    if (target->name != NULL)
        buf_printf(out, " %s", target->name);
    if (found == 0)
        buf_put_text(out, " (nobody)");
}

/* Whom the step means at this time; `what` gets its targets in words. */
static int reach(struct incident_planning *planning, const struct duty_step *step,
                 struct reached *reached, struct buf *what)
{
    struct notify *notify = planning->notify;
    const struct duty *duty = alerting_duty(notify->alerting);
    const struct duty_person **told =
        calloc(planning->fresh->told_count + 1, sizeof(const struct duty_person *));
    const struct duty_person *found[DUTY_RESOLVED_MAX];
    struct duty_overrides overrides = {0};
    struct arena arena;
    size_t told_count;
    int error = told == NULL ? ERR_NOMEM : 0;

    arena_init(&arena, STEP_ARENA_BYTES);
    if (error == 0 && notify->overrides != NULL)
        error = notify->overrides(notify->overrides_context, &arena, &overrides);
    if (error == 0) {
        told_count = incident_told_persons(planning->fresh, duty, told);
        for (size_t i = 0; i < step->target_count; i++) {
            size_t count = duty_resolve(duty, &overrides, &step->targets[i], planning->now_ms,
                                        told, told_count, found);
            put_target(&step->targets[i], count, what);
            add_persons(reached, found, count);
        }
    }
    arena_reset(&arena);
    free(told);
    return error;
}

static int tell_person(struct incident_planning *planning, const struct duty_step *step,
                       const struct duty_person *person)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < person->way_count; i++)
        if (forecast_uses_way(step, person, i))
            error = incident_tell_way(planning, person, i, false, 0);
    return error;
}

int incident_run_step(struct incident_planning *planning,
                      const struct duty_escalation *escalation)
{
    const struct duty_step *step = incident_step(escalation, planning->fresh->step);
    struct reached reached = {.count = 0};
    struct buf what = {0};
    int error;

    if (step == NULL)
        return 0;
    error = reach(planning, step, &reached, &what);
    planning->fresh->serial++;
    planning->told = 0;
    if (error == 0)
        incident_note(planning, INCIDENT_STEP, NULL, NULL, NULL,
                      buf_ok(&what) ? buf_text(&what) : "");
    for (size_t i = 0; error == 0 && i < reached.count; i++)
        error = tell_person(planning, step, reached.persons[i]);
    if (error == 0 && planning->told == 0) /* not on duty, or without a way */
        incident_note(planning, INCIDENT_NOBODY, NULL, NULL, NULL,
                      buf_ok(&what) ? buf_text(&what) : "");
    buf_done(&what);
    if (error == 0)
        incident_next_step(planning->fresh, escalation, planning->now_ms, planning->told == 0);
    return error;
}
