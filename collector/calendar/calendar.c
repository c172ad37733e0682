/*
 * calendar.c - see calendar.h: what is asked of a calendar, and its life.
 */
#include "collector/calendar/calendar.h"

#include <stdlib.h>
#include <string.h>

#include "collector/calendar/calendar_parts.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"

#define ARENA_MAX ((size_t)32 << 20)

int calendar_new(struct calendar **ret_calendar)
{
    struct calendar *calendar = calloc(1, sizeof *calendar);
    if (calendar == NULL)
        return ERR_NOMEM;
    arena_init(&calendar->arena, ARENA_MAX);
    atomic_init(&calendar->references, 1);
    *ret_calendar = calendar;
    return 0;
}

struct calendar *calendar_ref(struct calendar *calendar)
{
    if (calendar != NULL)
        (void)atomic_fetch_add(&calendar->references, 1);
    return calendar;
}

void calendar_unref(struct calendar *calendar)
{
    if (calendar == NULL || atomic_fetch_sub(&calendar->references, 1) != 1)
        return;
    free(calendar->days);
    arena_reset(&calendar->arena);
    free(calendar);
}

const struct calendar_day *calendar_find(const struct calendar *calendar, int64_t day)
{
    size_t low = 0, high = calendar == NULL ? 0 : calendar->day_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (calendar->days[middle].day < day)
            low = middle + 1;
        else
            high = middle;
    }
    if (calendar == NULL || low == calendar->day_count || calendar->days[low].day != day)
        return NULL;
    return &calendar->days[low];
}

bool calendar_is_workday(const struct calendar *calendar, int64_t day)
{
    const struct calendar_day *found = calendar_find(calendar, day);
    struct civil at;
    if (found != NULL)
        return !found->is_off;
    civil_read(day * CIVIL_DAY_MS, &at);
    return at.weekday < 5;
}

bool calendar_parse_kind(const char *text, enum calendar_kind *ret_kind)
{
    const char *word = strncmp(text, "cn-", 3) == 0 ? text + 3 : text;
    if (strcmp(word, "workday") != 0 && strcmp(word, "holiday") != 0)
        return false;
    *ret_kind = word[0] == 'w' ? CALENDAR_WORKDAY : CALENDAR_HOLIDAY;
    return true;
}

bool calendar_is(const struct calendar *calendar, enum calendar_kind kind, int64_t day)
{
    return kind == CALENDAR_ANY ||
           calendar_is_workday(calendar, day) == (kind == CALENDAR_WORKDAY);
}

const char *calendar_day_name(const struct calendar *calendar, int64_t day)
{
    const struct calendar_day *found = calendar_find(calendar, day);
    return found == NULL ? NULL : found->name;
}

bool calendar_has_year(const struct calendar *calendar, int64_t year)
{
    for (size_t i = 0; calendar != NULL && i < calendar->year_count; i++)
        if (calendar->years[i] == year)
            return true;
    return false;
}
