/*
 * alerting_smpp.c - text messages through a carrier's SMPP server, in alerting.yml.
 *
 *     smpp_configs:
 *     - to: '13800001111'               # one number an entry: each is told by itself
 *       server: 'smsc.example.cn:2775'  # entries of the same server and system_id share a
 * session system_id: fengsui password_file: smpp.password    # 0600 source: '1068xxxx' # our
 * number, as the carrier gave it to us signature: 【社保运维】
 */
#include <stdio.h>
#include <string.h>

#include "collector/notify/alerting_parts.h"
#include "collector/notify/smpp.h"
#include "proto/base/error.h"

#define COUNT(table)      (sizeof(table) / sizeof((table)[0]))
#define TON_INTERNATIONAL 1

struct smpp_keys {
    struct smpp_settings smpp;
    struct disclosure disclosure;
    const struct config_node *tls;
    const char *to;
    int64_t per_minute, text_bytes;
    bool send_resolved;
};

#define AT(field) offsetof(struct smpp_keys, field)
static const struct config_option smpp_options[] = {
    {.key = "to",
     .type = CONFIG_STRING,
     .offset = AT(to),
     .required = true,
     .help = "one number"},
    {.key = "server",
     .type = CONFIG_STRING,
     .offset = AT(smpp.server),
     .required = true,
     .help = "host:port of the carrier's server"},
    {.key = "system_id",
     .type = CONFIG_STRING,
     .offset = AT(smpp.system_id),
     .required = true,
     .help = "our name there"},
    {.key = "password", .type = CONFIG_STRING, .offset = AT(smpp.password), .help = "password"},
    {.key = "password_file",
     .type = CONFIG_FILE,
     .offset = AT(smpp.password_file),
     .help = "a file that holds it (0600)"},
    {.key = "system_type",
     .type = CONFIG_STRING,
     .offset = AT(smpp.system_type),
     .fallback = "",
     .help = "what kind of system we are, if the carrier asks"},
    {.key = "source",
     .type = CONFIG_STRING,
     .offset = AT(smpp.source),
     .fallback = "",
     .help = "the number that messages come from"},
    {.key = "source_ton",
     .type = CONFIG_INTEGER,
     .offset = AT(smpp.source_ton),
     .fallback = "0",
     .min = 0,
     .max = 6,
     .help = "its type; 0 unknown, 1 international"},
    {.key = "source_npi",
     .type = CONFIG_INTEGER,
     .offset = AT(smpp.source_npi),
     .fallback = "1",
     .min = 0,
     .max = 18,
     .help = "its numbering plan; 1 telephone"},
    {.key = "to_ton",
     .type = CONFIG_INTEGER,
     .offset = AT(smpp.phone_ton),
     .fallback = "1",
     .min = 0,
     .max = 6,
     .help = "type of the number called"},
    {.key = "to_npi",
     .type = CONFIG_INTEGER,
     .offset = AT(smpp.phone_npi),
     .fallback = "1",
     .min = 0,
     .max = 18,
     .help = "its numbering plan"},
    {.key = "receipts",
     .type = CONFIG_BOOL,
     .offset = AT(smpp.wants_receipts),
     .fallback = "true",
     .help = "ask whether it has reached the handset"},
    {.key = "window",
     .type = CONFIG_INTEGER,
     .offset = AT(smpp.window),
     .fallback = "10",
     .min = 1,
     .max = 1000,
     .help = "parts that may wait for their answers"},
    {.key = "enquire_link",
     .type = CONFIG_DURATION,
     .offset = AT(smpp.enquire_ms),
     .fallback = "30s",
     .min = 100,
     .max = 3600000,
     .help = "asks whether the server lives"},
    {.key = "timeout",
     .type = CONFIG_DURATION,
     .offset = AT(smpp.timeout_ms),
     .fallback = "10s",
     .min = 100,
     .max = 600000,
     .help = "for each answer"},
    {.key = "signature",
     .type = CONFIG_STRING,
     .offset = AT(smpp.signature),
     .help = "in front of every text, as carriers demand"},
    DISCLOSURE_OPTIONS(AT(disclosure), AT(smpp.words)),
    {.key = "text",
     .type = CONFIG_STRING,
     .offset = AT(smpp.words.text),
     .help = "another text; a template; needs disclose: full"},
    {.key = "text_bytes",
     .type = CONFIG_INTEGER,
     .offset = AT(text_bytes),
     .fallback = "600",
     .min = 200,
     .max = 4000,
     .help = "longest text, in bytes of UTF-8: a character is 3"},
    {.key = "per_minute",
     .type = CONFIG_INTEGER,
     .offset = AT(per_minute),
     .fallback = "10",
     .min = 1,
     .max = 6000,
     .help = "messages a minute; what is more is told as a digest"},
    {.key = "send_resolved",
     .type = CONFIG_BOOL,
     .offset = AT(send_resolved),
     .fallback = "true",
     .help = "tell when an alert ends"},
    {.key = "tls",
     .type = CONFIG_BOOL,
     .offset = AT(smpp.is_secure),
     .fallback = "false",
     .help = "SMPP over TLS"},
    {.key = "tls_config", .type = CONFIG_NODE, .offset = AT(tls), .help = "ca_file ..."},
};
#undef AT

