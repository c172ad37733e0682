/*
 * civil.c - see civil.h.
 */
#include "proto/base/civil.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

int civil_days_in_month(int64_t year, int month)
{
    return (int)(civil_days(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
                 civil_days(year, month, 1));
}

int64_t civil_day_of(int64_t local_ms)
{
    return (local_ms >= 0 ? local_ms : local_ms - CIVIL_DAY_MS + 1) / CIVIL_DAY_MS;
}

/* H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
void civil_read(int64_t local_ms, struct civil *ret_civil)
{
    const int64_t day = civil_day_of(local_ms), days = day + 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t of_era = days - era * 146097;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * of_year + 2) / 153;

    ret_civil->month = (int)(month < 10 ? month + 3 : month - 9);
    ret_civil->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    ret_civil->year = year + era * 400 + (ret_civil->month <= 2);
    ret_civil->weekday = (int)(((day + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    ret_civil->minute = (int)((local_ms - day * CIVIL_DAY_MS) / CIVIL_MINUTE_MS);
    ret_civil->days_in_month = civil_days_in_month(ret_civil->year, ret_civil->month);
}

int64_t civil_local_ms(const struct civil_zone *zone, int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;
    if (!zone->is_local)
        return unix_ms + zone->offset_ms;
    if (localtime_r(&seconds, &local) == NULL)
        return unix_ms; /* a year past int: UTC is as good as any */
    return unix_ms + (int64_t)local.tm_gmtoff * 1000;
}

bool civil_parse_digits(const char **at, int count, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret_value = value;
    return true;
}

bool civil_parse_minute(const char **at, int *ret_minute)
{
    int hour, minute;
    if (!civil_parse_digits(at, 2, &hour) || **at != ':')
        return false;
    (*at)++;
    if (!civil_parse_digits(at, 2, &minute) || minute > 59 || hour > 24 ||
        (hour == 24 && minute != 0))
        return false;
    *ret_minute = hour * 60 + minute;
    return true;
}

bool civil_zone_parse(const char *text, struct civil_zone *ret_zone)
{
    int minute;
    const char *at = text + 1;

    *ret_zone = (struct civil_zone){.name = text};
    if (strcmp(text, "UTC") == 0)
        return true;
    if (strcmp(text, "Local") == 0) {
        ret_zone->is_local = true;
        return true;
    }
    if (strcmp(text, "Asia/Shanghai") == 0 || strcmp(text, "PRC") == 0) {
        *ret_zone =
            (struct civil_zone){.name = "Asia/Shanghai", .offset_ms = 8 * 60 * CIVIL_MINUTE_MS};
        return true;
    }
    if ((text[0] != '+' && text[0] != '-') || !civil_parse_minute(&at, &minute) ||
        *at != '\0' || minute > 14 * 60)
        return false;
    ret_zone->offset_ms = (text[0] == '-' ? -1 : 1) * (int64_t)minute * CIVIL_MINUTE_MS;
    return true;
}

static const char *const weekdays[7][3] = {
    {"monday", "mon", "周一"},   {"tuesday", "tue", "周二"}, {"wednesday", "wed", "周三"},
    {"thursday", "thu", "周四"}, {"friday", "fri", "周五"},  {"saturday", "sat", "周六"},
    {"sunday", "sun", "周日"}};

int civil_parse_weekday(const char *text, size_t size)
{
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 3; k++)
            if (strlen(weekdays[i][k]) == size && strncasecmp(weekdays[i][k], text, size) == 0)
                return i;
    return -1;
}

const char *civil_weekday_name(int weekday)
{
    return weekdays[weekday][0];
}

bool civil_parse_hours(const char *text, struct civil_hours *ret_hours)
{
    const char *at = text;
    int from, to;
    if (!civil_parse_minute(&at, &from) || *at++ != '-' || !civil_parse_minute(&at, &to) ||
        *at != '\0' || from == to || from == CIVIL_DAY_MINUTE)
        return false;
    *ret_hours = (struct civil_hours){from, to};
    return true;
}

bool civil_parse_weekdays(const char *text, unsigned *ret_mask)
{
    const char *dash = strchr(text, '-');
    int first = civil_parse_weekday(text, dash == NULL ? strlen(text) : (size_t)(dash - text));
    int last = dash == NULL ? first : civil_parse_weekday(dash + 1, strlen(dash + 1));
    if (first < 0 || last < 0)
        return false;
    for (int day = first;; day = (day + 1) % 7) {
        *ret_mask |= 1u << day;
        if (day == last)
            return true;
    }
}

bool civil_parse_date(const char **at, int64_t *ret_day)
{
    int year, month, day;
    if (!civil_parse_digits(at, 4, &year) || *(*at)++ != '-' ||
        !civil_parse_digits(at, 2, &month) || *(*at)++ != '-' ||
        !civil_parse_digits(at, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > civil_days_in_month(year, month))
        return false;
    *ret_day = civil_days(year, month, day);
    return true;
}

bool civil_parse_moment(const char *text, bool is_end, int64_t *ret_local_ms)
{
    const char *at = text;
    int64_t day;
    int minute = is_end ? CIVIL_DAY_MINUTE : 0;
    if (!civil_parse_date(&at, &day))
        return false;
    if (*at == ' ' || *at == 'T') {
        at++;
        if (!civil_parse_minute(&at, &minute))
            return false;
    }
    if (*at != '\0')
        return false;
    *ret_local_ms = day * CIVIL_DAY_MS + minute * CIVIL_MINUTE_MS;
    return true;
}

const char *civil_print_moment(int64_t local_ms, char text[CIVIL_TEXT_BYTES])
{
    struct civil at;
    civil_read(local_ms, &at);
    (void)snprintf(text, CIVIL_TEXT_BYTES, "%04" PRId64 "-%02d-%02d %02d:%02d", at.year,
                   at.month, at.day, at.minute / 60, at.minute % 60);
    return text;
}
