/*
 * rule_state.c - see rule_state.h.
 */
#include "collector/rules/rule_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/error.h"

static void live_alert_free(struct live_alert *alert)
{
    if (alert == NULL)
        return;
    labels_free(alert->labels);
    labels_free(alert->annotations);
    free(alert->instance);
    free(alert);
}

struct live_alert *rule_state_find(const struct rule_state *state, const struct labels *labels)
{
    struct live_alert *at = state->alerts[labels->hash % ALERT_BUCKETS];
    while (at != NULL && !labels_equal(at->labels, labels))
        at = at->next;
    return at;
}

struct live_alert *rule_state_next(const struct rule_state *state,
                                   const struct live_alert *after)
{
    size_t bucket = 0;
    if (after != NULL) {
        if (after->next != NULL)
            return after->next;
        bucket = after->labels->hash % ALERT_BUCKETS + 1;
    }
    for (; bucket < ALERT_BUCKETS; bucket++)
        if (state->alerts[bucket] != NULL)
            return state->alerts[bucket];
    return NULL;
}

static void link_alert(struct rule_state *state, struct live_alert *alert)
{
    struct live_alert **bucket = &state->alerts[alert->labels->hash % ALERT_BUCKETS];
    alert->next = *bucket;
    *bucket = alert;
}

static void unlink_alert(struct rule_state *state, struct live_alert *alert)
{
    struct live_alert **at = &state->alerts[alert->labels->hash % ALERT_BUCKETS];
    while (*at != alert)
        at = &(*at)->next;
    *at = alert->next;
}

int rule_state_add(struct rule_state *state, const struct labels *labels,
                   const struct labels *annotations, struct bytes instance,
                   struct live_alert **ret_alert)
{
    struct live_alert *alert = calloc(1, sizeof *alert);
    int error;

    if (alert == NULL)
        return ERR_NOMEM;
    error = labels_build(labels->pairs, labels->count, NULL, &alert->labels);
    if (error == 0)
        error = labels_build(annotations->pairs, annotations->count, NULL, &alert->annotations);
    if (error == 0) {
        alert->instance = calloc(instance.size + 1, 1);
        error = alert->instance == NULL ? ERR_NOMEM : 0;
    }
    if (error != 0) {
        live_alert_free(alert);
        return error;
    }
    if (instance.size > 0)
        memcpy(alert->instance, instance.data, instance.size);
    alert->fingerprint = labels_fingerprint(labels);
    link_alert(state, alert);
    *ret_alert = alert;
    return 0;
}

void rule_state_remove(struct rule_state *state, struct live_alert *alert)
{
    unlink_alert(state, alert);
    live_alert_free(alert);
}

void rule_state_move(struct rule_state *from, struct rule_state *to)
{
    struct live_alert *alert;
    while ((alert = rule_state_next(from, NULL)) != NULL) {
        unlink_alert(from, alert);
        link_alert(to, alert);
    }
    to->past = from->past;
    to->past_count = from->past_count;
    from->past = NULL;
    from->past_count = 0;
    rule_state_count(from);
    rule_state_count(to);
}

void rule_state_count(struct rule_state *state)
{
    state->pending_count = 0;
    state->firing_count = 0;
    state->stale_count = 0;
    state->flapping_count = 0;
    for (const struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at)) {
        state->pending_count += at->life.state == ALERT_PENDING;
        state->firing_count += at->life.state == ALERT_FIRING;
        state->stale_count += live_alert_is_stale(at);
        state->flapping_count += at->flap.flapping;
    }
}

bool rule_state_covers(const struct rule_state *state, const char *instance)
{
    if (!state->touched)
        return false;
    if (!rule_goes_by_instance(state->rule) || state->touched_beyond)
        return true;
    for (size_t i = 0; i < state->instance_count; i++)
        if (strcmp(state->instances[i], instance) == 0)
            return true;
    return false;
}

void rule_state_done(struct rule_state *state)
{
    struct live_alert *alert;
    while ((alert = rule_state_next(state, NULL)) != NULL)
        rule_state_remove(state, alert);
    free(state->past);
    state->past = NULL;
    outputs_free(state->outputs);
    state->outputs = NULL;
}

const char *alert_key_text(uint64_t rule_key, uint64_t fingerprint, char text[ALERT_KEY_BYTES])
{
    (void)snprintf(text, ALERT_KEY_BYTES, ALERT_PREFIX "%016" PRIx64 "/%016" PRIx64, rule_key,
                   fingerprint);
    return text;
}
