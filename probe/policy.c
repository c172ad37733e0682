/*
 * policy.c - see policy.h.
 *
 * On disk the document follows one line of comment:
 *
 *     # fengsui policy 1764316800000; the collector's, do not edit
 */
#include "probe/policy.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe/log/log.h"
#include "probe/self.h"
#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/units.h"
#include "proto/base/utf8.h"
#include "proto/wire/envelope.h"

#define HEAD           "# fengsui policy "
#define HEAD_BYTES_MAX 128
/* Keys of one source's map, more than any has. */
#define OPTIONS_MAX     16
#define LOG_ENTRIES_MAX LOG_SETTINGS_MAX

/* ---- reading ----------------------------------------------------------------------------- */

static const struct config_option policy_rows[] = {
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct policy, interval_ms),
     .min = OPTIONS_INTERVAL_LEAST_MS,
     .max = OPTIONS_INTERVAL_MOST_MS,
     .help = "between two ticks"},
    {.key = "sources",
     .type = CONFIG_NODE,
     .offset = offsetof(struct policy, sources),
     .help = "interval and enabled, by source"},
    {.key = "logs",
     .type = CONFIG_NODE,
     .offset = offsetof(struct policy, logs),
     .help = "files to tail"},
};

/* What a policy says of one source. */
struct wish {
    const char *enabled; /* NULL: not said */
    int64_t interval_ms; /* 0: not said */
};

static const char *const switches[] = {"true", "false", NULL};

static const struct config_option wish_rows[] = {
    {.key = "enabled",
     .type = CONFIG_STRING,
     .offset = offsetof(struct wish, enabled),
     .choices = switches},
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct wish, interval_ms),
     .min = OPTIONS_INTERVAL_LEAST_MS,
     .max = OPTIONS_INTERVAL_MOST_MS},
};

#define ROWS(table) (table), sizeof(table) / sizeof(table)[0]

/* `interval` and `enabled` of a source's map; what else there is, is for the source. */
static int read_wish(const struct policy *policy, const struct config_node *node,
                     struct wish *ret_wish, struct diagnosis *why)
{
    const struct config_node *common[2];
    struct config_node subset = {.kind = CONFIG_MAP, .line = node->line, .children = common};
    *ret_wish = (struct wish){0};
    for (size_t i = 0; node->kind == CONFIG_MAP && i < 2; i++) {
        const struct config_node *child = config_child(node, wish_rows[i].key);
        if (child != NULL)
            common[subset.count++] = child;
    }
    return config_read(policy->config, node->kind == CONFIG_MAP ? &subset : node, node->key,
                       ROWS(wish_rows), ret_wish, why);
}

static int check(const struct policy *policy, struct diagnosis *why)
{
    struct wish wish;
    int error = 0;
    if (policy->sources != NULL && policy->sources->kind != CONFIG_MAP)
        return config_complain(policy->config, policy->sources, why, "sources: expected a map");
    for (size_t i = 0; error == 0 && policy->sources != NULL && i < policy->sources->count; i++)
        error = read_wish(policy, policy->sources->children[i], &wish, why);
    if (error != 0 || policy->logs == NULL)
        return error;
    if (policy->logs->kind != CONFIG_LIST || policy->logs->count > LOG_ENTRIES_MAX)
        return config_complain(policy->config, policy->logs, why,
                               "logs: expected a list of at most %d entries", LOG_ENTRIES_MAX);
    return 0;
}

int policy_parse(uint64_t version, struct bytes document, struct policy **ret_policy,
                 struct diagnosis *why)
{
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    policy->version = version;
    int error = document.size > POLICY_BYTES_MAX
                    ? diagnose(why, ERR_LIMIT, "policy: larger than 1 MiB")
                    : config_parse("policy", document, &policy->config, why);
    if (error == 0)
        error = config_read(policy->config, config_root(policy->config), "", ROWS(policy_rows),
                            policy, why);
    if (error == 0)
        error = check(policy, why);
    if (error != 0) {
        policy_free(policy);
        return error;
    }
    *ret_policy = policy;
    return 0;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    config_free(policy->config);
    free(policy);
}

