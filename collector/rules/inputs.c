/*
 * inputs.c - see inputs.h.
 */
#include "collector/rules/inputs.h"

#include "collector/rules/scope.h"
#include "proto/base/error.h"

#define MATCHERS_MAX  64
#define WINDOW_MS_MIN 10000 /* half of a short range would be less than an interval */

struct looking {
    struct store *store;
    const struct rule *rule;
    const struct live_alert *alert;
    struct matcher *instance; /* the alert's; NULL: it speaks of no single one */
    int64_t lookback_ms, ts_ms;
    /* of the selector being looked at */
    const struct promql_input *input;
    size_t fresh, stopped, ended, retired;
    /* of all */
    size_t inputs, speaking;
    enum inputs_verdict verdict;
};

static bool is_set_by_rule(const struct rule *rule, struct bytes name)
{
    if (bytes_equal(name, bytes_of("alertname")))
        return true;
    for (size_t i = 0; i < rule->label_count; i++)
        if (bytes_equal(bytes_of(rule->labels[i].name), name))
            return true;
    return false;
}

/* Could the series have been part of this alert?  A label that it lacks came from elsewhere. */
static bool is_of_alert(const struct looking *looking, const struct labels *series)
{
    const struct labels *labels = looking->alert->labels;
    for (size_t i = 0; i < labels->count; i++) {
        struct bytes value = labels_get(series, labels->pairs[i].name);
        if (value.size > 0 && !bytes_equal(value, labels->pairs[i].value) &&
            !is_set_by_rule(looking->rule, labels->pairs[i].name))
            return false;
    }
    return true;
}

/* How old the newest sample of a series may be. */
static int64_t window_ms(const struct looking *looking)
{
    int64_t range_ms = looking->input->range_ms;
    int64_t half_ms = range_ms / 2;
    if (range_ms == 0)
        return looking->lookback_ms;
    if (half_ms < WINDOW_MS_MIN)
        half_ms = range_ms < WINDOW_MS_MIN ? range_ms : WINDOW_MS_MIN;
    return half_ms < looking->lookback_ms ? half_ms : looking->lookback_ms;
}

/* Did it have samples when the alert was last seen to hold? */
static bool was_fresh(const struct looking *looking, const struct store_ending *ending)
{
    if (ending->last_ms == INT64_MIN)
        return ending->absent_since_ms != 0;
    return ending->last_ms >= looking->alert->held_ms - looking->lookback_ms -
                                  looking->input->range_ms - looking->input->offset_ms;
}

static int take_ending(void *context, const struct store_ending *ending)
{
    struct looking *looking = context;
    const int64_t oldest_ms =
        looking->ts_ms - looking->input->offset_ms - window_ms(looking);

    if (!is_of_alert(looking, ending->labels))
        return 0;
    if (ending->absent_since_ms == STORE_RETIRED_MS)
        looking->retired += was_fresh(looking, ending);
    else if (ending->is_ended)
        looking->ended++;
    else if (ending->absent_since_ms == 0 && ending->last_ms > oldest_ms)
        looking->fresh++;
    else
        looking->stopped += was_fresh(looking, ending);
    return 0;
}

static int look_at_input(void *context, const struct promql_input *input)
{
    struct looking *looking = context;
    struct matcher *matchers[MATCHERS_MAX + 1];
    size_t count = input->matcher_count;
    int error;

    if (input->is_fixed || count > MATCHERS_MAX)
        return 0;
    if (count > 0)
        memcpy(matchers, input->matchers, count * sizeof matchers[0]);
    if (looking->instance != NULL)
        matchers[count++] = looking->instance;
    looking->input = input;
    looking->fresh = looking->stopped = looking->ended = looking->retired = 0;
    error = store_each_ending(looking->store, matchers, count, take_ending, looking);
    looking->inputs++;
    if (looking->fresh > 0)
        looking->speaking++;
    else if (looking->retired > 0)
        looking->verdict = INPUTS_RETIRED;
    else if (looking->stopped > 0 && looking->verdict == INPUTS_SPEAK)
        looking->verdict = INPUTS_SILENT;
    else if (looking->ended > 0)
        looking->speaking++;
    return error;
}

int inputs_look(struct store *store, const struct rule *rule, const struct live_alert *alert,
                int64_t lookback_ms, int64_t ts_ms, enum inputs_verdict *ret_verdict)
{
    struct looking looking = {.store = store, .rule = rule, .alert = alert,
                              .lookback_ms = lookback_ms, .ts_ms = ts_ms};
    int error = 0;

    if (alert->instance[0] != '\0')
        error = matcher_new(MATCH_EQUAL, bytes_of(SCOPE_LABEL), bytes_of(alert->instance),
                            &looking.instance, NULL);
    if (error == 0)
        error = promql_expression_inputs(rule->expression, look_at_input, &looking);
    matcher_free(looking.instance);
    if (error != 0)
        return error;
    if (looking.verdict == INPUTS_SPEAK && looking.inputs > 0 && looking.speaking == 0 &&
        (alert->life.stale_since_ms != 0 || alert->unknown))
        looking.verdict = INPUTS_SILENT;
    *ret_verdict = looking.verdict;
    return 0;
}
