/*
 * alerting_http.c - http_config of an integration, or the global one.
 */
#include "collector/notify/alerting_parts.h"

#define TIMEOUT_MS 10000

int alerting_read_http(struct alerting *alerting, const struct config_node *node,
                       struct http_settings *http, struct diagnosis *why)
{
    const struct http_reading reading = {alerting->config, &alerting->arena};
    struct http_keys keys = {0};
    int error;

    if (http->timeout_ms == 0)
        http->timeout_ms = TIMEOUT_MS;
    if (node == NULL)
        node = alerting->global.http_config;
    if (node == NULL)
        return 0;
    error = config_read(alerting->config, node, "http_config", http_settings_options,
                        HTTP_OPTIONS, &keys, why);
    return error != 0 ? error : http_settings_use(&reading, node, &keys, http, why);
}
