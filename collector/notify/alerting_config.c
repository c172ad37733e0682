/*
 * alerting_config.c - the route tree of alerting.yml and the file as a whole.
 *
 * Defaults are Alertmanager's: group_wait 30s, group_interval 5m, repeat_interval 4h, and no
 * group_by (all alerts of a route are one group).
 */
#include "collector/notify/alerting_config.h"

#include <stdlib.h>

#include "collector/notify/alerting_parts.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define ALERTING_ARENA_BYTES ((size_t)64 << 20)
#define YEAR_MS              ((int64_t)365 * 24 * 3600 * 1000)

struct route_keys {
    const char *receiver;
    struct config_strings group_by, mute_intervals, active_intervals;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    bool goes_on;
    const struct config_node *matchers, *match, *match_re, *routes;
};

#define AT(field) offsetof(struct route_keys, field)
static const struct config_option route_options[] = {
    {.key = "receiver",
     .type = CONFIG_STRING,
     .offset = AT(receiver),
     .help = "name of a receiver; inherited"},
    {.key = "group_by",
     .type = CONFIG_STRINGS,
     .offset = AT(group_by),
     .help = "labels that make a group; '...' for all; inherited"},
    {.key = "group_wait",
     .type = CONFIG_DURATION,
     .offset = AT(group_wait_ms),
     .min = 0,
     .max = YEAR_MS,
     .help = "how long a new group collects before its first message"},
    {.key = "group_interval",
     .type = CONFIG_DURATION,
     .offset = AT(group_interval_ms),
     .min = 1,
     .max = YEAR_MS,
     .help = "shortest time between two messages of a group"},
    {.key = "repeat_interval",
     .type = CONFIG_DURATION,
     .offset = AT(repeat_interval_ms),
     .min = 1,
     .max = YEAR_MS,
     .help = "when an unchanged group is told again"},
    {.key = "continue",
     .type = CONFIG_BOOL,
     .offset = AT(goes_on),
     .fallback = "false",
     .help = "also ask the routes after this one"},
    {.key = "matchers",
     .type = CONFIG_NODE,
     .offset = AT(matchers),
     .help = "which alerts: name=\"value\", != =~ !~"},
    {.key = "match", .type = CONFIG_NODE, .offset = AT(match), .help = "map of equal labels"},
    {.key = "match_re",
     .type = CONFIG_NODE,
     .offset = AT(match_re),
     .help = "map of labels and regular expressions"},
    {.key = "mute_time_intervals",
     .type = CONFIG_STRINGS,
     .offset = AT(mute_intervals),
     .help = "names of time intervals in which it is not told; not inherited"},
    {.key = "active_time_intervals",
     .type = CONFIG_STRINGS,
     .offset = AT(active_intervals),
     .help = "names of the only time intervals in which it is told; not inherited"},
    {.key = "routes", .type = CONFIG_NODE, .offset = AT(routes), .help = "child routes"},
};

static int read_route(struct alerting *alerting, const struct config_node *node,
                      const struct route *parent, unsigned depth, struct route **ret_route,
                      struct diagnosis *why);

/* The old forms: match and match_re, maps of label to value. */
static int read_match_map(struct alerting *alerting, const struct config_node *node,
                          bool is_regex, struct matcher ***matchers, size_t *count,
                          struct diagnosis *why)
{
    if (node != NULL && node->kind != CONFIG_MAP &&
        (node->kind == CONFIG_LIST || node->text[0] != '\0'))
        return config_complain(alerting->config, node, why, "%s is a map of label to value",
                               node->key);
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        const struct config_node *pair = node->children[i];
        struct diagnosis inner = {0};
        struct buf pattern = {0};
        int error;
        if (pair->kind != CONFIG_SCALAR)
            return config_complain(alerting->config, pair, why, "%s is not a single value",
                                   pair->key);
        buf_printf(&pattern, is_regex ? "^(?:%s)$" : "%s", pair->text);
        error = !buf_ok(&pattern) ? ERR_NOMEM
                                  : route_matcher_add(is_regex ? MATCH_REGEX : MATCH_EQUAL,
                                                      bytes_of(pair->key), buf_bytes(&pattern),
                                                      matchers, count, &inner);
        buf_done(&pattern);
        if (error != 0)
            return config_complain(alerting->config, pair, why, "%s", inner.text);
    }
    return 0;
}

