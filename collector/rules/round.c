/*
 * round.c - see round.h.
 */
#include "collector/rules/round.h"

#include <ctype.h>
#include <stdlib.h>

#include "collector/notify/alert.h"
#include "proto/base/error.h"

#define ROUND_ARENA_BYTES ((size_t)512 << 20)

void round_begin(struct round *round, struct store *store, struct notify *notify,
                 pthread_mutex_t *state_lock, const char *external_url, int64_t ts_ms)
{
    *round = (struct round){.store = store, .notify = notify, .state_lock = state_lock,
                            .external_url = external_url, .ts_ms = ts_ms};
    arena_init(&round->arena, ROUND_ARENA_BYTES);
    round->last = &round->first;
}

struct round_change *round_add(struct round *round, struct rule_state *state)
{
    struct round_change *change = arena_alloc(&round->arena, 1, sizeof *change);
    if (change == NULL)
        return NULL;
    change->state = state;
    *round->last = change;
    round->last = &change->next;
    round->change_count++;
    return change;
}

struct round_change *round_add_live(struct round *round, struct rule_state *state,
                                    struct live_alert *alert)
{
    struct round_change *change = round_add(round, state);
    if (change == NULL)
        return NULL;
    change->alert = alert;
    change->value = alert->value;
    change->step.life = alert->life;
    change->flap = alert->flap;
    return change;
}

int round_end_alert(struct round *round, struct rule_state *state, struct live_alert *alert)
{
    struct round_change *change = round_add_live(round, state, alert);
    if (change == NULL)
        return ERR_NOMEM;
    change->step = (struct alert_step){.changed = true};
    if (alert->life.state == ALERT_FIRING || alert->flap.flapping)
        change->step.telling = TELL_RESOLVED;
    change->flap = (struct flap){0};
    return 0;
}

int round_add_writer(struct round *round, struct rule_state *state)
{
    if (round->writer_count == round->writer_capacity) {
        size_t capacity = round->writer_capacity == 0 ? 16 : round->writer_capacity * 2;
        struct rule_state **longer =
            realloc(round->writers, capacity * sizeof(struct rule_state *));
        if (longer == NULL)
            return ERR_NOMEM;
        round->writers = longer;
        round->writer_capacity = capacity;
    }
    round->writers[round->writer_count++] = state;
    return 0;
}

int round_put(struct round *round, struct bytes key, struct bytes value)
{
    struct round_put *put = arena_alloc(&round->arena, 1, sizeof *put);
    if (put == NULL)
        return ERR_NOMEM;
    put->put.key = round_keep(&round->arena, key);
    if (value.data != NULL)
        put->put.value = round_keep(&round->arena, value);
    if (put->put.key.data == NULL || (value.data != NULL && put->put.value.data == NULL))
        return ERR_NOMEM;
    put->next = round->puts;
    round->puts = put;
    round->put_count++;
    return 0;
}

void round_drop_last(struct round *round, const struct rule_state *state)
{
    struct round_change **at = &round->first;
    while (*at != NULL && (*at)->state != state)
        at = &(*at)->next;
    for (const struct round_change *dropped = *at; dropped != NULL; dropped = dropped->next)
        round->change_count--;
    *at = NULL;
    round->last = at;
}

int round_generator_url(const struct round *round, const struct rule *rule,
                        struct arena *arena, const char **ret_url)
{
    struct buf url = {0};
    char *copy;

    buf_printf(&url, "%s/graph?g0.expr=", round->external_url);
    for (const char *at = rule->expression_text; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) || strchr("-_.~", *at) != NULL)
            buf_put_char(&url, *at);
        else if (*at == ' ')
            buf_put_char(&url, '+');
        else
            buf_printf(&url, "%%%02X", (unsigned char)*at);
    }
    buf_put_text(&url, "&g0.tab=1");
    copy = buf_ok(&url) ? arena_alloc(arena, url.size + 1, 1) : NULL;
    if (copy != NULL)
        memcpy(copy, buf_text(&url), url.size);
    buf_done(&url);
    if (copy == NULL)
        return ERR_NOMEM;
    *ret_url = copy;
    return 0;
}

/* ---- what is not committed yet ------------------------------------------------------------ */

struct reads {
    const struct round *round;
    bool yes;
};

static int look_at_selector(void *context, struct matcher *const *matchers, size_t count)
{
    struct reads *reads = context;
    for (size_t i = 0; i < reads->round->writer_count; i++) {
        const struct rule *writer = reads->round->writers[i]->rule;
        bool excluded = false;
        for (size_t j = 0; j < count && !excluded; j++)
            excluded = bytes_equal(matchers[j]->name, bytes_of(LABEL_NAME)) &&
                       !matcher_matches(matchers[j],
                                        bytes_of(writer->is_alert ? "ALERTS" : writer->name),
                                        NULL) &&
                       !(writer->is_alert &&
                         matcher_matches(matchers[j], bytes_of("ALERTS_FOR_STATE"), NULL));
        if (!excluded)
            reads->yes = true;
    }
    return reads->yes ? 1 : 0;
}

