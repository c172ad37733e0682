/*
 * notify.c - life of the notifier, and the hand-over from rules.
 */
#include "collector/notify/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/notify_parts.h"
#include "collector/notify/trial.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define LINK_KEY_ROW "incident-key"

/* ---- hand-over (any thread) -------------------------------------------------------------- */

static struct bytes copy_bytes(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.size + 1, 1);
    if (copy == NULL)
        return (struct bytes){0};
    memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

int notify_transitions(struct notify *notify, const struct alert *alerts, size_t count,
                       int64_t now_ms, struct arena *arena, struct store_put **ret_puts,
                       size_t *ret_put_count)
{
    struct store_put *puts = arena_alloc(arena, count + 1, sizeof *puts);
    struct buf row = {0};
    int error = puts == NULL ? ERR_NOMEM : 0;
    (void)now_ms;

    for (size_t i = 0; error == 0 && i < count; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, NOTIFY_INBOX_PREFIX "%016" PRIx64,
                       atomic_fetch_add(&notify->inbox_next, 1));
        buf_clear(&row);
        alert_write(&alerts[i], &row);
        if (buf_ok(&row)) {
            puts[i].key = copy_bytes(arena, bytes_of(key));
            puts[i].value = copy_bytes(arena, buf_bytes(&row));
        }
        if (puts[i].key.data == NULL || puts[i].value.data == NULL)
            error = ERR_NOMEM;
    }
    buf_done(&row);
    if (error != 0)
        return error;
    *ret_puts = puts;
    *ret_put_count = count;
    return 0;
}

void notify_wake(struct notify *notify)
{
    (void)uv_async_send(&notify->wake);
}

bool notify_is_failing(const struct notify *notify)
{
    return notify->write_failed;
}

/* ---- stats ------------------------------------------------------------------------------- */

/* Counts what fires: all, silenced, inhibited, acknowledged. */
static void count_alerts(struct notify *notify, int64_t now_ms, struct notify_stats *stats)
{
    uint64_t by;
    if (inhibition_refresh(&notify->inhibition, &notify->groups) != 0)
        return; /* no memory, no counts */
    for (struct tracked *at = groups_next_alert(&notify->groups, NULL); at != NULL;
         at = groups_next_alert(&notify->groups, at)) {
        if (!at->alert->firing)
            continue;
        stats->alerts++;
        stats->alerts_posted += at->alert->external;
        stats->alerts_ruleless += at->alert->is_ruleless;
        stats->alerts_acknowledged += at->acknowledgement != NULL;
        stats->alerts_inhibited +=
            inhibition_holds(&notify->inhibition, at->alert->labels, &at->inhibited, &by);
        if (muting_refresh(&at->muting, &notify->silences, at->alert->labels, now_ms) == 0)
            stats->alerts_silenced += muting_is_active(&at->muting, now_ms);
    }
}

void notify_publish(struct notify *notify)
{
    (void)pthread_mutex_lock(&notify->lock);
    notify->stats.outbox_depth = notify->outbox.count;
    notify->stats.groups = notify->groups.group_count;
    notify->stats.channels_down = notify->health.down_count;
    (void)pthread_mutex_unlock(&notify->lock);
}

void notify_get_stats(struct notify *notify, struct notify_stats *ret_stats)
{
    const int64_t now_ms = clock_unix_ms(notify->clock);
    struct forward_stats forwarded;
    (void)pthread_mutex_lock(&notify->lock);
    *ret_stats = notify->stats;
    (void)pthread_mutex_unlock(&notify->lock);
    forward_get_stats(notify->forward, &forwarded);
    ret_stats->forward_sent = forwarded.sent;
    ret_stats->forward_refused = forwarded.refused;
    ret_stats->forward_retried = forwarded.retried;
    ret_stats->forward_owed = forwarded.owed;
    (void)pthread_mutex_lock(&notify->view_lock);
    count_alerts(notify, now_ms, ret_stats);
    for (size_t i = 0; i < notify->silences.count; i++) {
        enum silence_state state = silence_state(notify->silences.items[i], now_ms);
        ret_stats->silences_active += state == SILENCE_ACTIVE;
        ret_stats->silences_pending += state == SILENCE_PENDING;
    }
    for (const struct incident_entry *at = incidents_next(&notify->incidents, NULL); at != NULL;
         at = incidents_next(&notify->incidents, at)) {
        ret_stats->incidents_open += at->incident->state == INCIDENT_OPEN;
        ret_stats->incidents_acknowledged += at->incident->state == INCIDENT_ACKNOWLEDGED;
    }
    (void)pthread_mutex_unlock(&notify->view_lock);
}

