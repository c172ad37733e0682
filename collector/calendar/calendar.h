/*
 * calendar.h - which days are worked: weekdays, unless a holiday file says otherwise (调休).
 *
 * A holiday file holds one year's public arrangement, in the format of NateScarlet/holiday-cn
 * (JSON, read as the YAML it also is; schema.json there):
 *
 *     {"year": 2026, "papers": ["https://..."],
 *      "days": [{"name": "春节", "date": "2026-02-14", "isOffDay": false}, ...]}
 *
 * isOffDay true: a day off; false: a weekend day that is worked.  A file may speak of the days
 * of the year before and after its own, too: the arrangement of next year's New Year may reach
 * into this December.  Where two files contradict each other, that of the later year holds.  A
 * file without days says that its year is not arranged yet.
 *
 * A day is counted from 1970-01-01 (proto/base/civil.h).  A loaded calendar never changes, is
 * counted by reference, and may be read by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define CALENDAR_FILES_MAX ((size_t)200) /* of a folder */
#define CALENDAR_DAYS_MAX  ((size_t)400) /* of a file */

struct calendar;

/* What a condition asks of a day. */
enum calendar_kind { CALENDAR_ANY, CALENDAR_WORKDAY, CALENDAR_HOLIDAY };

/* One holiday file, as a person is told of it. */
struct calendar_summary {
    int year;
    size_t off_days, worked_days;
};

/* Reads every *.json of a folder.  ERR_INVALID, ERR_NOTFOUND, ERR_IO, ERR_NOMEM with file (and
 * line) in `why`.  The caller owns one reference. */
int calendar_load(const char *folder, struct calendar **ret_calendar, struct diagnosis *why);
/* One without any file: weekdays are worked. */
int calendar_new(struct calendar **ret_calendar);
/* Adds a holiday file's text; `name` stands in messages.  Only before the calendar is shared.
 * After an error it is to be thrown away. */
int calendar_add(struct calendar *calendar, const char *name, struct bytes text,
                 struct calendar_summary *ret_summary, struct diagnosis *why);
struct calendar *calendar_ref(struct calendar *calendar);
void calendar_unref(struct calendar *calendar); /* NULL is allowed */

/* NULL calendar: weekdays are worked. */
bool calendar_is_workday(const struct calendar *calendar, int64_t day);
/* "cn-workday" or "workday", "cn-holiday" or "holiday" (every day off, weekends too). */
bool calendar_parse_kind(const char *text, enum calendar_kind *ret_kind);
bool calendar_is(const struct calendar *calendar, enum calendar_kind kind, int64_t day);
/* What a holiday file calls the day ("春节"; of a worked weekend day, what it makes up for);
 * NULL if none speaks of it. */
const char *calendar_day_name(const struct calendar *calendar, int64_t day);
/* A file with that year has days. */
bool calendar_has_year(const struct calendar *calendar, int64_t year);
