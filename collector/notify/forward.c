/*
 * forward.c - see forward.h: what each target has still to be told, and when.
 *
 * An entry is an alert and, for each target, when it was last accepted there.  A transition
 * makes it owed to all.  What a target has accepted while the alert changed again stays owed:
 * versions tell.
 */
#include "collector/notify/forward.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "collector/notify/alert.h"
#include "collector/notify/delivery.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define BUCKETS_LEAST  ((size_t)256)
#define BACKOFF_LEAST  ((mono_ns)1000 * NS_PER_MS)
#define BACKOFF_MOST   ((mono_ns)30000 * NS_PER_MS)
#define BODY_BYTES_MAX ((size_t)4 << 20)
#define ROW_ARENA_MAX  ((size_t)4 << 20)

struct entry {
    struct alert *alert; /* owned */
    uint32_t version;    /* changes with the alert */
    bool has_row;
    mono_ns told[FORWARD_TARGETS_MAX]; /* when it was accepted; 0: it is owed */
    struct entry *next;                /* of its bucket */
};

struct batch {
    struct forward *forward;
    size_t target;
    unsigned generation; /* of the configuration */
    mono_ns began;
    size_t count;
    struct {
        uint64_t fingerprint;
        uint32_t version;
    } items[FORWARD_BATCH_MAX];
};

struct target {
    const struct forward_target *settings;
    struct batch *batch; /* under way */
    mono_ns not_before;
    unsigned failures;
};

struct forward {
    uv_loop_t *loop;
    struct store *store;
    struct delivery *delivery;
    const struct clock *const *clock; /* the notifier's: it may be another one later */
    uv_timer_t timer;
    struct target targets[FORWARD_TARGETS_MAX];
    size_t target_count;
    unsigned generation;
    struct entry **buckets;
    size_t bucket_count, count;
    uint32_t version;
    struct entry *settled; /* their rows are to be deleted */
    atomic_uint_fast64_t sent, refused, retried, owed;
};

/* ---- entries ----------------------------------------------------------------------------- */

static struct entry **slot_of(const struct forward *forward, uint64_t fingerprint)
{
    struct entry **at = &forward->buckets[fingerprint & (forward->bucket_count - 1)];
    while (*at != NULL && (*at)->alert->fingerprint != fingerprint)
        at = &(*at)->next;
    return at;
}

static void entry_free(struct entry *entry)
{
    alert_free(entry->alert);
    free(entry);
}

static int grow(struct forward *forward)
{
    const size_t wider = forward->bucket_count * 2;
    struct entry **fresh, **old = forward->buckets;

    if (forward->count < forward->bucket_count)
        return 0;
    fresh = calloc(wider, sizeof *fresh);
    if (fresh == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < forward->bucket_count; i++)
        while (old[i] != NULL) {
            struct entry *entry = old[i];
            struct entry **to = &fresh[entry->alert->fingerprint & (wider - 1)];
            old[i] = entry->next;
            entry->next = *to;
            *to = entry;
        }
    free(old);
    forward->buckets = fresh;
    forward->bucket_count = wider;
    return 0;
}

static void count_owed(struct forward *forward, const struct entry *entry, bool more)
{
    if (!entry->alert->firing)
        (void)(more ? atomic_fetch_add(&forward->owed, 1)
                    : atomic_fetch_sub(&forward->owed, 1));
}

/* Remembers the alert, owed to every target. */
static int put_entry(struct forward *forward, const struct alert *alert,
                     struct entry **ret_entry)
{
    struct entry **slot, *entry;
    struct alert *copy;
    int error = grow(forward);

    if (error == 0)
        error = alert_copy(alert, &copy);
    if (error != 0)
        return error;
    slot = slot_of(forward, alert->fingerprint);
    entry = *slot;
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL) {
            alert_free(copy);
            return ERR_NOMEM;
        }
        *slot = entry;
        forward->count++;
    } else {
        count_owed(forward, entry, false);
        alert_free(entry->alert);
    }
    entry->alert = copy;
    entry->version = ++forward->version;
    memset(entry->told, 0, sizeof entry->told);
    count_owed(forward, entry, true);
    *ret_entry = entry;
    return 0;
}

/* Out of the table; its row, if any, goes with the notifier's next write. */
static void settle(struct forward *forward, struct entry **slot)
{
    struct entry *entry = *slot;
    *slot = entry->next;
    forward->count--;
    count_owed(forward, entry, false);
    if (!entry->has_row) {
        entry_free(entry);
        return;
    }
    entry->next = forward->settled;
    forward->settled = entry;
}