int alerting_read_matchers(struct alerting *alerting, const struct config_node *list,
                           const struct config_node *match, const struct config_node *match_re,
                           struct matcher ***matchers, size_t *count, struct diagnosis *why)
{
    int error = 0;

    for (size_t i = 0;
         list != NULL && error == 0 && i < (list->kind == CONFIG_SCALAR ? 1 : list->count);
         i++) {
        const struct config_node *item = list->kind == CONFIG_SCALAR ? list : list->children[i];
        struct diagnosis inner = {0};
        if (item->kind != CONFIG_SCALAR)
            return config_complain(alerting->config, item, why, "a matcher is a text");
        if (route_matchers_parse(item->text, matchers, count, &inner))
            error = config_complain(alerting->config, item, why, "%s", inner.text);
    }
    if (error == 0)
        error = read_match_map(alerting, match, false, matchers, count, why);
    if (error == 0)
        error = read_match_map(alerting, match_re, true, matchers, count, why);
    return error;
}

/* group_by, checked: '...' stands alone, no label twice, nothing empty. */
static int read_group_by(struct alerting *alerting, const struct config_node *node,
                         const struct config_strings *names, struct route *route,
                         struct diagnosis *why)
{
    const char **copy = calloc(names->count + 1, sizeof *copy);
    if (copy == NULL)
        return ERR_NOMEM;
    route->group_by = copy;
    route->group_by_count = 0;
    route->group_by_all = false;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        if (strcmp(name, "...") == 0) {
            if (names->count > 1)
                return config_complain(alerting->config, node, why,
                                       "group_by: '...' must stand alone");
            route->group_by_all = true;
            return 0;
        }
        if (name[0] == '\0' || !utf8_is_valid(bytes_of(name)))
            return config_complain(alerting->config, node, why, "group_by: bad label name");
        for (size_t j = 0; j < i; j++)
            if (strcmp(copy[j], name) == 0)
                return config_complain(alerting->config, node, why,
                                       "group_by: label \"%s\" is there twice", name);
        copy[route->group_by_count++] = name;
    }
    return 0;
}

/* What a child takes from its parent; the root starts from the defaults. */
static int inherit(struct route *route, const struct route *parent)
{
    route->parent = parent;
    if (parent == NULL) {
        route->group_wait_ms = 30 * 1000;
        route->group_interval_ms = 5 * 60 * 1000;
        route->repeat_interval_ms = 4 * 3600 * 1000;
        return 0;
    }
    route->receiver = parent->receiver;
    route->group_wait_ms = parent->group_wait_ms;
    route->group_interval_ms = parent->group_interval_ms;
    route->repeat_interval_ms = parent->repeat_interval_ms;
    route->group_by_all = parent->group_by_all;
    if (parent->group_by_count > 0) {
        const char **copy = calloc(parent->group_by_count, sizeof *copy);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, parent->group_by, parent->group_by_count * sizeof *copy);
        route->group_by = copy;
        route->group_by_count = parent->group_by_count;
    }
    return 0;
}

static int set_receiver(struct alerting *alerting, const struct config_node *node,
                        const char *name, struct route *route, struct diagnosis *why)
{
    const char *names[64];
    size_t count = 0;
    const char *near;

    if (name == NULL) {
        if (route->parent == NULL)
            return config_complain(alerting->config, node, why,
                                   "the root route has no receiver");
        return 0;
    }
    route->receiver = alerting_receiver(alerting, name);
    if (route->receiver != NULL)
        return 0;
    for (; count < alerting->receiver_count && count < 64; count++)
        names[count] = alerting->receivers[count].name;
    near = nearest_name(name, names, count);
    return config_complain(alerting->config, config_child(node, "receiver"), why,
                           "there is no receiver \"%s\"%s%s%s", name,
                           near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                           near == NULL ? "" : "\"?)");
}

