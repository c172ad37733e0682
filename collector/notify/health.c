/*
 * health.c - see health.h.
 */
#include "collector/notify/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define HEALTH_ARENA_BYTES ((size_t)64 << 10)
#define NEVER_ENDS_MS      INT64_C(253402300799000) /* the last second of the year 9999 */

/* ---- entries ----------------------------------------------------------------------------- */

static bool is_of(const struct health_entry *entry, const char *receiver, const char *channel,
                  unsigned index)
{
    return entry->index == index && strcmp(entry->receiver, receiver) == 0 &&
           strcmp(entry->channel, channel) == 0;
}

static struct health_entry *find(const struct health *health, const char *receiver,
                                 const char *channel, unsigned index)
{
    struct health_entry *at = health->first;
    while (at != NULL && !is_of(at, receiver, channel, index))
        at = at->next;
    return at;
}

static void entry_free(struct health_entry *entry)
{
    free(entry->receiver);
    free(entry->channel);
    free(entry);
}

static struct health_entry *entry_add(struct health *health, const char *receiver,
                                      const char *channel, unsigned index)
{
    struct health_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->index = index;
    entry->receiver = strdup(receiver);
    entry->channel = strdup(channel);
    if (entry->receiver == NULL || entry->channel == NULL) {
        entry_free(entry);
        return NULL;
    }
    entry->next = health->first;
    health->first = entry;
    return entry;
}

static void entry_remove(struct health *health, struct health_entry *entry)
{
    struct health_entry **at = &health->first;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    entry_free(entry);
}

void health_done(struct health *health)
{
    while (health->first != NULL)
        entry_remove(health, health->first);
}

void health_note(struct health *health, const char *receiver, const char *channel,
                 unsigned index, const struct client_verdict *verdict, mono_ns now)
{
    struct health_entry *entry = find(health, receiver, channel, index);

    if (verdict->accepted) {
        if (entry == NULL)
            return;
        entry->over = true;
        health->changed = true;
        return;
    }
    if (entry == NULL)
        entry = entry_add(health, receiver, channel, index);
    if (entry == NULL)
        return;
    if (entry->failures == 0 || entry->over)
        entry->since = now;
    entry->over = false;
    entry->failures++;
    (void)snprintf(entry->reason, sizeof entry->reason, "%.199s", verdict->why.text);
}

/* ---- the alert --------------------------------------------------------------------------- */

/* Annotations are for people here; a template of theirs may say it in other words. */
static int make_alert(const struct health_entry *entry, bool firing, int64_t now_ms,
                      const char *external_url, struct arena *arena, struct alert *ret_alert)
{
    char index[16], summary[400], description[400];
    const struct label labels[] = {
        {bytes_of("alertname"), bytes_of(HEALTH_ALERT_NAME)},
        {bytes_of("severity"), bytes_of("critical")},
        {bytes_of("receiver"), bytes_of(entry->receiver)},
        {bytes_of("channel"), bytes_of(entry->channel)},
        {bytes_of("index"), (struct bytes){(const uint8_t *)index, (size_t)snprintf(
                                index, sizeof index, "%u", entry->index)}},
    };
    int error;

    (void)snprintf(summary, sizeof summary,
                   "通知渠道不通：接收者 %.100s 的 %s（第 %u 个）发不出通知", entry->receiver,
                   entry->channel, entry->index + 1);
    (void)snprintf(description, sizeof description, "最近一次没有送达的原因：%.199s",
                   entry->reason[0] == '\0' ? "（采集器重启前发生）" : entry->reason);
    const struct label notes[] = {{bytes_of("summary"), bytes_of(summary)},
                                  {bytes_of("description"), bytes_of(description)}};
    *ret_alert = (struct alert){.starts_ms = now_ms,
                                .ends_ms = firing ? NEVER_ENDS_MS : now_ms,
                                .firing = firing,
                                .generator_url = external_url,
                                .updated_ms = now_ms,
                                .external = true};
    error = labels_build(labels, sizeof labels / sizeof labels[0], arena, &ret_alert->labels);
    if (error == 0)
        error = labels_build(notes, 2, arena, &ret_alert->annotations);
    if (error == 0)
        ret_alert->fingerprint = labels_fingerprint(ret_alert->labels);
    return error;
}

/* ---- who hears of it --------------------------------------------------------------------- */

static bool is_down(const struct health *health, const struct receiver *receiver, size_t index)
{
    const struct integration *integration = &receiver->integrations[index];
    const struct health_entry *entry =
        find(health, receiver->name, integration->channel->name, integration->index);
    return entry != NULL && entry->down && !entry->over;
}

static bool is_reachable(const struct health *health, const struct receiver *receiver)
{
    for (size_t i = 0; i < receiver->integration_count; i++)
        if (!is_down(health, receiver, i))
            return true;
    return false;
}

/* Beside its routes, if all those lead nowhere. */
static int tell_the_others(struct notify *notify, struct tracked *tracked, int64_t now_ms,
                           mono_ns now)
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    size_t count = route_match(alerting_root(notify->alerting), tracked->alert->labels, routes);
    const struct receiver *receivers;
    int error = 0;

    for (size_t i = 0; i < count; i++)
        if (is_reachable(&notify->health, routes[i]->receiver))
            return 0;
    receivers = alerting_receivers(notify->alerting, &count);
    for (size_t i = 0; error == 0 && i < count; i++)
        if (is_reachable(&notify->health, &receivers[i]))
            error = groups_enter(&notify->groups, alerting_fallback(notify->alerting, i),
                                 tracked, now_ms, now);
    return error;
}

