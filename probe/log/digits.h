/*
 * digits.h - where a line may hold a number of many digits, found without looking at every
 * byte.
 *
 * Numbers that redact.h masks are eleven digits or more in a row, or groups of digits with one
 * blank or '-' between, the first of three or more, the second of four or more and a third of
 * three or more ("138 0013 8000").  Either stands in at least eleven bytes that are digits,
 * blanks or '-'; so one byte in eleven says of most text that nothing of the kind is near.  A
 * date and an hour are such a run, too, and are looked at more closely.
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGITS_LEAST 11

/* The first run of digits, blanks and '-' in text[from, size) that holds such a number, as wide
 * as it is from `from` on: [*ret_first, *ret_end).  False: there is none. */
bool digits_find(const uint8_t *text, size_t size, size_t from, size_t *ret_first,
                 size_t *ret_end);
