/*
 * device_filter.c - which devices a source leaves out (device_filter.h).
 */
#include "probe/source/device_filter.h"

#include <stdio.h>
#include <stdlib.h>

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

/* A map with one key of its own. */
static int read_expression(struct config *config, const struct config_node *node,
                           const char *where, const char *key, const char *help,
                           const char **expression, struct diagnosis *why)
{
    struct {
        const char *expression;
        struct source_common_options common;
    } options = {.expression = *expression};
    const struct config_option table[] = {
        {key, CONFIG_STRING, 0, .help = help},
        SOURCE_COMMON_OPTIONS(sizeof(const char *)),
    };
    _Static_assert(sizeof(const char *) % _Alignof(struct source_common_options) == 0,
                   "the common options follow the pointer");
    if (node == NULL)
        return 0;
    int error =
        config_read(config, node, where, table, sizeof table / sizeof *table, &options, why);
    if (error == 0)
        *expression = options.expression;
    return error;
}

int device_filter_read(struct config *config, const struct config_node *node, const char *where,
                       const char *fallback, struct pattern **ret_exclude,
                       struct diagnosis *why)
{
    int error = read_expression(config, node, where, "exclude",
                                "regular expression of devices left out", &fallback, why);
    if (error != 0)
        return error;
    return device_filter_compile(config, node, "exclude", fallback, ret_exclude, why);
}

int field_filter_read(struct config *config, const struct config_node *node, const char *where,
                      const char *fallback, struct pattern **ret_wanted, struct diagnosis *why)
{
    int error = read_expression(config, node, where, "fields",
                                "regular expression of fields sent", &fallback, why);
    if (error != 0)
        return error;
    if (fallback[0] == '\0')
        fallback = "^";
    return device_filter_compile(config, node, "fields", fallback, ret_wanted, why);
}

int device_filter_compile_whole(struct config *config, const struct config_node *node,
                                const char *key, const char *expression,
                                struct pattern **ret_pattern, struct diagnosis *why)
{
    char *whole;
    if (expression == NULL || expression[0] == '\0')
        return 0;
    if (asprintf(&whole, "^(?:%s)$", expression) < 0)
        return diagnose(why, ERR_NOMEM, "out of memory");
    int error = device_filter_compile(config, node, key, whole, ret_pattern, why);
    free(whole);
    return error;
}
