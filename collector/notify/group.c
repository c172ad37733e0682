/*
 * group.c - see group.h.  Rows are in group_row.c.
 */
#include "collector/notify/group.h"

#include <stdlib.h>

#include "collector/notify/group_row.h"
#include "proto/base/error.h"

#define GROUP_ARENA_BYTES ((size_t)1 << 20)
#define GROUPS_END_MAX    512 /* at once: their rows are one write */

uint64_t group_hash(const char *key, const char *receiver)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *key != '\0'; key++)
        hash = (hash ^ (uint8_t)*key) * UINT64_C(1099511628211);
    hash = (hash ^ 0xFF) * UINT64_C(1099511628211);
    for (; *receiver != '\0'; receiver++)
        hash = (hash ^ (uint8_t)*receiver) * UINT64_C(1099511628211);
    return hash;
}

struct tracked *groups_find_alert(const struct groups *groups, const struct labels *labels)
{
    struct tracked *at = groups->tracked[labels->hash % GROUP_BUCKETS];
    for (; at != NULL; at = at->next)
        if (labels_equal(at->alert->labels, labels))
            return at;
    return NULL;
}

struct tracked *groups_find_fingerprint(const struct groups *groups, uint64_t fingerprint)
{
    struct tracked *at = groups->fingerprints[fingerprint % GROUP_BUCKETS];
    while (at != NULL && at->alert->fingerprint != fingerprint)
        at = at->next_fingerprint;
    return at;
}

struct tracked *groups_next_alert(const struct groups *groups, const struct tracked *after)
{
    size_t bucket = 0;
    if (after != NULL) {
        if (after->next != NULL)
            return after->next;
        bucket = after->alert->labels->hash % GROUP_BUCKETS + 1;
    }
    for (; bucket < GROUP_BUCKETS; bucket++)
        if (groups->tracked[bucket] != NULL)
            return groups->tracked[bucket];
    return NULL;
}

struct group *groups_next(const struct groups *groups, const struct group *after)
{
    size_t bucket = 0;
    if (after != NULL) {
        if (after->next != NULL)
            return after->next;
        bucket = after->hash % GROUP_BUCKETS + 1;
    }
    for (; bucket < GROUP_BUCKETS; bucket++)
        if (groups->groups[bucket] != NULL)
            return groups->groups[bucket];
    return NULL;
}

static void group_free(struct group *group)
{
    for (size_t i = 0; group->records != NULL && i < group->receiver->integration_count; i++)
        dedup_record_done(&group->records[i]);
    for (size_t i = 0; i < group->member_count; i++)
        group->members[i]->group_count--;
    free(group->records);
    free(group->members);
    free(group->key);
    labels_free(group->labels);
    free(group);
}

void groups_remove(struct groups *groups, struct group *group)
{
    struct group **at = &groups->groups[group->hash % GROUP_BUCKETS];
    while (*at != group)
        at = &(*at)->next;
    *at = group->next;
    groups->group_count--;
    group_free(group);
}

struct group *groups_find_hash(const struct groups *groups, uint64_t hash)
{
    struct group *at = groups->groups[hash % GROUP_BUCKETS];
    while (at != NULL && at->hash != hash)
        at = at->next;
    return at;
}

struct group *groups_find(const struct groups *groups, const char *key, const char *receiver)
{
    uint64_t hash = group_hash(key, receiver);
    struct group *at = groups->groups[hash % GROUP_BUCKETS];
    for (; at != NULL; at = at->next)
        if (at->hash == hash && strcmp(at->receiver->name, receiver) == 0 &&
            strcmp(at->key, key) == 0)
            return at;
    return NULL;
}

struct dedup_record *groups_find_record(const struct groups *groups, const char *key,
                                        const char *receiver, const char *channel,
                                        unsigned index, struct group **ret_group)
{
    struct group *at = groups_find(groups, key, receiver);
    for (size_t i = 0; at != NULL && i < at->receiver->integration_count; i++) {
        const struct integration *integration = &at->receiver->integrations[i];
        if (integration->index == index && strcmp(integration->channel->name, channel) == 0) {
            *ret_group = at;
            return &at->records[i];
        }
    }
    return NULL;
}

