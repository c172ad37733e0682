/*
 * rule_file.c - see rule_file.h.
 */
#include "collector/rules/rule_file.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/rules/rule_more.h"
#include "collector/rules/scope.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define RULES_ARENA_BYTES ((size_t)512 << 20)
#define COUNT(table)      (sizeof(table) / sizeof((table)[0]))

/* One file being read. */
struct reading {
    struct rule_set *set;
    struct config *config;
    int64_t evaluation_interval_ms;
    struct rule_group *group; /* being read; NULL between groups */
    const char *rule_name;    /* being read; NULL between rules */
    struct diagnosis *why;
};

struct rule_keys {
    const char *record, *alert;
    const struct config_node *expression, *labels, *annotations;
    int64_t for_ms, keep_firing_for_ms;
};

struct group_keys {
    const char *name;
    int64_t interval_ms, limit, query_offset_ms;
    const struct config_node *labels, *rules;
};

#define AT(field) offsetof(struct rule_keys, field)
static const struct config_option rule_options[] = {
    {.key = "record", .type = CONFIG_STRING, .offset = AT(record), .help = "metric to write"},
    {.key = "alert", .type = CONFIG_STRING, .offset = AT(alert), .help = "name of the alert"},
    {.key = "expr", .type = CONFIG_NODE, .offset = AT(expression), .required = true,
     .help = "PromQL"},
    {.key = "for", .type = CONFIG_DURATION, .offset = AT(for_ms), .fallback = "0",
     .help = "how long it must hold before it fires"},
    {.key = "keep_firing_for", .type = CONFIG_DURATION, .offset = AT(keep_firing_for_ms),
     .fallback = "0", .help = "how long it fires on after it no longer holds"},
    {.key = "labels", .type = CONFIG_NODE, .offset = AT(labels), .help = "labels to add"},
    {.key = "annotations", .type = CONFIG_NODE, .offset = AT(annotations),
     .help = "texts of the alert"},
};
#undef AT

#define AT(field) offsetof(struct group_keys, field)
static const struct config_option group_options[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = AT(name), .required = true,
     .help = "unique in the file"},
    {.key = "interval", .type = CONFIG_DURATION, .offset = AT(interval_ms), .fallback = "0",
     .help = "how often; 0: the global interval"},
    {.key = "limit", .type = CONFIG_INTEGER, .offset = AT(limit), .fallback = "0", .min = 0,
     .max = 100000000, .help = "most alerts or series of a rule; 0: any number"},
    {.key = "query_offset", .type = CONFIG_DURATION, .offset = AT(query_offset_ms),
     .fallback = "0", .help = "how far in the past to evaluate"},
    {.key = "labels", .type = CONFIG_NODE, .offset = AT(labels),
     .help = "labels added to every rule"},
    {.key = "rules", .type = CONFIG_NODE, .offset = AT(rules), .help = "the rules"},
};
#undef AT

/* "FILE:LINE: reason (group "g", rule "r")" */
static int complain(const struct reading *reading, const struct config_node *node,
                    const char *reason)
{
    char place[200] = "";
    if (reading->group != NULL && reading->rule_name != NULL)
        (void)snprintf(place, sizeof place, " (group \"%.80s\", rule \"%.80s\")",
                       reading->group->name, reading->rule_name);
    else if (reading->group != NULL && reading->group->name != NULL)
        (void)snprintf(place, sizeof place, " (group \"%.80s\")", reading->group->name);
    return config_complain(reading->config, node, reading->why, "%s%s", reason, place);
}

/* ---- labels and annotations -------------------------------------------------------------- */

