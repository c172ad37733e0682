/*
 * redact.c - see redact.h.
 *
 * Most lines have no digits of a number that matters (digits.h); of the others the words around
 * them are walked, from one run of digits to the next.  Digits that are grouped are put
 * together first, so that every test sees digits only.
 */
#include "probe/log/redact.h"

#include <sodium.h>
#include <string.h>

#include "probe/log/digits.h"
#include "proto/base/error.h"

#define DIGITS_MAX 19
#define GROUPS_MAX 5

_Static_assert(REDACT_KEY_BYTES == crypto_shorthash_KEYBYTES, "the key is SipHash's");

/* Digits found in a line: where each stands. */
struct number {
    size_t at[DIGITS_MAX];
    char digits[DIGITS_MAX + 1]; /* the last of an identity card may be X */
    size_t count;
};

const char *redact_kind_name(enum redact_kind kind)
{
    static const char *const names[] = {"id-card", "mobile", "bank-card", "pattern"};
    return names[kind];
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static unsigned digit_at(const char *digits, size_t at)
{
    return (unsigned)(digits[at] - '0');
}

static unsigned two_at(const char *digits, size_t at)
{
    return digit_at(digits, at) * 10 + digit_at(digits, at + 1);
}

/* ---- what the digits are ---------------------------------------------------------------- */

/* GB/T 2260: the first two digits of a division; 71, 81 to 83 are outside the mainland, 91 of
 * permanent residents from abroad. */
static bool is_province(unsigned code)
{
    return (code >= 11 && code <= 15) || (code >= 21 && code <= 23) ||
           (code >= 31 && code <= 37) || (code >= 41 && code <= 46) ||
           (code >= 50 && code <= 54) || (code >= 61 && code <= 65) || code == 71 ||
           (code >= 81 && code <= 83) || code == 91;
}

static bool is_day(unsigned month, unsigned day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static bool is_id_card(const char *digits, size_t count)
{
    static const unsigned weights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    unsigned sum = 0;
    if (!is_province(two_at(digits, 0)))
        return false;
    if (count == 15)
        return is_day(two_at(digits, 8), two_at(digits, 10));
    unsigned century = two_at(digits, 6);
    if (century < 18 || century > 20 || !is_day(two_at(digits, 10), two_at(digits, 12)))
        return false;
    for (size_t i = 0; i < 17; i++)
        sum += weights[i] * digit_at(digits, i);
    return digits[17] == "10X98765432"[sum % 11];
}

static bool is_mobile(const char *digits)
{
    return digits[0] == '1' && digits[1] >= '3';
}

static bool has_issuer(const char *digits, size_t count)
{
    unsigned two = two_at(digits, 0);
    if (two == 62 || two == 81 || (two == 95 && two_at(digits, 2) == 58))
        return count >= 16;
    if (count == 15)
        return two == 34 || two == 37;
    unsigned four = two * 100 + two_at(digits, 2);
    return count == 16 && (digits[0] == '4' || (two >= 51 && two <= 55) || two == 35 ||
                           (four >= 2221 && four <= 2720));
}

static bool is_bank_card(const char *digits, size_t count)
{
    unsigned sum = 0;
    if (!has_issuer(digits, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = digit_at(digits, count - 1 - i) << (i % 2);
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
}

/* Cuts what is dialled before a mobile number. */
static void cut_prefix(struct number *number)
{
    static const char *const prefixes[] = {"0086", "86", "0"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t size = strlen(prefixes[i]);
        if (number->count != 11 + size || memcmp(number->digits, prefixes[i], size) != 0)
            continue;
        number->count = 11;
        memmove(number->digits, number->digits + size, 11);
        memmove(number->at, number->at + size, 11 * sizeof *number->at);
        return;
    }
}

/* A decimal number, or a size: a mobile number has no check digit that would tell. */
static bool is_measure(const uint8_t *text, size_t size, const struct number *number)
{
    size_t first = number->at[0], end = number->at[number->count - 1] + 1;
    if (first >= 2 && text[first - 1] == '.' && is_digit(text[first - 2]))
        return true;
    if (end + 1 < size && text[end] == '.' && is_digit(text[end + 1]))
        return true;
    end += end < size && text[end] == ' ';
    uint64_t value = 0;
    for (size_t i = 0; i < number->count; i++)
        value = value * 10 + digit_at(number->digits, i);
    if (value % (UINT64_C(1) << 30) == 0)
        return true; /* so many GiB */
    return size - end >= 4 && memcmp(text + end, "byte", 4) == 0;
}

/* What it is, or REDACT_PATTERN for nothing of ours.  A prefix is cut. */
static enum redact_kind judge(const uint8_t *text, size_t size, struct number *number,
                              unsigned wanted)
{
    size_t count = number->count;
    bool has_x = number->digits[count - 1] == 'X';
    if ((count == 18 || (count == 15 && !has_x)) && is_id_card(number->digits, count))
        return (wanted & 1U << REDACT_ID_CARD) != 0 ? REDACT_ID_CARD : REDACT_PATTERN;
    if (has_x)
        return REDACT_PATTERN;
    if ((wanted & 1U << REDACT_BANK_CARD) != 0 && count >= 15 &&
        is_bank_card(number->digits, count))
        return REDACT_BANK_CARD;
    cut_prefix(number);
    if ((wanted & 1U << REDACT_MOBILE) != 0 && number->count == 11 &&
        is_mobile(number->digits) && !is_measure(text, size, number))
        return REDACT_MOBILE;
    return REDACT_PATTERN;
}

/* ---- where digits are ------------------------------------------------------------------- */

static size_t run_end(const uint8_t *text, size_t size, size_t at)
{
    while (at < size && is_digit(text[at]))
        at++;
    return at;
}

static void add_run(struct number *number, const uint8_t *text, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        number->at[number->count] = i;
        number->digits[number->count++] = (char)text[i];
    }
}

/* The last digit of an identity card may be X, the Roman ten. */
static void add_x(struct number *number, const uint8_t *text, size_t size, size_t at)
{
    if (number->count != 17 || at >= size || (text[at] | 0x20) != 'x' ||
        (at + 1 < size && (is_digit(text[at + 1]) || is_letter(text[at + 1]))))
        return;
    number->at[17] = at;
    number->digits[17] = 'X';
    number->count = 18;
}

/* Runs of digits with one and the same mark between. */
struct groups {
    size_t first[GROUPS_MAX];
    size_t end[GROUPS_MAX];
    size_t count;
};

static void find_groups(struct groups *groups, const uint8_t *text, size_t size, size_t first)
{
    uint8_t mark = 0;
    for (groups->count = 0; groups->count < GROUPS_MAX; groups->count++) {
        size_t end = run_end(text, size, first);
        groups->first[groups->count] = first;
        groups->end[groups->count] = end;
        if (end + 1 >= size || (text[end] != ' ' && text[end] != '-') ||
            (mark != 0 && text[end] != mark) || !is_digit(text[end + 1])) {
            groups->count++;
            return;
        }
        mark = text[end];
        first = end + 1;
    }
}

static bool has_shape(const struct groups *groups, const size_t *sizes, size_t count)
{
    bool has = groups->count >= count;
    for (size_t i = 0; has && i < count; i++)
        has = groups->end[i] - groups->first[i] == sizes[i];
    return has;
}

/* Digits in groups as people write them: 3-4-4 (behind 86, too), 4-4-4-4 and up to three more,
 * 6-8-4; at most so many groups.  Returns where they end, or 0 without such groups. */
static size_t add_groups(struct number *number, const uint8_t *text, size_t size, size_t first,
                         size_t most)
{
    static const size_t mobile[] = {3, 4, 4}, mobile_86[] = {5, 4, 4}, card[] = {4, 4, 4, 4},
                        id[] = {6, 8, 4}, id_x[] = {6, 8, 3};
    struct groups groups;
    size_t count;
    find_groups(&groups, text, size, first);
    if (has_shape(&groups, card, 4))
        count = most == 5 && groups.count == 5 && groups.end[4] - groups.first[4] <= 3 ? 5 : 4;
    else if (has_shape(&groups, mobile, 3) || has_shape(&groups, mobile_86, 3) ||
             has_shape(&groups, id, 3) || has_shape(&groups, id_x, 3))
        count = 3;
    else
        return 0;
    for (size_t i = 0; i < count; i++)
        add_run(number, text, groups.first[i], groups.end[i]);
    add_x(number, text, size, groups.end[count - 1]);
    return groups.end[count - 1];
}

static bool is_hexadecimal_digit(uint8_t byte)
{
    return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* What an escape takes at text[at]: %2B of URLs, \x22 of nginx, \u53f7 and \n of JSON.  What is
 * behind it is no part of its word.  0: there is none. */
static size_t escape_size(const uint8_t *text, size_t size, size_t at)
{
    size_t first = at + 1, count = 2;
    if (text[at] == '\\' && first < size && (text[first] == 'x' || text[first] == 'u'))
        count = text[first++] == 'u' ? 4 : 2;
    else if (text[at] == '\\')
        return first < size && is_letter(text[first]) ? 2 : 0;
    else if (text[at] != '%')
        return 0;
    if (size - first < count)
        return 0;
    for (size_t i = first; i < first + count; i++)
        if (!is_hexadecimal_digit(text[i]))
            return 0;
    return first + count - at;
}

/* Part of a word of hexadecimal digits, as identifiers and sums are?  The word begins at `word`
 * or behind it. */
static bool is_hexadecimal(const uint8_t *text, size_t size, size_t word, size_t first,
                           size_t end)
{
    bool has_letter = false;
    while (first > word && (is_digit(text[first - 1]) || is_letter(text[first - 1])))
        first--;
    while (end < size && (is_digit(text[end]) || is_letter(text[end])))
        end++;
    for (size_t i = first; i < end; i++) {
        if (is_digit(text[i]))
            continue;
        if ((text[i] | 0x20) > 'f' && !(i == first + 1 && (text[i] | 0x20) == 'x'))
            return false;
        has_letter = true;
    }
    return has_letter;
}

/* ---- the mask --------------------------------------------------------------------------- */

static void mask_number(uint8_t *text, const struct number *number, size_t kept,
                        const struct redact_key *key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    size_t first = kept, last = number->count - 4;
    (void)crypto_shorthash(hash, (const uint8_t *)number->digits, number->count, key->bytes);
    for (size_t i = first; i < last; i++) {
        size_t nibble = i - first - 1;
        bool is_edge = i == first || i == last - 1 || nibble >= 2 * sizeof hash;
        if (is_edge)
            text[number->at[i]] = '*';
        else
            text[number->at[i]] =
                (uint8_t)('a' + (hash[nibble / 2] >> (nibble % 2 == 0 ? 4 : 0) & 15));
    }
}

static bool mask(uint8_t *text, size_t size, struct number *number,
                 const struct redaction *redaction, const struct redact_key *key,
                 uint64_t counts[REDACT_KIND_COUNT])
{
    enum redact_kind kind = judge(text, size, number, redaction->numbers);
    if (kind == REDACT_PATTERN)
        return false;
    mask_number(text, number, kind == REDACT_BANK_CARD ? 4 : 3, key);
    counts[kind]++;
    return true;
}

/* The run of digits [first, end), with what groups may follow it.  Returns where what it masked
 * ends, or 0. */
static size_t mask_run(const struct redaction *redaction, const struct redact_key *key,
                       uint8_t *text, size_t size, size_t word, size_t first, size_t end,
                       uint64_t counts[REDACT_KIND_COUNT])
{
    size_t digits = end - first;
    if (digits >= 11 && digits <= DIGITS_MAX && !is_hexadecimal(text, size, word, first, end)) {
        struct number number = {.count = 0};
        add_run(&number, text, first, end);
        add_x(&number, text, size, end);
        return mask(text, size, &number, redaction, key, counts) ? end : 0;
    }
    if (digits < 3 || digits > 6)
        return 0;
    /* What stands behind a card may be a group of it, or something else. */
    for (size_t most = GROUPS_MAX; most >= GROUPS_MAX - 1; most--) {
        struct number number = {.count = 0};
        size_t groups_end = add_groups(&number, text, size, first, most);
        if (groups_end > 0 && mask(text, size, &number, redaction, key, counts))
            return groups_end;
    }
    return 0;
}

/* May it be part of a word of digits and letters, or of an escape? */
static bool is_of_word(uint8_t byte)
{
    return is_digit(byte) || is_letter(byte) || byte == '\\' || byte == '%';
}

/* Walks the runs of digits from `at`, where a word begins, to behind `last`, where a word ends.
 * Returns where it stopped. */
static size_t mask_words(const struct redaction *redaction, const struct redact_key *key,
                         uint8_t *text, size_t size, size_t at, size_t last,
                         uint64_t counts[REDACT_KIND_COUNT])
{
    size_t escape_end = at;
    while (at < size && (at < last || is_of_word(text[at]))) {
        if (!is_digit(text[at])) {
            size_t escape = at < escape_end ? 0 : escape_size(text, size, at);
            if (escape > 0)
                escape_end = at + escape;
            at++;
            continue;
        }
        size_t end = run_end(text, size, at);
        bool is_within = escape_end > at; /* the escape's digits, or a percent sign's number? */
        size_t masked =
            mask_run(redaction, key, text, size, is_within ? 0 : escape_end, at, end, counts);
        if (masked == 0 && is_within && escape_end < end)
            masked = mask_run(redaction, key, text, size, escape_end, escape_end, end, counts);
        at = masked > 0 ? masked : end;
    }
    return at;
}

/* What is between words decides nothing, so only those around long digits are walked. */
static void mask_numbers(const struct redaction *redaction, const struct redact_key *key,
                         uint8_t *text, size_t size, uint64_t counts[REDACT_KIND_COUNT])
{
    size_t at = 0, first, end;
    while (digits_find(text, size, at, &first, &end)) {
        while (first > at && is_of_word(text[first - 1]))
            first--;
        at = mask_words(redaction, key, text, size, first, end, counts);
    }
}

/* Stars over [first, end), widened to whole characters. */
static void star(uint8_t *text, size_t size, size_t first, size_t end)
{
    while (first > 0 && (text[first] & 0xc0) == 0x80)
        first--;
    while (end < size && (text[end] & 0xc0) == 0x80)
        end++;
    memset(text + first, '*', end - first);
}

/* False: the pattern could not be tried to its end. */
static bool mask_pattern(struct pattern *pattern, uint8_t *text, size_t size, uint64_t *count)
{
    size_t from = 0;
    while (from <= size) {
        struct pattern_span found, secret;
        int error = pattern_search(pattern, (struct bytes){text, size}, from, "secret", &found,
                                   &secret);
        if (error == ERR_NOTFOUND)
            return true;
        if (error != 0)
            return false;
        if (secret.end > secret.first) {
            star(text, size, secret.first, secret.end);
            (*count)++;
        }
        from = found.end > from ? found.end : from + 1;
    }
    return true;
}

void redact(const struct redaction *redaction, const struct redact_key *key, uint8_t *text,
            size_t size, uint64_t counts[REDACT_KIND_COUNT])
{
    if (redaction->numbers != 0)
        mask_numbers(redaction, key, text, size, counts);
    for (size_t i = 0; i < redaction->pattern_count; i++) {
        if (mask_pattern(redaction->patterns[i], text, size, &counts[REDACT_PATTERN]))
            continue;
        memset(text, '*', size);
        counts[REDACT_PATTERN]++;
        return;
    }
}