/* ---- life -------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *async)
{
    struct notify *notify = async->data;
    bool has_written;

    (void)pthread_mutex_lock(&notify->lock);
    has_written = notify->turn.running && notify->turn.has_written;
    (void)pthread_mutex_unlock(&notify->lock);
    if (has_written)
        notify_turn_finish(notify);
    trials_run(notify);
    notify_turn(notify);
}

int notify_check(const char *path, struct duty *duty, struct diagnosis *why)
{
    struct alerting *alerting;
    int error = alerting_load(path, duty, &alerting, why);
    if (error == 0)
        alerting_free(alerting);
    return error;
}

void notify_drop_retired(struct notify *notify)
{
    for (size_t i = 0; i < notify->retired_count; i++)
        alerting_free(notify->retired[i]);
    notify->retired_count = 0;
}

static void notify_free(struct notify *notify)
{
    groups_free(&notify->groups); /* points into the configuration */
    notify_drop_retired(notify);
    free(notify->retired);
    trials_close(notify->trials);
    alerting_free(notify->alerting);
    outbox_free(&notify->outbox);
    passed_free(&notify->passed);
    health_done(&notify->health);
    silences_free(&notify->silences);
    inhibition_done(&notify->inhibition);
    incidents_free(&notify->incidents);
    arena_reset(&notify->turn.arena);
    (void)pthread_mutex_destroy(&notify->lock);
    (void)pthread_mutex_destroy(&notify->view_lock);
    (void)pthread_cond_destroy(&notify->written);
    free(notify->path);
    free(notify->external_url);
    free(notify);
}

/* Two handles close; the last of them frees. */
static void on_closed(uv_handle_t *handle)
{
    struct notify *notify = handle->data;
    if (--notify->open_handles == 0)
        notify_free(notify);
}

static int notify_new(uv_loop_t *loop, struct store *store,
                      const struct notify_options *options, struct notify **ret_notify)
{
    const char *path = options->path, *external_url = options->external_url;
    struct notify *notify = calloc(1, sizeof *notify);
    if (notify == NULL)
        return ERR_NOMEM;
    notify->loop = loop;
    notify->store = store;
    notify->clock = &clock_system;
    arena_init(&notify->turn.arena, (size_t)256 << 20);
    must(pthread_mutex_init(&notify->lock, NULL) == 0);
    must(pthread_mutex_init(&notify->view_lock, NULL) == 0);
    notify->last_order = &notify->orders;
    notify->next_end_ms = INT64_MAX;
    notify->turn.silences_until_ms = INT64_MIN;
    must(pthread_cond_init(&notify->written, NULL) == 0);
    notify->path = path == NULL ? NULL : strdup(path);
    notify->external_url = strdup(external_url == NULL ? "" : external_url);
    notify->overrides = options->overrides;
    notify->overrides_context = options->overrides_context;
    notify->incidents.next_number = 1;
    if (trials_open(&notify->trials) != 0 || notify->external_url == NULL ||
        (path != NULL && notify->path == NULL)) {
        notify_free(notify);
        return ERR_NOMEM;
    }
    *ret_notify = notify;
    return 0;
}

static void set_rules(struct notify *notify)
{
    size_t count;
    const struct inhibit_rule *rules = alerting_inhibit_rules(notify->alerting, &count);
    inhibition_set_rules(&notify->inhibition, rules, count);
}

static int set_targets(struct notify *notify)
{
    size_t count;
    const struct forward_target *targets = alerting_targets(notify->alerting, &count);
    return forward_configure(notify->forward, targets, count, &notify->groups);
}

/* Made once, so that a link in a message of yesterday is good after a restart. */
static int load_link_key(struct notify *notify, struct diagnosis *why)
{
    struct store_put put = {.key = bytes_of(LINK_KEY_ROW)};
    struct store_write write = {.puts = &put, .put_count = 1, .is_essential = true};
    struct buf row = {0};
    int error = store_state_get(notify->store, put.key, &row);

    if (error == 0 && row.size == sizeof notify->link_key) {
        memcpy(notify->link_key.bytes, row.data, row.size);
    } else if (error == 0 || error == ERR_NOTFOUND) {
        signed_link_make_key(&notify->link_key);
        put.value = (struct bytes){notify->link_key.bytes, sizeof notify->link_key};
        error = store_write_wait(notify->store, &write);
    }
    buf_done(&row);
    return error == 0 ? 0
                      : diagnose(why, error, "cannot read or store the key of links: %s",
                                 error_text(error));
}

