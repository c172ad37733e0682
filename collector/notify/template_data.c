/*
 * template_data.c - see template_data.h.
 */
#include "collector/notify/template_data.h"

#include <inttypes.h>
#include <stdio.h>

#include "collector/notify/template.h"
#include "proto/base/error.h"

#define DATA_ARENA_BYTES ((size_t)32 << 20)
#define ALERT_FIELDS     8

static struct value map_of(const struct value_field *fields, size_t count)
{
    return (struct value){.kind = VALUE_MAP, .as.map = {fields, count}};
}

/* With Alertmanager's methods. */
static struct value labels_value(const struct labels *labels)
{
    struct value value = value_of_labels(labels);
    value.trait = TRAIT_METHODS;
    return value;
}

static struct value alert_value(const struct alert *alert, struct arena *arena)
{
    struct value_field *fields = arena_alloc(arena, ALERT_FIELDS, sizeof *fields);
    char *fingerprint = arena_alloc(arena, 17, 1);

    if (fields == NULL || fingerprint == NULL)
        return (struct value){.kind = VALUE_NIL};
    (void)snprintf(fingerprint, 17, "%016" PRIx64, alert->fingerprint);
    fields[0] =
        (struct value_field){"Status", value_of_text(alert->firing ? "firing" : "resolved")};
    fields[1] = (struct value_field){"Labels", labels_value(alert->labels)};
    fields[2] = (struct value_field){"Annotations", labels_value(alert->annotations)};
    fields[3] = (struct value_field){"StartsAt", value_of_time(alert->starts_ms)};
    fields[4] = (struct value_field){
        "EndsAt", value_of_time(alert->ends_ms != 0 ? alert->ends_ms : VALUE_TIME_NONE)};
    fields[5] = (struct value_field){
        "GeneratorURL",
        value_of_text(alert->generator_url != NULL ? alert->generator_url : "")};
    fields[6] = (struct value_field){"Fingerprint", value_of_text(fingerprint)};
    fields[7] = (struct value_field){"Value", value_of_number(alert->value)};
    return map_of(fields, ALERT_FIELDS);
}

int template_data_expand(const struct message *message, const char *text, bool is_html,
                         struct buf *out, struct diagnosis *why)
{
    const struct template_scope scope = {.set = message->templates};
    const struct template_environment environment = {
        .external_url = message->external_url, .now_ms = message->now_ms, .is_html = is_html};
    const struct template *template;
    struct arena arena;
    struct value *alerts;
    int error;

    arena_init(&arena, DATA_ARENA_BYTES);
    error = template_parse(text, &scope, &arena, &template, why);
    alerts = arena_alloc(&arena, message->alert_count + 1, sizeof *alerts);
    if (error == 0 && alerts == NULL)
        error = ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < message->alert_count; i++)
        alerts[i] = alert_value(&message->alerts[i], &arena);
    if (error == 0) {
        const struct value_field fields[] = {
            {"Receiver", value_of_text(message->receiver)},
            {"Status", value_of_text(message->firing_count > 0 ? "firing" : "resolved")},
            {"Alerts",
             {.kind = VALUE_LIST,
              .trait = TRAIT_METHODS,
              .as.list = {alerts, message->alert_count}}},
            {"GroupLabels", labels_value(message->group_labels)},
            {"CommonLabels", labels_value(message->common_labels)},
            {"CommonAnnotations", labels_value(message->common_annotations)},
            {"ExternalURL", value_of_text(message->external_url)},
        };
        error = template_run(template, &environment,
                             map_of(fields, sizeof fields / sizeof fields[0]), NULL, 0, &arena,
                             out, why);
    }
    arena_reset(&arena);
    return error;
}
