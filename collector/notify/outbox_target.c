/*
 * outbox_target.c - integrations with a pace, and what goes to them together (outbox.h).
 */
#include <stdlib.h>
#include <string.h>

#include "collector/notify/outbox.h"
#include "collector/notify/outbox_lane.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

static void target_free(struct outbox_target *target)
{
    free(target->receiver);
    free(target->channel);
    free(target);
}

static struct outbox_target *target_new(const char *receiver, const char *channel,
                                        unsigned index)
{
    struct outbox_target *target = calloc(1, sizeof *target);
    if (target == NULL)
        return NULL;
    target->index = index;
    target->receiver = strdup(receiver);
    target->channel = strdup(channel);
    if (target->receiver != NULL && target->channel != NULL)
        return target;
    target_free(target);
    return NULL;
}

static struct outbox_target *find(const struct outbox *outbox, const char *receiver,
                                  const char *channel, unsigned index)
{
    struct outbox_target *at = outbox->targets;
    while (at != NULL && (at->index != index || strcmp(at->receiver, receiver) != 0 ||
                          strcmp(at->channel, channel) != 0))
        at = at->next;
    return at;
}

static struct outbox_target *find_or_make(struct outbox *outbox, const char *receiver,
                                          const char *channel, unsigned index)
{
    struct outbox_target *target = find(outbox, receiver, channel, index);
    if (target != NULL)
        return target;
    target = target_new(receiver, channel, index);
    if (target == NULL)
        return NULL;
    target->next = outbox->targets;
    outbox->targets = target;
    return target;
}

struct outbox_target *outbox_find_target(struct outbox *outbox, const char *receiver,
                                         const char *channel, unsigned index)
{
    struct outbox_target *target = find_or_make(outbox, receiver, channel, index);
    return target == NULL ? &outbox->others : target;
}

int outbox_limit(struct outbox *outbox, const char *receiver, const char *channel,
                 unsigned index, unsigned per_minute, mono_ns now)
{
    struct outbox_target *target = find_or_make(outbox, receiver, channel, index);

    if (target == NULL)
        return ERR_NOMEM;
    if (target->pace.per_minute != per_minute)
        pace_start(&target->pace, per_minute, now);
    return 0;
}

void outbox_forget_targets(struct outbox *outbox)
{
    while (outbox->targets != NULL) {
        struct outbox_target *next = outbox->targets->next;
        target_free(outbox->targets);
        outbox->targets = next;
    }
}

/* Everything older of its lane that is still owed goes with it. */
static bool follows_its_lane(const struct outbox *outbox, const struct parcel *parcel)
{
    const struct parcel *at = lane_first(outbox, parcel->lane);
    if (!parcel->in_lane)
        return true;
    while (at != parcel && at->chosen)
        at = at->lane_next;
    return at == parcel;
}

size_t outbox_together(struct outbox *outbox, struct parcel *head, mono_ns now,
                       struct parcel **ret_parcels, size_t most)
{
    size_t count = 1;

    ret_parcels[0] = head;
    if (head->target->pace.per_minute == 0)
        return 1;
    head->chosen = true;
    for (struct parcel *at = outbox->first; at != NULL && count < most; at = at->next)
        if (at != head && at->target == head->target && at->state == PARCEL_QUEUED &&
            !at->sending && at->next_try <= now && follows_its_lane(outbox, at)) {
            at->chosen = true;
            ret_parcels[count++] = at;
        }
    for (size_t i = 0; i < count; i++)
        ret_parcels[i]->chosen = false;
    return pace_left(&head->target->pace, now, most) >= count ? 1 : count;
}

void outbox_begin(struct outbox *outbox, struct parcel *const *parcels, size_t count,
                  mono_ns now)
{
    for (size_t i = 0; i < count; i++) {
        must(!parcels[i]->sending);
        lane_go(parcels[i]);
        parcels[i]->sending = true;
        parcels[i]->together = i + 1 < count ? parcels[i + 1] : NULL;
    }
    outbox->sending++;
    outbox->crowding += !parcels[0]->shares;
    parcels[0]->target->sending++;
    pace_take(&parcels[0]->target->pace, now);
}

void outbox_finish(struct outbox *outbox, const struct parcel *head, int64_t pause_ms,
                   mono_ns now)
{
    must(head->sending && outbox->sending > 0);
    outbox->sending--;
    outbox->crowding -= !head->shares;
    head->target->sending--;
    if (pause_ms > 0)
        head->target->pace.pause_until = now + (mono_ns)pause_ms * NS_PER_MS;
}
