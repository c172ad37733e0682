#include "proto/base/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/error.h"

static const struct {
    const char *name;
    int64_t ms;
    bool exact_only; /* printed only where nothing is left over, as Prometheus does */
} duration_units[] = {
    {"y", 365 * INT64_C(86400000), true}, {"w", 7 * INT64_C(86400000), true},
    {"d", INT64_C(86400000), false},      {"h", 3600000, false},
    {"m", 60000, false},                  {"s", 1000, false},
    {"ms", 1, false},
};
#define DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

/* Reads digits; NULL if there are none or they overflow. */
static const char *parse_digits(const char *text, int64_t *ret_number)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number))
            return NULL;
    if (at == text)
        return NULL;
    *ret_number = number;
    return at;
}

/* The unit that `text` starts with: the longest run of letters must be its whole name. */
static size_t find_unit(const char *text, size_t from)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = from; i < DURATION_UNITS; i++)
        if (strlen(duration_units[i].name) == length &&
            strncmp(text, duration_units[i].name, length) == 0)
            return i;
    return DURATION_UNITS;
}

int duration_parse(const char *text, int64_t *ret_ms)
{
    int64_t total = 0;
    size_t next = 0;

    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return 0;
    }
    if (*text == '\0')
        return ERR_MALFORMED;
    while (*text != '\0') {
        int64_t number, ms;
        text = parse_digits(text, &number);
        if (text == NULL)
            return ERR_MALFORMED;
        size_t unit = find_unit(text, next);
        if (unit == DURATION_UNITS)
            return ERR_MALFORMED;
        if (__builtin_mul_overflow(number, duration_units[unit].ms, &ms) ||
            __builtin_add_overflow(total, ms, &total))
            return ERR_LIMIT;
        text += strlen(duration_units[unit].name);
        next = unit + 1;
    }
    *ret_ms = total;
    return 0;
}

const char *duration_format(int64_t ms, char text[DURATION_TEXT_BYTES])
{
    size_t length = 0;
    if (ms == 0)
        return strcpy(text, "0s");
    if (ms < 0) {
        text[length++] = '-';
        ms = -ms;
    }
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        int64_t unit = duration_units[i].ms;
        if (ms < unit || (duration_units[i].exact_only && ms % unit != 0))
            continue;
        length += (size_t)snprintf(text + length, DURATION_TEXT_BYTES - length, "%" PRId64 "%s",
                                   ms / unit, duration_units[i].name);
        ms %= unit;
    }
    return text;
}

static const char *const suffixes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
#define SUFFIXES (sizeof suffixes / sizeof suffixes[0])

int size_parse(const char *text, uint64_t *ret_bytes)
{
    int64_t number;

    if (strcmp(text, "0") == 0) {
        *ret_bytes = 0;
        return 0;
    }
    text = parse_digits(text, &number);
    if (text == NULL)
        return ERR_MALFORMED;
    for (size_t i = 0; i < SUFFIXES; i++) {
        if (strcmp(text, suffixes[i]) != 0)
            continue;
        if (number > INT64_MAX >> (10 * i))
            return ERR_LIMIT;
        *ret_bytes = (uint64_t)number << (10 * i);
        return 0;
    }
    return ERR_MALFORMED;
}

const char *size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES])
{
    size_t unit = 0;
    if (bytes == 0)
        return strcpy(text, "0");
    for (; unit + 1 < SUFFIXES && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    (void)snprintf(text, SIZE_TEXT_BYTES, "%" PRIu64 "%s", bytes, suffixes[unit]);
    return text;
}
