/*
 * readings.c - what was read in a tick, to be emitted later (readings.h).
 *
 * A row, unaligned, numbers as this machine has them:
 *
 *     hash u64 | value f64 | type u8 | labels u8 | name \0 | help \0 | unit \0 |
 *     for each label: name \0, size u32, value
 */
#include "probe/source/readings.h"

#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

/* A list never grows past this; the largest seen, all sensors of a large host, has 60 KiB. */
#define ROWS_BYTES_MOST ((size_t)4 << 20)

void readings_begin(struct readings *list)
{
    buf_clear(&list->rows);
    list->rows.limit = ROWS_BYTES_MOST;
    list->count = 0;
}

static void put_string(struct buf *rows, const char *text)
{
    buf_put(rows, text, strlen(text) + 1);
}

static uint64_t hash_of(const struct metric *metric, const struct label *labels, size_t count)
{
    uint64_t hash = field_hash(FIELD_HASH, bytes_of(metric->name));
    for (size_t i = 0; i < count; i++) {
        if (labels[i].value.size == 0)
            continue; /* to Prometheus no label */
        hash = field_hash(hash, labels[i].name);
        hash = field_hash(hash, labels[i].value);
    }
    return hash;
}

void readings_add(struct readings *list, const struct metric *metric, double value,
                  const struct label *labels, size_t count)
{
    must(count <= SERIES_LABELS_MAX);
    struct buf *rows = &list->rows;
    size_t began = rows->size;
    uint64_t hash = hash_of(metric, labels, count);

    buf_put(rows, &hash, sizeof hash);
    buf_put(rows, &value, sizeof value);
    buf_put_u8(rows, (uint8_t)metric->type);
    buf_put_u8(rows, (uint8_t)count);
    put_string(rows, metric->name);
    put_string(rows, metric->help != NULL ? metric->help : "");
    put_string(rows, metric->unit != NULL ? metric->unit : "");
    for (size_t i = 0; i < count; i++) {
        uint32_t size = (uint32_t)labels[i].value.size;
        buf_put(rows, labels[i].name.data, labels[i].name.size);
        buf_put_u8(rows, 0);
        buf_put(rows, &size, sizeof size);
        buf_put(rows, labels[i].value.data, size);
    }
    if (buf_ok(rows))
        list->count++;
    else
        rows->size = began; /* no half row */
}

void readings_add_one(struct readings *list, const struct metric *metric, double value,
                      const char *name, struct bytes label)
{
    readings_add(list, metric, value, &(struct label){bytes_of(name), label}, 1);
}

void readings_add_two(struct readings *list, const struct metric *metric, double value,
                      const char *name_a, struct bytes label_a, const char *name_b,
                      struct bytes label_b)
{
    const struct label labels[] = {{bytes_of(name_a), label_a}, {bytes_of(name_b), label_b}};
    readings_add(list, metric, value, labels, 2);
}

static const uint8_t *take(const uint8_t **at, size_t size)
{
    const uint8_t *data = *at;
    *at += size;
    return data;
}

static const char *take_string(const uint8_t **at)
{
    const char *text = (const char *)*at;
    *at += strlen(text) + 1;
    return text;
}

/* Our own bytes, so nothing needs checking. */
static const uint8_t *row_read(const uint8_t *at, struct reading *row)
{
    memcpy(&row->hash, take(&at, sizeof row->hash), sizeof row->hash);
    memcpy(&row->value, take(&at, sizeof row->value), sizeof row->value);
    row->metric.type = (enum metric_type) * take(&at, 1);
    row->label_count = *take(&at, 1);
    row->metric.name = take_string(&at);
    row->metric.help = take_string(&at);
    const char *unit = take_string(&at);
    row->metric.unit = unit[0] != '\0' ? unit : NULL;
    for (size_t i = 0; i < row->label_count; i++) {
        uint32_t size;
        row->labels[i].name = bytes_of(take_string(&at));
        memcpy(&size, take(&at, sizeof size), sizeof size);
        row->labels[i].value = (struct bytes){take(&at, size), size};
    }
    return at;
}

bool readings_next(const struct readings *list, struct readings_cursor *cursor,
                   struct reading *ret_reading)
{
    if (cursor->index == list->count)
        return false;
    const uint8_t *end = row_read(list->rows.data + cursor->offset, ret_reading);
    cursor->offset = (size_t)(end - list->rows.data);
    cursor->index++;
    return true;
}

int readings_emit(struct readings *list, struct emitter *out)
{
    struct readings_cursor cursor = {0};
    struct reading row;
    int error = buf_ok(&list->rows) ? 0 : ERR_NOMEM;

    field_set_begin(&list->known);
    while (readings_next(list, &cursor, &row)) {
        enum field_state state;
        struct field *field = field_set_touch(&list->known, row.hash, &state);
        if (field == NULL) {
            error = ERR_NOMEM;
            continue;
        }
        if (state == FIELD_NEW)
            field->handle = emitter_series(out, &row.metric, row.labels, row.label_count);
        if (state != FIELD_AGAIN)
            emit(out, field->handle, row.value);
    }
    if (error == 0)
        field_set_sweep(&list->known, out);
    return error;
}

void readings_done(struct readings *list)
{
    buf_done(&list->rows);
    field_set_done(&list->known);
    *list = (struct readings){0};
}
