/* remote_parse.c - see remote_parse.h; the message is schema/remote.proto. */
#include "collector/http/remote_parse.h"

#include <snappy-c.h>
#include <stdlib.h>

#include "collector/http/remote_wire.h"
#include "proto/base/error.h"

int remote_make_room(void **items, size_t count, size_t *capacity, size_t size, size_t limit)
{
    if (count < *capacity)
        return 0;
    if (count == limit)
        return ERR_LIMIT;
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;
    if (wanted > limit)
        wanted = limit;
    void *grown = realloc(*items, wanted * size);
    if (grown == NULL)
        return ERR_NOMEM;
    *items = grown;
    *capacity = wanted;
    return 0;
}

static double double_at(const uint8_t *at)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++)
        bits |= (uint64_t)at[i] << (8 * i);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int parse_sample(struct bytes bytes, struct store_sample *sample)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    uint64_t bits = 0; /* proto3 leaves zeros out */
    *sample = (struct store_sample){0};
    while (at < end) {
        uint64_t key = 0;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key == FIELD(1, WIRE_FIXED64) && end - at >= 8) {
            sample->value = double_at(at);
            at += 8;
        } else if (key == FIELD(2, WIRE_VARINT)) {
            if (!remote_read_varint(&at, end, &bits))
                return ERR_MALFORMED;
        } else if (!remote_skip_field(&at, end, key)) {
            return ERR_MALFORMED;
        }
    }
    sample->ts_ms = (int64_t)bits;
    return 0;
}

int remote_add_sample(struct remote_message *message, struct bytes bytes)
{
    int error = remote_make_room((void **)&message->samples, message->sample_count,
                          &message->sample_capacity, sizeof *message->samples,
                          REMOTE_SAMPLES_MAX);
    if (error == 0)
        error = parse_sample(bytes, &message->samples[message->sample_count]);
    if (error == 0)
        message->sample_count++;
    return error;
}

/* Makes the run of label fields longer, or gives it up if they do not stand in a row. */
static void extend_run(struct remote_series *series, const uint8_t *field, const uint8_t *after,
                       bool *scattered)
{
    struct bytes *run = &series->label_run;
    if (run->size == 0 && !*scattered) {
        *run = (struct bytes){field, (size_t)(after - field)};
    } else if (!*scattered && run->data + run->size == field) {
        run->size = (size_t)(after - run->data);
    } else {
        *scattered = true;
        *run = (struct bytes){NULL, 0};
    }
}

static int parse_series(struct remote_message *message, struct remote_series *series)
{
    const uint8_t *at = series->message.data;
    const uint8_t *end = at + series->message.size;
    bool scattered = false;
    while (at < end) {
        const uint8_t *field = at;
        uint64_t key = 0;
        struct bytes bytes;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if ((key & 7) != WIRE_SIZED) {
            if (!remote_skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!remote_read_sized(&at, end, &bytes))
            return ERR_MALFORMED;
        if (key == FIELD(1, WIRE_SIZED)) {
            extend_run(series, field, at, &scattered);
        } else if (key == FIELD(2, WIRE_SIZED)) {
            int error = remote_add_sample(message, bytes);
            if (error != 0)
                return error;
        } else if (key == FIELD(3, WIRE_SIZED)) {
            message->exemplars++;
        } else if (key == FIELD(4, WIRE_SIZED)) {
            message->histograms++;
        }
    }
    series->sample_count = (uint32_t)message->sample_count - series->first_sample;
    return 0;
}

/* Appends a series of which nothing is read yet, and does not count it. */
int remote_add_series(struct remote_message *message, struct bytes bytes)
{
    int error = remote_make_room((void **)&message->series, message->series_count,
                          &message->series_capacity, sizeof *message->series,
                          REMOTE_SERIES_MAX);
    if (error != 0)
        return error;
    struct remote_series *series = &message->series[message->series_count];
    *series = (struct remote_series){.message = bytes,
                                     .first_sample = (uint32_t)message->sample_count};
    return 0;
}

static int add_series(struct remote_message *message, struct bytes bytes)
{
    int error = remote_add_series(message, bytes);
    if (error == 0)
        error = parse_series(message, &message->series[message->series_count]);
    if (error == 0)
        message->series_count++;
    return error;
}

enum metric_type remote_metric_type(uint64_t number)
{
    static const enum metric_type types[] = {METRIC_UNKNOWN,   METRIC_COUNTER,   METRIC_GAUGE,
                                             METRIC_HISTOGRAM, METRIC_HISTOGRAM, METRIC_SUMMARY,
                                             METRIC_INFO,      METRIC_GAUGE};
    return number < sizeof types / sizeof *types ? types[number] : METRIC_UNKNOWN;
}

static int parse_metadata(struct bytes bytes, struct remote_metadata *metadata)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    *metadata = (struct remote_metadata){0};
    while (at < end) {
        uint64_t key = 0;
        uint64_t number = 0;
        bool is_read = remote_read_varint(&at, end, &key);
        if (is_read && key == FIELD(1, WIRE_VARINT)) {
            is_read = remote_read_varint(&at, end, &number);
            metadata->metadata.type = remote_metric_type(number);
        } else if (is_read && key == FIELD(2, WIRE_SIZED)) {
            is_read = remote_read_sized(&at, end, &metadata->name);
        } else if (is_read && key == FIELD(4, WIRE_SIZED)) {
            is_read = remote_read_sized(&at, end, &metadata->metadata.help);
        } else if (is_read && key == FIELD(5, WIRE_SIZED)) {
            is_read = remote_read_sized(&at, end, &metadata->metadata.unit);
        } else if (is_read) {
            is_read = remote_skip_field(&at, end, key);
        }
        if (!is_read)
            return ERR_MALFORMED;
    }
    return 0;
}

