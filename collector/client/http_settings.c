/*
 * http_settings.c - see http_settings.h.
 */
#include "collector/client/http_settings.h"

#include <string.h>
#include <strings.h>

#include "proto/base/buf.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define AT(field) offsetof(struct tls_settings, field)
static const char *const versions[] = {"TLS10", "TLS11", "TLS12", "TLS13", NULL};
static const struct config_option tls_options[] = {
    {.key = "ca", .type = CONFIG_STRING, .offset = AT(ca), .help = "trusted authorities, PEM"},
    {.key = "ca_file", .type = CONFIG_FILE, .offset = AT(ca_file), .help = "the same in a file"},
    {.key = "cert", .type = CONFIG_STRING, .offset = AT(cert), .help = "our certificate, PEM"},
    {.key = "cert_file", .type = CONFIG_FILE, .offset = AT(cert_file),
     .help = "the same in a file"},
    {.key = "key", .type = CONFIG_STRING, .offset = AT(key), .help = "its private key, PEM"},
    {.key = "key_file", .type = CONFIG_FILE, .offset = AT(key_file),
     .help = "the same in a file"},
    {.key = "server_name", .type = CONFIG_STRING, .offset = AT(server_name),
     .help = "the name its certificate must bear"},
    {.key = "insecure_skip_verify", .type = CONFIG_BOOL, .offset = AT(insecure_skip_verify),
     .help = "accept any certificate"},
    {.key = "min_version", .type = CONFIG_STRING, .offset = AT(min_version),
     .choices = versions, .help = "TLS10 ... TLS13"},
    {.key = "max_version", .type = CONFIG_STRING, .offset = AT(max_version),
     .choices = versions, .help = "TLS10 ... TLS13"},
};
#undef AT

int http_settings_read_tls(struct config *config, const struct config_node *node,
                           struct tls_settings *tls, struct diagnosis *why)
{
    int error;

    if (node == NULL)
        return 0;
    *tls = (struct tls_settings){0};
    error = config_read(config, node, "tls_config", tls_options, COUNT(tls_options),
                        tls, why);
    if (error != 0)
        return error;
    if ((tls->ca != NULL && tls->ca_file != NULL) ||
        (tls->cert != NULL && tls->cert_file != NULL) ||
        (tls->key != NULL && tls->key_file != NULL))
        return config_complain(config, node, why,
                               "tls_config: give a text or a file, not both");
    if ((tls->cert != NULL || tls->cert_file != NULL) !=
        (tls->key != NULL || tls->key_file != NULL))
        return config_complain(config, node, why,
                               "tls_config: a certificate and its key go together");
    return 0;
}

