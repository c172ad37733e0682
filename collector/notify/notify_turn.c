/*
 * notify_turn.c - one turn of the notifier: inbox, groups, flushes, one write, transfers.
 * The picture is in notify_parts.h.
 */
#include <stdlib.h>

#include "collector/notify/incident_plan.h"
#include "collector/notify/notify_parts.h"
#include "collector/notify/smpp_pool.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define RETRY_MS        1000
#define JUMP_MS         2000 /* less is the clock being slewed */
#define SWEEP_MS        ((int64_t)3600 * 1000)
#define INBOX_MAX       ((size_t)4096) /* rows of one turn; what is left goes in the next */
#define INBOX_BYTES_MAX ((size_t)16 << 20)
#define LEDGER_MAX      ((size_t)4096)     /* rows one turn cuts */
#define MESSAGES_MAX    ((size_t)16 << 20) /* bytes of one turn's; a write has its bounds */
#define ALERT_ARENA_MAX ((size_t)4 << 20)

/* ---- inbox ------------------------------------------------------------------------------- */

struct inbox_scan {
    struct notify *notify;
    struct puts *puts;
    int64_t now_ms;
    mono_ns now;
    int error;
    size_t bytes;
};

static int take_inbox_row(void *context, struct bytes key, struct bytes value)
{
    struct inbox_scan *scan = context;
    struct arena arena;
    struct alert alert;
    int error;

    if (scan->puts->count >= INBOX_MAX || scan->bytes >= INBOX_BYTES_MAX)
        return ERR_AGAIN; /* enough for one write; the next turn reads on */
    scan->bytes += value.size;
    arena_init(&arena, ALERT_ARENA_MAX);
    error = alert_read(value, &arena, &alert);
    if (error == 0 && alert.has_passed) {
        error = passed_take(&scan->notify->passed, alerting_root(scan->notify->alerting),
                            &scan->notify->silences, &alert, scan->puts);
    } else if (error == 0) {
        struct notify *notify = scan->notify;
        if (alert.ends_by_timeout) {
            alert.ends_ms = alert.updated_ms + alerting_resolve_timeout_ms(notify->alerting);
            alert.firing = alert.ends_ms > scan->now_ms;
        }
        (void)pthread_mutex_lock(&notify->view_lock);
        error = groups_take_alert(&notify->groups, alerting_root(notify->alerting), &alert,
                                  scan->now_ms, scan->now);
        (void)pthread_mutex_unlock(&notify->view_lock);
        if (error == 0)
            error = forward_take(notify->forward, &alert, scan->puts);
    } else if (error == ERR_CORRUPT)
        log_error("notify", "dropping an unreadable transition %.*s", (int)key.size,
                  (const char *)key.data);
    arena_reset(&arena);
    if (error == ERR_NOMEM) {
        scan->error = error;
        return error;
    }
    puts_add(scan->puts, key, (struct bytes){0});
    return 0;
}

static int read_inbox(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now)
{
    struct inbox_scan scan = {notify, puts, now_ms, now, 0, 0};
    int error =
        store_state_scan(notify->store, bytes_of(NOTIFY_INBOX_PREFIX), take_inbox_row, &scan);
    if (error == ERR_AGAIN) {
        notify->wanted = true;
        error = 0;
    }
    return scan.error != 0 ? scan.error : error;
}

/* ---- the write --------------------------------------------------------------------------- */

static void put_parcel(struct puts *puts, const struct parcel *parcel, struct buf *row)
{
    buf_clear(row);
    parcel_write(parcel, row);
    puts_add_named(puts, OUTBOX_PREFIX, parcel->id, row);
}

