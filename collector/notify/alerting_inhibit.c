/* alerting_inhibit.c - inhibit_rules of alerting.yml. */
#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"

#define INHIBIT_RULES_MAX ((size_t)1024)

struct rule_keys {
    const struct config_node *source_matchers, *source_match, *source_match_re;
    const struct config_node *target_matchers, *target_match, *target_match_re;
    struct config_strings equal;
};

#define AT(field) offsetof(struct rule_keys, field)
static const struct config_option rule_options[] = {
    {.key = "source_matchers",
     .type = CONFIG_NODE,
     .offset = AT(source_matchers),
     .help = "alerts that inhibit while they fire"},
    {.key = "source_match",
     .type = CONFIG_NODE,
     .offset = AT(source_match),
     .help = "map of equal labels"},
    {.key = "source_match_re",
     .type = CONFIG_NODE,
     .offset = AT(source_match_re),
     .help = "map of labels and regular expressions"},
    {.key = "target_matchers",
     .type = CONFIG_NODE,
     .offset = AT(target_matchers),
     .help = "alerts that are not told meanwhile"},
    {.key = "target_match",
     .type = CONFIG_NODE,
     .offset = AT(target_match),
     .help = "map of equal labels"},
    {.key = "target_match_re",
     .type = CONFIG_NODE,
     .offset = AT(target_match_re),
     .help = "map of labels and regular expressions"},
    {.key = "equal",
     .type = CONFIG_STRINGS,
     .offset = AT(equal),
     .help = "labels that must have the same value on both"},
};

static int read_rule(struct alerting *alerting, const struct config_node *node,
                     struct inhibit_rule *rule, struct diagnosis *why)
{
    struct rule_keys keys = {0};
    int error = config_read(alerting->config, node, "inhibit_rules", rule_options,
                            sizeof rule_options / sizeof rule_options[0], &keys, why);
    if (error == 0)
        error = alerting_read_matchers(alerting, keys.source_matchers, keys.source_match,
                                       keys.source_match_re, &rule->sources,
                                       &rule->source_count, why);
    if (error == 0)
        error = alerting_read_matchers(alerting, keys.target_matchers, keys.target_match,
                                       keys.target_match_re, &rule->targets,
                                       &rule->target_count, why);
    for (size_t i = 0; error == 0 && i < keys.equal.count; i++)
        if (keys.equal.items[i][0] == '\0' || !utf8_is_valid(bytes_of(keys.equal.items[i])))
            error = config_complain(alerting->config, config_child(node, "equal"), why,
                                    "equal: bad label name");
    rule->equal = keys.equal.items;
    rule->equal_count = keys.equal.count;
    return error;
}

int alerting_read_inhibit_rules(struct alerting *alerting, const struct config_node *node,
                                struct diagnosis *why)
{
    int error = 0;
    if (node == NULL || (node->kind == CONFIG_SCALAR && node->text[0] == '\0'))
        return 0;
    if (node->kind != CONFIG_LIST)
        return config_complain(alerting->config, node, why, "inhibit_rules is a list");
    if (node->count > INHIBIT_RULES_MAX)
        return config_complain(alerting->config, node, why, "more than %zu inhibit_rules",
                               INHIBIT_RULES_MAX);
    alerting->inhibit_rules =
        arena_alloc(&alerting->arena, node->count + 1, sizeof *alerting->inhibit_rules);
    if (alerting->inhibit_rules == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < node->count; i++) {
        struct inhibit_rule *rule = &alerting->inhibit_rules[i];
        *rule = (struct inhibit_rule){0};
        alerting->inhibit_rule_count++; /* what it holds is freed also if it is refused */
        error = read_rule(alerting, node->children[i], rule, why);
    }
    return error;
}
