/*
 * alerting_receiver.c - global settings, webhooks and mails of alerting.yml, receivers.
 *
 * A secret may stand in the file or, better, in a file of its own (*_file); it is read when it is
 * needed, so that changing a password needs no reload.
 */
#include <stdlib.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/template.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HOUR_MS      (3600 * 1000)

/* ---- pieces that several maps share ------------------------------------------------------ */

int alerting_read_tls(struct alerting *alerting, const struct config_node *node,
                      struct tls_settings *tls, struct diagnosis *why)
{
    static const struct config_option options[] = {
        {.key = "ca_file", .type = CONFIG_FILE, .offset = offsetof(struct tls_settings, ca_file),
         .help = "PEM file of trusted authorities"},
        {.key = "insecure_skip_verify", .type = CONFIG_BOOL,
         .offset = offsetof(struct tls_settings, insecure_skip_verify),
         .help = "accept any certificate"},
    };
    if (node == NULL)
        return 0;
    return config_read(alerting->config, node, "tls_config", options, COUNT(options), tls, why);
}

struct basic_keys {
    const char *username, *password, *password_file;
};
struct authorization_keys {
    const char *type, *credentials, *credentials_file;
};
struct http_keys {
    const struct config_node *basic, *authorization, *tls;
    const char *bearer, *bearer_file;
    bool follow_redirects, enable_http2;
};

static int read_authorization(struct alerting *alerting, const struct config_node *node,
                              struct http_settings *http, struct diagnosis *why)
{
    static const char *const types[] = {"Bearer", NULL};
    static const struct config_option options[] = {
        {.key = "type", .type = CONFIG_STRING,
         .offset = offsetof(struct authorization_keys, type), .choices = types,
         .help = "Bearer"},
        {.key = "credentials", .type = CONFIG_STRING,
         .offset = offsetof(struct authorization_keys, credentials), .help = "the token"},
        {.key = "credentials_file", .type = CONFIG_FILE,
         .offset = offsetof(struct authorization_keys, credentials_file),
         .help = "a file that holds it"},
    };
    struct authorization_keys keys = {0};
    int error = config_read(alerting->config, node, "authorization", options, COUNT(options),
                            &keys, why);
    http->bearer = keys.credentials;
    http->bearer_file = keys.credentials_file;
    return error;
}

static int read_basic(struct alerting *alerting, const struct config_node *node,
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
        config_read(alerting->config, node, "basic_auth", options, COUNT(options), &keys, why);
    http->username = keys.username;
    http->password = keys.password;
    http->password_file = keys.password_file;
    return error;
}