/* ---- what holds -------------------------------------------------------------------------- */

/* A text that was cut ends with a whole character: both become labels. */
static void end_whole(char *text)
{
    size_t size = strlen(text);
    for (int i = 0; i < 3 && size > 0 && !utf8_is_valid((struct bytes){(uint8_t *)text, size});
         i++)
        text[--size] = '\0';
}

/* Every target that is scraped is a source, and one part of the policy is for them all. */
static bool is_refused(const struct policy *policy, const struct policy_refusal *refusal)
{
    for (size_t i = 0; i < policy_refusals_kept(policy); i++)
        if (strcmp(policy->refusals[i].part, refusal->part) == 0 &&
            strcmp(policy->refusals[i].reason, refusal->reason) == 0)
            return true;
    return false;
}

static void __attribute__((format(printf, 4, 5)))
refuse(struct policy *policy, const char *section, const char *name, const char *format, ...)
{
    va_list arguments;
    struct policy_refusal refusal;
    (void)snprintf(refusal.part, sizeof refusal.part, "%s%s%.140s", section,
                   name[0] == '\0' ? "" : ".", name);
    va_start(arguments, format);
    (void)vsnprintf(refusal.reason, sizeof refusal.reason, format, arguments);
    va_end(arguments);
    end_whole(refusal.part);
    end_whole(refusal.reason);
    if (is_refused(policy, &refusal))
        return;
    policy->refusal_changes++;
    if (policy->refusal_count < POLICY_REFUSALS_MAX)
        policy->refusals[policy->refusal_count] = refusal;
    policy->refusal_count++;
}

void policy_refuse(struct policy *policy, const char *section, const char *name,
                   const char *reason)
{
    refuse(policy, section, name, "%.250s", reason);
}

size_t policy_refusals_kept(const struct policy *policy)
{
    return policy->refusal_count < POLICY_REFUSALS_MAX ? policy->refusal_count
                                                       : POLICY_REFUSALS_MAX;
}

static bool is_allowed(const struct options_allow *allow, const char *name)
{
    if (allow->all_sources)
        return true;
    for (size_t i = 0; allow->sources != NULL && i < allow->sources->count; i++)
        if (strcmp(allow->sources->children[i]->text, name) == 0)
            return true;
    return false;
}

static void refuse_option(struct policy *policy, const char *source, const char *option,
                          const char *reason)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%.60s.%.60s", source, option);
    refuse(policy, "sources", name, "%s", reason);
}

/* An interval as far as this host goes along with it. */
static int64_t at_least(struct policy *policy, const struct options_allow *allow,
                        const char *section, const char *name, int64_t interval_ms)
{
    char wanted[DURATION_TEXT_BYTES], least[DURATION_TEXT_BYTES];
    if (interval_ms >= allow->interval_least_ms)
        return interval_ms;
    refuse(
        policy, section, name,
        "%s is less than this host allows (policy.allow.intervals.min in probe.yml); it runs "
        "every %s",
        duration_format(interval_ms, wanted), duration_format(allow->interval_least_ms, least));
    return allow->interval_least_ms;
}

static bool is_common(const char *key)
{
    return strcmp(key, wish_rows[0].key) == 0 || strcmp(key, wish_rows[1].key) == 0;
}

/* The options of a policy's map that may be set; the others are refused one by one. */
static size_t choose_options(struct policy *policy, const struct source *source,
                             const struct config_node *node,
                             const struct config_node *chosen[OPTIONS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; node->kind == CONFIG_MAP && i < node->count; i++) {
        const struct config_node *child = node->children[i];
        const char *const *allowed = source->policy_options;
        if (is_common(child->key))
            continue;
        while (allowed != NULL && *allowed != NULL && strcmp(*allowed, child->key) != 0)
            allowed++;
        if (allowed != NULL && *allowed != NULL && count < OPTIONS_MAX)
            chosen[count++] = child;
        else
            refuse_option(policy, source->name, child->key, "it is none that a policy may set");
    }
    return count;
}

/* probe.yml's map with the policy's options instead of its own, as text.  NULL: out of memory.
 */
