/*
 * rules_json.c - /api/v1/rules and /api/v1/alerts in Prometheus's shape (the "data" part).
 *
 * More than Prometheus's: staleSince and flappingSince of an alert, where they are so.
 *
 * Values of alerts are Go's FormatFloat(v, 'e', -1, 64): "1e+00".
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/notify/alert.h"
#include "collector/notify/json.h"
#include "collector/rules/past.h"
#include "proto/base/error.h"

const char *rules_value_text(double value, char text[RULES_VALUE_BYTES])
{
    if (isnan(value))
        return strcpy(text, "NaN");
    if (isinf(value))
        return strcpy(text, value > 0 ? "+Inf" : "-Inf");
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, RULES_VALUE_BYTES, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

static void put_alert(const struct live_alert *alert, struct buf *out)
{
    char time[JSON_TIME_BYTES], value[RULES_VALUE_BYTES];
    buf_put_text(out, "{\"labels\":");
    json_put_labels(out, alert->labels);
    buf_put_text(out, ",\"annotations\":");
    json_put_labels(out, alert->annotations);
    buf_printf(out, ",\"state\":\"%s\",\"activeAt\":\"%s\"",
               alert_state_text(alert->life.state), json_time(alert->life.active_ms, time));
    if (alert->life.keep_since_ms != 0)
        buf_printf(out, ",\"keepFiringSince\":\"%s\"",
                   json_time(alert->life.keep_since_ms, time));
    if (live_alert_is_stale(alert))
        buf_printf(out, ",\"staleSince\":\"%s\"",
                   json_time(alert->life.stale_since_ms, time));
    if (alert->flap.flapping)
        buf_printf(out, ",\"flappingSince\":\"%s\"", json_time(alert->flap.began_ms, time));
    buf_printf(out, ",\"value\":\"%s\"}", rules_value_text(alert->value, value));
}

static void put_alerts(const struct rule_state *state, bool *first, struct buf *out)
{
    for (const struct live_alert *at = rule_state_next(state, NULL); at != NULL;
         at = rule_state_next(state, at)) {
        if (at->life.state == ALERT_INACTIVE)
            continue;
        if (!*first)
            buf_put_char(out, ',');
        *first = false;
        put_alert(at, out);
    }
}

static void put_texts(const struct rule_text *texts, size_t count, struct buf *out)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_text(out, texts[i].name);
        buf_put_char(out, ':');
        json_put_text(out, texts[i].text);
    }
    buf_put_char(out, '}');
}

static void put_health(const struct rule_state *state, struct buf *out)
{
    char time[JSON_TIME_BYTES];
    buf_printf(out, ",\"health\":\"%s\"",
               !state->evaluated ? "unknown" : state->healthy ? "ok" : "err");
    if (state->error[0] != '\0') {
        buf_put_text(out, ",\"lastError\":");
        json_put_text(out, state->error);
    }
    buf_printf(out, ",\"evaluationTime\":%.9f,\"lastEvaluation\":\"%s\"", state->seconds,
               json_time(state->evaluated_ms, time));
}

static const char *rule_state_word(const struct rule_state *state)
{
    if (!state->evaluated && state->firing_count + state->pending_count == 0)
        return "unknown";
    return state->firing_count > 0 ? "firing" : state->pending_count > 0 ? "pending"
                                                                         : "inactive";
}

static void put_seconds(struct buf *out, const char *name, int64_t ms)
{
    buf_printf(out, ",\"%s\":%g", name, (double)ms / 1000);
}

static void put_rule(const struct rule_state *state, bool exclude_alerts, struct buf *out)
{
    const struct rule *rule = state->rule;
    bool first = true;

    buf_put_char(out, '{');
    if (rule->is_alert)
        buf_printf(out, "\"state\":\"%s\",", rule_state_word(state));
    buf_put_text(out, "\"name\":");
    json_put_text(out, rule->name);
    buf_put_text(out, ",\"query\":");
    json_put_text(out, rule->expression_text);
    if (rule->is_alert) {
        put_seconds(out, "duration", rule->for_ms);
        put_seconds(out, "keepFiringFor", rule->keep_firing_for_ms);
    }
    if (rule->is_alert || rule->label_count > 0) {
        buf_put_text(out, ",\"labels\":");
        put_texts(rule->labels, rule->label_count, out);
    }
    if (rule->is_alert) {
        buf_put_text(out, ",\"annotations\":");
        put_texts(rule->annotations, rule->annotation_count, out);
        buf_put_text(out, ",\"alerts\":[");
        if (!exclude_alerts)
            put_alerts(state, &first, out);
        buf_put_char(out, ']');
    }
    put_health(state, out);
    buf_printf(out, ",\"type\":\"%s\"}", rule->is_alert ? "alerting" : "recording");
}

static bool is_among(const struct rules_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0)
            return true;
    return texts->count == 0;
}

/* The labels as the file has them: what a template in them will say is not known yet. */
static int has_wanted_labels(const struct rule *rule, const struct rules_filter *filter,
                             bool *ret_wanted)
{
    struct labels_builder builder;
    const struct labels *labels = NULL;
    if (filter->by_labels == NULL) {
        *ret_wanted = true;
        return 0;
    }
    labels_builder_init(&builder);
    for (size_t i = 0; i < rule->label_count; i++)
        labels_builder_set(&builder, bytes_of(rule->labels[i].name),
                           bytes_of(rule->labels[i].text));
    int error = labels_builder_build(&builder, NULL, &labels);
    if (error == 0)
        error = filter->by_labels(filter->context, labels, ret_wanted);
    labels_free(labels);
    labels_builder_done(&builder);
    return error;
}

