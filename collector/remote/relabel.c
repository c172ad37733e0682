/*
 * relabel.c - see relabel.h.
 */
#include "collector/remote/relabel.h"

#include <ctype.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/matcher.h"
#include "proto/base/error.h"

#define SCRATCH_BYTES_MAX ((size_t)16 << 20)
#define TEXT_BYTES_MAX    ((size_t)1 << 20)
#define MD5_BYTES         16

enum action { REPLACE, KEEP, DROP, KEEP_EQUAL, DROP_EQUAL, HASH_MOD, LABEL_MAP, LABEL_DROP,
              LABEL_KEEP, LOWERCASE, UPPERCASE };
static const char *const action_names[] = {"replace",   "keep",      "drop",      "keepequal",
                                           "dropequal", "hashmod",   "labelmap",  "labeldrop",
                                           "labelkeep", "lowercase", "uppercase", NULL};

struct rule {
    enum action action;
    struct config_strings sources;
    struct bytes separator, target, replacement;
    uint64_t modulus;
    struct regex *regex;
};

struct relabel {
    size_t count;
    struct rule rules[];
};

/* ---- reading ----------------------------------------------------------------------------- */

struct rule_keys {
    struct config_strings sources;
    const char *separator, *regex, *target, *replacement, *action;
    int64_t modulus;
};

#define AT(field) offsetof(struct rule_keys, field)
static const struct config_option rule_options[] = {
    {.key = "source_labels", .type = CONFIG_STRINGS, .offset = AT(sources),
     .help = "labels whose values are joined and matched"},
    {.key = "separator", .type = CONFIG_STRING, .offset = AT(separator), .fallback = ";",
     .help = "stands between them"},
    {.key = "regex", .type = CONFIG_STRING, .offset = AT(regex), .fallback = "(.*)",
     .help = "matched whole"},
    {.key = "modulus", .type = CONFIG_INTEGER, .offset = AT(modulus), .min = 1,
     .max = INT64_MAX, .help = "of hashmod"},
    {.key = "target_label", .type = CONFIG_STRING, .offset = AT(target),
     .help = "label that is written"},
    {.key = "replacement", .type = CONFIG_STRING, .offset = AT(replacement), .fallback = "$1",
     .help = "with $1, ${name}"},
    {.key = "action", .type = CONFIG_STRING, .offset = AT(action), .fallback = "replace",
     .choices = action_names, .help = "what the rule does"},
};

static bool needs_target(enum action action)
{
    return action == REPLACE || action == HASH_MOD || action == LOWERCASE ||
           action == UPPERCASE || action == KEEP_EQUAL || action == DROP_EQUAL;
}

static int check_rule(const struct config *config, const struct config_node *node,
                      const struct rule_keys *keys, enum action action, struct diagnosis *why)
{
    if (needs_target(action) && keys->target == NULL)
        return config_complain(config, node, why, "write_relabel_configs: %s needs target_label",
                               keys->action);
    if (action == HASH_MOD && keys->modulus == 0)
        return config_complain(config, node, why, "write_relabel_configs: hashmod needs modulus");
    if ((action == LABEL_DROP || action == LABEL_KEEP) &&
        (keys->sources.count > 0 || keys->target != NULL || keys->modulus != 0))
        return config_complain(config, node, why, "write_relabel_configs: %s has regex alone",
                               keys->action);
    if (action != REPLACE && keys->target != NULL && needs_target(action) &&
        !label_name_is_legacy(bytes_of(keys->target)))
        return config_complain(config, node, why,
                               "write_relabel_configs: \"%s\" is no name of a label",
                               keys->target);
    return 0;
}

static int read_rule(struct config *config, const struct config_node *node, struct rule *rule,
                     struct diagnosis *why)
{
    struct rule_keys keys = {0};
    struct diagnosis reason = {0};
    int error = config_read(config, node, "write_relabel_configs", rule_options,
                            sizeof rule_options / sizeof *rule_options, &keys, why);
    if (error != 0)
        return error;
    while (strcmp(action_names[rule->action], keys.action) != 0)
        rule->action++;
    error = check_rule(config, node, &keys, rule->action, why);
    if (error != 0)
        return error;
    rule->sources = keys.sources;
    rule->separator = bytes_of(keys.separator);
    rule->target = bytes_of(keys.target != NULL ? keys.target : "");
    rule->replacement = bytes_of(keys.replacement);
    rule->modulus = (uint64_t)keys.modulus;
    error = regex_new(bytes_of(keys.regex), true, &rule->regex, &reason);
    return error == ERR_INVALID ? config_complain(config, node, why,
                                                  "write_relabel_configs: regex \"%s\": %s",
                                                  keys.regex, reason.text)
                                : error;
}