#define AT(field) offsetof(struct http_keys, field)
static const struct config_option http_options[] = {
    {.key = "basic_auth", .type = CONFIG_NODE, .offset = AT(basic), .help = "user, password"},
    {.key = "authorization", .type = CONFIG_NODE, .offset = AT(authorization),
     .help = "type, credentials"},
    {.key = "bearer_token", .type = CONFIG_STRING, .offset = AT(bearer), .help = "the token"},
    {.key = "bearer_token_file", .type = CONFIG_FILE, .offset = AT(bearer_file),
     .help = "a file that holds it"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
    {.key = "follow_redirects", .type = CONFIG_BOOL, .offset = AT(follow_redirects),
     .fallback = "true", .help = "accepted; redirects are never followed with a body"},
    {.key = "enable_http2", .type = CONFIG_BOOL, .offset = AT(enable_http2),
     .fallback = "true", .help = "accepted; libcurl decides"},
};
#undef AT

int alerting_read_http(struct alerting *alerting, const struct config_node *node,
                       struct http_settings *http, struct diagnosis *why)
{
    struct http_keys keys = {0};
    int error;

    if (http->timeout_ms == 0)
        http->timeout_ms = 10000;
    if (node == NULL)
        node = alerting->global.http_config;
    if (node == NULL)
        return 0;
    error = config_read(alerting->config, node, "http_config", http_options,
                        COUNT(http_options), &keys, why);
    http->bearer = keys.bearer;
    http->bearer_file = keys.bearer_file;
    if (error == 0 && keys.authorization != NULL)
        error = read_authorization(alerting, keys.authorization, http, why);
    if (error == 0 && keys.basic != NULL)
        error = read_basic(alerting, keys.basic, http, why);
    if (error == 0)
        error = alerting_read_tls(alerting, keys.tls, &http->tls, why);
    return error;
}

int alerting_check_url(struct alerting *alerting, const struct config_node *node,
                       const char *where, const char *url, const char *url_file,
                       struct diagnosis *why)
{
    if ((url != NULL) == (url_file != NULL))
        return config_complain(alerting->config, node, why, "%s: give either url or url_file",
                               where);
    if (url != NULL && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return config_complain(alerting->config, node, why,
                               "%s.url: \"%s\" is no http:// or https:// URL", where, url);
    return 0;
}

int alerting_check_template(struct alerting *alerting, const struct config_node *node,
                            const char *text, struct diagnosis *why)
{
    struct diagnosis inner = {0};
    int error = template_check(text, &inner);
    if (error == 0)
        return 0;
    return config_complain(alerting->config, node, why, "%s: %s",
                           node->key != NULL ? node->key : "template", inner.text);
}

/* ---- webhook_configs --------------------------------------------------------------------- */

struct webhook_keys {
    struct webhook_settings webhook;
    const struct config_node *http;
    bool send_resolved;
};

#define AT(field) offsetof(struct webhook_keys, field)
static const struct config_option webhook_options[] = {
    {.key = "url", .type = CONFIG_STRING, .offset = AT(webhook.url), .help = "where to POST"},
    {.key = "url_file", .type = CONFIG_FILE, .offset = AT(webhook.url_file),
     .help = "a file that holds the URL"},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "true", .help = "tell when an alert ends"},
    {.key = "max_alerts", .type = CONFIG_INTEGER, .offset = AT(webhook.max_alerts),
     .fallback = "0", .min = 0, .max = 1000000, .help = "alerts a message; 0: all"},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(webhook.http.timeout_ms),
     .fallback = "10s", .min = 0, .max = HOUR_MS, .help = "for the whole exchange; 0: 10s"},
    {.key = "http_config", .type = CONFIG_NODE, .offset = AT(http), .help = "auth and TLS"},
};
#undef AT

static int read_webhook(struct alerting *alerting, const struct config_node *node,
                        struct integration *integration, struct diagnosis *why)
{
    struct webhook_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    error = config_read(alerting->config, node, "webhook_configs", webhook_options,
                        COUNT(webhook_options), keys, why);
    if (error != 0)
        return error;
    error = alerting_check_url(alerting, node, "webhook_configs", keys->webhook.url,
                               keys->webhook.url_file, why);
    if (error != 0)
        return error;
    error = alerting_read_http(alerting, keys->http, &keys->webhook.http, why);
    *integration = (struct integration){.channel = &channel_webhook,
                                        .send_resolved = keys->send_resolved,
                                        .settings = &keys->webhook};
    return error;
}

/* ---- email_configs ----------------------------------------------------------------------- */

struct email_keys {
    struct email_settings email;
    const struct config_node *headers, *tls;
    bool send_resolved;
};

