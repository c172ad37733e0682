/*
 * incident_plan.c - see incident_plan.h.
 */
#include "collector/notify/incident_plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/log.h"

#define MUTED_LOOK_MS 1000 /* how often is looked whether a silence is over */

/* What happens to an incident in this turn. */
struct happening {
    bool opens, closes, acknowledged, reopened, mutes, unmutes, news, step;
    struct parcel *stuck;
};

static size_t escalation_index(const struct group *group)
{
    return group->receiver->integration_count - 1;
}

const struct integration *incident_integration(const struct group *group)
{
    return &group->receiver->integrations[escalation_index(group)];
}

static const struct duty_escalation *escalation_of(const struct notify *notify,
                                                   const struct group *group,
                                                   const struct incident *incident)
{
    const struct duty *duty = alerting_duty(notify->alerting);
    if (group != NULL && group->receiver->escalation != NULL)
        return group->receiver->escalation;
    return duty == NULL ? NULL : duty_escalation(duty, incident->escalation);
}

void incident_note(struct incident_planning *planning, enum incident_event_kind kind,
                   const char *person, const char *channel, const char *message,
                   const char *text)
{
    const struct incident_event event = {.kind = kind,
                                         .at_ms = planning->now_ms,
                                         .step = planning->fresh->step,
                                         .person = person == NULL ? "" : person,
                                         .channel = channel == NULL ? "" : channel,
                                         .message = message == NULL ? "" : message,
                                         .text = text == NULL ? "" : text};
    struct buf key = {0}, row = {0};

    incident_event_write(&event, &row);
    buf_printf(&key, INCIDENT_EVENT_PREFIX "%016llx/%016llx",
               (unsigned long long)planning->fresh->number,
               (unsigned long long)planning->fresh->events++);
    if (buf_ok(&key) && buf_ok(&row))
        puts_add(planning->puts, buf_bytes(&key), buf_bytes(&row));
    else
        planning->puts->failed = true;
    buf_done(&key);
    buf_done(&row);
}

/* "HostDown web1", or "HostDown web1 (3)". */
static void put_title(const struct group *group, struct buf *out)
{
    size_t firing = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        const struct labels *labels = group->members[i]->alert->labels;
        const struct bytes name = labels_get_text(labels, "alertname");
        const struct bytes where = labels_get_text(labels, "instance");
        if (!group->members[i]->alert->firing || firing++ > 0)
            continue;
        buf_put(out, name.data, name.size);
        if (where.size > 0)
            buf_printf(out, " %.*s", (int)where.size, (const char *)where.data);
    }
    if (firing > 1)
        buf_printf(out, " (%zu)", firing);
}

static int make_fresh(struct notify *notify, const struct group *group,
                      const struct incident_entry *entry, int64_t now_ms,
                      struct incident **ret_fresh)
{
    struct buf title = {0};
    int error;

    if (entry != NULL)
        return incident_copy(entry->incident, ret_fresh);
    put_title(group, &title);
    error = buf_ok(&title)
                ? incident_new(notify->incidents.next_number, group->receiver->name, group->key,
                               group->receiver->escalation->name, buf_text(&title), now_ms,
                               ret_fresh)
                : ERR_NOMEM;
    buf_done(&title);
    if (error == 0)
        notify->incidents.next_number++; /* a number that a failed write wastes stays unused */
    return error;
}

static struct happening what_happens(const struct incident_planning *planning,
                                     const struct flush *flush,
                                     const struct incident_entry *entry,
                                     const struct incident_sight *sight)
{
    const struct group *group = planning->group;
    const bool news = flush != NULL && flush->records[escalation_index(group)].verdict ==
                                           DEDUP_NEWS;
    const struct incident *incident = entry == NULL ? NULL : entry->incident;
    struct happening what = {0};
    bool all_muted;

    if (entry == NULL) {
        /* Also if somebody was quicker than the group's wait: they may give it back. */
        what.opens = news && sight->open + sight->acknowledged > 0;
        what.acknowledged = what.opens && sight->open == 0;
        return what;
    }
    what.closes = group == NULL || (flush != NULL && sight->firing + sight->held == 0);
    what.news = news && !what.closes && incident->told_count > 0;
    if (what.closes)
        return what;
    what.acknowledged =
        incident->state == INCIDENT_OPEN && sight->open == 0 && sight->acknowledged > 0;
    what.reopened = incident->state == INCIDENT_ACKNOWLEDGED && sight->open > 0;
    all_muted = sight->firing > 0 && sight->open == 0 && sight->acknowledged == 0;
    what.mutes = incident->state == INCIDENT_OPEN && all_muted && !incident->muted;
    what.unmutes = incident->muted && !all_muted;
    what.step = incident->state == INCIDENT_OPEN && sight->open > 0 &&
                entry->due <= planning->now;
    what.stuck = entry->stuck;
    return what;
}

