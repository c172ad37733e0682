#include "probe/once.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/definition.h"
#include "proto/base/arena.h"
#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)64 << 20)

struct line {
    struct definition definition;
    double value;
};

static int compare_lines(const void *a, const void *b)
{
    const struct definition *left = &((const struct line *)a)->definition;
    const struct definition *right = &((const struct line *)b)->definition;
    int order = bytes_compare(left->name, right->name);
    for (size_t i = 0; order == 0; i++) {
        if (i == left->label_count || i == right->label_count)
            return left->label_count < right->label_count
                       ? -1
                       : left->label_count > right->label_count;
        order = bytes_compare(left->labels[i].name, right->labels[i].name);
        if (order == 0)
            order = bytes_compare(left->labels[i].value, right->labels[i].value);
    }
    return order;
}

static void put_escaped(struct buf *out, struct bytes text, bool with_quotes)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = (char)text.data[i];
        if (c == '\\')
            buf_put_text(out, "\\\\");
        else if (c == '\n')
            buf_put_text(out, "\\n");
        else if (c == '"' && with_quotes)
            buf_put_text(out, "\\\"");
        else
            buf_put_char(out, c);
    }
}

/* The fewest digits that read back as the same number. */
static void put_value(struct buf *out, double value)
{
    char text[32];
    if (isnan(value)) {
        buf_put_text(out, "NaN");
        return;
    }
    if (isinf(value)) {
        buf_put_text(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_put_text(out, text);
}

static const char *type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
    case METRIC_INFO:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    case METRIC_SUMMARY:
        return "summary";
    case METRIC_UNKNOWN:
    case METRIC_UNTYPED:
        break;
    }
    return "untyped";
}

static void put_line(struct buf *out, const struct line *line)
{
    const struct definition *definition = &line->definition;
    buf_put(out, definition->name.data, definition->name.size);
    for (size_t i = 0; i < definition->label_count; i++) {
        buf_put_char(out, i == 0 ? '{' : ',');
        buf_put(out, definition->labels[i].name.data, definition->labels[i].name.size);
        buf_put_text(out, "=\"");
        put_escaped(out, definition->labels[i].value, true);
        buf_put_char(out, '"');
    }
    if (definition->label_count > 0)
        buf_put_char(out, '}');
    buf_put_char(out, ' ');
    put_value(out, line->value);
    buf_put_char(out, '\n');
}

/* The name that HELP and TYPE lines have: of a histogram's and a summary's parts, the whole. */
static struct bytes family_name(const struct definition *definition)
{
    static const char *const parts[] = {"_bucket", "_count", "_sum"};
    struct bytes name = definition->name;
    if (definition->type != METRIC_HISTOGRAM && definition->type != METRIC_SUMMARY)
        return name;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t size = strlen(parts[i]);
        if (name.size > size && memcmp(name.data + name.size - size, parts[i], size) == 0)
            return (struct bytes){name.data, name.size - size};
    }
    return name;
}

static void put_family(struct buf *out, const struct definition *definition)
{
    struct bytes name = family_name(definition);
    buf_put_text(out, "# HELP ");
    buf_put(out, name.data, name.size);
    buf_put_char(out, ' ');
    put_escaped(out, definition->help, false);
    buf_put_text(out, "\n# TYPE ");
    buf_put(out, name.data, name.size);
    buf_printf(out, " %s\n", type_name(definition->type));
}

/* Joins definitions and values, part by part: both ascend by ref. */
static int join(struct emitter *emitter, struct arena *arena, struct line *lines,
                size_t *ret_count)
{
    uint64_t ref, total;
    struct reader reader = reader_of(emitter_new_definitions(emitter, &ref, &total));
    size_t count = 0;

    while (!emitter_is_empty(emitter)) {
        struct plain_batch batch;
        int error = emitter_seal(emitter, &batch);
        for (size_t at = 0; error == 0 && at < batch.samples.count; ref++) {
            struct definition definition;
            error = definition_read(&reader, arena, &definition);
            if (error != 0 || batch.samples.refs[at] != ref)
                continue;
            lines[count++] = (struct line){definition, batch.samples.values[at++]};
        }
        if (error != 0)
            return error;
        emitter_kept(emitter);
    }
    *ret_count = count;
    return 0;
}

int once_print(struct emitter *emitter, struct buf *out)
{
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, ARENA_BYTES);
    struct line *lines = calloc((size_t)emitter_counts(emitter)->series + 1, sizeof *lines);
    int error = lines == NULL ? ERR_NOMEM : join(emitter, &arena, lines, &count);
    if (error == 0)
        qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; error == 0 && i < count; i++) {
        if (i == 0 || !bytes_equal(family_name(&lines[i].definition),
                                   family_name(&lines[i - 1].definition)))
            put_family(out, &lines[i].definition);
        put_line(out, &lines[i]);
    }
    free(lines);
    arena_reset(&arena);
    return error == 0 && !buf_ok(out) ? ERR_NOMEM : error;
}
