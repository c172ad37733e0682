/*
 * encode.c - see encode.h.
 */
#include "collector/remote/encode.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/series/labels.h"
#include "proto/base/error.h"

/* A field's key byte. */
#define VARINT(number)  ((uint8_t)((number) << 3))
#define FIXED64(number) ((uint8_t)((number) << 3 | 1))
#define SIZED(number)   ((uint8_t)((number) << 3 | 2))

void encoder_done(struct encoder *encoder)
{
    buf_done(&encoder->raw);
    buf_done(&encoder->series);
    buf_done(&encoder->part);
    free(encoder->symbols);
    free(encoder->slots);
    *encoder = (struct encoder){0};
}

static int compress(const struct buf *raw, struct buf *out)
{
    size_t size = snappy_max_compressed_length(raw->size);
    uint8_t *to = buf_reserve(out, size);
    if (!buf_ok(raw) || to == NULL ||
        snappy_compress((const char *)raw->data, raw->size, (char *)to, &size) != SNAPPY_OK)
        return ERR_NOMEM;
    out->size += size;
    return 0;
}

static void put_field(struct buf *out, unsigned number, struct bytes bytes)
{
    buf_put_u8(out, SIZED(number));
    buf_put_sized(out, bytes);
}

/* The part as a field.  Clearing a buffer makes it forget that memory ran out: `raw` remembers. */
static void put_part(struct encoder *encoder, struct buf *out, unsigned number)
{
    encoder->raw.failed = encoder->raw.failed || !buf_ok(&encoder->part);
    put_field(out, number, buf_bytes(&encoder->part));
}

/* ---- samples ----------------------------------------------------------------------------- */

