/*
 * explain.c - see explain.h.
 *
 * First the lanes are worked out (an integration of a group each: was it told, what is next),
 * then everything is printed.  What a group would say at its next flush is outlook.h's; whether
 * it has been said is in the ledger or, where that has been cut, in the group's own record.
 */
#include "collector/notify/explain.h"

#include <inttypes.h>
#include <stdlib.h>

#include "collector/notify/explain_parts.h"
#include "proto/base/error.h"

#define EXPLAIN_ARENA_BYTES ((size_t)16 << 20)
#define MINUTE_MS           ((int64_t)60000)
#define LOOK_AHEAD_MS       ((int64_t)48 * 3600 * 1000) /* for the end of a time interval */
#define NS_PER_MS_I64       ((int64_t)NS_PER_MS)

/* ---- times ------------------------------------------------------------------------------- */

/* When groups of this route are told again; 0: they are told now.  Intervals begin and end with
 * a minute. */
static int64_t out_of_time_until(const struct route *route, int64_t now_ms)
{
    const char *names[ROUTE_INTERVALS_MAX];
    if (mute_by_time(route, now_ms, names) == 0)
        return 0;
    for (int64_t at_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS;
         at_ms < now_ms + LOOK_AHEAD_MS; at_ms += MINUTE_MS)
        if (mute_by_time(route, at_ms, names) == 0)
            return at_ms;
    return OUTLOOK_OPEN;
}

/* When the last of the silences that hold now ends; 0: none does. */
static int64_t silenced_until(const struct muting *muting, int64_t now_ms)
{
    int64_t until_ms = 0;
    for (size_t i = 0; i < muting->count; i++)
        if (silence_state(muting->silences[i], now_ms) == SILENCE_ACTIVE &&
            muting->silences[i]->ends_ms > until_ms)
            until_ms = muting->silences[i]->ends_ms;
    return until_ms;
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

/* ---- lanes ------------------------------------------------------------------------------- */

static bool is_member(const struct group *group, const struct tracked *tracked)
{
    for (size_t i = 0; i < group->member_count; i++)
        if (group->members[i] == tracked)
            return true;
    return false;
}

/* Does somebody have all of it in hand that fires and is not muted? */
static int all_are_acknowledged(const struct explaining *all, const struct group *group,
                                bool *ret_all)
{
    const struct mutes mutes = {&all->notify->silences, &all->notify->inhibition};
    size_t firing = 0, acknowledged = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        struct tracked *member = group->members[i];
        bool muted = false;
        int error;
        if (!member->alert->firing)
            continue;
        error = mutes_look(&mutes, member, all->now_ms, &muted);
        if (error != 0)
            return error;
        firing += !muted;
        acknowledged += !muted && member->acknowledgement != NULL;
    }
    *ret_all = firing > 0 && firing == acknowledged;
    return 0;
}

static void add_lane(struct explaining *all, const struct group *group, size_t i,
                     bool all_acknowledged)
{
    const struct dedup_record *record = &group->records[i];
    const struct integration *integration = &group->receiver->integrations[i];
    const uint64_t fingerprint = all->subject->fingerprint;
    struct explain_lane *lane = &all->lanes[all->lane_count++];
    const int64_t due_in_ms = ((int64_t)group->due - (int64_t)all->now) / NS_PER_MS_I64;

    lane->group = group;
    lane->integration = integration;
    lane->out_of_time_until_ms = out_of_time_until(group->route, all->now_ms);
    lane->facts = (struct outlook_lane){
        .due_ms = all->now_ms + (due_in_ms > 0 ? due_in_ms : 0),
        .interval_ms = group->route->group_interval_ms,
        .repeat_ms = group->route->repeat_interval_ms,
        .is_told = record->said && fingerprints_contain(&record->firing, fingerprint),
        .was_told = record->said && fingerprints_contain(&record->muted, fingerprint),
        .said_ms = record->said_ms,
        .is_acknowledged = all->tracked->acknowledgement != NULL,
        .all_acknowledged = all_acknowledged,
        .muted_until_ms = later(all->muted_until_ms, lane->out_of_time_until_ms),
        .is_over = !all->tracked->alert->firing,
        .owes_end = integration->send_resolved && dedup_owes_end(record, fingerprint),
    };
    lane->outlook = outlook_of(&lane->facts, all->now_ms);
    lane->tells_people = integration->channel == &channel_escalation;
    if (lane->tells_people)
        explain_foresee(all, lane);
}

