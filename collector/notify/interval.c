/*
 * interval.c - see interval.h.
 */
#include "collector/notify/interval.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/notify/route.h"
#include "proto/base/error.h"

#define SPANS_MAX  ((size_t)1024)
#define RANGES_MAX ((size_t)1024)
#define HOUR_MS    (60 * CIVIL_MINUTE_MS)

static const char *const months[12] = {"january",   "february", "march",    "april",
                                       "may",       "june",     "july",     "august",
                                       "september", "october",  "november", "december"};

/* ---- reading ----------------------------------------------------------------------------- */

/* One end of a range; `size` bytes of text.  False: it is none. */
typedef bool read_end(const char *text, size_t size, int *ret_value);

static bool read_number(const char *text, size_t size, int *ret_value)
{
    char digits[16] = "", *end;
    long value;
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, text, size);
    errno = 0;
    value = strtol(digits, &end, 10);
    if (*end != '\0' || errno != 0 || value < INT_MIN || value > INT_MAX || digits[0] == '+' ||
        digits[0] == ' ')
        return false;
    *ret_value = (int)value;
    return true;
}

static bool read_weekday(const char *text, size_t size, int *ret_value)
{
    *ret_value = civil_parse_weekday(text, size);
    return *ret_value >= 0;
}

static bool read_day(const char *text, size_t size, int *ret_value)
{
    return read_number(text, size, ret_value) && *ret_value != 0 && *ret_value >= -31 &&
           *ret_value <= 31;
}

static bool read_month(const char *text, size_t size, int *ret_value)
{
    for (int i = 0; i < 12; i++)
        if (strlen(months[i]) == size && strncasecmp(months[i], text, size) == 0) {
            *ret_value = i + 1;
            return true;
        }
    return read_number(text, size, ret_value) && *ret_value >= 1 && *ret_value <= 12;
}

static bool read_year(const char *text, size_t size, int *ret_value)
{
    return read_number(text, size, ret_value) && *ret_value >= 0;
}

/* Alertmanager's check for what can be in no month: an end before the start, with 31 days. */
static bool days_follow(struct interval_range range)
{
    int from = range.from < 0 ? 30 + range.from : range.from;
    int to = range.to < 0 ? 30 + range.to : range.to;
    return from <= to && !(range.from < 0 && range.to > 0);
}

struct field {
    const char *key;
    enum interval_field field;
    read_end *read;
    const char *expected;
};

static const struct field fields[] = {
    {"weekdays", INTERVAL_WEEKDAYS, read_weekday,
     "a weekday such as monday, or a range such as monday:friday"},
    {"days_of_month", INTERVAL_DAYS, read_day,
     "a day of the month (1 to 31, or -31 to -1 from its end), or a range such as 1:15"},
    {"months", INTERVAL_MONTHS, read_month,
     "a month (january or 1 to december or 12), or a range such as may:8"},
    {"years", INTERVAL_YEARS, read_year, "a year, or a range such as 2026:2028"},
};

struct written {
    struct config_strings lists[sizeof fields / sizeof fields[0]];
    const struct config_node *times;
    const char *location, *calendar;
};

static bool follow(enum interval_field field, struct interval_range range)
{
    if (field == INTERVAL_WEEKDAYS)
        return true;
    return field == INTERVAL_DAYS ? days_follow(range) : range.from <= range.to;
}

static int read_field(struct config *config, struct arena *arena,
                      const struct config_node *node, const struct field *field,
                      const struct config_strings *texts, struct interval_ranges *ret_ranges,
                      struct diagnosis *why)
{
    const struct config_node *at = config_child(node, field->key);
    struct interval_range *ranges = arena_alloc(arena, texts->count + 1, sizeof *ranges);