/* What a flush makes true: its parcels, its group's row, the rows of alerts that go. */
static void put_flush(struct notify *notify, struct puts *puts, struct flush *flush,
                      int64_t now_ms, mono_ns now, struct buf *row)
{
    struct group *group = flush->group;
    for (size_t i = 0; i < group->receiver->integration_count; i++) {
        if (flush->records[i].parcel != NULL)
            put_parcel(puts, flush->records[i].parcel, row);
        if (flush->records[i].tells_passed)
            passed_told(&notify->passed, group->receiver->name,
                        &group->receiver->integrations[i], group, puts);
    }
    for (size_t i = 0; i < group->member_count; i++) {
        struct tracked *member = group->members[i];
        if (!alert_is_open(member->alert, flush->now_ms) && ++member->dropping == member->group_count)
            puts_add_numbered(puts, NOTIFY_ALERT_PREFIX, member->alert->fingerprint, NULL);
    }
    if (!flush->changes)
        return;
    buf_clear(row);
    (void)pthread_mutex_lock(&notify->view_lock); /* for a moment the group is as it will be */
    flush_write_row(flush, now_ms, now, row);
    (void)pthread_mutex_unlock(&notify->view_lock);
    puts_add_numbered(puts, NOTIFY_GROUP_PREFIX, group->hash, row->size == 0 ? NULL : row);
}

static void put_alerts(struct notify *notify, struct puts *puts, struct buf *row)
{
    for (struct tracked *at = groups_next_alert(&notify->groups, NULL); at != NULL;
         at = groups_next_alert(&notify->groups, at)) {
        at->dropping = 0;
        if (at->acknowledgement_over)
            puts_add_numbered(puts, ACKNOWLEDGE_PREFIX, at->alert->fingerprint, NULL);
        if (!at->dirty)
            continue;
        buf_clear(row);
        alert_write(at->alert, row);
        puts_add_numbered(puts, NOTIFY_ALERT_PREFIX, at->alert->fingerprint, row);
    }
}

static void put_groups(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now,
                       struct buf *row)
{
    for (struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at)) {
        if (!at->dirty)
            continue;
        buf_clear(row);
        group_write(at, now_ms, now, row);
        puts_add_numbered(puts, NOTIFY_GROUP_PREFIX, at->hash, row);
    }
}

/* Plans the due groups, as many as go into one write.  A group that cannot be planned is tried
 * again a little later. */
static void plan_flushes(struct notify *notify, int64_t now_ms, mono_ns now)
{
    const struct mutes mutes = {&notify->silences, &notify->inhibition};
    const struct flush_scene scene = {.mutes = &mutes, .outbox = &notify->outbox,
                                      .passed = &notify->passed,
                                      .external_url = notify->external_url,
                                      .now_ms = now_ms, .now = now};
    size_t bytes = 0;
    for (struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at)) {
        struct flush *flush;
        int error;
        if (at->due > now)
            continue;
        if (bytes >= MESSAGES_MAX) {
            notify->wanted = true; /* the next turn goes on */
            return;
        }
        (void)pthread_mutex_lock(&notify->view_lock); /* what is muted is noted there */
        error = inhibition_refresh(&notify->inhibition, &notify->groups);
        if (error == 0)
            error = flush_plan(at, &scene, &flush);
        if (error != 0)
            at->due = now + (mono_ns)RETRY_MS * NS_PER_MS;
        (void)pthread_mutex_unlock(&notify->view_lock);
        if (error != 0)
            continue;
        if (flush->template_errors > 0) {
            (void)pthread_mutex_lock(&notify->lock);
            notify->stats.template_errors += flush->template_errors;
            (void)pthread_mutex_unlock(&notify->lock);
        }
        bytes += flush_bytes(flush);
        flush->next = notify->turn.flushes;
        notify->turn.flushes = flush;
    }
}

static bool has_due_group(const struct notify *notify, mono_ns now)
{
    for (const struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at))
        if (at->due <= now)
            return true;
    return false;
}

/* Somebody's order goes alone: what is told is decided by the next turn, which knows of it; and
 * that one takes no order if groups are due, so that orders cannot put flushes off for ever. */
