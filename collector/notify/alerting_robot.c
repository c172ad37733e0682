/*
 * alerting_robot.c - robots of DingTalk, WeCom and Feishu in alerting.yml.
 *
 *     dingtalk_configs:
 *     - url_file: dingtalk.url          # the URL holds the robot's token: a file of mode 0600
 *       secret_file: dingtalk.secret    # signed, if the robot wants it
 *       disclose: number                # or full, with consent: (alerting_words.c)
 *       alias_label: alias              # which system, in words meant for outsiders
 *       per_minute: 20                  # what the service allows; more is told as a digest
 *       at_mobiles: ["13800001111"]     # whom to call; at_users, at_all
 */
#include "collector/notify/alerting_parts.h"
#include "collector/notify/robot.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct robot_kind {
    const char *where;
    const struct channel *channel;
    int64_t per_minute;    /* what the service allows */
    size_t text_bytes_max; /* with room for the names of those who are called */
    bool is_signed;
};

struct robot_keys {
    struct robot_settings robot;
    const struct config_node *http;
    struct disclosure disclosure;
    int64_t per_minute;
    bool send_resolved;
};

#define AT(field) offsetof(struct robot_keys, field)
static const struct config_option robot_options[] = {
    {.key = "url", .type = CONFIG_STRING, .offset = AT(robot.url), .help = "the robot's URL"},
    {.key = "url_file", .type = CONFIG_FILE, .offset = AT(robot.url_file),
     .help = "a file that holds it (0600)"},
    {.key = "secret", .type = CONFIG_STRING, .offset = AT(robot.secret),
     .help = "signs the requests"},
    {.key = "secret_file", .type = CONFIG_FILE, .offset = AT(robot.secret_file),
     .help = "a file that holds it (0600)"},
    DISCLOSURE_OPTIONS(AT(disclosure), AT(robot.words)),
    {.key = "text", .type = CONFIG_STRING, .offset = AT(robot.words.text),
     .help = "another text; a template; needs disclose: full"},
    {.key = "at_mobiles", .type = CONFIG_STRINGS, .offset = AT(robot.mobiles),
     .help = "mobile numbers to call"},
    {.key = "at_users", .type = CONFIG_STRINGS, .offset = AT(robot.users),
     .help = "user ids to call"},
    {.key = "at_all", .type = CONFIG_BOOL, .offset = AT(robot.everyone), .fallback = "false",
     .help = "call everybody in the room"},
    {.key = "per_minute", .type = CONFIG_INTEGER, .offset = AT(per_minute), .min = 1,
     .max = 6000, .help = "messages a minute; what is more is told as a digest"},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "true", .help = "tell when an alert ends"},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(robot.http.timeout_ms), .min = 1,
     .max = 3600000, .help = "for the whole exchange; 10s"},
    {.key = "http_config", .type = CONFIG_NODE, .offset = AT(http), .help = "proxy auth, TLS"},
};
#undef AT

/* They go into a tag or a list as they are. */
static int check_names(struct alerting *alerting, const struct config_node *node,
                       const struct config_strings *names, struct diagnosis *why)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        if (*name == '\0' || strpbrk(name, "\"<>\\ \t\r\n") != NULL)
            return config_complain(alerting->config, node, why,
                                   "\"%s\" is no user id or number", name);
    }
    return 0;
}

static int check_robot(struct alerting *alerting, const struct config_node *node,
                       const struct robot_kind *kind, const struct robot_keys *keys,
                       struct diagnosis *why)
{
    const struct robot_settings *robot = &keys->robot;
    int error =
        http_settings_check_url(alerting->config, node, kind->where, robot->url, robot->url_file, why);
    if (error == 0 && robot->secret != NULL && robot->secret_file != NULL)
        error = config_complain(alerting->config, node, why,
                                "%s: give either secret or secret_file", kind->where);
    if (error == 0 && !kind->is_signed && (robot->secret != NULL || robot->secret_file != NULL))
        error =
            config_complain(alerting->config, node, why,
                            "%s: this robot signs nothing; leave the secret out", kind->where);
    if (error == 0)
        error = check_names(alerting, node, &robot->mobiles, why);
    if (error == 0)
        error = check_names(alerting, node, &robot->users, why);
    return error;
}

static int read_robot(struct alerting *alerting, const struct config_node *node,
                      const struct robot_kind *kind, struct integration *integration,
                      struct diagnosis *why)
{
    struct robot_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    keys->per_minute = kind->per_minute;
    error = config_read(alerting->config, node, kind->where, robot_options,
                        COUNT(robot_options), keys, why);
    if (error != 0)
        return error;
    keys->robot.words.text_bytes_max = kind->text_bytes_max;
    error = alerting_read_words(alerting, node, kind->where, &keys->disclosure,
                                &keys->robot.words, why);
    if (error == 0)
        error = check_robot(alerting, node, kind, keys, why);
    if (error == 0)
        error = alerting_read_http(alerting, keys->http, &keys->robot.http, why);
    if (error == 0)
        error = http_settings_refuse_oauth(alerting->config, node, "robot_configs", &keys->robot.http, why);
    *integration = (struct integration){.channel = kind->channel,
                                        .send_resolved = keys->send_resolved,
                                        .per_minute = (unsigned)keys->per_minute,
                                        .settings = &keys->robot};
    return error;
}

int alerting_read_dingtalk(struct alerting *alerting, const struct config_node *node,
                           struct integration *integration, struct diagnosis *why)
{
    static const struct robot_kind kind = {"dingtalk_configs", &channel_dingtalk, 20, 15000,
                                           true};
    return read_robot(alerting, node, &kind, integration, why);
}

int alerting_read_wecom(struct alerting *alerting, const struct config_node *node,
                        struct integration *integration, struct diagnosis *why)
{
    static const struct robot_kind kind = {"wecom_configs", &channel_wecom, 20, 2048, false};
    return read_robot(alerting, node, &kind, integration, why);
}

int alerting_read_feishu(struct alerting *alerting, const struct config_node *node,
                         struct integration *integration, struct diagnosis *why)
{
    static const struct robot_kind kind = {"feishu_configs", &channel_feishu, 100, 15000, true};
    return read_robot(alerting, node, &kind, integration, why);
}
