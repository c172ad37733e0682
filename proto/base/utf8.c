/*
 * utf8.c - the table of RFC 3629, section 4, as code.
 *
 *     first byte   second byte   then
 *      00..7F
 *      C2..DF      80..BF
 *      E0          A0..BF        80..BF           (shorter forms begin below A0)
 *      E1..EF      80..BF        80..BF           (ED: only up to 9F, the rest are surrogates)
 *      F0          90..BF        80..BF 80..BF
 *      F1..F3      80..BF        80..BF 80..BF
 *      F4          80..8F        80..BF 80..BF
 */
#include "proto/base/utf8.h"

#include <string.h>

#define ASCII_MASK UINT64_C(0x8080808080808080)

static bool is_between(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

/* Length of the character at `at` with `left` bytes to go, or 0. */
static size_t character_size(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (!is_between(first, 0xC2, 0xF4) || left < size)
        return 0;
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (!is_between(at[1], low, high))
        return 0;
    for (size_t i = 2; i < size; i++) {
        if (!is_between(at[i], 0x80, 0xBF))
            return 0;
    }
    return size;
}

bool utf8_is_valid(struct bytes text)
{
    size_t at = 0;

    while (at < text.size) {
        uint64_t eight;
        if (text.size - at >= sizeof eight) {
            memcpy(&eight, text.data + at, sizeof eight);
            if ((eight & ASCII_MASK) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t size = character_size(text.data + at, text.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

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