int relabel_read(struct config *config, const struct config_node *list,
                 struct relabel **ret_rules, struct diagnosis *why)
{
    *ret_rules = NULL;
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST || list->count > RELABEL_RULES_MAX)
        return config_complain(config, list, why,
                               "write_relabel_configs is a list of at most %d rules",
                               RELABEL_RULES_MAX);
    struct relabel *rules = calloc(1, sizeof *rules + list->count * sizeof *rules->rules);
    if (rules == NULL)
        return ERR_NOMEM;
    int error = 0;
    for (; error == 0 && rules->count < list->count; rules->count++)
        error = read_rule(config, list->children[rules->count], &rules->rules[rules->count], why);
    if (error != 0) {
        relabel_free(rules);
        return error;
    }
    *ret_rules = rules;
    return 0;
}

void relabel_free(struct relabel *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->count; i++)
        regex_free(rules->rules[i].regex);
    free(rules);
}

/* ---- applying ---------------------------------------------------------------------------- */

void relabel_scratch_init(struct relabel_scratch *scratch)
{
    *scratch = (struct relabel_scratch){0};
    labels_builder_init(&scratch->builder);
    arena_init(&scratch->arena, SCRATCH_BYTES_MAX);
    buf_init(&scratch->joined, TEXT_BYTES_MAX);
    buf_init(&scratch->text, TEXT_BYTES_MAX);
    buf_init(&scratch->target, TEXT_BYTES_MAX);
}

void relabel_scratch_done(struct relabel_scratch *scratch)
{
    labels_builder_done(&scratch->builder);
    arena_reset(&scratch->arena);
    buf_done(&scratch->joined);
    buf_done(&scratch->text);
    buf_done(&scratch->target);
}

static struct bytes value_of(const struct labels_builder *builder, struct bytes name)
{
    for (size_t i = 0; i < builder->count; i++)
        if (bytes_equal(builder->pairs[i].name, name))
            return builder->pairs[i].value;
    return (struct bytes){NULL, 0};
}

static struct bytes join(const struct rule *rule, struct relabel_scratch *scratch)
{
    struct buf *out = &scratch->joined;
    buf_clear(out);
    for (size_t i = 0; i < rule->sources.count; i++) {
        struct bytes value = value_of(&scratch->builder, bytes_of(rule->sources.items[i]));
        if (i > 0)
            buf_put(out, rule->separator.data, rule->separator.size);
        buf_put(out, value.data, value.size);
    }
    return buf_bytes(out);
}

