/*
 * functions_time.c - dates and the query's own times.
 *
 * Calendar arithmetic is that of the proleptic Gregorian calendar, days counted from 0000-03-01
 * so that the leap day is the last of its year (H. Hinnant, "chrono-compatible low-level date
 * algorithms").
 */
#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

#define DAY_SECONDS  86400
#define DAYS_400     146097 /* in 400 years */
#define EPOCH_OFFSET 719468 /* days from 0000-03-01 to 1970-01-01 */
/* from where Go's time package counts to 1970-01-01: whole days, and whole cycles of 400 years
 * to year 1 */
#define GO_EPOCH_SECONDS UINT64_C(9223372028715321600)

struct date {
    int64_t year;
    int month, day, day_of_year;
    int64_t days;    /* since 1970-01-01 */
    int64_t seconds; /* of the day */
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* As Go's int64() on amd64: towards zero, and the least number for what has no place in it. */
static int64_t whole_seconds(double seconds)
{
    return seconds >= -0x1p63 && seconds < 0x1p63 ? (int64_t)seconds : INT64_MIN;
}

/* Every number has a date: Go counts from a year that is 292 thousand million years ago, and
 * what is before that comes around to the far end. */
static void date_of(double seconds, struct date *ret_date)
{
    const uint64_t whole = (uint64_t)whole_seconds(seconds) + GO_EPOCH_SECONDS;
    int64_t days = (int64_t)(whole / DAY_SECONDS) - (int64_t)(GO_EPOCH_SECONDS / DAY_SECONDS);
    int64_t rest = (int64_t)(whole % DAY_SECONDS);
    int64_t shifted = days + EPOCH_OFFSET;
    int64_t era = (shifted >= 0 ? shifted : shifted - (DAYS_400 - 1)) / DAYS_400;
    int64_t of_era = shifted - era * DAYS_400;
    int64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_400 - 1)) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */
    ret_date->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    ret_date->month = (int)(month < 10 ? month + 3 : month - 9);
    ret_date->year = year_of_era + era * 400 + (ret_date->month <= 2);
    ret_date->day_of_year =
        (int)(month < 10 ? of_year + 60 + is_leap(ret_date->year) : of_year - 305);
    ret_date->days = days;
    ret_date->seconds = rest;
}

static int month_days(const struct date *date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[date->month - 1] + (date->month == 2 && is_leap(date->year));
}

#define DATE_MAP(name, expression)                                                             \
    MAP_FUNCTION(name)                                                                         \
    {                                                                                          \
        struct date date;                                                                      \
        (void)parameters;                                                                      \
        date_of(value, &date);                                                                 \
        *ret_value = (double)(expression);                                                     \
        return true;                                                                           \
    }

DATE_MAP(minute, date.seconds / 60 % 60)
DATE_MAP(hour, date.seconds / 3600)
DATE_MAP(day_of_week, ((date.days % 7) + 11) % 7) /* 1970-01-01 was a Thursday */
DATE_MAP(day_of_month, date.day)
DATE_MAP(day_of_year, date.day_of_year)
DATE_MAP(days_in_month, month_days(&date))
DATE_MAP(month, date.month)
DATE_MAP(year, date.year)

static int scalar_of(struct evaluation *ev, const struct grid *grid, double number, bool time,
                     struct value *ret_value)
{
    double *scalars = arena_alloc(ev->arena, grid->count, sizeof *scalars);
    if (scalars == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++)
        scalars[step] = time ? (double)grid_time(grid, step) / 1000.0 : number;
    *ret_value = (struct value){.type = PROMQL_SCALAR, .scalars = scalars};
    return 0;
}

WHOLE_FUNCTION(time)
{
    (void)call;
    return scalar_of(ev, grid, 0, true, ret_value);
}

WHOLE_FUNCTION(start)
{
    (void)call;
    return scalar_of(ev, grid, (double)ev->query->start_ms / 1000.0, false, ret_value);
}

WHOLE_FUNCTION(end)
{
    (void)call;
    return scalar_of(ev, grid, (double)ev->query->end_ms / 1000.0, false, ret_value);
}

/* Nothing steps where start and end are one time. */
WHOLE_FUNCTION(step)
{
    (void)call;
    const bool steps = ev->query->end_ms != ev->query->start_ms;
    return scalar_of(ev, grid, steps ? (double)ev->query->step_ms / 1000.0 : 0, false,
                     ret_value);
}

WHOLE_FUNCTION(range)
{
    (void)call;
    return scalar_of(ev, grid, (double)(ev->query->end_ms - ev->query->start_ms) / 1000.0,
                     false, ret_value);
}

/* The sample's own time where it is a selector's, the evaluation time of anything computed. */
WHOLE_FUNCTION(timestamp)
{
    const struct node *inner = node_unwrap(call->first);
    bool own = inner->kind == NODE_SELECTOR;
    int error = own ? evaluate_selector(ev, inner, grid, true, ret_value)
                    : evaluate(ev, call->first, grid, ret_value);
    for (size_t i = 0; error == 0 && i < ret_value->count; i++) {
        struct column *column = &ret_value->columns[i];
        for (size_t step = 0; !own && step < grid->count; step++)
            column->values[step] = (double)grid_time(grid, step) / 1000.0;
        error = column_drop_name(ev, column);
    }
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}
