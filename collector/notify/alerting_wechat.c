/*
 * alerting_wechat.c - applications of WeCom, in alerting.yml: Alertmanager's wechat_configs.
 *
 *     wechat_configs:
 *     - corp_id: wwabcd                 # or global wechat_api_corp_id
 *       api_secret_file: wechat.secret  # or api_secret, or global wechat_api_secret(_file)
 *       agent_id: '1000002'
 *       to_user: 'wang|li'              # to_party, to_tag; templates
 *
 * and beyond Alertmanager's: disclose, consent, alias_label (alerting_words.c), per_minute and
 * timeout.  `message` tells what it likes, so it needs disclose: full.
 */
#include <string.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/wechat.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct wechat_keys {
    struct wechat_settings wechat;
    struct disclosure disclosure;
    const struct config_node *http;
    int64_t per_minute;
    bool send_resolved;
};

static const char *const message_types[] = {"text", "markdown", NULL};

/* A member is sent 30 messages a minute and 1,000 an hour: 16 a minute keep within both. */
#define AT(field) offsetof(struct wechat_keys, field)
static const struct config_option wechat_options[] = {
    {.key = "api_url",
     .type = CONFIG_STRING,
     .offset = AT(wechat.api_url),
     .help = "of the service; ends in a slash"},
    {.key = "api_secret",
     .type = CONFIG_STRING,
     .offset = AT(wechat.api_secret),
     .help = "the application's secret"},
    {.key = "api_secret_file",
     .type = CONFIG_FILE,
     .offset = AT(wechat.api_secret_file),
     .help = "a file that holds it (0600)"},
    {.key = "corp_id",
     .type = CONFIG_STRING,
     .offset = AT(wechat.corp_id),
     .help = "the company's id"},
    {.key = "agent_id",
     .type = CONFIG_STRING,
     .offset = AT(wechat.agent_id),
     .fallback = "",
     .help = "the application's id"},
    {.key = "to_user",
     .type = CONFIG_STRING,
     .offset = AT(wechat.to_user),
     .fallback = "",
     .help = "members, with |; @all; a template"},
    {.key = "to_party",
     .type = CONFIG_STRING,
     .offset = AT(wechat.to_party),
     .fallback = "",
     .help = "departments, with |; a template"},
    {.key = "to_tag",
     .type = CONFIG_STRING,
     .offset = AT(wechat.to_tag),
     .fallback = "",
     .help = "tags, with |; a template"},
    {.key = "message",
     .type = CONFIG_STRING,
     .offset = AT(wechat.words.text),
     .help = "another text; a template; needs disclose: full"},
    {.key = "message_type",
     .type = CONFIG_STRING,
     .offset = AT(wechat.message_type),
     .fallback = "text",
     .choices = message_types,
     .help = "text or markdown"},
    {.key = "send_resolved",
     .type = CONFIG_BOOL,
     .offset = AT(send_resolved),
     .fallback = "false",
     .help = "tell when an alert ends"},
    {.key = "http_config", .type = CONFIG_NODE, .offset = AT(http), .help = "auth and TLS"},
    DISCLOSURE_OPTIONS(AT(disclosure), AT(wechat.words)),
    {.key = "per_minute",
     .type = CONFIG_INTEGER,
     .offset = AT(per_minute),
     .fallback = "16",
     .min = 1,
     .max = 6000,
     .help = "messages a minute; what is more is told as a digest"},
    {.key = "timeout",
     .type = CONFIG_DURATION,
     .offset = AT(wechat.http.timeout_ms),
     .min = 1,
     .max = 3600000,
     .help = "for each exchange; 10s"},
};
#undef AT

/* What the entry does not say, the global settings do. */
static int complete(struct alerting *alerting, struct wechat_settings *wechat)
{
    const struct global_settings *global = &alerting->global;
    size_t size;
    char *url;

    if (wechat->api_url == NULL)
        wechat->api_url = global->wechat_api_url;
    if (wechat->corp_id == NULL)
        wechat->corp_id = global->wechat_api_corp_id;
    if (wechat->api_secret == NULL && wechat->api_secret_file == NULL) {
        wechat->api_secret = global->wechat_api_secret;
        wechat->api_secret_file = global->wechat_api_secret_file;
    }
    size = strlen(wechat->api_url);
    if (size > 0 && wechat->api_url[size - 1] == '/')
        return 0;
    url = arena_alloc(&alerting->arena, size + 2, 1); /* as Alertmanager joins them */
    if (url == NULL)
        return ERR_NOMEM;
    memcpy(url, wechat->api_url, size);
    memcpy(url + size, "/", 2);
    wechat->api_url = url;
    return 0;
}

static int check_wechat(struct alerting *alerting, const struct config_node *node,
                        const struct wechat_settings *wechat, struct diagnosis *why)
{
    const struct {
        const char *key, *text;
    } templates[] = {{"to_user", wechat->to_user},
                     {"to_party", wechat->to_party},
                     {"to_tag", wechat->to_tag},
                     {"agent_id", wechat->agent_id}};
    int error =
        http_settings_check_url(alerting->config, node, "wechat_configs", wechat->api_url, NULL, why);

    if (error == 0 && (wechat->api_secret != NULL) == (wechat->api_secret_file != NULL))
        error = config_complain(alerting->config, node, why,
                                "wechat_configs: give either api_secret or api_secret_file, "
                                "here or (wechat_api_secret) in global");
    if (error == 0 && (wechat->corp_id == NULL || wechat->corp_id[0] == '\0'))
        error = config_complain(alerting->config, node, why,
                                "wechat_configs: no corp_id, and no global wechat_api_corp_id");
    if (error == 0 && wechat->to_user[0] == '\0' && wechat->to_party[0] == '\0' &&
        wechat->to_tag[0] == '\0')
        error = config_complain(alerting->config, node, why,
                                "wechat_configs: to_user, to_party or to_tag says to whom");
    for (size_t i = 0; error == 0 && i < COUNT(templates); i++)
        error = alerting_check_template(alerting,
                                        config_child(node, templates[i].key) != NULL
                                            ? config_child(node, templates[i].key)
                                            : node,
                                        templates[i].text, why);
    return error;
}

int alerting_read_wechat(struct alerting *alerting, const struct config_node *node,
                         struct integration *integration, struct diagnosis *why)
{
    struct wechat_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    error = config_read(alerting->config, node, "wechat_configs", wechat_options,
                        COUNT(wechat_options), keys, why);
    if (error != 0)
        return error;
    keys->wechat.words.text_bytes_max = 2048;
    error = complete(alerting, &keys->wechat);
    if (error == 0)
        error = check_wechat(alerting, node, &keys->wechat, why);
    if (error == 0)
        error = alerting_read_words(alerting, node, "wechat_configs", &keys->disclosure,
                                    &keys->wechat.words, why);
    if (error == 0)
        error = alerting_read_http(alerting, keys->http, &keys->wechat.http, why);
    if (error == 0)
        error = http_settings_refuse_oauth(alerting->config, node, "wechat_configs", &keys->wechat.http, why);
    *integration = (struct integration){.channel = &channel_wechat,
                                        .send_resolved = keys->send_resolved,
                                        .per_minute = (unsigned)keys->per_minute,
                                        .settings = &keys->wechat};
    return error;
}
