/*
 * alerting_program.c - local programs in alerting.yml.
 *
 *     program_configs:
 *     - command: [/usr/local/bin/page-duty, --to, "13800001111"]   # fixed; no shell
 *       timeout: 30s
 */
#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct program_keys {
    struct program_settings program;
    struct config_strings command;
    bool send_resolved;
};

#define AT(field) offsetof(struct program_keys, field)
static const struct config_option program_options[] = {
    {.key = "command", .type = CONFIG_STRINGS, .offset = AT(command), .required = true,
     .help = "the program's full path and its arguments; no shell"},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(program.timeout_ms),
     .fallback = "30s", .min = 1, .max = 3600000, .help = "then it is killed"},
    {.key = "send_resolved", .type = CONFIG_BOOL, .offset = AT(send_resolved),
     .fallback = "true", .help = "tell when an alert ends"},
};
#undef AT

int alerting_read_program(struct alerting *alerting, const struct config_node *node,
                          struct integration *integration, struct diagnosis *why)
{
    struct program_keys *keys = arena_alloc(&alerting->arena, 1, sizeof *keys);
    int error;

    if (keys == NULL)
        return ERR_NOMEM;
    error = config_read(alerting->config, node, "program_configs", program_options,
                        COUNT(program_options), keys, why);
    if (error != 0)
        return error;
    if (keys->command.count == 0 || keys->command.items[0][0] != '/')
        return config_complain(alerting->config, node, why,
                               "program_configs.command: the program's full path comes first");
    keys->program.arguments =
        arena_alloc(&alerting->arena, keys->command.count + 1, sizeof(char *));
    if (keys->program.arguments == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < keys->command.count; i++) {
        size_t size = strlen(keys->command.items[i]) + 1;
        keys->program.arguments[i] = arena_alloc(&alerting->arena, size, 1);
        if (keys->program.arguments[i] == NULL)
            return ERR_NOMEM;
        memcpy(keys->program.arguments[i], keys->command.items[i], size);
    }
    *integration = (struct integration){.channel = &channel_program,
                                        .send_resolved = keys->send_resolved,
                                        .settings = &keys->program};
    return 0;
}
