/*
 * selector.c - which hosts a rule means: Prometheus's matchers over job, instance and labels.
 *
 *     match: 'role="db", site=~"unicom|zhongta"'     a selector, with or without its braces
 *     match: {role: db, site: [unicom, zhongta]}     the same: equal, or one of
 *
 * A map is turned into the selector's text, so there is one meaning and one parser: PromQL's,
 * which wants a metric name.  It gets HOST, and host labels bear it too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/policy/policy_parts.h"
#include "collector/promql/engine.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"

#define HOST "host"

/* The value as a regular expression that means just it. */
static void put_literal(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\.+*?()|[]{}^$", *text) != NULL)
            buf_put_char(out, '\\');
        buf_put_char(out, *text);
    }
}

/* The value, or an expression that is one of several. */
static int put_value(struct buf *out, struct config *config, const struct config_node *node,
                     struct diagnosis *why)
{
    if (node->kind == CONFIG_MAP || (node->kind == CONFIG_LIST && node->count == 0))
        return config_complain(config, node, why,
                               "match.%s: expected a text, or a list of texts", node->key);
    if (node->kind == CONFIG_SCALAR)
        buf_put_text(out, node->text);
    for (size_t i = 0; i < node->count; i++) {
        if (node->children[i]->kind != CONFIG_SCALAR)
            return config_complain(config, node->children[i], why, "match.%s: expected a text",
                                   node->key);
        if (i > 0)
            buf_put_char(out, '|');
        put_literal(out, node->children[i]->text);
    }
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

static int put_pair(struct buf *out, struct config *config, const struct config_node *node,
                    struct diagnosis *why)
{
    struct buf value = {0};
    int error = put_value(&value, config, node, why);
    if (error == 0) {
        if (out->size > 0)
            buf_put_text(out, ", ");
        if (label_name_is_legacy(bytes_of(node->key)))
            buf_put_text(out, node->key);
        else
            text_quote(bytes_of(node->key), out);
        buf_put_text(out, node->kind == CONFIG_LIST ? "=~" : "=");
        text_quote(buf_bytes(&value), out);
        error = buf_ok(out) ? 0 : ERR_NOMEM;
    }
    buf_done(&value);
    return error;
}

/* The selector without its braces. */
static int text_of(struct config *config, const struct config_node *node, struct buf *out,
                   struct diagnosis *why)
{
    int error = 0;
    if (node == NULL)
        return 0;
    if (node->kind == CONFIG_LIST)
        return config_complain(config, node, why, "match: expected a selector or a map");
    if (node->kind == CONFIG_SCALAR) {
        size_t size = strlen(node->text);
        bool has_braces = size > 1 && node->text[0] == '{' && node->text[size - 1] == '}';
        buf_put(out, node->text + (has_braces ? 1 : 0), size - (has_braces ? 2 : 0));
        return buf_ok(out) ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; error == 0 && i < node->count; i++)
        error = put_pair(out, config, node->children[i], why);
    return error;
}

static int parse(struct policy *policy, struct policy_rule *rule,
                 const struct config_node *node, const char *text, struct diagnosis *why)
{
    struct buf whole = {0};
    struct promql_error reason = {0};
    buf_printf(&whole, HOST "{%s}", text);
    int error = buf_ok(&whole) ? promql_parse_selector(buf_text(&whole), &rule->matchers,
                                                       &rule->matcher_count, &reason)
                               : ERR_NOMEM;
    buf_done(&whole);
    if (error == 0 || error == ERR_NOMEM || node == NULL)
        return error;
    return config_complain(policy->config, node, why, "match: {%s}: %s", text, reason.why.text);
}

int policy_read_match(struct policy *policy, struct policy_rule *rule,
                      const struct config_node *node, struct diagnosis *why)
{
    struct buf text = {0};
    int error = text_of(policy->config, node, &text, why);
    char *copy = NULL;
    if (error == 0 && (copy = config_alloc(policy->config, text.size + 3, 1)) == NULL)
        error = ERR_NOMEM;
    if (error == 0) {
        const char *bare = buf_text(&text);
        (void)sprintf(copy, "{%s}", bare);
        rule->match_text = copy;
        error = parse(policy, rule, node, bare, why);
    }
    buf_done(&text);
    return error;
}

int policy_host_labels(const struct policy_host *host, struct arena *arena,
                       const struct labels **ret_labels)
{
    struct label pairs[SERIES_LABELS_MAX + 3];
    size_t count = 0;
    pairs[count++] = (struct label){bytes_of(LABEL_NAME), bytes_of(HOST)};
    pairs[count++] = (struct label){bytes_of("job"), bytes_of(host->job)};
    pairs[count++] = (struct label){bytes_of("instance"), bytes_of(host->instance)};
    /* A host label of these names would be hidden by identity everywhere else, too. */
    for (size_t i = 0; i < host->label_count && count < SERIES_LABELS_MAX + 3; i++)
        if (!bytes_equal(host->labels[i].name, bytes_of("job")) &&
            !bytes_equal(host->labels[i].name, bytes_of("instance")) &&
            !bytes_equal(host->labels[i].name, bytes_of(LABEL_NAME)))
            pairs[count++] = host->labels[i];
    return labels_build(pairs, count, arena, ret_labels);
}
