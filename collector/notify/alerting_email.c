/*
 * alerting_email.c - mails in alerting.yml.
 *
 * A secret may stand in the file or, better, in a file of its own (*_file); it is read when it is
 * needed, so that changing a password needs no reload.
 */
#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HOUR_MS      (3600 * 1000)

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
    {.key = "auth_secret", .type = CONFIG_STRING, .offset = AT(email.secret),
     .help = "of CRAM-MD5"},
    {.key = "auth_identity", .type = CONFIG_STRING, .offset = AT(email.identity),
     .help = "on whose behalf, of PLAIN"},
    {.key = "require_tls", .type = CONFIG_BOOL, .offset = AT(email.require_tls),
     .help = "STARTTLS or no mail"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "false", .help = "tell when an alert ends"},
    {.key = "headers", .type = CONFIG_NODE, .offset = AT(headers),
     .help = "further headers, or another Subject; templates"},
    {.key = "text", .type = CONFIG_STRING, .offset = AT(email.text),
     .help = "another text; a template"},
    {.key = "html", .type = CONFIG_STRING, .offset = AT(email.html),
     .help = "a page beside the text; a template"},
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
    if (strstr(email->from, "{{") != NULL)
        return config_complain(alerting->config, node, why,
                               "email_configs: from is an address, not a template");
    if (alerting_check_template(alerting, config_child(node, "to"), email->to, why) != 0)
        return ERR_INVALID;
    if (email->text != NULL &&
        alerting_check_template(alerting, config_child(node, "text"), email->text, why) != 0)
        return ERR_INVALID;
    if (email->html != NULL)
        return alerting_check_template(alerting, config_child(node, "html"), email->html, why);
    return 0;
}

int alerting_read_email(struct alerting *alerting, const struct config_node *node,
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
        error = http_settings_read_tls(alerting->config, keys->tls, &keys->email.tls, why);
    if (error == 0)
        error = read_headers(alerting, keys->headers, &keys->email, why);
    if (error == 0)
        error = check_email(alerting, node, &keys->email, why);
    *integration = (struct integration){.channel = &channel_email,
                                        .send_resolved = keys->send_resolved,
                                        .settings = &keys->email};
    return error;
}