void notify_set_clock(struct notify *notify, const struct clock *clock)
{
    notify->clock = clock != NULL ? clock : &clock_system;
}

int notify_open(uv_loop_t *loop, struct store *store, const struct notify_options *options,
                struct notify **ret_notify, struct diagnosis *why)
{
    struct notify *notify;
    int error = notify_new(loop, store, options, &notify);

    if (error != 0)
        return error;
    error = alerting_load(options->path, options->duty, &notify->alerting, why);
    if (error == 0)
        set_rules(notify);
    if (error == 0)
        error = notify_set_paces(notify);
    if (error == 0)
        error = load_link_key(notify, why);
    if (error == 0)
        error = notify_load(notify, why);
    if (error == 0)
        error = groups_route_all(&notify->groups, alerting_root(notify->alerting),
                                 clock_unix_ms(notify->clock), clock_mono(notify->clock));
    if (error == 0)
        error = health_restore(notify, clock_unix_ms(notify->clock), clock_mono(notify->clock));
    if (error == 0)
        error = delivery_open(loop, notify_receipt, notify, &notify->delivery);
    if (error == 0)
        error = forward_open(loop, store, notify->delivery, &notify->clock, &notify->forward,
                             why);
    if (error == 0)
        error = set_targets(notify);
    if (error == 0)
        error = notify_keep_sessions(notify);
    if (error != 0) {
        forward_close(notify->forward);
        delivery_close(notify->delivery);
        notify_free(notify);
        return error;
    }
    must(uv_async_init(loop, &notify->wake, on_wake) == 0);
    must(uv_timer_init(loop, &notify->timer) == 0);
    notify->wake.data = notify;
    notify->timer.data = notify;
    notify->open_handles = 2;
    notify_publish(notify);
    notify_wake(notify); /* what was owed goes on as soon as the loop runs */
    *ret_notify = notify;
    return 0;
}

/* A planned flush points into groups and receivers, so its write is waited for. */
void notify_wait_for_turn(struct notify *notify)
{
    (void)pthread_mutex_lock(&notify->lock);
    while (notify->turn.running && !notify->turn.has_written)
        (void)pthread_cond_wait(&notify->written, &notify->lock);
    (void)pthread_mutex_unlock(&notify->lock);
    if (notify->turn.running)
        notify_turn_finish(notify);
}

int notify_reload(struct notify *notify, struct duty *duty, struct diagnosis *why)
{
    struct alerting *fresh, **retired;
    int64_t now_ms = clock_unix_ms(notify->clock);
    mono_ns now = clock_mono(notify->clock);
    int error = alerting_load(notify->path, duty, &fresh, why);

    if (error != 0)
        return error;
    notify_wait_for_turn(notify);
    retired = realloc(notify->retired, (notify->retired_count + 1) * sizeof(struct alerting *));
    if (retired != NULL)
        notify->retired = retired;
    (void)pthread_mutex_lock(&notify->view_lock);
    error = retired == NULL ? ERR_NOMEM : groups_unroute(&notify->groups, now_ms, now);
    if (error != 0) {
        (void)pthread_mutex_unlock(&notify->view_lock);
        alerting_free(fresh);
        return diagnose(why, error, "%s", error_text(error));
    }
    notify->retired[notify->retired_count++] = notify->alerting;
    notify->alerting = fresh;
    set_rules(notify);
    error = groups_route_all(&notify->groups, alerting_root(fresh), now_ms, now);
    if (error == 0)
        error = health_restore(notify, now_ms, now);
    if (error == 0)
        error = notify_set_paces(notify);
    if (set_targets(notify) != 0 && error == 0) /* the old targets are gone, whatever failed */
        error = ERR_NOMEM;
    (void)pthread_mutex_unlock(&notify->view_lock);
    if (error == 0)
        error = notify_keep_sessions(notify);
    notify_wake(notify);
    if (error != 0)
        return diagnose(why, error, "some alerts could not be routed: %s", error_text(error));
    return 0;
}

void notify_close(struct notify *notify)
{
    if (notify == NULL)
        return;
    notify_refuse_orders(notify);
    notify->closing = true;
    notify_wait_for_turn(notify);
    delivery_close(notify->delivery);
    forward_close(notify->forward);
    uv_close((uv_handle_t *)&notify->wake, on_closed);
    uv_close((uv_handle_t *)&notify->timer, on_closed);
}
