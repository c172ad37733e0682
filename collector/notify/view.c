/*
 * view.c - see view.h.
 */
#include "collector/notify/view.h"

#include <stdlib.h>
#include <time.h>

#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"

void view_begin(struct notify *notify)
{
    (void)pthread_mutex_lock(&notify->view_lock);
}

void view_end(struct notify *notify)
{
    (void)pthread_mutex_unlock(&notify->view_lock);
}

static bool is_shown(const struct tracked *tracked, int64_t now_ms)
{
    const struct alert *alert = tracked->alert;
    return alert->firing && (!alert->external || alert->ends_ms > now_ms);
}

static int fill(struct notify *notify, struct tracked *tracked, int64_t now_ms,
                struct view_alert *ret_alert)
{
    const struct alert *alert = tracked->alert;
    int error = muting_refresh(&tracked->muting, &notify->silences, alert->labels, now_ms);
    if (error == 0)
        error = inhibition_refresh(&notify->inhibition, &notify->groups);
    if (error != 0)
        return error;
    *ret_alert = (struct view_alert){
        .alert = alert,
        .ends_ms = alert->external ? alert->ends_ms
                                   : now_ms + alerting_resolve_timeout_ms(notify->alerting),
        .muting = &tracked->muting,
        .acknowledgement = tracked->acknowledgement,
    };
    ret_alert->is_inhibited = inhibition_holds(&notify->inhibition, alert->labels,
                                               &tracked->inhibited, &ret_alert->inhibited_by);
    return 0;
}

bool view_find(struct notify *notify, const struct labels *labels, int64_t now_ms,
               struct view_alert *ret_alert)
{
    struct tracked *tracked = groups_find_alert(&notify->groups, labels);
    return tracked != NULL && is_shown(tracked, now_ms) &&
           fill(notify, tracked, now_ms, ret_alert) == 0;
}

int view_muting(struct notify *notify, const struct labels *labels, int64_t now_ms,
                struct muting *ret_muting)
{
    struct muting muting = {0};
    int error = muting_refresh(&muting, &notify->silences, labels, now_ms);
    if (error == 0)
        *ret_muting = muting;
    return error;
}

static int compare_alerts(const void *left, const void *right)
{
    const struct view_alert *a = left, *b = right;
    return a->alert->fingerprint < b->alert->fingerprint
               ? -1
               : a->alert->fingerprint > b->alert->fingerprint;
}

static void sort_alerts(struct view_alert *alerts, size_t count)
{
    if (count > 1)
        qsort(alerts, count, sizeof *alerts, compare_alerts);
}

int view_alerts(struct notify *notify, int64_t now_ms, struct view_alert **ret_alerts,
                size_t *ret_count)
{
    struct view_alert *alerts = calloc(notify->groups.tracked_count + 1, sizeof *alerts);
    size_t count = 0;
    int error = alerts == NULL ? ERR_NOMEM : 0;

    for (struct tracked *at = groups_next_alert(&notify->groups, NULL);
         error == 0 && at != NULL; at = groups_next_alert(&notify->groups, at))
        if (is_shown(at, now_ms))
            error = fill(notify, at, now_ms, &alerts[count++]);
    if (error != 0) {
        free(alerts);
        return error;
    }
    sort_alerts(alerts, count);
    *ret_alerts = alerts;
    *ret_count = count;
    return 0;
}

/* ---- walks ------------------------------------------------------------------------------- */

