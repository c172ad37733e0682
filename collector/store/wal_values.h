/*
 * wal_values.h - the words of a WAL record: 64 bits without the zero bytes at one of their
 * ends.
 *
 *     nibble  0        the word is 0
 *             1..8     so many high bytes; the low ones are 0 (an integer, a short fraction)
 *             9..15    nibble - 8 low bytes; the high ones are 0 (what XOR leaves of a counter)
 *
 * The bytes are little-endian.  A writer takes the shorter form.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/buf.h"

/* Writes 8 bytes at `to`, whatever it needs, and returns the end of what counts. */
static inline uint8_t *wal_put_word(uint8_t *to, uint64_t word, unsigned *ret_nibble)
{
    if (word == 0) {
        *ret_nibble = 0;
        return to;
    }
    unsigned low_zeros = (unsigned)__builtin_ctzll(word) / 8;
    unsigned high_zeros = (unsigned)__builtin_clzll(word) / 8;
    unsigned is_low = high_zeros > low_zeros;
    unsigned size = 8 - (is_low ? high_zeros : low_zeros);
    uint64_t bytes = htole64(is_low ? word : word >> (8 * low_zeros));
    memcpy(to, &bytes, sizeof bytes);
    *ret_nibble = size + (is_low ? 8 : 0);
    return to + size;
}

static inline uint64_t wal_get_word(struct reader *reader, unsigned nibble)
{
    uint64_t word = 0;
    unsigned size = nibble > 8 ? nibble - 8 : nibble;
    if (size == 0)
        return 0;
    struct bytes bytes = reader_bytes(reader, size);
    if (reader->failed)
        return 0;
    memcpy(&word, bytes.data, size);
    word = le64toh(word);
    return nibble > 8 ? word : word << (8 * (8 - size));
}
