/*
 * order.c - see order.h.
 */
#include "collector/notify/order.h"

#include <inttypes.h>
#include <stdlib.h>

#include "collector/notify/notify_parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

_Static_assert(NOTIFY_SILENCE_ID_BYTES == SILENCE_ID_BYTES, "one size of ids");

/* ---- the way in and out ------------------------------------------------------------------ */

int order_run(struct notify *notify, struct order *order)
{
    must(pthread_cond_init(&order->finished, NULL) == 0);
    (void)pthread_mutex_lock(&notify->lock);
    if (notify->refuses_orders) {
        order->result = diagnose(order->why, ERR_CANCELLED, "the collector is stopping");
    } else {
        *notify->last_order = order;
        notify->last_order = &order->next;
        (void)uv_async_send(&notify->wake);
        while (!order->done)
            (void)pthread_cond_wait(&order->finished, &notify->lock);
    }
    (void)pthread_mutex_unlock(&notify->lock);
    (void)pthread_cond_destroy(&order->finished);
    return order->result;
}

static struct order *unlink_first(struct notify *notify)
{
    struct order *order = notify->orders;
    if (order == NULL)
        return NULL;
    notify->orders = order->next;
    if (notify->orders == NULL)
        notify->last_order = &notify->orders;
    order->next = NULL;
    return order;
}

struct order *order_take(struct notify *notify)
{
    struct order *order;
    (void)pthread_mutex_lock(&notify->lock);
    order = unlink_first(notify);
    (void)pthread_mutex_unlock(&notify->lock);
    return order;
}

void order_finish(struct notify *notify, struct order *order, int error)
{
    if (order->result == 0)
        order->result = error;
    if (order->result != 0)
        (void)diagnose(order->why, order->result, "%s", error_text(order->result));
    silence_free(order->silence);
    order->silence = NULL;
    for (size_t i = 0; i < order->answer_count; i++)
        acknowledgement_free(order->answers[i].acknowledgement);
    free(order->answers);
    order->answers = NULL;
    order->answer_count = 0;
    (void)pthread_mutex_lock(&notify->lock);
    order->done = true; /* from here on it may be gone */
    (void)pthread_cond_signal(&order->finished);
    (void)pthread_mutex_unlock(&notify->lock);
}

void notify_refuse_orders(struct notify *notify)
{
    struct order *order;
    if (notify == NULL)
        return;
    (void)pthread_mutex_lock(&notify->lock);
    notify->refuses_orders = true;
    (void)pthread_mutex_unlock(&notify->lock);
    notify_wait_for_turn(notify);
    while ((order = order_take(notify)) != NULL) {
        order->result = diagnose(order->why, ERR_CANCELLED, "the collector is stopping");
        order_finish(notify, order, 0);
    }
}

/* ---- silences ---------------------------------------------------------------------------- */

static void put_silence(struct puts *puts, const struct silence *silence)
{
    struct buf row = {0};
    silence_write(silence, &row);
    puts_add_named(puts, SILENCE_PREFIX, silence->id, &row);
    buf_done(&row);
}

/* The row of a silence that ends now; in memory it does so in order_apply(). */
static void plan_end(struct order *order, struct puts *puts, const struct silence *old,
                     int64_t now_ms)
{
    struct silence ended = *old; /* borrows texts and matchers */
    ended.ends_ms = now_ms;
    ended.updated_ms = now_ms;
    if (silence_state(old, now_ms) == SILENCE_PENDING)
        ended.starts_ms = now_ms;
    order->replaced_starts_ms = ended.starts_ms;
    order->replaced_ends_ms = ended.ends_ms;
    memcpy(order->replaced_id, old->id, sizeof order->replaced_id);
    put_silence(puts, &ended);
}

static int plan_set(struct notify *notify, struct order *order, struct puts *puts,
                    int64_t now_ms)
{
    struct silence *fresh = order->silence;
    const struct silence *old = silences_find(&notify->silences, fresh->id);
    int error;

    if (fresh->id[0] != '\0' && old == NULL)
        return diagnose(order->why, ERR_NOTFOUND, "silence not found");
    error = silence_check(fresh, order->why);
    if (error == 0)
        error = silences_reserve(&notify->silences);
    if (error != 0)
        return error;
    fresh->updated_ms = now_ms;
    if (old == NULL || !silence_is_update(old, fresh, now_ms)) {
        if (notify->silences.count >= SILENCES_MAX)
            return diagnose(order->why, ERR_LIMIT,
                            "exceeded maximum number of silences: %zu "
                            "(limit: %zu)",
                            notify->silences.count, SILENCES_MAX);
        error = silence_make_id(fresh->id);
        if (error != 0)
            return error;
        if (old != NULL && silence_state(old, now_ms) != SILENCE_EXPIRED)
            plan_end(order, puts, old, now_ms);
        if (fresh->starts_ms < now_ms)
            fresh->starts_ms = now_ms;
    }
    memcpy(order->made_id, fresh->id, sizeof order->made_id);
    put_silence(puts, fresh);
    return 0;
}