static int compare_texts(const void *left, const void *right)
{
    const struct rule_text *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static int check_text_name(const struct reading *reading, const struct config_node *pair,
                           bool is_label)
{
    char reason[200];
    if (pair->kind == CONFIG_SCALAR && pair->key[0] != '\0' &&
        utf8_is_valid(bytes_of(pair->key)) &&
        (!is_label || strcmp(pair->key, LABEL_NAME) != 0))
        return 0;
    (void)snprintf(reason, sizeof reason, "invalid %s name: %.100s",
                   is_label ? "label" : "annotation", pair->key);
    return complain(reading, pair, reason);
}

static int parse_text(const struct reading *reading, const struct config_node *pair,
                      bool is_label, bool is_template, struct rule_text *ret_text)
{
    struct rule_text text = {.name = pair->key, .text = pair->text};
    static const char *const variables[] = {"labels", "externalLabels", "externalURL", "value",
                                            NULL};
    const struct template_scope scope = {.variables = variables};
    struct diagnosis inner = {0};
    int error = check_text_name(reading, pair, is_label);

    if (error == 0 && is_template) {
        char reason[DIAGNOSIS_BYTES + 160];
        error = template_parse(pair->text, &scope, &reading->set->arena, &text.template, &inner);
        (void)snprintf(reason, sizeof reason, "%s \"%.80s\": %s",
                       is_label ? "label" : "annotation", pair->key, inner.text);
        if (error != 0 && error != ERR_NOMEM)
            return complain(reading, pair, reason);
    }
    if (error == 0)
        *ret_text = text;
    return error;
}

/* Reads a map into `texts` after the `count` that are there; equal names are replaced. */
static int read_texts(const struct reading *reading, const struct config_node *map,
                      bool is_label, bool is_template, struct rule_text *texts, size_t *count)
{
    for (size_t i = 0; map != NULL && i < map->count; i++) {
        struct rule_text text = {0};
        size_t at = 0;
        int error = parse_text(reading, map->children[i], is_label, is_template, &text);
        if (error != 0)
            return error;
        while (at < *count && strcmp(texts[at].name, text.name) != 0)
            at++;
        if (at == RULE_LABELS_MAX)
            return complain(reading, map, "too many labels or annotations");
        texts[at] = text;
        if (at == *count)
            ++*count;
    }
    return 0;
}

static int read_text_map(const struct reading *reading, const struct config_node *base,
                         const struct config_node *own, bool is_label, bool is_template,
                         const struct rule_text **ret_texts, size_t *ret_count)
{
    struct rule_text texts[RULE_LABELS_MAX], *copy;
    size_t count = 0;
    int error = read_texts(reading, base, is_label, is_template, texts, &count);

    if (error == 0)
        error = read_texts(reading, own, is_label, is_template, texts, &count);
    if (error != 0)
        return error;
    qsort(texts, count, sizeof texts[0], compare_texts);
    copy = arena_alloc(&reading->set->arena, count + 1, sizeof *copy);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, texts, count * sizeof *copy);
    *ret_texts = copy;
    *ret_count = count;
    return 0;
}

/* ---- one rule ---------------------------------------------------------------------------- */

static int read_expression(const struct reading *reading, const struct config_node *node,
                           struct rule *rule)
{
    struct promql_error error = {0};
    struct buf text = {0};
    char *copy;
    enum promql_type type;

    if (node->kind != CONFIG_SCALAR || node->text[0] == '\0')
        return complain(reading, node, "field 'expr' must be a PromQL text");
    if (promql_parse(node->text, &rule->expression, &error) != 0) {
        char reason[DIAGNOSIS_BYTES + 64];
        (void)snprintf(reason, sizeof reason, "expr at %u:%u: %s", error.line, error.column,
                       error.why.text);
        return complain(reading, node, reason);
    }
    type = promql_expression_type(rule->expression);
    if (type != PROMQL_VECTOR && type != PROMQL_SCALAR)
        return complain(reading, node, "expr must yield an instant vector or a scalar");
    rule->single = scope_is_single(rule->expression);
    promql_expression_print(rule->expression, &text);
    copy = buf_ok(&text) ? arena_alloc(&reading->set->arena, text.size + 1, 1) : NULL;
    if (copy != NULL)
        memcpy(copy, buf_text(&text), text.size);
    rule->expression_text = copy;
    buf_done(&text);
    return copy == NULL ? ERR_NOMEM : 0;
}

static int check_rule_keys(const struct reading *reading, const struct config_node *node,
                           const struct rule_keys *keys)
{
    bool records = keys->record != NULL && keys->record[0] != '\0';
    bool alerts = keys->alert != NULL && keys->alert[0] != '\0';

    if (records && alerts)
        return complain(reading, node, "only one of 'record' and 'alert' must be set");
    if (!records && !alerts)
        return complain(reading, node, "one of 'record' or 'alert' must be set");
    if (!records)
        return 0;
    if (keys->annotations != NULL)
        return complain(reading, keys->annotations,
                        "invalid field 'annotations' in recording rule");
    if (keys->for_ms != 0)
        return complain(reading, config_child(node, "for"),
                        "invalid field 'for' in recording rule");
    if (keys->keep_firing_for_ms != 0)
        return complain(reading, config_child(node, "keep_firing_for"),
                        "invalid field 'keep_firing_for' in recording rule");
    if (!utf8_is_valid(bytes_of(keys->record)) || !metric_name_is_legacy(bytes_of(keys->record)))
        return complain(reading, config_child(node, "record"), "invalid recording rule name");
    return 0;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xFF) * UINT64_C(1099511628211);
}

/* Names the state of a rule in the store: what a person would call the same rule after an edit
 * of expression, for or annotations. */
static uint64_t state_key(const struct rule *rule, size_t equal_before)
{
    uint64_t hash = hash_text(UINT64_C(14695981039346656037), rule->group->name);
    hash = hash_text(hash, rule->is_alert ? "alert" : "record");
    hash = hash_text(hash, rule->name);
    for (size_t i = 0; i < rule->label_count; i++) {
        hash = hash_text(hash, rule->labels[i].name);
        hash = hash_text(hash, rule->labels[i].text);
    }
    return (hash ^ equal_before) * UINT64_C(1099511628211);
}