/* The alert of an entry, as it shall be; *ret_tracked NULL: it was never told of. */
static int set_alert(struct notify *notify, const struct health_entry *entry, bool firing,
                     int64_t now_ms, mono_ns now, struct tracked **ret_tracked)
{
    struct arena arena;
    struct alert alert;
    struct tracked *known = NULL;
    int error;

    arena_init(&arena, HEALTH_ARENA_BYTES);
    error = make_alert(entry, firing, now_ms, notify->external_url, &arena, &alert);
    if (error == 0) {
        known = groups_find_alert(&notify->groups, alert.labels);
        if (firing ? known == NULL || !known->alert->firing
                   : known != NULL && known->alert->firing)
            error = groups_take_alert(&notify->groups, alerting_root(notify->alerting), &alert,
                                      now_ms, now);
        known = groups_find_alert(&notify->groups, alert.labels);
    }
    arena_reset(&arena);
    *ret_tracked = known;
    return error;
}

/* ---- turns ------------------------------------------------------------------------------- */

static mono_ns due_of(const struct notify *notify, const struct health_entry *entry)
{
    const int64_t after_ms = alerting_channel_down_after_ms(notify->alerting);
    if (after_ms <= 0 || entry->down || entry->over || entry->failures == 0)
        return UINT64_MAX;
    return entry->since + (mono_ns)after_ms * NS_PER_MS;
}

mono_ns health_next_due(const struct notify *notify)
{
    mono_ns next = UINT64_MAX;
    for (const struct health_entry *at = notify->health.first; at != NULL; at = at->next)
        if (due_of(notify, at) < next)
            next = due_of(notify, at);
    return next;
}

static int end_those_that_are_over(struct notify *notify, int64_t now_ms, mono_ns now)
{
    struct health *health = &notify->health;
    for (struct health_entry *at = health->first, *next; at != NULL; at = next) {
        struct tracked *tracked;
        next = at->next;
        if (!at->over)
            continue;
        if (at->down) {
            int error = set_alert(notify, at, false, now_ms, now, &tracked);
            if (error != 0)
                return error;
            log_info("notify", "channel %s %u of %s takes messages again", at->channel,
                     at->index, at->receiver);
            health->down_count--;
        }
        entry_remove(health, at);
    }
    return 0;
}

int health_turn(struct notify *notify, int64_t now_ms, mono_ns now)
{
    struct health *health = &notify->health;
    int error = 0;

    for (struct health_entry *at = health->first; at != NULL; at = at->next) {
        if (due_of(notify, at) > now)
            continue;
        log_error("notify", "channel %s %u of %s is down, telling by others: %s", at->channel,
                  at->index, at->receiver, at->reason);
        at->down = true;
        health->down_count++;
        health->changed = true;
    }
    if (!health->changed)
        return 0;
    error = end_those_that_are_over(notify, now_ms, now);
    for (struct health_entry *at = health->first; error == 0 && at != NULL; at = at->next) {
        struct tracked *tracked = NULL;
        if (!at->down)
            continue;
        error = set_alert(notify, at, true, now_ms, now, &tracked);
        if (error == 0 && tracked != NULL)
            error = tell_the_others(notify, tracked, now_ms, now);
    }
    health->changed = error != 0;
    return error;
}

/* ---- after a restart or a reload --------------------------------------------------------- */

static bool is_configured(const struct notify *notify, const char *receiver,
                          const char *channel, unsigned index)
{
    const struct receiver *found = alerting_receiver(notify->alerting, receiver);
    for (size_t i = 0; found != NULL && i < found->integration_count; i++)
        if (found->integrations[i].index == index &&
            strcmp(found->integrations[i].channel->name, channel) == 0)
            return true;
    return false;
}

/* Values of labels end in a NUL. */
static const char *text_of(const struct labels *labels, const char *name)
{
    struct bytes value = labels_get_text(labels, name);
    return value.size == 0 ? "" : (const char *)value.data;
}

/* An alert of ours that was there before: its entry, and the groups beside its routes that it
 * was told in. */
static int restore_alert(struct notify *notify, struct tracked *tracked, int64_t now_ms,
                         mono_ns now)
{
    const struct labels *labels = tracked->alert->labels;
    const char *receiver = text_of(labels, "receiver");
    const char *channel = text_of(labels, "channel");
    size_t count;
    int error = 0;

    (void)alerting_receivers(notify->alerting, &count);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = groups_reenter(&notify->groups, alerting_fallback(notify->alerting, i), tracked,
                               now_ms, now);
    if (error == 0 && tracked->alert->firing) {
        unsigned index = (unsigned)strtoul(text_of(labels, "index"), NULL, 10);
        struct health_entry *entry = find(&notify->health, receiver, channel, index);
        if (entry == NULL)
            entry = entry_add(&notify->health, receiver, channel, index);
        if (entry == NULL)
            return ERR_NOMEM;
        notify->health.down_count += !entry->down;
        entry->down = true;
    }
    return error;
}

int health_restore(struct notify *notify, int64_t now_ms, mono_ns now)
{
    int error = 0;

    for (struct tracked *at = groups_next_alert(&notify->groups, NULL);
         error == 0 && at != NULL; at = groups_next_alert(&notify->groups, at))
        if (at->alert->external &&
            bytes_equal(labels_get(at->alert->labels, bytes_of("alertname")),
                        bytes_of(HEALTH_ALERT_NAME)))
            error = restore_alert(notify, at, now_ms, now);
    for (struct health_entry *at = notify->health.first; at != NULL; at = at->next)
        if (!is_configured(notify, at->receiver, at->channel, at->index))
            at->over = true;
    notify->health.changed = true;
    return error;
}