/* ---- doing it on the copy ---------------------------------------------------------------- */

static void acknowledge(struct incident_planning *planning, const struct incident_sight *sight)
{
    planning->fresh->state = INCIDENT_ACKNOWLEDGED;
    planning->fresh->due_ms = 0;
    incident_note(planning, INCIDENT_ACK, sight->newest->by, NULL, NULL,
                  sight->newest->comment);
}

static int close_incident(struct incident_planning *planning)
{
    const char *why = planning->group == NULL ? "no route leads to its escalation any more" : "";
    int error = planning->group == NULL ? 0 : incident_tell_again(planning, true);
    planning->fresh->state = INCIDENT_CLOSED;
    planning->fresh->closed_ms = planning->now_ms;
    planning->fresh->due_ms = 0;
    incident_note(planning, INCIDENT_END, NULL, NULL, NULL, why);
    return error;
}

static int do_it(struct incident_planning *planning, const struct happening *what,
                 const struct incident_sight *sight, const struct duty_escalation *escalation)
{
    struct incident *fresh = planning->fresh;
    int error = 0;

    fresh->changed_ms = planning->now_ms;
    if (what->closes)
        return close_incident(planning);
    if (what->opens)
        incident_note(planning, INCIDENT_OPENED, NULL, NULL, NULL, fresh->title);
    if (what->mutes || what->unmutes) {
        fresh->muted = what->mutes;
        incident_note(planning, what->mutes ? INCIDENT_MUTED : INCIDENT_UNMUTED, NULL, NULL,
                      NULL, NULL);
    }
    if (what->acknowledged)
        acknowledge(planning, sight);
    if (what->reopened) {
        fresh->state = INCIDENT_OPEN;
        incident_note(planning, INCIDENT_UNACK, NULL, NULL, NULL, NULL);
    }
    if ((what->opens || what->reopened) && !what->acknowledged && escalation != NULL)
        incident_begin_steps(fresh, escalation, planning->now_ms);
    if (what->news) {
        incident_note(planning, INCIDENT_NEWS, NULL, NULL, NULL, NULL);
        error = incident_tell_again(planning, true);
    }
    if (error == 0 && escalation != NULL &&
        (what->step || ((what->opens || what->reopened) && fresh->due_ms != 0 &&
                        fresh->due_ms <= planning->now_ms)))
        error = incident_run_step(planning, escalation);
    if (error == 0)
        error = incident_fall_back(planning, what->stuck);
    return error;
}

static void put_change(struct incident_planning *planning)
{
    struct buf row = {0};
    incident_write(planning->fresh, &row);
    puts_add_numbered(planning->puts, INCIDENT_PREFIX, planning->fresh->number, &row);
    for (const struct parcel *at = planning->change->parcels; at != NULL; at = at->next) {
        buf_clear(&row);
        parcel_write(at, &row);
        puts_add_named(planning->puts, OUTBOX_PREFIX, at->id, &row);
    }
    if (planning->change->parcels != NULL)
        passed_told(&planning->notify->passed, planning->group->receiver->name,
                    incident_integration(planning->group), planning->group, planning->puts);
    buf_done(&row);
}

static void free_change(struct incident_change *change)
{
    while (change->parcels != NULL) {
        struct parcel *next = change->parcels->next;
        parcel_free(change->parcels);
        change->parcels = next;
    }
    incident_free(change->fresh);
    free(change);
}

/* One group that an escalation watches, or one incident whose group is gone. */
static int plan_one(struct incident_planning *planning, const struct flush *flush,
                    struct incident_entry *entry)
{
    struct notify *notify = planning->notify;
    const struct group *group = planning->group;
    struct incident_change *change;
    struct incident_sight sight;
    struct happening what;
    int error = incidents_look(group, &planning->mutes, planning->now_ms, &sight);

    if (error != 0)
        return error;
    planning->record = group == NULL ? NULL : &group->records[escalation_index(group)];
    what = what_happens(planning, flush, entry, &sight);
    if (!what.opens && !what.closes && !what.acknowledged && !what.reopened && !what.mutes &&
        !what.unmutes && !what.news && !what.step && what.stuck == NULL)
        return 0;
    change = calloc(1, sizeof *change);
    if (change == NULL)
        return ERR_NOMEM;
    error = make_fresh(notify, group, entry, planning->now_ms, &change->fresh);
    planning->change = change;
    planning->fresh = change->fresh;
    if (error == 0)
        error = do_it(planning, &what, &sight, escalation_of(notify, group, change->fresh));
    if (error != 0) {
        free_change(change);
        return error;
    }
    put_change(planning);
    change->next = notify->turn.incidents;
    notify->turn.incidents = change;
    return 0;
}