static int read_children(struct alerting *alerting, const struct config_node *list,
                         struct route *route, unsigned depth, struct diagnosis *why)
{
    if (list == NULL || (list->kind == CONFIG_SCALAR && list->text[0] == '\0'))
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(alerting->config, list, why, "routes is a list");
    if (depth >= ROUTE_DEPTH_MAX)
        return config_complain(alerting->config, list, why, "routes nest deeper than %d",
                               ROUTE_DEPTH_MAX);
    route->children = calloc(list->count + 1, sizeof(struct route *));
    if (route->children == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        int error =
            read_route(alerting, list->children[i], route, depth + 1, &route->children[i], why);
        if (error != 0)
            return error;
        route->child_count++;
    }
    return 0;
}

static int set_intervals(struct alerting *alerting, const struct config_node *node,
                         const struct route_keys *keys, struct route *route,
                         struct diagnosis *why)
{
    int error;
    if (route->parent == NULL && keys->mute_intervals.count + keys->active_intervals.count > 0)
        return config_complain(alerting->config, node, why,
                               "the root route must not have mute_time_intervals or "
                               "active_time_intervals; give them to a route below it");
    route->mute_interval_count = keys->mute_intervals.count;
    route->active_interval_count = keys->active_intervals.count;
    error = alerting_find_intervals(alerting, node, "mute_time_intervals",
                                    &keys->mute_intervals, &route->mute_intervals, why);
    if (error == 0)
        error = alerting_find_intervals(alerting, node, "active_time_intervals",
                                        &keys->active_intervals, &route->active_intervals, why);
    return error;
}

/* Fills a route from its keys and goes on below it. */
static int fill_route(struct alerting *alerting, const struct config_node *node,
                      const struct route *parent, unsigned depth, struct route *route,
                      struct diagnosis *why)
{
    struct route_keys keys = {0};
    int error = inherit(route, parent);

    keys.group_wait_ms = route->group_wait_ms;
    keys.group_interval_ms = route->group_interval_ms;
    keys.repeat_interval_ms = route->repeat_interval_ms;
    if (error == 0)
        error = config_read(alerting->config, node, "route", route_options,
                            sizeof route_options / sizeof route_options[0], &keys, why);
    if (error == 0)
        error = set_receiver(alerting, node, keys.receiver, route, why);
    if (error == 0)
        error = set_intervals(alerting, node, &keys, route, why);
    if (error == 0 && config_child(node, "group_by") != NULL) {
        free((void *)(uintptr_t)route->group_by);
        route->group_by = NULL;
        error =
            read_group_by(alerting, config_child(node, "group_by"), &keys.group_by, route, why);
    }
    if (error == 0)
        error = alerting_read_matchers(alerting, keys.matchers, keys.match, keys.match_re,
                                       &route->matchers, &route->matcher_count, why);
    if (error == 0 && parent == NULL && route->matcher_count > 0)
        error = config_complain(alerting->config, node, why,
                                "the root route takes every alert and has no matchers");
    if (error == 0 && parent == NULL && keys.goes_on)
        error = config_complain(alerting->config, node, why, "the root route cannot continue");
    route->goes_on = keys.goes_on;
    route->group_wait_ms = keys.group_wait_ms;
    route->group_interval_ms = keys.group_interval_ms;
    route->repeat_interval_ms = keys.repeat_interval_ms;
    if (error == 0)
        error = route_finish(route);
    return error != 0 ? error : read_children(alerting, keys.routes, route, depth, why);
}

static int read_route(struct alerting *alerting, const struct config_node *node,
                      const struct route *parent, unsigned depth, struct route **ret_route,
                      struct diagnosis *why)
{
    struct route *route = calloc(1, sizeof *route);
    int error;

