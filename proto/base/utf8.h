/*
 * utf8.h - is this text, and one code point at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

/* Well-formed UTF-8 by RFC 3629: shortest forms only, no surrogates, at most U+10FFFF.  The
 * empty run is; NUL is a character like any other. */
bool utf8_is_valid(struct bytes text);

/* Decodes the code point at `at` (at < end).  Returns the bytes it takes, 1..4, or 0 if they are
 * no UTF-8 (overlong, surrogate, past U+10FFFF, cut off). */
size_t utf8_decode(const uint8_t *at, const uint8_t *end, uint32_t *ret_code);

/* Writes a code point (0..0x10FFFF) and returns its 1..4 bytes. */
size_t utf8_encode(uint32_t code, uint8_t out[4]);
