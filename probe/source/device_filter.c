/*
 * device_filter.c - which devices a source leaves out (device_filter.h).
 */
#include "probe/source/device_filter.h"

#include "probe/source/source.h"
#include "proto/base/error.h"

int device_filter_compile(struct config *config, const struct config_node *node,
                          const char *key, const char *expression, struct pattern **ret_pattern,
                          struct diagnosis *why)
{
    struct diagnosis reason = {0};
    *ret_pattern = NULL;
    if (expression == NULL || expression[0] == '\0')
        return 0;
    int error = pattern_new(expression, ret_pattern, &reason);
    if (error != ERR_INVALID)
        return error;
    const struct config_node *value = config_child(node, key);
    if (config == NULL || value == NULL)
        return diagnose(why, error, "%s: %s", key, reason.text);
    return config_complain(config, value, why, "%s: %s", key, reason.text);
}

int device_filter_read(struct config *config, const struct config_node *node, const char *where,
                       const char *fallback, struct pattern **ret_exclude,
                       struct diagnosis *why)
{
    struct {
        const char *exclude;
        struct source_common_options common;
    } options = {.exclude = fallback};
    const struct config_option table[] = {
        {"exclude", CONFIG_STRING, 0, .help = "regular expression of devices left out"},
        SOURCE_COMMON_OPTIONS(sizeof(const char *)),
    };
    _Static_assert(sizeof(const char *) % _Alignof(struct source_common_options) == 0,
                   "the common options follow the pointer");
    if (node != NULL) {
        int error = config_read(config, node, where, table, sizeof table / sizeof *table,
                                &options, why);
        if (error != 0)
            return error;
    }
    return device_filter_compile(config, node, "exclude", options.exclude, ret_exclude, why);
}
