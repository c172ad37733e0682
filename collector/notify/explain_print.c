/*
 * explain_print.c - the sections of an explanation as JSON; explain.h shows them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "collector/notify/explain_parts.h"

void explain_next_item(struct buf *out)
{
    if (out->size > 0 && out->data[out->size - 1] != '[')
        buf_put_char(out, ',');
}

void explain_put_way(const struct notify *notify, const char *receiver, const char *channel,
                     unsigned index, struct buf *out)
{
    const struct receiver *known = alerting_receiver(notify->alerting, receiver);
    buf_put_text(out, "{\"receiver\":");
    json_put_text(out, receiver);
    json_put_text_member(out, "channel", channel);
    buf_printf(out, ",\"index\":%u", index);
    if (known != NULL && known->person != NULL)
        json_put_text_member(out, "person", known->person->name);
}

/* ---- the alert --------------------------------------------------------------------------- */

void explain_put_head(const struct explaining *all, struct buf *out)
{
    const struct explain_subject *subject = all->subject;
    const struct alert *alert = all->tracked != NULL ? all->tracked->alert : NULL;
    const char *state = all->is_over ? "over" : subject->is_pending ? "pending" : "firing";

    buf_printf(out, "\"fingerprint\":\"%016" PRIx64 "\",\"labels\":", subject->fingerprint);
    json_put_labels(out, all->labels);
    buf_put_text(out, ",\"annotations\":");
    json_put_labels(out, all->annotations);
    buf_printf(out, ",\"state\":\"%s\",\"external\":%s", state,
               alert != NULL && alert->external ? "true" : "false");
    json_put_instant_member(out, "activeAt", subject->active_ms);
    json_put_instant_member(out, "startsAt", alert != NULL ? alert->starts_ms : 0);
    json_put_instant_member(out, "endsAt", alert != NULL ? alert->ends_ms : 0);
    json_put_text_member(out, "generatorURL", alert != NULL ? alert->generator_url : "");
}

/* ---- groups ------------------------------------------------------------------------------ */

static void put_lane(const struct explain_lane *lane, struct buf *out)
{
    explain_next_item(out);
    buf_put_text(out, "{\"channel\":");
    json_put_text(out, lane->integration->channel->name);
    buf_printf(out, ",\"index\":%u,\"sendResolved\":%s,\"told\":%s", lane->integration->index,
               lane->integration->send_resolved ? "true" : "false",
               lane->has_heard ? "true" : "false");
    json_put_instant_member(out, "saidAt", lane->facts.said_ms);
    buf_printf(out, ",\"next\":\"%s\"", outlook_next_text(lane->outlook.next));
    json_put_instant_member(out, "nextAt", lane->outlook.at_ms);
    buf_put_char(out, '}');
}

static int64_t due_of(const struct explaining *all, const struct group *group)
{
    const int64_t in_ms = ((int64_t)group->due - (int64_t)all->now) / (int64_t)NS_PER_MS;
    return all->now_ms + (in_ms > 0 ? in_ms : 0);
}

static void put_group(const struct explaining *all, const struct group *group, struct buf *out)
{
    const struct route *route = group->route;
    const char *names[ROUTE_INTERVALS_MAX];
    const size_t muted = mute_by_time(route, all->now_ms, names);
    size_t firing = 0;

    for (size_t i = 0; i < group->member_count; i++)
        firing += group->members[i]->alert->firing;
    explain_next_item(out);
    buf_put_text(out, "{\"key\":");
    json_put_text(out, group->key);
    json_put_text_member(out, "receiver", group->receiver->name);
    buf_put_text(out, ",\"labels\":");
    json_put_labels(out, group->labels);
    buf_printf(out, ",\"alerts\":%zu,\"firing\":%zu", group->member_count, firing);
    json_put_instant_member(out, "dueAt", due_of(all, group));
    buf_printf(out,
               ",\"dueFor\":\"%s\",\"groupWait\":%" PRId64 ",\"groupInterval\":%" PRId64
               ",\"repeatInterval\":%" PRId64 ",\"mutedBy\":[",
               group->flushed ? "group_interval" : "group_wait", route->group_wait_ms,
               route->group_interval_ms, route->repeat_interval_ms);
    for (size_t i = 0; i < muted; i++) {
        explain_next_item(out);
        json_put_text(out, names[i]);
    }
    buf_put_text(out, "],\"integrations\":[");
    for (size_t i = 0; i < all->lane_count; i++)
        if (all->lanes[i].group == group)
            put_lane(&all->lanes[i], out);
    buf_put_text(out, "]}");
}

/* ---- what mutes it ----------------------------------------------------------------------- */

static void put_silence(const struct silence *silence, int64_t now_ms, struct buf *out)
{
    explain_next_item(out);
    buf_put_text(out, "{\"id\":");
    json_put_text(out, silence->id);
    json_put_text_member(out, "state", silence_state_text(silence_state(silence, now_ms)));
    json_put_text_member(out, "createdBy", silence->created_by);
    json_put_text_member(out, "comment", silence->comment);
    json_put_instant_member(out, "startsAt", silence->starts_ms);
    json_put_instant_member(out, "endsAt", silence->ends_ms);
    buf_put_text(out, ",\"matchers\":[");
    for (size_t i = 0; i < silence->matcher_count; i++) {
        struct buf text = {0};
        route_put_matcher(&text, silence->matchers[i]);
        explain_next_item(out);
        json_put_text(out, buf_text(&text));
        buf_done(&text);
    }
    buf_put_text(out, "]}");
}