bool round_is_read_by(const struct round *round, const struct rule *rule)
{
    struct reads reads = {round, false};
    if (round->samples.count > 0)
        (void)promql_expression_selectors(rule->expression, look_at_selector, &reads);
    return reads.yes;
}

/* ---- the write --------------------------------------------------------------------------- */

static const struct labels *labels_of(const struct round_change *change)
{
    return change->labels != NULL ? change->labels : change->alert->labels;
}

static const struct labels *annotations_of(const struct round_change *change)
{
    return change->annotations != NULL ? change->annotations : change->alert->annotations;
}

struct bytes round_keep(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.size + 1, 1);
    if (copy == NULL)
        return (struct bytes){0};
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

static int put_row(struct round *round, const struct round_change *change,
                   struct store_put *put)
{
    char key[ALERT_KEY_BYTES];
    struct buf row = {0};
    const struct alert_row content = {
        .life = change->step.life, .value = change->value, .labels = labels_of(change),
        .annotations = annotations_of(change), .flap = change->flap,
        .instance = change->alert != NULL ? bytes_of(change->alert->instance)
                                          : change->instance};

    (void)alert_key_text(change->state->rule->key, labels_fingerprint(content.labels), key);
    put->key = round_keep(&round->arena, bytes_of(key));
    put->value = (struct bytes){0};
    if (!round_change_removes(change)) {
        alert_row_write(&content, &row);
        put->value = buf_ok(&row) ? round_keep(&round->arena, buf_bytes(&row)) : (struct bytes){0};
        buf_done(&row);
        if (put->value.data == NULL)
            return ERR_NOMEM;
    }
    return put->key.data == NULL ? ERR_NOMEM : 0;
}

/* When it began, as the notifier is told: what flaps began once. */
static int64_t told_start_ms(const struct round_change *change)
{
    const struct live_alert *before = change->alert;
    if (before != NULL && before->flap.flapping)
        return before->flap.began_ms;
    if (change->flap.flapping)
        return change->flap.began_ms;
    return change->step.life.state == ALERT_FIRING ? change->step.life.fired_ms
                                                   : before->life.fired_ms;
}

/* What there is to say stands among the annotations, so that every template and every receiver
 * has it. */
static int add_note(struct round *round, int64_t stale_since_ms, struct alert *alert)
{
    char text[ALERT_NOTE_BYTES];
    struct labels_builder builder;
    int error = 0;

    if (alert->note == ALERT_NOTE_NONE)
        return 0;
    labels_builder_init(&builder);
    for (size_t i = 0; i < alert->annotations->count; i++)
        labels_builder_set(&builder, alert->annotations->pairs[i].name,
                           alert->annotations->pairs[i].value);
    labels_builder_set(&builder, bytes_of(ALERT_NOTE_ANNOTATION),
                       bytes_of(alert_note_text(alert->note, stale_since_ms, text)));
    error = labels_builder_build(&builder, &round->arena, &alert->annotations);
    labels_builder_done(&builder);
    return error;
}

static int fill_telling(struct round *round, const struct round_change *change,
                        struct alert *alert)
{
    const bool is_flapping = change->flap.flapping;
    int error;
    *alert = (struct alert){
        .labels = labels_of(change), .annotations = annotations_of(change),
        .firing = change->step.telling == TELL_FIRING, .value = change->value,
        .updated_ms = round->ts_ms, .starts_ms = told_start_ms(change)};
    alert->ends_ms = alert->firing ? 0 : round->ts_ms;
    if (!alert->firing && !change->step.without_data && !change->alert->flap.flapping)
        alert->hold_until_ms =
            round->ts_ms + flap_hold_ms(&change->flap, &change->state->rule->flap);
    alert->fingerprint = labels_fingerprint(alert->labels);
    if (is_flapping)
        alert->note = ALERT_NOTE_FLAPPING;
    else if (alert->firing && change->step.life.stale_since_ms != 0)
        alert->note = ALERT_NOTE_STALE;
    else if (!alert->firing && change->step.without_data)
        alert->note = ALERT_NOTE_NO_DATA;
    error = add_note(round, change->step.life.stale_since_ms, alert);
    if (error != 0)
        return error;
    return round_generator_url(round, change->state->rule, &round->arena,
                               &alert->generator_url);
}

