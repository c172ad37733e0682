/*
 * expand.c - see expand.h.
 */
#include "collector/rules/expand.h"

#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/wire/envelope.h"

/* A text in the arena, cut where a label value must end, at a character's border. */
static int keep(struct arena *arena, struct bytes text, struct bytes *ret_text)
{
    size_t size = text.size;
    uint8_t *copy;

    if (size > LABEL_VALUE_BYTES_MAX) {
        size = LABEL_VALUE_BYTES_MAX;
        while (size > 0 && (text.data[size] & 0xC0) == 0x80)
            size--;
    }
    copy = arena_alloc(arena, size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    if (size > 0)
        memcpy(copy, text.data, size);
    *ret_text = (struct bytes){copy, size};
    return 0;
}

static int expand_text(const struct rule_text *text, const struct labels *element, double value,
                       const struct template_environment *environment, struct arena *arena,
                       size_t *template_errors, struct bytes *ret_text)
{
    const struct value_field fields[] = {
        {"labels", value_of_labels(element)},
        {"externalLabels", value_of_labels(environment->external_labels)},
        {"externalURL", value_of_text(environment->external_url)},
        {"value", value_of_number(value)},
    };
    const struct value_field dots[] = {
        {"Labels", fields[0].value},
        {"ExternalLabels", fields[1].value},
        {"ExternalURL", fields[2].value},
        {"Value", fields[3].value},
    };
    const struct value root = {.kind = VALUE_MAP, .as.map = {dots, 4}};
    struct diagnosis inner = {0};
    struct buf out = {0};
    int error;

    if (strstr(text->text, "{{") == NULL)
        return keep(arena, bytes_of(text->text), ret_text);
    error = template_run(text->template, environment, root, fields, 4, arena, &out, &inner);
    if (error != 0 || !utf8_is_valid(buf_bytes(&out))) {
        ++*template_errors;
        buf_clear(&out);
        buf_printf(&out, "<error expanding template: %s>",
                   error != 0 ? inner.text : "not UTF-8");
    }
    error = keep(arena, (struct bytes){(const uint8_t *)buf_text(&out), out.size}, ret_text);
    buf_done(&out);
    return error;
}

/* Sets `name` among the pairs, replacing. */
static void set_pair(struct label *pairs, size_t *count, struct bytes name, struct bytes value)
{
    for (size_t i = 0; i < *count; i++)
        if (bytes_equal(pairs[i].name, name)) {
            pairs[i].value = value;
            return;
        }
    pairs[(*count)++] = (struct label){name, value};
}

static struct label *start_pairs(const struct labels *element, size_t more, struct arena *arena,
                                 size_t *ret_count)
{
    struct label *pairs = arena_alloc(arena, element->count + more + 1, sizeof *pairs);
    size_t count = 0;
    if (pairs == NULL)
        return NULL;
    for (size_t i = 0; i < element->count; i++)
        if (!bytes_equal(element->pairs[i].name, bytes_of(LABEL_NAME)))
            pairs[count++] = element->pairs[i];
    *ret_count = count;
    return pairs;
}

int expand_labels(const struct rule *rule, const struct labels *element, double value,
                  const struct template_environment *environment, struct arena *arena,
                  size_t *template_errors, const struct labels **ret_labels,
                  struct diagnosis *why)
{
    size_t count;
    struct label *pairs = start_pairs(element, rule->label_count + 1, arena, &count);
    int error = pairs == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < rule->label_count; i++) {
        struct bytes text;
        error = expand_text(&rule->labels[i], element, value, environment, arena,
                            template_errors, &text);
        if (error == 0)
            set_pair(pairs, &count, bytes_of(rule->labels[i].name), text);
    }
    if (error == 0) {
        set_pair(pairs, &count, bytes_of("alertname"), bytes_of(rule->name));
        error = labels_build(pairs, count, arena, ret_labels);
    }
    return error == 0 ? 0 : diagnose(why, error, "labels of an alert: %s", error_text(error));
}

int expand_annotations(const struct rule *rule, const struct labels *element, double value,
                       const struct template_environment *environment, struct arena *arena,
                       size_t *template_errors, const struct labels **ret_annotations)
{
    struct label *pairs = arena_alloc(arena, rule->annotation_count + 1, sizeof *pairs);
    int error = pairs == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < rule->annotation_count; i++) {
        pairs[i].name = bytes_of(rule->annotations[i].name);
        error = expand_text(&rule->annotations[i], element, value, environment, arena,
                            template_errors, &pairs[i].value);
    }
    return error != 0 ? error
                      : labels_build(pairs, rule->annotation_count, arena, ret_annotations);
}

int expand_record_labels(const struct rule *rule, const struct labels *element,
                         struct arena *arena, const struct labels **ret_labels)
{
    size_t count;
    struct label *pairs = start_pairs(element, rule->label_count + 1, arena, &count);

    if (pairs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < rule->label_count; i++)
        set_pair(pairs, &count, bytes_of(rule->labels[i].name), bytes_of(rule->labels[i].text));
    set_pair(pairs, &count, bytes_of(LABEL_NAME), bytes_of(rule->name));
    return labels_build(pairs, count, arena, ret_labels);
}

int expand_add_alert_series(struct outputs *outputs, const struct labels *labels,
                            const struct alert_life *life, int64_t ts_ms, struct arena *arena,
                            struct output_samples *samples)
{
    size_t count;
    struct label *pairs = start_pairs(labels, 2, arena, &count);
    const struct labels *series;
    int error;

    if (pairs == NULL)
        return ERR_NOMEM;
    set_pair(pairs, &count, bytes_of(LABEL_NAME), bytes_of("ALERTS_FOR_STATE"));
    error = labels_build(pairs, count, arena, &series);
    if (error == 0)
        error = outputs_add(outputs, series, ts_ms, (double)(life->active_ms / 1000), samples);
    if (error != 0)
        return error;
    set_pair(pairs, &count, bytes_of(LABEL_NAME), bytes_of("ALERTS"));
    set_pair(pairs, &count, bytes_of("alertstate"), bytes_of(alert_state_text(life->state)));
    error = labels_build(pairs, count, arena, &series);
    return error != 0 ? error : outputs_add(outputs, series, ts_ms, 1, samples);
}
