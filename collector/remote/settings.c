/*
 * settings.c - see settings.h.
 */
#include "collector/remote/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "collector/client/http_settings.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define DAY_MS       (INT64_C(86400) * 1000)

struct entry_keys {
    struct http_keys http; /* first: the offsets of its options are into it */
    const char *url, *name, *message;
    int64_t timeout_ms;
    bool send_exemplars, send_histograms;
    const struct config_node *headers, *relabel, *queue, *metadata;
};

static const char *const messages[] = {"prometheus.WriteRequest",
                                       "io.prometheus.write.v2.Request", NULL};

#define AT(field) offsetof(struct entry_keys, field)
static const struct config_option entry_options[] = {
    {.key = "url", .type = CONFIG_STRING, .offset = AT(url), .required = true,
     .help = "where samples are posted to"},
    {.key = "name", .type = CONFIG_STRING, .offset = AT(name),
     .help = "in metrics and logs; what was sent is remembered by it"},
    {.key = "remote_timeout", .type = CONFIG_DURATION, .offset = AT(timeout_ms),
     .fallback = "30s", .min = 10, .max = DAY_MS, .help = "of one request"},
    {.key = "headers", .type = CONFIG_NODE, .offset = AT(headers), .help = "more of them"},
    {.key = "write_relabel_configs", .type = CONFIG_NODE, .offset = AT(relabel),
     .help = "rules that keep, drop and rewrite series"},
    {.key = "queue_config", .type = CONFIG_NODE, .offset = AT(queue),
     .help = "how much, how often"},
    {.key = "metadata_config", .type = CONFIG_NODE, .offset = AT(metadata),
     .help = "types and helps, with 1.0"},
    {.key = "protobuf_message", .type = CONFIG_STRING, .offset = AT(message),
     .fallback = "prometheus.WriteRequest", .choices = messages, .help = "1.0 or 2.0"},
    {.key = "send_exemplars", .type = CONFIG_BOOL, .offset = AT(send_exemplars),
     .fallback = "false", .help = "there are none to send"},
    {.key = "send_native_histograms", .type = CONFIG_BOOL, .offset = AT(send_histograms),
     .fallback = "false", .help = "there are none to send"},
};
#undef AT

#define AT(field) offsetof(struct remote_settings, field)
static const struct config_option queue_options[] = {
    {.key = "max_shards", .type = CONFIG_INTEGER, .offset = AT(max_shards), .fallback = "50",
     .min = 1, .max = 100000, .help = "requests at a time, at most"},
    {.key = "min_shards", .type = CONFIG_INTEGER, .offset = AT(min_shards), .fallback = "1",
     .min = 1, .max = 100000, .help = "the same, at least"},
    {.key = "max_samples_per_send", .type = CONFIG_INTEGER, .offset = AT(max_samples_per_send),
     .fallback = "2000", .min = 1, .max = 1000000, .help = "samples in a request"},
    {.key = "batch_send_deadline", .type = CONFIG_DURATION, .offset = AT(batch_deadline_ms),
     .fallback = "5s", .min = 1, .max = 3600 * 1000, .help = "a sample waits no longer for more"},
    {.key = "min_backoff", .type = CONFIG_DURATION, .offset = AT(min_backoff_ms),
     .fallback = "30ms", .min = 1, .max = DAY_MS, .help = "first pause after a failure"},
    {.key = "max_backoff", .type = CONFIG_DURATION, .offset = AT(max_backoff_ms),
     .fallback = "5s", .min = 1, .max = DAY_MS, .help = "longest pause"},
    {.key = "retry_on_http_429", .type = CONFIG_BOOL, .offset = AT(retries_429),
     .fallback = "true", .help = "false: what a receiver puts off is set aside"},
    {.key = "sample_age_limit", .type = CONFIG_DURATION, .offset = AT(sample_age_limit_ms),
     .fallback = "0s", .min = 0, .max = 36500 * DAY_MS,
     .help = "older samples are not sent; 0: all"},
};

static const struct config_option metadata_options[] = {
    {.key = "send", .type = CONFIG_BOOL, .offset = AT(sends_metadata), .fallback = "true",
     .help = "whether"},
    {.key = "send_interval", .type = CONFIG_DURATION, .offset = AT(metadata_interval_ms),
     .fallback = "1m", .min = 100, .max = DAY_MS, .help = "how often"},
    {.key = "max_samples_per_send", .type = CONFIG_INTEGER, .offset = AT(metadata_per_send),
     .fallback = "2000", .min = 1, .max = 1000000, .help = "metrics in a message"},
};
#undef AT

/* `capacity` has no field of its own: nobody asks for it. */
static int read_queue(struct config *config, const struct config_node *node,
                      struct remote_settings *settings, struct diagnosis *why)
{
    struct {
        struct remote_settings settings; /* first: offsets are into it */
        int64_t capacity;
    } read = {.settings = *settings};
    struct config_option options[COUNT(queue_options) + 1];
    memcpy(options, queue_options, sizeof queue_options);
    options[COUNT(queue_options)] = (struct config_option){
        .key = "capacity", .type = CONFIG_INTEGER,
        .offset = (size_t)((char *)&read.capacity - (char *)&read), .min = 1,
        .max = INT64_C(1000000000), .help = "read and of no consequence: the queue is on disk"};
    int error = config_read(config, node, "queue_config", options, COUNT(options), &read, why);
    if (error != 0)
        return error;
    *settings = read.settings;
    if (settings->min_shards > settings->max_shards)
        return config_complain(config, node, why, "queue_config: min_shards exceeds max_shards");
    if (settings->min_backoff_ms > settings->max_backoff_ms)
        return config_complain(config, node, why, "queue_config: min_backoff exceeds max_backoff");
    if (settings->max_shards > REMOTE_SHARDS_MAX)
        settings->max_shards = REMOTE_SHARDS_MAX;
    if (settings->min_shards > settings->max_shards)
        settings->min_shards = settings->max_shards;
    return 0;
}