    if (route == NULL)
        return ERR_NOMEM;
    error = fill_route(alerting, node, parent, depth, route, why);
    if (error != 0) {
        route_free(route);
        return error;
    }
    *ret_route = route;
    return 0;
}

struct root_keys {
    const struct config_node *global, *route, *receivers, *inhibit_rules;
    const struct config_node *intervals, *mute_intervals, *targets, *contacts;
    struct config_strings templates;
};

static const struct config_option root_options[] = {
    {.key = "global",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, global),
     .help = "what receivers start from"},
    {.key = "route",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, route),
     .required = true,
     .help = "the route tree"},
    {.key = "receivers",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, receivers),
     .required = true,
     .help = "where messages go"},
    {.key = "inhibit_rules",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, inhibit_rules),
     .help = "alerts that make others needless"},
    {.key = "time_intervals",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, intervals),
     .help = "times that routes name"},
    {.key = "mute_time_intervals",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, mute_intervals),
     .help = "the older name of time_intervals"},
    {.key = "templates",
     .type = CONFIG_FILES,
     .offset = offsetof(struct root_keys, templates),
     .help = "globs of files of templates"},
    {.key = "contact_channels",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, contacts),
     .help = "how the persons of duty.yml are reached"},
    {.key = "alertmanagers",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root_keys, targets),
     .help = "other Alertmanagers that are told of our alerts"},
};

static int make_fallbacks(struct alerting *alerting)
{
    static const char *const group_by[] = {"alertname"};
    static char key[] = "{}/{fallback}";

    alerting->fallbacks = arena_alloc(&alerting->arena, alerting->receiver_count + 1,
                                      sizeof *alerting->fallbacks);
    if (alerting->fallbacks == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < alerting->receiver_count; i++)
        alerting->fallbacks[i] =
            (struct route){.receiver = &alerting->receivers[i],
                           .group_by = group_by,
                           .group_by_count = 1,
                           .group_interval_ms = alerting->root->group_interval_ms,
                           .repeat_interval_ms = alerting->root->repeat_interval_ms,
                           .key = key};
    return 0;
}

static int read_all(struct alerting *alerting, struct diagnosis *why)
{
    struct root_keys keys = {0};
    int error = config_read(alerting->config, config_root(alerting->config), "", root_options,
                            sizeof root_options / sizeof root_options[0], &keys, why);
    if (error == 0)
        error = alerting_read_templates(alerting, &keys.templates, why);
    if (error == 0)
        error = alerting_read_global(alerting, keys.global, why);
    if (error == 0)
        error = alerting_read_targets(alerting, keys.targets, why);
    if (error == 0)
        error = alerting_read_receivers(alerting, keys.receivers, why);
    if (error == 0)
        error = alerting_read_contacts(alerting, keys.contacts, why);
    if (error == 0)
        error = alerting_read_inhibit_rules(alerting, keys.inhibit_rules, why);
    if (error == 0)
        error = alerting_read_intervals(alerting, keys.intervals, keys.mute_intervals, why);
    if (error == 0)
        error = read_route(alerting, keys.route, NULL, 0, &alerting->root, why);
    return error == 0 ? make_fallbacks(alerting) : error;
}

/* Takes the configuration it was made from. */
static int build(const char *name, struct config *config, struct duty *duty,
                 struct alerting **ret_alerting, struct diagnosis *why)
{
    struct alerting *alerting = calloc(1, sizeof *alerting);
    int error;

    if (alerting == NULL) {
        config_free(config);
        return ERR_NOMEM;
    }
    arena_init(&alerting->arena, ALERTING_ARENA_BYTES);
    alerting->config = config;
    alerting->duty = duty == NULL ? NULL : duty_ref(duty);
    error = read_all(alerting, why);
    if (error != 0) {
        alerting_free(alerting);
        return diagnose(why, error, "%s: %s", name, error_text(error));
    }
    *ret_alerting = alerting;
    return 0;
}

