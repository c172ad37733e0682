/*
 * passed.c - see passed.h.
 */
#include "collector/notify/passed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/notify/alerting_config.h"
#include "proto/base/error.h"

#define ROW_VERSION 1
#define KEY_BYTES   96

/* ---- rows -------------------------------------------------------------------------------- */

static uint64_t target_hash(const struct passed_line *line)
{
    return XXH3_64bits_withSeed(line->receiver, strlen(line->receiver),
                                XXH3_64bits(line->channel, strlen(line->channel)) + line->index);
}

static void put_row(const struct passed_line *line, const struct passed_alert *alert,
                    bool is_owed, struct puts *puts)
{
    char key[KEY_BYTES];
    struct buf row = {0};

    (void)snprintf(key, sizeof key, "%016" PRIx64 "/%016" PRIx64 "/%016" PRIx64,
                   target_hash(line), (uint64_t)alert->ends_ms, alert->fingerprint);
    if (is_owed) {
        buf_put_u8(&row, ROW_VERSION);
        buf_put_sized(&row, bytes_of(line->receiver));
        buf_put_sized(&row, bytes_of(line->channel));
        buf_put_varint(&row, line->index);
        buf_put_zigzag(&row, alert->starts_ms);
        buf_put_zigzag(&row, alert->ends_ms);
        buf_put_u64(&row, alert->fingerprint);
        buf_put_sized(&row, bytes_of(alert->name));
        buf_put_sized(&row, bytes_of(alert->instance));
        buf_put_sized(&row, bytes_of(alert->severity));
    }
    puts_add_named(puts, PASSED_PREFIX, key, is_owed ? &row : NULL);
    buf_done(&row);
}

/* ---- what is owed ------------------------------------------------------------------------ */

static void alert_done(struct passed_alert *alert)
{
    free(alert->name);
    free(alert->instance);
    free(alert->severity);
}

static void line_free(struct passed_line *line)
{
    for (size_t i = 0; i < line->count; i++)
        alert_done(&line->alerts[i]);
    free(line->alerts);
    free(line->receiver);
    free(line->channel);
    free(line);
}

static struct passed_line *find(const struct passed *passed, const char *receiver,
                                const char *channel, unsigned index)
{
    struct passed_line *line = passed->lines;
    while (line != NULL && (line->index != index || strcmp(line->receiver, receiver) != 0 ||
                            strcmp(line->channel, channel) != 0))
        line = line->next;
    return line;
}

static struct passed_line *find_or_make(struct passed *passed, const char *receiver,
                                        const char *channel, unsigned index)
{
    struct passed_line *line = find(passed, receiver, channel, index);
    if (line != NULL)
        return line;
    line = calloc(1, sizeof *line);
    if (line == NULL)
        return NULL;
    line->receiver = strdup(receiver);
    line->channel = strdup(channel);
    line->index = index;
    if (line->receiver == NULL || line->channel == NULL) {
        line_free(line);
        return NULL;
    }
    line->next = passed->lines;
    passed->lines = line;
    return line;
}

static int compare(const struct passed_alert *left, const struct passed_alert *right)
{
    if (left->ends_ms != right->ends_ms)
        return left->ends_ms < right->ends_ms ? -1 : 1;
    if (left->fingerprint != right->fingerprint)
        return left->fingerprint < right->fingerprint ? -1 : 1;
    return 0;
}

/* Takes the texts of `alert` if it was added; one that is there stays, and *ret_place is where. */
static int add(struct passed_line *line, const struct passed_alert *alert, size_t *ret_place,
               bool *ret_added)
{
    size_t place = line->count;
    while (place > 0 && compare(alert, &line->alerts[place - 1]) < 0)
        place--;
    *ret_added = place == 0 || compare(alert, &line->alerts[place - 1]) != 0;
    *ret_place = *ret_added ? place : place - 1;
    if (!*ret_added)
        return 0;
    if (line->count == line->capacity) {
        size_t capacity = line->capacity == 0 ? 8 : line->capacity * 2;
        struct passed_alert *longer = realloc(line->alerts, capacity * sizeof *longer);
        if (longer == NULL)
            return ERR_NOMEM;
        line->alerts = longer;
        line->capacity = capacity;
    }
    memmove(line->alerts + place + 1, line->alerts + place,
            (line->count - place) * sizeof *line->alerts);
    line->alerts[place] = *alert;
    line->count++;
    return 0;
}

static void drop_first(struct passed_line *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        alert_done(&line->alerts[i]);
    line->count -= count;
    memmove(line->alerts, line->alerts + count, line->count * sizeof *line->alerts);
}

/* Adds one with texts of its own.  ERR_NOMEM. */
static int owe(struct passed_line *line, struct passed_alert alert, struct bytes name,
               struct bytes instance, struct bytes severity, size_t *ret_place)
{
    bool added = false;
    int error = ERR_NOMEM;
    alert.name = bytes_copy_text(name);
    alert.instance = bytes_copy_text(instance);
    alert.severity = bytes_copy_text(severity);
    if (alert.name != NULL && alert.instance != NULL && alert.severity != NULL)
        error = add(line, &alert, ret_place, &added);
    if (!added || error != 0)
        alert_done(&alert);
    return error;
}

