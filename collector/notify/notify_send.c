/*
 * notify_send.c - from the outbox to the channels: transfers begin, and their verdicts.
 */
#include <stdlib.h>

#include "collector/notify/notify_parts.h"
#include "collector/notify/trial.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define TOGETHER_MAX 512 /* messages one transfer may tell of */

static bool is_live(const struct notify *notify, const struct parcel *parcel)
{
    for (struct tracked *at = groups_next_alert(&notify->groups, NULL); at != NULL;
         at = groups_next_alert(&notify->groups, at))
        if (at->alert->firing && fingerprints_contain(&parcel->firing, at->alert->fingerprint))
            return true;
    return false;
}

/* Logged at the first failure and at the end of the story, not at every try. */
static void log_verdict(const struct parcel *parcel, const struct client_verdict *verdict)
{
    if (parcel->state == PARCEL_FAILED)
        log_error("notify", "giving up message %s to %s (%s %u) after %u tries: %s", parcel->id,
                  parcel->receiver, parcel->channel, parcel->index, parcel->attempts,
                  verdict->why.text);
    else if (!verdict->accepted && parcel->attempts == 1)
        log_warn("notify", "message %s to %s (%s %u) not accepted, trying again: %s",
                 parcel->id, parcel->receiver, parcel->channel, parcel->index,
                 verdict->why.text);
    else if (verdict->accepted && verdict->why.text[0] != '\0')
        log_warn("notify", "message %s to %s (%s %u) accepted, but %s", parcel->id,
                 parcel->receiver, parcel->channel, parcel->index, verdict->why.text);
    else if (verdict->accepted && parcel->attempts > 1)
        log_info("notify", "message %s to %s (%s %u) accepted after %u tries", parcel->id,
                 parcel->receiver, parcel->channel, parcel->index, parcel->attempts);
}

static void settle(struct notify *notify, struct parcel *parcel,
                   const struct client_verdict *verdict)
{
    bool live = !verdict->accepted && is_live(notify, parcel);
    outbox_settle(parcel, verdict, live, clock_unix_ms(notify->clock),
                  clock_mono(notify->clock));
    log_verdict(parcel, verdict);
    (void)pthread_mutex_lock(&notify->lock);
    if (verdict->accepted)
        notify->stats.notifications_sent++;
    else if (parcel->state == PARCEL_FAILED)
        notify->stats.notifications_failed++;
    else
        notify->stats.notifications_retried++;
    (void)pthread_mutex_unlock(&notify->lock);
}

/* The whole chain of parcels that one transfer carried. */
static void settle_all(struct notify *notify, struct parcel *head,
                       const struct client_verdict *verdict)
{
    outbox_finish(&notify->outbox, head, verdict->pause_ms, clock_mono(notify->clock));
    health_note(&notify->health, head->receiver, head->channel, head->index, verdict,
                clock_mono(notify->clock));
    for (struct parcel *at = head, *next; at != NULL; at = next) {
        next = at->together;
        at->together = NULL;
        settle(notify, at, verdict);
    }
}

static delivery_done on_delivered;

static const struct integration *find_integration(const struct notify *notify,
                                                  const struct parcel *parcel)
{
    const struct receiver *receiver = alerting_receiver(notify->alerting, parcel->receiver);
    for (size_t i = 0; receiver != NULL && i < receiver->integration_count; i++)
        if (receiver->integrations[i].index == parcel->index &&
            strcmp(receiver->integrations[i].channel->name, parcel->channel) == 0)
            return &receiver->integrations[i];
    return NULL;
}

/* Nobody to try it on: it is over at once, whatever its age. */
static void give_up(struct notify *notify, struct parcel *parcel)
{
    struct client_verdict verdict = {0};

    (void)diagnose(&verdict.why, ERR_NOTFOUND, "its receiver is no longer configured");
    outbox_begin(&notify->outbox, &parcel, 1, clock_mono(notify->clock));
    outbox_finish(&notify->outbox, parcel, 0, 0);
    parcel->created_ms = INT64_MIN / 2;
    outbox_settle(parcel, &verdict, false, clock_unix_ms(notify->clock),
                  clock_mono(notify->clock));
    log_verdict(parcel, &verdict);
}

