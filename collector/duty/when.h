/*
 * when.h - the hours in which a layer is in force, or in which a roster must be covered.
 *
 *     restrict:
 *     - {days: workday, hours: ["17:30-08:30"]}
 *     - {days: holiday}
 *
 * One of the entries has to hold; in an entry, each field that is written.  Hours belong to the
 * day they begin on: "17:30-08:30" of a workday ends on the morning after, whatever day that
 * is. Without hours an entry means the whole duty day, from one handover to the next.
 *
 * Local time throughout.  Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/calendar/calendar.h"
#include "proto/base/civil.h"

#define DUTY_HOURS_MAX 16

struct duty_when_entry {
    unsigned weekdays; /* bit 0: Monday; 0: any */
    enum calendar_kind days;
    struct civil_hours hours[DUTY_HOURS_MAX];
    size_t hour_count; /* 0: from handover to handover */
};

struct duty_when {
    const struct duty_when_entry *entries;
    size_t count; /* 0: always */
};

/* Is `local_ms` inside?  Lowers *until_ms to a time up to which that holds.  *ret_day: the day
 * the hours inside began on (the later, where two meet).  `handover`: minute of the day. */
bool duty_when_holds(const struct duty_when *when, const struct calendar *calendar,
                     int handover, int64_t local_ms, int64_t *until_ms, int64_t *ret_day);
/* Some entry holds on that day, at any hour. */
bool duty_when_has_day(const struct duty_when *when, const struct calendar *calendar,
                       int64_t day);
/* Whether an entry asks for workdays or holidays. */
bool duty_when_needs_calendar(const struct duty_when *when);
