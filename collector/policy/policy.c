/*
 * policy.c - policy.yml by tables; see policy.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/policy/policy_parts.h"
#include "collector/promql/engine.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

struct root {
    const struct config_node *time_zone, *periods, *rules;
};

static const struct config_option root_rows[] = {
    {.key = "time_zone", .type = CONFIG_NODE, .offset = offsetof(struct root, time_zone)},
    {.key = "periods", .type = CONFIG_NODE, .offset = offsetof(struct root, periods)},
    {.key = "rules", .type = CONFIG_NODE, .offset = offsetof(struct root, rules)},
};

struct written_rule {
    const char *name;
    const struct config_node *match, *sources, *logs;
    struct config_strings during;
    int64_t interval_ms;
};

static const struct config_option rule_rows[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct written_rule, name)},
    {.key = "match", .type = CONFIG_NODE, .offset = offsetof(struct written_rule, match)},
    {.key = "during", .type = CONFIG_STRINGS, .offset = offsetof(struct written_rule, during)},
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct written_rule, interval_ms),
     .min = POLICY_INTERVAL_LEAST_MS,
     .max = POLICY_INTERVAL_MOST_MS},
    {.key = "sources", .type = CONFIG_NODE, .offset = offsetof(struct written_rule, sources)},
    {.key = "logs", .type = CONFIG_NODE, .offset = offsetof(struct written_rule, logs)},
};

struct written_wish {
    bool enabled;
    int64_t interval_ms;
    const struct config_node *options[POLICY_OPTIONS_MAX];
};

static const struct config_option wish_rows[] = {
    {.key = "enabled", .type = CONFIG_BOOL, .offset = offsetof(struct written_wish, enabled)},
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct written_wish, interval_ms),
     .min = POLICY_INTERVAL_LEAST_MS,
     .max = POLICY_INTERVAL_MOST_MS},
};

#define ROWS(table) (table), sizeof(table) / sizeof *(table)

/* ---- rules ------------------------------------------------------------------------------- */

static int read_during(struct policy *policy, struct policy_rule *rule,
                       const struct config_node *node, const struct config_strings *names,
                       struct diagnosis *why)
{
    const char *known[POLICY_PERIODS_MAX];
    rule->during = config_alloc(policy->config, names->count + 1, sizeof *rule->during);
    if (rule->during == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < policy->period_count; i++)
        known[i] = policy->periods[i].name;
    for (size_t i = 0; i < names->count; i++) {
        size_t k = 0;
        while (k < policy->period_count && strcmp(known[k], names->items[i]) != 0)
            k++;
        if (k < policy->period_count) {
            rule->during[rule->during_count++] = &policy->periods[k];
            continue;
        }
        const char *near = nearest_name(names->items[i], known, policy->period_count);
        return config_complain(policy->config, config_child(node, "during"), why,
                               "during: there is no period \"%s\"%s%s%s", names->items[i],
                               near == NULL ? "" : " (did you mean \"",
                               near == NULL ? "" : near, near == NULL ? "" : "\"?)");
    }
    return 0;
}

/* Sources bear plain names; which there are, the probe of a host knows. */
static bool is_source_name(const char *text)
{
    return text[0] != '\0' && strlen(text) <= 64 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

/* One source's map: interval, enabled, and the options that may be set. */
static int read_wish(struct policy *policy, struct policy_wish *wish,
                     const struct config_node *node, struct diagnosis *why)
{
    enum { COMMON = sizeof wish_rows / sizeof *wish_rows };
    struct config_option rows[COMMON + POLICY_OPTIONS_MAX];
    struct written_wish written = {0};
    const char *const *names = policy_source_options(node->key);
    char where[80];
    size_t count = 0;

    memcpy(rows, wish_rows, sizeof wish_rows);
    for (; names[count] != NULL; count++) {
        must(count < POLICY_OPTIONS_MAX);
        rows[COMMON + count] = (struct config_option){
            .key = names[count],
            .type = CONFIG_NODE,
            .offset = offsetof(struct written_wish, options) + count * sizeof(void *)};
    }
    (void)snprintf(where, sizeof where, "sources.%s", node->key);
    int error = config_read(policy->config, node, where, rows, COMMON + count, &written, why);
    if (error != 0)
        return error;
    *wish = (struct policy_wish){.source = node->key,
                                 .line = node->key_line,
                                 .has_switch = config_child(node, "enabled") != NULL,
                                 .is_on = written.enabled,
                                 .interval_ms = written.interval_ms};
    wish->options = config_alloc(policy->config, count + 1, sizeof *wish->options);
    if (wish->options == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (written.options[i] != NULL)
            wish->options[wish->option_count++] = written.options[i];
    return 0;
}

static int read_wishes(struct policy *policy, struct policy_rule *rule,
                       const struct config_node *node, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP)
        return config_complain(policy->config, node, why, "sources: expected a map");
    rule->wishes = config_alloc(policy->config, node->count + 1, sizeof *rule->wishes);
    if (rule->wishes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        if (!is_source_name(child->key))
            return config_complain(policy->config, child, why,
                                   "sources: \"%s\" is no name of a source (fengsui-probe "
                                   "--list-sources)",
                                   child->key);
        int error = read_wish(policy, &rule->wishes[rule->wish_count++], child, why);
        if (error != 0)
            return error;
    }
    return 0;
}

static int read_logs(struct policy *policy, struct policy_rule *rule,
                     const struct config_node *node, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_LIST || node->count > POLICY_LOGS_MAX)
        return config_complain(policy->config, node, why,
                               "logs: expected a list of at most %d entries", POLICY_LOGS_MAX);
    for (size_t i = 0; i < node->count; i++) {
        int error = policy_check_log(policy->config, node->children[i], why);
        if (error != 0)
            return error;
    }
    rule->logs = node->children;
    rule->log_count = node->count;
    return 0;
}

