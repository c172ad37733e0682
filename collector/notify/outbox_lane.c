/*
 * outbox_lane.c - see outbox_lane.h.
 *
 * The heap is Fredman's pairing heap; `heap_back` is the left sibling or, of a first child, the
 * parent, so that any node can be taken out.
 */
#include "collector/notify/outbox_lane.h"

#include <string.h>

#include "proto/base/must.h"

/* ---- heap -------------------------------------------------------------------------------- */

static bool goes_before(const struct parcel *a, const struct parcel *b)
{
    if (a->next_try != b->next_try)
        return a->next_try < b->next_try;
    return strcmp(a->id, b->id) < 0;
}

static struct parcel *meld(struct parcel *a, struct parcel *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (goes_before(b, a)) {
        struct parcel *other = a;
        a = b;
        b = other;
    }
    b->heap_back = a;
    b->heap_next = a->heap_child;
    if (a->heap_child != NULL)
        a->heap_child->heap_back = b;
    a->heap_child = b;
    return a;
}

/* Children that lost their parent: in pairs from the left, then together from the right. */
static struct parcel *meld_all(struct parcel *first)
{
    struct parcel *pairs = NULL, *root = NULL;

    while (first != NULL) {
        struct parcel *a = first, *b = a->heap_next;
        first = b == NULL ? NULL : b->heap_next;
        a->heap_next = NULL;
        if (b != NULL)
            b->heap_next = NULL;
        a = meld(a, b);
        a->heap_next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct parcel *next = pairs->heap_next;
        pairs->heap_next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    if (root != NULL)
        root->heap_back = NULL;
    return root;
}

static void heap_add(struct parcel *parcel)
{
    must(!parcel->waits);
    parcel->waits = true;
    parcel->heap_child = parcel->heap_next = parcel->heap_back = NULL;
    parcel->target->top = meld(parcel->target->top, parcel);
}

static void heap_remove(struct parcel *parcel)
{
    struct outbox_target *target = parcel->target;

    if (!parcel->waits)
        return;
    parcel->waits = false;
    if (target->top == parcel) {
        target->top = meld_all(parcel->heap_child);
        return;
    }
    if (parcel->heap_back->heap_child == parcel)
        parcel->heap_back->heap_child = parcel->heap_next;
    else
        parcel->heap_back->heap_next = parcel->heap_next;
    if (parcel->heap_next != NULL)
        parcel->heap_next->heap_back = parcel->heap_back;
    target->top = meld(target->top, meld_all(parcel->heap_child));
}

/* ---- lanes ------------------------------------------------------------------------------- */

static struct parcel **place_of(struct outbox *outbox, uint64_t lane)
{
    struct parcel **at = &outbox->lanes[lane % OUTBOX_LANE_BUCKETS];
    while (*at != NULL && (*at)->lane != lane)
        at = &(*at)->bucket_next;
    return at;
}

struct parcel *lane_first(const struct outbox *outbox, uint64_t lane)
{
    struct parcel *at = outbox->lanes[lane % OUTBOX_LANE_BUCKETS];
    while (at != NULL && at->lane != lane)
        at = at->bucket_next;
    return at;
}

/* The first of the lane at `place` is `parcel` from now on. */
static void lead(struct parcel **place, struct parcel *parcel, struct parcel *bucket_next,
                 struct parcel *last)
{
    *place = parcel;
    parcel->bucket_next = bucket_next;
    parcel->lane_last = last;
    if (!parcel->sending)
        heap_add(parcel);
}

void lane_enter(struct parcel *parcel)
{
    struct parcel **place = place_of(parcel->box, parcel->lane), *first = *place, *at;

    if (parcel->yields) {
        heap_add(parcel);
        return;
    }
    parcel->in_lane = true;
    parcel->lane_next = NULL;
    if (first == NULL) {
        lead(place, parcel, NULL, parcel);
        return;
    }
    if (strcmp(parcel->id, first->id) < 0) {
        heap_remove(first);
        parcel->lane_next = first;
        lead(place, parcel, first->bucket_next, first->lane_last);
        return;
    }
    at = strcmp(parcel->id, first->lane_last->id) < 0 ? first : first->lane_last;
    while (at->lane_next != NULL && strcmp(at->lane_next->id, parcel->id) <= 0)
        at = at->lane_next;
    parcel->lane_next = at->lane_next;
    at->lane_next = parcel;
    if (first->lane_last == at)
        first->lane_last = parcel;
}

void lane_leave(struct parcel *parcel)
{
    struct parcel **place = place_of(parcel->box, parcel->lane), *first = *place, *at = first;

    heap_remove(parcel);
    if (!parcel->in_lane)
        return;
    parcel->in_lane = false;
    if (first == parcel) {
        *place = parcel->bucket_next;
        if (parcel->lane_next != NULL)
            lead(place, parcel->lane_next, parcel->bucket_next, parcel->lane_last);
        return;
    }
    while (at != NULL && at->lane_next != parcel)
        at = at->lane_next;
    must(at != NULL);
    at->lane_next = parcel->lane_next;
    if (first->lane_last == parcel)
        first->lane_last = at;
}

void lane_go(struct parcel *parcel)
{
    heap_remove(parcel);
}

void lane_wait(struct parcel *parcel)
{
    if (parcel->in_lane && parcel->yields)
        lane_leave(parcel);
    if (!parcel->in_lane)
        lane_enter(parcel);
    else if (!parcel->waits && lane_first(parcel->box, parcel->lane) == parcel)
        heap_add(parcel);
}
