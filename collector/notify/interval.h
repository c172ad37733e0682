/*
 * interval.h - times at which a route's groups are told, or not: Alertmanager's time intervals.
 *
 *     time_intervals:
 *     - name: nights
 *       time_intervals:
 *       - times: [{start_time: '00:00', end_time: '08:30'}, {start_time: '17:30', end_time:
 *                 '24:00'}]
 *         weekdays: ['monday:friday']
 *         location: Asia/Shanghai
 *
 * A moment lies in an interval if it lies in one entry of its list: there every field that is
 * written must hold, and of a field one range.  Semantics are Alertmanager's
 * (timeinterval/timeinterval.go):
 *
 *     times          from start_time, up to and without end_time, which is later; to 24:00
 *     weekdays       monday, saturday:sunday (also mon, 周一; over the end of a week)
 *     days_of_month  1:15, -3:-1 (from the end); what is past a month's end is cut off
 *     months         january:march, 5
 *     years          2026:2028
 *     calendar       cn-workday or cn-holiday: a day of that kind by duty.yml's holiday files
 *                    (Alertmanager has no such thing); holidays are all days off, weekends too
 *     location       Asia/Shanghai (the default, unlike Alertmanager's UTC), UTC, Local, or
 *                    whole hours such as "+09:00"
 *
 * A read interval never changes; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/calendar/calendar.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/civil.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

struct interval_range {
    int from, to; /* inclusive, but minutes of a day without `to` */
};

struct interval_ranges {
    const struct interval_range *items;
    size_t count; /* 0: any */
};

enum interval_field {
    INTERVAL_TIMES,
    INTERVAL_WEEKDAYS, /* 0: Monday; from > to: over the end of the week */
    INTERVAL_DAYS,     /* of the month, negative from its end */
    INTERVAL_MONTHS,
    INTERVAL_YEARS,
    INTERVAL_FIELDS
};

struct interval_span {
    struct interval_ranges fields[INTERVAL_FIELDS];
    enum calendar_kind days;
    struct civil_zone zone;
};

struct interval {
    const char *name;
    const struct interval_span *spans;
    size_t span_count; /* 0: never */
    const struct calendar *calendar; /* outlives it */
};

/* One entry of time_intervals.  Ranges come from `arena`, texts
 * stay the configuration's.  `calendar` NULL: there is no duty.yml, and `calendar` is refused.
 * ERR_INVALID, ERR_NOMEM. */
int interval_read(struct config *config, struct arena *arena, const struct config_node *node,
                  const struct calendar *calendar, struct interval *ret_interval,
                  struct diagnosis *why);
bool interval_holds(const struct interval *interval, int64_t at_ms);
/* Appends it as an entry of time_intervals that Alertmanager reads, too: `calendar`, which it
 * would refuse, as a comment. */
void interval_print(const struct interval *interval, struct buf *out);
