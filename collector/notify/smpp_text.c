/*
 * smpp_text.c - see smpp_text.h.
 */
#include "collector/notify/smpp_text.h"

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"

static void put_unit(struct buf *out, uint32_t unit)
{
    buf_put_u8(out, (uint8_t)(unit >> 8));
    buf_put_u8(out, (uint8_t)unit);
}

static void put_units(struct bytes text, struct buf *out)
{
    const uint8_t *at = text.data, *end = text.size == 0 ? at : at + text.size;
    while (at < end) {
        uint32_t code;
        size_t size = utf8_decode(at, end, &code);
        at += size == 0 ? 1 : size;
        if (size == 0)
            code = 0xFFFD;
        if (code < 0x10000) {
            put_unit(out, code);
        } else {
            put_unit(out, 0xD800 + ((code - 0x10000) >> 10));
            put_unit(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
        }
    }
}

/* The unit at this byte is the second of a pair. */
static bool is_low(const struct buf *units, size_t at)
{
    return at < units->size && (units->data[at] & 0xFC) == 0xDC;
}

int smpp_text_split(struct bytes text, struct smpp_text *ret_text)
{
    struct buf *units = &ret_text->units;
    size_t most = 2 * SMPP_PART_UNITS, at = 0;

    *ret_text = (struct smpp_text){.count = 0};
    put_units(text, units);
    if (!buf_ok(units))
        return ERR_NOMEM;
    if (units->size <= 2 * SMPP_SINGLE_UNITS)
        most = 2 * SMPP_SINGLE_UNITS;
    do {
        size_t end = units->size - at > most ? at + most : units->size;
        if (is_low(units, end))
            end -= 2;
        ret_text->starts[ret_text->count++] = at;
        ret_text->starts[ret_text->count] = at = end;
    } while (at < units->size && ret_text->count < SMPP_PARTS_MAX);
    return 0;
}

void smpp_text_done(struct smpp_text *text)
{
    buf_done(&text->units);
    text->count = 0;
}

void smpp_text_put_part(const struct smpp_text *text, size_t number, uint8_t reference,
                        struct buf *out)
{
    size_t start = text->starts[number];

    must(number < text->count);
    if (text->count > 1) {
        const uint8_t header[6] = {
            5, 0, 3, reference, (uint8_t)text->count, (uint8_t)(number + 1)};
        buf_put(out, header, sizeof header);
    }
    if (text->units.size > 0)
        buf_put(out, text->units.data + start, text->starts[number + 1] - start);
}