    if (ranges == NULL)
        return ERR_NOMEM;
    if (at != NULL && (texts->count == 0 || texts->count > RANGES_MAX))
        return config_complain(config, at, why, "%s: expected 1 to %zu ranges", field->key,
                               RANGES_MAX);
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i], *colon = strchr(text, ':');
        struct interval_range range = {0};
        bool good = field->read(text, colon == NULL ? strlen(text) : (size_t)(colon - text),
                                &range.from);
        range.to = range.from;
        if (good && colon != NULL)
            good = field->read(colon + 1, strlen(colon + 1), &range.to);
        if (!good)
            return config_complain(config, at, why, "%s: \"%s\" is not %s", field->key, text,
                                   field->expected);
        if (!follow(field->field, range))
            return config_complain(config, at, why, "%s: \"%s\" ends before it starts",
                                   field->key, text);
        ranges[i] = range;
    }
    *ret_ranges = (struct interval_ranges){ranges, texts->count};
    return 0;
}

struct times {
    const char *start, *end;
};

static int read_time(struct config *config, const struct config_node *node,
                     struct interval_range *ret_range, struct diagnosis *why)
{
    static const struct config_option options[] = {
        {.key = "start_time",
         .type = CONFIG_STRING,
         .offset = offsetof(struct times, start),
         .required = true},
        {.key = "end_time",
         .type = CONFIG_STRING,
         .offset = offsetof(struct times, end),
         .required = true},
    };
    struct times times = {0};
    int error = config_read(config, node, "times", options, 2, &times, why);
    const char *start = times.start, *end = times.end;

    if (error != 0)
        return error;
    if (!civil_parse_minute(&start, &ret_range->from) || *start != '\0')
        return config_complain(config, node, why,
                               "start_time: \"%s\" is not a time such as '08:30'", times.start);
    if (!civil_parse_minute(&end, &ret_range->to) || *end != '\0')
        return config_complain(config, node, why,
                               "end_time: \"%s\" is not a time such as '17:30', up to '24:00'",
                               times.end);
    if (ret_range->from >= ret_range->to)
        return config_complain(config, node, why,
                               "times: end_time must be later than start_time (write what "
                               "crosses midnight as two: up to '24:00' and from '00:00')");
    return 0;
}

static int read_times(struct config *config, struct arena *arena,
                      const struct config_node *list, struct interval_ranges *ret_ranges,
                      struct diagnosis *why)
{
    struct interval_range *ranges;
    int error = 0;

    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST || list->count == 0 || list->count > RANGES_MAX)
        return config_complain(config, list, why,
                               "times: expected a list of {start_time, end_time}");
    ranges = arena_alloc(arena, list->count, sizeof *ranges);
    if (ranges == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < list->count; i++)
        error = read_time(config, list->children[i], &ranges[i], why);
    *ret_ranges = (struct interval_ranges){ranges, list->count};
    return error;
}

static int read_location(struct config *config, const struct config_node *node,
                         const char *text, struct civil_zone *ret_zone, struct diagnosis *why)
{
    if (civil_zone_parse(text == NULL ? "Asia/Shanghai" : text, ret_zone) &&
        (ret_zone->is_local ||
         (ret_zone->offset_ms % HOUR_MS == 0 && ret_zone->offset_ms >= -12 * HOUR_MS)))
        return 0;
    return config_complain(config, config_child(node, "location"), why,
                           "location: \"%s\" is not known here; expected Asia/Shanghai, UTC, "
                           "Local, or whole hours such as \"+09:00\"",
                           text);
}

#define LIST(n) offsetof(struct written, lists[n])
static const struct config_option span_options[] = {
    {.key = "times", .type = CONFIG_NODE, .offset = offsetof(struct written, times)},
    {.key = "weekdays", .type = CONFIG_STRINGS, .offset = LIST(0)},
    {.key = "days_of_month", .type = CONFIG_STRINGS, .offset = LIST(1)},
    {.key = "months", .type = CONFIG_STRINGS, .offset = LIST(2)},
    {.key = "years", .type = CONFIG_STRINGS, .offset = LIST(3)},
    {.key = "location", .type = CONFIG_STRING, .offset = offsetof(struct written, location)},
    {.key = "calendar", .type = CONFIG_STRING, .offset = offsetof(struct written, calendar)},
};