static void put_silences(const struct explaining *all, struct buf *out)
{
    buf_put_text(out, ",\"silences\":[");
    for (size_t i = 0; all->muting != NULL && i < all->muting->count; i++)
        if (silence_state(all->muting->silences[i], all->now_ms) != SILENCE_EXPIRED)
            put_silence(all->muting->silences[i], all->now_ms, out);
    buf_put_char(out, ']');
}

static void put_inhibition(const struct explaining *all, struct buf *out)
{
    const struct tracked *source =
        all->is_inhibited ? groups_find_fingerprint(&all->notify->groups, all->inhibited_by)
                          : NULL;
    buf_put_text(out, ",\"inhibitedBy\":[");
    if (source != NULL) {
        buf_printf(out, "{\"fingerprint\":\"%016" PRIx64 "\",\"labels\":", all->inhibited_by);
        json_put_labels(out, source->alert->labels);
        json_put_instant_member(out, "startsAt", source->alert->starts_ms);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_acknowledgement(const struct explaining *all, struct buf *out)
{
    const struct acknowledgement *acknowledgement =
        all->tracked != NULL ? all->tracked->acknowledgement : NULL;
    if (acknowledgement == NULL) {
        buf_put_text(out, ",\"acknowledged\":null");
        return;
    }
    buf_put_text(out, ",\"acknowledged\":{\"by\":");
    json_put_text(out, acknowledgement->by);
    json_put_text_member(out, "comment", acknowledgement->comment);
    json_put_instant_member(out, "at", acknowledgement->at_ms);
    buf_put_char(out, '}');
}

/* ---- what was said ----------------------------------------------------------------------- */

static void put_message(const struct explaining *all, const struct parcel *parcel,
                        struct buf *out)
{
    const bool firing = fingerprints_contain(&parcel->firing, all->subject->fingerprint);

    explain_next_item(out);
    explain_put_way(all->notify, parcel->receiver, parcel->channel, parcel->index, out);
    json_put_text_member(out, "id", parcel->id);
    json_put_text_member(out, "group", parcel->group_key);
    json_put_text_member(out, "tells", firing ? "firing" : "resolved");
    json_put_text_member(out, "state", parcel_state_name(parcel->state));
    json_put_instant_member(out, "createdAt", parcel->created_ms);
    json_put_instant_member(out, "settledAt", parcel->settled_ms);
    buf_printf(out, ",\"attempts\":%u", parcel->attempts);
    json_put_text_member(out, "reason", parcel->reason);
    buf_put_char(out, '}');
}

int explain_put_sections(const struct explaining *all, struct buf *out)
{
    buf_put_text(out, ",\"routes\":");
    route_trace_print(all->steps, all->step_count, out);
    buf_put_text(out, ",\"groups\":[");
    for (size_t i = 0; i < all->group_count; i++)
        put_group(all, all->groups[i], out);
    buf_put_char(out, ']');
    put_silences(all, out);
    put_inhibition(all, out);
    put_acknowledgement(all, out);
    buf_put_text(out, ",\"messages\":[");
    for (size_t i = 0; i < all->ledger->count; i++)
        put_message(all, all->ledger->items[i], out);
    buf_printf(out, "],\"messagesLeftOut\":%zu", all->ledger->left_out);
    return explain_put_incidents(all, out);
}

/* ---- receivers --------------------------------------------------------------------------- */

static size_t owed_to(const struct explain_owed *owed, size_t count, const char *receiver,
                      const struct integration *integration)
{
    for (size_t i = 0; i < count; i++)
        if (owed[i].index == integration->index && strcmp(owed[i].receiver, receiver) == 0 &&
            strcmp(owed[i].channel, integration->channel->name) == 0)
            return owed[i].count;
    return 0;
}

static void put_receivers(const struct receiver *receivers, size_t count,
                          const struct explain_owed *owed, size_t owed_count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        explain_next_item(out);
        buf_put_text(out, "{\"name\":");
        json_put_text(out, receivers[i].name);
        buf_put_text(out, ",\"integrations\":[");
        for (size_t j = 0; j < receivers[i].integration_count; j++) {
            const struct integration *at = &receivers[i].integrations[j];
            explain_next_item(out);
            buf_put_text(out, "{\"channel\":");
            json_put_text(out, at->channel->name);
            buf_printf(out, ",\"index\":%u,\"sendResolved\":%s,\"owed\":%zu}", at->index,
                       at->send_resolved ? "true" : "false",
                       owed_to(owed, owed_count, receivers[i].name, at));
        }
        buf_put_text(out, "]}");
    }
}

void explain_print_receivers(struct notify *notify, const struct explain_owed *owed,
                             size_t owed_count, struct buf *out)
{
    size_t count;
    const struct receiver *receivers = alerting_receivers(notify->alerting, &count);

    buf_put_char(out, '[');
    put_receivers(receivers, count, owed, owed_count, out);
    receivers = alerting_persons(notify->alerting, &count);
    put_receivers(receivers, count, owed, owed_count, out);
    buf_put_char(out, ']');
}