#define AT(field) offsetof(struct email_keys, field)
static const struct config_option email_options[] = {
    {.key = "to", .type = CONFIG_STRING, .offset = AT(email.to), .required = true,
     .help = "addresses, with commas"},
    {.key = "from", .type = CONFIG_STRING, .offset = AT(email.from), .help = "the sender"},
    {.key = "smarthost", .type = CONFIG_STRING, .offset = AT(email.smarthost),
     .help = "host:port of the mail server"},
    {.key = "hello", .type = CONFIG_STRING, .offset = AT(email.hello), .help = "EHLO name"},
    {.key = "auth_username", .type = CONFIG_STRING, .offset = AT(email.username),
     .help = "SMTP user"},
    {.key = "auth_password", .type = CONFIG_STRING, .offset = AT(email.password),
     .help = "SMTP password"},
    {.key = "auth_password_file", .type = CONFIG_FILE, .offset = AT(email.password_file),
     .help = "a file that holds it"},
    {.key = "require_tls", .type = CONFIG_BOOL, .offset = AT(email.require_tls),
     .help = "STARTTLS or no mail"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "false", .help = "tell when an alert ends"},
    {.key = "headers", .type = CONFIG_NODE, .offset = AT(headers),
     .help = "further headers, or another Subject; templates"},
    {.key = "text", .type = CONFIG_STRING, .offset = AT(email.text),
     .help = "another text; a template"},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(email.timeout_ms), .min = 1,
     .max = HOUR_MS, .help = "for the whole exchange"},
};
#undef AT

static int read_headers(struct alerting *alerting, const struct config_node *node,
                        struct email_settings *email, struct diagnosis *why)
{
    struct email_header *headers;

    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP)
        return config_complain(alerting->config, node, why, "headers is a map");
    headers = arena_alloc(&alerting->arena, node->count + 1, sizeof *headers);
    if (headers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *pair = node->children[i];
        if (pair->kind != CONFIG_SCALAR)
            return config_complain(alerting->config, pair, why, "a header is a text");
        if (pair->key[0] == '\0' || strpbrk(pair->key, ": \t\r\n") != NULL)
            return config_complain(alerting->config, pair, why, "\"%s\" is no header name",
                                   pair->key);
        if (alerting_check_template(alerting, pair, pair->text, why) != 0)
            return ERR_INVALID;
        headers[i] = (struct email_header){pair->key, pair->text};
    }
    email->headers = headers;
    email->header_count = node->count;
    return 0;
}

static int check_email(struct alerting *alerting, const struct config_node *node,
                       const struct email_settings *email, struct diagnosis *why)
{
    if (email->from == NULL)
        return config_complain(alerting->config, node, why,
                               "email_configs: no from, and no global smtp_from");
    if (email->smarthost == NULL || strchr(email->smarthost, ':') == NULL)
        return config_complain(alerting->config, node, why,
                               "email_configs: smarthost (or global smtp_smarthost) must be "
                               "host:port");
    /* Addresses go into headers and commands: a line break would add its own. */
    if (email->to[0] == '\0' || strpbrk(email->to, "\r\n") != NULL ||
        strpbrk(email->from, "\r\n") != NULL)
        return config_complain(alerting->config, node, why, "email_configs: bad address");
    if (email->text != NULL)
        return alerting_check_template(alerting, config_child(node, "text"), email->text, why);
    return 0;
}

static int read_email(struct alerting *alerting, const struct config_node *node,
                      struct integration *integration, struct diagnosis *why)
{
    struct email_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    keys->email = alerting->global.email;
    keys->tls = alerting->global.email_tls;
    error = config_read(alerting->config, node, "email_configs", email_options,
                        COUNT(email_options), keys, why);
    if (error == 0)
        error = alerting_read_tls(alerting, keys->tls, &keys->email.tls, why);
    if (error == 0)
        error = read_headers(alerting, keys->headers, &keys->email, why);
    if (error == 0)
        error = check_email(alerting, node, &keys->email, why);
    *integration = (struct integration){.channel = &channel_email,
                                        .send_resolved = keys->send_resolved,
                                        .settings = &keys->email};
    return error;
}

/* ---- global, receivers ------------------------------------------------------------------- */

