/*
 * past.c - see past.h.
 */
#include "collector/rules/past.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/notify/alert.h"
#include "collector/rules/expand.h"
#include "collector/rules/expand_query.h"
#include "collector/rules/past_walk.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define PAST_TIMEOUT_MS 5000
#define SAMPLES_A_WRITE 20000
#define KEY_BYTES       64

/* ---- what was missed --------------------------------------------------------------------- */

static uint64_t group_hash(const struct rule_group *group)
{
    return XXH3_64bits_withSeed(group->file, strlen(group->file),
                                XXH3_64bits(group->name, strlen(group->name)));
}

static struct bytes step_key(const struct rule_group *group, char text[KEY_BYTES])
{
    (void)snprintf(text, KEY_BYTES, PAST_STEP_PREFIX "%016" PRIx64, group_hash(group));
    return bytes_of(text);
}

static int remember_lives(struct rule_state *state)
{
    size_t count = 0;
    for (struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at))
        count++;
    state->past = calloc(count + 1, sizeof *state->past);
    if (state->past == NULL)
        return ERR_NOMEM;
    for (struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at))
        if (at->life.state != ALERT_INACTIVE)
            state->past[state->past_count++] =
                (struct past_life){at->fingerprint, at->life};
    return 0;
}

static int load_group(struct group_state *group, struct rules *rules)
{
    char key[KEY_BYTES];
    struct buf row = {0};
    struct reader reader;
    int64_t interval_ms = group->group->interval_ms, last_ms, missed;
    int error = store_state_get(rules->store, step_key(group->group, key), &row);

    if (error == ERR_NOTFOUND)
        return 0;
    reader = reader_of(buf_bytes(&row));
    last_ms = reader_zigzag(&reader);
    if (error == 0 && reader.failed)
        last_ms = rules->started_ms;
    buf_done(&row);
    if (error != 0 || last_ms + interval_ms > rules->started_ms)
        return error;
    group->past_from_ms = last_ms + interval_ms;
    if (group->past_from_ms < rules->started_ms - PAST_MS_MAX)
        group->past_from_ms = rules->started_ms - PAST_MS_MAX;
    missed = (rules->started_ms - group->past_from_ms) / interval_ms + 1;
    group->past_step_ms = interval_ms * ((missed + PAST_STEPS_MAX - 1) / PAST_STEPS_MAX);
    for (size_t i = 0; error == 0 && i < group->group->rule_count; i++)
        error = remember_lives(&group->rules[i]);
    return error;
}

int past_load(struct generation *generation, struct rules *rules)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < generation->set->group_count; i++)
        error = load_group(&generation->groups[i], rules);
    return error;
}

void past_move(struct generation *from, struct generation *to)
{
    for (size_t i = 0; i < from->set->group_count; i++) {
        const struct group_state *old = &from->groups[i];
        for (size_t j = 0; old->past_from_ms != 0 && j < to->set->group_count; j++) {
            struct group_state *group = &to->groups[j];
            if (group_hash(group->group) != group_hash(old->group))
                continue;
            group->past_from_ms = old->past_from_ms;
            group->past_step_ms = old->past_step_ms;
            group->past_next = old->past_next;
        }
    }
}

static struct group_state *next_group(const struct rules *rules)
{
    for (size_t i = 0; i < rules->generation->set->group_count; i++)
        if (rules->generation->groups[i].past_from_ms != 0)
            return &rules->generation->groups[i];
    return NULL;
}

mono_ns past_due(const struct rules *rules)
{
    const struct group_state *group = next_group(rules);
    mono_ns due;
    if (group == NULL)
        return UINT64_MAX;
    due = rules->delivered ? 0 : rules->started_mono + (mono_ns)PAST_WAIT_MS * NS_PER_MS;
    /* Not before the present has been looked at once: what it finds counts more. */
    return group->evaluated_ms == 0 && group->due > due ? group->due : due;
}

/* Adds to a write that the group's step at this time is done. */
static int put_step(struct round *round, const struct rule_group *group, int64_t ts_ms)
{
    char key[KEY_BYTES];
    struct buf row = {0};
    int error;
    buf_put_zigzag(&row, ts_ms);
    error = buf_ok(&row) ? round_put(round, step_key(group, key), buf_bytes(&row)) : ERR_NOMEM;
    buf_done(&row);
    return error;
}