static void plan(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now)
{
    struct order *order = NULL;

    if (notify->order_was_last && has_due_group(notify, now))
        notify->wanted = true; /* the next order goes after them */
    else if (!notify->wanted)  /* else more is in the inbox, and an order is behind all of it */
        order = order_take(notify);
    notify->order_was_last = order != NULL;
    notify->turn.order = order;
    if (order == NULL) {
        plan_flushes(notify, now_ms, now);
        return;
    }
    order_plan(notify, order, puts, now_ms);
    notify->wanted = true;
}

/* Order matters: a group's row of the flush comes after that of its making. */
static void collect(struct notify *notify, struct puts *puts, int64_t now_ms, mono_ns now)
{
    struct buf row = {0};
    put_alerts(notify, puts, &row);
    put_groups(notify, puts, now_ms, now, &row);
    plan(notify, puts, now_ms, now);
    for (struct flush *at = notify->turn.flushes; at != NULL; at = at->next)
        put_flush(notify, puts, at, now_ms, now, &row);
    for (const struct parcel *at = notify->outbox.dirty; at != NULL; at = at->next_dirty)
        put_parcel(puts, at, &row);
    /* After those, for it may change the rows of parcels. */
    if (notify->turn.order == NULL || order_acknowledges(notify->turn.order))
        incident_plan(notify, puts, now_ms, now);
    forward_collect(notify->forward, puts);
    buf_done(&row);
}

/* On the writer thread. */
static void on_written(struct store_write *write, int error)
{
    struct notify *notify = write->context;
    (void)pthread_mutex_lock(&notify->lock);
    notify->turn.error = error;
    notify->turn.has_written = true;
    (void)pthread_cond_signal(&notify->written);
    (void)uv_async_send(&notify->wake);
    (void)pthread_mutex_unlock(&notify->lock);
}

/* The plan was made true, or failed with `error`. */
static void forget_plan(struct notify *notify, int error)
{
    struct order *order = notify->turn.order;
    notify->turn.order = NULL;
    notify->turn.silences_until_ms = INT64_MIN;
    if (order != NULL)
        order_finish(notify, order, error);
    while (notify->turn.flushes != NULL) {
        struct flush *next = notify->turn.flushes->next;
        flush_free(notify->turn.flushes);
        notify->turn.flushes = next;
    }
    incident_plan_forget(notify);
    passed_forget(&notify->passed);
    free(notify->turn.puts);
    notify->turn.puts = NULL;
    arena_reset(&notify->turn.arena);
}

/* ---- the ledger is cut hourly ------------------------------------------------------------ */

struct ledger_scan {
    struct puts *puts;
    int64_t now_ms;
    size_t cut;
};

static int cut_ledger_row(void *context, struct bytes key, struct bytes value)
{
    struct ledger_scan *scan = context;
    struct parcel *parcel;
    char id[MESSAGE_ID_BYTES];
    size_t prefix = strlen(OUTBOX_PREFIX);

    if (scan->cut >= LEDGER_MAX)
        return ERR_AGAIN;
    if (key.size != prefix + MESSAGE_ID_BYTES - 1)
        return 0;
    memcpy(id, key.data + prefix, MESSAGE_ID_BYTES - 1);
    id[MESSAGE_ID_BYTES - 1] = '\0';
    if (parcel_read(id, value, &parcel) != 0)
        return 0;
    if (parcel->state != PARCEL_QUEUED &&
        parcel->settled_ms < scan->now_ms - OUTBOX_LEDGER_MS) {
        puts_add(scan->puts, key, (struct bytes){0});
        scan->cut++;
    }
    parcel_free(parcel);
    return 0;
}

/* Silences that ended long ago; order_settle's counterpart is in apply(). */
static void cut_silences(struct notify *notify, struct puts *puts, int64_t now_ms)
{
    for (size_t i = 0; i < notify->silences.count; i++)
        if (notify->silences.items[i]->ends_ms < now_ms - SILENCE_KEPT_MS)
            puts_add_named(puts, SILENCE_PREFIX, notify->silences.items[i]->id, NULL);
    notify->turn.silences_until_ms = now_ms - SILENCE_KEPT_MS;
}

