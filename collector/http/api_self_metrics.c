/*
 * api_self_metrics.c - /api/v1/status/self_metrics: what /metrics says, as JSON.
 *
 * Families are io.prometheus.client.MetricFamily in ProtoJSON (protobuf.dev/programming-guides/
 * json: NaN and infinities are strings, an empty list is not there), ascending by name, as
 * Prometheus answers; `metric_name_pattern` is a regular expression that a whole name must
 * match.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/series/matcher.h"
#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

#define NAMES_BYTES_MAX ((size_t)4 << 20)

struct family {
    struct bytes name, help;
    enum metric_type type;
    struct buf metrics; /* of JSON: the inside of an array */
};

struct gathering {
    const struct matcher *names; /* NULL: all */
    struct family *families;
    size_t count, capacity;
    struct arena arena;
    int error;
};

static int by_name(const void *left, const void *right)
{
    const struct family *a = left;
    const struct family *b = right;
    return bytes_compare(a->name, b->name);
}

static bool copy(struct arena *arena, struct bytes from, struct bytes *ret_copy)
{
    uint8_t *to = arena_alloc(arena, from.size + 1, 1);
    if (to == NULL)
        return false;
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    *ret_copy = (struct bytes){to, from.size};
    return true;
}

static struct family *add_family(struct gathering *all, struct bytes name, struct bytes help,
                                 enum metric_type type)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 128 : all->capacity * 2;
        struct family *grown = realloc(all->families, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        all->families = grown;
        all->capacity = capacity;
    }
    struct family *family = &all->families[all->count];
    *family = (struct family){.type = type};
    if (!copy(&all->arena, name, &family->name) || !copy(&all->arena, help, &family->help))
        return NULL;
    all->count++;
    return family;
}

/* The last first: lines of a family stand together. */
static struct family *family_of(struct gathering *all, const struct exposition_sample *sample)
{
    const struct exposition_family *said = sample->family;
    struct bytes name = said != NULL ? said->name : sample->name;
    for (size_t i = all->count; i > 0; i--)
        if (bytes_equal(all->families[i - 1].name, name))
            return &all->families[i - 1];
    return add_family(all, name, said != NULL ? said->help : bytes_of(""),
                      said != NULL ? said->type : METRIC_UNTYPED);
}

static void write_value(struct json_writer *json, double value)
{
    if (isnan(value))
        json_write_text(json, "NaN");
    else if (isinf(value))
        json_write_text(json, value > 0 ? "Infinity" : "-Infinity");
    else
        json_write_number(json, value);
}

/* Counters and gauges are all that the collector has; anything else would be shown as it is in
 * the text, sample by sample. */
static const char *type_key(enum metric_type type)
{
    return type == METRIC_COUNTER ? "counter" : type == METRIC_GAUGE ? "gauge" : "untyped";
}

static const char *type_name(enum metric_type type)
{
    return type == METRIC_COUNTER ? "COUNTER" : type == METRIC_GAUGE ? "GAUGE" : "UNTYPED";
}

static void write_labels(struct json_writer *json, const struct exposition_sample *sample)
{
    if (sample->label_count == 0)
        return;
    json_write_key(json, "label");
    json_write_array(json);
    for (size_t i = 0; i < sample->label_count; i++) {
        json_write_object(json);
        json_write_key(json, "name");
        json_write_string(json, sample->labels[i].name);
        json_write_key(json, "value");
        json_write_string(json, sample->labels[i].value);
        json_write_end(json);
    }
    json_write_end(json);
}

static void add_sample(struct gathering *all, const struct exposition_sample *sample)
{
    struct bytes name = sample->family != NULL ? sample->family->name : sample->name;
    if (all->names != NULL && !matcher_matches(all->names, name, NULL))
        return;
    struct family *family = family_of(all, sample);
    if (family == NULL) {
        all->error = ERR_NOMEM;
        return;
    }
    buf_put_text(&family->metrics, family->metrics.size > 0 ? "," : "");
    struct json_writer json = json_write_to(&family->metrics);
    json_write_object(&json);
    write_labels(&json, sample);
    json_write_key(&json, type_key(family->type));
    json_write_object(&json);
    json_write_key(&json, "value");
    write_value(&json, sample->value);
    json_write_end(&json);
    json_write_end(&json);
    if (!buf_ok(&family->metrics))
        all->error = ERR_NOMEM;
}

/* The text is our own: a line that cannot be read is a defect, which the answer says. */
static void gather(struct gathering *all, struct bytes text)
{
    struct reading {
        struct exposition parser;
        uint8_t line[EXPOSITION_LINE_BYTES];
    } *reading = malloc(sizeof *reading);
    if (reading == NULL) {
        all->error = ERR_NOMEM;
        return;
    }
    struct exposition *parser = &reading->parser;
    struct exposition_sample sample;
    struct diagnosis why = {0};
    int event = 0;
    exposition_init(parser, EXPOSITION_PROMETHEUS, "/metrics", reading->line,
                    sizeof reading->line);
    while (all->error == 0 &&
           (event = exposition_next(parser, &text, &sample, &why)) != EXPOSITION_MORE) {
        if (event < 0)
            all->error = event;
        else if (event == EXPOSITION_SAMPLE)
            add_sample(all, &sample);
    }
    free(reading);
}

static void write_families(struct http_response *response, const struct gathering *all)
{
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_array(json);
    for (size_t i = 0; i < all->count; i++) {
        const struct family *family = &all->families[i];
        json_write_object(json);
        json_write_key(json, "name");
        json_write_string(json, family->name);
        json_write_key(json, "help");
        json_write_string(json, family->help);
        json_write_key(json, "type");
        json_write_text(json, type_name(family->type));
        json_write_key(json, "metric");
        json_write_array(json);
        json_write_raw(json, buf_bytes(&family->metrics));
        json_write_end(json);
        json_write_end(json);
    }
    json_write_end(json);
    reply_finish(&reply, NULL, NULL);
}

void api_self_metrics(struct http_request *request, struct http_response *response)
{
    const char *pattern = http_parameter(request, "metric_name_pattern");
    struct gathering all = {0};
    struct matcher *names = NULL;
    struct diagnosis why = {0};
    if (pattern != NULL && *pattern != '\0' &&
        matcher_new(MATCH_REGEX, bytes_of(LABEL_NAME), bytes_of(pattern), &names, &why) != 0) {
        reply_invalid(response, "metric_name_pattern", why.text);
        return;
    }
    struct http_response text = {0};
    api_metrics(request, &text);
    all.names = names;
    arena_init(&all.arena, NAMES_BYTES_MAX);
    all.error = buf_ok(&text.body) ? 0 : ERR_NOMEM;
    if (all.error == 0)
        gather(&all, buf_bytes(&text.body));
    if (all.error != 0) {
        reply_code(response, all.error, NULL);
    } else {
        if (all.count > 1)
            qsort(all.families, all.count, sizeof *all.families, by_name);
        write_families(response, &all);
    }
    for (size_t i = 0; i < all.count; i++)
        buf_done(&all.families[i].metrics);
    free(all.families);
    arena_reset(&all.arena);
    buf_done(&text.body);
    matcher_free(names);
}