/* Distinct among all rules read so far. */
static void set_state_key(const struct reading *reading, struct rule *rule)
{
    for (size_t copy = 0;; copy++) {
        bool taken = false;
        rule->key = state_key(rule, copy);
        for (size_t i = 0; i < reading->set->rule_count && !taken; i++)
            taken = reading->set->rules[i]->key == rule->key;
        if (!taken)
            return;
    }
}

static int add_rule(const struct reading *reading, const struct config_node *node,
                    struct rule *rule)
{
    struct rule_set *set = reading->set;
    struct rule **longer;

    if (set->rule_count == RULES_MAX)
        return complain(reading, node, "too many rules");
    longer = realloc(set->rules, (set->rule_count + 1) * sizeof(struct rule *));
    if (longer == NULL)
        return ERR_NOMEM;
    set->rules = longer;
    set_state_key(reading, rule);
    rule->number = (unsigned)set->rule_count;
    set->rules[set->rule_count++] = rule;
    return 0;
}

static int read_rule(struct reading *reading, const struct config_node *node,
                     const struct config_node *group_labels, struct rule *rule)
{
    struct rule_keys keys = {0};
    int error = config_read(reading->config, node, "rule", rule_options, COUNT(rule_options),
                            &keys, reading->why);
    if (error != 0)
        return error;
    reading->rule_name = keys.alert != NULL ? keys.alert : keys.record;
    error = check_rule_keys(reading, node, &keys);
    if (error != 0)
        return error;
    rule->is_alert = keys.alert != NULL && keys.alert[0] != '\0';
    rule->name = rule->is_alert ? keys.alert : keys.record;
    rule->group = reading->group;
    rule->for_ms = keys.for_ms;
    rule->keep_firing_for_ms = keys.keep_firing_for_ms;
    rule->line = node->line;
    error = read_expression(reading, keys.expression, rule);
    if (error == 0)
        error = read_text_map(reading, group_labels, keys.labels, true, rule->is_alert,
                              &rule->labels, &rule->label_count);
    if (error == 0)
        error = read_text_map(reading, NULL, keys.annotations, false, true, &rule->annotations,
                              &rule->annotation_count);
    /* The set owns the expression once the rule is in it. */
    if (error == 0)
        error = add_rule(reading, node, rule);
    if (error != 0) {
        promql_expression_free(rule->expression);
        rule->expression = NULL;
    }
    reading->rule_name = NULL;
    return error;
}

/* ---- groups and files -------------------------------------------------------------------- */

static int check_group_name(const struct reading *reading, const struct config_node *node,
                            const char *name, size_t first_of_file)
{
    if (name[0] == '\0')
        return complain(reading, node, "a group's name must not be empty");
    for (size_t i = first_of_file; i < reading->set->group_count; i++)
        if (strcmp(reading->set->groups[i]->name, name) == 0) {
            char reason[160];
            (void)snprintf(reason, sizeof reason, "group name \"%.100s\" is there twice", name);
            return complain(reading, node, reason);
        }
    return 0;
}

static int add_group(struct reading *reading, struct rule_group *group)
{
    struct rule_set *set = reading->set;
    struct rule_group **longer =
        realloc(set->groups, (set->group_count + 1) * sizeof(struct rule_group *));
    if (longer == NULL)
        return ERR_NOMEM;
    set->groups = longer;
    set->groups[set->group_count++] = group;
    return 0;
}

static int read_group(struct reading *reading, const struct config_node *node,
                      size_t first_of_file)
{
    struct group_keys keys = {0};
    struct rule_group *group = arena_alloc(&reading->set->arena, 1, sizeof *group);
    int error;

    if (group == NULL)
        return ERR_NOMEM;
    error = config_read(reading->config, node, "group", group_options, COUNT(group_options),
                        &keys, reading->why);
    if (error == 0)
        error = check_group_name(reading, node, keys.name, first_of_file);
    if (error == 0 && keys.rules != NULL && keys.rules->kind != CONFIG_LIST)
        error = complain(reading, keys.rules, "rules is a list");
    if (error != 0)
        return error;
    group->name = keys.name;
    group->file = config_name(reading->config);
    group->interval_ms =
        keys.interval_ms > 0 ? keys.interval_ms : reading->evaluation_interval_ms;
    group->query_offset_ms = keys.query_offset_ms;
    group->limit = (size_t)keys.limit;
    reading->group = group;
    group->rules = arena_alloc(&reading->set->arena,
                               (keys.rules == NULL ? 0 : keys.rules->count) + 1,
                               sizeof *group->rules);
    error = group->rules == NULL ? ERR_NOMEM : add_group(reading, group);
    for (size_t i = 0; error == 0 && keys.rules != NULL && i < keys.rules->count; i++) {
        error = read_rule(reading, keys.rules->children[i], keys.labels, &group->rules[i]);
        if (error == 0)
            group->rule_count++;
    }
    reading->group = NULL;
    reading->rule_name = NULL;
    return error;
}