int http_settings_check_url(struct config *config, const struct config_node *node,
                            const char *where, const char *url, const char *url_file,
                            struct diagnosis *why)
{
    if ((url != NULL) == (url_file != NULL))
        return config_complain(config, node, why, "%s: give either url or url_file", where);
    if (url != NULL && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return config_complain(config, node, why, "%s.url: \"%s\" is no http:// or https:// URL",
                               where, url);
    return 0;
}

struct authorization_keys {
    const char *type, *credentials, *credentials_file;
};

static int read_authorization(const struct http_reading *reading, const struct config_node *node,
                              struct http_settings *http, struct diagnosis *why)
{
    static const struct config_option options[] = {
        {.key = "type", .type = CONFIG_STRING,
         .offset = offsetof(struct authorization_keys, type), .fallback = "Bearer",
         .help = "the word before it"},
        {.key = "credentials", .type = CONFIG_STRING,
         .offset = offsetof(struct authorization_keys, credentials), .help = "the token"},
        {.key = "credentials_file", .type = CONFIG_FILE,
         .offset = offsetof(struct authorization_keys, credentials_file),
         .help = "a file that holds it"},
    };
    struct authorization_keys keys = {0};
    int error = config_read(reading->config, node, "authorization", options, COUNT(options),
                            &keys, why);
    if (error != 0)
        return error;
    if (strcasecmp(keys.type, "basic") == 0)
        return config_complain(reading->config, node, why,
                               "authorization: the type Basic is what basic_auth is for");
    if (strpbrk(keys.type, " \t\r\n") != NULL)
        return config_complain(reading->config, node, why, "authorization: type is one word");
    if (keys.credentials != NULL && keys.credentials_file != NULL)
        return config_complain(reading->config, node, why,
                               "authorization: give credentials or credentials_file");
    http->scheme = keys.type;
    http->bearer = keys.credentials;
    http->bearer_file = keys.credentials_file;
    return 0;
}

struct basic_keys {
    const char *username, *password, *password_file;
};

static int read_basic(const struct http_reading *reading, const struct config_node *node,
                      struct http_settings *http, struct diagnosis *why)
{
    static const struct config_option options[] = {
        {.key = "username", .type = CONFIG_STRING,
         .offset = offsetof(struct basic_keys, username), .required = true, .help = "user"},
        {.key = "password", .type = CONFIG_STRING,
         .offset = offsetof(struct basic_keys, password), .help = "password"},
        {.key = "password_file", .type = CONFIG_FILE,
         .offset = offsetof(struct basic_keys, password_file), .help = "a file that holds it"},
    };
    struct basic_keys keys = {0};
    int error =
        config_read(reading->config, node, "basic_auth", options, COUNT(options), &keys, why);
    if (error == 0 && keys.password != NULL && keys.password_file != NULL)
        error = config_complain(reading->config, node, why,
                                "basic_auth: give password or password_file");
    http->username = keys.username;
    http->password = keys.password;
    http->password_file = keys.password_file;
    return error;
}

struct oauth_keys {
    struct oauth_settings oauth;
    struct config_strings scopes;
    const struct config_node *params, *tls;
    const char *proxy_url, *no_proxy;
    bool proxy_from_environment;
};

#define AT(field) offsetof(struct oauth_keys, field)
static const struct config_option oauth_options[] = {
    {.key = "client_id", .type = CONFIG_STRING, .offset = AT(oauth.client_id),
     .required = true, .help = "who asks for the token"},
    {.key = "client_secret", .type = CONFIG_STRING, .offset = AT(oauth.client_secret),
     .help = "its secret"},
    {.key = "client_secret_file", .type = CONFIG_FILE, .offset = AT(oauth.client_secret_file),
     .help = "a file that holds it"},
    {.key = "token_url", .type = CONFIG_STRING, .offset = AT(oauth.token_url),
     .required = true, .help = "where the token is asked for"},
    {.key = "scopes", .type = CONFIG_STRINGS, .offset = AT(scopes), .help = "what it is for"},
    {.key = "endpoint_params", .type = CONFIG_NODE, .offset = AT(params),
     .help = "map of further parameters"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
    {.key = "proxy_url", .type = CONFIG_STRING, .offset = AT(proxy_url),
     .help = "http://host:port"},
    {.key = "no_proxy", .type = CONFIG_STRING, .offset = AT(no_proxy),
     .help = "hosts that go past it, with commas"},
    {.key = "proxy_from_environment", .type = CONFIG_BOOL, .offset = AT(proxy_from_environment),
     .fallback = "false", .help = "https_proxy and no_proxy say"},
};
#undef AT

/* "a b"; nothing of an empty list. */
static int join_scopes(const struct http_reading *reading, const struct config_strings *scopes,
                       const char **ret_scope)
{
    struct buf text = {0};
    char *copy;
    for (size_t i = 0; i < scopes->count; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", scopes->items[i]);
    if (scopes->count == 0)
        return 0;
    copy = buf_ok(&text) ? arena_alloc(reading->arena, text.size + 1, 1) : NULL;
    if (copy != NULL)
        memcpy(copy, buf_text(&text), text.size + 1);
    buf_done(&text);
    *ret_scope = copy;
    return copy == NULL ? ERR_NOMEM : 0;
}

static int read_params(const struct http_reading *reading, const struct config_node *node,
                       struct oauth_settings *oauth, struct diagnosis *why)
{
    struct oauth_param *params;
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP)
        return config_complain(reading->config, node, why,
                               "endpoint_params is a map of name to value");
    params = arena_alloc(reading->arena, node->count + 1, sizeof *params);
    if (params == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *pair = node->children[i];
        if (pair->kind != CONFIG_SCALAR)
            return config_complain(reading->config, pair, why, "%s is not a single value",
                                   pair->key);
        params[i] = (struct oauth_param){pair->key, pair->text};
    }
    oauth->params = params;
    oauth->param_count = node->count;
    return 0;
}

static int read_oauth(const struct http_reading *reading, const struct config_node *node,
                      struct http_settings *http, struct diagnosis *why)
{
    struct oauth_keys *keys = arena_alloc(reading->arena, 1, sizeof *keys);
    struct oauth_settings *oauth;
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    oauth = &keys->oauth;
    error = config_read(reading->config, node, "oauth2", oauth_options, COUNT(oauth_options),
                        keys, why);
    if (error == 0 && oauth->client_secret != NULL && oauth->client_secret_file != NULL)
        error = config_complain(reading->config, node, why,
                                "oauth2: give client_secret or client_secret_file");
    if (error == 0)
        error = http_settings_check_url(reading->config, node, "oauth2", oauth->token_url, NULL, why);
    if (error == 0)
        error = join_scopes(reading, &keys->scopes, &oauth->scope);
    if (error == 0)
        error = read_params(reading, keys->params, oauth, why);
    oauth->http = (struct http_settings){.timeout_ms = http->timeout_ms,
                                         .proxy_url = keys->proxy_url,
                                         .no_proxy = keys->no_proxy,
                                         .proxy_from_environment = keys->proxy_from_environment};
    if (error == 0)
        error = http_settings_read_tls(reading->config, keys->tls, &oauth->http.tls, why);
    http->oauth = oauth;
    return error;
}

#define AT(field) offsetof(struct http_keys, field)
const struct config_option http_settings_options[HTTP_OPTIONS] = {
    {.key = "basic_auth", .type = CONFIG_NODE, .offset = AT(basic), .help = "user, password"},
    {.key = "authorization", .type = CONFIG_NODE, .offset = AT(authorization),
     .help = "type, credentials"},
    {.key = "bearer_token", .type = CONFIG_STRING, .offset = AT(bearer), .help = "the token"},
    {.key = "bearer_token_file", .type = CONFIG_FILE, .offset = AT(bearer_file),
     .help = "a file that holds it"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
    {.key = "follow_redirects", .type = CONFIG_BOOL, .offset = AT(follow_redirects),
     .fallback = "true", .help = "go where the answer says"},
    {.key = "enable_http2", .type = CONFIG_BOOL, .offset = AT(enable_http2),
     .fallback = "true", .help = "over TLS, if the other side can"},
    {.key = "proxy_url", .type = CONFIG_STRING, .offset = AT(proxy_url),
     .help = "http://host:port"},
    {.key = "no_proxy", .type = CONFIG_STRING, .offset = AT(no_proxy),
     .help = "hosts that go past it, with commas"},
    {.key = "proxy_from_environment", .type = CONFIG_BOOL, .offset = AT(proxy_from_environment),
     .fallback = "false", .help = "https_proxy and no_proxy say"},
    {.key = "oauth2", .type = CONFIG_NODE, .offset = AT(oauth2), .help = "client_id, token_url ..."},
};
#undef AT

int http_settings_use(const struct http_reading *reading, const struct config_node *node,
                      const struct http_keys *keys, struct http_settings *http,
                      struct diagnosis *why)
{
    const int ways = (keys->basic != NULL) + (keys->authorization != NULL) +
                     (keys->bearer != NULL) + (keys->bearer_file != NULL) +
                     (keys->oauth2 != NULL);
    int error = 0;

    if (ways > 1)
        return config_complain(reading->config, node, why,
                               "give one of basic_auth, authorization, bearer_token, "
                               "bearer_token_file and oauth2");
    if (keys->proxy_from_environment && (keys->proxy_url != NULL || keys->no_proxy != NULL))
        return config_complain(reading->config, node, why,
                               "proxy_from_environment excludes proxy_url and no_proxy");
    if (keys->no_proxy != NULL && keys->proxy_url == NULL)
        return config_complain(reading->config, node, why, "no_proxy without proxy_url");
    http->scheme = "Bearer";
    http->bearer = keys->bearer;
    http->bearer_file = keys->bearer_file;
    http->stays = !keys->follow_redirects;
    http->http_1 = !keys->enable_http2;
    http->proxy_url = keys->proxy_url;
    http->no_proxy = keys->no_proxy;
    http->proxy_from_environment = keys->proxy_from_environment;
    if (keys->authorization != NULL)
        error = read_authorization(reading, keys->authorization, http, why);
    if (error == 0 && keys->basic != NULL)
        error = read_basic(reading, keys->basic, http, why);
    if (error == 0 && keys->oauth2 != NULL)
        error = read_oauth(reading, keys->oauth2, http, why);
    if (error == 0)
        error = http_settings_read_tls(reading->config, keys->tls, &http->tls, why);
    return error;
}

int http_settings_refuse_oauth(struct config *config, const struct config_node *node,
                               const char *where, const struct http_settings *http,
                               struct diagnosis *why)
{
    if (http->oauth == NULL)
        return 0;
    return config_complain(config, node, why,
                           "%s: oauth2 is for webhook_configs; give an http_config with "
                           "credentials here",
                           where);
}