/* A new group's first flush, or the one that was planned before a restart. */
static void plan_first_flush(struct groups *groups, struct group *group,
                             const struct alert *alert, int64_t now_ms, mono_ns now)
{
    struct group_memory *memory = group_row_recall(groups, group->hash);
    int64_t longest_ms = group->route->group_wait_ms, wait_ms = longest_ms;

    if (alert->starts_ms + wait_ms < now_ms)
        wait_ms = 0;
    if (memory != NULL && group_row_restore(memory, group) == 0) {
        wait_ms = memory->due_ms - now_ms;
        if (group->flushed)
            longest_ms = group->route->group_interval_ms;
        wait_ms = wait_ms < 0 ? 0 : wait_ms > longest_ms ? longest_ms : wait_ms;
    }
    if (memory != NULL)
        group_row_forget(groups, memory);
    group->due = now + (mono_ns)wait_ms * NS_PER_MS;
}

static int make_group(struct groups *groups, const struct route *route, const char *key,
                      const struct labels *labels, struct group **ret_group)
{
    struct group *group = calloc(1, sizeof *group);
    int error = ERR_NOMEM;

    if (group == NULL)
        return ERR_NOMEM;
    group->receiver = route->receiver;
    group->route = route;
    group->hash = group_hash(key, route->receiver->name);
    group->key = strdup(key);
    group->records = calloc(route->receiver->integration_count + 1, sizeof *group->records);
    if (group->key != NULL && group->records != NULL)
        error = labels_build(labels->pairs, labels->count, NULL, &group->labels);
    if (error != 0) {
        group_free(group);
        return error;
    }
    group->dirty = true;
    group->next = groups->groups[group->hash % GROUP_BUCKETS];
    groups->groups[group->hash % GROUP_BUCKETS] = group;
    groups->group_count++;
    *ret_group = group;
    return 0;
}

static int add_member(struct group *group, struct tracked *tracked)
{
    for (size_t i = 0; i < group->member_count; i++)
        if (group->members[i] == tracked)
            return 0;
    if (group->member_count == group->member_capacity) {
        size_t capacity = group->member_capacity == 0 ? 4 : group->member_capacity * 2;
        struct tracked **longer = realloc(group->members, capacity * sizeof(struct tracked *));
        if (longer == NULL)
            return ERR_NOMEM;
        group->members = longer;
        group->member_capacity = capacity;
    }
    group->members[group->member_count++] = tracked;
    tracked->group_count++;
    return 0;
}

static int enter_group(struct groups *groups, const struct route *route,
                       struct tracked *tracked, bool only_if_remembered, int64_t now_ms,
                       mono_ns now)
{
    const struct labels *labels = NULL;
    struct arena arena;
    struct buf key = {0};
    struct group *group = NULL;
    int error;

    arena_init(&arena, GROUP_ARENA_BYTES);
    error = route_group_labels(route, tracked->alert->labels, &arena, &labels);
    if (error == 0) {
        route_group_key(route, labels, &key);
        error = buf_ok(&key) ? 0 : ERR_NOMEM;
    }
    if (error == 0)
        group = groups_find(groups, buf_text(&key), route->receiver->name);
    if (error == 0 && group == NULL && only_if_remembered &&
        group_row_recall(groups, group_hash(buf_text(&key), route->receiver->name)) == NULL) {
        buf_done(&key);
        arena_reset(&arena);
        return 0;
    }
    if (error == 0 && group == NULL) {
        error = make_group(groups, route, buf_text(&key), labels, &group);
        if (error == 0)
            plan_first_flush(groups, group, tracked->alert, now_ms, now);
    }
    if (error == 0)
        error = add_member(group, tracked);
    buf_done(&key);
    arena_reset(&arena);
    return error;
}

int groups_enter(struct groups *groups, const struct route *route, struct tracked *tracked,
                 int64_t now_ms, mono_ns now)
{
    return enter_group(groups, route, tracked, false, now_ms, now);
}

int groups_reenter(struct groups *groups, const struct route *route, struct tracked *tracked,
                   int64_t now_ms, mono_ns now)
{
    return enter_group(groups, route, tracked, true, now_ms, now);
}

