/*
 * config_read.c - one map of a configuration against its table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/config.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/units.h"

#define OPTIONS_MAX 64

struct reading {
    struct config *config;
    const char *where;
    void *target;
    struct diagnosis *why;
};

static int wrong(const struct reading *reading, const struct config_node *node,
                 const struct config_option *option, const char *expected)
{
    const char *dot = reading->where[0] == '\0' ? "" : ".";
    if (node->kind == CONFIG_SCALAR)
        return config_complain(reading->config, node, reading->why, "%s%s%s: \"%s\" is not %s",
                               reading->where, dot, option->key, node->text, expected);
    return config_complain(reading->config, node, reading->why, "%s%s%s: a %s is not %s",
                           reading->where, dot, option->key,
                           node->kind == CONFIG_MAP ? "map" : "list", expected);
}

static void *field(const struct reading *reading, const struct config_option *option)
{
    return (char *)reading->target + option->offset;
}

static int read_bool(const struct reading *reading, const struct config_option *option,
                     const struct config_node *node)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(node->text, words[i]) == 0) {
            *(bool *)field(reading, option) = i % 2 == 1;
            return 0;
        }
    return wrong(reading, node, option, "true or false");
}

static int check_range(const struct reading *reading, const struct config_option *option,
                       const struct config_node *node, int64_t value)
{
    char expected[160], low[DURATION_TEXT_BYTES], high[DURATION_TEXT_BYTES];
    if (option->min >= option->max || (value >= option->min && value <= option->max))
        return 0;
    if (option->type == CONFIG_DURATION)
        (void)snprintf(expected, sizeof expected, "between %s and %s",
                       duration_format(option->min, low), duration_format(option->max, high));
    else
        (void)snprintf(expected, sizeof expected, "between %" PRId64 " and %" PRId64,
                       option->min, option->max);
    return wrong(reading, node, option, expected);
}

static int read_integer(const struct reading *reading, const struct config_option *option,
                        const struct config_node *node)
{
    char *end;
    errno = 0;
    int64_t value = strtoll(node->text, &end, 10);
    if (errno != 0 || end == node->text || *end != '\0')
        return wrong(reading, node, option, "a whole number");
    int error = check_range(reading, option, node, value);
    if (error == 0)
        *(int64_t *)field(reading, option) = value;
    return error;
}

static int read_number(const struct reading *reading, const struct config_option *option,
                       const struct config_node *node)
{
    char *end;
    double value = strtod(node->text, &end);
    if (end == node->text || *end != '\0')
        return wrong(reading, node, option, "a number");
    *(double *)field(reading, option) = value;
    return 0;
}

static int read_duration(const struct reading *reading, const struct config_option *option,
                         const struct config_node *node)
{
    int64_t ms;
    if (duration_parse(node->text, &ms) != 0)
        return wrong(reading, node, option, "a duration such as 15s, 5m or 1h30m");
    int error = check_range(reading, option, node, ms);
    if (error == 0)
        *(int64_t *)field(reading, option) = ms;
    return error;
}

static int read_size(const struct reading *reading, const struct config_option *option,
                     const struct config_node *node)
{
    uint64_t bytes;
    if (size_parse(node->text, &bytes) != 0)
        return wrong(reading, node, option, "a size such as 64MiB or 2GiB");
    *(uint64_t *)field(reading, option) = bytes;
    return 0;
}

static int read_string(const struct reading *reading, const struct config_option *option,
                       const struct config_node *node)
{
    for (size_t i = 0; option->choices != NULL; i++) {
        if (option->choices[i] == NULL) {
            const char *near = nearest_name(node->text, option->choices, i);
            char expected[160];
            (void)snprintf(expected, sizeof expected, "allowed here%s%s%s",
                           near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                           near == NULL ? "" : "\"?)");
            return wrong(reading, node, option, expected);
        }
        if (strcmp(option->choices[i], node->text) == 0)
            break;
    }
    *(const char **)field(reading, option) = node->text;
    return 0;
}

/* A path relative to the folder of the config, in the document's memory. */
static int resolve(const struct reading *reading, const char *text, const char **ret_path)
{
    char *joined = file_relative_to(config_name(reading->config), text);
    if (joined == NULL)
        return ERR_NOMEM;
    char *copy = config_alloc(reading->config, strlen(joined) + 1, 1);
    if (copy != NULL)
        (void)strcpy(copy, joined);
    free(joined);
    if (copy == NULL)
        return ERR_NOMEM;
    *ret_path = copy;
    return 0;
}

