#include "probe/policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

struct policy {
    const struct config_node *intervals;
};

static const struct config_option policy_rows[] = {
    {.key = "intervals",
     .type = CONFIG_NODE,
     .offset = offsetof(struct policy, intervals),
     .help = "source: duration"},
};

static struct options_source *find_source(struct options *options, const char *name)
{
    for (size_t i = 0; options != NULL && i < options->source_count; i++)
        if (strcmp(options->sources[i].source->name, name) == 0)
            return &options->sources[i];
    return NULL;
}

/* Checks the document; with `options`, obeys it. */
static int read_policy(struct config *config, struct options *options, struct diagnosis *why)
{
    struct policy policy = {0};
    int error = config_read(config, config_root(config), "", policy_rows, 1, &policy, why);
    if (error != 0 || policy.intervals == NULL)
        return error;
    if (policy.intervals->kind != CONFIG_MAP)
        return config_complain(config, policy.intervals, why, "intervals: expected a map");
    for (size_t i = 0; i < policy.intervals->count; i++) {
        const struct config_node *child = policy.intervals->children[i];
        int64_t interval_ms;
        if (child->kind != CONFIG_SCALAR || duration_parse(child->text, &interval_ms) != 0 ||
            interval_ms < OPTIONS_INTERVAL_LEAST_MS || interval_ms > OPTIONS_INTERVAL_MOST_MS)
            return config_complain(config, child, why,
                                   "intervals.%s: expected a duration between 100ms and 1h",
                                   child->key);
        /* One document serves many hosts: a source that this one has not is no error. */
        struct options_source *source = find_source(options, child->key);
        if (source != NULL)
            source->interval_ms = interval_ms;
    }
    return 0;
}

static bool path_of(const char *state, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/policy.yml", state);
    return length > 0 && length < PATH_MAX;
}

int policy_load(const char *state, struct options *options, struct diagnosis *why)
{
    char path[PATH_MAX];
    char *text;
    size_t size;
    struct config *config;

    if (!path_of(state, path))
        return diagnose(why, ERR_LIMIT, "%s: path too long", state);
    int error = file_read_whole(path, POLICY_BYTES_MAX, &text, &size, why);
    if (error == ERR_NOTFOUND) {
        if (why != NULL)
            why->text[0] = '\0';
        return 0;
    }
    if (error != 0)
        return error;
    error = config_parse(path, (struct bytes){(const uint8_t *)text, size}, &config, why);
    if (error == 0) {
        error = read_policy(config, options, why);
        config_free(config);
    }
    free(text);
    return error;
}

static bool is_kept(const char *path, struct bytes document)
{
    char *text;
    size_t size;
    if (file_read_whole(path, POLICY_BYTES_MAX, &text, &size, NULL) != 0)
        return false;
    bool is_same = bytes_equal((struct bytes){(const uint8_t *)text, size}, document);
    free(text);
    return is_same;
}

int policy_keep(const struct file_io *io, const char *state, struct bytes document,
                bool *ret_is_new, struct diagnosis *why)
{
    char path[PATH_MAX];
    struct config *config;

    if (!path_of(state, path))
        return diagnose(why, ERR_LIMIT, "%s: path too long", state);
    int error = config_parse("policy", document, &config, why);
    if (error != 0)
        return error;
    error = read_policy(config, NULL, why);
    config_free(config);
    if (error != 0)
        return error;
    bool is_new = !is_kept(path, document);
    if (is_new)
        error = file_write_atomic(io, path, document, 0600, why);
    if (error == 0)
        *ret_is_new = is_new;
    return error;
}