#define AT(field) offsetof(struct global_settings, field)
static const struct config_option global_options[] = {
    {.key = "smtp_smarthost", .type = CONFIG_STRING, .offset = AT(email.smarthost),
     .help = "host:port of the mail server"},
    {.key = "smtp_from", .type = CONFIG_STRING, .offset = AT(email.from), .help = "the sender"},
    {.key = "smtp_hello", .type = CONFIG_STRING, .offset = AT(email.hello),
     .fallback = "localhost", .help = "EHLO name"},
    {.key = "smtp_auth_username", .type = CONFIG_STRING, .offset = AT(email.username),
     .help = "SMTP user"},
    {.key = "smtp_auth_password", .type = CONFIG_STRING, .offset = AT(email.password),
     .help = "SMTP password"},
    {.key = "smtp_auth_password_file", .type = CONFIG_FILE, .offset = AT(email.password_file),
     .help = "a file that holds it"},
    {.key = "smtp_require_tls", .type = CONFIG_BOOL, .offset = AT(email.require_tls),
     .fallback = "true", .help = "STARTTLS or no mail"},
    {.key = "smtp_tls_config", .type = CONFIG_NODE, .offset = AT(email_tls),
     .help = "ca_file, insecure_skip_verify"},
    {.key = "resolve_timeout", .type = CONFIG_DURATION, .offset = AT(resolve_timeout_ms),
     .fallback = "5m", .help = "accepted; our alerts end when their condition does"},
    {.key = "http_config", .type = CONFIG_NODE, .offset = AT(http_config),
     .help = "auth and TLS of webhooks that have none of their own"},
    {.key = "wechat_api_url", .type = CONFIG_STRING, .offset = AT(wechat_api_url),
     .fallback = "https://qyapi.weixin.qq.com/cgi-bin/", .help = "of WeCom's applications"},
    {.key = "wechat_api_secret", .type = CONFIG_STRING, .offset = AT(wechat_api_secret),
     .help = "the application's secret"},
    {.key = "wechat_api_secret_file", .type = CONFIG_FILE, .offset = AT(wechat_api_secret_file),
     .help = "a file that holds it"},
    {.key = "wechat_api_corp_id", .type = CONFIG_STRING, .offset = AT(wechat_api_corp_id),
     .help = "the company's id"},
};
#undef AT

int alerting_read_global(struct alerting *alerting, const struct config_node *node,
                         struct diagnosis *why)
{
    alerting->global.email.timeout_ms = 30000;
    return config_read(alerting->config, node, "global", global_options, COUNT(global_options),
                       &alerting->global, why);
}

struct receiver_keys {
    const char *name, *escalation;
    const struct config_node *webhooks, *emails, *dingtalks, *wecoms, *feishus,
        *programs, *sms, *smpps, *wechats;
};

static int read_integrations(struct alerting *alerting, const struct config_node *list,
                             alerting_read_integration *read, struct receiver *receiver,
                             struct diagnosis *why)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        struct integration *slot = &receiver->integrations[receiver->integration_count];
        int error;
        if (receiver->integration_count >= INTEGRATIONS_MAX)
            return config_complain(alerting->config, list, why,
                                   "more than %zu integrations in one receiver",
                                   INTEGRATIONS_MAX);
        error = read(alerting, list->children[i], slot, why);
        if (error != 0)
            return error;
        slot->index = (unsigned)i;
        receiver->integration_count++;
    }
    return 0;
}

