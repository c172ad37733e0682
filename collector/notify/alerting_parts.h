/*
 * alerting_parts.h - between the files that read alerting.yml; for nobody else.
 */
#pragma once

#include "collector/notify/alerting_config.h"
#include "proto/base/arena.h"
#include "proto/base/config.h"

struct global_settings {
    struct email_settings email; /* what email_configs start from */
    const struct config_node *email_tls;
    const struct config_node *http_config; /* what webhook_configs start from */
    int64_t resolve_timeout_ms; /* of posted alerts; those of our rules end when they end */
};

struct alerting {
    struct config *config;
    struct arena arena; /* receivers, integrations, settings */
    struct global_settings global;
    struct receiver *receivers;
    size_t receiver_count;
    struct route *root;
};

/* Reads `global` and `receivers` into alerting->global and ->receivers. */
int alerting_read_global(struct alerting *alerting, const struct config_node *node,
                         struct diagnosis *why);
int alerting_read_receivers(struct alerting *alerting, const struct config_node *node,
                            struct diagnosis *why);