static char *merge(const struct config_node *own, const struct config_node *const *chosen,
                   size_t count)
{
    const struct config_node **children = calloc(count + OPTIONS_MAX, sizeof *children);
    struct config_node merged = {.kind = CONFIG_MAP, .children = children};
    struct buf text = {0};
    if (children == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        children[merged.count++] = chosen[i];
    for (size_t i = 0; own != NULL && own->kind == CONFIG_MAP && i < own->count; i++) {
        bool is_set = is_common(own->children[i]->key);
        for (size_t k = 0; k < count; k++)
            is_set |= strcmp(chosen[k]->key, own->children[i]->key) == 0;
        if (!is_set && merged.count < count + OPTIONS_MAX)
            children[merged.count++] = own->children[i];
    }
    config_print(&merged, &text);
    char *copy = strdup(buf_text(&text));
    if (!buf_ok(&text)) {
        free(copy);
        copy = NULL;
    }
    buf_done(&text);
    free(children);
    return copy;
}

static void obey_options(struct policy *policy, struct options_source *source,
                         const struct config_node *node)
{
    const struct config_node *chosen[OPTIONS_MAX];
    struct config *config = NULL;
    struct diagnosis why = {0};
    size_t count = choose_options(policy, source->source, node, chosen);
    if (count == 0)
        return;
    source->override = merge(source->node, chosen, count);
    int error = source->override == NULL
                    ? ERR_NOMEM
                    : config_parse("policy", bytes_of(source->override), &config, &why);
    if (error == 0)
        error = source_try(source->source, config, config_root(config), &why);
    config_free(config);
    if (error == 0)
        return;
    /* One of them is wrong: which, only the source can tell. */
    refuse(policy, "sources", source->source->name, "its options are refused: %.200s",
           why.text[0] != '\0' ? why.text : error_text(error));
    free(source->override);
    source->override = NULL;
}

static void obey_switch(struct policy *policy, struct options_source *source,
                        const struct wish *wish, const struct options_allow *allow)
{
    const char *name = source->source->name;
    bool is_fixed = source->source == &source_self || source->source == &source_log;

    if (wish->enabled != NULL && is_fixed && strcmp(wish->enabled, "false") == 0)
        refuse(policy, "sources", name,
               source->source == &source_self
                   ? "it tells what holds, and cannot be switched off"
                   : "it cannot be switched off; log files are taken away one by one");
    else if (wish->enabled != NULL)
        source->is_on = strcmp(wish->enabled, "true") == 0;
    if (wish->interval_ms != 0)
        source->interval_ms = at_least(policy, allow, "sources", name, wish->interval_ms);
}

static bool has_source(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->source_count; i++)
        if (strcmp(options->sources[i].source->name, name) == 0)
            return true;
    return false;
}

static void obey_wish(struct policy *policy, struct options *options,
                      const struct config_node *node)
{
    struct wish wish;
    const char *name = node->key;

    if (!has_source(options, name) && options_source_exists(name)) {
        refuse(policy, "sources", name, "probe.yml names no target for it");
        return;
    }
    if (!has_source(options, name)) {
        const char *nearest = options_nearest_source(name);
        refuse(policy, "sources", name, "this probe has no such source%s%s%s",
               nearest == NULL ? "" : " (did you mean \"", nearest == NULL ? "" : nearest,
               nearest == NULL ? "" : "\"?)");
        return;
    }
    if (!is_allowed(&options->allow, name)) {
        refuse(policy, "sources", name,
               "this host does not allow it (policy.allow.sources in probe.yml)");
        return;
    }
    if (read_wish(policy, node, &wish, NULL) != 0)
        return; /* it was read before */
    /* One source, or every target that is scraped. */
    for (size_t i = 0; i < options->source_count; i++) {
        struct options_source *source = &options->sources[i];
        if (strcmp(source->source->name, name) != 0)
            continue;
        obey_options(policy, source, node);
        obey_switch(policy, source, &wish, &options->allow);
    }
}