/* The groups it is in, in the order of the routes it takes. */
static int find_groups(struct explaining *all)
{
    size_t lanes = 0;
    int error = 0;

    all->groups = calloc(all->tracked->group_count + 1, sizeof(struct group *));
    if (all->groups == NULL)
        return ERR_NOMEM;
    for (struct group *at = groups_next(&all->notify->groups, NULL); at != NULL;
         at = groups_next(&all->notify->groups, at)) {
        if (all->group_count == all->tracked->group_count || !is_member(at, all->tracked))
            continue;
        all->groups[all->group_count++] = at;
        lanes += at->receiver->integration_count;
    }
    all->lanes = calloc(lanes + 1, sizeof *all->lanes);
    if (all->lanes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < all->group_count; i++) {
        bool acknowledged = false;
        error = all_are_acknowledged(all, all->groups[i], &acknowledged);
        for (size_t j = 0; error == 0 && j < all->groups[i]->receiver->integration_count; j++)
            add_lane(all, all->groups[i], j, acknowledged);
    }
    return error;
}

static int look_at_mutes(struct explaining *all)
{
    struct notify *notify = all->notify;
    struct muting *muting = all->tracked != NULL ? &all->tracked->muting : &all->own_muting;
    int error = muting_refresh(muting, &notify->silences, all->labels, all->now_ms);

    if (error == 0)
        error = inhibition_refresh(&notify->inhibition, &notify->groups);
    if (error != 0)
        return error;
    all->muting = muting;
    all->is_inhibited = inhibition_holds(&notify->inhibition, all->labels,
                                         all->tracked != NULL ? &all->tracked->inhibited : NULL,
                                         &all->inhibited_by);
    all->silenced_until_ms = silenced_until(muting, all->now_ms);
    all->muted_until_ms = all->is_inhibited ? OUTLOOK_OPEN : all->silenced_until_ms;
    return 0;
}

/* ---- the verdict ------------------------------------------------------------------------- */

/* Of this firing, and not of an earlier one? */
static bool is_of_now(const struct explaining *all, const struct parcel *parcel)
{
    return all->tracked == NULL || parcel->created_ms >= all->tracked->alert->starts_ms;
}

static bool tells_firing(const struct explaining *all, const struct parcel *parcel)
{
    return fingerprints_contain(&parcel->firing, all->subject->fingerprint);
}

static bool is_accepted(const struct parcel *parcel)
{
    /* Of a fallback, what went the other way is another message. */
    return parcel->state == PARCEL_ACCEPTED || parcel->state == PARCEL_DELIVERED;
}

static bool is_same_way(const struct parcel *a, const struct parcel *b)
{
    return a->index == b->index && strcmp(a->receiver, b->receiver) == 0 &&
           strcmp(a->channel, b->channel) == 0;
}

/* Is there a row of this firing to where the lane leads (and was one accepted)? */
static bool ledger_knows(const struct explaining *all, const struct explain_lane *lane,
                         bool accepted)
{
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        if (is_of_now(all, parcel) && tells_firing(all, parcel) &&
            (!accepted || is_accepted(parcel)) && parcel->index == lane->integration->index &&
            strcmp(parcel->receiver, lane->group->receiver->name) == 0 &&
            strcmp(parcel->channel, lane->integration->channel->name) == 0)
            return true;
    }
    return false;
}

/* Has somebody been told by an incident of this group? */
static bool people_have_heard(const struct explaining *all, const struct group *group)
{
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        if (parcel->incident != 0 && is_of_now(all, parcel) && tells_firing(all, parcel) &&
            is_accepted(parcel) && strcmp(parcel->group_key, group->key) == 0)
            return true;
    }
    return false;
}

