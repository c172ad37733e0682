/*
 * settings.h - one entry of `remote_write` in collector.yml: Prometheus's own YAML.
 *
 *     remote_write:
 *       - url: https://metrics.example.org/api/v1/write
 *         name: centre
 *         write_relabel_configs: [{target_label: site, replacement: unicom}]
 *         queue_config: {max_shards: 8}
 *
 * What differs from there, because what waits lies on disk and not in memory: 429 is retried
 * unless retry_on_http_429 says no; `capacity` is read and of no consequence; more than
 * REMOTE_SHARDS_MAX shards are REMOTE_SHARDS_MAX.
 *
 * Texts belong to the configuration they were read from.
 */
#pragma once

#include "collector/client/http_settings.h"
#include "collector/remote/relabel.h"
#include "proto/base/config.h"

#define REMOTE_TARGETS_MAX    16
#define REMOTE_SHARDS_MAX     64
#define REMOTE_NAME_BYTES_MAX 64

struct remote_header {
    const char *name, *value;
};

struct remote_settings {
    const char *url;
    char name[REMOTE_NAME_BYTES_MAX + 1]; /* given, or made of the URL */
    struct http_settings http;
    struct remote_header *headers;
    size_t header_count;
    struct relabel *relabel; /* NULL: none */
    bool is_v2;
    int64_t max_shards, min_shards, max_samples_per_send;
    int64_t batch_deadline_ms, min_backoff_ms, max_backoff_ms;
    int64_t sample_age_limit_ms; /* 0: none */
    bool retries_429;
    bool sends_metadata; /* 1.0: in messages of their own */
    int64_t metadata_interval_ms, metadata_per_send;
};

/* Checks a whole list (NULL: none), names included.  ERR_INVALID with file, line and key. */
int remote_settings_check(struct config *config, const struct config_node *list,
                          struct diagnosis *why);
/* Reads an entry.  remote_settings_done() frees what it holds, after an error too. */
int remote_settings_read(struct config *config, const struct config_node *entry,
                         struct remote_settings *settings, struct diagnosis *why);
void remote_settings_done(struct remote_settings *settings);