void past_mark(struct group_state *group, struct round *round, mono_ns now)
{
    if (group->past_from_ms != 0 ||
        (!round_writes(round) && group->marked != 0 &&
         now - group->marked < (mono_ns)PAST_MARK_MS * NS_PER_MS))
        return;
    if (put_step(round, group->group, round->ts_ms) == 0)
        group->marked = now;
}

/* ---- one rule ---------------------------------------------------------------------------- */

struct past {
    struct rules *rules;
    struct rule_state *state;
    struct round *round; /* notes, corrections and samples */
    struct outputs *outputs;
    bool is_open; /* outputs: a step has begun */
    int64_t until_ms;
    size_t note_count;
};

/* Whom its route names has a line of it in the next message. */
static int owe_line(struct past *past, const struct alert *alert)
{
    struct round *round = past->round;
    struct alert passed = *alert;
    struct store_put *puts = NULL;
    size_t count = 0;
    int error;

    if (round->notify == NULL)
        return 0;
    passed.has_passed = true;
    error = notify_transitions(round->notify, &passed, 1, round->ts_ms, &round->arena, &puts,
                               &count);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = round_put(round, puts[i].key, puts[i].value);
    return error;
}

/* A kill before the group's step was written down has these steps run again.  The line is owed by the
 * same write as the note: whom it named may have had it meanwhile. */
static bool is_noted(const struct past *past, struct bytes key)
{
    struct buf row = {0};
    const bool is_noted = store_state_get(past->rules->store, key, &row) == 0;
    buf_done(&row);
    return is_noted;
}

static int add_note(void *context, const struct alert *alert)
{
    struct past *past = context;
    char key[KEY_BYTES];
    struct buf row = {0};
    int error;

    (void)snprintf(key, sizeof key, PAST_NOTE_PREFIX "%016" PRIx64 "/%016" PRIx64,
                   (uint64_t)alert->ends_ms, alert->fingerprint);
    if (is_noted(past, bytes_of(key)))
        return 0;
    alert_write(alert, &row);
    error = buf_ok(&row) ? round_put(past->round, bytes_of(key), buf_bytes(&row)) : ERR_NOMEM;
    buf_done(&row);
    past->note_count++;
    return error != 0 ? error : owe_line(past, alert);
}

static bool is_in_round(const struct past *past, const struct labels *labels)
{
    for (const struct round_change *at = past->round->first; at != NULL; at = at->next)
        if (at->labels != NULL && labels_equal(at->labels, labels))
            return true;
    return false;
}

/* The alert as the present has it; made if no evaluation has seen it yet. */
static struct round_change *change_of(struct past *past, const struct past_alive *alive,
                                      struct live_alert *alert)
{
    struct round_change *change;
    if (alert != NULL && alert->life.state != ALERT_INACTIVE)
        return round_add_live(past->round, past->state, alert);
    change = round_add(past->round, past->state);
    if (change == NULL)
        return NULL;
    change->alert = alert;
    change->labels = alive->labels;
    change->annotations = alive->annotations;
    change->instance = round_keep(&past->round->arena, alive->instance);
    change->value = alive->value;
    change->step.life.state = ALERT_PENDING;
    if (alert != NULL)
        change->flap = alert->flap;
    return change;
}

/* It held at the last step of the past; has an evaluation of the present seen its end since?  An
 * alert that ended is remembered for how often it comes and goes (flap.h). */
static bool has_ended_since(const struct past *past, const struct live_alert *alert)
{
    if (past->state->rule->flap.changes == 0)
        return past->state->evaluated;
    return alert != NULL && flap_last_ms(&alert->flap) >= past->rules->started_ms;
}

/* It holds to the end, since longer than was known: the true start, and it fires now if that
 * makes it last long enough. */