/* Where the ledger has been cut the group still remembers what it said. */
static bool only_the_group_knows(const struct explaining *all, const struct explain_lane *lane)
{
    return !lane->tells_people && (lane->facts.is_told || lane->facts.was_told) &&
           !ledger_knows(all, lane, false);
}

static void count_facts(const struct explaining *all, struct verdict_facts *facts)
{
    for (size_t i = 0; i < all->lane_count; i++) {
        const struct explain_lane *lane = &all->lanes[i];
        facts->lanes_out_of_time += lane->out_of_time_until_ms > 0;
        facts->told_count += only_the_group_knows(all, lane);
    }
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        if (!is_of_now(all, parcel) || !tells_firing(all, parcel))
            continue;
        facts->told_count += is_accepted(parcel);
        facts->failing_count += parcel->state == PARCEL_QUEUED && parcel->attempts > 0;
        facts->sending_count += parcel->state == PARCEL_QUEUED && parcel->attempts == 0;
    }
}

static void put_way(const struct explaining *all, const struct parcel *parcel, struct buf *out)
{
    explain_put_way(all->notify, parcel->receiver, parcel->channel, parcel->index, out);
}

/* Each way once, with the first and the last time it took one: of the beginning, or of the end.
 */
static void put_told(const struct explaining *all, bool of_end, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        const struct parcel *last = parcel;
        size_t times = 0;
        bool is_first = true;
        for (size_t j = 0; j < all->ledger->count; j++) {
            const struct parcel *other = all->ledger->items[j];
            if (!is_accepted(other) || !is_of_now(all, other) ||
                tells_firing(all, other) == of_end || !is_same_way(parcel, other))
                continue;
            times++;
            last = other;
            is_first = is_first && j >= i;
        }
        if (times == 0 || !is_first || !is_accepted(parcel) || !is_of_now(all, parcel) ||
            tells_firing(all, parcel) == of_end)
            continue;
        explain_next_item(out);
        put_way(all, parcel, out);
        json_put_instant_member(out, "at", parcel->settled_ms);
        json_put_instant_member(out, "lastAt", last->settled_ms);
        buf_printf(out, ",\"times\":%zu}", times);
    }
    for (size_t i = 0; !of_end && i < all->lane_count; i++) {
        const struct explain_lane *lane = &all->lanes[i];
        if (!only_the_group_knows(all, lane))
            continue;
        explain_next_item(out);
        explain_put_way(all->notify, lane->group->receiver->name,
                        lane->integration->channel->name, lane->integration->index, out);
        json_put_instant_member(out, "at", lane->facts.said_ms);
        json_put_instant_member(out, "lastAt", lane->facts.said_ms);
        buf_put_text(out, ",\"times\":1}");
    }
    buf_put_char(out, ']');
}

