/*
 * when.c - see when.h.
 */
#include "collector/duty/when.h"

static bool entry_has_day(const struct duty_when_entry *entry, const struct calendar *calendar,
                          int64_t day)
{
    struct civil at;
    if (!calendar_is(calendar, entry->days, day))
        return false;
    if (entry->weekdays == 0)
        return true;
    civil_read(day * CIVIL_DAY_MS, &at);
    return (entry->weekdays >> at.weekday & 1) != 0;
}

bool duty_when_has_day(const struct duty_when *when, const struct calendar *calendar,
                       int64_t day)
{
    for (size_t i = 0; i < when->count; i++)
        if (entry_has_day(&when->entries[i], calendar, day))
            return true;
    return when->count == 0;
}

struct look {
    int64_t at_ms;
    int64_t until_ms;
    bool is_inside;
};

static void look_at(struct look *look, int64_t from_ms, int64_t to_ms)
{
    if (look->at_ms < from_ms) {
        if (from_ms < look->until_ms)
            look->until_ms = from_ms;
    } else if (look->at_ms < to_ms) {
        look->is_inside = true;
        if (to_ms < look->until_ms)
            look->until_ms = to_ms;
    }
}

/* The hours that begin on one day. */
static void look_at_day(struct look *look, const struct duty_when *when,
                        const struct calendar *calendar, int handover, int64_t day)
{
    const int64_t midnight_ms = day * CIVIL_DAY_MS;
    for (size_t i = 0; i < when->count; i++) {
        const struct duty_when_entry *entry = &when->entries[i];
        if (!entry_has_day(entry, calendar, day))
            continue;
        if (entry->hour_count == 0) {
            int64_t from_ms = midnight_ms + handover * CIVIL_MINUTE_MS;
            look_at(look, from_ms, from_ms + CIVIL_DAY_MS);
        }
        for (size_t k = 0; k < entry->hour_count; k++) {
            const struct civil_hours hours = entry->hours[k];
            int64_t to_ms = midnight_ms + hours.to_minute * CIVIL_MINUTE_MS;
            look_at(look, midnight_ms + hours.from_minute * CIVIL_MINUTE_MS,
                    hours.to_minute < hours.from_minute ? to_ms + CIVIL_DAY_MS : to_ms);
        }
    }
}

bool duty_when_holds(const struct duty_when *when, const struct calendar *calendar,
                     int handover, int64_t local_ms, int64_t *until_ms, int64_t *ret_day)
{
    const int64_t today = civil_day_of(local_ms);
    struct look look = {local_ms, *until_ms, false};

    if (when->count == 0) {
        *ret_day = civil_day_of(local_ms - handover * CIVIL_MINUTE_MS);
        return true;
    }
    look_at_day(&look, when, calendar, handover, today - 1);
    *ret_day = today - 1;
    bool since_yesterday = look.is_inside;
    look.is_inside = false;
    look_at_day(&look, when, calendar, handover, today);
    if (look.is_inside)
        *ret_day = today;
    if (look.until_ms > (today + 1) * CIVIL_DAY_MS)
        look.until_ms = (today + 1) * CIVIL_DAY_MS; /* tomorrow's hours were not looked at */
    *until_ms = look.until_ms;
    return look.is_inside || since_yesterday;
}

bool duty_when_needs_calendar(const struct duty_when *when)
{
    for (size_t i = 0; i < when->count; i++)
        if (when->entries[i].days != CALENDAR_ANY)
            return true;
    return false;
}