static void cut_ledger(struct notify *notify, struct puts *puts, int64_t now_ms)
{
    struct ledger_scan scan = {puts, now_ms, 0};
    if (now_ms - notify->swept_ms < SWEEP_MS)
        return;
    notify->swept_ms = now_ms;
    cut_silences(notify, puts, now_ms);
    incident_cut(notify, puts, now_ms);
    passed_cut(&notify->passed, puts, now_ms);
    outbox_stop_awaiting(&notify->outbox, now_ms);
    (void)store_state_scan(notify->store, bytes_of(OUTBOX_PREFIX), cut_ledger_row, &scan);
}

/* ---- turns ------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    notify_turn(timer->data);
}

static void arm(struct notify *notify, uint64_t delay_ms)
{
    if (!notify->closing)
        (void)uv_timer_start(&notify->timer, on_timer, delay_ms, 0);
}

static void arm_for_next(struct notify *notify)
{
    mono_ns now = clock_mono(notify->clock), next = outbox_next_due(&notify->outbox);
    for (const struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at))
        if (at->due < next)
            next = at->due;
    const mono_ns incident = incident_plan_next(notify, clock_unix_ms(notify->clock), now);
    next = incident < next ? incident : next;
    if (health_next_due(notify) < next)
        next = health_next_due(notify);
    if (notify->next_end_ms != INT64_MAX && next > now) {
        int64_t left_ms = notify->next_end_ms - clock_unix_ms(notify->clock);
        mono_ns end;
        left_ms = left_ms < 0 ? 0 : left_ms > SWEEP_MS ? SWEEP_MS : left_ms;
        end = now + (mono_ns)left_ms * NS_PER_MS;
        next = end < next ? end : next;
    }
    if (next > now + (mono_ns)SWEEP_MS * NS_PER_MS)
        next = now + (mono_ns)SWEEP_MS * NS_PER_MS;
    if (notify->wanted)
        next = now;
    uv_update_time(notify->loop);
    arm(notify, next <= now ? 0 : (next - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void forget_old_silences(struct notify *notify)
{
    for (size_t i = notify->silences.count; i-- > 0;)
        if (notify->silences.items[i]->ends_ms < notify->turn.silences_until_ms)
            silences_remove(&notify->silences, notify->silences.items[i]->id);
}

/* Makes the plan true in memory. */
static void apply(struct notify *notify, mono_ns now)
{
    (void)pthread_mutex_lock(&notify->view_lock);
    for (struct tracked *at = groups_next_alert(&notify->groups, NULL); at != NULL;
         at = groups_next_alert(&notify->groups, at)) {
        at->dirty = false;
        at->acknowledgement_over = false;
    }
    for (struct group *at = groups_next(&notify->groups, NULL); at != NULL;
         at = groups_next(&notify->groups, at))
        at->dirty = false;
    while (notify->turn.flushes != NULL) {
        struct flush *flush = notify->turn.flushes;
        notify->turn.flushes = flush->next;
        flush->group->due = flush_next(flush, now);
        flush_apply(&notify->groups, &notify->outbox, flush);
        flush_free(flush);
    }
    incident_plan_apply(notify, clock_unix_ms(notify->clock), now);
    passed_apply(&notify->passed);
    forget_old_silences(notify);
    if (notify->turn.order != NULL)
        order_apply(notify, notify->turn.order);
    (void)pthread_mutex_unlock(&notify->view_lock);
}

static void turn_done(struct notify *notify)
{
    bool dirty;
    forget_plan(notify, 0);
    dirty = notify_send_due(notify);
    notify_publish(notify);
    forward_turn(notify->forward);
    if (dirty || forward_has_settled(notify->forward))
        notify->wanted = true;
    arm_for_next(notify);
}