/* Somebody wanted to hear nothing of it, from its beginning to its end. */
static bool was_silenced(const struct silences *silences, const struct alert *alert)
{
    for (size_t i = 0; i < silences->count; i++) {
        const struct silence *silence = silences->items[i];
        if (silence->starts_ms <= alert->starts_ms && silence->ends_ms >= alert->ends_ms &&
            silence_matches(silence, alert->labels))
            return true;
    }
    return false;
}

static int take_for(struct passed *passed, const struct receiver *receiver,
                    const struct alert *alert, struct puts *puts)
{
    const struct passed_alert owed = {.starts_ms = alert->starts_ms, .ends_ms = alert->ends_ms,
                                      .fingerprint = alert->fingerprint};
    for (size_t i = 0; i < receiver->integration_count; i++) {
        const struct integration *integration = &receiver->integrations[i];
        struct passed_line *line = find_or_make(passed, receiver->name,
                                                integration->channel->name, integration->index);
        size_t place;
        int error;
        if (line == NULL)
            return ERR_NOMEM;
        error = owe(line, owed, labels_get_text(alert->labels, "alertname"),
                    labels_get_text(alert->labels, "instance"),
                    labels_get_text(alert->labels, "severity"), &place);
        if (error != 0)
            return error;
        put_row(line, &line->alerts[place], true, puts);
        if (line->count > PASSED_MAX) {
            put_row(line, &line->alerts[0], false, puts);
            drop_first(line, 1);
        }
    }
    return 0;
}

int passed_take(struct passed *passed, const struct route *root, const struct silences *silences,
                const struct alert *alert, struct puts *puts)
{
    const struct route *routes[ROUTE_MATCHES_MAX];
    size_t count = was_silenced(silences, alert) ? 0 : route_match(root, alert->labels, routes);
    int error = 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = take_for(passed, routes[i]->receiver, alert, puts);
    return error;
}

int passed_remember(struct passed *passed, struct bytes row)
{
    struct reader reader = reader_of(row);
    struct passed_alert alert = {0};
    struct bytes receiver, channel, name, instance, severity;
    struct passed_line *line = NULL;
    char *receiver_text, *channel_text;
    uint64_t index;
    size_t place;
    int error = ERR_NOMEM;

    if (reader_u8(&reader) != ROW_VERSION)
        return ERR_CORRUPT;
    receiver = reader_sized(&reader);
    channel = reader_sized(&reader);
    index = reader_varint(&reader);
    alert.starts_ms = reader_zigzag(&reader);
    alert.ends_ms = reader_zigzag(&reader);
    alert.fingerprint = reader_u64(&reader);
    name = reader_sized(&reader);
    instance = reader_sized(&reader);
    severity = reader_sized(&reader);
    if (reader.failed || reader_left(&reader) != 0 || index > UINT32_MAX)
        return ERR_CORRUPT;
    receiver_text = bytes_copy_text(receiver);
    channel_text = bytes_copy_text(channel);
    if (receiver_text != NULL && channel_text != NULL)
        line = find_or_make(passed, receiver_text, channel_text, (unsigned)index);
    if (line != NULL)
        error = owe(line, alert, name, instance, severity, &place);
    free(receiver_text);
    free(channel_text);
    return error;
}

/* ---- telling ----------------------------------------------------------------------------- */

const struct passed_line *passed_claim(struct passed *passed, const char *receiver,
                                       const struct integration *integration, const void *by)
{
    struct passed_line *line =
        find(passed, receiver, integration->channel->name, integration->index);
    if (line == NULL || line->count == 0 ||
        (line->claimed_by != NULL && line->claimed_by != by))
        return NULL;
    line->claimed_by = by;
    return line;
}

static void tell(struct passed_line *line, size_t count, struct puts *puts)
{
    for (size_t i = line->told; i < count; i++)
        put_row(line, &line->alerts[i], false, puts);
    if (count > line->told)
        line->told = count;
}

void passed_told(struct passed *passed, const char *receiver,
                 const struct integration *integration, const void *by, struct puts *puts)
{
    struct passed_line *line =
        find(passed, receiver, integration->channel->name, integration->index);
    if (line != NULL && line->claimed_by == by)
        tell(line, line->count, puts);
}

void passed_cut(struct passed *passed, struct puts *puts, int64_t now_ms)
{
    for (struct passed_line *line = passed->lines; line != NULL; line = line->next) {
        size_t old = 0;
        while (old < line->count && line->alerts[old].ends_ms < now_ms - PASSED_KEPT_MS)
            old++;
        tell(line, old, puts);
    }
}

void passed_apply(struct passed *passed)
{
    for (struct passed_line **at = &passed->lines; *at != NULL;) {
        struct passed_line *line = *at;
        drop_first(line, line->told);
        line->told = 0;
        line->claimed_by = NULL;
        if (line->count == 0) {
            *at = line->next;
            line_free(line);
        } else {
            at = &line->next;
        }
    }
}

void passed_forget(struct passed *passed)
{
    for (struct passed_line *line = passed->lines; line != NULL; line = line->next) {
        line->told = 0;
        line->claimed_by = NULL;
    }
}

void passed_free(struct passed *passed)
{
    while (passed->lines != NULL) {
        struct passed_line *next = passed->lines->next;
        line_free(passed->lines);
        passed->lines = next;
    }
}