static bool is_reserved(const char *name)
{
    static const char *const reserved[] = {
        "authorization", "host", "content-encoding", "content-length", "content-type",
        "x-prometheus-remote-write-version", "user-agent", "connection", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
        "transfer-encoding", "expect"};
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (strcasecmp(reserved[i], name) == 0)
            return true;
    return false;
}

static int read_headers(struct config *config, const struct config_node *node,
                        struct remote_settings *settings, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP)
        return config_complain(config, node, why, "headers is a map of names and texts");
    settings->headers = calloc(node->count + 1, sizeof *settings->headers);
    if (settings->headers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        if (child->kind != CONFIG_SCALAR || strpbrk(child->text, "\r\n") != NULL ||
            strpbrk(child->key, ": \t\r\n") != NULL || child->key[0] == '\0')
            return config_complain(config, child, why, "headers: \"%s\" cannot be sent",
                                   child->key);
        if (is_reserved(child->key))
            return config_complain(config, child, why,
                                   "headers: %s is set by the collector itself", child->key);
        settings->headers[settings->header_count++] =
            (struct remote_header){child->key, child->text};
    }
    return 0;
}

/* A name is part of a path and of a key in the store. */
static bool is_name(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= REMOTE_NAME_BYTES_MAX && name[0] != '.' &&
           strcmp(name, "spill") != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

static int take_name(struct config *config, const struct config_node *entry,
                     const struct entry_keys *keys, struct remote_settings *settings,
                     struct diagnosis *why)
{
    if (keys->name != NULL && !is_name(keys->name))
        return config_complain(config, entry, why,
                               "remote_write: a name has letters, digits, \".\", \"_\" and \"-\", "
                               "at most %d, and is not \"spill\": \"%s\"",
                               REMOTE_NAME_BYTES_MAX, keys->name);
    if (keys->name != NULL)
        (void)snprintf(settings->name, sizeof settings->name, "%s", keys->name);
    else
        (void)snprintf(settings->name, sizeof settings->name, "%06x",
                       (unsigned)(XXH3_64bits(keys->url, strlen(keys->url)) & 0xffffff));
    return 0;
}

int remote_settings_read(struct config *config, const struct config_node *entry,
                         struct remote_settings *settings, struct diagnosis *why)
{
    struct config_option options[HTTP_OPTIONS + COUNT(entry_options)];
    const struct http_reading reading = {.config = config}; /* oauth2 is refused before */
    struct entry_keys keys = {0};

    *settings = (struct remote_settings){0};
    memcpy(options, http_settings_options, sizeof http_settings_options);
    memcpy(options + HTTP_OPTIONS, entry_options, sizeof entry_options);
    int error =
        config_read(config, entry, "remote_write", options, COUNT(options), &keys, why);
    if (error == 0 && strncmp(keys.url, "http://", 7) != 0 &&
        strncmp(keys.url, "https://", 8) != 0)
        error = config_complain(config, config_child(entry, "url"), why,
                                "remote_write: the url must begin with http:// or https://");
    if (error == 0 && keys.http.oauth2 != NULL)
        error = config_complain(config, keys.http.oauth2, why,
                                "remote_write: oauth2 is not there; use authorization with a "
                                "token that a helper renews in credentials_file");
    if (error == 0)
        error = http_settings_use(&reading, entry, &keys.http, &settings->http, why);
    if (error == 0)
        error = take_name(config, entry, &keys, settings, why);
    if (error == 0)
        error = read_headers(config, keys.headers, settings, why);
    if (error == 0)
        error = relabel_read(config, keys.relabel, &settings->relabel, why);
    if (error == 0)
        error = read_queue(config, keys.queue, settings, why);
    if (error == 0)
        error = config_read(config, keys.metadata, "metadata_config", metadata_options,
                            COUNT(metadata_options), settings, why);
    if (error != 0)
        return error;
    settings->url = keys.url;
    settings->http.timeout_ms = keys.timeout_ms;
    settings->is_v2 = strcmp(keys.message, messages[1]) == 0;
    return 0;
}

void remote_settings_done(struct remote_settings *settings)
{
    free(settings->headers);
    relabel_free(settings->relabel);
    *settings = (struct remote_settings){0};
}

int remote_settings_check(struct config *config, const struct config_node *list,
                          struct diagnosis *why)
{
    char names[REMOTE_TARGETS_MAX][REMOTE_NAME_BYTES_MAX + 1];
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST || list->count > REMOTE_TARGETS_MAX)
        return config_complain(config, list, why, "remote_write is a list of at most %d",
                               REMOTE_TARGETS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct remote_settings settings;
        int error = remote_settings_read(config, list->children[i], &settings, why);
        memcpy(names[i], settings.name, sizeof settings.name);
        remote_settings_done(&settings);
        if (error != 0)
            return error;
        for (size_t k = 0; k < i; k++)
            if (strcmp(names[k], names[i]) == 0)
                return config_complain(config, list->children[i], why,
                                       "remote_write: two have the name \"%s\"", names[i]);
    }
    return 0;
}