static int plan_expire(struct notify *notify, struct order *order, struct puts *puts,
                       int64_t now_ms)
{
    const struct silence *old = silences_find(&notify->silences, order->id);
    if (old == NULL)
        return diagnose(order->why, ERR_NOTFOUND, "silence not found");
    if (silence_state(old, now_ms) != SILENCE_EXPIRED)
        plan_end(order, puts, old, now_ms);
    return 0;
}

/* ---- acknowledgements -------------------------------------------------------------------- */

/* The row of one alert's answer; `tracked` fires. */
static int plan_answer(struct order *order, struct puts *puts, const struct tracked *tracked,
                       bool acknowledges, int64_t now_ms)
{
    const uint64_t fingerprint = tracked->alert->fingerprint;
    struct order_answer *answer = &order->answers[order->answer_count];
    struct buf row = {0};
    int error;

    answer->fingerprint = fingerprint;
    if (!acknowledges) {
        puts_add_numbered(puts, ACKNOWLEDGE_PREFIX, fingerprint, NULL);
        order->answer_count++;
        return 0;
    }
    error = acknowledgement_new(order->by, order->comment, now_ms, tracked->alert->starts_ms,
                                &answer->acknowledgement);
    if (error != 0)
        return error;
    order->answer_count++;
    acknowledgement_write(answer->acknowledgement, &row);
    puts_add_numbered(puts, ACKNOWLEDGE_PREFIX, fingerprint, &row);
    buf_done(&row);
    return 0;
}

static int plan_acknowledge(struct notify *notify, struct order *order, struct puts *puts,
                            int64_t now_ms)
{
    const struct tracked *tracked =
        groups_find_fingerprint(&notify->groups, order->fingerprint);

    if (tracked == NULL || !tracked->alert->firing)
        return diagnose(order->why, ERR_NOTFOUND,
                        "no firing alert has the fingerprint %016" PRIx64, order->fingerprint);
    order->answers = calloc(1, sizeof *order->answers);
    if (order->answers == NULL)
        return ERR_NOMEM;
    return plan_answer(order, puts, tracked, order->kind == ORDER_ACKNOWLEDGE, now_ms);
}

/* Who has answered for one alert before keeps it: the order is for those nobody sees to. */
static int plan_incident(struct notify *notify, struct order *order, struct puts *puts,
                         int64_t now_ms)
{
    const bool acknowledges = order->kind == ORDER_ACKNOWLEDGE_INCIDENT;
    const struct incident_entry *entry = incidents_find(&notify->incidents, order->incident);
    const struct group *group =
        entry == NULL ? NULL
                      : groups_find(&notify->groups, entry->incident->group_key,
                                    entry->incident->receiver);
    int error = 0;

    if (group == NULL)
        return diagnose(order->why, ERR_NOTFOUND, "no open incident has the number %" PRIu64,
                        order->incident);
    order->answers = calloc(group->member_count + 1, sizeof *order->answers);
    if (order->answers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < group->member_count; i++) {
        const struct tracked *member = group->members[i];
        if (member->alert->firing && (member->acknowledgement == NULL) == acknowledges)
            error = plan_answer(order, puts, member, acknowledges, now_ms);
    }
    return error;
}

/* ---- all of them ------------------------------------------------------------------------- */

void order_plan(struct notify *notify, struct order *order, struct puts *puts, int64_t now_ms)
{
    switch (order->kind) {
    case ORDER_PASS:
        return;
    case ORDER_SILENCE_SET:
        (void)pthread_mutex_lock(&notify->view_lock); /* makes room */
        order->result = plan_set(notify, order, puts, now_ms);
        (void)pthread_mutex_unlock(&notify->view_lock);
        return;
    case ORDER_SILENCE_EXPIRE:
        order->result = plan_expire(notify, order, puts, now_ms);
        return;
    case ORDER_ACKNOWLEDGE:
    case ORDER_UNACKNOWLEDGE:
        order->result = plan_acknowledge(notify, order, puts, now_ms);
        return;
    case ORDER_ACKNOWLEDGE_INCIDENT:
    case ORDER_UNACKNOWLEDGE_INCIDENT:
        order->result = plan_incident(notify, order, puts, now_ms);
        return;
    }
}

bool order_acknowledges(const struct order *order)
{
    return order->result == 0 && order->answer_count > 0;
}