/* The builder keeps no copies: what it is given lives in the arena. */
static int set(struct relabel_scratch *scratch, struct bytes name, struct bytes value)
{
    uint8_t *copy = arena_alloc(&scratch->arena, name.size + value.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    if (name.size > 0)
        memcpy(copy, name.data, name.size);
    if (value.size > 0)
        memcpy(copy + name.size, value.data, value.size);
    labels_builder_set(&scratch->builder, (struct bytes){copy, name.size},
                       (struct bytes){copy + name.size, value.size});
    return scratch->builder.failed ? ERR_NOMEM : 0;
}

static int replace(const struct rule *rule, struct bytes joined, struct relabel_scratch *scratch)
{
    buf_clear(&scratch->target);
    buf_clear(&scratch->text);
    if (!regex_expand(rule->regex, joined, rule->target, &scratch->target, NULL) ||
        !label_name_is_legacy(buf_bytes(&scratch->target)))
        return 0;
    (void)regex_expand(rule->regex, joined, rule->replacement, &scratch->text, NULL);
    if (!buf_ok(&scratch->target) || !buf_ok(&scratch->text))
        return ERR_LIMIT;
    return set(scratch, buf_bytes(&scratch->target), buf_bytes(&scratch->text));
}

static int hash_mod(const struct rule *rule, struct bytes joined, struct relabel_scratch *scratch)
{
    uint8_t digest[MD5_BYTES] = {0};
    uint64_t number = 0;
    if (gnutls_hash_fast(GNUTLS_DIG_MD5, joined.size > 0 ? joined.data : digest, joined.size,
                         digest) != 0)
        return ERR_INVALID;
    for (size_t i = MD5_BYTES / 2; i < MD5_BYTES; i++)
        number = number << 8 | digest[i];
    buf_clear(&scratch->text);
    buf_printf(&scratch->text, "%llu", (unsigned long long)(number % rule->modulus));
    return set(scratch, rule->target, buf_bytes(&scratch->text));
}

static int change_case(const struct rule *rule, struct bytes joined,
                       struct relabel_scratch *scratch)
{
    buf_clear(&scratch->text);
    for (size_t i = 0; i < joined.size; i++) {
        int c = joined.data[i];
        buf_put_char(&scratch->text,
                     (char)(c > 127 ? c : rule->action == LOWERCASE ? tolower(c) : toupper(c)));
    }
    return set(scratch, rule->target, buf_bytes(&scratch->text));
}

/* New names come behind those there are: they are not looked at. */
static int map_labels(const struct rule *rule, struct relabel_scratch *scratch)
{
    struct labels_builder *builder = &scratch->builder;
    const size_t count = builder->count;
    int error = 0;
    for (size_t i = 0; error == 0 && i < count && i < builder->count; i++) {
        const struct label pair = builder->pairs[i];
        buf_clear(&scratch->text);
        if (regex_expand(rule->regex, pair.name, rule->replacement, &scratch->text, NULL) &&
            scratch->text.size > 0)
            error = set(scratch, buf_bytes(&scratch->text), pair.value);
    }
    return error;
}

static void drop_labels(const struct rule *rule, struct labels_builder *builder)
{
    size_t kept = 0;
    for (size_t i = 0; i < builder->count; i++) {
        bool matches = regex_matches(rule->regex, builder->pairs[i].name, NULL);
        if (matches == (rule->action == LABEL_KEEP))
            builder->pairs[kept++] = builder->pairs[i];
    }
    builder->count = kept;
}

/* One rule; *keeps is set to false where it drops the series. */
static int apply_rule(const struct rule *rule, struct relabel_scratch *scratch, bool *keeps)
{
    struct bytes joined = join(rule, scratch);
    switch (rule->action) {
    case KEEP:
        *keeps = regex_matches(rule->regex, joined, NULL);
        return 0;
    case DROP:
        *keeps = !regex_matches(rule->regex, joined, NULL);
        return 0;
    case KEEP_EQUAL:
        *keeps = bytes_equal(value_of(&scratch->builder, rule->target), joined);
        return 0;
    case DROP_EQUAL:
        *keeps = !bytes_equal(value_of(&scratch->builder, rule->target), joined);
        return 0;
    case REPLACE:
        return replace(rule, joined, scratch);
    case HASH_MOD:
        return hash_mod(rule, joined, scratch);
    case LOWERCASE:
    case UPPERCASE:
        return change_case(rule, joined, scratch);
    case LABEL_MAP:
        return map_labels(rule, scratch);
    case LABEL_DROP:
    case LABEL_KEEP:
        drop_labels(rule, &scratch->builder);
        return 0;
    }
    return 0;
}

int relabel_apply(const struct relabel *rules, const struct labels *labels,
                  struct relabel_scratch *scratch, const struct labels **ret_labels)
{
    bool keeps = true;
    int error = 0;
    if (rules == NULL) {
        *ret_labels = labels;
        return 0;
    }
    arena_reset(&scratch->arena);
    labels_builder_reset(&scratch->builder, labels);
    for (size_t i = 0; error == 0 && keeps && i < rules->count; i++)
        error = apply_rule(&rules->rules[i], scratch, &keeps);
    const struct labels *made = NULL;
    if (error == 0 && keeps)
        error = labels_builder_build(&scratch->builder, &scratch->arena, &made);
    if (error == 0)
        *ret_labels = made != NULL && made->count > 0 ? made : NULL;
    return error;
}
