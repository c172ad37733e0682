/*
 * http_settings.h - how to reach an HTTP service: login, TLS, proxy; and reading that from YAML.
 *
 * Keys and meanings are those of Prometheus's and Alertmanager's HTTP clients: http_config and
 * tls_config of alerting.yml, and the same keys in each entry of `alertmanagers` and of
 * `remote_write`.
 *
 * Texts are the configuration's, or the arena's, and live as long as those.  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

struct tls_settings {
    const char *ca, *ca_file;     /* PEM, or a file of it; NULL both: the system's */
    const char *cert, *cert_file; /* our own; NULL both: none */
    const char *key, *key_file;
    const char *server_name; /* what the certificate must bear; NULL: the host of the URL */
    bool insecure_skip_verify;
    const char *min_version, *max_version; /* "TLS12"; NULL: libcurl's */
};

struct oauth_settings;

struct http_settings {
    int64_t timeout_ms;                              /* for the whole exchange */
    const char *username, *password, *password_file; /* basic auth; NULL: none */
    const char *bearer, *bearer_file;                /* NULL: none */
    const char *scheme;                              /* the word before it; NULL: "Bearer" */
    const struct oauth_settings *oauth; /* the request's token is the bearer; NULL: none */
    const char *proxy_url, *no_proxy;                /* NULL: none */
    bool proxy_from_environment;
    bool stays;  /* redirects are not followed */
    bool http_1; /* not HTTP/2 */
    struct tls_settings tls;
};

/* A token by client credentials (RFC 6749, 4.4). */
struct oauth_param {
    const char *name, *value;
};

struct oauth_settings {
    const char *client_id, *client_secret, *client_secret_file;
    const char *token_url;
    const char *scope; /* with blanks between; NULL: none is asked for */
    const struct oauth_param *params; /* endpoint_params */
    size_t param_count;
    struct http_settings http; /* TLS, proxy and time limit of the asking */
};

/* ---- reading --------------------------------------------------------------------------- */

struct http_reading {
    struct config *config;
    struct arena *arena; /* of what oauth2 makes; NULL: whoever reads has refused oauth2 before */
};

/* What http_config holds, and an entry of `alertmanagers` or `remote_write` at its own level. */
struct http_keys {
    const struct config_node *basic, *authorization, *tls, *oauth2;
    const char *bearer, *bearer_file, *proxy_url, *no_proxy;
    bool follow_redirects, enable_http2, proxy_from_environment;
};
#define HTTP_OPTIONS 11
/* Offsets are into struct http_keys. */
extern const struct config_option http_settings_options[HTTP_OPTIONS];
/* Checks the keys of `node` and makes settings of them; the time limit stays.  Who has no use for
 * the tokens of oauth2 asks http_settings_refuse_oauth().  ERR_INVALID with file and line. */
int http_settings_use(const struct http_reading *reading, const struct config_node *node,
                      const struct http_keys *keys, struct http_settings *http,
                      struct diagnosis *why);
/* ERR_INVALID where the settings have oauth2. */
int http_settings_refuse_oauth(struct config *config, const struct config_node *node,
                               const char *where, const struct http_settings *http,
                               struct diagnosis *why);
/* tls_config; NULL leaves *tls as it is. */
int http_settings_read_tls(struct config *config, const struct config_node *node,
                           struct tls_settings *tls, struct diagnosis *why);
/* Exactly one of url and url_file, and the url an http one. */
int http_settings_check_url(struct config *config, const struct config_node *node,
                            const char *where, const char *url, const char *url_file,
                            struct diagnosis *why);