static bool is_told_everywhere(const struct forward *forward, const struct entry *entry)
{
    for (size_t i = 0; i < forward->target_count; i++)
        if (entry->told[i] == 0)
            return false;
    return true;
}

int forward_take(struct forward *forward, const struct alert *alert, struct puts *puts)
{
    struct entry *entry;
    struct buf row = {0};
    int error;

    if (forward->target_count == 0 || alert->external)
        return 0;
    error = put_entry(forward, alert, &entry);
    if (error != 0)
        return error;
    if (alert->firing) { /* what it owed of an earlier end is said by its beginning */
        if (entry->has_row)
            puts_add_numbered(puts, FORWARD_PREFIX, alert->fingerprint, NULL);
        entry->has_row = false;
        return 0;
    }
    alert_write(alert, &row);
    if (!buf_ok(&row))
        puts->failed = true;
    else
        puts_add_numbered(puts, FORWARD_PREFIX, alert->fingerprint, &row);
    entry->has_row = true;
    buf_done(&row);
    return 0;
}

bool forward_has_settled(const struct forward *forward)
{
    return forward->settled != NULL;
}

/* If the write fails, the rows stay and are told once more after the next start: no harm. */
void forward_collect(struct forward *forward, struct puts *puts)
{
    while (forward->settled != NULL) {
        struct entry *entry = forward->settled;
        struct entry *again = *slot_of(forward, entry->alert->fingerprint);
        forward->settled = entry->next;
        if (again == NULL || !again->has_row)
            puts_add_numbered(puts, FORWARD_PREFIX, entry->alert->fingerprint, NULL);
        entry_free(entry);
    }
}

/* ---- sending ----------------------------------------------------------------------------- */

/* When the target is to be told of it; UINT64_MAX: no more. */
static mono_ns due_at(const struct entry *entry, size_t target)
{
    if (entry->told[target] == 0)
        return 0;
    return entry->alert->firing ? entry->told[target] + (mono_ns)FORWARD_RESEND_MS * NS_PER_MS
                                : UINT64_MAX;
}

static void log_verdict(const struct forward *forward, const struct batch *batch,
                        const struct client_verdict *verdict)
{
    const struct target *target = &forward->targets[batch->target];
    if (!verdict->accepted && !verdict->recoverable)
        log_error("forward", "%s refused %zu alerts: %s", target->settings->url, batch->count,
                  verdict->why.text);
    else if (!verdict->accepted && target->failures == 0)
        log_warn("forward", "%s takes no alerts, trying again: %s", target->settings->url,
                 verdict->why.text);
    else if (verdict->accepted && target->failures > 0)
        log_info("forward", "%s takes alerts again after %u tries", target->settings->url,
                 target->failures);
}

/* The target has had it, or will not have it ever: both are the end of it for now. */
static void note_told(struct forward *forward, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct entry **slot = slot_of(forward, batch->items[i].fingerprint);
        if (*slot == NULL || (*slot)->version != batch->items[i].version)
            continue;
        (*slot)->told[batch->target] = batch->began;
        if (!(*slot)->alert->firing && is_told_everywhere(forward, *slot))
            settle(forward, slot);
    }
}

static void back_off(const struct forward *forward, struct target *target)
{
    mono_ns pause = BACKOFF_LEAST;
    for (unsigned i = 0; i < target->failures && pause < BACKOFF_MOST; i++)
        pause *= 2;
    target->failures++;
    target->not_before =
        clock_mono(*forward->clock) + (pause < BACKOFF_MOST ? pause : BACKOFF_MOST);
}

static void on_sent(void *context, const struct client_verdict *verdict)
{
    struct batch *batch = context;
    struct forward *forward = batch->forward;
    struct target *target = &forward->targets[batch->target];

    if (batch->generation == forward->generation) {
        target->batch = NULL;
        log_verdict(forward, batch, verdict);
        if (verdict->accepted || !verdict->recoverable) {
            (void)atomic_fetch_add(verdict->accepted ? &forward->sent : &forward->refused,
                                   batch->count);
            target->failures = 0;
            note_told(forward, batch);
        } else {
            (void)atomic_fetch_add(&forward->retried, 1);
            back_off(forward, target);
        }
    }
    free(batch);
    forward_turn(forward);
}

