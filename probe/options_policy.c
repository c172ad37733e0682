/*
 * options_policy.c - see options_policy.h.
 *
 *     policy:
 *       allow:
 *         files: []              # patterns of log files it may have tailed; none by default
 *         sources: all           # or a list of names: those it may pace and switch
 *         intervals: {min: 1s}   # no source is made to run more often
 *
 * A policy never names a command or an address: no key of it could hold one.
 */
#include "probe/options_policy.h"

#include <string.h>

#include "probe/log/permit.h"
#include "proto/base/error.h"

struct file_policy {
    const struct config_node *allow;
};
struct file_allow {
    struct config_strings files;
    const struct config_node *sources, *intervals;
};
struct file_intervals {
    int64_t least_ms;
};

static const struct config_option policy_rows[] = {
    {.key = "allow",
     .type = CONFIG_NODE,
     .offset = offsetof(struct file_policy, allow),
     .help = "files, sources, intervals"},
};

static const struct config_option allow_rows[] = {
    {.key = "files",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct file_allow, files),
     .help = "patterns of log files; none by default"},
    {.key = "sources",
     .type = CONFIG_NODE,
     .offset = offsetof(struct file_allow, sources),
     .help = "all, or a list of names"},
    {.key = "intervals",
     .type = CONFIG_NODE,
     .offset = offsetof(struct file_allow, intervals),
     .help = "min"},
};

static const struct config_option interval_rows[] = {
    {.key = "min",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct file_intervals, least_ms),
     .fallback = "1s",
     .min = OPTIONS_INTERVAL_LEAST_MS,
     .max = OPTIONS_INTERVAL_MOST_MS,
     .help = "no source is made to run more often"},
};

#define ROWS(table) (table), sizeof(table) / sizeof(table)[0]

static int check_files(const struct options *options, const struct config_node *allow,
                       struct diagnosis *why)
{
    const struct config_strings *files = &options->allow.files;
    for (size_t i = 0; i < files->count; i++)
        if (!permit_path_is_plain(files->items[i]))
            return config_complain(options->config, config_child(allow, "files"), why,
                                   "policy.allow.files: \"%s\" is no absolute path without "
                                   "\".\" and \"..\"",
                                   files->items[i]);
    return 0;
}

static int read_sources(struct options *options, const struct config_node *node,
                        struct diagnosis *why)
{
    options->allow.all_sources =
        node == NULL || (node->kind == CONFIG_SCALAR && strcmp(node->text, "all") == 0);
    if (options->allow.all_sources)
        return 0;
    if (node->kind != CONFIG_LIST)
        return config_complain(options->config, node, why,
                               "policy.allow.sources: expected \"all\" or a list of names");
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *name = node->children[i];
        if (name->kind != CONFIG_SCALAR)
            return config_complain(options->config, name, why,
                                   "policy.allow.sources: expected a name");
        const char *nearest = options_nearest_source(name->text);
        if (!options_source_exists(name->text))
            return config_complain(
                options->config, name, why, "policy.allow.sources: unknown source \"%s\"%s%s%s",
                name->text, nearest == NULL ? "" : " (did you mean \"",
                nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?)");
    }
    options->allow.sources = node;
    return 0;
}

int options_policy_read(struct options *options, const struct config_node *node,
                        struct diagnosis *why)
{
    struct file_policy policy = {0};
    struct file_allow allow = {0};
    struct file_intervals intervals = {0};
    int error = config_read(options->config, node, "policy", ROWS(policy_rows), &policy, why);
    if (error == 0)
        error = config_read(options->config, policy.allow, "policy.allow", ROWS(allow_rows),
                            &allow, why);
    if (error == 0)
        error = config_read(options->config, allow.intervals, "policy.allow.intervals",
                            ROWS(interval_rows), &intervals, why);
    if (error != 0)
        return error;
    options->allow.files = allow.files;
    options->allow.interval_least_ms = intervals.least_ms;
    error = check_files(options, policy.allow, why);
    return error == 0 ? read_sources(options, allow.sources, why) : error;
}