/* One transfer of the first parcels, as many as its channel takes together. */
static int start(struct notify *notify, const struct integration *integration,
                 struct parcel *const *parcels, size_t count, struct diagnosis *why)
{
    const struct channel *channel = integration->channel;
    struct bytes body = {parcels[0]->body, parcels[0]->body_size};
    struct bytes bodies[TOGETHER_MAX];
    struct buf joined = {0};
    int error = 0;

    if (channel->join != NULL) {
        for (size_t i = 0; i < count; i++)
            bodies[i] = (struct bytes){parcels[i]->body, parcels[i]->body_size};
        count = channel->fit(integration->settings, bodies, count);
        error = channel->join(integration->settings, bodies, count, &joined);
        body = buf_bytes(&joined);
    } else {
        count = 1;
    }
    parcels[0]->shares = channel->is_session;
    outbox_begin(&notify->outbox, parcels, count, clock_mono(notify->clock));
    parcels[0]->owner = notify;
    if (error == 0)
        error = delivery_start(
            notify->delivery,
            &(struct delivery_order){
                .channel = channel,
                .settings = integration->settings,
                .id = parcels[0]->id,
                .body = body,
                .progress = {parcels[0]->progress, parcels[0]->progress_size}},
            on_delivered, parcels[0], why);
    buf_done(&joined);
    return error;
}

/* The group it speaks of: that of the incident, where it goes to a person. */
static const struct group *group_of(const struct notify *notify, const struct parcel *parcel)
{
    const struct incident_entry *entry =
        parcel->incident == 0 ? NULL : incidents_find(&notify->incidents, parcel->incident);
    return groups_find(&notify->groups, parcel->group_key,
                       entry == NULL ? parcel->receiver : entry->incident->receiver);
}

/* Somebody has said of all of it "I am on it": whoever was to be told next need not be. */
static bool is_acknowledged(const struct notify *notify, const struct parcel *parcel)
{
    if (parcel->incident == 0 || parcel->tells_end || parcel->firing.count == 0)
        return false;
    for (size_t i = 0; i < parcel->firing.count; i++) {
        const struct tracked *at =
            groups_find_fingerprint(&notify->groups, parcel->firing.items[i]);
        if (at != NULL && at->alert->firing && at->acknowledgement == NULL)
            return false;
    }
    return true;
}

/* Everything it says is silenced, inhibited or out of time by now, and it tells no end.  A
 * receiver that was down must not hear hours into a silence what the silence was set for. */
static bool is_muted(struct notify *notify, const struct parcel *parcel)
{
    const int64_t now_ms = clock_unix_ms(notify->clock);
    const struct mutes mutes = {&notify->silences, &notify->inhibition};
    const struct group *group;
    const char *names[ROUTE_INTERVALS_MAX];
    bool all;

    if (parcel->tells_end || parcel->firing.count == 0)
        return false;
    group = group_of(notify, parcel);
    if (group != NULL && mute_by_time(group->route, now_ms, names) > 0)
        return true;
    if (!mutes_exist(&mutes))
        return false;
    (void)pthread_mutex_lock(&notify->view_lock);
    all = inhibition_refresh(&notify->inhibition, &notify->groups) == 0;
    for (size_t i = 0; all && i < parcel->firing.count; i++) {
        bool muted = false;
        struct tracked *at = groups_find_fingerprint(&notify->groups, parcel->firing.items[i]);
        all = at != NULL && mutes_look(&mutes, at, now_ms, &muted) == 0 && muted;
    }
    (void)pthread_mutex_unlock(&notify->view_lock);
    return all;
}

/* What it was to tell counts as muted, not as told: else it would never be said if the
 * reason is over before its group is looked at again. */
static int forget_telling(struct notify *notify, const struct parcel *parcel)
{
    const struct incident_entry *entry =
        parcel->incident == 0 ? NULL : incidents_find(&notify->incidents, parcel->incident);
    struct group *group = NULL;
    struct dedup_record *record;
    int error = 0;

    (void)pthread_mutex_lock(&notify->view_lock);
    if (entry != NULL) /* all its people hear of it again when the reason is over */
        record = groups_find_record(&notify->groups, parcel->group_key,
                                    entry->incident->receiver, channel_escalation.name, 0,
                                    &group);
    else
        record = groups_find_record(&notify->groups, parcel->group_key, parcel->receiver,
                                    parcel->channel, parcel->index, &group);
    if (record != NULL)
        error = dedup_take_back(record, &parcel->firing);
    if (record != NULL && error == 0)
        group->dirty = true; /* its row is in the same write as the parcel's */
    (void)pthread_mutex_unlock(&notify->view_lock);
    return error;
}