static int compare_ids(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

int view_walk(struct notify *notify, int64_t now_ms, struct view_walk *ret_walk)
{
    struct view_walk walk = {
        .ids = calloc(notify->groups.tracked_count + 1, sizeof(uint64_t))};

    if (walk.ids == NULL)
        return ERR_NOMEM;
    for (const struct tracked *at = groups_next_alert(&notify->groups, NULL); at != NULL;
         at = groups_next_alert(&notify->groups, at))
        if (is_shown(at, now_ms))
            walk.ids[walk.count++] = at->alert->fingerprint;
    if (walk.count > 1)
        qsort(walk.ids, walk.count, sizeof walk.ids[0], compare_ids);
    *ret_walk = walk;
    return 0;
}

/* A mutex alone would be taken again before whoever waits for it has woken up. */
static void give_way(struct notify *notify)
{
    const struct timespec moment = {.tv_nsec = 20000};
    view_end(notify);
    (void)nanosleep(&moment, NULL);
    view_begin(notify);
}

bool view_walk_next(struct notify *notify, struct view_walk *walk, int64_t now_ms,
                    struct view_alert *ret_alert)
{
    while (walk->at < walk->count) {
        struct tracked *tracked;
        if (walk->at > 0 && walk->at % VIEW_AT_ONCE == 0)
            give_way(notify);
        tracked = groups_find_fingerprint(&notify->groups, walk->ids[walk->at++]);
        if (tracked != NULL && is_shown(tracked, now_ms) &&
            fill(notify, tracked, now_ms, ret_alert) == 0)
            return true;
    }
    return false;
}

void view_walk_done(struct view_walk *walk)
{
    free(walk->ids);
    free(walk->alerts);
    *walk = (struct view_walk){0};
}

/* ---- groups ------------------------------------------------------------------------------ */

static int fill_group(struct notify *notify, const struct group *group, int64_t now_ms,
                      struct view_alert *alerts, struct view_group *ret_view)
{
    struct view_group view = {
        .labels = group->labels, .receiver = group->receiver->name, .alerts = alerts};
    int error = 0;
    view.muted_count = mute_by_time(group->route, now_ms, view.muted_by);
    for (size_t i = 0; error == 0 && i < group->member_count; i++)
        if (is_shown(group->members[i], now_ms))
            error = fill(notify, group->members[i], now_ms, &alerts[view.alert_count++]);
    sort_alerts(alerts, view.alert_count);
    *ret_view = view;
    return error;
}

static int compare_groups(const void *left, const void *right)
{
    const struct group *a = *(const struct group *const *)left;
    const struct group *b = *(const struct group *const *)right;
    int order = labels_compare(a->labels, b->labels);
    return order != 0 ? order : strcmp(a->receiver->name, b->receiver->name);
}

int view_walk_groups(struct notify *notify, struct view_walk *ret_walk)
{
    const size_t most = notify->groups.group_count + 1;
    const struct group **groups = calloc(most, sizeof(struct group *));
    struct view_walk walk = {.ids = calloc(most, sizeof(uint64_t))};

    if (groups == NULL || walk.ids == NULL) {
        free(groups);
        view_walk_done(&walk);
        return ERR_NOMEM;
    }
    for (const struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at))
        groups[walk.count++] = at;
    if (walk.count > 1)
        qsort(groups, walk.count, sizeof(struct group *), compare_groups);
    for (size_t i = 0; i < walk.count; i++)
        walk.ids[i] = groups[i]->hash;
    free(groups);
    *ret_walk = walk;
    return 0;
}

bool view_walk_next_group(struct notify *notify, struct view_walk *walk, int64_t now_ms,
                          struct view_group *ret_group, int *ret_error)
{
    *ret_error = 0;
    while (walk->at < walk->count) {
        const struct group *group;
        if (walk->at > 0 && walk->at % VIEW_AT_ONCE == 0)
            give_way(notify);
        group = groups_find_hash(&notify->groups, walk->ids[walk->at++]);
        if (group == NULL)
            continue;
        free(walk->alerts);
        walk->alerts = calloc(group->member_count + 1, sizeof *walk->alerts);
        *ret_error = walk->alerts == NULL
                         ? ERR_NOMEM
                         : fill_group(notify, group, now_ms, walk->alerts, ret_group);
        return *ret_error == 0;
    }
    return false;
}

/* ---- silences ---------------------------------------------------------------------------- */

struct ranked {
    const struct silence *silence;
    int state;       /* active, pending, expired */
    int64_t rank_ms; /* ascending within a state */
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    if (a->rank_ms != b->rank_ms)
        return a->rank_ms < b->rank_ms ? -1 : 1;
    return strcmp(a->silence->id, b->silence->id);
}

