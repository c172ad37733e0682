#include "tests/bench/kit/request_v2.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "tests/bench/kit/request.h"

/* Tags (field << 3 | wire type) of Request.symbols and .timeseries, TimeSeries.labels_refs and
 * .samples, Sample. */
#define TAG_SYMBOL    0x22
#define TAG_SERIES    0x2a
#define TAG_REFS      0x0a
#define TAG_SAMPLE    0x12
#define TAG_NUMBER    0x09
#define TAG_TIMESTAMP 0x10

struct symbols {
    struct bytes *texts;
    uint32_t *slots; /* number + 1; 0: free */
    size_t count, capacity; /* a power of two; at most half of it is used */
};

static uint64_t hash_of(struct bytes text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ text.data[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

static int grow(struct symbols *symbols)
{
    size_t capacity = symbols->capacity == 0 ? 1024 : symbols->capacity * 2;
    struct bytes *texts = realloc(symbols->texts, capacity * sizeof *texts);
    uint32_t *slots = calloc(capacity, sizeof *slots);
    if (texts != NULL)
        symbols->texts = texts;
    if (texts == NULL || slots == NULL) {
        free(slots);
        return ERR_NOMEM;
    }
    free(symbols->slots);
    symbols->slots = slots;
    symbols->capacity = capacity;
    for (size_t i = 0; i < symbols->count; i++) {
        size_t at = hash_of(texts[i]) & (capacity - 1);
        while (slots[at] != 0)
            at = (at + 1) & (capacity - 1);
        slots[at] = (uint32_t)i + 1;
    }
    return 0;
}

static int number_of(struct symbols *symbols, struct bytes text, uint32_t *ret_number)
{
    int error = symbols->count * 2 >= symbols->capacity ? grow(symbols) : 0;
    if (error != 0)
        return error;
    size_t at = hash_of(text) & (symbols->capacity - 1);
    while (symbols->slots[at] != 0 &&
           !bytes_equal(symbols->texts[symbols->slots[at] - 1], text))
        at = (at + 1) & (symbols->capacity - 1);
    if (symbols->slots[at] == 0) {
        symbols->texts[symbols->count] = text;
        symbols->slots[at] = (uint32_t)++symbols->count;
    }
    *ret_number = symbols->slots[at] - 1;
    return 0;
}

/* The refs of a run of labels, as the field's content. */
static int put_refs(struct symbols *symbols, struct bytes labels, struct buf *refs)
{
    struct reader reader = reader_of(labels);
    struct label label;
    buf_clear(refs);
    while (request_next_label(&reader, &label)) {
        const struct bytes texts[] = {label.name, label.value};
        for (size_t i = 0; i < 2; i++) {
            uint32_t number = 0;
            int error = number_of(symbols, texts[i], &number);
            if (error != 0)
                return error;
            buf_put_varint(refs, number);
        }
    }
    return reader.failed ? ERR_MALFORMED : 0;
}

static void put_series(struct buf *out, struct buf *part, struct bytes refs,
                       const struct request_sample *sample)
{
    struct buf point = {0};
    uint64_t bits;
    memcpy(&bits, &sample->value, sizeof bits);
    buf_put_u8(&point, TAG_NUMBER);
    buf_put_u64(&point, bits);
    buf_put_u8(&point, TAG_TIMESTAMP);
    buf_put_varint(&point, (uint64_t)sample->ts_ms);
    buf_clear(part);
    buf_put_u8(part, TAG_REFS);
    buf_put_sized(part, refs);
    buf_put_u8(part, TAG_SAMPLE);
    buf_put_sized(part, buf_bytes(&point));
    buf_put_u8(out, TAG_SERIES);
    buf_put_sized(out, buf_bytes(part));
    out->failed = out->failed || !buf_ok(&point) || !buf_ok(part);
    buf_done(&point);
}

int request_to_v2(struct bytes body, struct buf *out)
{
    struct symbols symbols = {0};
    struct buf series = {0}, refs = {0}, part = {0};
    struct reader reader = reader_of(body);
    struct request_sample sample;
    uint32_t empty = 0;
    int error = number_of(&symbols, (struct bytes){(const uint8_t *)"", 0}, &empty);
    buf_clear(out);
    while (error == 0 && request_next(&reader, &sample)) {
        error = put_refs(&symbols, sample.labels, &refs);
        if (error == 0)
            put_series(&series, &part, buf_bytes(&refs), &sample);
    }
    for (size_t i = 0; error == 0 && i < symbols.count; i++) {
        buf_put_u8(out, TAG_SYMBOL);
        buf_put_sized(out, symbols.texts[i]);
    }
    buf_put(out, series.data, series.size);
    if (error == 0 && reader.failed)
        error = ERR_MALFORMED;
    if (error == 0 && !(buf_ok(&series) && buf_ok(&refs) && buf_ok(out)))
        error = ERR_NOMEM;
    buf_done(&series);
    buf_done(&refs);
    buf_done(&part);
    free(symbols.texts);
    free(symbols.slots);
    return error;
}
