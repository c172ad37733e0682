/*
 * rules_explain.c - one alert as its rule has it: since when, why it waits, when it is looked
 * at.
 */
#include <inttypes.h>
#include <string.h>

#include "collector/notify/json.h"
#include "collector/rules/rules_parts.h"
#include "proto/base/error.h"

struct found {
    const struct group_state *group;
    const struct rule_state *state;
    const struct live_alert *alert;
};

static bool find_in(const struct group_state *group, uint64_t fingerprint, struct found *found)
{
    for (size_t i = 0; i < group->group->rule_count; i++) {
        const struct rule_state *state = &group->rules[i];
        for (const struct live_alert *at = rule_state_next(state, NULL); at != NULL;
             at = rule_state_next(state, at)) {
            if (at->fingerprint != fingerprint ||
                (at->life.state == ALERT_INACTIVE && !at->flap.flapping))
                continue;
            *found = (struct found){group, state, at};
            return true;
        }
    }
    return false;
}

/* What the alert is, and what it waits for. */
static void put_life(const struct found *found, struct buf *out)
{
    const struct rule *rule = found->state->rule;
    const struct alert_life *life = &found->alert->life;
    const bool is_pending = life->state == ALERT_PENDING;
    char value[RULES_VALUE_BYTES];

    json_put_text_member(out, "state",
                         alert_state_text(life->state)); /* may be inactive: it flaps */
    json_put_text_member(out, "value", rules_value_text(found->alert->value, value));
    json_put_instant_member(out, "activeAt", life->active_ms);
    json_put_instant_member(out, "firedAt", life->fired_ms);
    json_put_instant_member(out, "firesAt", is_pending ? life->active_ms + rule->for_ms : 0);
    json_put_instant_member(out, "keepFiringSince", life->keep_since_ms);
    json_put_instant_member(
        out, "keptUntil",
        life->keep_since_ms != 0 ? life->keep_since_ms + rule->keep_firing_for_ms : 0);
    json_put_instant_member(out, "staleSince", life->stale_since_ms);
    json_put_instant_member(out, "staleUntil",
                            life->stale_since_ms != 0 ? life->stale_since_ms + rule->stale_ms
                                                      : 0);
    json_put_instant_member(out, "flappingSince",
                            found->alert->flap.flapping ? found->alert->flap.began_ms : 0);
    buf_printf(out, ",\"waitsForSamples\":%s", found->alert->unknown ? "true" : "false");
}

static void put_rule(const struct found *found, int64_t now_ms, mono_ns now, struct buf *out)
{
    const struct rule *rule = found->state->rule;
    const struct rule_state *state = found->state;
    const int64_t due_in_ms = ((int64_t)found->group->due - (int64_t)now) / (int64_t)NS_PER_MS;

    buf_put_text(out, "{\"name\":");
    json_put_text(out, rule->name);
    json_put_text_member(out, "group", rule->group->name);
    json_put_text_member(out, "file", rule->group->file);
    buf_printf(out, ",\"line\":%u", rule->line);
    json_put_text_member(out, "query", rule->expression_text);
    buf_printf(out, ",\"for\":%" PRId64 ",\"keepFiringFor\":%" PRId64 ",\"interval\":%" PRId64,
               rule->for_ms, rule->keep_firing_for_ms, rule->group->interval_ms);
    put_life(found, out);
    json_put_text_member(out, "health",
                         !state->evaluated ? "unknown"
                         : state->healthy  ? "ok"
                                           : "err");
    json_put_text_member(out, "lastError", state->error);
    json_put_instant_member(out, "lastEvaluation", state->evaluated_ms);
    json_put_instant_member(out, "nextEvaluation", now_ms + (due_in_ms > 0 ? due_in_ms : 0));
    json_put_text_member(out, "onArrival",
                         rule_goes_by_instance(rule) ? "at once" : "once a second");
    buf_put_char(out, '}');
}

int rules_explain(struct rules *rules, uint64_t fingerprint, int64_t now_ms,
                  struct arena *arena, struct rules_explained *ret_explained, struct buf *out)
{
    struct rules_explained explained = {0};
    struct found found = {0};
    int error = ERR_NOTFOUND;

    (void)pthread_mutex_lock(&rules->state_lock);
    for (size_t i = 0; error == ERR_NOTFOUND && i < rules->generation->set->group_count; i++)
        if (find_in(&rules->generation->groups[i], fingerprint, &found))
            error = 0;
    if (error == 0) {
        put_rule(&found, now_ms, clock_mono(&clock_system), out);
        explained.is_pending = found.alert->life.state == ALERT_PENDING;
        explained.active_ms = found.alert->life.state != ALERT_INACTIVE
                                  ? found.alert->life.active_ms
                                  : found.alert->flap.began_ms;
        error = labels_build(found.alert->labels->pairs, found.alert->labels->count, arena,
                             &explained.labels);
    }
    if (error == 0)
        error = labels_build(found.alert->annotations->pairs, found.alert->annotations->count,
                             arena, &explained.annotations);
    (void)pthread_mutex_unlock(&rules->state_lock);
    if (error != 0)
        return error;
    *ret_explained = explained;
    return buf_ok(out) ? 0 : ERR_NOMEM;
}