/* What is due for the target, as many as one batch holds. */
static void fill_batch(const struct forward *forward, struct batch *batch, struct buf *body)
{
    const int64_t now_ms = clock_unix_ms(*forward->clock);

    buf_put_char(body, '[');
    for (size_t i = 0; i < forward->bucket_count; i++)
        for (const struct entry *at = forward->buckets[i]; at != NULL; at = at->next) {
            if (due_at(at, batch->target) > batch->began)
                continue;
            if (batch->count == FORWARD_BATCH_MAX || body->size > BODY_BYTES_MAX)
                break;
            buf_put_text(body, batch->count > 0 ? "," : "");
            forward_put_alert(body, at->alert, now_ms);
            batch->items[batch->count].fingerprint = at->alert->fingerprint;
            batch->items[batch->count++].version = at->version;
        }
    buf_put_char(body, ']');
}

static void send_to(struct forward *forward, size_t number)
{
    struct target *target = &forward->targets[number];
    struct batch *batch = calloc(1, sizeof *batch);
    struct client_verdict verdict = {.recoverable = true};
    struct buf body = {0};
    int error = batch == NULL ? ERR_NOMEM : 0;

    if (batch == NULL) {
        back_off(forward, target);
        return;
    }
    batch->forward = forward;
    batch->target = number;
    batch->generation = forward->generation;
    batch->began = clock_mono(*forward->clock);
    fill_batch(forward, batch, &body);
    if (batch->count == 0) {
        free(batch);
        buf_done(&body);
        return;
    }
    target->batch = batch;
    error = buf_ok(&body)
                ? delivery_start(forward->delivery,
                                 &(struct delivery_order){.channel = &channel_alertmanager,
                                                          .settings = target->settings,
                                                          .id = "forward",
                                                          .body = buf_bytes(&body)},
                                 on_sent, batch, &verdict.why)
                : ERR_NOMEM;
    buf_done(&body);
    if (error == 0)
        return;
    (void)diagnose(&verdict.why, error, "%s", error_text(error));
    target->batch = NULL;
    log_verdict(forward, batch, &verdict);
    back_off(forward, target);
    free(batch);
}

/* Ends that nobody took for a day: whoever still cares has seen that it is over. */
static void forget_old(struct forward *forward)
{
    const int64_t until_ms = clock_unix_ms(*forward->clock) - FORWARD_KEPT_MS;
    for (size_t i = 0; i < forward->bucket_count; i++)
        for (struct entry **slot = &forward->buckets[i]; *slot != NULL;)
            if (!(*slot)->alert->firing && (*slot)->alert->ends_ms < until_ms)
                settle(forward, slot);
            else
                slot = &(*slot)->next;
}

/* The first moment any target is to be told of anything; UINT64_MAX: none. */
static mono_ns next_due(const struct forward *forward)
{
    mono_ns next = UINT64_MAX;
    for (size_t t = 0; t < forward->target_count; t++) {
        const struct target *target = &forward->targets[t];
        mono_ns first = UINT64_MAX;
        if (target->batch != NULL)
            continue;
        for (size_t i = 0; i < forward->bucket_count; i++)
            for (const struct entry *at = forward->buckets[i]; at != NULL; at = at->next)
                if (due_at(at, t) < first)
                    first = due_at(at, t);
        if (first < target->not_before)
            first = target->not_before;
        next = first < next ? first : next;
    }
    return next;
}

static void on_timer(uv_timer_t *timer)
{
    struct forward *forward = timer->data;
    forget_old(forward);
    forward_turn(forward);
}

void forward_turn(struct forward *forward)
{
    mono_ns now = clock_mono(*forward->clock), next;

    if (forward->target_count == 0 || forward->count == 0)
        return;
    for (size_t i = 0; i < forward->target_count; i++)
        if (forward->targets[i].batch == NULL && forward->targets[i].not_before <= now)
            send_to(forward, i);
    next = next_due(forward);
    if (next == UINT64_MAX)
        return;
    now = clock_mono(*forward->clock);
    uv_update_time(forward->loop);
    (void)uv_timer_start(&forward->timer, on_timer,
                         next <= now ? 1 : (next - now + NS_PER_MS - 1) / NS_PER_MS, 0);
}

