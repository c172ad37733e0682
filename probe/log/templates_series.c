/*
 * templates_series.c - see templates_series.h.
 */
#include "probe/log/templates_series.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#include "probe/log/account_series.h"
#include "probe/log/told.h"

#define KEY_BYTES 32
#define ID_BYTES  17

static const struct metric lines_total = {"logwatch_template_lines_total", METRIC_COUNTER,
                                          "Log lines by template.", NULL};
static const struct metric new_total = {
    "logwatch_templates_new_total", METRIC_COUNTER,
    "Templates of log lines that were never seen before in this log.", NULL};
static const struct metric templates_metric = {"logwatch_templates", METRIC_GAUGE,
                                               "Templates of log lines that are known.", NULL};

struct slot {
    uint64_t id;
    struct told told;
};

struct templates_series {
    struct bytes file;
    struct told new_count, count, other;
    struct slot slots[TEMPLATES_MAX];
};

struct templates_series *templates_series_new(struct bytes file)
{
    struct templates_series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    series->file = file;
    series->new_count = series->count = series->other = told_never(SERIES_NONE);
    return series;
}

void templates_series_free(struct templates_series *series)
{
    free(series);
}

static void write_id(uint64_t id, char text[ID_BYTES])
{
    (void)snprintf(text, ID_BYTES, "%016" PRIx64, id);
}

static void tell_new(const struct templates_series *series, struct templates *templates,
                     struct emitter *out)
{
    for (size_t i = 0; i < templates->told_count; i++) {
        char id[ID_BYTES];
        write_id(templates->told[i].id, id);
        struct label labels[] = {{bytes_of("file"), series->file},
                                 {bytes_of("template"), bytes_of(id)}};
        account_event(out, "log_template_new", templates->told[i].text, labels, 2);
    }
    templates->told_count = 0;
}

static struct bytes note_key(struct bytes file, char key[KEY_BYTES])
{
    (void)snprintf(key, KEY_BYTES, "templates/%016" PRIx64, XXH3_64bits(file.data, file.size));
    return bytes_of(key);
}

static void note(const struct templates_series *series, struct templates *templates,
                 struct emitter *out)
{
    char key[KEY_BYTES];
    struct buf value = {0};
    if (!templates->is_changed)
        return;
    templates_note_write(templates, &value);
    if (buf_ok(&value) &&
        emitter_note(out, note_key(series->file, key), buf_bytes(&value)) == 0)
        templates->is_changed = false;
    buf_done(&value);
}

void templates_resume(struct templates *templates, struct bytes file, const struct emitter *out)
{
    char text[KEY_BYTES];
    struct bytes key, value, own = note_key(file, text);
    for (size_t i = 0; templates != NULL && emitter_noted(out, i, &key, &value); i++)
        if (bytes_equal(key, own))
            templates_note_read(templates, value);
}

void templates_series_emit(struct templates_series *series, struct templates *templates,
                           bool all, struct emitter *out)
{
    if (series->count.handle == SERIES_NONE) {
        series->new_count = told_never(series_one(out, &new_total, "file", series->file));
        series->count = told_never(series_one(out, &templates_metric, "file", series->file));
        series->other = told_never(
            series_two(out, &lines_total, "file", series->file, "template", bytes_of("other")));
    }
    for (size_t i = 0; i < templates->count; i++) {
        const struct template *one = &templates->items[i];
        struct slot *slot = &series->slots[i];
        if (slot->id != one->id) {
            char id[ID_BYTES];
            write_id(one->id, id);
            if (slot->id != 0)
                told_end(&slot->told, 1, out);
            slot->id = one->id;
            slot->told = told_never(
                series_two(out, &lines_total, "file", series->file, "template", bytes_of(id)));
        }
        told_emit(&slot->told, (double)one->lines, all, out);
    }
    told_emit(&series->other, (double)templates->other, all, out);
    told_emit(&series->new_count, (double)templates->new_count, all, out);
    told_emit(&series->count, (double)templates->count, all, out);
    tell_new(series, templates, out);
    note(series, templates, out);
}

void templates_series_end(const struct templates_series *series, struct emitter *out)
{
    told_end(&series->new_count, 1, out);
    told_end(&series->count, 1, out);
    told_end(&series->other, 1, out);
    for (size_t i = 0; i < TEMPLATES_MAX; i++)
        if (series->slots[i].id != 0)
            told_end(&series->slots[i].told, 1, out);
}
