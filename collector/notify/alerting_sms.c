/*
 * alerting_sms.c - text messages through an HTTP gateway, in alerting.yml.
 *
 *     sms_configs:
 *     - to: '13800001111'                       # one number an entry: each is told by itself
 *       url: 'https://sms.example/send?user=fengsui'
 *       body: '{"to":"{phone}","content":"{text}","key":"{secret}","serial":"{id}"}'
 *       secret_file: sms.secret
 *       signature: 【社保运维】
 *       success: '"code":\s*"?0"?'              # what the answer must hold; without: any 2xx
 */
#include <string.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/sms.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct sms_keys {
    struct sms_settings sms;
    const struct config_node *http;
    struct disclosure disclosure;
    const char *success;
    int64_t per_minute, text_bytes;
    bool send_resolved;
};

#define AT(field) offsetof(struct sms_keys, field)
static const struct config_option sms_options[] = {
    {.key = "to", .type = CONFIG_STRING, .offset = AT(sms.phone), .required = true,
     .help = "one number"},
    {.key = "url", .type = CONFIG_STRING, .offset = AT(sms.url), .required = true,
     .help = "the gateway's; {phone} {text} {id} {secret} become values"},
    {.key = "body", .type = CONFIG_STRING, .offset = AT(sms.body),
     .help = "what to POST, with the same words in braces; without: a GET"},
    {.key = "content_type", .type = CONFIG_STRING, .offset = AT(sms.content_type),
     .fallback = "application/json", .help = "of the body; decides how values are escaped"},
    {.key = "secret_file", .type = CONFIG_FILE, .offset = AT(sms.secret_file),
     .help = "a file that holds {secret} (0600)"},
    {.key = "signature", .type = CONFIG_STRING, .offset = AT(sms.signature),
     .help = "in front of every text, as carriers demand"},
    {.key = "success", .type = CONFIG_STRING, .offset = AT(success),
     .help = "a regular expression that the answer must hold"},
    DISCLOSURE_OPTIONS(AT(disclosure), AT(sms.words)),
    {.key = "text", .type = CONFIG_STRING, .offset = AT(sms.words.text),
     .help = "another text; a template; needs disclose: full"},
    {.key = "text_bytes", .type = CONFIG_INTEGER, .offset = AT(text_bytes), .fallback = "600",
     .min = 200, .max = 4000, .help = "longest text, in bytes of UTF-8: a character is 3"},
    {.key = "per_minute", .type = CONFIG_INTEGER, .offset = AT(per_minute), .fallback = "10",
     .min = 1, .max = 6000, .help = "messages a minute; what is more is told as a digest"},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "true", .help = "tell when an alert ends"},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(sms.http.timeout_ms), .min = 1,
     .max = 3600000, .help = "for the whole exchange; 10s"},
    {.key = "http_config", .type = CONFIG_NODE, .offset = AT(http), .help = "auth and TLS"},
};
#undef AT

static int check_words(struct alerting *alerting, const struct config_node *node,
                       const char *key, const char *text, bool has_secret,
                       struct diagnosis *why)
{
    char word[32];
    if (text == NULL || sms_template_is_known(text, has_secret, word))
        return 0;
    return config_complain(alerting->config, config_child(node, key), why,
                           "sms_configs.%s: {%s} is not known; there are {phone}, {text}, {id}%s",
                           key, word,
                           has_secret ? " and {secret}" : ", and {secret} with a secret_file");
}

static int check_sms(struct alerting *alerting, const struct config_node *node,
                     const struct sms_settings *sms, struct diagnosis *why)
{
    bool has_secret = sms->secret_file != NULL;
    int error = http_settings_check_url(alerting->config, node, "sms_configs", sms->url, NULL, why);
    if (error == 0)
        error = check_words(alerting, node, "url", sms->url, has_secret, why);
    if (error == 0)
        error = check_words(alerting, node, "body", sms->body, has_secret, why);
    if (error == 0 && strstr(sms->url, "{text}") == NULL &&
        (sms->body == NULL || strstr(sms->body, "{text}") == NULL))
        error = config_complain(alerting->config, node, why,
                                "sms_configs: neither url nor body has a {text}");
    if (error == 0 && sms->signature != NULL && strlen(sms->signature) > 100)
        error = config_complain(alerting->config, config_child(node, "signature"), why,
                                "sms_configs.signature is longer than 100 bytes");
    return error;
}

static int read_success(struct alerting *alerting, const struct config_node *node,
                        struct sms_keys *keys, struct diagnosis *why)
{
    struct diagnosis inner = {0};
    int error;
    if (keys->success == NULL)
        return 0;
    error = regex_new(bytes_of(keys->success), false, &keys->sms.success, &inner);
    if (error == 0)
        error = alerting_keep_regex(alerting, keys->sms.success);
    if (error == 0 || error == ERR_NOMEM)
        return error;
    return config_complain(alerting->config, config_child(node, "success"), why,
                           "sms_configs.success: %s", inner.text);
}

int alerting_read_sms(struct alerting *alerting, const struct config_node *node,
                      struct integration *integration, struct diagnosis *why)
{
    struct sms_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    error = config_read(alerting->config, node, "sms_configs", sms_options, COUNT(sms_options),
                        keys, why);
    if (error != 0)
        return error;
    keys->sms.words.is_terse = true;
    keys->sms.words.text_bytes_max = (size_t)keys->text_bytes;
    error = alerting_read_words(alerting, node, "sms_configs", &keys->disclosure,
                                &keys->sms.words, why);
    if (error == 0)
        error = check_sms(alerting, node, &keys->sms, why);
    if (error == 0)
        error = read_success(alerting, node, keys, why);
    if (error == 0)
        error = alerting_read_http(alerting, keys->http, &keys->sms.http, why);
    if (error == 0)
        error = http_settings_refuse_oauth(alerting->config, node, "sms_configs", &keys->sms.http, why);
    *integration = (struct integration){.channel = &channel_sms,
                                        .send_resolved = keys->send_resolved,
                                        .per_minute = (unsigned)keys->per_minute,
                                        .settings = &keys->sms};
    return error;
}