static int correct_start(void *context, const struct past_alive *alive)
{
    struct past *past = context;
    const struct rule *rule = past->state->rule;
    struct live_alert *alert = rule_state_find(past->state, alive->labels);
    const bool is_live = alert != NULL && alert->life.state != ALERT_INACTIVE;
    struct round_change *change;
    bool fires;

    if (alive->life.keep_since_ms != 0 || is_in_round(past, alive->labels) ||
        (is_live && alert->life.active_ms <= alive->life.active_ms))
        return 0;
    if (!is_live && has_ended_since(past, alert))
        return 0;
    change = change_of(past, alive, alert);
    if (change == NULL)
        return ERR_NOMEM;
    change->known = true;
    change->holds = true;
    change->step.changed = true;
    change->step.life.active_ms = alive->life.active_ms;
    fires = change->step.life.state == ALERT_FIRING;
    if (!fires && past->round->ts_ms - alive->life.active_ms < rule->for_ms)
        return 0;
    if (!fires)
        flap_change(&change->flap, &rule->flap, past->round->ts_ms);
    change->step.life.state = ALERT_FIRING;
    change->step.life.fired_ms = alive->life.active_ms + rule->for_ms;
    change->step.life.sent_ms = past->round->ts_ms;
    change->step.telling = TELL_FIRING;
    return 0;
}

static int write_samples(struct past *past)
{
    struct output_samples *samples = &past->round->samples;
    const struct store_write write = {.samples = samples->items,
                                      .sample_count = samples->count, .is_essential = true};
    struct store_write copy = write;
    int error = samples->count == 0 ? 0 : store_write_wait(past->rules->store, &copy);
    samples->count = 0;
    return error;
}

static int add_alive(void *context, const struct labels *labels, const struct alert_life *life,
                     int64_t ts_ms)
{
    struct past *past = context;
    int error;

    if (!past->is_open)
        outputs_begin(past->outputs);
    past->is_open = labels != NULL;
    if (labels != NULL)
        return expand_add_alert_series(past->outputs, labels, life, ts_ms, &past->round->arena,
                                       &past->round->samples);
    error = outputs_end(past->outputs, ts_ms, &past->round->samples);
    if (error == 0 && past->round->samples.count > SAMPLES_A_WRITE)
        error = write_samples(past);
    return error;
}

static int walk_alert(struct past *past, const struct group_state *group,
                      const struct promql_result *result, struct diagnosis *why)
{
    const struct evaluation_options options = {.promql = &past->rules->promql,
                                               .timeout_ms = PAST_TIMEOUT_MS,
                                               .cancelled = &past->rules->cancelled,
                                               .started_ms = past->rules->started_ms};
    const struct expand_query query = {&options, past->round};
    const struct template_environment environment = expand_environment(&query);
    struct past_walk walk = {.state = past->state, .result = result,
                             .from_ms = group->past_from_ms, .until_ms = past->until_ms,
                             .step_ms = group->past_step_ms,
                             .started_ms = past->rules->started_ms,
                             .environment = &environment,
                             .arena = &past->round->arena,
                             .template_errors = &past->round->template_errors, .context = past,
                             .passed = add_note, .lasts = correct_start,
                             .was_alive = add_alive};
    int error = past_walk(&walk, why);
    if (error != 0)
        return error;
    /* What the next turn does not write again has ended. */
    outputs_begin(past->outputs);
    return outputs_end(past->outputs,
                       group->past_from_ms +
                           (walk.started_ms - group->past_from_ms) / walk.step_ms *
                               walk.step_ms + 1,
                       &past->round->samples);
}

/* A recording rule's samples, each series ending with a stale marker where it ended. */
static int walk_record(struct past *past, const struct group_state *group,
                       const struct promql_result *result)
{
    const uint64_t bits = STALE_NAN_BITS;
    double stale;
    int error = 0;
    memcpy(&stale, &bits, sizeof stale);
    for (size_t i = 0; error == 0 && i < result->series_count; i++) {
        const struct series_samples *series = &result->series[i];
        const struct labels *labels;
        static const struct labels none = {0};
        error = expand_record_labels(past->state->rule,
                                     series->labels != NULL ? series->labels : &none,
                                     &past->round->arena, &labels);
        for (size_t j = 0; error == 0 && j < series->count; j++) {
            int64_t next_ms = series->times_ms[j] + group->past_step_ms;
            bool ends = j + 1 < series->count ? series->times_ms[j + 1] != next_ms
                                              : next_ms <= past->until_ms;
            error = outputs_add(past->outputs, labels, series->times_ms[j], series->values[j],
                                &past->round->samples);
            if (error == 0 && ends)
                error = outputs_add(past->outputs, labels, next_ms, stale,
                                    &past->round->samples);
        }
        if (error == 0 && past->round->samples.count > SAMPLES_A_WRITE)
            error = write_samples(past);
    }
    return error;
}

