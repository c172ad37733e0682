/*
 * period.c - see period.h.
 */
#include "collector/policy/period.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/error.h"

/* ---- reading ----------------------------------------------------------------------------- */

int policy_zone_read(struct config *config, const struct config_node *node,
                     struct civil_zone *ret_zone, struct diagnosis *why)
{
    const char *text = node == NULL ? "Asia/Shanghai" : node->text;
    if ((node == NULL || node->kind == CONFIG_SCALAR) && civil_zone_parse(text, ret_zone) &&
        !ret_zone->is_local)
        return 0;
    return config_complain(config, node, why,
                           "time_zone: expected Asia/Shanghai, UTC, or an offset such as "
                           "\"+08:00\"");
}

/* A date, or a date and a time; Unix time.  `is_end`: a date alone means its day's end. */
static bool read_moment(const char *text, const struct civil_zone *zone, bool is_end,
                        int64_t *ret_ms)
{
    if (!civil_parse_moment(text, is_end, ret_ms))
        return false;
    *ret_ms -= zone->offset_ms;
    return true;
}

static bool read_weekdays(struct policy_period *period, const char *text)
{
    return civil_parse_weekdays(text, &period->weekdays);
}

/* "3", "1-15". */
static bool read_days(struct policy_period *period, const char *text)
{
    int first = 0, last, used = 0;
    if (sscanf(text, "%2d%n", &first, &used) != 1)
        return false;
    last = first;
    if (text[used] == '-') {
        const char *rest = text + used + 1;
        if (*rest < '0' || *rest > '9' || sscanf(rest, "%2d%n", &last, &used) != 1)
            return false;
        text = rest;
    }
    if (text[used] != '\0' || first < 1 || last < first || last > 31)
        return false;
    for (int day = first; day <= last; day++)
        period->days |= UINT32_C(1) << day;
    return true;
}

static bool read_hours(struct policy_period *period, const char *text)
{
    return period->hour_count < POLICY_SPANS_MAX &&
           civil_parse_hours(text, &period->hours[period->hour_count]) &&
           ++period->hour_count > 0;
}

struct written {
    const char *from, *to;
    struct config_strings weekdays, days, hours;
};

static const struct config_option period_rows[] = {
    {.key = "from", .type = CONFIG_STRING, .offset = offsetof(struct written, from)},
    {.key = "to", .type = CONFIG_STRING, .offset = offsetof(struct written, to)},
    {.key = "weekdays", .type = CONFIG_STRINGS, .offset = offsetof(struct written, weekdays)},
    {.key = "days", .type = CONFIG_STRINGS, .offset = offsetof(struct written, days)},
    {.key = "hours", .type = CONFIG_STRINGS, .offset = offsetof(struct written, hours)},
};

static int read_each(struct config *config, const struct config_node *node, const char *key,
                     const struct config_strings *texts, struct policy_period *period,
                     bool (*read)(struct policy_period *, const char *), const char *expected,
                     struct diagnosis *why)
{
    for (size_t i = 0; i < texts->count; i++)
        if (!read(period, texts->items[i]))
            return config_complain(config, config_child(node, key), why,
                                   "periods.%s.%s: \"%s\" is not %s", node->key, key,
                                   texts->items[i], expected);
    return 0;
}

static int read_bound(struct config *config, const struct config_node *node, const char *key,
                      const char *text, const struct civil_zone *zone, int64_t *ret_ms,
                      struct diagnosis *why)
{
    if (text == NULL || read_moment(text, zone, strcmp(key, "to") == 0, ret_ms))
        return 0;
    return config_complain(config, config_child(node, key), why,
                           "periods.%s.%s: \"%s\" is not a date such as 2026-10-01, or a date "
                           "and a time such as \"2026-10-01 08:00\"",
                           node->key, key, text);
}

int policy_period_read(struct config *config, const struct config_node *node,
                       const struct civil_zone *zone, struct policy_period *ret_period,
                       struct diagnosis *why)
{
    struct written written = {0};
    struct policy_period period = {
        .name = node->key, .line = node->key_line, .from_ms = INT64_MIN, .to_ms = INT64_MAX};
    int error = config_read(config, node, "periods", period_rows,
                            sizeof period_rows / sizeof *period_rows, &written, why);
    if (error == 0)
        error = read_bound(config, node, "from", written.from, zone, &period.from_ms, why);
    if (error == 0)
        error = read_bound(config, node, "to", written.to, zone, &period.to_ms, why);
    if (error == 0 && period.from_ms >= period.to_ms)
        error = config_complain(config, node, why, "periods.%s: it ends before it begins",
                                node->key);
    if (error == 0)
        error = read_each(config, node, "weekdays", &written.weekdays, &period, read_weekdays,
                          "mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri", why);
    if (error == 0)
        error = read_each(config, node, "days", &written.days, &period, read_days,
                          "a day of the month, or a range such as 1-15", why);
    if (error == 0)
        error = read_each(config, node, "hours", &written.hours, &period, read_hours,
                          "a range such as \"08:30-17:30\"", why);
    if (error == 0 && node->count == 0)
        error = config_complain(config, node, why,
                                "periods.%s: says no time (from, to, weekdays, days, hours)",
                                node->key);
    if (error == 0)
        *ret_period = period;
    return error;
}

/* ---- when -------------------------------------------------------------------------------- */

static bool hours_hold(const struct policy_period *period, int minute)
{
    for (size_t i = 0; i < period->hour_count; i++) {
        int from = period->hours[i].from_minute, to = period->hours[i].to_minute;
        bool holds = from < to ? minute >= from && minute < to : minute >= from || minute < to;
        if (holds)
            return true;
    }
    return period->hour_count == 0;
}

bool policy_period_holds(const struct policy_period *period, const struct civil_zone *zone,
                         int64_t at_ms)
{
    if (at_ms < period->from_ms || at_ms >= period->to_ms)
        return false;
    struct civil at;
    civil_read(civil_local_ms(zone, at_ms), &at);
    return (period->weekdays == 0 || (period->weekdays >> at.weekday & 1) != 0) &&
           (period->days == 0 || (period->days >> at.day & 1) != 0) &&
           hours_hold(period, at.minute);
}

static void sooner(int64_t candidate_ms, int64_t after_ms, int64_t *next_ms)
{
    if (candidate_ms > after_ms && candidate_ms < *next_ms)
        *next_ms = candidate_ms;
}

int64_t policy_period_next(const struct policy_period *period, const struct civil_zone *zone,
                           int64_t after_ms)
{
    int64_t next_ms = INT64_MAX;
    sooner(period->from_ms, after_ms, &next_ms);
    sooner(period->to_ms, after_ms, &next_ms);
    if (after_ms >= period->to_ms)
        return next_ms;
    int64_t day = civil_day_of(after_ms + zone->offset_ms);
    for (int64_t later = 0; later < 2; later++) {
        int64_t midnight_ms = (day + later) * CIVIL_DAY_MS - zone->offset_ms;
        if (period->weekdays != 0 || period->days != 0)
            sooner(midnight_ms, after_ms, &next_ms);
        for (size_t i = 0; i < period->hour_count; i++) {
            sooner(midnight_ms + period->hours[i].from_minute * CIVIL_MINUTE_MS, after_ms,
                   &next_ms);
            sooner(midnight_ms + period->hours[i].to_minute * CIVIL_MINUTE_MS, after_ms,
                   &next_ms);
        }
    }
    return next_ms;
}
