/*
 * schedule.c - see schedule.h.
 */
#include "collector/jobs/schedule.h"

static bool is_weekday(void *context, int64_t day)
{
    struct civil date;
    (void)context;
    civil_read(day * CIVIL_DAY_MS, &date);
    return date.weekday < 5;
}

const struct workdays workdays_plain = {is_weekday, NULL};

static bool has_day(const struct schedule *schedule, const struct workdays *workdays,
                    int64_t day)
{
    if (schedule->days == SCHEDULE_ALL_DAYS)
        return true;
    return workdays->is_workday(workdays->context, day) ==
           (schedule->days == SCHEDULE_WORKDAYS);
}

/* An interval that ends on a day that is passed over goes on when the next fit day begins. */
static int64_t next_of_interval(const struct schedule *schedule,
                                const struct workdays *workdays, int64_t after_ms)
{
    int64_t next_ms = after_ms + schedule->every_ms;
    int64_t day = civil_day_of(next_ms + schedule->zone.offset_ms);
    if (has_day(schedule, workdays, day))
        return next_ms;
    for (int64_t later = 1; later < SCHEDULE_DAYS_MAX; later++)
        if (has_day(schedule, workdays, day + later))
            return (day + later) * CIVIL_DAY_MS - schedule->zone.offset_ms + schedule->every_ms;
    return SCHEDULE_NEVER;
}

int64_t schedule_next(const struct schedule *schedule, const struct workdays *workdays,
                      int64_t after_ms)
{
    if (schedule->every_ms > 0)
        return next_of_interval(schedule, workdays, after_ms);
    if (!schedule->has_cron)
        return SCHEDULE_NEVER;
    int64_t local_ms = after_ms + schedule->zone.offset_ms;
    int64_t day = civil_day_of(local_ms);
    int from = (int)((local_ms - day * CIVIL_DAY_MS) / CIVIL_MINUTE_MS) + 1;
    for (int64_t later = 0; later < SCHEDULE_DAYS_MAX; later++, from = 0) {
        if (!cron_has_day(&schedule->cron, day + later) ||
            !has_day(schedule, workdays, day + later))
            continue;
        int minute = cron_minute_from(&schedule->cron, from);
        if (minute >= 0)
            return (day + later) * CIVIL_DAY_MS + minute * CIVIL_MINUTE_MS -
                   schedule->zone.offset_ms;
    }
    return SCHEDULE_NEVER;
}

int64_t schedule_last(const struct schedule *schedule, const struct workdays *workdays,
                      int64_t at_ms)
{
    if (!schedule->has_cron)
        return INT64_MIN;
    int64_t local_ms = at_ms + schedule->zone.offset_ms;
    int64_t day = civil_day_of(local_ms);
    int until = (int)((local_ms - day * CIVIL_DAY_MS) / CIVIL_MINUTE_MS);
    for (int64_t ago = 0; ago < SCHEDULE_DAYS_MAX; ago++, until = CIVIL_DAY_MINUTE - 1) {
        if (!cron_has_day(&schedule->cron, day - ago) ||
            !has_day(schedule, workdays, day - ago))
            continue;
        int minute = cron_minute_until(&schedule->cron, until);
        if (minute >= 0)
            return (day - ago) * CIVIL_DAY_MS + minute * CIVIL_MINUTE_MS -
                   schedule->zone.offset_ms;
    }
    return INT64_MIN;
}