static int read_days(struct config *config, const struct config_node *node, const char *text,
                     const struct calendar *calendar, enum calendar_kind *ret_days,
                     struct diagnosis *why)
{
    if (text == NULL)
        return 0;
    if (!calendar_parse_kind(text, ret_days))
        return config_complain(config, config_child(node, "calendar"), why,
                               "calendar: \"%s\" is neither cn-workday nor cn-holiday", text);
    if (calendar == NULL)
        return config_complain(config, config_child(node, "calendar"), why,
                               "calendar: the holidays are duty.yml's, and collector.yml names "
                               "no `duty:` file");
    return 0;
}

static int read_span(struct config *config, struct arena *arena, const struct config_node *node,
                     const struct calendar *calendar, struct interval_span *span,
                     struct diagnosis *why)
{
    struct written written = {0};
    int error = config_read(config, node, "time_intervals", span_options,
                            sizeof span_options / sizeof span_options[0], &written, why);
    if (error == 0)
        error = read_times(config, arena, written.times, &span->fields[INTERVAL_TIMES], why);
    for (size_t i = 0; error == 0 && i < sizeof fields / sizeof fields[0]; i++)
        error = read_field(config, arena, node, &fields[i], &written.lists[i],
                           &span->fields[fields[i].field], why);
    if (error == 0)
        error = read_location(config, node, written.location, &span->zone, why);
    if (error == 0)
        error = read_days(config, node, written.calendar, calendar, &span->days, why);
    return error;
}

struct interval_keys {
    const char *name;
    const struct config_node *spans;
};

int interval_read(struct config *config, struct arena *arena, const struct config_node *node,
                  const struct calendar *calendar, struct interval *ret_interval,
                  struct diagnosis *why)
{
    static const struct config_option options[] = {
        {.key = "name",
         .type = CONFIG_STRING,
         .offset = offsetof(struct interval_keys, name),
         .required = true},
        {.key = "time_intervals",
         .type = CONFIG_NODE,
         .offset = offsetof(struct interval_keys, spans),
         .required = true},
    };
    struct interval_keys keys = {0};
    struct interval_span *spans;
    int error = config_read(config, node, "time_intervals", options, 2, &keys, why);

    if (error != 0)
        return error;
    if (keys.name[0] == '\0')
        return config_complain(config, node, why, "a time interval has no name");
    if (keys.spans->kind != CONFIG_LIST || keys.spans->count > SPANS_MAX)
        return config_complain(config, keys.spans, why,
                               "time_intervals: expected a list of at most %zu entries (times, "
                               "weekdays, days_of_month, months, years, calendar, location)",
                               SPANS_MAX);
    spans = arena_alloc(arena, keys.spans->count + 1, sizeof *spans);
    if (spans == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < keys.spans->count; i++)
        error = read_span(config, arena, keys.spans->children[i], calendar, &spans[i], why);
    *ret_interval = (struct interval){keys.name, spans, keys.spans->count, calendar};
    return error;
}

/* ---- when -------------------------------------------------------------------------------- */

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static bool day_holds(struct interval_range range, const struct civil *at)
{
    const int last = at->days_in_month;
    int from = range.from < 0 ? last + range.from + 1 : range.from;
    int to = range.to < 0 ? last + range.to + 1 : range.to;
    if (from > last)
        return false;
    return at->day >= clamp(from, -last, last) && at->day <= clamp(to, -last, last);
}

static bool range_holds(enum interval_field field, struct interval_range range,
                        const struct civil *at)
{
    switch (field) {
    case INTERVAL_TIMES:
        return at->minute >= range.from && at->minute < range.to;
    case INTERVAL_WEEKDAYS:
        return range.from <= range.to ? at->weekday >= range.from && at->weekday <= range.to
                                      : at->weekday >= range.from || at->weekday <= range.to;
    case INTERVAL_DAYS:
        return day_holds(range, at);
    case INTERVAL_MONTHS:
        return at->month >= range.from && at->month <= range.to;
    case INTERVAL_YEARS:
        return at->year >= range.from && at->year <= range.to;
    case INTERVAL_FIELDS:
        break;
    }
    return false;
}

