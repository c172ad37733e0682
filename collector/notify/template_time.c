/*
 * template_time.c - times and durations in templates: Go's layouts, and functions that make
 * them.
 *
 * A layout is an example: "2006-01-02 15:04:05" stands for year, month, day and so on.  Times
 * are milliseconds; a zone is one that civil.h knows (UTC, Asia/Shanghai, Local, +08:00).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/notify/template_tree.h"
#include "proto/base/civil.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

typedef struct template_machine machine_type;

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                   "Friday", "Saturday", "Sunday"};

/* A moment, taken apart. */
struct moment {
    struct civil date;
    int second, ms, year_day;
    int32_t offset_s;
    const char *zone;
};

static struct moment moment_of(const struct value *time)
{
    struct moment moment = {.offset_s = time->as.time.offset_s, .zone = time->as.time.zone};
    const int64_t local_ms = time->as.time.unix_ms + (int64_t)moment.offset_s * 1000;
    const int64_t day = civil_day_of(local_ms), in_day = local_ms - day * CIVIL_DAY_MS;

    civil_read(local_ms, &moment.date);
    moment.second = (int)(in_day / 1000 % 60);
    moment.ms = (int)(in_day % 1000);
    moment.year_day = (int)(day - civil_days(moment.date.year, 1, 1)) + 1;
    return moment;
}

/* ---- layouts ----------------------------------------------------------------------------- */

static void put_offset(struct buf *out, const struct moment *at, const char *form)
{
    const int32_t minutes = abs(at->offset_s) / 60;
    if (form[0] == 'Z' && at->offset_s == 0) {
        buf_put_char(out, 'Z');
        return;
    }
    buf_printf(out, "%c%02d", at->offset_s < 0 ? '-' : '+', minutes / 60);
    if (strlen(form) > 3)
        buf_printf(out, "%s%02d", strchr(form, ':') != NULL ? ":" : "", minutes % 60);
    if (strlen(form) > 6)
        buf_put_text(out, strchr(form, ':') != NULL ? ":00" : "00");
}

enum part {
    PART_MONTH_NAME,
    PART_MONTH_SHORT,
    PART_MONTH,
    PART_MONTH_2,
    PART_DAY_NAME,
    PART_DAY_SHORT,
    PART_DAY,
    PART_DAY_PADDED,
    PART_DAY_2,
    PART_YEAR_DAY_3,
    PART_YEAR_DAY_PADDED,
    PART_HOUR_24,
    PART_HOUR,
    PART_HOUR_2,
    PART_MINUTE,
    PART_MINUTE_2,
    PART_SECOND,
    PART_SECOND_2,
    PART_YEAR,
    PART_YEAR_2,
    PART_PM,
    PART_PM_SMALL,
    PART_ZONE,
    PART_OFFSET
};

/* The longer of two that begin alike comes first. */
static const struct {
    const char *text;
    enum part part;
} parts[] = {{"January", PART_MONTH_NAME},
             {"Jan", PART_MONTH_SHORT},
             {"Monday", PART_DAY_NAME},
             {"Mon", PART_DAY_SHORT},
             {"MST", PART_ZONE},
             {"002", PART_YEAR_DAY_3},
             {"01", PART_MONTH_2},
             {"02", PART_DAY_2},
             {"03", PART_HOUR_2},
             {"04", PART_MINUTE_2},
             {"05", PART_SECOND_2},
             {"06", PART_YEAR_2},
             {"15", PART_HOUR_24},
             {"1", PART_MONTH},
             {"2006", PART_YEAR},
             {"2", PART_DAY},
             {"__2", PART_YEAR_DAY_PADDED},
             {"_2", PART_DAY_PADDED},
             {"3", PART_HOUR},
             {"4", PART_MINUTE},
             {"5", PART_SECOND},
             {"PM", PART_PM},
             {"pm", PART_PM_SMALL},
             {"-07:00:00", PART_OFFSET},
             {"-070000", PART_OFFSET},
             {"-07:00", PART_OFFSET},
             {"-0700", PART_OFFSET},
             {"-07", PART_OFFSET},
             {"Z07:00:00", PART_OFFSET},
             {"Z070000", PART_OFFSET},
             {"Z07:00", PART_OFFSET},
             {"Z0700", PART_OFFSET},
             {"Z07", PART_OFFSET}};

