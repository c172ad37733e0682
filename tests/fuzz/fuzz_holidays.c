/*
 * fuzz_holidays.c - a holiday file is taken or refused with a reason; what is taken answers for
 * every day of its years, and the same whichever way it is asked.
 */
#include <stdint.h>

#include "collector/calendar/calendar.h"
#include "proto/base/civil.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct calendar *calendar;
    struct calendar_summary summary = {0};
    struct diagnosis why = {0};
    size_t off = 0, worked = 0;

    must(calendar_new(&calendar) == 0);
    int error = calendar_add(calendar, "h.json", (struct bytes){data, size}, &summary, &why);
    must((error == 0) == (why.text[0] == '\0'));
    if (error == 0) {
        const int64_t from = civil_days(summary.year - 1, 1, 1);
        const int64_t to = civil_days(summary.year + 2, 1, 1);
        for (int64_t day = from; day < to; day++) {
            bool is_worked = calendar_is_workday(calendar, day);
            must(calendar_is(calendar, CALENDAR_HOLIDAY, day) == !is_worked);
            if (calendar_day_name(calendar, day) != NULL)
                *(is_worked ? &worked : &off) += 1;
            else
                must(is_worked == calendar_is_workday(NULL, day));
        }
        must(off == summary.off_days && worked == summary.worked_days);
        must(calendar_has_year(calendar, summary.year) == (off + worked > 0));
    }
    calendar_unref(calendar);
    return 0;
}
