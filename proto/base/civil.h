/*
 * civil.h - dates, weekdays and times of day as people write and mean them.
 *
 * The calendar is the proleptic Gregorian one; a day is 86400 s.  A zone is a fixed offset or
 * the host's own: without a zone database there is no other, and Asia/Shanghai has had none but
 * +08:00 since 1991.
 *
 * Thread: any (the host's own zone by localtime_r()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIVIL_DAY_MS     (INT64_C(24) * 3600 * 1000)
#define CIVIL_MINUTE_MS  (INT64_C(60) * 1000)
#define CIVIL_DAY_MINUTE 1440

struct civil {
    int64_t year;
    int month, day; /* from 1 */
    int weekday;    /* 0: Monday */
    int minute;     /* of the day */
    int days_in_month;
};

struct civil_zone {
    const char *name;  /* as written */
    int64_t offset_ms; /* local minus UTC */
    bool is_local;     /* the host's own zone; offset_ms means nothing */
};

/* Days since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * days_from_civil).  Here, because Windows, which has no zones as the rest needs them, uses it,
 * too. */
static inline int64_t civil_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int civil_days_in_month(int64_t year, int month);
/* The day (since 1970-01-01) a moment of local time lies in. */
int64_t civil_day_of(int64_t local_ms);
void civil_read(int64_t local_ms, struct civil *ret_civil);
int64_t civil_local_ms(const struct civil_zone *zone, int64_t unix_ms);

/* "Asia/Shanghai" or "PRC", "UTC", "Local", or an offset such as "+08:00" (at most 14 hours).
 * The name is not copied. */
bool civil_zone_parse(const char *text, struct civil_zone *ret_zone);
/* "08:30", up to "24:00"; moves *at past it. */
bool civil_parse_minute(const char **at, int *ret_minute);
/* "mon", "monday" or "周一", letters of any case; 0: Monday; -1: none. */
int civil_parse_weekday(const char *text, size_t size);
/* "monday"; 0..6. */
const char *civil_weekday_name(int weekday);
/* Hours of a day as "08:30-17:30"; what crosses midnight ends on the day after. */
struct civil_hours {
    int from_minute, to_minute; /* never equal; to < from: over midnight */
};
bool civil_parse_hours(const char *text, struct civil_hours *ret_hours);
/* "mon", "mon-fri", "sat-mon": adds bits to *ret_mask, bit 0 is Monday. */
bool civil_parse_weekdays(const char *text, unsigned *ret_mask);
/* "2026-10-01": the day since 1970-01-01; moves *at past it. */
bool civil_parse_date(const char **at, int64_t *ret_day);
/* A date, or a date and a time ("2026-10-01 08:30"): local time.  `is_end`: a date alone means
 * its day's end. */
bool civil_parse_moment(const char *text, bool is_end, int64_t *ret_local_ms);
/* "2026-10-01 08:30" with its NUL. */
#define CIVIL_TEXT_BYTES 32
const char *civil_print_moment(int64_t local_ms, char text[CIVIL_TEXT_BYTES]);
/* Exactly `count` digits; moves *at. */
bool civil_parse_digits(const char **at, int count, int *ret_value);