static int run_rule(struct past *past, const struct group_state *group, struct diagnosis *why)
{
    const struct rule *rule = past->state->rule;
    const int64_t offset_ms = group->group->query_offset_ms;
    const struct promql_query query = {
        .start_ms = group->past_from_ms - offset_ms, .end_ms = past->until_ms - offset_ms,
        .step_ms = group->past_step_ms,
        .deadline_mono_ns = (int64_t)(clock_mono(&clock_system) +
                                      (mono_ns)PAST_TIMEOUT_MS * NS_PER_MS),
        .cancelled = &past->rules->cancelled};
    struct promql_result result;
    struct promql_error failure = {0};
    int error = promql_run_expression(&past->rules->promql, store_queryable(past->rules->store),
                                      rule->expression, &query, &result, &failure);
    if (error != 0)
        return diagnose(why, error, "%s", failure.why.text);
    for (size_t i = 0; offset_ms != 0 && i < result.series_count; i++)
        for (size_t j = 0; j < result.series[i].count; j++) /* the arena's, and ours alone */
            ((int64_t *)(uintptr_t)result.series[i].times_ms)[j] += offset_ms;
    error = rule->is_alert ? walk_alert(past, group, &result, why)
                           : walk_record(past, group, &result);
    promql_result_done(&result);
    return error;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int count_note(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    ++*(size_t *)context;
    return 0;
}

struct trimming {
    struct round *round;
    size_t surplus;
};

static int trim_note(void *context, struct bytes key, struct bytes value)
{
    struct trimming *trimming = context;
    (void)value;
    if (trimming->surplus == 0)
        return 1;
    trimming->surplus--;
    return round_put(trimming->round, key, (struct bytes){0});
}

/* Notes do not pile up for ever. */
static void trim_notes(struct rules *rules, struct round *round)
{
    size_t count = 0;
    struct trimming trimming = {.round = round};
    if (store_state_scan(rules->store, bytes_of(PAST_NOTE_PREFIX), count_note, &count) != 0 ||
        count <= PAST_NOTES_MAX)
        return;
    trimming.surplus = count - PAST_NOTES_MAX;
    (void)store_state_scan(rules->store, bytes_of(PAST_NOTE_PREFIX), trim_note, &trimming);
}

static void finish_group(struct rules *rules, struct group_state *group)
{
    group->past_from_ms = 0;
    if (next_group(rules) != NULL || rules->past_notes == 0)
        return;
    log_info("rules", "while the collector was down, alerts began and ended: %zu; nobody is "
             "paged for them (fengsuictl alerts past)", rules->past_notes);
    rules->past_notes = 0;
}

void past_run(struct rules *rules)
{
    struct group_state *group = next_group(rules);
    struct diagnosis why = {0};
    struct round round;
    struct past past;
    int error;

    round_begin(&round, rules->store, rules->notify, &rules->state_lock, rules->external_url,
                rules_now_ms(rules));
    if (group->past_next >= group->group->rule_count) {
        if (group->evaluated_ms != 0 &&
            put_step(&round, group->group, group->evaluated_ms) == 0)
            (void)round_commit(&round);
        round_done(&round);
        finish_group(rules, group);
        return;
    }
    past = (struct past){.rules = rules, .round = &round, .until_ms = round.ts_ms,
                         .state = &group->rules[group->past_next++]};
    error = outputs_new(rules->store, &past.outputs);
    if (error == 0)
        error = run_rule(&past, group, &why);
    if (error == 0 && past.note_count > 0)
        trim_notes(rules, &round);
    if (error != 0) {
        log_warn("rules", "the steps that rule \"%s\" of group \"%s\" missed are left out: %s",
                 past.state->rule->name, group->group->name,
                 why.text[0] != '\0' ? why.text : error_text(error));
        round_drop_last(&round, past.state);
    } else {
        error = round_commit(&round);
        if (error == 0)
            rules->past_notes += past.note_count;
        if (error == 0 && past.note_count > 0 && rules->notify != NULL)
            notify_wake(rules->notify);
        if (error != 0)
            log_warn("rules",
                     "the steps that rule \"%s\" of group \"%s\" missed are not written: %s",
                     past.state->rule->name, group->group->name, error_text(error));
    }
    round_done(&round);
    outputs_free(past.outputs);
    free(past.state->past);
    past.state->past = NULL;
    past.state->past_count = 0;
}