/* ---- all of them ------------------------------------------------------------------------- */

static struct group *group_of(const struct notify *notify, const struct incident *incident)
{
    struct group *group =
        groups_find(&notify->groups, incident->group_key, incident->receiver);
    return group != NULL && group->receiver->escalation != NULL ? group : NULL;
}

static void fail(struct incident_planning *planning, int error)
{
    if (error == 0)
        return;
    log_error("notify", "an incident could not be planned, trying again: %s",
              error_text(error));
    planning->puts->failed = true; /* the whole turn is made again */
}

void incident_plan(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now)
{
    struct incident_planning planning = {.notify = notify,
                                         .puts = puts,
                                         .mutes = {&notify->silences, &notify->inhibition},
                                         .now_ms = now_ms,
                                         .now = now};
    const bool answers =
        notify->turn.order != NULL && order_acknowledges(notify->turn.order);
    (void)pthread_mutex_lock(&notify->view_lock);
    if (answers)
        order_exchange(notify, notify->turn.order);
    fail(&planning, inhibition_refresh(&notify->inhibition, &notify->groups));
    incident_find_stuck(notify, now_ms);
    for (struct flush *at = notify->turn.flushes; at != NULL; at = at->next)
        at->group->flushing = at;
    for (struct flush *at = notify->turn.flushes; at != NULL && !puts->failed; at = at->next) {
        if (at->group->receiver->escalation == NULL ||
            incidents_find_group(&notify->incidents, at->group->hash) != NULL)
            continue;
        planning.group = at->group;
        fail(&planning, plan_one(&planning, at, NULL));
    }
    for (struct incident_entry *at = incidents_next(&notify->incidents, NULL);
         at != NULL && !puts->failed; at = incidents_next(&notify->incidents, at)) {
        planning.group = group_of(notify, at->incident);
        fail(&planning,
             plan_one(&planning, planning.group == NULL ? NULL : planning.group->flushing, at));
    }
    for (struct flush *at = notify->turn.flushes; at != NULL; at = at->next)
        at->group->flushing = NULL;
    if (answers)
        order_exchange(notify, notify->turn.order);
    (void)pthread_mutex_unlock(&notify->view_lock);
}

void incident_plan_apply(struct notify *notify, int64_t now_ms, mono_ns now)
{
    while (notify->turn.incidents != NULL) {
        struct incident_change *change = notify->turn.incidents;
        notify->turn.incidents = change->next;
        incident_fallen(change, now_ms);
        while (change->parcels != NULL) {
            struct parcel *parcel = change->parcels;
            change->parcels = parcel->next;
            outbox_put(&notify->outbox, parcel);
        }
        if (incidents_put(&notify->incidents, change->fresh, now_ms, now) == 0)
            change->fresh = NULL;
        else
            log_error("notify", "no memory for incident %llu; a restart finds it again",
                      (unsigned long long)change->fresh->number);
        free_change(change);
    }
}

void incident_plan_forget(struct notify *notify)
{
    while (notify->turn.incidents != NULL) {
        struct incident_change *next = notify->turn.incidents->next;
        free_change(notify->turn.incidents);
        notify->turn.incidents = next;
    }
}

mono_ns incident_plan_next(const struct notify *notify, int64_t now_ms, mono_ns now)
{
    mono_ns next = UINT64_MAX;
    for (const struct incident_entry *at = incidents_next(&notify->incidents, NULL); at != NULL;
         at = incidents_next(&notify->incidents, at)) {
        /* What is due and did not run waits for the end of whatever mutes it. */
        mono_ns due =
            at->due <= now ? now + (mono_ns)MUTED_LOOK_MS * NS_PER_MS : at->due;
        next = due < next ? due : next;
    }
    for (const struct parcel *at = notify->outbox.first; at != NULL; at = at->next) {
        const int64_t left_ms = at->fallback_ms - now_ms;
        mono_ns due;
        if (at->incident == 0 || at->fell_back || at->state != PARCEL_QUEUED ||
            incidents_find(&notify->incidents, at->incident) == NULL)
            continue;
        due = now + (mono_ns)(left_ms < MUTED_LOOK_MS ? MUTED_LOOK_MS : left_ms) * NS_PER_MS;
        next = due < next ? due : next;
    }
    return next;
}