int alerting_parse(const char *name, struct bytes text, struct duty *duty,
                   struct alerting **ret_alerting, struct diagnosis *why)
{
    struct config *config;
    int error = config_parse(name, text, &config, why);
    return error != 0 ? error : build(name, config, duty, ret_alerting, why);
}

int alerting_load(const char *path, struct duty *duty, struct alerting **ret_alerting,
                  struct diagnosis *why)
{
    static const char nowhere[] = "route: {receiver: nowhere}\nreceivers: [{name: nowhere}]\n";
    struct config *config;
    int error;

    if (path == NULL)
        return alerting_parse("(no alerting file)", bytes_of(nowhere), NULL, ret_alerting, why);
    error = config_load(path, &config, why);
    return error != 0 ? error : build(path, config, duty, ret_alerting, why);
}

void alerting_free(struct alerting *alerting)
{
    if (alerting == NULL)
        return;
    route_free(alerting->root);
    for (size_t i = 0; i < alerting->inhibit_rule_count; i++)
        inhibit_rule_done(&alerting->inhibit_rules[i]);
    for (size_t i = 0; i < alerting->regex_count; i++)
        regex_free(alerting->regexes[i]);
    free(alerting->regexes);
    for (size_t i = 0; i < alerting->template_text_count; i++)
        free(alerting->template_texts[i]);
    free(alerting->template_texts);
    arena_reset(&alerting->arena);
    config_free(alerting->config);
    duty_unref(alerting->duty);
    free(alerting);
}

const struct route *alerting_root(const struct alerting *alerting)
{
    return alerting->root;
}

const struct receiver *alerting_receiver(const struct alerting *alerting, const char *name)
{
    for (size_t i = 0; i < alerting->receiver_count; i++)
        if (strcmp(alerting->receivers[i].name, name) == 0)
            return &alerting->receivers[i];
    for (size_t i = 0; i < alerting->person_count; i++)
        if (strcmp(alerting->persons[i].name, name) == 0)
            return &alerting->persons[i];
    return NULL;
}

const struct interval *alerting_intervals(const struct alerting *alerting, size_t *ret_count)
{
    *ret_count = alerting->interval_count;
    return alerting->intervals;
}

struct duty *alerting_duty(const struct alerting *alerting)
{
    return alerting->duty;
}

const struct receiver *alerting_persons(const struct alerting *alerting, size_t *ret_count)
{
    *ret_count = alerting->person_count;
    return alerting->persons;
}

int alerting_keep_regex(struct alerting *alerting, struct regex *regex)
{
    struct regex **longer =
        realloc(alerting->regexes, (alerting->regex_count + 1) * sizeof(struct regex *));
    if (longer == NULL) {
        regex_free(regex);
        return ERR_NOMEM;
    }
    alerting->regexes = longer;
    longer[alerting->regex_count++] = regex;
    return 0;
}

int64_t alerting_resolve_timeout_ms(const struct alerting *alerting)
{
    return alerting->global.resolve_timeout_ms;
}

int64_t alerting_channel_down_after_ms(const struct alerting *alerting)
{
    return alerting->global.channel_down_after_ms;
}

const struct route *alerting_fallback(const struct alerting *alerting, size_t n)
{
    return &alerting->fallbacks[n];
}

const struct inhibit_rule *alerting_inhibit_rules(const struct alerting *alerting,
                                                  size_t *ret_count)
{
    *ret_count = alerting->inhibit_rule_count;
    return alerting->inhibit_rules;
}

const struct receiver *alerting_receivers(const struct alerting *alerting, size_t *ret_count)
{
    *ret_count = alerting->receiver_count;
    return alerting->receivers;
}

const struct forward_target *alerting_targets(const struct alerting *alerting,
                                              size_t *ret_count)
{
    *ret_count = alerting->target_count;
    return alerting->targets;
}
