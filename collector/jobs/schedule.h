/*
 * schedule.h - the times at which a job is expected: every so often, or by a crontab line, on
 * all days, on workdays, or on days off.
 *
 *     every: 1h                        counted from the last time it came
 *     cron: "0 2 * * *"                in a zone of fixed offset
 *     calendar: cn-workday             days off are passed over
 *
 * What a workday is, somebody else knows (struct workdays): the holiday calendar, or
 * workdays_plain, which has Monday to Friday.
 *
 * Pure; any thread that the calendar allows.  Times are Unix ms.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/jobs/cron.h"
#include "proto/base/civil.h"

struct workdays {
    /* Is the day (since 1970-01-01, Beijing's date) one to work on? */
    bool (*is_workday)(void *context, int64_t day);
    void *context;
};
extern const struct workdays workdays_plain;

enum schedule_days { SCHEDULE_ALL_DAYS, SCHEDULE_WORKDAYS, SCHEDULE_DAYS_OFF };

struct schedule {
    int64_t every_ms; /* 0: by cron, if it has one */
    bool has_cron;    /* neither: expected at no time */
    struct cron cron;
    struct civil_zone zone;
    enum schedule_days days;
};

#define SCHEDULE_NEVER INT64_MAX

/* The first time after `after_ms` at which it is expected, if it last came then; SCHEDULE_NEVER
 * without a schedule, or if the calendar leaves no such day within SCHEDULE_DAYS_MAX. */
int64_t schedule_next(const struct schedule *schedule, const struct workdays *workdays,
                      int64_t after_ms);
/* The last time at or before `at_ms` by cron; INT64_MIN: none, or no cron. */
int64_t schedule_last(const struct schedule *schedule, const struct workdays *workdays,
                      int64_t at_ms);
#define SCHEDULE_DAYS_MAX 3000 /* eight years: a 29th of February comes within them */
