/*
 * cron.c - see cron.h.
 */
#include "collector/jobs/cron.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "proto/base/error.h"

#define NAME_LETTERS     3
#define LEAP_CYCLE_YEARS 8 /* the longest wait for a 29th of February: 1896 to 1904 */

struct field {
    const char *name;
    int least, most;
    const char *const *names; /* of `least` and what follows; NULL: none */
    int name_count;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL, 0},
    [HOUR] = {"hour", 0, 23, NULL, 0},
    [DAY] = {"day of month", 1, 31, NULL, 0},
    [MONTH] = {"month", 1, 12, month_names, 12},
    [WEEKDAY] = {"day of week", 0, 7, weekday_names, 7},
};

static const struct {
    const char *word, *fields;
} words[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
             {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
             {"@annually", "0 0 1 1 *"}};

/* ---- reading ----------------------------------------------------------------------------- */

/* A number of at most three digits, or a name; moves *at. */
static bool read_value(const struct field *field, const char **at, int *ret_value)
{
    int value = 0, digits = 0;
    for (int i = 0; i < field->name_count; i++)
        if (strncasecmp(*at, field->names[i], NAME_LETTERS) == 0) {
            *at += NAME_LETTERS;
            *ret_value = field->least + i;
            return true;
        }
    for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
        value = value * 10 + (**at - '0');
    *ret_value = value;
    return digits > 0 && value >= field->least && value <= field->most;
}

/* "*", "5", "1-5", each with "/2" or not; a step behind one number means from there on. */
static bool read_item(const struct field *field, const char **at, uint64_t *bits)
{
    int first = field->least, last = field->most, step = 1;
    bool is_single = false;
    if (**at == '*') {
        (*at)++;
    } else {
        if (!read_value(field, at, &first))
            return false;
        last = first;
        is_single = **at != '-';
        if (!is_single && ((*at)++, !read_value(field, at, &last)))
            return false;
    }
    if (**at == '/') {
        static const struct field steps = {"step", 1, 999, NULL, 0};
        (*at)++;
        if (!read_value(&steps, at, &step))
            return false;
        last = is_single ? field->most : last;
    }
    for (int value = first; value <= last; value += step)
        *bits |= UINT64_C(1) << value;
    return first <= last;
}

static bool read_field(const struct field *field, const char **at, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    for (;;) {
        if (!read_item(field, at, &bits))
            return false;
        if (**at != ',')
            break;
        (*at)++;
    }
    *ret_bits = bits;
    return **at == ' ' || **at == '\t' || **at == '\0';
}

/* Sunday is 0 and 7 there, and 6 here. */
static uint32_t from_monday(uint64_t bits)
{
    uint32_t days = (uint32_t)(bits >> 1) & 0x3F;
    return (bits & 1) != 0 || (bits >> 7 & 1) != 0 ? days | 1u << 6 : days;
}

static bool ever_comes(const struct cron *cron)
{
    const int64_t from = civil_days(1896, 3, 1),
                  until = civil_days(1896 + LEAP_CYCLE_YEARS, 3, 1);
    for (int64_t day = from; day < until; day++)
        if (cron_has_day(cron, day))
            return true;
    return false;
}

int cron_parse(const char *text, struct cron *ret_cron, struct diagnosis *why)
{
    uint64_t bits[FIELDS];
    const char *starts[FIELDS];
    const char *at = text;
    for (size_t i = 0; text[0] == '@' && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i].word) == 0)
            at = words[i].fields;
    for (int i = 0; i < FIELDS; i++) {
        at += strspn(at, " \t");
        starts[i] = at;
        if (*at == '\0')
            return diagnose(why, ERR_INVALID, "\"%s\" has no %s: five fields are wanted", text,
                            fields[i].name);
        if (!read_field(&fields[i], &at, &bits[i]))
            return diagnose(why, ERR_INVALID,
                            "\"%s\": the %s is not as in crontab(5), %d to %d", text,
                            fields[i].name, fields[i].least, fields[i].most);
    }
    if (at[strspn(at, " \t")] != '\0')
        return diagnose(why, ERR_INVALID, "\"%s\" has more than five fields", text);
    const struct cron cron = {
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint32_t)bits[MONTH],
        .weekdays = from_monday(bits[WEEKDAY]),
        .any_day = *starts[DAY] == '*',
        .any_weekday = *starts[WEEKDAY] == '*',
    };
    if (!ever_comes(&cron))
        return diagnose(why, ERR_INVALID, "\"%s\" is a day that no year has", text);
    *ret_cron = cron;
    return 0;
}

/* ---- when -------------------------------------------------------------------------------- */

bool cron_has_day(const struct cron *cron, int64_t day)
{
    struct civil date;
    civil_read(day * CIVIL_DAY_MS, &date);
    bool fits_day = (cron->days >> date.day & 1) != 0;
    bool fits_weekday = (cron->weekdays >> date.weekday & 1) != 0;
    if ((cron->months >> date.month & 1) == 0)
        return false;
    return cron->any_day || cron->any_weekday ? fits_day && fits_weekday
                                              : fits_day || fits_weekday;
}

static bool has_minute(const struct cron *cron, int minute)
{
    return (cron->hours >> (minute / 60) & 1) != 0 && (cron->minutes >> (minute % 60) & 1) != 0;
}

int cron_minute_from(const struct cron *cron, int minute)
{
    for (; minute < CIVIL_DAY_MINUTE; minute++)
        if (has_minute(cron, minute))
            return minute;
    return -1;
}

int cron_minute_until(const struct cron *cron, int minute)
{
    while (minute >= 0 && !has_minute(cron, minute))
        minute--;
    return minute;
}
