/*
 * read_when.c - time zones, and hours in force: `restrict` of a layer, `cover` of a roster.
 */
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"

#define ENTRIES_MAX ((size_t)64)

int duty_read_zone(struct duty *duty, const struct config_node *node,
                   const struct civil_zone *fallback, struct civil_zone *ret_zone,
                   struct diagnosis *why)
{
    if (node == NULL) {
        *ret_zone = *fallback;
        return 0;
    }
    if (node->kind == CONFIG_SCALAR && civil_zone_parse(node->text, ret_zone) &&
        !ret_zone->is_local)
        return 0;
    return config_complain(duty->config, node, why,
                           "time_zone: expected Asia/Shanghai, UTC, or an offset such as "
                           "\"+08:00\"");
}

struct written {
    struct config_strings weekdays, hours;
    const char *days;
};

static const struct config_option entry_rows[] = {
    {.key = "weekdays", .type = CONFIG_STRINGS, .offset = offsetof(struct written, weekdays)},
    {.key = "days", .type = CONFIG_STRING, .offset = offsetof(struct written, days)},
    {.key = "hours", .type = CONFIG_STRINGS, .offset = offsetof(struct written, hours)},
};

static int read_entry(struct duty *duty, const struct config_node *node, const char *where,
                      struct duty_when_entry *entry, struct diagnosis *why)
{
    struct written written = {0};
    int error = config_read(duty->config, node, where, entry_rows,
                            sizeof entry_rows / sizeof *entry_rows, &written, why);
    if (error != 0)
        return error;
    if (node->count == 0)
        return config_complain(duty->config, node, why,
                               "%s: an entry says weekdays, days or hours", where);
    for (size_t i = 0; i < written.weekdays.count; i++)
        if (!civil_parse_weekdays(written.weekdays.items[i], &entry->weekdays))
            return config_complain(duty->config, config_child(node, "weekdays"), why,
                                   "%s.weekdays: \"%s\" is not a weekday or a range such as "
                                   "mon-fri or 周一-周五",
                                   where, written.weekdays.items[i]);
    if (written.days != NULL && !calendar_parse_kind(written.days, &entry->days))
        return config_complain(duty->config, config_child(node, "days"), why,
                               "%s.days: \"%s\" is neither workday nor holiday", where,
                               written.days);
    if (written.hours.count > DUTY_HOURS_MAX)
        return config_complain(duty->config, config_child(node, "hours"), why,
                               "%s.hours: more than %d", where, DUTY_HOURS_MAX);
    for (size_t i = 0; i < written.hours.count; i++)
        if (!civil_parse_hours(written.hours.items[i], &entry->hours[entry->hour_count++]))
            return config_complain(duty->config, config_child(node, "hours"), why,
                                   "%s.hours: \"%s\" is not a range such as 08:30-17:30 or "
                                   "17:30-08:30",
                                   where, written.hours.items[i]);
    return 0;
}

int duty_read_when(struct duty *duty, const struct config_node *node, const char *where,
                   struct duty_when *ret_when, struct diagnosis *why)
{
    const bool is_one = node != NULL && node->kind == CONFIG_MAP;
    size_t count = 1;
    int error = is_one ? 0 : duty_read_list(duty, node, where, ENTRIES_MAX, &count, why);
    if (error != 0)
        return error;
    struct duty_when_entry *entries = config_alloc(duty->config, count + 1, sizeof *entries);
    if (entries == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_entry(duty, is_one ? node : node->children[i], where, &entries[i], why);
    *ret_when = (struct duty_when){entries, count};
    return error;
}