static void put_date_part(struct buf *out, const struct moment *at, enum part part)
{
    const struct civil *date = &at->date;
    switch (part) {
    case PART_MONTH_NAME:
        buf_put_text(out, months[date->month - 1]);
        return;
    case PART_MONTH_SHORT:
        buf_put(out, months[date->month - 1], 3);
        return;
    case PART_MONTH:
        buf_printf(out, "%d", date->month);
        return;
    case PART_MONTH_2:
        buf_printf(out, "%02d", date->month);
        return;
    case PART_DAY_NAME:
        buf_put_text(out, days[date->weekday]);
        return;
    case PART_DAY_SHORT:
        buf_put(out, days[date->weekday], 3);
        return;
    case PART_DAY:
        buf_printf(out, "%d", date->day);
        return;
    case PART_DAY_PADDED:
        buf_printf(out, "%2d", date->day);
        return;
    case PART_DAY_2:
        buf_printf(out, "%02d", date->day);
        return;
    case PART_YEAR_DAY_3:
        buf_printf(out, "%03d", at->year_day);
        return;
    case PART_YEAR_DAY_PADDED:
        buf_printf(out, "%3d", at->year_day);
        return;
    case PART_YEAR:
        buf_printf(out, "%04" PRId64, date->year);
        return;
    default:
        buf_printf(out, "%02" PRId64, (date->year % 100 + 100) % 100);
        return;
    }
}

static void put_part(struct buf *out, const struct moment *at, enum part part, const char *form)
{
    const int hour = at->date.minute / 60, of_noon = (hour + 11) % 12 + 1;
    switch (part) {
    case PART_HOUR_24:
        buf_printf(out, "%02d", hour);
        return;
    case PART_HOUR:
        buf_printf(out, "%d", of_noon);
        return;
    case PART_HOUR_2:
        buf_printf(out, "%02d", of_noon);
        return;
    case PART_MINUTE:
        buf_printf(out, "%d", at->date.minute % 60);
        return;
    case PART_MINUTE_2:
        buf_printf(out, "%02d", at->date.minute % 60);
        return;
    case PART_SECOND:
        buf_printf(out, "%d", at->second);
        return;
    case PART_SECOND_2:
        buf_printf(out, "%02d", at->second);
        return;
    case PART_PM:
        buf_put_text(out, hour >= 12 ? "PM" : "AM");
        return;
    case PART_PM_SMALL:
        buf_put_text(out, hour >= 12 ? "pm" : "am");
        return;
    case PART_ZONE:
        buf_put_text(out, at->zone);
        return;
    case PART_OFFSET:
        put_offset(out, at, form);
        return;
    default:
        put_date_part(out, at, part);
        return;
    }
}

/* ".000" or ".999": the digits that stand there, or as few as needed.  0: it is none. */
static size_t put_fraction(struct buf *out, const struct moment *at, const char *text,
                           size_t left)
{
    char digits[16];
    size_t size = 1;

    while (size < left && size < 10 && (text[size] == '0' || text[size] == '9') &&
           text[size] == text[1])
        size++;
    if (size == 1 || (size < left && text[size] >= '0' && text[size] <= '9'))
        return 0;
    (void)snprintf(digits, sizeof digits, "%03d000000", at->ms);
    digits[size - 1] = '\0';
    if (text[1] == '9')
        for (size_t end = size - 1; end > 0 && digits[end - 1] == '0';)
            digits[--end] = '\0';
    if (digits[0] != '\0')
        buf_printf(out, "%c%s", text[0], digits);
    return size;
}

void template_time_format(const struct value *time, struct bytes layout, struct buf *out)
{
    const struct moment moment = moment_of(time);
    const char *text = (const char *)layout.data;

    for (size_t at = 0; at < layout.size;) {
        const size_t left = layout.size - at;
        size_t taken = 0;
        if (text[at] == '.' || text[at] == ',')
            taken = put_fraction(out, &moment, text + at, left);
        for (size_t i = 0; taken == 0 && i < sizeof parts / sizeof parts[0]; i++) {
            const size_t size = strlen(parts[i].text);
            const bool is_short =
                parts[i].part == PART_MONTH_SHORT || parts[i].part == PART_DAY_SHORT;
            if (size > left || memcmp(text + at, parts[i].text, size) != 0 ||
                (is_short && size < left && text[at + size] >= 'a' && text[at + size] <= 'z'))
                continue;
            put_part(out, &moment, parts[i].part, parts[i].text);
            taken = size;
        }
        if (taken == 0)
            buf_put_char(out, text[at]);
        at += taken == 0 ? 1 : taken;
    }
}

void template_time_print(const struct value *time, struct buf *out)
{
    template_time_format(time, bytes_of("2006-01-02 15:04:05.999999999 -0700 MST"), out);
}

void template_duration_print(int64_t duration_ms, struct buf *out)
{
    const uint64_t ms = duration_ms < 0 ? 0 - (uint64_t)duration_ms : (uint64_t)duration_ms;
    const uint64_t seconds = ms / 1000;
    char fraction[8] = "";

    if (duration_ms < 0)
        buf_put_char(out, '-');
    if (ms < 1000) {
        buf_printf(out, ms == 0 ? "0s" : "%" PRIu64 "ms", ms);
        return;
    }
    if (seconds >= 3600)
        buf_printf(out, "%" PRIu64 "h", seconds / 3600);
    if (seconds >= 60)
        buf_printf(out, "%" PRIu64 "m", seconds / 60 % 60);
    if (ms % 1000 != 0) {
        (void)snprintf(fraction, sizeof fraction, ".%03u", (unsigned)(ms % 1000));
        for (size_t end = strlen(fraction); end > 0 && fraction[end - 1] == '0';)
            fraction[--end] = '\0';
    }
    buf_printf(out, "%" PRIu64 "%ss", seconds % 60, fraction);
}

