/*
 * rule_more.c - see rule_more.h.
 */
#include "collector/rules/rule_more.h"

#include <stdlib.h>

#include "collector/rules/alert_state.h"
#include "collector/rules/scope.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define ALL_OTHERS   "*"

struct more_keys {
    const char *alert;
    const struct config_node *recover;
    int64_t stale_ms, flap_changes, flap_within_ms;
};

/* Read, and not yet applied. */
struct rule_more {
    struct config *config;
    const struct config_node *node;
    struct more_keys keys;
    struct rule_more *next;
};

#define AT(field) offsetof(struct more_keys, field)
static const struct config_option options[] = {
    {.key = "alert", .type = CONFIG_STRING, .offset = AT(alert), .required = true,
     .help = "name of the alert; * for all that are not named"},
    {.key = "recover", .type = CONFIG_NODE, .offset = AT(recover),
     .help = "PromQL: it ends only when this yields something with its labels"},
    {.key = "stale_for", .type = CONFIG_DURATION, .offset = AT(stale_ms), .fallback = "24h",
     .help = "how long it fires on without data"},
    {.key = "flap_changes", .type = CONFIG_INTEGER, .offset = AT(flap_changes), .fallback = "4",
     .min = 0, .max = FLAP_CHANGES_MAX,
     .help = "beginnings and ends that make it flap; 0: it never does"},
    {.key = "flap_within", .type = CONFIG_DURATION, .offset = AT(flap_within_ms),
     .fallback = "10m", .min = 1000, .max = (int64_t)7 * 86400 * 1000,
     .help = "the time in which they are counted"},
};
#undef AT

static int read_entry(struct rule_set *set, struct config *config,
                      const struct config_node *node, struct diagnosis *why)
{
    struct rule_more *more = arena_alloc(&set->arena, 1, sizeof *more), **last = &set->more;
    int error;

    if (more == NULL)
        return ERR_NOMEM;
    error = config_read(config, node, "alert", options, COUNT(options), &more->keys, why);
    if (error != 0)
        return error;
    if (more->keys.flap_changes == 1)
        return config_complain(config, config_child(node, "flap_changes"), why,
                               "flap_changes is 0 or at least 2: one change is no flapping");
    if (more->keys.recover != NULL && strcmp(more->keys.alert, ALL_OTHERS) == 0)
        return config_complain(config, more->keys.recover, why,
                               "recover is for one alert, not for all");
    for (; *last != NULL; last = &(*last)->next)
        if (strcmp((*last)->keys.alert, more->keys.alert) == 0)
            return config_complain(config, node, why, "alert \"%.100s\" is there twice",
                                   more->keys.alert);
    more->config = config;
    more->node = node;
    *last = more;
    return 0;
}

int rule_more_read(struct rule_set *set, struct config *config, const struct config_node *list,
                   struct diagnosis *why)
{
    int error = 0;
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(config, list, why, "alerts is a list");
    for (size_t i = 0; error == 0 && i < list->count; i++)
        error = read_entry(set, config, list->children[i], why);
    return error;
}

static int read_recover(const struct rule_more *more, struct rule *rule, struct diagnosis *why)
{
    const struct config_node *node = more->keys.recover;
    struct promql_error error = {0};
    enum promql_type type;

    if (node->kind != CONFIG_SCALAR || node->text[0] == '\0')
        return config_complain(more->config, node, why, "recover must be a PromQL text");
    if (promql_parse(node->text, &rule->recover, &error) != 0)
        return config_complain(more->config, node, why, "recover at %u:%u: %s", error.line,
                               error.column, error.why.text);
    type = promql_expression_type(rule->recover);
    if (type != PROMQL_VECTOR)
        return config_complain(more->config, node, why,
                               "recover must yield an instant vector");
    rule->recover_single = scope_is_single(rule->recover);
    return 0;
}

static const struct rule_more *find(const struct rule_set *set, const char *name)
{
    for (const struct rule_more *at = set->more; at != NULL; at = at->next)
        if (strcmp(at->keys.alert, name) == 0)
            return at;
    return NULL;
}

static int apply(struct rule_set *set, struct rule *rule, struct diagnosis *why)
{
    const struct rule_more *more = find(set, rule->name);
    if (more == NULL)
        more = find(set, ALL_OTHERS);
    rule->stale_ms = STALE_MS_DEFAULT;
    rule->flap = (struct flap_terms){FLAP_CHANGES_DEFAULT, FLAP_WITHIN_MS};
    if (more == NULL)
        return 0;
    rule->stale_ms = more->keys.stale_ms;
    rule->flap =
        (struct flap_terms){(unsigned)more->keys.flap_changes, more->keys.flap_within_ms};
    return more->keys.recover == NULL ? 0 : read_recover(more, rule, why);
}

/* An entry that no rule answers to is a slip of the pen. */
static int check_name(const struct rule_set *set, const struct rule_more *more,
                      struct diagnosis *why)
{
    const char **names;
    const char *near;
    size_t count = 0;
    int error;

    if (strcmp(more->keys.alert, ALL_OTHERS) == 0)
        return 0;
    names = calloc(set->rule_count + 1, sizeof *names);
    if (names == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < set->rule_count; i++)
        if (set->rules[i]->is_alert)
            names[count++] = set->rules[i]->name;
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], more->keys.alert) == 0) {
            free(names);
            return 0;
        }
    near = nearest_name(more->keys.alert, names, count);
    error = config_complain(more->config, config_child(more->node, "alert"), why,
                            "no alerting rule is named \"%.100s\"%s%.100s%s", more->keys.alert,
                            near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                            near != NULL ? "\"?)" : "");
    free(names);
    return error;
}

int rule_more_apply(struct rule_set *set, struct diagnosis *why)
{
    int error = 0;
    for (const struct rule_more *at = set->more; error == 0 && at != NULL; at = at->next)
        error = check_name(set, at, why);
    for (size_t i = 0; error == 0 && i < set->rule_count; i++)
        if (set->rules[i]->is_alert)
            error = apply(set, set->rules[i], why);
    return error;
}