static int read_strings(const struct reading *reading, const struct config_option *option,
                        const struct config_node *node)
{
    const struct config_node *const alone[] = {node};
    bool is_list = node->kind == CONFIG_LIST;
    size_t count = is_list ? node->count : 1;
    const struct config_node *const *items = is_list ? node->children : alone;
    if (node->kind == CONFIG_MAP)
        return wrong(reading, node, option, "a list of texts");
    const char **texts = config_alloc(reading->config, count + 1, sizeof *texts);
    if (texts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (items[i]->kind != CONFIG_SCALAR)
            return wrong(reading, items[i], option, "a text");
        texts[i] = items[i]->text;
        if (option->type == CONFIG_FILES) {
            int error = resolve(reading, items[i]->text, &texts[i]);
            if (error != 0)
                return error;
        }
    }
    *(struct config_strings *)field(reading, option) = (struct config_strings){texts, count};
    return 0;
}

static int read_option(const struct reading *reading, const struct config_option *option,
                       const struct config_node *node)
{
    if (option->type == CONFIG_NODE) {
        *(const struct config_node **)field(reading, option) = node;
        return 0;
    }
    if (option->type == CONFIG_STRINGS || option->type == CONFIG_FILES)
        return read_strings(reading, option, node);
    if (node->kind != CONFIG_SCALAR)
        return wrong(reading, node, option, "a single value");
    switch (option->type) {
    case CONFIG_BOOL:
        return read_bool(reading, option, node);
    case CONFIG_INTEGER:
        return read_integer(reading, option, node);
    case CONFIG_NUMBER:
        return read_number(reading, option, node);
    case CONFIG_DURATION:
        return read_duration(reading, option, node);
    case CONFIG_SIZE:
        return read_size(reading, option, node);
    case CONFIG_FILE:
        return resolve(reading, node->text, field(reading, option));
    default:
        return read_string(reading, option, node);
    }
}

static int unknown_key(const struct reading *reading, const struct config_node *child,
                       const struct config_option *options, size_t count)
{
    const char *names[OPTIONS_MAX];
    size_t n = count < OPTIONS_MAX ? count : OPTIONS_MAX;
    for (size_t i = 0; i < n; i++)
        names[i] = options[i].key;
    const char *near = nearest_name(child->key, names, n);
    return diagnose(reading->why, ERR_INVALID, "%s:%u: unknown key \"%s\"%s%s%s%s%s",
                    config_name(reading->config), child->key_line, child->key,
                    reading->where[0] == '\0' ? "" : " in ", reading->where,
                    near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                    near == NULL ? "" : "\"?)");
}

static const struct config_option *find_option(const struct config_option *options,
                                               size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].key, key) == 0)
            return &options[i];
    return NULL;
}

static int apply_fallbacks(const struct reading *reading, const struct config_node *node,
                           const struct config_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (config_child(node, options[i].key) != NULL)
            continue;
        if (options[i].required)
            return diagnose(reading->why, ERR_INVALID, "%s:%u: key \"%s\" is missing%s%s",
                            config_name(reading->config), node == NULL ? 1 : node->line,
                            options[i].key, reading->where[0] == '\0' ? "" : " in ",
                            reading->where);
        if (options[i].fallback == NULL)
            continue;
        const struct config_node stand_in = {.kind = CONFIG_SCALAR,
                                             .line = node == NULL ? 1 : node->line,
                                             .text = options[i].fallback};
        int error = read_option(reading, &options[i], &stand_in);
        if (error != 0)
            return error;
    }
    return 0;
}

int config_read(struct config *config, const struct config_node *node, const char *where,
                const struct config_option *options, size_t count, void *target,
                struct diagnosis *why)
{
    const struct reading reading = {config, where, target, why};

    /* "key:" with nothing behind it is an empty map. */
    if (node != NULL && node->kind == CONFIG_SCALAR && !node->quoted && node->text[0] == '\0')
        node = NULL;
    if (node != NULL && node->kind != CONFIG_MAP)
        return config_complain(config, node, why, "%s%sa map (key: value) is expected here",
                               where, where[0] == '\0' ? "" : ": ");
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        const struct config_node *child = node->children[i];
        const struct config_option *option = find_option(options, count, child->key);
        int error = option == NULL ? unknown_key(&reading, child, options, count)
                                   : read_option(&reading, option, child);
        if (error != 0)
            return error;
    }
    return apply_fallbacks(&reading, node, options, count);
}