#define AT(field) offsetof(struct receiver_keys, field)
static const struct config_option receiver_options[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = AT(name),
     .required = true, .help = "what routes call it"},
    {.key = "webhook_configs", .type = CONFIG_NODE, .offset = AT(webhooks),
     .help = "HTTP POSTs"},
    {.key = "email_configs", .type = CONFIG_NODE, .offset = AT(emails),
     .help = "mails"},
    {.key = "dingtalk_configs", .type = CONFIG_NODE, .offset = AT(dingtalks),
     .help = "DingTalk robots"},
    {.key = "wecom_configs", .type = CONFIG_NODE, .offset = AT(wecoms),
     .help = "WeCom robots"},
    {.key = "feishu_configs", .type = CONFIG_NODE, .offset = AT(feishus),
     .help = "Feishu robots"},
    {.key = "program_configs", .type = CONFIG_NODE, .offset = AT(programs),
     .help = "programs on this host"},
    {.key = "sms_configs", .type = CONFIG_NODE, .offset = AT(sms),
     .help = "text messages through an HTTP gateway"},
    {.key = "smpp_configs", .type = CONFIG_NODE, .offset = AT(smpps),
     .help = "text messages through a carrier's SMPP server"},
    {.key = "wechat_configs", .type = CONFIG_NODE, .offset = AT(wechats),
     .help = "applications of WeCom"},
    {.key = "escalation", .type = CONFIG_STRING, .offset = AT(escalation),
     .help = "who is told after whom, in duty.yml"},
};
#undef AT

int alerting_read_integrations(struct alerting *alerting, const struct config_node *node,
                               bool may_escalate, struct receiver *receiver,
                               struct diagnosis *why)
{
    struct receiver_keys keys = {0};
    const size_t count = COUNT(receiver_options) - (may_escalate ? 0 : 1);
    int error = config_read(alerting->config, node,
                            may_escalate ? "receivers" : "contact_channels", receiver_options,
                            count, &keys, why);
    if (error != 0)
        return error;
    receiver->name = keys.name;
    receiver->integrations = arena_alloc(&alerting->arena, INTEGRATIONS_MAX,
                                         sizeof *receiver->integrations);
    if (receiver->integrations == NULL)
        return ERR_NOMEM;
    const struct {
        const struct config_node *list;
        alerting_read_integration *read;
    } kinds[] = {{keys.webhooks, read_webhook},
                 {keys.emails, read_email},
                 {keys.dingtalks, alerting_read_dingtalk},
                 {keys.wecoms, alerting_read_wecom},
                 {keys.feishus, alerting_read_feishu},
                 {keys.programs, alerting_read_program},
                 {keys.sms, alerting_read_sms},
                 {keys.smpps, alerting_read_smpp},
                 {keys.wechats, alerting_read_wechat}};
    for (size_t i = 0; error == 0 && i < COUNT(kinds); i++)
        error = read_integrations(alerting, kinds[i].list, kinds[i].read, receiver, why);
    return error != 0
               ? error
               : alerting_read_escalation(alerting, node, keys.escalation, receiver, why);
}

static int read_receiver(struct alerting *alerting, const struct config_node *node,
                         struct receiver *receiver, struct diagnosis *why)
{
    int error = alerting_read_integrations(alerting, node, true, receiver, why);
    if (error != 0)
        return error;
    if (strncmp(receiver->name, CONTACT_RECEIVER_PREFIX, strlen(CONTACT_RECEIVER_PREFIX)) == 0)
        return config_complain(alerting->config, node, why,
                               "receivers are not called " CONTACT_RECEIVER_PREFIX
                               "...: those are the persons of duty.yml");
    if (alerting_receiver(alerting, receiver->name) != NULL)
        return config_complain(alerting->config, node, why, "receiver \"%s\" is there twice",
                               receiver->name);
    return 0;
}

int alerting_read_receivers(struct alerting *alerting, const struct config_node *list,
                            struct diagnosis *why)
{
    if (list->kind != CONFIG_LIST || list->count == 0)
        return config_complain(alerting->config, list, why, "receivers is a list of at least 1");
    if (list->count > RECEIVERS_MAX)
        return config_complain(alerting->config, list, why, "more than %zu receivers",
                               RECEIVERS_MAX);
    alerting->receivers =
        arena_alloc(&alerting->arena, list->count, sizeof *alerting->receivers);
    if (alerting->receivers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        int error = read_receiver(alerting, list->children[i], &alerting->receivers[i], why);
        if (error != 0)
            return error;
        alerting->receiver_count++;
    }
    return 0;
}