/* All puts of the round: alert rows, then what the notifier adds. */
static int collect(struct round *round, struct store_write *write, size_t *ret_telling_count)
{
    struct store_put *puts, *more = NULL;
    struct alert *alerts;
    size_t put_count = 0, more_count = 0, telling = 0;
    int error = 0;

    puts = arena_alloc(&round->arena, round->change_count + round->put_count + 1, sizeof *puts);
    alerts = arena_alloc(&round->arena, round->change_count + 1, sizeof *alerts);
    if (puts == NULL || alerts == NULL)
        return ERR_NOMEM;
    for (const struct round_change *at = round->first; error == 0 && at != NULL;
         at = at->next) {
        if (at->step.changed)
            error = put_row(round, at, &puts[put_count++]);
        if (error == 0 && at->step.telling != TELL_NOTHING)
            error = fill_telling(round, at, &alerts[telling++]);
    }
    for (const struct round_put *at = round->puts; at != NULL; at = at->next)
        puts[put_count++] = at->put;
    if (error == 0 && telling > 0 && round->notify != NULL)
        error = notify_transitions(round->notify, alerts, telling, round->ts_ms, &round->arena,
                                   &more, &more_count);
    if (error == 0 && more_count > 0) {
        struct store_put *all = arena_alloc(&round->arena, put_count + more_count, sizeof *all);
        if (all == NULL)
            return ERR_NOMEM;
        memcpy(all, puts, put_count * sizeof *all);
        memcpy(all + put_count, more, more_count * sizeof *all);
        puts = all;
    }
    write->puts = puts;
    write->put_count = put_count + more_count;
    write->samples = round->samples.items;
    write->sample_count = round->samples.count;
    *ret_telling_count = telling;
    return error;
}

/* ---- afterwards -------------------------------------------------------------------------- */

/* Takes new annotations if they differ; keeping the old ones on lack of memory harms nobody. */
static void take_annotations(struct live_alert *alert, const struct labels *annotations)
{
    const struct labels *copy;
    if (annotations == NULL || labels_equal(alert->annotations, annotations))
        return;
    if (labels_build(annotations->pairs, annotations->count, NULL, &copy) != 0)
        return;
    labels_free(alert->annotations);
    alert->annotations = copy;
    alert->news = true;
}

static int apply_change(const struct round_change *change, int64_t ts_ms)
{
    struct live_alert *alert = change->alert;
    if (alert != NULL && round_change_removes(change)) {
        rule_state_remove(change->state, alert);
        return 0;
    }
    if (alert == NULL) {
        int error = rule_state_add(change->state, change->labels, change->annotations,
                                   change->instance, &alert);
        if (error != 0)
            return error;
    }
    take_annotations(alert, change->annotations);
    if (memcmp(&alert->value, &change->value, sizeof alert->value) != 0)
        alert->news = true;
    alert->value = change->value;
    alert->life = change->step.life;
    alert->flap = change->flap;
    if (change->holds)
        alert->held_ms = ts_ms;
    if (change->known)
        alert->unknown = false;
    if (change->step.telling != TELL_NOTHING)
        alert->news = false;
    return 0;
}

static int apply(struct round *round)
{
    int error = 0;
    (void)pthread_mutex_lock(round->state_lock);
    for (const struct round_change *at = round->first; at != NULL; at = at->next) {
        int failed = apply_change(at, round->ts_ms);
        if (failed != 0)
            error = failed;
    }
    for (const struct round_change *at = round->first; at != NULL; at = at->next)
        if (at->next == NULL || at->next->state != at->state)
            rule_state_count(at->state);
    (void)pthread_mutex_unlock(round->state_lock);
    for (size_t i = 0; i < round->writer_count; i++)
        outputs_committed(round->writers[i]->outputs);
    return error;
}

static void empty(struct round *round)
{
    arena_reset(&round->arena);
    round->first = NULL;
    round->last = &round->first;
    round->change_count = 0;
    round->puts = NULL;
    round->put_count = 0;
    round->samples.count = 0;
    round->writer_count = 0;
}

bool round_writes(const struct round *round)
{
    for (const struct round_change *at = round->first; at != NULL; at = at->next)
        if (at->step.changed)
            return true;
    return round->samples.count > 0 || round->put_count > 0;
}

int round_commit(struct round *round)
{
    struct store_write write = {.is_essential = true};
    size_t telling = 0;
    int error = collect(round, &write, &telling);

    if (error == 0 && (write.put_count > 0 || write.sample_count > 0))
        error = store_write_wait(round->store, &write);
    if (error == 0)
        error = apply(round);
    if (error == 0 && telling > 0 && round->notify != NULL)
        notify_wake(round->notify);
    empty(round);
    return error;
}

void round_done(struct round *round)
{
    empty(round);
    free(round->samples.items);
    free(round->writers);
}