static void put_undelivered(const struct explaining *all, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < all->ledger->count; i++) {
        const struct parcel *parcel = all->ledger->items[i];
        if (parcel->state != PARCEL_QUEUED)
            continue;
        explain_next_item(out);
        put_way(all, parcel, out);
        json_put_instant_member(out, "since", parcel->created_ms);
        buf_printf(out, ",\"attempts\":%u,\"reason\":", parcel->attempts);
        json_put_text(out, parcel->reason);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

/* The earliest that is to come; NULL if nothing is. */
static const struct explain_lane *next_lane(const struct explaining *all)
{
    const struct explain_lane *next = NULL;
    for (size_t i = 0; i < all->lane_count; i++)
        if (all->lanes[i].outlook.at_ms != 0 &&
            (next == NULL || all->lanes[i].outlook.at_ms < next->outlook.at_ms))
            next = &all->lanes[i];
    return next;
}

static int64_t muted_until(const struct explaining *all, const struct verdict_facts *facts)
{
    int64_t until_ms = all->muted_until_ms;
    if (facts->lane_count > 0 && facts->lanes_out_of_time == facts->lane_count)
        for (size_t i = 0; i < all->lane_count; i++)
            until_ms = later(until_ms, all->lanes[i].out_of_time_until_ms);
    return until_ms == OUTLOOK_OPEN ? 0 : until_ms;
}

static int put_verdict(const struct explaining *all, struct buf *out)
{
    const struct explain_lane *next = next_lane(all);
    struct verdict_facts facts = {
        .is_over = all->is_over,
        .is_pending = all->subject->is_pending,
        .is_tracked = all->tracked != NULL,
        .is_silenced = all->silenced_until_ms > 0,
        .is_inhibited = all->is_inhibited,
        .lane_count = all->lane_count,
    };

    count_facts(all, &facts);
    buf_printf(out,
               ",\"verdict\":{\"code\":\"%s\",\"told\":", verdict_text(verdict_of(&facts)));
    put_told(all, false, out);
    buf_put_text(out, ",\"toldEnd\":");
    put_told(all, true, out);
    buf_put_text(out, ",\"undelivered\":");
    put_undelivered(all, out);
    json_put_instant_member(out, "mutedUntil", muted_until(all, &facts));
    buf_put_text(out, ",\"next\":");
    if (next == NULL) {
        buf_put_text(out, "null}");
        return 0;
    }
    explain_put_way(all->notify, next->group->receiver->name, next->integration->channel->name,
                    next->integration->index, out);
    buf_printf(out, ",\"why\":\"%s\"", outlook_next_text(next->outlook.next));
    json_put_instant_member(out, "at", next->outlook.at_ms);
    const int error = explain_put_next_persons(all, next, out);
    buf_put_text(out, "}}");
    return error;
}

/* ---- all of it --------------------------------------------------------------------------- */

static int gather(struct explaining *all)
{
    const struct explain_subject *subject = all->subject;
    int error = 0;

    all->tracked = groups_find_fingerprint(&all->notify->groups, subject->fingerprint);
    if (subject->is_pending)
        all->tracked = NULL; /* of the last firing, whose end is still to be told */
    all->labels = all->tracked != NULL ? all->tracked->alert->labels : subject->labels;
    all->annotations =
        all->tracked != NULL ? all->tracked->alert->annotations : subject->annotations;
    all->is_over =
        all->tracked != NULL ? !all->tracked->alert->firing : subject->labels == NULL;
    if (all->labels == NULL)
        return all->ledger->count > 0 ? 0 : ERR_NOTFOUND;
    error = look_at_mutes(all);
    if (error == 0)
        error = route_trace(alerting_root(all->notify->alerting), all->labels, &all->steps,
                            &all->step_count);
    if (error == 0 && all->tracked != NULL)
        error = find_groups(all);
    for (size_t i = 0; error == 0 && i < all->lane_count; i++)
        all->lanes[i].has_heard = all->lanes[i].tells_people
                                      ? people_have_heard(all, all->lanes[i].group)
                                      : ledger_knows(all, &all->lanes[i], true) ||
                                            only_the_group_knows(all, &all->lanes[i]);
    return error;
}

int explain_print(struct notify *notify, const struct explain_subject *subject,
                  const struct explain_ledger *ledger, int64_t now_ms, struct buf *out)
{
    struct explaining all = {.notify = notify,
                             .subject = subject,
                             .ledger = ledger,
                             .now_ms = now_ms,
                             .now = clock_mono(notify->clock)};
    struct arena arena;
    int error;

    arena_init(&arena, EXPLAIN_ARENA_BYTES);
    all.arena = &arena;
    error = gather(&all);

    if (error == 0) {
        explain_put_head(&all, out);
        error = put_verdict(&all, out);
    }
    if (error == 0)
        error = explain_put_sections(&all, out);
    if (error == 0 && !buf_ok(out))
        error = ERR_NOMEM;
    arena_reset(&arena);
    muting_done(&all.own_muting);
    free(all.steps);
    free(all.groups);
    free(all.lanes);
    return error;
}