/* ---- functions --------------------------------------------------------------------------- */

static int number_of(machine_type *machine, const struct value *value, double *ret_number)
{
    if (template_value_to_number(value, ret_number))
        return 0;
    return diagnose(machine->why, ERR_INVALID, "can't convert a %s to a number",
                    template_value_kind_name(value->kind));
}

static int time_of(machine_type *machine, const struct value *value)
{
    return value->kind == VALUE_TIME ? 0
                                     : diagnose(machine->why, ERR_INVALID, "a %s is no time",
                                                template_value_kind_name(value->kind));
}

static int64_t now_ms(const machine_type *machine)
{
    const int64_t given = machine->environment->now_ms;
    return given != 0 ? given : clock_unix_ms(&clock_system);
}

int template_to_time(machine_type *machine, const struct value *arguments, size_t count,
                     struct value *ret_value)
{
    double seconds;
    int error = number_of(machine, &arguments[0], &seconds);
    (void)count;
    if (error != 0)
        return error;
    if (!isfinite(seconds) || fabs(seconds) > 9223372036.0)
        return diagnose(machine->why, ERR_INVALID, "%g is no time", seconds);
    *ret_value = value_of_time((int64_t)floor(seconds * 1000));
    return 0;
}

int template_to_duration(machine_type *machine, const struct value *arguments, size_t count,
                         struct value *ret_value)
{
    double seconds;
    int error = number_of(machine, &arguments[0], &seconds);
    (void)count;
    if (error != 0)
        return error;
    if (!isfinite(seconds) || fabs(seconds) > 9223372036.0)
        return diagnose(machine->why, ERR_INVALID, "%g is no duration", seconds);
    *ret_value =
        (struct value){.kind = VALUE_DURATION, .as.duration_ms = (int64_t)(seconds * 1000)};
    return 0;
}

/* "1h30m" -> 5400, as Prometheus: seconds, a float. */
int template_parse_duration(machine_type *machine, const struct value *arguments, size_t count,
                            struct value *ret_value)
{
    struct bytes text = {0};
    char copy[64] = "";
    int64_t ms = 0;
    bool negative;
    int error = template_value_to_text(machine, &arguments[0], &text);

    (void)count;
    if (error != 0)
        return error;
    if (text.size < sizeof copy)
        memcpy(copy, text.data, text.size);
    negative = copy[0] == '-';
    if (duration_parse(copy + negative, &ms) != 0)
        return diagnose(machine->why, ERR_INVALID, "not a valid duration string: \"%.*s\"",
                        (int)(text.size < 40 ? text.size : 40), (const char *)text.data);
    *ret_value = value_of_number((negative ? -1 : 1) * (double)ms / 1000);
    return 0;
}

int template_now(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    (void)arguments;
    (void)count;
    *ret_value = value_of_number((double)now_ms(machine) / 1000);
    return 0;
}

/* date LAYOUT TIME */
int template_date(machine_type *machine, const struct value *arguments, size_t count,
                  struct value *ret_value)
{
    struct bytes layout = {0};
    struct buf out = {0};
    int error = template_value_to_text(machine, &arguments[0], &layout);
    (void)count;
    if (error == 0)
        error = time_of(machine, &arguments[1]);
    if (error != 0)
        return error;
    template_time_format(&arguments[1], layout, &out);
    return template_value_keep(machine, &out, ret_value);
}

/* tz ZONE TIME */
int template_tz(machine_type *machine, const struct value *arguments, size_t count,
                struct value *ret_value)
{
    struct civil_zone zone;
    struct bytes name = {0};
    struct value moved = arguments[1];
    char *copy;
    int error = template_value_to_text(machine, &arguments[0], &name);

    (void)count;
    if (error == 0)
        error = time_of(machine, &arguments[1]);
    if (error != 0)
        return error;
    copy = arena_alloc(machine->arena, name.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, name.data, name.size);
    if (name.size == 0 || !civil_zone_parse(copy, &zone))
        return diagnose(machine->why, ERR_INVALID, "unknown time zone %.40s", copy);
    moved.as.time.offset_s =
        (int32_t)((civil_local_ms(&zone, moved.as.time.unix_ms) - moved.as.time.unix_ms) /
                  1000);
    moved.as.time.zone = strcmp(zone.name, "Asia/Shanghai") == 0 ? "CST" : copy;
    *ret_value = moved;
    return 0;
}

int template_since(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    int error = time_of(machine, &arguments[0]);
    (void)count;
    if (error == 0)
        *ret_value =
            (struct value){.kind = VALUE_DURATION,
                           .as.duration_ms = now_ms(machine) - arguments[0].as.time.unix_ms};
    return error;
}
