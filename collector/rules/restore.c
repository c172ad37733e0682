/*
 * restore.c - live alerts from the store, at start.
 *
 * Every row finds its rule by the rule's key.  What was pending goes on from when it began, what
 * fired fires on without being told again.  The alerts of a rule that is gone have ended: they
 * are told so, and their rows go.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/rules/rules_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

struct restoring {
    struct generation *generation;
    struct rules *rules;
    struct arena arena; /* rows of rules that are gone */
    struct store_put *deletions;
    struct alert *ended;
    size_t orphan_count, orphan_capacity, ended_count;
    int64_t now_ms;
};

static struct rule_state *state_of_key(const struct generation *generation, struct bytes key)
{
    size_t prefix = strlen(ALERT_PREFIX);
    char digits[17] = "";
    uint64_t rule_key;

    if (key.size != prefix + 33)
        return NULL;
    memcpy(digits, key.data + prefix, 16);
    rule_key = strtoull(digits, NULL, 16);
    for (size_t i = 0; i < generation->set->rule_count; i++)
        if (generation->set->rules[i]->key == rule_key && generation->set->rules[i]->is_alert)
            return &generation->states[i];
    return NULL;
}

static int grow(struct restoring *restoring)
{
    size_t capacity = restoring->orphan_capacity == 0 ? 16 : restoring->orphan_capacity * 2;
    struct store_put *puts;
    struct alert *ended;

    if (restoring->orphan_count < restoring->orphan_capacity)
        return 0;
    puts = realloc(restoring->deletions, capacity * sizeof *puts);
    if (puts == NULL)
        return ERR_NOMEM;
    restoring->deletions = puts;
    ended = realloc(restoring->ended, capacity * sizeof *ended);
    if (ended == NULL)
        return ERR_NOMEM;
    restoring->ended = ended;
    restoring->orphan_capacity = capacity;
    return 0;
}

static int add_orphan(struct restoring *restoring, struct bytes key, const struct alert_row *row)
{
    uint8_t *copy = arena_alloc(&restoring->arena, key.size, 1);
    int error = copy == NULL ? ERR_NOMEM : grow(restoring);

    if (error != 0)
        return error;
    memcpy(copy, key.data, key.size);
    restoring->deletions[restoring->orphan_count++] =
        (struct store_put){.key = {copy, key.size}};
    if (row->life.state == ALERT_FIRING || row->flap.flapping)
        restoring->ended[restoring->ended_count++] =
            (struct alert){.labels = row->labels, .annotations = row->annotations,
                           .starts_ms = row->flap.flapping ? row->flap.began_ms
                                                             : row->life.fired_ms,
                           .ends_ms = restoring->now_ms,
                           .value = row->value, .generator_url = "",
                           .fingerprint = labels_fingerprint(row->labels)};
    return 0;
}

static int restore_row(void *context, struct bytes key, struct bytes value)
{
    struct restoring *restoring = context;
    struct rule_state *state = state_of_key(restoring->generation, key);
    struct live_alert *alert;
    struct alert_row row;
    int error = alert_row_read(value, &restoring->arena, &row);

    if (error == ERR_CORRUPT) {
        log_error("rules", "skipping an unreadable alert row %.*s", (int)key.size,
                  (const char *)key.data);
        return 0;
    }
    if (error != 0)
        return error;
    if (state == NULL)
        return add_orphan(restoring, key, &row);
    error = rule_state_add(state, row.labels, row.annotations, row.instance, &alert);
    if (error != 0)
        return error;
    alert->life = row.life;
    alert->value = row.value;
    alert->flap = row.flap;
    alert->held_ms =
        row.life.stale_since_ms != 0 ? row.life.stale_since_ms : row.life.fired_ms;
    alert->unknown = row.life.state != ALERT_INACTIVE;
    return 0;
}

static int end_orphans(struct restoring *restoring)
{
    struct rules *rules = restoring->rules;
    struct store_put *more = NULL, *all;
    size_t more_count = 0, count = restoring->orphan_count;
    struct store_write write = {0};
    int error = 0;

    if (count == 0)
        return 0;
    if (restoring->ended_count > 0 && rules->notify != NULL)
        error = notify_transitions(rules->notify, restoring->ended, restoring->ended_count,
                                   restoring->now_ms, &restoring->arena, &more, &more_count);
    all = arena_alloc(&restoring->arena, count + more_count, sizeof *all);
    if (error != 0 || all == NULL)
        return ERR_NOMEM;
    memcpy(all, restoring->deletions, count * sizeof *all);
    if (more_count > 0)
        memcpy(all + count, more, more_count * sizeof *all);
    write.puts = all;
    write.put_count = count + more_count;
    error = store_write_wait(rules->store, &write);
    if (error == 0 && more_count > 0)
        notify_wake(rules->notify);
    return error;
}

int generation_restore(struct generation *generation, struct rules *rules,
                       struct diagnosis *why)
{
    struct restoring restoring = {.generation = generation, .rules = rules,
                                  .now_ms = clock_unix_ms(&clock_system)};
    int error;

    arena_init(&restoring.arena, (size_t)1 << 30);
    error = store_state_scan(rules->store, bytes_of(ALERT_PREFIX), restore_row, &restoring);
    if (error == 0)
        error = end_orphans(&restoring);
    for (size_t i = 0; i < generation->set->rule_count; i++)
        rule_state_count(&generation->states[i]);
    free(restoring.deletions);
    free(restoring.ended);
    arena_reset(&restoring.arena);
    return error == 0 ? 0
                      : diagnose(why, error, "cannot restore alerts: %s", error_text(error));
}
