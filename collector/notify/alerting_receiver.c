/*
 * alerting_receiver.c - global settings, webhooks and receivers of alerting.yml.
 */
#include <stdlib.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/template.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HOUR_MS      (3600 * 1000)

int alerting_check_template(struct alerting *alerting, const struct config_node *node,
                            const char *text, struct diagnosis *why)
{
    struct diagnosis inner = {0};
    const struct template_scope scope = {.set = alerting->templates};
    int error = template_check(text, &scope, &inner);
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
    error = http_settings_check_url(alerting->config, node, "webhook_configs", keys->webhook.url,
                               keys->webhook.url_file, why);
    if (error != 0)
        return error;
    error = alerting_read_http(alerting, keys->http, &keys->webhook.http, why);
    *integration = (struct integration){.channel = &channel_webhook,
                                        .send_resolved = keys->send_resolved,
                                        .settings = &keys->webhook};
    return error;
}

/* ---- global, receivers ------------------------------------------------------------------- */

static const char *const languages[] = {"zh", "en", NULL};

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
    {.key = "smtp_auth_secret", .type = CONFIG_STRING, .offset = AT(email.secret),
     .help = "of CRAM-MD5"},
    {.key = "smtp_auth_identity", .type = CONFIG_STRING, .offset = AT(email.identity),
     .help = "on whose behalf, of PLAIN"},
    {.key = "smtp_require_tls", .type = CONFIG_BOOL, .offset = AT(email.require_tls),
     .fallback = "true", .help = "STARTTLS or no mail"},
    {.key = "smtp_tls_config", .type = CONFIG_NODE, .offset = AT(email_tls),
     .help = "ca_file, cert_file ..."},
    {.key = "resolve_timeout", .type = CONFIG_DURATION, .offset = AT(resolve_timeout_ms),
     .fallback = "5m", .help = "accepted; our alerts end when their condition does"},
    {.key = "channel_down_after", .type = CONFIG_DURATION, .offset = AT(channel_down_after_ms),
     .fallback = "30s", .help = "a failing channel is told through others after so long"},
    {.key = "language", .type = CONFIG_STRING, .offset = AT(language), .fallback = "zh",
     .choices = languages, .help = "zh or en: of the words that are not yours"},
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
    struct global_settings *global = &alerting->global;
    int error;

    global->email.timeout_ms = 30000;
    error = config_read(alerting->config, node, "global", global_options, COUNT(global_options),
                        global, why);
    global->is_english = global->language != NULL && strcmp(global->language, "en") == 0;
    return error;
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

/* Services that Alertmanager speaks to and this does not: not a slip of the pen, so it is said
 * what takes their place. */
static int refuse_other_kinds(struct alerting *alerting, const struct config_node *node,
                              struct diagnosis *why)
{
    static const char *const kinds[] = {
        "pagerduty_configs", "slack_configs",    "opsgenie_configs", "victorops_configs",
        "pushover_configs",  "sns_configs",      "telegram_configs", "discord_configs",
        "webex_configs",     "msteams_configs",  "msteamsv2_configs", "jira_configs",
        "rocketchat_configs", "incidentio_configs", "mattermost_configs"};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct config_node *found = config_child(node, kinds[i]);
        if (found != NULL)
            return config_complain(alerting->config, found, why,
                                   "%s: there is no such channel here; a webhook_configs to a "
                                   "gateway of that service takes its place",
                                   kinds[i]);
    }
    return 0;
}

int alerting_read_integrations(struct alerting *alerting, const struct config_node *node,
                               bool may_escalate, struct receiver *receiver,
                               struct diagnosis *why)
{
    struct receiver_keys keys = {0};
    const size_t count = COUNT(receiver_options) - (may_escalate ? 0 : 1);
    int error = refuse_other_kinds(alerting, node, why);
    if (error == 0)
        error = config_read(alerting->config, node,
                            may_escalate ? "receivers" : "contact_channels", receiver_options,
                            count, &keys, why);
    if (error != 0)
        return error;
    receiver->name = keys.name;
    receiver->templates = alerting->templates;
    receiver->is_english = alerting->global.is_english;
    receiver->integrations = arena_alloc(&alerting->arena, INTEGRATIONS_MAX,
                                         sizeof *receiver->integrations);
    if (receiver->integrations == NULL)
        return ERR_NOMEM;
    const struct {
        const struct config_node *list;
        alerting_read_integration *read;
    } kinds[] = {{keys.webhooks, read_webhook},
                 {keys.emails, alerting_read_email},
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