/* Digits only; with the country's in front where the type of number demands them. */
static bool make_number(const char *to, int64_t ton, char number[SMPP_NUMBER_BYTES])
{
    const char *at = to[0] == '+' ? to + 1 : to;
    size_t size = strlen(at);
    bool is_mobile = ton == TON_INTERNATIONAL && to[0] != '+' && size == 11 && at[0] == '1';

    if (size == 0 || size > 20 || strspn(at, "0123456789") != size)
        return false;
    (void)snprintf(number, SMPP_NUMBER_BYTES, "%s%.20s", is_mobile ? "86" : "", at);
    return true;
}

static bool is_server(const char *server)
{
    const char *colon = strrchr(server, ':');
    return colon != NULL && colon > server && colon[1] != '\0' && strlen(colon + 1) <= 5 &&
           strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
           strpbrk(server, "/@?#% \t\r\n\\") == NULL;
}

static int check_smpp(struct alerting *alerting, const struct config_node *node,
                      const struct smpp_keys *keys, struct diagnosis *why)
{
    const struct smpp_settings *smpp = &keys->smpp;
    const struct config *config = alerting->config;

    if (!is_server(smpp->server))
        return config_complain(config, config_child(node, "server"), why,
                               "smpp_configs.server: \"%s\" is no host:port", smpp->server);
    if (strlen(smpp->system_id) == 0 || strlen(smpp->system_id) > 15 ||
        strlen(smpp->system_type) > 12 || strlen(smpp->source) > 20)
        return config_complain(config, node, why,
                               "smpp_configs: system_id has 1 to 15 characters, system_type at "
                               "most 12, source at most 20");
    if (smpp->password != NULL && smpp->password_file != NULL)
        return config_complain(config, node, why,
                               "smpp_configs: give either password or password_file");
    if (smpp->signature != NULL && strlen(smpp->signature) > 100)
        return config_complain(config, config_child(node, "signature"), why,
                               "smpp_configs.signature is longer than 100 bytes");
    if (keys->tls != NULL && !smpp->is_secure)
        return config_complain(config, config_child(node, "tls_config"), why,
                               "smpp_configs: tls_config without tls: true");
    return 0;
}

/* What a session of ours cannot do yet must not be thought done. */
static bool has_more_than_trust(const struct tls_settings *tls)
{
    return tls->ca != NULL || tls->cert != NULL || tls->cert_file != NULL ||
           tls->server_name != NULL || tls->min_version != NULL || tls->max_version != NULL;
}

int alerting_read_smpp(struct alerting *alerting, const struct config_node *node,
                       struct integration *integration, struct diagnosis *why)
{
    struct smpp_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    error = config_read(alerting->config, node, "smpp_configs", smpp_options,
                        COUNT(smpp_options), keys, why);
    if (error != 0)
        return error;
    if (!make_number(keys->to, keys->smpp.phone_ton, keys->smpp.phone))
        return config_complain(alerting->config, config_child(node, "to"), why,
                               "smpp_configs.to: \"%s\" is no telephone number", keys->to);
    keys->smpp.words.is_terse = true;
    keys->smpp.words.text_bytes_max = (size_t)keys->text_bytes;
    error = check_smpp(alerting, node, keys, why);
    if (error == 0)
        error = alerting_read_words(alerting, node, "smpp_configs", &keys->disclosure,
                                    &keys->smpp.words, why);
    if (error == 0)
        error = http_settings_read_tls(alerting->config, keys->tls, &keys->smpp.tls, why);
    if (error == 0 && has_more_than_trust(&keys->smpp.tls))
        error = config_complain(alerting->config, keys->tls, why,
                                "smpp_configs: tls_config knows ca_file and "
                                "insecure_skip_verify alone");
    *integration = (struct integration){.channel = &channel_smpp,
                                        .send_resolved = keys->send_resolved,
                                        .per_minute = (unsigned)keys->per_minute,
                                        .settings = &keys->smpp};
    return error;
}