static struct ranked rank(const struct silence *silence, int64_t now_ms)
{
    switch (silence_state(silence, now_ms)) {
    case SILENCE_ACTIVE:
        return (struct ranked){silence, 0, silence->ends_ms};
    case SILENCE_PENDING:
        return (struct ranked){silence, 1, silence->starts_ms};
    case SILENCE_EXPIRED:
        break;
    }
    return (struct ranked){silence, 2, -silence->ends_ms};
}

int view_silences(struct notify *notify, int64_t now_ms, const struct silence ***ret_silences,
                  size_t *ret_count)
{
    const size_t count = notify->silences.count;
    struct ranked *ranked = calloc(count + 1, sizeof *ranked);
    const struct silence **silences = calloc(count + 1, sizeof(struct silence *));

    if (ranked == NULL || silences == NULL) {
        free(ranked);
        free(silences);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        ranked[i] = rank(notify->silences.items[i], now_ms);
    if (count > 1)
        qsort(ranked, count, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < count; i++)
        silences[i] = ranked[i].silence;
    free(ranked);
    *ret_silences = silences;
    *ret_count = count;
    return 0;
}

const struct silence *view_silence(struct notify *notify, const char *id)
{
    return silences_find(&notify->silences, id);
}

/* ---- receivers --------------------------------------------------------------------------- */

_Static_assert(VIEW_INTERVALS_MAX == ROUTE_INTERVALS_MAX, "a name for each interval");
_Static_assert(VIEW_RECEIVERS_MAX == ROUTE_MATCHES_MAX, "a name for each route taken");

size_t view_receivers_of(struct notify *notify, const struct labels *labels,
                         const char *ret_names[VIEW_RECEIVERS_MAX])
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    size_t count = route_match(alerting_root(notify->alerting), labels, routes);
    for (size_t i = 0; i < count; i++)
        ret_names[i] = routes[i]->receiver->name;
    return count;
}

size_t view_muted_by(struct notify *notify, const struct labels *labels, int64_t now_ms,
                     const char *ret_names[VIEW_INTERVALS_MAX])
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    size_t count = route_match(alerting_root(notify->alerting), labels, routes), muted = 0;
    for (size_t i = 0; i < count; i++) {
        muted = mute_by_time(routes[i], now_ms, ret_names);
        if (muted == 0)
            return 0;
    }
    return muted; /* by the last route's: one reason is enough */
}

const char *view_receiver(struct notify *notify, size_t n)
{
    size_t count;
    const struct receiver *receivers = alerting_receivers(notify->alerting, &count);
    return n < count ? receivers[n].name : NULL;
}

void view_print_config(struct notify *notify, struct buf *out)
{
    alerting_print(notify->alerting, out);
}

size_t view_routes_of(struct notify *notify, const struct labels *labels,
                      const struct route *ret_routes[VIEW_RECEIVERS_MAX])
{
    return route_match(alerting_root(notify->alerting), labels, ret_routes);
}

const struct duty *view_duty(struct notify *notify)
{
    return alerting_duty(notify->alerting);
}

int view_overrides(struct notify *notify, struct arena *arena,
                   struct duty_overrides *ret_overrides)
{
    *ret_overrides = (struct duty_overrides){0};
    return notify->overrides == NULL
               ? 0
               : notify->overrides(notify->overrides_context, arena, ret_overrides);
}

int view_group_firing(struct notify *notify, const char *key, const char *receiver,
                      struct arena *arena, uint64_t **ret_fingerprints, size_t *ret_count)
{
    const struct group *group = groups_find(&notify->groups, key, receiver);
    const size_t most = group == NULL ? 0 : group->member_count;
    uint64_t *fingerprints = arena_alloc(arena, most + 1, sizeof *fingerprints);
    size_t count = 0;

    if (fingerprints == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < most; i++)
        if (group->members[i]->alert->firing)
            fingerprints[count++] = group->members[i]->alert->fingerprint;
    *ret_fingerprints = fingerprints;
    *ret_count = count;
    return 0;
}

const char *view_alertmanager(struct notify *notify, size_t n)
{
    size_t count;
    const struct forward_target *targets = alerting_targets(notify->alerting, &count);
    return n < count ? targets[n].url : NULL;
}