void notify_turn_finish(struct notify *notify)
{
    int error = notify->turn.error;
    notify->turn.running = false;
    if (error != 0) {
        if (!notify->write_failed)
            log_error("notify", "could not store messages, trying again: %s",
                      error_text(error));
        notify->write_failed = true;
        for (struct parcel *at = notify->outbox.settled; at != NULL; at = at->next_settled)
            outbox_make_dirty(at);
        forget_plan(notify, error);
        arm(notify, RETRY_MS);
        return;
    }
    notify->write_failed = false;
    smpp_receipts_kept(delivery_smpp(notify->delivery), notify->turn.receipts);
    apply(notify, clock_mono(notify->clock));
    outbox_sweep(&notify->outbox);
    if (notify->closing) {
        forget_plan(notify, 0);
        return;
    }
    turn_done(notify);
}

/* A way to a person failed, and this turn takes no other: the row must not leave before one
 * does. */
static bool waits_for_people(const struct notify *notify, const struct parcel *parcel)
{
    return notify->turn.order != NULL && !order_acknowledges(notify->turn.order) &&
           parcel->state == PARCEL_FAILED && parcel->incident != 0 && !parcel->fell_back &&
           !parcel->withdrawn;
}

static void submit(struct notify *notify, const struct puts *puts)
{
    struct turn *turn = &notify->turn;
    int error;

    turn->puts = puts->items;
    turn->write = (struct store_write){
        .puts = puts->items, .put_count = puts->count, .done = on_written, .context = notify};
    turn->has_written = false;
    turn->running = true;
    /* Verdicts that arrive while the write is under way make their rows dirty again. */
    outbox_clear_dirty(&notify->outbox);
    for (struct parcel *at = notify->outbox.settled; at != NULL; at = at->next_settled)
        if (waits_for_people(notify, at))
            outbox_make_dirty(at);
    turn->receipts = smpp_receipts_seen(delivery_smpp(notify->delivery));
    error = store_write_submit(notify->store, &turn->write);
    if (error != 0) {
        turn->error = error;
        notify_turn_finish(notify);
    }
}

/* The clock was set, and whoever keeps our time has come to believe it (rules/timeline.h). */
static void follow_the_clock(struct notify *notify, int64_t now_ms, mono_ns now)
{
    const int64_t offset_ms = now_ms - (int64_t)(now / NS_PER_MS);
    const int64_t shift_ms = notify->follows_clock ? offset_ms - notify->offset_ms : 0;

    notify->follows_clock = true;
    notify->offset_ms = offset_ms;
    if (shift_ms > -JUMP_MS && shift_ms < JUMP_MS)
        return;
    log_warn("notify", "the clock was set by %.1f s: what is to come is moved by as much",
             (double)shift_ms / MS_PER_SEC);
    (void)pthread_mutex_lock(&notify->view_lock);
    groups_shift(&notify->groups, shift_ms, now_ms);
    (void)pthread_mutex_unlock(&notify->view_lock);
    outbox_shift(&notify->outbox, shift_ms);
}

void notify_turn(struct notify *notify)
{
    struct puts puts = {.arena = &notify->turn.arena};
    int64_t now_ms = clock_unix_ms(notify->clock);
    mono_ns now = clock_mono(notify->clock);
    int error;

    if (notify->turn.running || notify->closing) {
        notify->wanted = true;
        return;
    }
    notify->wanted = false;
    follow_the_clock(notify, now_ms, now);
    error = read_inbox(notify, &puts, now_ms, now);
    if (error == 0) {
        (void)pthread_mutex_lock(&notify->view_lock);
        notify->next_end_ms = groups_end_overdue(&notify->groups, now_ms);
        error = health_turn(notify, now_ms, now);
        (void)pthread_mutex_unlock(&notify->view_lock);
    }
    if (error == 0) {
        collect(notify, &puts, now_ms, now);
        cut_ledger(notify, &puts, now_ms);
        error = puts.failed ? ERR_NOMEM : 0;
    }
    if (error != 0) {
        log_error("notify", "a turn failed, trying again: %s", error_text(error));
        free(puts.items);
        forget_plan(notify, error);
        arm(notify, RETRY_MS);
        return;
    }
    if (puts.count > 0) {
        submit(notify, &puts);
        return;
    }
    free(puts.items);
    apply(notify, now);
    turn_done(notify);
}