void policy_obey(struct policy *policy, struct options *options)
{
    int64_t base_ms = options->interval_ms;

    policy->refusal_count = 0;
    if (policy->interval_ms != 0)
        base_ms = at_least(policy, &options->allow, "interval", "", policy->interval_ms);
    for (size_t i = 0; i < options->source_count; i++) {
        struct options_source *source = &options->sources[i];
        int64_t source_base_ms =
            is_allowed(&options->allow, source->source->name) ? base_ms : options->interval_ms;
        free(source->override);
        source->override = NULL;
        source->is_on = source->is_enabled;
        source->interval_ms = source->own_interval_ms != 0
                                  ? source->own_interval_ms
                                  : options_default_interval(source->source, source_base_ms);
    }
    for (size_t i = 0; policy->sources != NULL && i < policy->sources->count; i++)
        obey_wish(policy, options, policy->sources->children[i]);
}

int policy_logs(struct policy *policy, const struct permit *permit,
                struct log_settings_list *ret_list)
{
    struct log_settings_list list = {0};
    for (size_t i = 0; policy->logs != NULL && i < policy->logs->count; i++) {
        struct diagnosis why = {0};
        const struct config_node *node = policy->logs->children[i];
        const struct config_node *path = config_child(node, "path");
        const char *name = path == NULL || path->kind != CONFIG_SCALAR ? "?" : path->text;
        size_t before = list.count;
        /* The list's limit holds for probe.yml and policy each. */
        int error = log_settings_read(&list, policy->config, node, &why);
        if (error == ERR_NOMEM) {
            log_settings_done(&list);
            return error;
        }
        if (error == 0 && permit_covers(permit, name)) {
            list.items[list.count - 1].permit = permit;
            /* Only the host itself may let its numbers leave unmasked. */
            list.items[list.count - 1].redaction.numbers = REDACT_NUMBERS;
            continue;
        }
        while (list.count > before)
            log_settings_pop(&list);
        if (error != 0)
            refuse(policy, "logs", name, "%.250s", why.text);
        else
            refuse(policy, "logs", name,
                   "it does not lie within what this host allows (policy.allow.files in "
                   "probe.yml)");
    }
    *ret_list = list;
    return 0;
}

/* ---- on disk ----------------------------------------------------------------------------- */

static bool path_of(const char *state, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/policy.yml", state);
    return length > 0 && length < PATH_MAX;
}

static int parse_kept(const char *text, size_t size, struct policy **ret_policy,
                      struct diagnosis *why)
{
    uint64_t version = 0;
    const char *end = memchr(text, '\n', size);
    if (strncmp(text, HEAD, strlen(HEAD)) != 0 || end == NULL ||
        (version = strtoull(text + strlen(HEAD), NULL, 10)) == 0)
        return diagnose(why, ERR_MALFORMED, "policy.yml: its first line names no version");
    size_t head = (size_t)(end - text) + 1;
    return policy_parse(version, (struct bytes){(const uint8_t *)text + head, size - head},
                        ret_policy, why);
}

int policy_load(const char *state, struct policy **ret_policy, struct diagnosis *why)
{
    char path[PATH_MAX];
    char *text;
    size_t size;

    if (!path_of(state, path))
        return diagnose(why, ERR_LIMIT, "%s: path too long", state);
    int error = file_read_whole(path, POLICY_BYTES_MAX + HEAD_BYTES_MAX, &text, &size, why);
    if (error == ERR_NOTFOUND) {
        if (why != NULL)
            why->text[0] = '\0';
        return policy_parse(0, (struct bytes){0}, ret_policy, why);
    }
    if (error != 0)
        return error;
    error = parse_kept(text, size, ret_policy, why);
    free(text);
    return error;
}

int policy_keep(const struct file_io *io, const char *state, uint64_t version,
                struct bytes document, struct diagnosis *why)
{
    char path[PATH_MAX];
    struct buf text = {0};

    if (!path_of(state, path))
        return diagnose(why, ERR_LIMIT, "%s: path too long", state);
    buf_printf(&text, HEAD "%" PRIu64 "; the collector's, do not edit\n", version);
    buf_put(&text, document.data, document.size);
    int error = buf_ok(&text) ? file_write_atomic(io, path, buf_bytes(&text), 0600, why)
                              : diagnose(why, ERR_NOMEM, "out of memory");
    buf_done(&text);
    return error;
}