static int by_series_and_time(const void *a, const void *b)
{
    const struct encode_sample *left = a, *right = b;
    if (left->labels.data != right->labels.data)
        return left->labels.data < right->labels.data ? -1 : 1;
    if (left->ts_ms != right->ts_ms)
        return left->ts_ms < right->ts_ms ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

static void put_sample(struct buf *series, const struct encode_sample *sample)
{
    uint64_t bits;
    memcpy(&bits, &sample->value, sizeof bits);
    uint64_t ms = (uint64_t)sample->ts_ms;
    uint8_t size = 10;
    for (uint64_t left = ms; left >= 0x80; left >>= 7)
        size++;
    buf_put_u8(series, SIZED(2));
    buf_put_u8(series, (uint8_t)(size + 1));
    buf_put_u8(series, FIXED64(1));
    buf_put_u64(series, bits);
    buf_put_u8(series, VARINT(2));
    buf_put_varint(series, ms);
}

/* The samples of one series; returns how many there were. */
static size_t put_samples(struct buf *series, const struct encode_sample *samples, size_t count)
{
    size_t i = 0;
    for (; i < count && samples[i].labels.data == samples[0].labels.data; i++) {
        bool is_superseded = i + 1 < count &&
                             samples[i + 1].labels.data == samples[i].labels.data &&
                             samples[i + 1].ts_ms == samples[i].ts_ms;
        if (!is_superseded)
            put_sample(series, &samples[i]);
    }
    return i;
}

/* ---- 1.0 --------------------------------------------------------------------------------- */

static void put_labels(struct encoder *encoder, struct bytes labels)
{
    struct reader reader = reader_of(labels);
    uint64_t count = reader_varint(&reader);
    for (uint64_t i = 0; i < count && !reader.failed; i++) {
        buf_clear(&encoder->part);
        put_field(&encoder->part, 1, reader_sized(&reader));
        put_field(&encoder->part, 2, reader_sized(&reader));
        put_part(encoder, &encoder->series, 1);
    }
}

/* ---- 2.0 --------------------------------------------------------------------------------- */

static void clear_symbols(struct encoder *encoder)
{
    encoder->symbol_count = 0;
    if (encoder->slots != NULL)
        memset(encoder->slots, 0, encoder->slot_capacity * sizeof *encoder->slots);
}

static uint32_t *slot_of(const struct encoder *encoder, struct bytes text)
{
    size_t at = (size_t)XXH3_64bits(text.data, text.size) & (encoder->slot_capacity - 1);
    while (encoder->slots[at] != 0 &&
           !bytes_equal(encoder->symbols[encoder->slots[at] - 1], text))
        at = (at + 1) & (encoder->slot_capacity - 1);
    return &encoder->slots[at];
}

static bool grow_symbols(struct encoder *encoder)
{
    if (encoder->symbol_count < encoder->symbol_capacity)
        return true;
    size_t capacity = encoder->symbol_capacity == 0 ? 1024 : encoder->symbol_capacity * 2;
    struct bytes *symbols = realloc(encoder->symbols, capacity * sizeof *symbols);
    if (symbols == NULL)
        return false;
    encoder->symbols = symbols;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(encoder->slots);
    encoder->slots = slots;
    encoder->slot_capacity = capacity * 2;
    encoder->symbol_capacity = capacity;
    for (size_t i = 0; i < encoder->symbol_count; i++)
        *slot_of(encoder, symbols[i]) = (uint32_t)i + 1;
    return true;
}

static uint64_t symbol(struct encoder *encoder, struct bytes text)
{
    if (!grow_symbols(encoder)) {
        encoder->raw.failed = true;
        return 0;
    }
    uint32_t *slot = slot_of(encoder, text);
    if (*slot == 0) {
        encoder->symbols[encoder->symbol_count++] = text;
        *slot = (uint32_t)encoder->symbol_count;
    }
    return *slot - 1;
}

/* Returns the metric's name. */
static struct bytes put_refs(struct encoder *encoder, struct bytes labels)
{
    struct reader reader = reader_of(labels);
    struct bytes metric = {NULL, 0};
    uint64_t count = reader_varint(&reader);
    buf_clear(&encoder->part);
    for (uint64_t i = 0; i < count && !reader.failed; i++) {
        struct bytes name = reader_sized(&reader);
        struct bytes value = reader_sized(&reader);
        buf_put_varint(&encoder->part, symbol(encoder, name));
        buf_put_varint(&encoder->part, symbol(encoder, value));
        if (bytes_equal(name, bytes_of(LABEL_NAME)))
            metric = value;
    }
    put_part(encoder, &encoder->series, 1);
    return metric;
}

static void put_metadata(struct encoder *encoder, const struct metadata *metadata)
{
    if (metadata == NULL)
        return;
    buf_clear(&encoder->part);
    buf_put_u8(&encoder->part, VARINT(1));
    buf_put_varint(&encoder->part, metadata_type_number(metadata->type));
    buf_put_u8(&encoder->part, VARINT(3));
    buf_put_varint(&encoder->part, symbol(encoder, metadata->help));
    buf_put_u8(&encoder->part, VARINT(4));
    buf_put_varint(&encoder->part, symbol(encoder, metadata->unit));
    put_part(encoder, &encoder->series, 5);
}

/* Symbols come first in the message, and are known last: the series wait in `raw`. */
static int finish_v2(struct encoder *encoder, struct buf *out)
{
    struct buf *message = &encoder->series;
    buf_clear(message);
    for (size_t i = 0; i < encoder->symbol_count; i++)
        put_field(message, 4, encoder->symbols[i]);
    buf_put(message, encoder->raw.data, encoder->raw.size);
    return buf_ok(&encoder->raw) ? compress(message, out) : ERR_NOMEM;
}

/* ---- requests ---------------------------------------------------------------------------- */

int encode_samples(struct encoder *encoder, struct encode_sample *samples, size_t count,
                   bool is_v2, const struct metadata_copy *metadata, struct buf *out)
{
    if (count > 1)
        qsort(samples, count, sizeof *samples, by_series_and_time);
    buf_clear(&encoder->raw);
    clear_symbols(encoder);
    if (is_v2)
        (void)symbol(encoder, bytes_of(""));
    for (size_t i = 0; i < count;) {
        struct bytes metric = {NULL, 0};
        buf_clear(&encoder->series);
        if (is_v2)
            metric = put_refs(encoder, samples[i].labels);
        else
            put_labels(encoder, samples[i].labels);
        i += put_samples(&encoder->series, samples + i, count - i);
        if (is_v2 && metadata != NULL)
            put_metadata(encoder, metadata_copy_find(metadata, metric));
        put_field(&encoder->raw, is_v2 ? 5 : 1, buf_bytes(&encoder->series));
        if (!buf_ok(&encoder->series) || !buf_ok(&encoder->raw))
            return ERR_NOMEM;
    }
    return is_v2 ? finish_v2(encoder, out) : compress(&encoder->raw, out);
}

int encode_metadata(struct encoder *encoder, const struct metadata_copy *metadata, size_t first,
                    size_t limit, size_t *ret_next, struct buf *out)
{
    struct bytes last = {NULL, 0};
    size_t at = first;
    buf_clear(&encoder->raw);
    for (; at < metadata->count && limit > 0; at++) {
        const struct metadata_entry *entry = &metadata->entries[at];
        struct bytes family = metadata_family(entry->name, entry->metadata.type);
        if (bytes_equal(family, last))
            continue; /* its neighbour said so */
        last = family;
        buf_clear(&encoder->part);
        buf_put_u8(&encoder->part, VARINT(1));
        buf_put_varint(&encoder->part, metadata_type_number(entry->metadata.type));
        put_field(&encoder->part, 2, family);
        put_field(&encoder->part, 4, entry->metadata.help);
        put_field(&encoder->part, 5, entry->metadata.unit);
        put_part(encoder, &encoder->raw, 3);
        limit--;
    }
    *ret_next = at;
    return compress(&encoder->raw, out);
}
