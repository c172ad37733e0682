/*
 * utf8.c - strict UTF-8, and the alphabets of names.
 */
#include "collector/series/utf8.h"

#include <string.h>

#include "collector/series/labels.h"

size_t utf8_decode(const uint8_t *at, const uint8_t *end, uint32_t *ret_code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = *at;

    if (first < 0x80) {
        *ret_code = first;
        return 1;
    }
    size_t size = first >= 0xf0 && first < 0xf5 ? 4
                  : first >= 0xe0 && first < 0xf0 ? 3
                  : first >= 0xc2 && first < 0xe0 ? 2
                                                  : 0;
    if (size == 0 || (size_t)(end - at) < size)
        return 0;
    uint32_t code = first & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return size;
}

size_t utf8_encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)((0xf00u >> size) | code);
    return size;
}

/* Are these eight bytes all ASCII? */
static bool eight_are_ascii(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_is_valid(struct bytes text)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.size == 0 ? at : at + text.size;
    while (at != end) {
        if (end - at >= 8 && eight_are_ascii(at)) {
            at += 8;
            continue;
        }
        uint32_t code;
        size_t size = utf8_decode(at, end, &code);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

static bool is_name(struct bytes name, bool colon_too)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9' && i > 0;
        if (!letter && !digit && !(colon_too && c == ':'))
            return false;
    }
    return true;
}

bool label_name_is_legacy(struct bytes name)
{
    return is_name(name, false);
}

bool metric_name_is_legacy(struct bytes name)
{
    return is_name(name, true);
}
