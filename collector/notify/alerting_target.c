/*
 * alerting_target.c - `alertmanagers` in alerting.yml: Prometheus's alerting.alertmanagers.
 *
 *     - scheme: https                 (http)
 *       path_prefix: /alertmanager    (/)
 *       timeout: 10s
 *       api_version: v2
 *       static_configs: [{targets: ['am1.example:9093', 'am2.example:9093']}]
 *       and the keys of an HTTP client: basic_auth, authorization, tls_config, proxy_url ...
 *
 * A target is one of the addresses; each is told by itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/forward.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct target_keys {
    struct http_keys http; /* first: the offsets of its options are into it */
    const char *scheme, *path_prefix, *api_version;
    int64_t timeout_ms;
    const struct config_node *static_configs;
};

static const char *const schemes[] = {"http", "https", NULL};
static const char *const versions[] = {"v2", NULL};

#define AT(field) offsetof(struct target_keys, field)
static const struct config_option own_options[] = {
    {.key = "scheme",
     .type = CONFIG_STRING,
     .offset = AT(scheme),
     .fallback = "http",
     .choices = schemes,
     .help = "http or https"},
    {.key = "path_prefix",
     .type = CONFIG_STRING,
     .offset = AT(path_prefix),
     .fallback = "/",
     .help = "before /api/v2/alerts"},
    {.key = "api_version",
     .type = CONFIG_STRING,
     .offset = AT(api_version),
     .fallback = "v2",
     .choices = versions,
     .help = "v2"},
    {.key = "timeout",
     .type = CONFIG_DURATION,
     .offset = AT(timeout_ms),
     .fallback = "10s",
     .min = 1,
     .max = 3600 * 1000,
     .help = "for the whole exchange"},
    {.key = "static_configs",
     .type = CONFIG_NODE,
     .offset = AT(static_configs),
     .required = true,
     .help = "targets: [host:port]"},
};
#undef AT

static int keep_url(struct alerting *alerting, const struct target_keys *keys,
                    const char *address, const char **ret_url)
{
    struct buf url = {0};
    char *copy;
    size_t size = strlen(keys->path_prefix);

    while (size > 0 && keys->path_prefix[size - 1] == '/')
        size--;
    buf_printf(&url, "%s://%s%s%.*s/api/v2/alerts", keys->scheme, address,
               size > 0 && keys->path_prefix[0] != '/' ? "/" : "", (int)size,
               keys->path_prefix);
    copy = buf_ok(&url) ? arena_alloc(&alerting->arena, url.size + 1, 1) : NULL;
    if (copy != NULL)
        memcpy(copy, buf_text(&url), url.size);
    buf_done(&url);
    *ret_url = copy;
    return copy == NULL ? ERR_NOMEM : 0;
}

static int add_target(struct alerting *alerting, const struct config_node *node,
                      const struct target_keys *keys, const char *address,
                      struct diagnosis *why)
{
    struct forward_target *target = &alerting->targets[alerting->target_count];
    const struct http_reading reading = {alerting->config, &alerting->arena};
    int error;

    if (alerting->target_count == FORWARD_TARGETS_MAX)
        return config_complain(alerting->config, node, why, "more than %d alertmanagers",
                               FORWARD_TARGETS_MAX);
    if (address[0] == '\0' || strpbrk(address, "/ \t\r\n@?#") != NULL)
        return config_complain(alerting->config, node, why,
                               "targets: \"%s\" is not of the form host:port", address);
    target->http.timeout_ms = keys->timeout_ms;
    error = http_settings_use(&reading, node, &keys->http, &target->http, why);
    if (error == 0)
        error = http_settings_refuse_oauth(alerting->config, node, "alertmanagers",
                                           &target->http, why);
    if (error == 0)
        error = keep_url(alerting, keys, address, &target->url);
    if (error == 0)
        alerting->target_count++;
    return error;
}

/* One of static_configs: {targets: [...], labels: {...}}. */
static int read_static(struct alerting *alerting, const struct config_node *node,
                       const struct target_keys *keys, struct diagnosis *why)
{
    struct {
        struct config_strings targets;
        const struct config_node *labels; /* of use to relabelling alone */
    } written = {0};
    const struct config_option options[] = {
        {.key = "targets",
         .type = CONFIG_STRINGS,
         .offset = (size_t)((char *)&written.targets - (char *)&written),
         .required = true,
         .help = "host:port"},
        {.key = "labels",
         .type = CONFIG_NODE,
         .offset = (size_t)((char *)&written.labels - (char *)&written),
         .help = "accepted; of no use here"},
    };
    int error = config_read(alerting->config, node, "static_configs", options, COUNT(options),
                            &written, why);
    for (size_t i = 0; error == 0 && i < written.targets.count; i++)
        error = add_target(alerting, node, keys, written.targets.items[i], why);
    return error;
}

static int read_entry(struct alerting *alerting, const struct config_node *node,
                      struct diagnosis *why)
{
    struct config_option options[HTTP_OPTIONS + COUNT(own_options)];
    struct target_keys keys = {0};
    int error;

    memcpy(options, http_settings_options, sizeof http_settings_options);
    memcpy(options + HTTP_OPTIONS, own_options, sizeof own_options);
    error = config_read(alerting->config, node, "alertmanagers", options, COUNT(options), &keys,
                        why);
    if (error != 0)
        return error;
    if (keys.static_configs->kind != CONFIG_LIST)
        return config_complain(alerting->config, keys.static_configs, why,
                               "static_configs is a list");
    for (size_t i = 0; error == 0 && i < keys.static_configs->count; i++)
        error = read_static(alerting, keys.static_configs->children[i], &keys, why);
    return error;
}

int alerting_read_targets(struct alerting *alerting, const struct config_node *list,
                          struct diagnosis *why)
{
    int error = 0;

    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(alerting->config, list, why, "alertmanagers is a list");
    alerting->targets =
        arena_alloc(&alerting->arena, FORWARD_TARGETS_MAX, sizeof *alerting->targets);
    if (alerting->targets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < list->count; i++)
        error = read_entry(alerting, list->children[i], why);
    return error;
}