int remote_add_metadata(struct remote_message *message, const struct remote_metadata *item)
{
    int error = remote_make_room((void **)&message->metadata, message->metadata_count,
                                 &message->metadata_capacity, sizeof *message->metadata,
                                 REMOTE_METADATA_MAX);
    if (error == 0)
        message->metadata[message->metadata_count++] = *item;
    return error;
}

static int add_metadata(struct remote_message *message, struct bytes bytes)
{
    struct remote_metadata item;
    int error = parse_metadata(bytes, &item);
    return error == 0 ? remote_add_metadata(message, &item) : error;
}

void remote_message_clear(struct remote_message *message)
{
    message->series_count = 0;
    message->sample_count = 0;
    message->metadata_count = 0;
    message->symbol_count = 0;
    message->exemplars = 0;
    message->histograms = 0;
    buf_clear(&message->label_runs);
}

int remote_parse(struct bytes bytes, struct remote_message *message)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    int error = 0;
    remote_message_clear(message);
    while (error == 0 && at < end) {
        uint64_t key = 0;
        struct bytes field;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key != FIELD(1, WIRE_SIZED) && key != FIELD(3, WIRE_SIZED)) {
            if (!remote_skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!remote_read_sized(&at, end, &field))
            return ERR_MALFORMED;
        error = key == FIELD(1, WIRE_SIZED) ? add_series(message, field)
                                            : add_metadata(message, field);
    }
    return error;
}

void remote_message_done(struct remote_message *message)
{
    free(message->series);
    free(message->samples);
    free(message->metadata);
    free(message->symbols);
    free(message->is_told);
    buf_done(&message->label_runs);
    *message = (struct remote_message){0};
}

static int parse_label(struct bytes bytes, struct label *label)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    *label = (struct label){{at, 0}, {at, 0}};
    while (at < end) {
        uint64_t key = 0;
        bool is_read = remote_read_varint(&at, end, &key);
        if (is_read && key == FIELD(1, WIRE_SIZED))
            is_read = remote_read_sized(&at, end, &label->name);
        else if (is_read && key == FIELD(2, WIRE_SIZED))
            is_read = remote_read_sized(&at, end, &label->value);
        else if (is_read)
            is_read = remote_skip_field(&at, end, key);
        if (!is_read)
            return ERR_MALFORMED;
    }
    return 0;
}

int remote_labels(const struct remote_series *series, struct label *pairs, size_t capacity,
                  size_t *ret_count)
{
    const uint8_t *at = series->message.data;
    /* NULL + 0 is undefined in C. */
    const uint8_t *end = series->message.size == 0 ? at : at + series->message.size;
    size_t count = 0;
    while (at < end) {
        uint64_t key = 0;
        struct bytes bytes;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key != FIELD(1, WIRE_SIZED)) {
            if (!remote_skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!remote_read_sized(&at, end, &bytes))
            return ERR_MALFORMED;
        if (count == capacity)
            return ERR_LIMIT;
        int error = parse_label(bytes, &pairs[count]);
        if (error != 0)
            return error;
        count++;
    }
    *ret_count = count;
    return 0;
}

int remote_unpack(struct bytes body, size_t limit, struct buf *out)
{
    size_t size = 0;
    const char *from = (const char *)body.data;
    if (body.size == 0 || snappy_uncompressed_length(from, body.size, &size) != SNAPPY_OK)
        return ERR_MALFORMED;
    if (size > limit)
        return ERR_LIMIT;
    buf_clear(out);
    uint8_t *to = buf_reserve(out, size + 1);
    if (to == NULL)
        return ERR_NOMEM;
    if (snappy_uncompress(from, body.size, (char *)to, &size) != SNAPPY_OK)
        return ERR_MALFORMED;
    out->size = size;
    return 0;
}