static int read_rule(struct policy *policy, const struct config_node *node,
                     struct diagnosis *why)
{
    struct written_rule written = {0};
    struct policy_rule *rule = &policy->rules[policy->rule_count++];
    int error = config_read(policy->config, node, "rules", ROWS(rule_rows), &written, why);
    if (error != 0)
        return error;
    char *name = config_alloc(policy->config, 32, 1);
    if (name == NULL)
        return ERR_NOMEM;
    (void)snprintf(name, 32, "rule %zu", policy->rule_count);
    rule->name = written.name != NULL ? written.name : name;
    rule->line = node->line;
    rule->interval_ms = written.interval_ms;
    const struct config_node *interval = config_child(node, "interval");
    rule->interval_line = interval == NULL ? node->line : interval->line;
    if (written.interval_ms == 0 && written.sources == NULL && written.logs == NULL)
        return config_complain(policy->config, node, why,
                               "%s asks for nothing (interval, sources or logs)", rule->name);
    error = policy_read_match(policy, rule, written.match, why);
    if (error == 0)
        error = read_during(policy, rule, node, &written.during, why);
    if (error == 0)
        error = read_wishes(policy, rule, written.sources, why);
    if (error == 0)
        error = read_logs(policy, rule, written.logs, why);
    return error;
}

/* ---- the file ---------------------------------------------------------------------------- */

static int read_periods(struct policy *policy, const struct config_node *node,
                        struct diagnosis *why)
{
    int error = 0;
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP || node->count > POLICY_PERIODS_MAX)
        return config_complain(policy->config, node, why,
                               "periods: expected a map of at most %d periods",
                               POLICY_PERIODS_MAX);
    policy->periods = config_alloc(policy->config, node->count + 1, sizeof *policy->periods);
    if (policy->periods == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < node->count; i++)
        error = policy_period_read(policy->config, node->children[i], &policy->zone,
                                   &policy->periods[policy->period_count++], why);
    return error;
}

static int read_root(struct policy *policy, struct diagnosis *why)
{
    struct root root = {0};
    int error = config_read(policy->config, config_root(policy->config), "", ROWS(root_rows),
                            &root, why);
    if (error == 0)
        error = policy_zone_read(policy->config, root.time_zone, &policy->zone, why);
    if (error == 0)
        error = read_periods(policy, root.periods, why);
    if (error != 0 || root.rules == NULL)
        return error;
    if (root.rules->kind != CONFIG_LIST || root.rules->count > POLICY_RULES_MAX)
        return config_complain(policy->config, root.rules, why,
                               "rules: expected a list of at most %d rules", POLICY_RULES_MAX);
    policy->rules = config_alloc(policy->config, root.rules->count + 1, sizeof *policy->rules);
    if (policy->rules == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < root.rules->count; i++)
        error = read_rule(policy, root.rules->children[i], why);
    return error;
}

static void policy_free(struct policy *policy)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        promql_matchers_free(policy->rules[i].matchers, policy->rules[i].matcher_count);
    config_free(policy->config);
    free(policy);
}

/* Takes the document over. */
static int read_document(struct config *config, struct policy **ret_policy,
                         struct diagnosis *why)
{
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL) {
        config_free(config);
        return diagnose(why, ERR_NOMEM, "out of memory");
    }
    policy->config = config;
    atomic_init(&policy->references, 1);
    int error = read_root(policy, why);
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", config_name(config), error_text(error));
        policy_free(policy);
        return error;
    }
    *ret_policy = policy;
    return 0;
}

int policy_load(const char *path, struct policy **ret_policy, struct diagnosis *why)
{
    struct config *config;
    int error = config_load(path, &config, why);
    return error == 0 ? read_document(config, ret_policy, why) : error;
}

int policy_parse(const char *name, struct bytes text, struct policy **ret_policy,
                 struct diagnosis *why)
{
    struct config *config;
    int error = config_parse(name, text, &config, why);
    return error == 0 ? read_document(config, ret_policy, why) : error;
}

struct policy *policy_ref(struct policy *policy)
{
    if (policy != NULL)
        (void)atomic_fetch_add(&policy->references, 1);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (policy != NULL && atomic_fetch_sub(&policy->references, 1) == 1)
        policy_free(policy);
}

const char *policy_name(const struct policy *policy)
{
    return config_name(policy->config);
}

size_t policy_rule_count(const struct policy *policy)
{
    return policy->rule_count;
}

bool policy_rule_is_in_force(const struct policy *policy, const struct policy_rule *rule,
                             int64_t at_ms)
{
    for (size_t i = 0; i < rule->during_count; i++)
        if (policy_period_holds(rule->during[i], &policy->zone, at_ms))
            return true;
    return rule->during_count == 0;
}

int64_t policy_next_border(const struct policy *policy, int64_t after_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < policy->period_count; i++) {
        int64_t border_ms = policy_period_next(&policy->periods[i], &policy->zone, after_ms);
        if (border_ms < next_ms)
            next_ms = border_ms;
    }
    return next_ms;
}