static int is_wanted(const struct rule *rule, const struct rules_filter *filter,
                     bool *ret_wanted)
{
    *ret_wanted = false;
    if (!(rule->is_alert ? filter->alerting : filter->recording) ||
        !is_among(&filter->names, rule->name))
        return 0;
    return has_wanted_labels(rule, filter, ret_wanted);
}

/* A group with its wanted rules; nothing if it has none. */
static int put_group(const struct group_state *group, const struct rules_filter *filter,
                     size_t *count, struct buf *out)
{
    char time[JSON_TIME_BYTES];
    bool first_rule = true;

    if (!is_among(&filter->groups, group->group->name) ||
        !is_among(&filter->files, group->group->file))
        return 0;
    for (size_t i = 0; i < group->group->rule_count; i++) {
        const struct rule_state *state = &group->rules[i];
        bool wanted = false;
        int error = is_wanted(state->rule, filter, &wanted);
        if (error != 0)
            return error;
        if (!wanted)
            continue;
        if (first_rule) {
            buf_put_text(out, *count == 0 ? "{\"name\":" : ",{\"name\":");
            json_put_text(out, group->group->name);
            buf_put_text(out, ",\"file\":");
            json_put_text(out, group->group->file);
            buf_put_text(out, ",\"rules\":[");
        }
        if (!first_rule)
            buf_put_char(out, ',');
        put_rule(state, filter->exclude_alerts, out);
        first_rule = false;
    }
    if (first_rule)
        return 0;
    buf_put_char(out, ']');
    put_seconds(out, "interval", group->group->interval_ms);
    buf_printf(out, ",\"limit\":%zu,\"evaluationTime\":%.9f,\"lastEvaluation\":\"%s\"}",
               group->group->limit, group->seconds, json_time(group->evaluated_ms, time));
    (*count)++;
    return 0;
}

/* Names a group to those who page: opaque, and the same while file and name are. */
static void group_token(const struct rule_group *group, char text[17])
{
    uint64_t hash = XXH3_64bits_withSeed(group->file, strlen(group->file),
                                         XXH3_64bits(group->name, strlen(group->name)));
    (void)snprintf(text, 17, "%016" PRIx64, hash);
}

/* The groups of a page, and the token of the next one if there is one. */
static int put_page(const struct generation *generation, const struct rules_filter *filter,
                    struct buf *out)
{
    bool begun = filter->next_token == NULL;
    size_t count = 0;
    char token[17];
    int error = 0;

    for (size_t i = 0; error == 0 && i < generation->set->group_count; i++) {
        const struct group_state *group = &generation->groups[i];
        group_token(group->group, token);
        begun = begun || strcmp(token, filter->next_token) == 0;
        if (!begun)
            continue;
        if (filter->group_limit > 0 && count == filter->group_limit) {
            size_t size = out->size;
            size_t more = count;
            error = put_group(group, filter, &more, out);
            out->size = size; /* only asked whether it would have printed */
            if (more == count)
                continue;
            buf_printf(out, "],\"groupNextToken\":\"%s\"", token);
            return error;
        }
        error = put_group(group, filter, &count, out);
    }
    buf_put_char(out, ']');
    return error == 0 && !begun ? ERR_NOTFOUND : error;
}

int rules_print_json(struct rules *rules, const struct rules_filter *filter, struct buf *out)
{
    buf_put_text(out, "{\"groups\":[");
    (void)pthread_mutex_lock(&rules->state_lock);
    int error = put_page(rules->generation, filter, out);
    (void)pthread_mutex_unlock(&rules->state_lock);
    buf_put_char(out, '}');
    return error != 0 ? error : buf_ok(out) ? 0 : ERR_NOMEM;
}