static int enter_groups(struct groups *groups, const struct route *root,
                        struct tracked *tracked, int64_t now_ms, mono_ns now)
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    size_t count = route_match(root, tracked->alert->labels, routes);
    for (size_t i = 0; i < count; i++) {
        int error = groups_enter(groups, routes[i], tracked, now_ms, now);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Alertmanager's merge (types.go Alert.Merge): activities that overlap are one; the earliest
 * start counts, and an end that somebody named beats one that is a timeout. */
static struct alert merged(const struct alert *old, struct alert fresh, int64_t now_ms)
{
    const bool overlaps = (fresh.ends_ms > old->starts_ms && fresh.ends_ms < old->ends_ms) ||
                          (fresh.starts_ms > old->starts_ms && fresh.starts_ms < old->ends_ms);

    fresh.firing = fresh.ends_ms > now_ms;
    if (!overlaps)
        return fresh;
    if (old->starts_ms < fresh.starts_ms)
        fresh.starts_ms = old->starts_ms;
    if (old->ends_ms > fresh.ends_ms && (fresh.firing ? !old->ends_by_timeout : !old->firing)) {
        fresh.ends_ms = old->ends_ms;
        fresh.ends_by_timeout = old->ends_by_timeout;
    }
    return fresh;
}

/* An acknowledgement is one firing's; of a posted alert the start may turn out to be earlier.
 */
static void end_acknowledgement(struct tracked *tracked)
{
    const struct alert *alert = tracked->alert;
    if (tracked->acknowledgement == NULL ||
        ((alert->firing || alert->hold_until_ms > 0) &&
         alert->starts_ms <= tracked->acknowledgement->starts_ms))
        return;
    acknowledgement_free(tracked->acknowledgement);
    tracked->acknowledgement = NULL;
    tracked->acknowledgement_over = true;
}

static int track(struct groups *groups, const struct alert *alert, struct tracked **ret_tracked)
{
    struct tracked **bucket = &groups->tracked[alert->labels->hash % GROUP_BUCKETS];
    struct tracked **other = &groups->fingerprints[alert->fingerprint % GROUP_BUCKETS];
    struct tracked *tracked = calloc(1, sizeof *tracked);
    int error;

    if (tracked == NULL)
        return ERR_NOMEM;
    error = alert_copy(alert, &tracked->alert);
    if (error != 0) {
        free(tracked);
        return error;
    }
    tracked->next = *bucket;
    *bucket = tracked;
    tracked->next_fingerprint = *other;
    *other = tracked;
    groups->tracked_count++;
    groups->version++;
    *ret_tracked = tracked;
    return 0;
}

int groups_take_alert(struct groups *groups, const struct route *root,
                      const struct alert *alert, int64_t now_ms, mono_ns now)
{
    struct tracked *tracked = groups_find_alert(groups, alert->labels);
    struct alert fresh = *alert, *copy = NULL;
    int error;

    if (alert->external && tracked != NULL) {
        if (!tracked->alert->external && tracked->alert->firing)
            return 0; /* our own rule knows better */
        fresh = merged(tracked->alert, fresh, now_ms);
    }
    /* It is back before its end was told: as far as anybody knows it fires on. */
    if (tracked != NULL && fresh.firing && !tracked->alert->firing &&
        alert_is_open(tracked->alert, now_ms))
        fresh.starts_ms = tracked->alert->starts_ms;
    if (tracked == NULL && !fresh.firing)
        return 0; /* its beginning was never heard, or its end was told long ago */
    if (tracked == NULL) {
        error = track(groups, &fresh, &tracked);
        if (error != 0)
            return error;
    } else {
        error = alert_copy(&fresh, &copy);
        if (error != 0)
            return error;
        groups->version += tracked->alert->firing != copy->firing;
        alert_free(tracked->alert);
        tracked->alert = copy;
    }
    end_acknowledgement(tracked);
    tracked->dirty = true;
    return enter_groups(groups, root, tracked, now_ms, now);
}

int64_t groups_end_overdue(struct groups *groups, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    size_t ended = 0;
    for (struct tracked *at = groups_next_alert(groups, NULL); at != NULL;
         at = groups_next_alert(groups, at)) {
        struct alert *alert = at->alert;
        if (!alert->external || !alert->firing)
            continue;
        if (alert->ends_ms > now_ms || ended == GROUPS_END_MAX) {
            next_ms = alert->ends_ms < next_ms ? alert->ends_ms : next_ms;
            continue;
        }
        alert->firing = false;
        groups->version++;
        at->dirty = true;
        ended++;
        end_acknowledgement(at);
    }
    return next_ms;
}

/* Ends that were named before the clock was set are on the old time; those that came since are
 * not, and lie where a firing alert's may. */
static bool is_on_old_time(const struct alert *alert, int64_t shift_ms, int64_t now_ms)
{
    if (!alert->external || !alert->firing)
        return false;
    return alert->ends_by_timeout ||
           (shift_ms > 0 ? alert->ends_ms <= now_ms : alert->updated_ms > now_ms);
}

void groups_shift(struct groups *groups, int64_t shift_ms, int64_t now_ms)
{
    for (struct tracked *at = groups_next_alert(groups, NULL); at != NULL;
         at = groups_next_alert(groups, at)) {
        if (at->alert->hold_until_ms != 0) {
            at->alert->hold_until_ms += shift_ms;
            at->dirty = true;
        }
        if (!is_on_old_time(at->alert, shift_ms, now_ms))
            continue;
        at->alert->ends_ms += shift_ms;
        at->alert->updated_ms += shift_ms;
        at->dirty = true;
    }
    for (struct group *at = groups_next(groups, NULL); at != NULL;
         at = groups_next(groups, at)) {
        for (size_t i = 0; i < at->receiver->integration_count; i++)
            at->records[i].said_ms += shift_ms;
        at->dirty = true;
    }
}

static void drop_tracked(struct groups *groups, struct tracked *tracked)
{
    struct tracked **at = &groups->tracked[tracked->alert->labels->hash % GROUP_BUCKETS];
    while (*at != tracked)
        at = &(*at)->next;
    *at = tracked->next;
    at = &groups->fingerprints[tracked->alert->fingerprint % GROUP_BUCKETS];
    while (*at != tracked)
        at = &(*at)->next_fingerprint;
    *at = tracked->next_fingerprint;
    groups->tracked_count--;
    groups->version++;
    alert_free(tracked->alert);
    acknowledgement_free(tracked->acknowledgement);
    muting_done(&tracked->muting);
    inhibited_done(&tracked->inhibited);
    free(tracked);
}

size_t group_drop_ended(struct groups *groups, struct group *group, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        struct tracked *member = group->members[i];
        if (alert_is_open(member->alert, now_ms))
            group->members[kept++] = member;
        else if (--member->group_count == 0)
            drop_tracked(groups, member);
    }
    group->member_count = kept;
    return kept;
}

