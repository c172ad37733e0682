/*
 * redact.h - personal numbers and configured secrets masked in a line before it leaves the
 * host.
 *
 *     id-card    18 digits whose province, birth date and check digit (GB 11643-1999: ISO 7064
 *                MOD 11-2, the last may be X) are right, or the old 15 without a check digit
 *     mobile     11 digits that begin as China's mobile numbers do (13x to 19x), also behind 0,
 *                86, +86 or 0086, also written 3-4-4
 *     bank-card  15 to 19 digits that begin as an issuer's (UnionPay 62 and 81, Visa,
 * MasterCard, JCB, American Express, ICBC's old 9558) with Luhn's check digit (ISO/IEC 7812-1),
 *                also written in groups of four
 *     pattern    what an expression of the configuration matches; its group (?<secret>...)
 * alone where it has one
 *
 * A line keeps its size: the first three and the last four digits stay, of a bank card four and
 * four, and what is between becomes stars around letters a to p.  The letters are a keyed hash
 * (SipHash-2-4) of the whole number with the host's own key, so that one number can be followed
 * through the lines of a host, and cannot be found by trying all without the key.  What a
 * pattern finds becomes stars.  Where a pattern needs more steps than it may have, the whole
 * line does: what could not be looked at does not leave.
 *
 * What looks like a number of another kind stays: digits that are part of a longer number or of
 * a hexadecimal word; as mobile numbers, too, those with a decimal point, followed by "bytes",
 * or of whole GiB.  Escapes of URLs and JSON (%2B, \x22, \u53f7) are no part of a number's
 * word.
 *
 * Any thread, one at a time for each redaction (patterns hold the state of a match).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/source/pattern.h"

enum redact_kind {
    REDACT_ID_CARD,
    REDACT_MOBILE,
    REDACT_BANK_CARD,
    REDACT_PATTERN,
    REDACT_KIND_COUNT
};

#define REDACT_NUMBERS                                                                         \
    ((1U << REDACT_ID_CARD) | (1U << REDACT_MOBILE) | (1U << REDACT_BANK_CARD))
#define REDACT_KEY_BYTES    16
#define REDACT_PATTERNS_MAX 32

struct redact_key {
    uint8_t bytes[REDACT_KEY_BYTES];
};

/* What to mask.  The patterns are whose who filled it. */
struct redaction {
    unsigned numbers; /* bits 1 << REDACT_ID_CARD .. REDACT_BANK_CARD */
    struct pattern **patterns;
    size_t pattern_count;
};

/* "id-card", "mobile", "bank-card", "pattern". */
const char *redact_kind_name(enum redact_kind kind);

/* Masks in place; the text stays valid UTF-8 if it was.  Adds what it masked to `counts`, by
 * kind. */
void redact(const struct redaction *redaction, const struct redact_key *key, uint8_t *text,
            size_t size, uint64_t counts[REDACT_KIND_COUNT]);