int rules_print_alerts_json(struct rules *rules, struct buf *out)
{
    bool first = true;
    buf_put_text(out, "{\"alerts\":[");
    (void)pthread_mutex_lock(&rules->state_lock);
    for (size_t i = 0; i < rules->generation->set->rule_count; i++)
        put_alerts(&rules->generation->states[i], &first, out);
    (void)pthread_mutex_unlock(&rules->state_lock);
    buf_put_text(out, "]}");
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

/* ---- what began and ended while the collector was down ----------------------------------- */

struct past_notes {
    struct bytes *rows; /* malloc'd copies, the oldest first */
    size_t count, capacity;
};

static int keep_note(void *context, struct bytes key, struct bytes value)
{
    struct past_notes *notes = context;
    uint8_t *copy = malloc(value.size + 1);
    (void)key;
    if (copy != NULL && notes->count == notes->capacity) {
        size_t capacity = notes->capacity == 0 ? 16 : notes->capacity * 2;
        struct bytes *longer = realloc(notes->rows, capacity * sizeof *longer);
        if (longer != NULL) {
            notes->rows = longer;
            notes->capacity = capacity;
        }
    }
    if (copy == NULL || notes->count == notes->capacity) {
        free(copy);
        return ERR_NOMEM;
    }
    memcpy(copy, value.data, value.size);
    notes->rows[notes->count++] = (struct bytes){copy, value.size};
    return 0;
}

static int put_note(struct bytes row, bool first, struct buf *out)
{
    char time[JSON_TIME_BYTES], value[RULES_VALUE_BYTES];
    struct arena arena;
    struct alert alert;
    int error;

    arena_init(&arena, (size_t)16 << 20);
    error = alert_read(row, &arena, &alert);
    if (error == 0) {
        buf_put_text(out, first ? "{\"labels\":" : ",{\"labels\":");
        json_put_labels(out, alert.labels);
        buf_put_text(out, ",\"annotations\":");
        json_put_labels(out, alert.annotations);
        buf_printf(out, ",\"startsAt\":\"%s\"", json_time(alert.starts_ms, time));
        buf_printf(out, ",\"endsAt\":\"%s\"", json_time(alert.ends_ms, time));
        buf_printf(out, ",\"value\":\"%s\",\"fingerprint\":\"%016" PRIx64 "\"}",
                   rules_value_text(alert.value, value), alert.fingerprint);
    }
    arena_reset(&arena);
    return error;
}

int rules_print_past_json(struct rules *rules, struct buf *out)
{
    struct past_notes notes = {0};
    bool first = true;
    int error =
        store_state_scan(rules->store, bytes_of(PAST_NOTE_PREFIX), keep_note, &notes);

    buf_put_text(out, "{\"alerts\":[");
    for (size_t i = notes.count; error == 0 && i > 0; i--) {
        if (put_note(notes.rows[i - 1], first, out) == 0)
            first = false;
    }
    buf_put_text(out, "]}");
    for (size_t i = 0; i < notes.count; i++)
        free((void *)(uintptr_t)notes.rows[i].data);
    free(notes.rows);
    return error != 0 ? error : buf_ok(out) ? 0 : ERR_NOMEM;
}

int rules_visit_alerts(struct rules *rules,
                       int (*each)(void *context, const struct rules_alert *alert),
                       void *context)
{
    int stop = 0;
    (void)pthread_mutex_lock(&rules->state_lock);
    for (size_t i = 0; stop == 0 && i < rules->generation->set->rule_count; i++) {
        const struct rule_state *state = &rules->generation->states[i];
        for (const struct live_alert *at = rule_state_next(state, NULL);
             stop == 0 && at != NULL; at = rule_state_next(state, at)) {
            char value[RULES_VALUE_BYTES];
            const bool is_active = at->life.state != ALERT_INACTIVE;
            if (!is_active && !at->flap.flapping)
                continue;
            const struct rules_alert alert = {.labels = at->labels,
                                              .annotations = at->annotations,
                                              .fingerprint = at->fingerprint,
                                              .state = alert_state_text(
                                                  is_active ? at->life.state : ALERT_FIRING),
                                              .active_ms = is_active ? at->life.active_ms
                                                                     : at->flap.began_ms,
                                              .stale_since_ms = live_alert_is_stale(at)
                                                                    ? at->life.stale_since_ms
                                                                    : 0,
                                              .flapping_since_ms = at->flap.flapping
                                                                       ? at->flap.began_ms
                                                                       : 0,
                                              .value = rules_value_text(at->value, value)};
            stop = each(context, &alert);
        }
    }
    (void)pthread_mutex_unlock(&rules->state_lock);
    return stop;
}
