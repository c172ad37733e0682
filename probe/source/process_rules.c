/*
 * process_rules.c - which group a process belongs to (process_rules.h).
 */
#include "probe/source/process_rules.h"

#include <stdlib.h>
#include <string.h>

#include "probe/source/device_filter.h"
#include "proto/base/error.h"

#define RULES_MAX ((size_t)1000)

struct rule {
    char *name;
    char **comms; /* any of them; none: any */
    size_t comm_count;
    char *user; /* NULL: any */
    struct pattern *command_line, *cgroup;
};

struct process_rules {
    struct rule *items;
    size_t count;
    char *others; /* NULL: left out */
    unsigned facts;
};

struct rule_options {
    const char *name;
    struct config_strings comm;
    const char *command_line, *user, *cgroup;
};

static const struct config_option rule_table[] = {
    {"name", CONFIG_STRING, offsetof(struct rule_options, name), .required = true,
     .help = "name of the group, may hold variables such as {{.Comm}}"},
    {"comm", CONFIG_STRINGS, offsetof(struct rule_options, comm),
     .help = "command names, any of them"},
    {"cmdline", CONFIG_STRING, offsetof(struct rule_options, command_line),
     .help = "regular expression found in the command line"},
    {"user", CONFIG_STRING, offsetof(struct rule_options, user), .help = "name of the user"},
    {"cgroup", CONFIG_STRING, offsetof(struct rule_options, cgroup),
     .help = "regular expression found in the control group's path"},
};

static void rule_done(struct rule *rule)
{
    free(rule->name);
    for (size_t i = 0; i < rule->comm_count; i++)
        free(rule->comms[i]);
    free(rule->comms);
    free(rule->user);
    pattern_free(rule->command_line);
    pattern_free(rule->cgroup);
}

static int copy_comms(struct rule *rule, const struct config_strings *comms)
{
    if (comms->count == 0)
        return 0;
    rule->comms = calloc(comms->count, sizeof(*rule->comms));
    if (rule->comms == NULL)
        return ERR_NOMEM;
    for (; rule->comm_count < comms->count; rule->comm_count++) {
        rule->comms[rule->comm_count] = strdup(comms->items[rule->comm_count]);
        if (rule->comms[rule->comm_count] == NULL)
            return ERR_NOMEM;
    }
    return 0;
}

static int check_name(struct config *config, const struct config_node *node, const char *name,
                      unsigned *facts, struct diagnosis *why)
{
    struct diagnosis reason = {0};
    if (name_template_check(name, facts, &reason) != 0)
        return config_complain(config, node, why, "%s", reason.text);
    return 0;
}

/* What is copied outlives the configuration. */
static int rule_read(struct config *config, const struct config_node *node, struct rule *rule,
                     unsigned *facts, struct diagnosis *why)
{
    struct rule_options options = {0};
    int error = config_read(config, node, "sources.processes.groups", rule_table,
                            sizeof rule_table / sizeof *rule_table, &options, why);
    if (error != 0)
        return error;
    error = check_name(config, node, options.name, facts, why);
    if (error != 0)
        return error;
    rule->name = strdup(options.name);
    rule->user = options.user != NULL ? strdup(options.user) : NULL;
    if (rule->name == NULL || (options.user != NULL && rule->user == NULL))
        return ERR_NOMEM;
    error = copy_comms(rule, &options.comm);
    if (error == 0)
        error = device_filter_compile(config, node, "cmdline", options.command_line,
                                      &rule->command_line, why);
    if (error == 0)
        error =
            device_filter_compile(config, node, "cgroup", options.cgroup, &rule->cgroup, why);
    *facts |= (rule->user != NULL ? (unsigned)FACT_USER : 0) |
              (rule->command_line != NULL ? (unsigned)FACT_COMMAND_LINE : 0) |
              (rule->cgroup != NULL ? (unsigned)FACT_CGROUP : 0);
    return error;
}

static int rules_read(struct process_rules *rules, struct config *config,
                      const struct config_node *groups, struct diagnosis *why)
{
    if (groups == NULL)
        return 0;
    if (groups->kind != CONFIG_LIST)
        return config_complain(config, groups, why, "groups must be a list of rules");
    if (groups->count > RULES_MAX)
        return config_complain(config, groups, why, "more than %zu groups", RULES_MAX);
    if (groups->count == 0)
        return 0;
    rules->items = calloc(groups->count, sizeof(*rules->items));
    if (rules->items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < groups->count; i++) {
        rules->count++;
        int error =
            rule_read(config, groups->children[i], &rules->items[i], &rules->facts, why);
        if (error != 0)
            return error;
    }
    return 0;
}

int process_rules_new(struct config *config, const struct config_node *groups,
                      const struct config_node *others_node, const char *others,
                      struct process_rules **ret_rules, struct diagnosis *why)
{
    struct process_rules *rules = calloc(1, sizeof(*rules));
    if (rules == NULL)
        return ERR_NOMEM;
    int error = rules_read(rules, config, groups, why);
    if (error == 0 && others != NULL && others[0] != '\0') {
        error = check_name(config, others_node, others, &rules->facts, why);
        rules->others = strdup(others);
        if (error == 0 && rules->others == NULL)
            error = ERR_NOMEM;
    }
    if (error != 0) {
        process_rules_free(rules);
        return error;
    }
    *ret_rules = rules;
    return 0;
}

void process_rules_free(struct process_rules *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->count; i++)
        rule_done(&rules->items[i]);
    free(rules->items);
    free(rules->others);
    free(rules);
}

unsigned process_rules_facts(const struct process_rules *rules)
{
    return rules->facts;
}

static bool rule_takes(const struct rule *rule, const struct process_facts *facts)
{
    bool is_named = rule->comm_count == 0;
    for (size_t i = 0; i < rule->comm_count && !is_named; i++)
        is_named = bytes_equal(facts->comm, bytes_of(rule->comms[i]));
    return is_named && (rule->user == NULL || bytes_equal(facts->user, bytes_of(rule->user))) &&
           (rule->cgroup == NULL || pattern_matches(rule->cgroup, facts->cgroup)) &&
           (rule->command_line == NULL ||
            pattern_matches(rule->command_line, facts->command_line));
}

size_t process_rules_name(const struct process_rules *rules, const struct process_facts *facts,
                          char out[GROUP_NAME_BYTES_MAX])
{
    for (size_t i = 0; i < rules->count; i++)
        if (rule_takes(&rules->items[i], facts))
            return name_template_expand(rules->items[i].name, facts,
                                        rules->items[i].command_line, out);
    if (rules->others == NULL)
        return 0;
    return name_template_expand(rules->others, facts, NULL, out);
}

size_t process_rules_count(const struct process_rules *rules)
{
    return rules->count;
}

const char *process_rules_fixed_name(const struct process_rules *rules, size_t i)
{
    const char *name = rules->items[i].name;
    return strstr(name, "{{") == NULL ? name : NULL;
}