/* Takes it back if it is muted or needless; returns whether it did. */
static bool withdraw_muted(struct notify *notify, struct parcel *parcel)
{
    parcel->silences_version = notify->silences.version;
    if (is_acknowledged(notify, parcel)) {
        outbox_withdraw(parcel, "acknowledged before it was accepted",
                        clock_unix_ms(notify->clock));
        return true;
    }
    if (!is_muted(notify, parcel) || forget_telling(notify, parcel) != 0)
        return false;
    outbox_withdraw(parcel, "silenced, inhibited or out of time before it was accepted",
                    clock_unix_ms(notify->clock));
    return true;
}

static void send_parcel(struct notify *notify, struct parcel *head)
{
    const struct integration *integration = find_integration(notify, head);
    struct client_verdict verdict = {.recoverable = true};
    struct parcel *parcels[TOGETHER_MAX];
    size_t count, kept = 1;
    int error;

    if (integration == NULL) {
        give_up(notify, head);
        return;
    }
    parcels[0] = head;
    count = 1;
    if (head->progress_size == 0) /* what has begun goes on as it began */
        count = outbox_together(&notify->outbox, head, clock_mono(notify->clock), parcels,
                                TOGETHER_MAX);
    for (size_t i = 1; i < count; i++) /* the head has been looked at */
        if (!withdraw_muted(notify, parcels[i]))
            parcels[kept++] = parcels[i];
    error = start(notify, integration, parcels, kept, &verdict.why);
    if (error == 0)
        return;
    if (verdict.why.text[0] == '\0')
        (void)diagnose(&verdict.why, error, "%s", error_text(error));
    settle_all(notify, head, &verdict);
}

/* While a write is under way what is committed already may go: waiting for the disk between any
 * two messages is what makes a storm long.  What needs a row of its own waits for the turn, and so
 * does an escalation, which the write may be changing. */
static void send_meanwhile(struct notify *notify)
{
    struct parcel *parcel;
    while (!notify->closing &&
           (parcel = outbox_due(&notify->outbox, clock_mono(notify->clock))) != NULL &&
           parcel->target->pace.per_minute == 0 && parcel->incident == 0 &&
           !is_muted(notify, parcel))
        send_parcel(notify, parcel);
}

static void on_delivered(void *context, const struct client_verdict *verdict)
{
    struct parcel *head = context; /* stays in the outbox while it is under way */
    struct notify *notify = head->owner;
    settle_all(notify, head, verdict);
    if (notify->turn.running)
        send_meanwhile(notify);
    notify_turn(notify);
}

bool notify_send_due(struct notify *notify)
{
    struct parcel *parcel;

    /* Silences have changed: at once, for what it tells of may be over when it is due. */
    if (notify->silences_seen != notify->silences.version)
        for (struct parcel *at = notify->outbox.first; at != NULL; at = at->next)
            if (at->state == PARCEL_QUEUED && !at->sending &&
                at->silences_version != notify->silences.version)
                (void)withdraw_muted(notify, at);
    notify->silences_seen = notify->silences.version;
    while ((parcel = outbox_due(&notify->outbox, clock_mono(notify->clock))) != NULL)
        if (!withdraw_muted(notify, parcel))
            send_parcel(notify, parcel);
    if (notify->outbox.sending == 0 && !trials_are_under_way(notify))
        notify_drop_retired(notify);
    return notify->outbox.dirty != NULL;
}

static int set_paces(struct notify *notify, const struct receiver *receivers, size_t count,
                     mono_ns now)
{
    int error = 0;
    for (size_t i = 0; i < count; i++) {
        const struct receiver *receiver = &receivers[i];
        for (size_t j = 0; error == 0 && j < receiver->integration_count; j++) {
            const struct integration *integration = &receiver->integrations[j];
            error = outbox_limit(&notify->outbox, receiver->name, integration->channel->name,
                                 integration->index, integration->per_minute, now);
        }
    }
    return error;
}

int notify_set_paces(struct notify *notify)
{
    const mono_ns now = clock_mono(notify->clock);
    size_t count;
    const struct receiver *receivers = alerting_receivers(notify->alerting, &count);
    int error = set_paces(notify, receivers, count, now);
    if (error != 0)
        return error;
    receivers = alerting_persons(notify->alerting, &count);
    return set_paces(notify, receivers, count, now);
}
