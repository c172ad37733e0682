/* remote_parse.c - see remote_parse.h; the message is schema/remote.proto. */
#include "collector/http/remote_parse.h"

#include <stdlib.h>

#include "proto/base/error.h"

/* A field's key byte: number << 3 | wire type.  All of this schema's fit one byte. */
#define FIELD(number, type) (((number) << 3) | (type))
enum wire_type { WIRE_VARINT, WIRE_FIXED64, WIRE_SIZED, WIRE_FIXED32 = 5 };

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    const uint8_t *p = *at;
    if (p < end && *p < 0x80) {
        *ret_value = *p;
        *at = p + 1;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            *at = p;
            return true;
        }
    }
    return false;
}

static bool read_sized(const uint8_t **at, const uint8_t *end, struct bytes *ret_bytes)
{
    uint64_t size = 0;
    if (!read_varint(at, end, &size) || size > (uint64_t)(end - *at))
        return false;
    *ret_bytes = (struct bytes){*at, (size_t)size};
    *at += size;
    return true;
}

static bool skip_field(const uint8_t **at, const uint8_t *end, uint64_t key)
{
    uint64_t ignored = 0;
    struct bytes bytes;
    if (key >> 3 == 0)
        return false;
    switch (key & 7) {
    case WIRE_VARINT:
        return read_varint(at, end, &ignored);
    case WIRE_FIXED64:
        if (end - *at < 8)
            return false;
        *at += 8;
        return true;
    case WIRE_SIZED:
        return read_sized(at, end, &bytes);
    case WIRE_FIXED32:
        if (end - *at < 4)
            return false;
        *at += 4;
        return true;
    default: /* groups: nothing of this schema's age has them */
        return false;
    }
}

/* Room for one more item in an array that doubles. */
static int make_room(void **items, size_t count, size_t *capacity, size_t size, size_t limit)
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
        if (!read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key == FIELD(1, WIRE_FIXED64) && end - at >= 8) {
            sample->value = double_at(at);
            at += 8;
        } else if (key == FIELD(2, WIRE_VARINT)) {
            if (!read_varint(&at, end, &bits))
                return ERR_MALFORMED;
        } else if (!skip_field(&at, end, key)) {
            return ERR_MALFORMED;
        }
    }
    sample->ts_ms = (int64_t)bits;
    return 0;
}

static int add_sample(struct remote_message *message, struct bytes bytes)
{
    int error = make_room((void **)&message->samples, message->sample_count,
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
    series->first_sample = (uint32_t)message->sample_count;
    while (at < end) {
        const uint8_t *field = at;
        uint64_t key = 0;
        struct bytes bytes;
        if (!read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if ((key & 7) != WIRE_SIZED) {
            if (!skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!read_sized(&at, end, &bytes))
            return ERR_MALFORMED;
        if (key == FIELD(1, WIRE_SIZED)) {
            extend_run(series, field, at, &scattered);
        } else if (key == FIELD(2, WIRE_SIZED)) {
            int error = add_sample(message, bytes);
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

static int add_series(struct remote_message *message, struct bytes bytes)
{
    int error = make_room((void **)&message->series, message->series_count,
                          &message->series_capacity, sizeof *message->series,
                          REMOTE_SERIES_MAX);
    if (error != 0)
        return error;
    struct remote_series *series = &message->series[message->series_count];
    *series = (struct remote_series){.message = bytes};
    error = parse_series(message, series);
    if (error == 0)
        message->series_count++;
    return error;
}

static enum metric_type type_of(uint64_t number)
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
        bool is_read = read_varint(&at, end, &key);
        if (is_read && key == FIELD(1, WIRE_VARINT)) {
            is_read = read_varint(&at, end, &number);
            metadata->metadata.type = type_of(number);
        } else if (is_read && key == FIELD(2, WIRE_SIZED)) {
            is_read = read_sized(&at, end, &metadata->name);
        } else if (is_read && key == FIELD(4, WIRE_SIZED)) {
            is_read = read_sized(&at, end, &metadata->metadata.help);
        } else if (is_read && key == FIELD(5, WIRE_SIZED)) {
            is_read = read_sized(&at, end, &metadata->metadata.unit);
        } else if (is_read) {
            is_read = skip_field(&at, end, key);
        }
        if (!is_read)
            return ERR_MALFORMED;
    }
    return 0;
}

static int add_metadata(struct remote_message *message, struct bytes bytes)
{
    int error = make_room((void **)&message->metadata, message->metadata_count,
                          &message->metadata_capacity, sizeof *message->metadata,
                          REMOTE_METADATA_MAX);
    if (error == 0)
        error = parse_metadata(bytes, &message->metadata[message->metadata_count]);
    if (error == 0)
        message->metadata_count++;
    return error;
}

int remote_parse(struct bytes bytes, struct remote_message *message)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    message->series_count = 0;
    message->sample_count = 0;
    message->metadata_count = 0;
    message->exemplars = 0;
    message->histograms = 0;
    int error = 0;
    while (error == 0 && at < end) {
        uint64_t key = 0;
        struct bytes field;
        if (!read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key != FIELD(1, WIRE_SIZED) && key != FIELD(3, WIRE_SIZED)) {
            if (!skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!read_sized(&at, end, &field))
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
    *message = (struct remote_message){0};
}

static int parse_label(struct bytes bytes, struct label *label)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    *label = (struct label){{at, 0}, {at, 0}};
    while (at < end) {
        uint64_t key = 0;
        bool is_read = read_varint(&at, end, &key);
        if (is_read && key == FIELD(1, WIRE_SIZED))
            is_read = read_sized(&at, end, &label->name);
        else if (is_read && key == FIELD(2, WIRE_SIZED))
            is_read = read_sized(&at, end, &label->value);
        else if (is_read)
            is_read = skip_field(&at, end, key);
        if (!is_read)
            return ERR_MALFORMED;
    }
    return 0;
}

int remote_labels(const struct remote_series *series, struct label *pairs, size_t capacity,
                  size_t *ret_count)
{
    const uint8_t *at = series->message.data;
    const uint8_t *end = at + series->message.size;
    size_t count = 0;
    while (at < end) {
        uint64_t key = 0;
        struct bytes bytes;
        if (!read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key != FIELD(1, WIRE_SIZED)) {
            if (!skip_field(&at, end, key))
                return ERR_MALFORMED;
            continue;
        }
        if (!read_sized(&at, end, &bytes))
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
