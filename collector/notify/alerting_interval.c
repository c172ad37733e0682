/* alerting_interval.c - time intervals of alerting.yml, and the routes that name them. */
#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"

#define INTERVALS_MAX ((size_t)1024)

static const struct interval *find(const struct alerting *alerting, const char *name)
{
    for (size_t i = 0; i < alerting->interval_count; i++)
        if (strcmp(alerting->intervals[i].name, name) == 0)
            return &alerting->intervals[i];
    return NULL;
}

static size_t count_of(const struct config_node *node)
{
    return node == NULL || node->kind != CONFIG_LIST ? 0 : node->count;
}

static int read_list(struct alerting *alerting, const struct config_node *list, const char *key,
                     struct diagnosis *why)
{
    int error = 0;
    if (list == NULL || (list->kind == CONFIG_SCALAR && list->text[0] == '\0'))
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(alerting->config, list, why, "%s is a list", key);
    for (size_t i = 0; error == 0 && i < list->count; i++) {
        struct interval interval;
        error = interval_read(alerting->config, &alerting->arena, list->children[i],
                              alerting->duty == NULL ? NULL : duty_calendar(alerting->duty),
                              &interval, why);
        if (error == 0 && find(alerting, interval.name) != NULL)
            error = config_complain(alerting->config, list->children[i], why,
                                    "time interval \"%s\" is there twice", interval.name);
        if (error == 0)
            alerting->intervals[alerting->interval_count++] = interval;
    }
    return error;
}

int alerting_read_intervals(struct alerting *alerting, const struct config_node *intervals,
                            const struct config_node *mute_intervals, struct diagnosis *why)
{
    const size_t count = count_of(intervals) + count_of(mute_intervals);
    int error;

    if (count > INTERVALS_MAX)
        return config_complain(alerting->config, intervals != NULL ? intervals : mute_intervals,
                               why, "more than %zu time intervals", INTERVALS_MAX);
    alerting->intervals = arena_alloc(&alerting->arena, count + 1, sizeof *alerting->intervals);
    if (alerting->intervals == NULL)
        return ERR_NOMEM;
    error = read_list(alerting, mute_intervals, "mute_time_intervals", why);
    return error != 0 ? error : read_list(alerting, intervals, "time_intervals", why);
}

static int complain_of_name(struct alerting *alerting, const struct config_node *node,
                            const char *name, struct diagnosis *why)
{
    const char *names[64], *near;
    size_t count = 0;
    for (; count < alerting->interval_count && count < 64; count++)
        names[count] = alerting->intervals[count].name;
    near = nearest_name(name, names, count);
    return config_complain(alerting->config, node, why,
                           "there is no time interval \"%s\"%s%s%s", name,
                           near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                           near == NULL ? "" : "\"?)");
}

int alerting_find_intervals(struct alerting *alerting, const struct config_node *route,
                            const char *key, const struct config_strings *names,
                            const struct interval *const **ret_found, struct diagnosis *why)
{
    const struct config_node *node = config_child(route, key);
    const struct interval **found =
        arena_alloc(&alerting->arena, names->count + 1, sizeof(struct interval *));

    if (found == NULL)
        return ERR_NOMEM;
    if (names->count > ROUTE_INTERVALS_MAX)
        return config_complain(alerting->config, node, why, "%s: more than %d names", key,
                               ROUTE_INTERVALS_MAX);
    for (size_t i = 0; i < names->count; i++) {
        found[i] = find(alerting, names->items[i]);
        if (found[i] == NULL)
            return complain_of_name(alerting, node, names->items[i], why);
    }
    *ret_found = found;
    return 0;
}