/* ---- life -------------------------------------------------------------------------------- */

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct forward *forward = context;
    struct entry *entry;
    struct arena arena;
    struct alert alert;
    int error;

    arena_init(&arena, ROW_ARENA_MAX);
    error = alert_read(value, &arena, &alert);
    if (error == 0)
        error = put_entry(forward, &alert, &entry);
    if (error == 0)
        entry->has_row = true;
    arena_reset(&arena);
    if (error != ERR_CORRUPT)
        return error;
    log_error("forward", "skipping an unreadable row %.*s", (int)key.size,
              (const char *)key.data);
    return 0;
}

static void forward_free(struct forward *forward)
{
    for (size_t i = 0; i < forward->bucket_count; i++)
        while (forward->buckets[i] != NULL) {
            struct entry *entry = forward->buckets[i];
            forward->buckets[i] = entry->next;
            entry_free(entry);
        }
    while (forward->settled != NULL) {
        struct entry *entry = forward->settled;
        forward->settled = entry->next;
        entry_free(entry);
    }
    for (size_t i = 0; i < FORWARD_TARGETS_MAX; i++)
        free(forward->targets[i].batch); /* the delivery is gone, and nobody calls back */
    free(forward->buckets);
    free(forward);
}

static void on_closed(uv_handle_t *handle)
{
    forward_free(handle->data);
}

int forward_open(uv_loop_t *loop, struct store *store, struct delivery *delivery,
                 const struct clock *const *clock, struct forward **ret_forward,
                 struct diagnosis *why)
{
    struct forward *forward = calloc(1, sizeof *forward);
    int error;

    if (forward == NULL)
        return ERR_NOMEM;
    forward->loop = loop;
    forward->store = store;
    forward->delivery = delivery;
    forward->clock = clock;
    forward->bucket_count = BUCKETS_LEAST;
    forward->buckets = calloc(forward->bucket_count, sizeof(struct entry *));
    error = forward->buckets == NULL ? ERR_NOMEM : 0;
    if (error == 0)
        error = store_state_scan(store, bytes_of(FORWARD_PREFIX), load_row, forward);
    if (error != 0) {
        if (forward->buckets == NULL)
            forward->bucket_count = 0;
        forward_free(forward);
        return diagnose(why, error, "cannot read %s from the store: %s", FORWARD_PREFIX,
                        error_text(error));
    }
    must(uv_timer_init(loop, &forward->timer) == 0);
    forward->timer.data = forward;
    *ret_forward = forward;
    return 0;
}

void forward_close(struct forward *forward)
{
    if (forward != NULL)
        uv_close((uv_handle_t *)&forward->timer, on_closed);
}

static bool is_same(const struct forward *forward, const struct forward_target *targets,
                    size_t count)
{
    bool same = forward->target_count == count;
    for (size_t i = 0; same && i < count; i++)
        same = strcmp(forward->targets[i].settings->url, targets[i].url) == 0;
    return same;
}

int forward_configure(struct forward *forward, const struct forward_target *targets,
                      size_t count, struct groups *groups)
{
    const bool same = is_same(forward, targets, count);
    int error = 0;

    for (size_t i = 0; i < count; i++) {
        if (!same)
            forward->targets[i] = (struct target){0};
        forward->targets[i].settings = &targets[i];
    }
    forward->target_count = count;
    if (same)
        return 0;
    forward->generation++; /* what is under way answers to nobody */
    for (size_t i = 0; i < forward->bucket_count; i++)
        for (struct entry **slot = &forward->buckets[i]; *slot != NULL;) {
            memset((*slot)->told, 0, sizeof(*slot)->told);
            if (count == 0)
                settle(forward, slot);
            else
                slot = &(*slot)->next;
        }
    for (struct tracked *at = count > 0 ? groups_next_alert(groups, NULL) : NULL;
         error == 0 && at != NULL; at = groups_next_alert(groups, at)) {
        struct entry *entry;
        if (at->alert->firing && !at->alert->external)
            error = put_entry(forward, at->alert, &entry);
    }
    return error;
}

void forward_get_stats(const struct forward *forward, struct forward_stats *ret_stats)
{
    *ret_stats = (struct forward_stats){0};
    if (forward == NULL)
        return;
    ret_stats->sent = atomic_load(&forward->sent);
    ret_stats->refused = atomic_load(&forward->refused);
    ret_stats->retried = atomic_load(&forward->retried);
    ret_stats->owed = atomic_load(&forward->owed);
}
