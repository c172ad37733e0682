#include "tests/bench/kit/request.h"

#include <snappy-c.h>
#include <string.h>

#include "proto/base/error.h"

/* Protobuf tags (field << 3 | wire type) of WriteRequest.timeseries, TimeSeries, Label, Sample.
 */
#define TAG_SERIES    0x0a
#define TAG_LABEL     0x0a
#define TAG_SAMPLE    0x12
#define TAG_NAME      0x0a
#define TAG_VALUE     0x12
#define TAG_NUMBER    0x09
#define TAG_TIMESTAMP 0x10

static size_t varint_bytes(uint64_t value)
{
    size_t size = 1;
    for (; value >= 128; value >>= 7)
        size++;
    return size;
}

static size_t field_bytes(size_t size)
{
    return 1 + varint_bytes(size) + size;
}

static void put_field(struct buf *out, uint8_t tag, struct bytes content)
{
    buf_put_u8(out, tag);
    buf_put_sized(out, content);
}

void request_put_labels(struct buf *out, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, TAG_LABEL);
        buf_put_varint(out,
                       field_bytes(labels[i].name.size) + field_bytes(labels[i].value.size));
        put_field(out, TAG_NAME, labels[i].name);
        put_field(out, TAG_VALUE, labels[i].value);
    }
}

void request_put_sample(struct buf *out, struct bytes labels, double value, int64_t ts_ms)
{
    uint64_t bits;
    size_t sample_bytes = 9 + 1 + varint_bytes((uint64_t)ts_ms);

    memcpy(&bits, &value, sizeof bits);
    buf_put_u8(out, TAG_SERIES);
    buf_put_varint(out, labels.size + field_bytes(sample_bytes));
    buf_put(out, labels.data, labels.size);
    buf_put_u8(out, TAG_SAMPLE);
    buf_put_varint(out, sample_bytes);
    buf_put_u8(out, TAG_NUMBER);
    buf_put_u64(out, bits);
    buf_put_u8(out, TAG_TIMESTAMP);
    buf_put_varint(out, (uint64_t)ts_ms);
}

int request_compress(struct bytes raw, struct buf *out)
{
    size_t size = snappy_max_compressed_length(raw.size);
    buf_clear(out);
    uint8_t *room = buf_reserve(out, size);
    if (room == NULL)
        return ERR_NOMEM;
    if (snappy_compress((const char *)raw.data, raw.size, (char *)room, &size) != SNAPPY_OK)
        return ERR_NOMEM;
    out->size += size;
    return 0;
}

int request_uncompress(struct bytes body, struct buf *out)
{
    size_t size;
    buf_clear(out);
    if (snappy_uncompressed_length((const char *)body.data, body.size, &size) != SNAPPY_OK)
        return ERR_MALFORMED;
    uint8_t *room = buf_reserve(out, size);
    if (room == NULL)
        return ERR_NOMEM;
    if (snappy_uncompress((const char *)body.data, body.size, (char *)room, &size) != SNAPPY_OK)
        return ERR_MALFORMED;
    out->size += size;
    return 0;
}

static bool fail(struct reader *reader)
{
    reader->failed = true;
    return false;
}

bool request_next(struct reader *reader, struct request_sample *ret_sample)
{
    if (reader_left(reader) == 0 || reader->failed)
        return false;
    if (reader_u8(reader) != TAG_SERIES)
        return fail(reader);
    struct reader series = reader_of(reader_sized(reader));
    const uint8_t *labels = series.at;
    while (reader_left(&series) > 0 && *series.at == TAG_LABEL) {
        series.at++;
        (void)reader_sized(&series);
    }
    size_t label_bytes = (size_t)(series.at - labels);
    bool is_sample = reader_u8(&series) == TAG_SAMPLE;
    struct reader sample = reader_of(reader_sized(&series));
    if (!is_sample || reader_left(&series) != 0 || reader_u8(&sample) != TAG_NUMBER)
        return fail(reader);
    uint64_t bits = reader_u64(&sample);
    bool has_time = reader_u8(&sample) == TAG_TIMESTAMP;
    uint64_t ts_ms = reader_varint(&sample);
    if (!has_time || series.failed || sample.failed)
        return fail(reader);
    *ret_sample =
        (struct request_sample){.labels = {labels, label_bytes}, .ts_ms = (int64_t)ts_ms};
    memcpy(&ret_sample->value, &bits, sizeof bits);
    return true;
}

bool request_next_label(struct reader *labels, struct label *ret_label)
{
    if (reader_left(labels) == 0 || labels->failed)
        return false;
    (void)reader_u8(labels);
    struct reader label = reader_of(reader_sized(labels));
    (void)reader_u8(&label);
    ret_label->name = reader_sized(&label);
    (void)reader_u8(&label);
    ret_label->value = reader_sized(&label);
    return label.failed ? fail(labels) : true;
}
