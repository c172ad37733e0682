/*
 * sights.c - see sights.h.
 */
#include "collector/rules/sights.h"

#include "collector/rules/inputs.h"
#include "proto/base/error.h"

static bool is_own_label(const struct rule *rule, struct bytes name)
{
    for (size_t i = 0; i < rule->label_count; i++)
        if (bytes_equal(bytes_of(rule->labels[i].name), name))
            return true;
    return false;
}

static bool is_like(const struct rule *rule, const struct labels *element,
                    const struct live_alert *alert)
{
    for (size_t i = 0; i < element->count; i++) {
        const struct label *pair = &element->pairs[i];
        if (bytes_equal(pair->name, bytes_of(LABEL_NAME)) || is_own_label(rule, pair->name))
            continue;
        if (!bytes_equal(labels_get(alert->labels, pair->name), pair->value))
            return false;
    }
    return true;
}

static int ask_recovered(struct sights *sights)
{
    const struct rule *rule = sights->state->rule;
    int error;
    if (sights->has_recovered)
        return 0;
    error = evaluate_expression(sights->state, rule->recover, rule->recover_single,
                                sights->kind, sights->options, sights->round,
                                &sights->recovered, sights->why);
    sights->has_recovered = error == 0;
    return error;
}

static int look_for_recovery(struct sights *sights, const struct live_alert *alert,
                             bool *ret_recovers)
{
    int error = ask_recovered(sights);
    bool recovers = false;
    for (size_t i = 0; error == 0 && i < sights->recovered.series_count && !recovers; i++) {
        const struct series_samples *element = &sights->recovered.series[i];
        recovers = element->count > 0 && is_like(sights->state->rule, element->labels, alert);
    }
    *ret_recovers = recovers;
    return error;
}

int sights_look(struct sights *sights, const struct live_alert *alert,
                enum alert_sight *ret_sight, int64_t *ret_stale_ms)
{
    const struct rule *rule = sights->state->rule;
    enum inputs_verdict verdict = INPUTS_SPEAK;
    bool recovers = true;
    int error = 0;

    *ret_sight = SIGHT_ABSENT;
    if (alert->life.state == ALERT_INACTIVE)
        return 0;
    if (sights->options->knows_silence)
        error = inputs_look(sights->round->store, rule, alert,
                            sights->options->promql->lookback_ms,
                            sights->round->ts_ms - rule->group->query_offset_ms, &verdict);
    if (error != 0)
        return error;
    if (verdict != INPUTS_SPEAK) {
        *ret_sight = SIGHT_NO_DATA;
        if (verdict == INPUTS_RETIRED)
            *ret_stale_ms = 0;
        return 0;
    }
    if (alert->life.state == ALERT_FIRING && rule->recover != NULL)
        error = look_for_recovery(sights, alert, &recovers);
    if (error == 0 && !recovers)
        *ret_sight = SIGHT_BETWEEN;
    return error;
}

void sights_done(struct sights *sights)
{
    if (sights->has_recovered)
        promql_result_done(&sights->recovered);
    sights->has_recovered = false;
}