static bool span_holds(const struct interval_span *span, const struct calendar *calendar,
                       int64_t at_ms)
{
    const int64_t local_ms = civil_local_ms(&span->zone, at_ms);
    struct civil at;
    if (!calendar_is(calendar, span->days, civil_day_of(local_ms)))
        return false;
    civil_read(local_ms, &at);
    for (int field = 0; field < INTERVAL_FIELDS; field++) {
        const struct interval_ranges *ranges = &span->fields[field];
        bool holds = ranges->count == 0;
        for (size_t i = 0; !holds && i < ranges->count; i++)
            holds = range_holds((enum interval_field)field, ranges->items[i], &at);
        if (!holds)
            return false;
    }
    return true;
}

bool interval_holds(const struct interval *interval, int64_t at_ms)
{
    for (size_t i = 0; i < interval->span_count; i++)
        if (span_holds(&interval->spans[i], interval->calendar, at_ms))
            return true;
    return false;
}

/* ---- printing ---------------------------------------------------------------------------- */

static void print_range(struct buf *out, enum interval_field field, struct interval_range range,
                        const char *gap)
{
    switch (field) {
    case INTERVAL_TIMES:
        buf_printf(out, "%s{start_time: \"%02d:%02d\", end_time: \"%02d:%02d\"}", gap,
                   range.from / 60, range.from % 60, range.to / 60, range.to % 60);
        return;
    case INTERVAL_WEEKDAYS: /* Alertmanager's week begins on Sunday: no range is one in both */
        for (int day = range.from;; day = (day + 1) % 7) {
            buf_printf(out, "%s\"%s\"", gap, civil_weekday_name(day));
            gap = ", ";
            if (day == range.to)
                return;
        }
    case INTERVAL_DAYS:
    case INTERVAL_MONTHS:
    case INTERVAL_YEARS:
    case INTERVAL_FIELDS:
        buf_printf(out, "%s\"%d:%d\"", gap, range.from, range.to);
        return;
    }
}

/* A name that the zone database has; its Etc/GMT-8 is eight hours ahead. */
static void print_location(struct buf *out, const struct civil_zone *zone)
{
    const int hours = (int)(zone->offset_ms / HOUR_MS);
    if (zone->name[0] != '+' && zone->name[0] != '-')
        buf_put_text(out, zone->name);
    else if (hours == 0)
        buf_put_text(out, "UTC");
    else
        buf_printf(out, "Etc/GMT%+d", -hours);
}

void interval_print(const struct interval *interval, struct buf *out)
{
    static const char *const keys[INTERVAL_FIELDS] = {"times", "weekdays", "days_of_month",
                                                      "months", "years"};
    buf_put_text(out, "- name: ");
    route_put_quoted(out, bytes_of(interval->name));
    buf_put_text(out, interval->span_count == 0 ? "\n  time_intervals: []\n"
                                                : "\n  time_intervals:\n");
    for (size_t i = 0; i < interval->span_count; i++) {
        const struct interval_span *span = &interval->spans[i];
        buf_put_text(out, "  - location: ");
        print_location(out, &span->zone);
        buf_put_char(out, '\n');
        if (span->days != CALENDAR_ANY)
            buf_printf(out, "    # calendar: %s\n",
                       span->days == CALENDAR_WORKDAY ? "cn-workday" : "cn-holiday");
        for (int field = 0; field < INTERVAL_FIELDS; field++) {
            const struct interval_ranges *ranges = &span->fields[field];
            if (ranges->count == 0)
                continue;
            buf_printf(out, "    %s: [", keys[field]);
            for (size_t j = 0; j < ranges->count; j++)
                print_range(out, (enum interval_field)field, ranges->items[j],
                            j > 0 ? ", " : "");
            buf_put_text(out, "]\n");
        }
    }
}
