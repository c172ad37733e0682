/*
 * outbox_target.c - integrations with a pace, and what goes to them together (outbox.h).
 */
#include <stdlib.h>
#include <string.h>

#include "collector/notify/outbox.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

struct outbox_target *outbox_find_target(const struct outbox *outbox,
                                         const struct parcel *parcel)
{
    for (struct outbox_target *at = outbox->targets; at != NULL; at = at->next)
        if (at->index == parcel->index && strcmp(at->receiver, parcel->receiver) == 0 &&
            strcmp(at->channel, parcel->channel) == 0)
            return at;
    return NULL;
}

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

int outbox_limit(struct outbox *outbox, const char *receiver, const char *channel,
                 unsigned index, unsigned per_minute, mono_ns now)
{
    struct outbox_target *at = outbox->targets;

    while (at != NULL && (at->index != index || strcmp(at->receiver, receiver) != 0 ||
                          strcmp(at->channel, channel) != 0))
        at = at->next;
    if (at != NULL) {
        if (at->pace.per_minute != per_minute)
            pace_start(&at->pace, per_minute, now);
        return 0;
    }
    if (per_minute == 0)
        return 0;
    at = target_new(receiver, channel, index);
    if (at == NULL)
        return ERR_NOMEM;
    pace_start(&at->pace, per_minute, now);
    at->next = outbox->targets;
    outbox->targets = at;
    for (struct parcel *parcel = outbox->first; parcel != NULL; parcel = parcel->next)
        parcel->target = outbox_find_target(outbox, parcel);
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
static bool follows_its_lane(const struct outbox *outbox, const struct parcel *parcel,
                             struct parcel *const *chosen, size_t count)
{
    for (const struct parcel *at = outbox->first; at != parcel; at = at->next) {
        bool is_chosen = false;
        if (at->lane != parcel->lane || at->state != PARCEL_QUEUED)
            continue;
        for (size_t i = count; i > 0 && !is_chosen; i--)
            is_chosen = chosen[i - 1] == at;
        if (!is_chosen)
            return false;
    }
    return true;
}

size_t outbox_together(struct outbox *outbox, struct parcel *head, mono_ns now,
                       struct parcel **ret_parcels, size_t most)
{
    size_t count = 1;

    ret_parcels[0] = head;
    if (head->target == NULL)
        return 1;
    for (struct parcel *at = head->next; at != NULL && count < most; at = at->next)
        if (at->target == head->target && at->state == PARCEL_QUEUED && !at->sending &&
            at->next_try <= now && follows_its_lane(outbox, at, ret_parcels, count))
            ret_parcels[count++] = at;
    return pace_left(&head->target->pace, now, most) >= count ? 1 : count;
}

void outbox_begin(struct outbox *outbox, struct parcel *const *parcels, size_t count,
                  mono_ns now)
{
    for (size_t i = 0; i < count; i++) {
        must(!parcels[i]->sending);
        parcels[i]->sending = true;
        parcels[i]->heads = i == 0;
        parcels[i]->together = i + 1 < count ? parcels[i + 1] : NULL;
    }
    outbox->sending++;
    outbox->crowding += !parcels[0]->shares;
    if (parcels[0]->target != NULL)
        pace_take(&parcels[0]->target->pace, now);
}

void outbox_finish(struct outbox *outbox, const struct parcel *head, int64_t pause_ms,
                   mono_ns now)
{
    must(head->sending && outbox->sending > 0);
    outbox->sending--;
    outbox->crowding -= !head->shares;
    if (head->target != NULL && pause_ms > 0)
        head->target->pace.pause_until = now + (mono_ns)pause_ms * NS_PER_MS;
}