void order_exchange(struct notify *notify, struct order *order)
{
    for (size_t i = 0; i < order->answer_count; i++) {
        struct order_answer *answer = &order->answers[i];
        struct tracked *tracked =
            groups_find_fingerprint(&notify->groups, answer->fingerprint);
        struct acknowledgement *other;
        if (tracked == NULL)
            continue;
        other = tracked->acknowledgement;
        tracked->acknowledgement = answer->acknowledgement;
        answer->acknowledgement = other; /* after the commit: freed with the order */
    }
}

void order_apply(struct notify *notify, struct order *order)
{
    struct silence *old = silences_find(&notify->silences, order->replaced_id);

    if (order->result != 0)
        return;
    if (old != NULL) {
        old->starts_ms = order->replaced_starts_ms;
        old->ends_ms = order->replaced_ends_ms;
        old->updated_ms = order->replaced_ends_ms;
        notify->silences.version++;
    }
    if (order->silence != NULL)
        silences_put(&notify->silences, order->silence);
    order->silence = NULL;
    order_exchange(notify, order);
}

/* ---- notify.h's -------------------------------------------------------------------------- */

int notify_silence_set(struct notify *notify, struct silence **silence,
                       char ret_id[NOTIFY_SILENCE_ID_BYTES], struct diagnosis *why)
{
    struct order order = {.kind = ORDER_SILENCE_SET, .silence = *silence, .why = why};
    int error;
    *silence = NULL;
    error = order_run(notify, &order);
    silence_free(order.silence); /* it was never taken */
    if (error == 0)
        memcpy(ret_id, order.made_id, SILENCE_ID_BYTES);
    return error;
}

int notify_silence_expire(struct notify *notify, const char *id, struct diagnosis *why)
{
    struct order order = {.kind = ORDER_SILENCE_EXPIRE, .id = id, .why = why};
    return order_run(notify, &order);
}

static int run_acknowledgement(struct notify *notify, struct order *order)
{
    if (strlen(order->by) > ACKNOWLEDGE_TEXT_MAX ||
        strlen(order->comment) > ACKNOWLEDGE_TEXT_MAX)
        return diagnose(order->why, ERR_INVALID, "name and comment may have %zu bytes each",
                        ACKNOWLEDGE_TEXT_MAX);
    return order_run(notify, order);
}

int notify_acknowledge(struct notify *notify, uint64_t fingerprint, const char *by,
                       const char *comment, struct diagnosis *why)
{
    struct order order = {.kind = ORDER_ACKNOWLEDGE,
                          .fingerprint = fingerprint,
                          .by = by,
                          .comment = comment,
                          .why = why};
    return run_acknowledgement(notify, &order);
}

int notify_acknowledge_incident(struct notify *notify, uint64_t incident, const char *by,
                                const char *comment, struct diagnosis *why)
{
    struct order order = {.kind = ORDER_ACKNOWLEDGE_INCIDENT,
                          .incident = incident,
                          .by = by,
                          .comment = comment,
                          .why = why};
    return run_acknowledgement(notify, &order);
}

int notify_unacknowledge_incident(struct notify *notify, uint64_t incident,
                                  struct diagnosis *why)
{
    struct order order = {
        .kind = ORDER_UNACKNOWLEDGE_INCIDENT, .incident = incident, .why = why};
    return order_run(notify, &order);
}

bool notify_link_is_good(const struct notify *notify, uint64_t incident, const char *person,
                         const char *token)
{
    return signed_link_is_good(&notify->link_key, incident, person, token);
}

int notify_unacknowledge(struct notify *notify, uint64_t fingerprint, struct diagnosis *why)
{
    struct order order = {.kind = ORDER_UNACKNOWLEDGE, .fingerprint = fingerprint, .why = why};
    return order_run(notify, &order);
}

static bool is_full(struct notify *notify, size_t more)
{
    bool full;
    (void)pthread_mutex_lock(&notify->view_lock);
    full = notify->groups.tracked_count + more > NOTIFY_ALERTS_MAX;
    (void)pthread_mutex_unlock(&notify->view_lock);
    return full;
}

int notify_post(struct notify *notify, const struct alert *alerts, size_t count,
                struct arena *arena, struct diagnosis *why)
{
    struct order pass = {.kind = ORDER_PASS, .why = why};
    struct store_write write = {.is_essential = true};
    struct store_put *puts = NULL;
    int error;

    if (is_full(notify, count))
        return diagnose(why, ERR_LIMIT, "more than %zu alerts at once", NOTIFY_ALERTS_MAX);
    error = notify_transitions(notify, alerts, count, 0, arena, &puts, &write.put_count);
    write.puts = puts;
    if (error == 0 && count > 0)
        error = store_write_wait(notify->store, &write);
    return error != 0 ? error : order_run(notify, &pass);
}
