/*
 * cron.h - the five fields of a crontab line: when a job is expected.
 *
 *     minute 0-59 | hour 0-23 | day of month 1-31 | month 1-12 or jan-dec
 *                 | day of week 0-7 (0 and 7: Sunday) or sun-sat
 *
 * Each is a list of numbers, ranges and steps: "*", "5", "1-5", "0,30", "8-18/2", "* / 10"
 * without the blanks.  As in every cron, a day must fit both day fields, unless neither begins
 * with a star: then one of them is enough.  "@hourly", "@daily", "@midnight", "@weekly",
 * "@monthly",
 * "@yearly" and "@annually" stand for five fields; "@reboot" is no time and refused.
 *
 * Source: crontab(5) of Debian's cron 3.0pl1.  Times are local in a zone of fixed offset, so no
 * hour is left out or comes twice.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/civil.h"
#include "proto/base/diagnosis.h"

struct cron {
    uint64_t minutes; /* bit n: minute n */
    uint32_t hours, days, months,
        weekdays;     /* days and months from bit 1; weekdays: bit 0 Monday */
    bool any_day;     /* the day of month begins with a star ... */
    bool any_weekday; /* ... the day of week does */
};

/* ERR_INVALID with the field and the reason; also for a date that no year has. */
int cron_parse(const char *text, struct cron *ret_cron, struct diagnosis *why);

/* Is the day (since 1970-01-01) one on which the job is expected? */
bool cron_has_day(const struct cron *cron, int64_t day);
/* The first minute of a day at or after `minute`, the last at or before; -1: none. */
int cron_minute_from(const struct cron *cron, int minute);
int cron_minute_until(const struct cron *cron, int minute);