int groups_unroute(struct groups *groups, int64_t now_ms, mono_ns now)
{
    struct buf row = {0};
    struct group *group = NULL;
    int error = 0;

    for (struct group *at = groups_next(groups, NULL); error == 0 && at != NULL;
         at = groups_next(groups, at)) {
        buf_clear(&row);
        group_write(at, now_ms, now, &row);
        error = buf_ok(&row) ? groups_remember(groups, buf_bytes(&row)) : ERR_NOMEM;
    }
    buf_done(&row);
    while (error == 0 && (group = groups_next(groups, NULL)) != NULL)
        groups_remove(groups, group);
    return error;
}

int groups_route_all(struct groups *groups, const struct route *root, int64_t now_ms,
                     mono_ns now)
{
    int error = 0;
    for (struct tracked *at = groups_next_alert(groups, NULL); error == 0 && at != NULL;
         at = groups_next_alert(groups, at))
        error = enter_groups(groups, root, at, now_ms, now);
    return error;
}

void groups_free(struct groups *groups)
{
    struct group *group;
    struct tracked *tracked;
    while ((group = groups_next(groups, NULL)) != NULL)
        groups_remove(groups, group);
    while ((tracked = groups_next_alert(groups, NULL)) != NULL)
        drop_tracked(groups, tracked);
    for (size_t i = 0; i < GROUP_BUCKETS; i++)
        while (groups->memories[i] != NULL)
            group_row_forget(groups, groups->memories[i]);
}