/* Takes the document, which the set frees. */
static int read_document(struct rule_set *set, struct config *config,
                         int64_t evaluation_interval_ms, struct diagnosis *why)
{
    struct document_keys {
        const struct config_node *groups, *alerts;
    } keys = {0};
    static const struct config_option options[] = {
        {.key = "groups", .type = CONFIG_NODE, .offset = offsetof(struct document_keys, groups),
         .help = "the groups"},
        {.key = "alerts", .type = CONFIG_NODE, .offset = offsetof(struct document_keys, alerts),
         .help = "what groups cannot say of alerts"},
    };
    struct reading reading = {.set = set, .config = config,
                              .evaluation_interval_ms = evaluation_interval_ms, .why = why};
    const struct config_node *groups;
    size_t first_of_file = set->group_count;
    struct config **longer =
        realloc(set->configs, (set->config_count + 1) * sizeof(struct config *));
    int error;

    if (longer == NULL) {
        config_free(config);
        return ERR_NOMEM;
    }
    set->configs = longer;
    set->configs[set->config_count++] = config;
    error = config_read(config, config_root(config), "", options, COUNT(options), &keys, why);
    groups = keys.groups;
    if (error == 0 && groups != NULL && groups->kind != CONFIG_LIST)
        error = complain(&reading, groups, "groups is a list");
    for (size_t i = 0; error == 0 && groups != NULL && i < groups->count; i++)
        error = read_group(&reading, groups->children[i], first_of_file);
    return error == 0 ? rule_more_read(set, config, keys.alerts, why) : error;
}

static struct rule_set *set_new(void)
{
    struct rule_set *set = calloc(1, sizeof *set);
    if (set != NULL)
        arena_init(&set->arena, RULES_ARENA_BYTES);
    return set;
}

int rule_set_parse(const char *name, struct bytes text, int64_t evaluation_interval_ms,
                   struct rule_set **ret_set, struct diagnosis *why)
{
    struct rule_set *set = set_new();
    struct config *config;
    int error = set == NULL ? ERR_NOMEM : config_parse(name, text, &config, why);

    if (error == 0)
        error = read_document(set, config, evaluation_interval_ms, why);
    if (error == 0)
        error = rule_more_apply(set, why);
    if (error != 0) {
        rule_set_free(set);
        return diagnose(why, error, "%s: %s", name, error_text(error));
    }
    *ret_set = set;
    return 0;
}

static int load_glob(struct rule_set *set, const char *pattern, int64_t evaluation_interval_ms,
                     struct diagnosis *why)
{
    glob_t found;
    int error = 0, result = glob(pattern, 0, NULL, &found);

    if (result == GLOB_NOMATCH)
        return strpbrk(pattern, "*?[") != NULL
                   ? 0
                   : diagnose(why, ERR_NOTFOUND, "%s: there is no such rule file", pattern);
    if (result != 0)
        return diagnose(why, ERR_IO, "%s: cannot list rule files", pattern);
    if (set->config_count + found.gl_pathc > RULE_FILES_MAX)
        error = diagnose(why, ERR_LIMIT, "%s: more than %zu rule files", pattern,
                         RULE_FILES_MAX);
    for (size_t i = 0; error == 0 && i < found.gl_pathc; i++) {
        struct config *config;
        error = config_load(found.gl_pathv[i], &config, why);
        if (error == 0)
            error = read_document(set, config, evaluation_interval_ms, why);
        if (error != 0)
            (void)diagnose(why, error, "%s: %s", found.gl_pathv[i], error_text(error));
    }
    globfree(&found);
    return error;
}

int rule_set_load(const struct rule_set_options *options, struct rule_set **ret_set,
                  struct diagnosis *why)
{
    struct rule_set *set = set_new();
    int error = set == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < options->glob_count; i++)
        error = load_glob(set, options->globs[i], options->evaluation_interval_ms, why);
    if (error == 0)
        error = rule_more_apply(set, why);
    if (error != 0) {
        rule_set_free(set);
        return error;
    }
    *ret_set = set;
    return 0;
}

void rule_set_free(struct rule_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->rule_count; i++) {
        promql_expression_free(set->rules[i]->expression);
        promql_expression_free(set->rules[i]->recover);
    }
    for (size_t i = 0; i < set->config_count; i++)
        config_free(set->configs[i]);
    free(set->rules);
    free(set->groups);
    free(set->configs);
    arena_reset(&set->arena);
    free(set);
}
